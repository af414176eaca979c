# SPDX-License-Identifier: Apache-2.0
"""The unit tests of src/container, which launch real containers, once more inside user-mode Linux:
there cgroup version 2 has its controllers, and version 1 can be mounted with several controllers together,
whatever this machine has mounted."""

import os
import re
import subprocess

import pytest

import harness

UML_RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "uml_run")


def run_in_uml(*command, cgroups="2", timeout=600):
    """The finished process; skips the test where there is no user-mode Linux."""
    done = subprocess.run([UML_RUN, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False,
                          env={**os.environ, "UML_CGROUPS": cgroups, "MESETA_BIN_DIR": harness.BIN,
                               "CMOCKA_MESSAGE_OUTPUT": "STDOUT"})
    if done.returncode == 77:
        pytest.skip("no user-mode Linux here")
    return done


@pytest.mark.root
@pytest.mark.parametrize("cgroups", ["1", "2"])
@pytest.mark.parametrize("name, least", [("test_containerizer", 15), ("test_containerizer_limits", 6),
                                         ("test_nested", 10)])
def test_containers_in_uml(cgroups, name, least):
    if "asan" in os.path.basename(harness.BUILD):
        pytest.skip("user-mode Linux gives a process less address space than the address sanitizer needs")
    program = os.path.join(harness.BUILD, "tests", "unit", "container", name)
    # What runs without cgroups runs on the host, too; here it would only take time.
    done = run_in_uml(program, "*(linux)*", cgroups=cgroups)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.findall(r"^\[ +OK \] .*\(linux\)", done.stdout + done.stderr, re.M)
    assert len(passed) >= least, done.stdout + done.stderr


@pytest.mark.root
def test_what_runs_inside_reports_its_exit_status():
    assert run_in_uml("sh", "-c", "test -e /sys/fs/cgroup/cgroup.controllers && exit 3").returncode == 3
