# SPDX-License-Identifier: Apache-2.0
"""The v0 pages of both daemons: what they say. (Their keys and types: test_fields.py.)"""

import time

import pytest

import harness
from harness import make_task, scalar, wait_for

cluster = pytest.fixture(scope="module")(harness.run_cluster)


@pytest.fixture(scope="module")
def daemons(cluster):
    """A cluster with something of everything: tasks that run, wait and are done, an offer, labels, ports."""
    master = cluster.start_master(cluster="here", allocation_interval="20ms")
    agent = cluster.start_agent(master, attributes="rack:r1;number:5;range:[1-3]",
                                resources="cpus:2;mem:1024;disk:1024;ports:[31000-31009,31020-31029]")
    scheduler = cluster.scheduler(master, name="a name", failover_timeout=5, webui_url="http://ui", hostname="h",
                                  principal="someone", labels={"labels": [{"key": "k", "value": "v"}, {"key": "bare"}]})
    labels = {"labels": [{"key": "a", "value": "b"}]}
    running = make_task("sleep 1000", labels=labels, discovery={"visibility": "CLUSTER", "name": "d", "ports": {
        "ports": [{"number": 80, "name": "http"}]}})
    running["resources"].append({"name": "ports", "type": "RANGES",
                                 "ranges": {"range": [{"begin": 31002, "end": 31003}]}})
    scheduler.launch(scheduler.take_offer(), [running, make_task("true", task_id="done"), make_task(
        "exit 1", task_id="failed")], 0)
    scheduler.wait_update(running["task_id"]["value"], "TASK_RUNNING")
    scheduler.wait_end("done")
    scheduler.wait_end("failed")
    waiting = make_task(task_id="waiting", executor={
        "executor_id": {"value": "silent"}, "name": "Silent", "source": "src", "labels": labels,
        "command": {"value": "sleep 1000"}, "resources": [scalar("cpus", 0.1), scalar("mem", 32)]})
    scheduler.launch(scheduler.take_offer(), [waiting], 0)
    brief = cluster.scheduler(master, name="brief", roles=["dev"], capabilities=[{"type": "MULTI_ROLE"}])
    brief.teardown()
    wait_for(lambda: scheduler.take_offer())
    wait_for(lambda: len(agent.get("/containers").json()) == 2)
    wait_for(lambda: any(e["id"] == "done" for f in agent.state()["frameworks"] for e in f["completed_executors"]))
    return {"master": master, "agent": agent}


def test_what_they_say(daemons):
    state, agent = daemons["master"].state(), daemons["agent"].state()
    slave = state["slaves"][0]
    assert slave["attributes"] == {"rack": "r1", "number": 5.0, "range": "[1-3]"} == agent["attributes"]
    assert slave["resources"]["ports"] == "[31000-31009, 31020-31029]"
    assert slave["used_resources"]["ports"] == "[31002-31003]"
    assert slave["id"] == agent["id"] and slave["pid"] == agent["pid"]
    assert state["leader"] == state["pid"] and state["leader_info"]["id"] == state["id"]
    assert (state["activated_slaves"], state["deactivated_slaves"], state["unreachable_slaves"]) == (1, 0, 0)
    framework = state["frameworks"][0]
    assert framework["labels"] == [{"key": "k", "value": "v"}, {"key": "bare"}]
    assert {t["id"]: t["state"] for t in framework["completed_tasks"]} == {
        "done": "TASK_FINISHED", "failed": "TASK_FAILED"}
    assert [t["id"] for t in framework["tasks"] if t["state"] == "TASK_STAGING"] == ["waiting"]
    assert [e["executor_id"] for e in framework["executors"]] == ["silent"]
    assert framework["offers"][0]["allocation_info"] == {"role": "*"}
    assert [f["name"] for f in state["completed_frameworks"]] == ["brief"]
    assert state["completed_frameworks"][0]["roles"] == ["dev"]
    executors = {e["id"]: e for e in agent["frameworks"][0]["executors"]}
    assert [t["id"] for t in executors["silent"]["queued_tasks"]] == ["waiting"]
    counts = daemons["master"].get("/state-summary").json()["frameworks"][0]
    for state in ("RUNNING", "STAGING", "FINISHED", "FAILED"):
        assert counts["TASK_" + state] == 1


def test_numbers_are_written_as_mesos_does(daemons):
    text = daemons["master"].get("/state").text
    assert '"mem":1024.0' in text and '"port":%s' % daemons["agent"].flags["port"] in text
    assert "\n" not in text


