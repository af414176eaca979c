# SPDX-License-Identifier: Apache-2.0
"""A full disk below the agent: tasks fail and say why, the agent goes on, and runs tasks again when there is room.

The agent runs in a mount namespace of its own with a small tmpfs as its disk, which goes with it.
"""

import os

import pytest

from harness import make_task, wait_for

pytestmark = pytest.mark.root

FULL = "No space left on device"


class Disk:
    """The agent's tmpfs, seen through its process."""

    def __init__(self, agent, path):
        self.path = "/proc/%d/root%s" % (agent.pid, path)

    def fill(self):
        """Takes every byte that is left."""
        with open(os.path.join(self.path, "filler"), "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError as error:
                assert error.strerror == FULL

    def use_up_inodes(self):
        """Takes every file that can still be made."""
        os.makedirs(os.path.join(self.path, "fillers"), exist_ok=True)
        try:
            for i in range(100000):
                with open(os.path.join(self.path, "fillers", str(i)), "wb"):
                    pass
        except OSError as error:
            assert error.strerror == FULL

    def free(self):
        for name in ("filler", "fillers"):
            path = os.path.join(self.path, name)
            if os.path.isdir(path):
                for entry in os.listdir(path):
                    os.unlink(os.path.join(path, entry))
                os.rmdir(path)
            elif os.path.exists(path):
                os.unlink(path)


@pytest.fixture
def master(cluster):
    return cluster.start_master(allocation_interval="20ms")


@pytest.fixture
def agent(cluster, master):
    place = cluster.path("disk")
    os.mkdir(place)
    mount = 'mount -t tmpfs -o size=2m,nr_inodes=300,mode=755 none "$0" && exec "$@"'
    return cluster.start_agent(master, work_dir=place + "/work", fetcher_cache_dir=cluster.path("cache"), prefix=[
        "unshare", "--mount", "--propagation", "private", "sh", "-c", mount, place])


@pytest.fixture
def disk(cluster, agent):
    one = Disk(agent, cluster.path("disk"))
    yield one
    if agent.is_running():
        one.free()


def run(scheduler, command, **fields):
    task = make_task(command, **fields)
    scheduler.launch(scheduler.take_offer(), [task], 0)
    return scheduler.wait_end(task["task_id"]["value"])


def check_well(agent, master, scheduler):
    assert agent.get("/health").status == 200
    wait_for(lambda: master.state()["slaves"][0]["used_resources"]["cpus"] == 0, what="the resources to come back")
    assert master.state()["slaves"][0]["active"]


def test_no_inode_left(agent, master, scheduler, disk):
    """Not even the sandbox can be made."""
    assert run(scheduler, "true")["state"] == "TASK_FINISHED"
    disk.use_up_inodes()
    for _ in range(3):
        status = run(scheduler, "true")
        assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED")
        assert FULL in status["message"]
    check_well(agent, master, scheduler)
    disk.free()
    assert run(scheduler, "true")["state"] == "TASK_FINISHED"


def test_no_byte_left(cluster, agent, master, scheduler, disk):
    """A task that writes meets the full disk itself; one that does not lives on; new ones fail and say why."""
    writer = make_task("while ! [ -e go ]; do sleep 0.02; done; cat /bin/sh > copy")
    keeper = make_task("sleep 1000")
    scheduler.launch(scheduler.take_offer(), [writer, keeper], 0)
    for task in (writer, keeper):
        scheduler.wait_update(task["task_id"]["value"], "TASK_RUNNING")
    disk.fill()
    sandbox = cluster.sandbox(agent, scheduler.framework_id, writer["task_id"]["value"])
    with open("/proc/%d/root%s/go" % (agent.pid, os.path.dirname(sandbox) + "/" + os.readlink(
            "/proc/%d/root%s" % (agent.pid, sandbox)).rsplit("/", 1)[1]), "wb"):
        pass
    status = scheduler.wait_end(writer["task_id"]["value"])
    assert (status["state"], status["message"]) == ("TASK_FAILED", "Command exited with status 1")
    status = run(scheduler, "true")
    assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED")
    assert FULL in status["message"]
    disk.free()
    assert run(scheduler, "echo something > copy")["state"] == "TASK_FINISHED"
    assert scheduler.states_of(keeper["task_id"]["value"])[-1] == "TASK_RUNNING"
    scheduler.kill(keeper["task_id"]["value"], 0.1)
    assert scheduler.wait_end(keeper["task_id"]["value"])["state"] == "TASK_KILLED"
    check_well(agent, master, scheduler)


def test_no_room_for_what_is_fetched(cluster, agent, master, scheduler, disk):
    source = cluster.path("big")
    with open(source, "wb") as file:
        file.write(b"x" * (1 << 20))
    command = {"value": "test -s big", "uris": [{"value": source, "extract": False}]}
    assert run(scheduler, command)["state"] == "TASK_FINISHED"
    disk.fill()
    status = run(scheduler, command)
    assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED")
    assert FULL in status["message"]
    check_well(agent, master, scheduler)
    disk.free()
    # The first sandbox still holds its copy: another fits only when it is gone or small.
    assert run(scheduler, "true")["state"] == "TASK_FINISHED"
