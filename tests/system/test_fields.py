# SPDX-License-Identifier: Apache-2.0
"""Each v0 endpoint and each v1 call that shows something, on one cluster that has something of everything, against the
list of fields that Mesos gives: every field is one of Mesos' and of its type, and every field of Mesos' is there.

v0_fields.json: what Mesos' handlers write, by hand from its sources. A shape is a type ("text", "int", "float", "number",
"bool", "any", "~" and a regular expression, "#" and a
message, "#" and a message with "[]" behind), [shape], {"key": shape}, with "key?" for what is not always there, "*" for
any key, "+" for the names of shapes whose keys belong to it; "@name" is one of `shapes`.
v1_fields.json: the messages that answers consist of, from Mesos' .proto files: "!" required, "[]" repeated, "{}" a map.
"""

import gzip
import json
import os
import re
import signal

import pytest

import harness
from harness import make_task, scalar, wait_for
from test_operator import call
from test_operator_state import Watcher

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "v0_fields.json"), encoding="utf-8") as file:
    V0 = json.load(file)
with open(os.path.join(HERE, "v1_fields.json"), encoding="utf-8") as file:
    V1 = json.load(file)
DOMAIN = json.dumps({"fault_domain": {"region": {"name": "r"}, "zone": {"name": "z"}}})
LABELS = {"labels": [{"key": "k", "value": "v"}, {"key": "bare"}]}


# ---- shapes ----

def resolve(shape):
    while isinstance(shape, str) and shape.startswith("@"):
        shape = V0["shapes"][shape[1:]]
    if isinstance(shape, dict) and "+" in shape:
        merged = {}
        for name in shape["+"]:
            merged.update(resolve("@" + name))
        merged.update({key: inner for key, inner in shape.items() if key != "+"})
        shape = merged
    return shape


TYPES = {"text": str, "int": int, "float": float, "number": (int, float), "bool": bool, "any": object}


def check(value, shape, path, seen, name=None):
    """Fails on what is not of that shape. Adds "shape.key" to `seen` for each key that may be missing and is not."""
    name = shape[1:] if isinstance(shape, str) and shape.startswith("@") else name
    shape = resolve(shape)
    if isinstance(shape, dict):
        assert isinstance(value, dict), "%s is %r" % (path, value)
        keys = {key.rstrip("?"): (inner, key.endswith("?")) for key, inner in shape.items()}
        for key, (inner, is_optional) in keys.items():
            if key == "*":
                continue
            assert is_optional or key in value, "%s lacks %s: %s" % (path, key, sorted(value))
            if key in value:
                if is_optional:
                    seen.add("%s.%s" % (name, key))
                check(value[key], inner, "%s.%s" % (path, key), seen, "%s.%s" % (name, key))
        for key in set(value) - set(keys):
            assert "*" in keys, "%s has %s, which Mesos has not" % (path, key)
            check(value[key], keys["*"][0], "%s.%s" % (path, key), seen, name)
    elif isinstance(shape, list):
        assert isinstance(value, list), "%s is %r" % (path, value)
        for i, one in enumerate(value):
            check(one, shape[0], "%s[%d]" % (path, i), seen, name)
    elif shape.startswith("#"):
        check_field_of(value, shape[1:], path, seen)
    elif shape.startswith("~"):
        assert isinstance(value, str) and re.fullmatch(shape[1:], value), "%s is %r, not %s" % (path, value, shape)
    else:
        is_bool = isinstance(value, bool) and shape not in ("bool", "any")
        assert isinstance(value, TYPES[shape]) and not is_bool, "%s is %r, not %s" % (path, value, shape)


def optional_keys(shape, name, found):
    """The same names for all that may be missing below `shape`."""
    name = shape[1:] if isinstance(shape, str) and shape.startswith("@") else name
    shape = resolve(shape)
    if isinstance(shape, list):
        optional_keys(shape[0], name, found)
    elif isinstance(shape, dict):
        for key, inner in shape.items():
            bare = key.rstrip("?")
            if key.endswith("?"):
                found.add("%s.%s" % (name, bare))
            optional_keys(inner, name if key == "*" else "%s.%s" % (name, bare), found)
    return found


