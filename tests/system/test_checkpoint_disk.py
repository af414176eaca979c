# SPDX-License-Identifier: Apache-2.0
"""A disk that is full, fails or is slow under what the agent writes down of checkpointing frameworks.

Slow and failing syncs are real calls that slow_sync.c (LD_PRELOAD) holds up or refuses in the agent's process;
the full disk is a small tmpfs.
"""

import os
import shutil
import signal
import subprocess
import time

import pytest

import books
import leftovers
import survivor
from harness import make_task, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))


class SmallDisk:
    """A tmpfs that outlives the agent."""

    def __init__(self, path):
        self.path = path
        os.mkdir(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", path], check=True)

    def fill(self):
        with open(os.path.join(self.path, "filler"), "ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    def free(self):
        os.unlink(os.path.join(self.path, "filler"))

    def close(self):
        for _ in range(100):
            if subprocess.run(["umount", self.path], check=False, stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError(self.path + " is busy")


@pytest.fixture
def disk(cluster):
    one = SmallDisk(cluster.path("disk"))
    yield one
    for agent in cluster.agents:
        agent.stop(signal.SIGUSR1)
    one.close()


def start_task(scheduler, command):
    task = make_task(command)
    scheduler.launch(scheduler.take_offer(), [task], refuse_seconds=0)
    return task["task_id"]["value"]


@pytest.mark.root
def test_full_disk_at_start(cluster, master, disk):
    """An agent that cannot write says so and ends, as often as it is started; with room again all goes on."""
    agent = cluster.start_agent(master, work_dir=os.path.join(disk.path, "work"))
    scheduler = cluster.scheduler(master, checkpoint=True)
    task_id = start_task(scheduler, "while [ ! -e %s ]; do sleep 0.05; done; exit 3" % cluster.path("go"))
    scheduler.wait_update(task_id, "TASK_RUNNING")
    agent.kill()
    disk.fill()
    with open(cluster.path("go"), "w", encoding="ascii"):
        pass
    for _ in range(2):
        agent.start()
        assert agent.process.wait(20) == 1, agent.read_log()
        assert "disk is full" in agent.read_log().splitlines()[-1], agent.read_log()
    scheduler.pump()
    assert scheduler.states_of(task_id)[-1] == "TASK_RUNNING"
    disk.free()
    agent.restart()
    cluster.wait_registered(agent)
    status = scheduler.wait_end(task_id)
    assert (status["state"], status["message"]) == ("TASK_FAILED", "Command exited with status 3")
    wait_for(lambda: agent.state()["frameworks"] == [], what="the executor to be done")
    books.wait_agreed(master, [agent])


@pytest.mark.root
def test_full_runtime_directory(cluster, master, disk):
    """A container that a later agent could not find is not started; one that runs can still tell how it ended."""
    runtime = os.path.join(disk.path, "run")
    agent = cluster.start_agent(master, runtime_dir=runtime)
    scheduler = cluster.scheduler(master, checkpoint=True)
    earlier = start_task(scheduler, "while [ ! -e %s ]; do sleep 0.05; done; exit 3" % cluster.path("go"))
    scheduler.wait_update(earlier, "TASK_RUNNING")
    disk.fill()
    status = scheduler.wait_end(start_task(scheduler, "sleep 1000"))
    assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED")
    assert "No space left on device" in status["message"]
    agent.kill()
    with open(cluster.path("go"), "w", encoding="ascii"):
        pass
    time.sleep(0.3)
    agent.restart()
    cluster.wait_registered(agent)
    status = scheduler.wait_end(earlier)
    assert (status["state"], status["message"]) == ("TASK_FAILED", "Command exited with status 3")
    disk.free()
    assert scheduler.wait_end(start_task(scheduler, "true"))["state"] == "TASK_FINISHED"
    wait_for(lambda: agent.state()["frameworks"] == [], what="the executors to be done")
    assert survivor.find_runs(agent) == []
    assert leftovers.find_processes_in(agent.flags["work_dir"]) == {}


# ---- syncs ----

@pytest.fixture
def sync(cluster):
    """Says how the agent's syncs go from now on; its `environment` makes the agent listen."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    library, order = cluster.path("slow_sync.so"), cluster.path("sync")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, os.path.join(HERE, "slow_sync.c")], check=True)

    def say(text):
        with open(order + ".new", "w", encoding="ascii") as file:
            file.write(text)
        os.rename(order + ".new", order)

    say("")
    say.environment = {"LD_PRELOAD": library, "SLOW_SYNC_FILE": order}
    return say


def skip_under_sanitizers():
    if "asan" in os.path.basename(os.environ.get("MESETA_BUILD", "")):
        pytest.skip("the sanitizer wants to be the first library")


def test_failing_sync(cluster, master, sync):
    """What could not be synced was not: the agent says nothing of it and ends, and the next one goes on."""
    skip_under_sanitizers()
    agent = cluster.start_agent(master, environment=sync.environment)
    scheduler = cluster.scheduler(master, checkpoint=True)
    task_id = start_task(scheduler, "while [ ! -e %s ]; do sleep 0.05; done" % cluster.path("go"))
    scheduler.wait_update(task_id, "TASK_RUNNING")
    sync("fail 5")
    with open(cluster.path("go"), "w", encoding="ascii"):
        pass
    wait_for(lambda: agent.process.poll() is not None, what="the agent to end")
    assert agent.process.returncode == 1
    assert "Failed to checkpoint, the agent ends and leaves its executors alone: Failed to commit" in agent.read_log()
    assert scheduler.states_of(task_id)[-1] == "TASK_RUNNING"
    sync("")
    agent.restart()
    cluster.wait_registered(agent)
    assert scheduler.wait_end(task_id)["state"] == "TASK_FINISHED"


def test_slow_sync(cluster, master, sync):
    """Tasks come and go slowly, the master does not lose the agent, and a kill finds nothing said too early."""
    skip_under_sanitizers()
    rig = survivor.start(cluster, master, environment=sync.environment)
    agent = rig[2]
    agent_id = agent.state()["id"]
    sync("delay 100")
    survivor.torment(rig, 2, pace=4)
    sync("")
    assert agent.state()["id"] == agent_id
    assert master.metrics()["master/slave_unreachable_scheduled"] == 0
