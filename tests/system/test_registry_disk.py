# SPDX-License-Identifier: Apache-2.0
"""A disk under the registry that is full, or that takes for ever: nothing is acknowledged that is not there, the master
says what is wrong, and goes on when there is room.

The full disk is a small tmpfs in a mount namespace of the test's own. The slow one is a fdatasync that waits as long as
a file is there, put before the C library's by LD_PRELOAD.
"""

import errno
import os
import shutil
import subprocess

import pytest

import zookeeper
from harness import PATIENCE, find_port, wait_for

FULL = "database or disk is full"


class Disk:
    """A tmpfs that only programs with `prefix` see."""

    def __init__(self, cluster, size):
        self.path = cluster.path("disk")
        os.mkdir(self.path)
        mount = 'mount -t tmpfs -o size=%s,mode=755 none "$0" && touch "$0/is_there" && exec sleep 600' % size
        self.holder = cluster.popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, self.path])
        self.prefix = ["nsenter", "--mount=/proc/%d/ns/mnt" % self.holder.pid]
        self.inside = "/proc/%d/root%s" % (self.holder.pid, self.path)
        wait_for(lambda: os.path.exists(self.inside + "/is_there"), what="the mount")

    def fill(self):
        with open(self.inside + "/filler", "wb", buffering=0) as file:
            for size in (65536, 4096):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC

    def free(self):
        os.unlink(self.inside + "/filler")


@pytest.fixture
def disk(cluster):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    return Disk(cluster, "4m")


def registrations(master):
    return [entry["id"] for entry in master.state()["slaves"] if entry["active"]]


def start_more(cluster, master):
    """An agent that is to be admitted while the registry cannot be written."""
    return cluster.start_agent(master, wait=False).wait_serving()


def check_not_told(master, agent, count):
    """The master goes on, without that agent, which was told nothing."""
    assert master.get("/health").status == 200
    assert len(registrations(master)) == count
    assert "Registered with master" not in agent.read_log()
    assert master.metrics()["registrar/queued_operations"] == 1


def test_a_full_disk_is_waited_for(cluster, disk):
    master = cluster.start_master(registry="replicated_log", work_dir=disk.path + "/w", prefix=disk.prefix)
    first = cluster.start_agent(master)
    disk.fill()
    second = start_more(cluster, master)
    wait_for(lambda: "Cannot write the registry at %s/w/registry.db" % disk.path in master.read_log(), 10, "the complaint")
    assert FULL in master.read_log()
    check_not_told(master, second, 1)
    disk.free()
    ids = {cluster.wait_registered(agent, master)["id"] for agent in (first, second)}
    assert "There is room again" in master.read_log()
    master.kill()
    master.restart()
    assert {cluster.wait_registered(agent, master)["id"] for agent in (first, second)} == ids


def test_a_disk_that_stays_full_ends_the_master_and_nothing_is_lost(cluster, disk):
    master = cluster.start_master(registry="replicated_log", work_dir=disk.path + "/w", prefix=disk.prefix,
                                  registry_store_timeout="1secs")
    first = cluster.start_agent(master)
    agent_id = cluster.find_registration(first, master)["id"]
    disk.fill()
    second = start_more(cluster, master)
    assert master.process.wait(20 * PATIENCE) == 1
    assert "registry.db was not written within 1secs: " in master.read_log() and FULL in master.read_log()
    assert "Failed to write the registry: " in master.read_log() and master.read_log().count("Registered agent") == 1
    assert "Registered with master" not in second.read_log()
    # Started again on the full disk it waits and ends again, or says at once what is wrong.
    master.start()
    assert master.process.wait(20 * PATIENCE) == 1
    assert master.read_log().count(FULL) >= 2
    disk.free()
    master.start().wait_serving()
    assert cluster.wait_registered(first, master)["id"] == agent_id
    assert cluster.wait_registered(second, master)["id"] != agent_id


SLOW = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_here(void)
{
    const char *slow = getenv("TEST_SLOW"), *waits = getenv("TEST_WAITS");
    if (access(slow, F_OK) == 0)
        close(open(waits, O_CREAT | O_WRONLY, 0600));
    while (access(slow, F_OK) == 0)
        usleep(10000);
}

