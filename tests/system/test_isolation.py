# SPDX-License-Identifier: Apache-2.0
"""The unit tests of src/container, which launch real containers, once more inside user-mode Linux:
there cgroup version 2 has its controllers, whatever this machine has mounted."""

import os
import re
import subprocess

import pytest

import harness

UML_RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "uml_run")


def run_in_uml(*command, timeout=600):
    """The finished process; skips the test where there is no user-mode Linux."""
    done = subprocess.run([UML_RUN, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False,
                          env={**os.environ, "MESETA_BIN_DIR": harness.BIN, "CMOCKA_MESSAGE_OUTPUT": "STDOUT"})
    if done.returncode == 77:
        pytest.skip("no user-mode Linux here")
    return done


@pytest.mark.root
def test_containers_on_cgroup_v2():
    program = os.path.join(harness.BUILD, "tests", "unit", "container", "test_containerizer")
    done = run_in_uml(program)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.findall(r"^\[ +OK \] .*\(linux\)", done.stdout + done.stderr, re.M)
    assert len(passed) >= 15, done.stdout + done.stderr


@pytest.mark.root
def test_what_runs_inside_reports_its_exit_status():
    assert run_in_uml("sh", "-c", "test -e /sys/fs/cgroup/cgroup.controllers && exit 3").returncode == 3