# ---- messages ----

SCALARS = {"text": str, "bytes": str, "int": int, "double": (int, float), "bool": bool}


def check_field(value, kind, path, seen):
    if kind.startswith("enum:"):
        assert value in V1["enums"][kind[5:]], "%s is %r" % (path, value)
    elif kind in SCALARS:
        assert isinstance(value, SCALARS[kind]), "%s is %r, not %s" % (path, value, kind)
        assert kind == "bool" or not isinstance(value, bool), "%s is %r, not %s" % (path, value, kind)
    else:
        check_message(value, kind, path, seen)


def check_field_of(value, kind, path, seen):
    if not kind.endswith("[]"):
        check_field(value, kind, path, seen)
        return
    assert isinstance(value, list), "%s is %r" % (path, value)
    for one in value:
        check_field(one, kind[:-2], path, seen)


def check_message(value, name, path, seen):
    fields = V1["messages"][name]
    assert isinstance(value, dict), "%s is %r, not %s" % (path, value, name)
    for key, kind in fields.items():
        assert key in value or not kind.endswith("!"), "%s lacks %s" % (path, key)
    for key, inner in value.items():
        assert key in fields, "%s has %s, which Mesos' %s has not" % (path, key, name)
        seen.add("%s.%s" % (name, key))
        kind, at = fields[key].rstrip("!"), "%s.%s" % (path, key)
        if kind.startswith("{}"):
            assert isinstance(inner, dict), "%s is %r" % (at, inner)
            for one in inner.values():
                check_field(one, kind[2:], at, seen)
        else:
            check_field_of(inner, kind, at, seen)


# ---- the cluster ----

cluster = pytest.fixture(scope="module")(harness.run_cluster)


def kill_before_failover(cluster, master, agents):
    """An agent that the registry knows and that does not come back; the others do. The scheduler too."""
    scheduler = cluster.scheduler(
        master, name="a name", failover_timeout=600, webui_url="http://ui", hostname="h", principal="someone",
        roles=["dev"], labels=LABELS, capabilities=[{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}],
        offer_filters={"dev": {"min_allocatable_resources": {"quantities": [{"quantities": {"cpus": {"value": 0.1}}}]}}})
    scheduler.close()
    agents.pop().kill()
    master.kill()
    master.restart()
    for agent in agents:
        cluster.wait_registered(agent, master)
    scheduler.subscribe()
    scheduler.close()  # once more, so that it registers for the second time with this master
    scheduler.subscribe(offer_constraints={"role_constraints": {"dev": {"groups": [{"attribute_constraints": [
        {"selector": {"attribute_name": "rack"}, "predicate": {"exists": {}}}]}]}}})
    return scheduler


def change_resources(master, agent_id):
    """A quota, a weight, a reservation and a volume."""
    assert master.request("PUT", "/weights", [{"role": "dev", "weight": 2.5}]).status == 200
    assert call(master, "UPDATE_QUOTA", force=True, quota_configs=[
        {"role": "dev", "guarantees": {"cpus": {"value": 1}}, "limits": {"cpus": {"value": 100}}}]) is None
    disk = {**scalar("disk", 64), "reservations": [{"type": "DYNAMIC", "role": "dev", "principal": "p"}]}
    volume = {**disk, "disk": {"persistence": {"id": "v", "principal": "p"},
                               "volume": {"mode": "RW", "container_path": "data"}}}
    for kind, key, resource in (("RESERVE_RESOURCES", "resources", disk), ("CREATE_VOLUMES", "volumes", volume)):
        body = {"type": kind, kind.lower(): {"agent_id": {"value": agent_id}, key: [resource]}}
        wait_for(lambda body=body: master.post("/api/v1", body).status == 202, what=kind)


