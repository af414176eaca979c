# SPDX-License-Identifier: Apache-2.0
"""mesos-local: serves, passes flags on, and takes everything down with itself."""

import os
import re
import signal
import subprocess

import pytest

import leftovers
from harness import BIN, get, wait_for

LOCAL = os.path.join(BIN, "mesos-local")
EXECUTE = os.path.join(BIN, "mesos-execute")


def start(cluster, *flags):
    """The process, the master's address, the agents' addresses."""
    process = cluster.popen([LOCAL, "--port=0", "--work_dir=" + cluster.path("local"), *flags],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output = []
    for line in process.stdout:
        output.append(line)
        if line == "Ready\n":
            addresses = re.findall(r"http://(\S+)", "".join(output))
            return process, addresses[0], addresses[1:]
    raise AssertionError(process.stderr.read())


def programs_of(process):
    return leftovers.find_descendants(process.pid)


def find_cgroups(process):
    """What its agents (there are at most two in these tests) have as their root."""
    return [path for index in (1, 2) for path in leftovers.find_cgroups("mesos-local-%d-%d" % (process.pid, index))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_and_ends(cluster, number):
    process, master, agents = start(cluster, "--num_slaves=2")
    assert len(agents) == 2
    assert len(get(master, "/state").json()["slaves"]) == 2
    for address in [master] + agents:
        assert get(address, "/health").status == 200
    assert len(programs_of(process)) == 3
    status = subprocess.run([EXECUTE, "--master=" + master, "--name=a", "--command=true"], timeout=20,
                            stdout=subprocess.DEVNULL, check=False).returncode
    assert status == 0
    process.send_signal(number)
    assert process.wait(15) == 0
    assert not find_cgroups(process)


def test_running_tasks_end_with_it(cluster):
    process, master, _ = start(cluster)
    execute = cluster.popen([EXECUTE, "--master=" + master, "--name=a", "--command=echo $$ > pid; sleep 1000",
                             "--checkpoint"], stdout=subprocess.PIPE, text=True)
    for line in execute.stdout:
        if "TASK_RUNNING" in line:
            break
    # TASK_RUNNING is told when the shell is started; what it runs follows.
    wait_for(lambda: any("sleep" in command for command in programs_of(process).values()))
    running = programs_of(process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert not set(running) & set(leftovers.find_descendants())


def test_its_death_ends_the_programs(cluster):
    process, _, _ = start(cluster, "--num_slaves=2")
    running = programs_of(process)
    assert len(running) == 3
    process.kill()
    process.wait()
    wait_for(lambda: not set(running) & set(leftovers.find_descendants()))
    assert not find_cgroups(process)


def test_ends_when_a_program_does(cluster):
    process, _, _ = start(cluster)
    agent = next(pid for pid, command in programs_of(process).items() if "mesos-agent" in command)
    os.kill(agent, signal.SIGKILL)
    assert process.wait(15) == 1
    assert "The agent-1 was ended by signal Killed." in process.stderr.read()
    for path in find_cgroups(process):  # one that is killed cannot remove its own
        leftovers.remove_cgroup(path)


def test_passes_flags_on(cluster):
    process, master, agents = start(cluster, "--cluster=mine", "--attributes=rack:r1", "--resources=cpus:3;mem:512")
    assert get(master, "/flags").json()["flags"]["cluster"] == "mine"
    slave = get(master, "/state").json()["slaves"][0]
    assert slave["attributes"] == {"rack": "r1"}
    assert slave["resources"]["cpus"] == 3
    assert get(agents[0], "/flags").json()["flags"]["resources"] == "cpus:3;mem:512"
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0


@pytest.mark.parametrize("flags, text", [
    ("--port=0 --no_such_flag=1", "Neither master nor agent has the flag '--no_such_flag=1'"),
    ("--num_slaves=-1", "--num_slaves"),
    ("--port=70000", "--port"),
    ("--port=0 --ip=300.1.1.1", "--ip=300.1.1.1"),
])
def test_bad_flags(cluster, flags, text):
    done = subprocess.run([LOCAL, "--work_dir=" + cluster.path("local"), *flags.split()], capture_output=True,
                          text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert text in done.stderr