int fdatasync(int fd)
{
    wait_here();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

int fsync(int fd)
{
    wait_here();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
"""


class Slow:
    """A disk whose syncs wait while it is `on`."""

    def __init__(self, cluster):
        self.file, self.waits = cluster.path("slow"), cluster.path("waits")
        library = cluster.path("slow.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, "-x", "c", "-", "-ldl"], input=SLOW, encoding="ascii",
                       check=True)
        self.environment = {"LD_PRELOAD": library, "TEST_SLOW": self.file, "TEST_WAITS": self.waits}

    def on(self):
        with open(self.file, "w", encoding="ascii"):
            pass

    def off(self):
        os.unlink(self.file)
        os.unlink(self.waits)

    def wait(self):
        wait_for(lambda: os.path.exists(self.waits), 10, "a sync to wait")


@pytest.fixture
def slow(cluster):
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    if "asan" in os.environ.get("MESETA_BUILD", ""):
        pytest.skip("the sanitizer wants to be preloaded first")
    return Slow(cluster)


def test_a_slow_disk_stops_nobody(cluster, slow):
    master = cluster.start_master(registry="replicated_log", environment=slow.environment)
    cluster.start_agent(master)
    slow.on()
    second = start_more(cluster, master)
    slow.wait()
    check_not_told(master, second, 1)
    # Whatever needs no write goes on: offers of the first agent, a task.
    _, status = cluster.scheduler(master).run("true")
    assert status["state"] == "TASK_FINISHED"
    check_not_told(master, second, 1)
    slow.off()
    cluster.wait_registered(second, master)


def test_a_disk_that_hangs_ends_the_master(cluster, slow):
    master = cluster.start_master(registry="replicated_log", environment=slow.environment, registry_store_timeout="1secs")
    first = cluster.start_agent(master)
    agent_id = cluster.find_registration(first, master)["id"]
    slow.on()
    second = start_more(cluster, master)
    assert master.process.wait(20 * PATIENCE) == 1
    assert "registry.db was not written within 1secs" in master.read_log()
    assert "Registered with master" not in second.read_log()
    slow.off()
    master.start().wait_serving()
    assert cluster.wait_registered(first, master)["id"] == agent_id
    cluster.wait_registered(second, master)


@pytest.mark.skipif(not zookeeper.is_installed(), reason="needs zookeeper and java")
def test_zookeeper_with_a_full_disk(cluster, disk):
    """A server of ZooKeeper that cannot write its log ends; so does the leader then, which has told nobody what is not
    written."""
    ensemble = zookeeper.ZooKeeper(prefix=disk.prefix, data=disk.path + "/data")
    node = ensemble.nodes[0]
    try:
        master = cluster.start_master(registry="replicated_log", quorum=1, zk=ensemble.url(), zk_session_timeout="2secs")
        wait_for(lambda: master.get("/state").status == 200, 20, "the master to lead")
        first = cluster.start_agent(master, master_flag=ensemble.url())
        agent_id = cluster.find_registration(first, master)["id"]
        disk.fill()
        seconds = []
        # What it has set aside for its log takes a few more.
        while node.process.poll() is None and len(seconds) < 100:
            with_it = cluster.start_agent(master, wait=False, port=find_port(), resources="cpus:1;mem:64",
                                          attributes="filler:" + "x" * 60000)
            seconds.append(with_it)
            wait_for(lambda: node.process.poll() is not None or len(registrations(master)) == 1 + len(seconds), 20,
                     "the agent, or the end of ZooKeeper")
        assert node.process.poll() is not None
        told = [agent for agent in seconds if "Registered with master" in agent.read_log()]
        ids = {entry["id"] for entry in master.state()["slaves"]} if master.is_running() else None
        wait_for(lambda: not master.is_running(), 20, "the master to end")
        assert master.process.returncode == 1
        assert "Lost leadership" in master.read_log() or "Failed to write the registry" in master.read_log()
        disk.free()
        node.start()
        wait_for(node.serves, 30, "ZooKeeper to serve")
        master.start().wait_serving()
        wait_for(lambda: master.get("/state").status == 200, 20, "the master to lead")
        assert cluster.wait_registered(first, master, 20)["id"] == agent_id
        for agent in seconds:
            cluster.wait_registered(agent, master, 20)
        if ids is not None:
            assert ids <= set(registrations(master)) and len(ids) == 1 + len(told)
    finally:
        ensemble.close()