def is_roomy(offer):
    return sum(r["scalar"]["value"] for r in offer["resources"] if r["name"] == "cpus") >= 0.6


def launch(scheduler, tasks):
    """Each on an offer of the agent with a rack that has room for all."""
    scheduler.launch(scheduler.take_offer(where=is_roomy), tasks, 0)


def start_tasks(master, scheduler):
    shell = {"value": "sleep 1000", "shell": True, "environment": {"variables": [{"name": "A", "value": "B"}]}}
    ports = {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31002, "end": 31003}]}}
    discovery = {"visibility": "CLUSTER", "name": "d", "ports": {"ports": [{"number": 80, "name": "http"}]}}
    running = make_task({**shell, "user": "root"}, task_id="running", labels=LABELS, discovery=discovery,
                        container={"type": "MESOS", "mesos": {}}, health_check={
                            "type": "COMMAND", "command": {"value": "true"}, "interval_seconds": 0.2, "delay_seconds": 0},
                        check={"type": "COMMAND", "command": {"command": {"value": "true"}}, "interval_seconds": 0.2,
                               "delay_seconds": 0}, kill_policy={"grace_period": {"nanoseconds": 10**9}})
    running["resources"].append(ports)
    launch(scheduler, [running, make_task("true", task_id="done"), make_task("exit 1", task_id="failed")])
    scheduler.wait_update("running", "TASK_RUNNING")
    scheduler.wait_end("done")
    scheduler.wait_end("failed")
    wait_for(lambda: scheduler.pump() or "healthy" in master.get("/tasks?task_id=running").text, what="its health")
    silent = {"type": "CUSTOM", "executor_id": {"value": "silent"}, "name": "Silent", "source": "src", "labels": LABELS,
              "command": {"value": "sleep 1000", "arguments": ["x"], "environment": shell["environment"],
                          "uris": [{"value": "file:///etc/hostname", "extract": False}]},
              "resources": [scalar("cpus", 0.1), scalar("mem", 32), scalar("disk", 1)], "data": "ZGF0YQ==",
              "shutdown_grace_period": {"nanoseconds": 10**9}}
    launch(scheduler, [make_task(task_id="waiting", executor=silent, discovery=discovery)])
    offer = scheduler.take_offer(where=is_roomy)
    group = {"tasks": [make_task(shell, task_id="grouped", agent_id=offer["agent_id"])]}
    silent = {**silent, "executor_id": {"value": "mute"}, "framework_id": {"value": scheduler.framework_id}}
    disk = {**scalar("disk", 16), "reservations": [{"type": "DYNAMIC", "role": "dev", "principal": "someone"}]}
    scheduler.accept([offer], [{"type": "LAUNCH_GROUP", "launch_group": {"executor": silent, "task_group": group}},
                               {"type": "RESERVE", "id": {"value": "op"}, "reserve": {"resources": [disk]}}], 0)
    scheduler.wait("UPDATE_OPERATION_STATUS")  # never acknowledged
    scheduler.acknowledges = False
    launch(scheduler, [make_task("true", task_id="unheard")])
    for state in ("TASK_STARTING", "TASK_RUNNING"):
        scheduler.acknowledge(scheduler.wait_update("unheard", state))
    scheduler.wait_end("unheard")


def drain(cluster, master, scheduler, drained):
    """It is busy with that: its task does not want to end."""
    offer = scheduler.take_offer(where=lambda o: o["hostname"] == "drained")
    task = make_task("trap '' TERM; touch ready; sleep 1000", task_id="stubborn")
    scheduler.launch(offer, [task], 0)
    scheduler.wait_update("stubborn", "TASK_RUNNING")
    directory = drained.state()["frameworks"][0]["executors"][0]["directory"]
    wait_for(lambda: os.path.exists(directory + "/ready"), what="the trap")
    assert call(master, "DRAIN_AGENT", agent_id={"value": drained.state()["id"]},
                max_grace_period={"seconds": 600}, mark_gone=False) is None
    wait_for(lambda: "drain_config" in drained.state(), what="the drain")


