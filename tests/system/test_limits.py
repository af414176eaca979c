# SPDX-License-Identifier: Apache-2.0
"""Limits of tasks beyond what they ask for (TaskInfo.limits): who is told what, and what the kernel holds them to."""

import glob
import json
import os

import pytest

import harness
import pods
from harness import make_task
from pods import id_of

GB = 1024 * 1024 * 1024


def cgroup_value(cluster, container, v1, v2):
    """What stands in a control file of a container ("ID", or "ID/mesos/NAME")."""
    controller, name = v1
    for path in ("/sys/fs/cgroup/%s/%s/%s/%s" % (controller, cluster.cgroups_root, container, name),
                 "/sys/fs/cgroup/%s/%s/%s" % (cluster.cgroups_root, container, v2)):
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                return file.read().split()[0]
    raise AssertionError("no such control group: " + container)


def quota(cluster, container):
    return cgroup_value(cluster, container, ("cpu", "cpu.cfs_quota_us"), "cpu.max")


def memory(cluster, container):
    value = cgroup_value(cluster, container, ("memory", "memory.limit_in_bytes"), "memory.max")
    return None if value == "max" or int(value) > 1 << 60 else int(value) // (1024 * 1024)


def soft_memory(cluster, container):
    return int(cgroup_value(cluster, container, ("memory", "memory.soft_limit_in_bytes"), "memory.low")) // (1024 * 1024)


def launch(scheduler, task):
    scheduler.launch(scheduler.take_offer(), [task])
    return scheduler.wait_update(id_of(task), "TASK_RUNNING")["container_status"]["container_id"]["value"]


@pytest.fixture
def limiting(cluster, master):
    return cluster.start_agent(master, isolation="cgroups/cpu,cgroups/mem")


def weight(cluster, container):
    return int(cgroup_value(cluster, container, ("cpu", "cpu.shares"), "cpu.weight"))


@pytest.mark.root
@pytest.mark.cgroups
@pytest.mark.parametrize("is_low", [True, False])
def test_revocable_cpus_weigh_little(cluster, master, is_low):
    estimator = "org_apache_mesos_FixedResourceEstimator"
    modules = {"libraries": [{"modules": [{"name": estimator, "parameters": [{"key": "resources", "value": "cpus:4"}]}]}]}
    agent = cluster.start_agent(master, isolation="cgroups/cpu,cgroups/mem", revocable_cpu_low_priority=is_low,
                                modules=json.dumps(modules), resource_estimator=estimator)
    harness.wait_for(lambda: master.metrics()["master/cpus_revocable_total"] == 4, what="the estimate")
    scheduler = cluster.scheduler(master, checkpoint=True, capabilities=[{"type": "REVOCABLE_RESOURCES"}])
    task = make_task("sleep 1000", mem=64)
    task["resources"][0] = {"name": "cpus", "type": "SCALAR", "scalar": {"value": 3.9}, "revocable": {}}
    assert all(r["name"] in ("cpus", "mem") for r in task["resources"])
    scheduler.launch(scheduler.take_offer(lambda o: any("revocable" in r for r in o["resources"])), [task], refuse_seconds=0)
    container = scheduler.wait_update(id_of(task), "TASK_RUNNING")["container_status"]["container_id"]["value"]
    plain = make_task("sleep 1000", cpus=0.9, mem=64)
    usual = launch(scheduler, plain)
    is_v2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    low, full = (4, 400) if is_v2 else (40, 4096)
    # The executor's 0.1 cpus come on top of both.
    assert weight(cluster, container) == (low if is_low else full)
    assert weight(cluster, usual) == (100 if is_v2 else 1024)
    # A later agent, and a later master, know of what was oversubscribed by the tasks that use it.
    for daemon in (agent, master):
        daemon.kill()
        daemon.restart()
        harness.wait_for(lambda: master.metrics()["master/slaves_active"] == 1, what="the agent")
        assert master.metrics()["master/cpus_revocable_used"] == 3.9
        assert weight(cluster, container) == (low if is_low else full)


@pytest.mark.root
@pytest.mark.cgroups
def test_a_command_task_with_limits(cluster, master, limiting):
    scheduler = cluster.scheduler(master, checkpoint=True)
    limits = {"cpus": {"value": 1.5}, "mem": {"value": 160}}
    task = make_task("cat /proc/self/oom_score_adj; exec sleep 1000", cpus=0.5, mem=64, limits=limits)
    container = launch(scheduler, task)
    # The executor's 0.1 cpus and 32 MB come on top of both.
    assert quota(cluster, container) == "160000"
    assert (soft_memory(cluster, container), memory(cluster, container)) == (96, 192)
    for state in (master.state(), limiting.state()):
        shown = [t for f in state["frameworks"] for e in [f] + f.get("executors", []) for t in e.get("tasks", [])]
        assert shown and shown[0]["limits"] == {"cpus": 1.5, "mem": 160}, shown
    statistics = harness.get(limiting.address, "/monitor/statistics").json()[0]["statistics"]
    assert (statistics["cpus_soft_limit"], statistics["cpus_limit"]) == (0.6, 1.6)
    assert (statistics["mem_soft_limit_bytes"], statistics["mem_limit_bytes"]) == (96 << 20, 192 << 20)
    output = glob.glob(limiting.flags["work_dir"] + "/slaves/*/frameworks/*/executors/*/runs/latest/stdout")

    def score():
        with open(output[0], encoding="utf-8") as file:
            return [word for word in file.read().split() if word.isdigit()]
    assert 900 < int(harness.wait_for(score, 10, "its output")[-1]) < 1000
    # A later agent holds it to the same.
    limiting.kill()
    limiting.restart()
    cluster.wait_registered(limiting, master)
    assert quota(cluster, container) == "160000" and memory(cluster, container) == 192
    statistics = harness.get(limiting.address, "/monitor/statistics").json()[0]["statistics"]
    assert (statistics["cpus_limit"], statistics["mem_limit_bytes"]) == (1.6, 192 << 20)
    scheduler.kill(id_of(task))
    assert scheduler.wait_end(id_of(task))["state"] == "TASK_KILLED"
    scheduler.teardown()


