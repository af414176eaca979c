# SPDX-License-Identifier: Apache-2.0
"""The tutorial's framework on unmodified pymesos, and what it leaves in the cluster."""

import os
import re
import subprocess
import sys

from harness import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))


def run_tutorial(cluster, master, timeout=60):
    scratch = cluster.path("scratch")
    os.makedirs(scratch)
    process = cluster.popen([sys.executable, os.path.join(HERE, "tutorial_framework.py"), master.address, scratch],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = process.communicate(timeout=timeout)[0]
    return process.returncode, output, scratch


def test_tutorial(cluster, master, agent):
    status, output, scratch = run_tutorial(cluster, master)
    assert status == 0, output
    assert os.path.isdir(os.path.join(scratch, "made"))
    framework_id = re.search(r"Registered with framework id (tutorial-\S+)", output).group(1)
    tasks = dict(re.findall(r"Launching task (\S+): (.*)", output))
    assert len(tasks) == 2, output
    for task_id in tasks:
        states = re.findall(r"Task %s is (\S+)" % task_id, output)
        assert states == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"], output
    assert len(re.findall(r"is TASK_RUNNING at 127\.0\.0\.1$", output, re.M)) == 2, output
    echo = next(task_id for task_id, command in tasks.items() if command == "echo HelloWorld")
    with open(os.path.join(cluster.sandbox(agent, framework_id, echo), "stdout"), encoding="utf-8") as file:
        assert file.read() == "HelloWorld\n"
    done = wait_for(lambda: [one for one in master.state()["completed_frameworks"] if one["id"] == framework_id])
    assert done[0]["name"] == "Tutorial"


def test_failed_task_is_run_again(cluster, master, agent):
    """The directory's parent is missing at first, so the mkdir fails, is queued again, and then succeeds."""
    scratch = cluster.path("scratch", "late")
    process = cluster.popen([sys.executable, os.path.join(HERE, "tutorial_framework.py"), master.address, scratch],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "is TASK_FAILED" in line:
            os.makedirs(scratch, exist_ok=True)
    assert process.wait(10) == 0, "".join(lines)
    output = "".join(lines)
    assert "is TASK_FAILED" in output
    assert "message: Command exited with status 1" in output
    assert os.path.isdir(os.path.join(scratch, "made"))
