# SPDX-License-Identifier: Apache-2.0
"""GET /metrics of both daemons, read by PyPI's prometheus_client: families, kinds, labels; and the numbers that
/metrics/snapshot has."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

import harness
from harness import make_task, request, scalar, wait_for
from test_operator import call

cluster = pytest.fixture(scope="module")(harness.run_cluster)
NAME = 'a "quoted" back\\slash/and\nline'


@pytest.fixture(scope="module")
def daemons(cluster):
    master = cluster.start_master(registry="replicated_log")
    agent = cluster.start_agent(master, resources="cpus:4;mem:1024;disk:1024;cpus(a/b):1")
    assert call(master, "UPDATE_QUOTA", force=True, quota_configs=[
        {"role": "a", "guarantees": {"cpus": {"value": 2}}, "limits": {"cpus": {"value": 3}, "mem": {"value": 900}}}]) is None
    assert master.request("PUT", "/weights", [{"role": "a", "weight": 2}]).status == 200
    scheduler = cluster.scheduler(master, name=NAME, roles=["a/b"], principal="p/q", capabilities=[{"type": "MULTI_ROLE"}])
    done, running = make_task("true", task_id="done"), make_task("sleep 1000", task_id="running")
    scheduler.launch(scheduler.take_offer(), [done, running], 0)
    scheduler.wait_end("done")
    scheduler.wait_update("running", "TASK_RUNNING")
    disk = {**scalar("disk", 8), "reservations": [{"type": "DYNAMIC", "role": "a/b", "principal": "p/q"}]}
    offer = scheduler.take_offer()
    scheduler.call("SUPPRESS")
    scheduler.accept([offer], [{"type": "RESERVE", "reserve": {"resources": [disk]}}], 1000)
    wait_for(lambda: master.metrics()["master/operations/reserve/finished"] == 1)
    wait_for(lambda: master.metrics()["master/outstanding_offers"] == 0)
    yield {"master": master, "agent": agent, "scheduler": scheduler}


def read(daemon, path="/metrics"):
    """Families by name; and samples by (name, labels)."""
    answer = daemon.get(path)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families, samples = {}, {}
    for family in text_string_to_metric_families(answer.text):
        assert family.name not in families, "two of " + family.name
        families[family.name] = family
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in samples, key
            samples[key] = sample.value
    return families, samples


@pytest.mark.parametrize("which", ["master", "agent"])
def test_form(daemons, which):
    families, samples = read(daemons[which])
    assert len(families) > 30 and len(samples) > 60
    for family in families.values():
        assert family.documentation.endswith("."), family.name
        assert family.type in ("gauge", "counter"), family.name
        assert re.fullmatch(r"mesos_[a-z0-9_]+", family.name)
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name
    # Each name of /metrics/snapshot has a row of the table.
    assert "mesos_other" not in families
    assert read(daemons[which], {"master": "/master/metrics", "agent": "/slave(1)/metrics"}[which])[0].keys() == families.keys()
    assert daemons[which].get("/metrics/nothing").status == 404
    assert request("POST", daemons[which].address, "/metrics", "").status == 405
    packed = daemons[which].get("/metrics", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"


def pick(samples, name, **labels):
    found = [value for (sample, own), value in samples.items()
             if sample == name and set(labels.items()) <= set(own)]
    assert len(found) == 1, (name, labels, [key for key in samples if key[0] == name])
    return found[0]


def test_master_numbers(daemons):
    master, framework_id = daemons["master"], daemons["scheduler"].framework_id
    families, samples = read(master)
    assert pick(samples, "mesos_master_elected") == 1
    assert pick(samples, "mesos_master_tasks", state="running") == 1
    assert pick(samples, "mesos_master_tasks_ended_total", state="finished") == 1
    assert pick(samples, "mesos_master_resources", resource="cpus", revocable="false") == 5
    assert pick(samples, "mesos_master_resources_used", resource="mem", revocable="false") == 32
    assert pick(samples, "mesos_master_resources_used_ratio", resource="mem", revocable="false") == 32 / 1024
    mine = {"framework": NAME, "framework_id": framework_id}
    assert pick(samples, "mesos_master_framework_subscribed", **mine) == 1
    assert pick(samples, "mesos_master_framework_calls_total", type="accept", **mine) == 2
    assert pick(samples, "mesos_master_framework_tasks", state="task_running", **mine) == 1
    assert pick(samples, "mesos_master_framework_tasks_ended_total", state="task_finished", **mine) == 1
    assert pick(samples, "mesos_master_framework_role_suppressed", role="a/b", **mine) == 1
    assert pick(samples, "mesos_master_framework_offers_total", result="accepted", **mine) == 2
    assert pick(samples, "mesos_master_messages_received_total", principal="p/q") > 3
    assert pick(samples, "mesos_master_operations_ended_total", type="reserve", state="finished") == 1
    assert pick(samples, "mesos_master_operations", type="create", state="pending") == 0
    assert pick(samples, "mesos_allocator_offer_filters", role="a/b") >= 0
    assert pick(samples, "mesos_allocator_allocation_run_recent_seconds", quantile="0.5") < 10
    assert pick(samples, "mesos_master_info", hostname="127.0.0.1", version="1.11.0") == 1
    assert families["mesos_master_messages"].type == "counter"


def test_quotas(daemons):
    """The role below counts for the one above; what is reserved for it counts as consumed."""
    snapshot = daemons["master"].metrics()
    _, samples = read(daemons["master"])
    roles = {r["name"]: r for r in daemons["master"].get("/roles").json()["roles"]}
    assert roles["a"]["quota"]["consumed"]["cpus"] == pytest.approx(1.1)  # the task's is not of what is reserved
    expected = {"guarantee": ("cpus", 2), "limit": ("cpus", 3), "offered_or_allocated": ("cpus", 0.1), "consumed": ("cpus", 1.1)}
    for what, (resource, value) in expected.items():
        assert snapshot["allocator/mesos/quota/roles/a/resources/%s/%s" % (resource, what)] == pytest.approx(value), what
        assert pick(samples, "mesos_allocator_quota_" + what, role="a", resource=resource) == pytest.approx(value)
    assert pick(samples, "mesos_allocator_quota_limit", role="a", resource="mem") == 900
    assert pick(samples, "mesos_allocator_quota_consumed", role="a", resource="disk") == 8


def test_agent_numbers(daemons):
    agent = daemons["agent"]
    state = agent.state()
    executor = state["frameworks"][0]["executors"][0]
    _, samples = read(agent)
    assert pick(samples, "mesos_agent_info", agent_id=state["id"]) == 1
    assert pick(samples, "mesos_agent_tasks", state="running") == 1
    assert pick(samples, "mesos_agent_tasks_ended_total", state="finished") == 1
    container = {"framework_id": state["frameworks"][0]["id"], "executor_id": executor["id"],
                 "container_id": executor["container"]}
    assert pick(samples, "mesos_agent_container_mem_rss_bytes", **container) > 10000
    assert pick(samples, "mesos_agent_container_mem_limit_bytes", **container) == 64 << 20
    assert pick(samples, "mesos_agent_container_cpus_user_seconds_total", **container) >= 0
    assert pick(samples, "mesos_agent_resources", resource="cpus", revocable="false") == 5
