# SPDX-License-Identifier: Apache-2.0
"""The v0 pages of both daemons: every key that Mesos has, its type, and the ways to ask for them."""

import gzip
import json
import re
import time

import pytest

import harness
from harness import make_task, request, scalar, wait_for

NUMBER = (int, float)


class Optional:
    def __init__(self, shape):
        self.shape = shape


def check(value, shape, path="."):
    """`shape`: a type, a dict of keys (no others but `extra`), [shape] of a list, Optional(shape), or a regular
    expression as text."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), "%s is %r" % (path, value)
        for key, inner in shape.items():
            if key == "*":
                for name, one in value.items():
                    check(one, inner, "%s.%s" % (path, name))
            elif isinstance(inner, Optional):
                if key in value:
                    check(value[key], inner.shape, "%s.%s" % (path, key))
            else:
                assert key in value, "%s lacks %s: %s" % (path, key, sorted(value))
                check(value[key], inner, "%s.%s" % (path, key))
        unknown = set(value) - set(shape) if "*" not in shape else set()
        assert not unknown, "%s has %s, which Mesos has not" % (path, unknown)
    elif isinstance(shape, list):
        assert isinstance(value, list), "%s is %r" % (path, value)
        for i, one in enumerate(value):
            check(one, shape[0], "%s[%d]" % (path, i))
    elif isinstance(shape, str):
        assert isinstance(value, str) and re.fullmatch(shape, value), "%s is %r, not %s" % (path, value, shape)
    elif shape in (int, float, NUMBER):
        assert isinstance(value, NUMBER) and not isinstance(value, bool), "%s is %r" % (path, value)
    else:
        assert isinstance(value, shape), "%s is %r" % (path, value)


TEXT, ANY = str, object
RESOURCES = {"cpus": float, "gpus": float, "mem": float, "disk": float, "ports": Optional(r"\[\d+-\d+(, \d+-\d+)*\]")}
RESOURCE = {"*": ANY}
LABELS = [{"key": TEXT, "value": Optional(TEXT)}]
IP = r"\d+\.\d+\.\d+\.\d+"
BUILD = {"version": r"\d+\.\d+\.\d+", "build_date": TEXT, "build_time": float, "build_user": TEXT,
         "git_sha": Optional(TEXT), "git_branch": Optional(TEXT), "git_tag": Optional(TEXT), "meseta_version": TEXT}
CONTAINER_STATUS = {"container_id": {"value": TEXT, "parent": Optional(ANY)},
                    "network_infos": [{"ip_addresses": [{"protocol": Optional(TEXT), "ip_address": IP}],
                                       "name": Optional(TEXT), "labels": Optional(ANY)}],
                    "cgroup_info": Optional(ANY), "executor_pid": Optional(int)}
STATUS = {"state": "TASK_[A-Z]+", "timestamp": float, "labels": Optional(LABELS),
          "container_status": Optional(CONTAINER_STATUS), "healthy": Optional(bool)}
TASK = {"id": TEXT, "name": TEXT, "framework_id": TEXT, "executor_id": TEXT, "slave_id": TEXT,
        "state": "TASK_[A-Z]+", "resources": RESOURCES, "limits": Optional(ANY), "role": TEXT, "statuses": [STATUS],
        "user": Optional(TEXT), "labels": Optional(LABELS), "discovery": Optional(ANY), "container": Optional(ANY),
        "health_check": Optional(ANY)}
COMMAND = {"value": Optional(TEXT), "argv": [TEXT], "uris": [ANY], "shell": Optional(bool),
           "environment": Optional(ANY), "user": Optional(TEXT)}
MASTER_EXECUTOR = {"executor_id": TEXT, "name": TEXT, "framework_id": TEXT, "command": COMMAND, "resources": RESOURCES,
                   "role": Optional(TEXT), "labels": Optional(LABELS), "type": Optional(TEXT), "slave_id": TEXT}
OFFER = {"id": TEXT, "framework_id": TEXT, "allocation_info": {"role": TEXT}, "slave_id": TEXT, "resources": RESOURCES}
FRAMEWORK_SUMMARY = {"id": TEXT, "name": TEXT, "used_resources": RESOURCES, "offered_resources": RESOURCES,
                     "capabilities": [TEXT], "hostname": TEXT, "webui_url": TEXT, "active": bool, "connected": bool,
                     "recovered": bool}
FRAMEWORK = {**FRAMEWORK_SUMMARY, "user": TEXT, "failover_timeout": float, "checkpoint": bool,
             "registered_time": float, "unregistered_time": float, "principal": Optional(TEXT),
             "resources": RESOURCES, "reregistered_time": Optional(float), "role": Optional(TEXT),
             "roles": Optional([TEXT]), "tasks": [TASK], "unreachable_tasks": [TASK], "completed_tasks": [TASK],
             "offers": [OFFER], "executors": [MASTER_EXECUTOR], "labels": Optional(LABELS),
             "offer_constraints": ANY}
SLAVE_SUMMARY = {"id": TEXT, "hostname": TEXT, "port": int, "attributes": {"*": (str, float)}, "domain": Optional(ANY),
                 "pid": r"slave\(1\)@%s:\d+" % IP, "registered_time": float, "reregistered_time": Optional(float),
                 "resources": RESOURCES, "used_resources": RESOURCES, "offered_resources": RESOURCES,
                 "reserved_resources": {"*": RESOURCES}, "unreserved_resources": RESOURCES, "active": bool,
                 "deactivated": bool, "version": r"\d+\.\d+\.\d+", "capabilities": [TEXT]}
FULL = {"reserved_resources_full": {"*": [RESOURCE]}, "unreserved_resources_full": [RESOURCE],
        "used_resources_full": [RESOURCE], "offered_resources_full": [RESOURCE]}
SLAVE = {**SLAVE_SUMMARY, **FULL}
STATE = {**BUILD, "start_time": float, "elected_time": Optional(float), "id": TEXT, "pid": r"master@%s:\d+" % IP,
         "hostname": TEXT, "capabilities": [TEXT], "activated_slaves": NUMBER, "deactivated_slaves": NUMBER,
         "unreachable_slaves": NUMBER, "domain": Optional(ANY), "leader": r"master@%s:\d+" % IP,
         "leader_info": {"id": TEXT, "pid": TEXT, "port": int, "hostname": TEXT, "domain": Optional(ANY)},
         "cluster": TEXT, "log_dir": Optional(TEXT), "external_log_file": Optional(TEXT), "flags": {"*": TEXT},
         "slaves": [SLAVE], "recovered_slaves": [ANY], "frameworks": [FRAMEWORK], "completed_frameworks": [FRAMEWORK],
         "orphan_tasks": [ANY], "unregistered_frameworks": [ANY]}
COUNTS = {"TASK_" + name: int for name in ("STAGING", "STARTING", "RUNNING", "KILLING", "FINISHED", "KILLED", "FAILED",
                                           "LOST", "ERROR", "UNREACHABLE")}
QUANTITIES = {"*": NUMBER}
AGENT_TASK = TASK
AGENT_QUEUED = {"id": TEXT, "name": TEXT, "slave_id": TEXT, "resources": RESOURCES, "role": TEXT,
                "command": Optional(COMMAND), "executor_id": TEXT, "discovery": Optional(ANY)}
AGENT_EXECUTOR = {"id": TEXT, "name": TEXT, "source": TEXT, "container": TEXT, "directory": TEXT,
                  "resources": RESOURCES, "role": Optional(TEXT), "labels": Optional(LABELS), "type": Optional(TEXT),
                  "tasks": [AGENT_TASK], "queued_tasks": [AGENT_QUEUED], "completed_tasks": [AGENT_TASK]}
AGENT_FRAMEWORK = {"id": TEXT, "name": TEXT, "user": TEXT, "failover_timeout": float, "checkpoint": bool,
                   "hostname": TEXT, "principal": Optional(TEXT), "role": Optional(TEXT), "roles": Optional([TEXT]),
                   "executors": [AGENT_EXECUTOR], "completed_executors": [AGENT_EXECUTOR]}
AGENT_STATE = {**BUILD, "start_time": float, "id": TEXT, "pid": r"slave\(1\)@%s:\d+" % IP, "hostname": TEXT,
               "capabilities": [TEXT], "domain": Optional(ANY), "resources": RESOURCES,
               "reserved_resources": {"*": RESOURCES}, "unreserved_resources": RESOURCES,
               "reserved_resources_full": {"*": [RESOURCE]}, "unreserved_resources_full": [RESOURCE],
               "reserved_resources_allocated": {"*": RESOURCES}, "unreserved_resources_allocated": RESOURCES,
               "resource_providers": [ANY], "attributes": {"*": (str, float)}, "master_hostname": TEXT,
               "log_dir": Optional(TEXT), "external_log_file": Optional(TEXT), "flags": {"*": TEXT},
               "frameworks": [AGENT_FRAMEWORK], "completed_frameworks": [AGENT_FRAMEWORK]}
CONTAINER = {"framework_id": TEXT, "executor_id": TEXT, "executor_name": TEXT, "source": TEXT}
STATISTICS = {"*": NUMBER}
PAGES = {
    "master": {
        "/state": STATE,
        "/slaves": {"slaves": [SLAVE], "recovered_slaves": [ANY]},
        "/frameworks": {"frameworks": [FRAMEWORK], "completed_frameworks": [FRAMEWORK],
                        "unregistered_frameworks": [ANY]},
        "/tasks": {"tasks": [TASK]},
        "/state-summary": {"hostname": TEXT, "cluster": TEXT, "slaves": [{**SLAVE_SUMMARY, **COUNTS,
                                                                          "framework_ids": [TEXT]}],
                           "frameworks": [{**FRAMEWORK_SUMMARY, **COUNTS, "slave_ids": [TEXT]}]},
        "/roles": {"roles": [{"name": TEXT, "weight": float, "quota": {
            "role": TEXT, "guarantee": QUANTITIES, "limit": QUANTITIES, "consumed": QUANTITIES},
            "resources": {"*": ANY}, "allocated": {"*": ANY}, "offered": {"*": ANY}, "reserved": {"*": ANY},
            "frameworks": [TEXT]}]},
    },
    "agent": {
        "/state": AGENT_STATE,
        "/monitor/statistics": [{**CONTAINER, "statistics": STATISTICS}],
        "/containers": [{**CONTAINER, "container_id": TEXT, "status": Optional(CONTAINER_STATUS),
                         "statistics": Optional(STATISTICS)}],
    },
}
for pages in PAGES.values():
    pages.update({"/version": BUILD, "/flags": {"flags": {"*": TEXT}}, "/metrics/snapshot": {"*": NUMBER},
                  "/files/debug": {"*": TEXT},
                  "/system/stats.json": {"*": NUMBER}})
ALL = [(which, path) for which, pages in PAGES.items() for path in pages]


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


@pytest.mark.parametrize("which, path", ALL)
def test_keys_and_types(daemons, which, path):
    response = daemons[which].get(path)
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    check(response.json(), PAGES[which][path])


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


@pytest.mark.parametrize("which, path", ALL)
def test_ways_to_ask(daemons, which, path):
    """With the process in front, .json, a slash behind, POST, JSONP, gzip: always the same page."""
    daemon = daemons[which]
    process = {"master": "/master", "agent": "/slave(1)"}[which]
    shape = PAGES[which][path]
    forms = [process + path, path + "/", path + "//", process + path + "/", path + "?x=y"]
    if not path.endswith(".json"):
        forms += [path + ".json", process + path + ".json"]
    for form in forms:
        response = daemon.get(form)
        assert response.status == 200, form
        check(response.json(), shape)
    assert request("POST", daemon.address, path, "").status == 200
    jsonp = daemon.get(path + "?jsonp=call.me")
    assert jsonp.headers["Content-Type"] == "text/javascript"
    assert jsonp.text.startswith("call.me(") and jsonp.text.endswith(")")
    check(json.loads(jsonp.text[len("call.me("):-1]), shape)
    packed = daemon.get(path, headers={"Accept-Encoding": "gzip"})
    body = packed.body
    if packed.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    else:
        assert len(body) < 1024  # small ones are not worth it
    check(json.loads(body), shape)
    assert daemon.get(path, headers={"Accept-Encoding": "identity"}).headers.get("Content-Encoding") is None
    head = request("HEAD", daemon.address, path)
    assert head.status in (200, 405) and head.body == b""


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
    check(listing, [{"path": TEXT, "nlink": int, "size": int, "mtime": float, "mode": "[-dlrwxst]{10}", "uid": TEXT,
                     "gid": TEXT}])
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