def run_briefly(cluster, master, scheduler):
    """A framework of the older kind, with a task, that is done. Meanwhile the other one wants nothing."""
    scheduler.call("SUPPRESS")
    offers = [{"id": {"value": o["id"]}} for f in master.state()["frameworks"] for o in f["offers"]]
    scheduler.decline(offers, refuse_seconds=0)
    brief = cluster.scheduler(master, name="brief", role="dev", principal="other")
    brief.launch(brief.take_offer(where=is_roomy), [make_task("true", task_id="brief")], 0)
    brief.wait_end("brief")
    brief.teardown()
    scheduler.call("REVIVE")


def lose_an_agent(cluster, master, scheduler):
    """It hangs: its task is unreachable."""
    lost = cluster.start_agent(master, attributes="rack:r2", hostname="lost", resources="cpus:0.5;mem:128")
    offer = scheduler.take_offer(where=lambda o: o["hostname"] == "lost")
    scheduler.launch(offer, [make_task("sleep 1000", task_id="away")], 0)
    scheduler.wait_update("away", "TASK_RUNNING")
    lost.send_signal(signal.SIGSTOP)
    scheduler.wait_update("away", "TASK_UNREACHABLE", timeout=20)
    return lost


def plan_maintenance(master, scheduler, now):
    """A machine that drains, about which the framework has said something, and one that is down."""
    machines = [{"hostname": "127.0.0.1", "ip": "127.0.0.1"}, {"hostname": "down", "ip": "10.0.0.1"}]
    window = {"machine_ids": machines, "unavailability": {
        "start": {"nanoseconds": now + 3600 * 10**9}, "duration": {"nanoseconds": 3600 * 10**9}}}
    assert call(master, "UPDATE_MAINTENANCE_SCHEDULE", schedule={"windows": [window]}) is None
    assert call(master, "START_MAINTENANCE", machines=machines[1:]) is None
    inverse = scheduler.wait("INVERSE_OFFERS")["inverse_offers"]["inverse_offers"][0]
    seen = set()
    check_answer(master, "master", "GET_FRAMEWORKS", {}, seen)
    scheduler.call("ACCEPT_INVERSE_OFFERS", inverse_offer_ids=[inverse["id"]], filters={"refuse_seconds": 1000})
    return seen


@pytest.fixture(scope="module")
def daemons(cluster):
    """One agent with everything, one that is drained, one that was lost, one that did not come back after a failover."""
    with open(cluster.path("external"), "w", encoding="ascii") as log:
        log.write("a line\n")
    shared = {"log_dir": cluster.path("logs"), "external_log_file": cluster.path("external"), "domain": DOMAIN}
    master = cluster.start_master(cluster="here", registry="replicated_log", allocation_interval="20ms",
                                  agent_ping_timeout="1secs", max_agent_ping_timeouts=3, **shared)
    agent = cluster.start_agent(master, attributes="rack:r1;number:5;range:[1-3];set:{a,b}", **shared,
                                resources="cpus:4;cpus(dev):1;mem:2048;disk:1024;ports:[31000-31009,31020-31029]")
    drained = cluster.start_agent(master, hostname="drained", attributes="rack:r3", domain=DOMAIN,
                                  resources="cpus:0.5;mem:128")
    agents = [agent, drained, cluster.start_agent(master, hostname="absent", domain=DOMAIN)]
    scheduler = kill_before_failover(cluster, master, agents)
    agent_id = agent.state()["id"]
    change_resources(master, agent_id)
    lost = lose_an_agent(cluster, master, scheduler)
    run_briefly(cluster, master, scheduler)
    drain(cluster, master, scheduler, drained)
    start_tasks(master, scheduler)
    seen = plan_maintenance(master, scheduler, int(os.stat(cluster.path("external")).st_mtime_ns))
    scheduler.take_offer()  # one is outstanding
    yield {"master": master, "agent": agent, "drained": drained, "agent_id": agent_id, "seen": seen,
           "cluster": cluster}
    lost.send_signal(signal.SIGCONT)