@pytest.mark.root
@pytest.mark.cgroups
def test_without_bounds(cluster, master, limiting):
    """An infinite limit is none; beyond a finite one the task ends, also when it asked for less."""
    scheduler = cluster.scheduler(master)
    task = make_task("exec sleep 1000", mem=64, limits={"cpus": {"value": "Infinity"}, "mem": {"value": "Infinity"}})
    container = launch(scheduler, task)
    assert quota(cluster, container) == "-1" or quota(cluster, container) == "max"
    assert memory(cluster, container) is None
    assert limiting.state()["frameworks"][0]["executors"][0]["tasks"][0]["limits"] == {"cpus": "Infinity", "mem": "Infinity"}
    statistics = harness.get(limiting.address, "/monitor/statistics").json()[0]["statistics"]
    assert statistics["cpus_limit"] == os.cpu_count() and statistics["mem_limit_bytes"] > GB
    scheduler.kill(id_of(task))
    scheduler.wait_end(id_of(task))
    greedy = make_task("head -c 300M /dev/zero | tail", mem=32, limits={"mem": {"value": 128}})
    scheduler.launch(scheduler.take_offer(), [greedy])
    end = scheduler.wait_end(id_of(greedy))
    assert (end["state"], end["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LIMITATION_MEMORY")
    assert "Memory limit exceeded: Requested: 160MB" in end["message"]
    scheduler.teardown()


@pytest.mark.root
@pytest.mark.cgroups
def test_tasks_of_a_group(cluster, master, limiting):
    scheduler = cluster.scheduler(master)
    apart = {"type": "MESOS", "linux_info": {"share_cgroups": False}}
    tasks = [make_task("exec sleep 1000", cpus=0.2, mem=40, container=apart,
                       limits={"cpus": {"value": 1}, "mem": {"value": 100}}),
             make_task("cat /proc/self/oom_score_adj; exec sleep 1000", cpus=0.2, mem=40, container=apart,
                       limits={"cpus": {"value": "Infinity"}, "mem": {"value": "Infinity"}})]
    executor = pods.launch(scheduler, tasks)
    ids = [scheduler.wait_update(id_of(task), "TASK_RUNNING")["container_status"]["container_id"] for task in tasks]
    names = ["%s/mesos/%s" % (one["parent"]["value"], one["value"]) for one in ids]
    assert [quota(cluster, name) for name in names] in (["100000", "-1"], ["100000", "max"])
    assert [memory(cluster, name) for name in names] == [100, None]
    assert memory(cluster, ids[0]["parent"]["value"]) is None
    score = harness.wait_for(lambda: pods.task_file(limiting, executor, tasks[1]).strip(), 10, "its output")
    assert 900 < int(score) < 1000
    shown = {c: v for c, v in pods.containers(limiting).items() if c.endswith("." + ids[0]["value"])}
    assert list(shown.values())[0]["resource_statistics"]["mem_limit_bytes"] == 100 << 20
    scheduler.teardown()
    pods.wait_gone(limiting, executor)
    # Without cgroups of their own tasks of a group cannot have limits.
    scheduler = cluster.scheduler(master)
    shared = make_task("true", limits={"cpus": {"value": 1}})
    pods.launch(scheduler, [shared])
    refused = scheduler.wait_end(id_of(shared))
    assert refused["state"] == "TASK_ERROR"
    assert "Resource limits may only be set for tasks within a task group when the 'share_cgroups' field" in refused["message"]
    scheduler.teardown()


@pytest.mark.parametrize("name, state, text", [
    ("cpus", "TASK_DROPPED", "CPU limits can only be set on tasks launched in Mesos containers when the agent has loaded the "
             "'cgroups/cpu' isolator"),
    ("mem", "TASK_LOST", "Memory limits can only be set on tasks launched in Mesos containers when the agent has loaded the "
            "'cgroups/mem' isolator"),
])
def test_an_agent_that_cannot_limit(cluster, master, agent, name, state, text):
    """TASK_LOST is for those who do not know TASK_DROPPED."""
    capabilities = [{"type": "PARTITION_AWARE"}] if state == "TASK_DROPPED" else []
    scheduler = cluster.scheduler(master, capabilities=capabilities)
    task = make_task("true", limits={name: {"value": 1000}})
    scheduler.launch(scheduler.take_offer(), [task])
    end = scheduler.wait_end(id_of(task))
    assert (end["state"], end["source"], end["reason"]) == (state, "SOURCE_AGENT", "REASON_GC_ERROR")
    assert end["message"] == text
    scheduler.teardown()
