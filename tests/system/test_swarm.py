# SPDX-License-Identifier: Apache-2.0
"""mesos-swarm: a small one runs through; one whose master fails it says so."""

import collections
import json
import os
import re
import signal
import subprocess

import pytest

from harness import BIN, PATIENCE, get, wait_for

SWARM = os.path.join(BIN, "mesos-swarm")


def start(cluster, master, *flags):
    if not any(flag.startswith("--timeout=") for flag in flags):
        flags += ("--timeout=%dsecs" % (30 * PATIENCE),)
    return cluster.popen([SWARM, "--master=" + master.address, "--progress=200ms", *flags], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)


def finish(process):
    """Exit status, the report, what was said."""
    out, err = process.communicate(timeout=60 * PATIENCE)
    return process.returncode, json.loads(out) if out else None, err


def run(cluster, master, *flags):
    return finish(start(cluster, master, *flags))


def metrics(master):
    return get(master.address, "/metrics/snapshot").json()


def wait_line(process, text):
    for line in process.stderr:
        if text in line:
            return line
    raise AssertionError("never said: " + text)


def test_a_small_swarm(cluster, master, tmp_path):
    path = str(tmp_path / "report.json")
    status, report, said = run(cluster, master, "--agents=50", "--frameworks=3", "--tasks=500", "--json=" + path,
                               "--master_pid=%d" % master.pid)
    assert status == 0, said
    assert report["ok"] and report["ended"] == report["started"] == 500
    assert report["ends"] == {"TASK_FINISHED": 500}
    assert report["connections"] == 50 and report["pings"] >= 50
    assert report["accept_to_running_ms"]["count"] == 500
    assert report["master"]["with_tasks"]["resident"] > 1000000
    assert re.search(r"agents 50/50 +frameworks 3/3 +tasks launched \d+ running \d+ ended \d+ \(\d+/s\)", said), said
    with open(path, encoding="utf-8") as file:
        assert json.load(file) == report
    # The master saw the same, and that all of them left.
    seen = metrics(master)
    assert seen["master/tasks_finished"] == 500
    assert seen["master/slave_registrations"] == 50
    wait_for(lambda: metrics(master)["master/slaves_active"] == 0, what="the agents to go")
    assert metrics(master)["master/frameworks_active"] == 0


def test_all_behaviours_in_trouble(cluster, master):
    status, report, said = run(
        cluster, master, "--agents=30", "--connections=7", "--frameworks=6", "--tasks=600",
        "--behaviours=greedy,picky,batch,service,hoarding,slow", "--task_duration=50ms", "--task_failures=0.1",
        "--partitions=1500", "--restarts=1500", "--outage=300ms", "--roles=2")
    assert status == 0, said
    assert report["ended"] == 600
    assert report["ends"]["TASK_FAILED"] > 0 and report["ends"]["TASK_KILLED"] > 0
    assert report["partitions"] > 0 and report["restarts"] > 0


def test_durations_follow_the_seed(cluster, master):
    """The same seed, the same tasks fail; another one, others."""
    def ends(seed):
        status, report, said = run(cluster, master, "--agents=1", "--tasks=200", "--task_duration=1ms",
                                   "--task_failures=0.5", "--distribution=fixed", "--seed=%d" % seed)
        assert status == 0, said
        return report["ends"]["TASK_FAILED"]
    assert 60 < ends(1) < 140
    assert len({ends(seed) for seed in range(2, 8)}) > 1


def test_frameworks_share_each_agent(cluster, master):
    """With --tasks_per_offer each framework takes its part of each agent, and leaves the rest to the others."""
    process = start(cluster, master, "--agents=10", "--frameworks=5", "--tasks=100", "--tasks_per_offer=2",
                    "--task_labels=3", "--hold")
    wait_line(process, "holding")
    tasks = get(master.address, "/tasks?limit=1000").json()["tasks"]
    process.send_signal(signal.SIGTERM)
    status, report, said = finish(process)
    assert status == 0, said
    assert report["started"] == 100 and report["pings_min"] >= 1
    parts = collections.Counter((task["slave_id"], task["framework_id"]) for task in tasks)
    assert len(parts) == 50 and set(parts.values()) == {2}
    labels = [{"key": f"key{i}", "value": f"value{i}"} for i in range(3)]
    assert all(task["labels"] == labels for task in tasks)