# ---- v0 ----

def ask(daemon, path, shape, seen):
    answer = daemon.get(path)
    assert answer.status == 200, (path, answer.text)
    assert answer.headers["Content-Type"] == "application/json"
    page = path.split("?", maxsplit=1)[0]
    check(answer.json(), shape, page, seen, page)


def test_v0(daemons):
    seen = set()
    for which, daemon in (("master", "master"), ("agent", "agent"), ("agent", "drained")):
        for path, shape in {**V0["both"], **V0[which]}.items():
            if daemon != "drained" or path == "/state":
                ask(daemons[daemon], path, shape, seen)
    directory = daemons["agent"].state()["frameworks"][0]["executors"][0]["directory"]
    ask(daemons["agent"], "/files/browse?path=" + directory, ["@file"], seen)
    expected = set()
    for group in ("both", "master", "agent"):
        for path, shape in V0[group].items():
            optional_keys(shape, path.split("?", maxsplit=1)[0], expected)
    missing = {key for key in expected - seen if key not in V0["not_here"]}
    assert not missing, "of what Mesos gives, these were not there: %s" % sorted(missing)
    excused = {key for key in V0["not_here"] if key in seen}
    assert not excused, "these are there now: %s" % sorted(excused)


ALL = [(which, path) for which in ("master", "agent") for path in {**V0["both"], **V0[which]}]


@pytest.mark.parametrize("which, path", ALL)
def test_ways_to_ask(daemons, which, path):
    """With the process in front, .json, a slash behind, JSONP, gzip: always the same page."""
    daemon, process = daemons[which], {"master": "/master", "agent": "/slave(1)"}[which]
    shape = {**V0["both"], **V0[which]}[path]
    page, _, query = path.partition("?")
    forms = [process + page, page + "/", page + "//", process + page + "/"]
    if not page.endswith(".json"):
        forms += [page + ".json", process + page + ".json"]
    for form in forms:
        ask(daemon, form + "?" + (query or "x=y"), shape, set())
    jsonp = daemon.get(page + "?" + query + "&jsonp=call.me")
    assert jsonp.headers["Content-Type"] == "text/javascript"
    assert jsonp.text.startswith("call.me(") and jsonp.text.endswith(")")
    check(json.loads(jsonp.text[len("call.me("):-1]), shape, path, set())
    packed = daemon.get(path, headers={"Accept-Encoding": "gzip"})
    body = packed.body
    if packed.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    else:
        assert len(body) < 1024  # small ones are not worth it
    check(json.loads(body), shape, path, set())
    assert daemon.get(path, headers={"Accept-Encoding": "identity"}).headers.get("Content-Encoding") is None
    head = daemon.request("HEAD", path)
    assert head.status in (200, 405) and head.body == b""


# ---- v1 ----

def check_answer(daemon, which, kind, content, seen):
    body = {"type": kind, **({kind.lower(): content} if content else {})}
    answer = daemon.post("/api/v1", body)
    assert answer.status == 200, (kind, answer.text)
    check_message(answer.json(), which + ".Response", kind, seen)
    return answer.json()


CALLS = {
    "GET_HEALTH": {}, "GET_FLAGS": {}, "GET_VERSION": {}, "GET_METRICS": {"timeout": {"nanoseconds": 10**9}},
    "GET_LOGGING_LEVEL": {}, "GET_STATE": {}, "GET_FRAMEWORKS": {}, "GET_EXECUTORS": {}, "GET_OPERATIONS": {},
    "GET_TASKS": {},
}
MASTER_CALLS = {**CALLS, "GET_AGENTS": {}, "GET_ROLES": {}, "GET_WEIGHTS": {}, "GET_MASTER": {}, "GET_QUOTA": {},
                "GET_MAINTENANCE_STATUS": {}, "GET_MAINTENANCE_SCHEDULE": {}, "READ_FILE": {"path": "/master/log",
                                                                                            "offset": 0}}