def test_other_pages(daemons):
    master, agent = daemons["master"], daemons["agent"]
    for daemon in (master, agent):
        health = daemon.get("/health")
        assert (health.status, health.body) == (200, b"")
        assert daemon.get("/no-such-page").status == 404
        assert daemon.get("/help").status == 200
    redirect = master.get("/redirect")
    assert (redirect.status, redirect.headers["Location"]) == (307, "//" + master.address)
    assert master.get("/redirect/state").status == 404  # as in Mesos: else two masters could send one round
    assert master.get("/master/redirect").status == 307
    slave_id = master.state()["slaves"][0]["id"]
    for path in ("/slaves?slave_id=" + slave_id, "/slaves/" + slave_id):
        assert [s["id"] for s in master.get(path).json()["slaves"]] == [slave_id]
    assert master.get("/slaves?slave_id=none").json()["slaves"] == []
    framework_id = master.state()["frameworks"][0]["id"]
    found = master.get("/frameworks?framework_id=" + framework_id).json()["frameworks"]
    assert [f["id"] for f in found] == [framework_id]
    assert master.get("/frameworks?framework_id=none").json()["frameworks"] == []
    containers = agent.get("/containers").json()
    one = agent.get("/containers?container_id=" + containers[0]["container_id"]).json()
    assert [c["container_id"] for c in one] == [containers[0]["container_id"]]


def test_tasks_in_order(daemons):
    master = daemons["master"]
    everything = [t["id"] for t in master.get("/tasks").json()["tasks"]]
    assert len(everything) == 4
    assert [t["id"] for t in master.get("/tasks?order=asc").json()["tasks"]] != []
    assert [t["id"] for t in master.get("/tasks?limit=2").json()["tasks"]] == everything[:2]
    assert [t["id"] for t in master.get("/tasks?limit=2&offset=1").json()["tasks"]] == everything[1:3]
    assert [t["id"] for t in master.get("/tasks?task_id=done").json()["tasks"]] == ["done"]
    assert master.get("/tasks?limit=0").json()["tasks"] == []


def test_metrics_count(daemons):
    metrics = daemons["master"].metrics()
    assert metrics["master/tasks_running"] == 1
    assert metrics["master/tasks_finished"] == 1
    assert metrics["master/tasks_failed"] == 1
    assert metrics["master/slaves_active"] == 1
    assert metrics["master/frameworks_active"] == 1
    assert metrics["master/elected"] == 1
    assert abs(metrics["master/cpus_used"] - 0.3) < 1e-6
    assert metrics["master/cpus_total"] == 2
    assert abs(metrics["master/cpus_percent"] - 0.15) < 1e-6
    mine = daemons["agent"].metrics()
    assert mine["slave/registered"] == 1 and mine["slave/tasks_running"] == 1
    assert mine["slave/executors_running"] == 1 and mine["slave/executors_registering"] == 1
    assert mine["slave/cpus_total"] == 2


def test_files(cluster, daemons):
    agent, master = daemons["agent"], daemons["master"]
    state = agent.state()
    executor = next(e for f in state["frameworks"] for e in f["completed_executors"] if e["id"] == "done")
    listing = agent.get("/files/browse?path=" + executor["directory"]).json()
    assert {entry["path"].rsplit("/", 1)[1] for entry in listing} == {"stdout", "stderr"}
    stderr = executor["directory"] + "/stderr"
    size = agent.get("/files/read?path=%s&offset=-1" % stderr).json()
    assert size["data"] == "" and size["offset"] > 10
    part = agent.get("/files/read?path=%s&offset=3&length=5" % stderr).json()
    whole = agent.get("/files/download?path=" + stderr)
    assert part == {"data": whole.text[3:8], "offset": 3}
    assert len(whole.body) == size["offset"]
    assert 'attachment; filename=stderr' in whole.headers["Content-Disposition"].replace('"', "")
    for path in ("/files/read?path=%s/../../../../../../../../../../etc/passwd" % executor["directory"],
                 "/files/browse?path=/etc", "/files/download?path=/etc/passwd"):
        assert agent.get(path).status in (400, 403, 404)


def test_statistics_move(daemons):
    """A container's numbers are of now."""
    first = daemons["agent"].get("/monitor/statistics").json()[0]["statistics"]["timestamp"]
    assert abs(first - time.time()) < 60