def test_what_is_held_is_released(cluster, master):
    """All tasks run at once; then all of them end."""
    status, report, said = run(cluster, master, "--agents=10", "--frameworks=2", "--tasks=100", "--hold",
                               "--hold_for=300ms", "--task_duration=100ms")
    assert status == 0, said
    assert report["running_max"] == 100
    assert report["ends"] == {"TASK_FINISHED": 100}
    assert said.index("holding: 100 tasks") < said.index("released: 100 tasks")


def test_a_rate_is_kept(cluster, master):
    status, report, said = run(cluster, master, "--agents=10", "--tasks=100", "--rate=100", "--task_duration=1ms",
                               "--warm_up=500ms")
    assert status == 0, said
    assert report["seconds"] > 0.7
    assert 0 < report["accept_to_running_ms"]["count"] < 100


def test_an_agents_process_and_a_frameworks_process(cluster, master):
    """They need not be one: the tasks say themselves how long they run."""
    parts = [start(cluster, master, "--agents=5", "--first=%d" % first, "--frameworks=0") for first in (0, 5)]
    for part in parts:
        wait_line(part, "settled")
    status, report, said = run(cluster, master, "--agents=0", "--tasks=100")
    assert status == 0, said
    assert report["ended"] == 100
    started = 0
    for part in parts:
        part.send_signal(signal.SIGTERM)
        status, report, said = finish(part)
        assert status == 0, said
        started += report["started"]
    assert started == 100


def test_a_master_that_dies_fails_it(cluster, master):
    process = start(cluster, master, "--agents=5", "--tasks=1000", "--rate=10")
    wait_line(process, "settled")
    master.process.kill()
    master.process.wait()
    process.send_signal(signal.SIGTERM)
    status, report, said = finish(process)
    assert status == 1
    assert not report["ok"]
    assert re.search("FAILED: (The connection of agent|Framework) [0-9]+", said), said


def test_a_master_that_comes_back(cluster):
    master = cluster.start_master(registry="replicated_log")
    process = start(cluster, master, "--agents=20", "--tasks=60", "--hold", "--survive_master")
    wait_line(process, "holding: 60 tasks")
    for _ in range(2):
        master.process.kill()
        master.process.wait()
        master.start().wait_serving()
        wait_line(process, "back after")
        wait_for(lambda: metrics(master)["master/tasks_running"] == 60, what="the tasks")
    process.send_signal(signal.SIGTERM)
    status, report, said = finish(process)
    assert status == 0, said
    assert len(report["failovers"]) == 2
    for failover in report["failovers"]:
        assert max(failover["agents_at"], failover["frameworks_at"]) > failover["lost_at"]


def test_tasks_that_do_not_end_fail_it(cluster, master):
    status, report, said = run(cluster, master, "--agents=1", "--agent_resources=cpus:1;mem:1024", "--tasks=2",
                               "--task_duration=1hrs", "--distribution=fixed", "--timeout=500ms")
    assert status == 1
    assert report["failures"] > 0
    assert "running, and never ended" in said and "never launched" in said
    assert "FAILED: 2 tasks did not end" in said


def test_agents_that_cannot_register_fail_it(cluster, master):
    status, _, said = run(cluster, master, "--agents=3", "--timeout=300ms", "--first=1",
                          "--agent_resources=cpus:1;mem:1;cpus(bad role):1")
    assert status == 1
    assert "role" in said


@pytest.mark.parametrize("flag,complaint", [
    ("--behaviours=greedy,lazy", "'lazy' is none of greedy"),
    ("--task_resources=ports:[1-2]", "is no scalar"),
    ("--task_resources=cpus:100", "no task fits"),
    ("--agent_resources=x", "--agent_resources"),
    ("--master_pid=2000000000", "2000000000"),
    ("--distribution=some", "'some'"),
])
def test_bad_flags(cluster, master, flag, complaint):
    status, report, said = run(cluster, master, flag)
    assert status == 1 and report is None
    assert complaint in said


def test_a_removed_agent_is_noticed(cluster, master):
    """Somebody else registers under the address of one of its agents: the master takes that for its successor."""
    flags = ("--agents=2", "--frameworks=0")
    first = start(cluster, master, *flags)
    wait_line(first, "settled")
    second = start(cluster, master, *flags)
    wait_line(second, "settled")
    line = wait_line(first, "FAILED")
    assert "agent" in line
    for process in (second, first):
        process.send_signal(signal.SIGTERM)
    assert finish(first)[0] == 1
    finish(second)