AGENT_CALLS = {**CALLS, "GET_AGENT": {}, "GET_RESOURCE_PROVIDERS": {},
               "GET_CONTAINERS": {"show_nested": True, "show_standalone": True}}


def test_v1_events(daemons):
    """The stream of SUBSCRIBE: the whole state, and then what happens to a framework, its task and an agent."""
    master, cluster = daemons["master"], daemons["cluster"]
    watcher = Watcher(master)
    extra = cluster.start_agent(master, hostname="extra", resources="cpus:1;mem:256;disk:64")
    scheduler = cluster.scheduler(master, name="watched", capabilities=[{"type": "PARTITION_AWARE"}], failover_timeout=0)
    offer = scheduler.take_offer(where=lambda o: o["hostname"] == "extra")
    scheduler.launch(offer, [make_task("true", task_id="watched")], 1000)
    scheduler.wait_end("watched")
    framework = {key: value for key, value in scheduler.framework.items() if key != "id"}
    assert scheduler.post({"type": "UPDATE_FRAMEWORK", "framework_id": scheduler.framework["id"], "update_framework": {
        "framework_info": {**framework, "id": scheduler.framework["id"], "webui_url": "http://x"}}}).status == 200
    scheduler.teardown()
    extra.stop(signal.SIGUSR1)
    watcher.wait("AGENT_REMOVED")
    seen = set()
    for event in watcher.events:
        check_message(event, "master.Event", event["type"], seen)
        assert event["type"] in ("HEARTBEAT",) or event["type"].lower() in event, event
    watcher.close()
    assert {event["type"] for event in watcher.events} == set(V1["enums"]["master.Event.Type"]) - {"UNKNOWN"}
    expected = {"%s.%s" % (name, key) for name, fields in V1["messages"].items()
                if name.startswith("master.Event") for key in fields}
    assert not expected - seen, sorted(expected - seen)


def test_v1(daemons):
    seen = set(daemons["seen"])
    master, agent = daemons["master"], daemons["agent"]
    for kind, content in MASTER_CALLS.items():
        check_answer(master, "master", kind, content, seen)
    for kind, content in AGENT_CALLS.items():
        check_answer(agent, "agent", kind, content, seen)
    check_answer(daemons["drained"], "agent", "GET_AGENT", {}, seen)
    directory = agent.state()["frameworks"][0]["executors"][0]["directory"]
    check_answer(agent, "agent", "LIST_FILES", {"path": directory}, seen)
    check_answer(agent, "agent", "READ_FILE", {"path": directory + "/stderr", "offset": 0}, seen)
    parent = {"value": agent.get("/containers").json()[0]["container_id"]}
    for kind in ("CONTAINER", "NESTED_CONTAINER"):
        nested = {"container_id": {"value": kind.lower(), "parent": parent}}
        assert call(agent, "LAUNCH_" + kind, **nested, command={"value": "exit 3"}) is None
        check_answer(agent, "agent", "WAIT_" + kind, nested, seen)
    expected = set()
    for name, fields in V1["messages"].items():
        if re.match(r"(master|agent)\.Response|maintenance|quota|Task$|TaskStatus$|AgentInfo$|FrameworkInfo$|"
                    r"ExecutorInfo$|Role$|Drain|FileInfo$|VersionInfo$|MasterInfo$|Offer$|InverseOffer$|WeightInfo$|"
                    r"ContainerStatus$|Flag$|Metric$", name):
            expected |= {"%s.%s" % (name, key) for key in fields}
    missing = {key for key in expected - seen if key not in V0["v1_not_here"]}
    assert not missing, "of what Mesos gives, these were not there: %s" % sorted(missing)
    excused = {key for key in V0["v1_not_here"] if key in seen}
    assert not excused, "these are there now: %s" % sorted(excused)
