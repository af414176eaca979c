#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/compatibility.md from a run: every call, event, endpoint, flag and metric of Mesos
(mesos_surface.json) is tried on a real master and agent, and what happened is the page.

    tests/system/compat.py            writes the page
    tests/system/compat.py --check    fails when the page is not what a run says
"""

import base64
import json
import os
import re
import subprocess
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import harness  # noqa: E402
import leftovers  # noqa: E402
import task_reasons  # noqa: E402
from harness import make_task, scalar, wait_for  # noqa: E402

PAGE = os.path.join(harness.ROOT, "docs", "compatibility.md")
WORKS, PARTLY, NOT_YET = "works", "partly", "not yet"

with open(os.path.join(HERE, "mesos_surface.json"), encoding="utf-8") as file:
    SURFACE = json.load(file)


class Record:
    """What was found: (kind, name) -> (result, note)."""

    def __init__(self):
        self.rows = {}

    def add(self, kind, name, result, note=""):
        self.rows[kind, name] = (result, note)

    def check(self, kind, name, run):
        """`run` returns True, False, or a sentence that says what is missing; failing counts as False."""
        try:
            found = run()
        except (AssertionError, KeyError, IndexError, OSError, ValueError):
            found = False
        self.add(kind, name, PARTLY if isinstance(found, str) else WORKS if found else NOT_YET,
                 found if isinstance(found, str) else "")

    def of(self, kind):
        return {name: row for (k, name), row in self.rows.items() if k == kind}


def missing_metric(name):
    """Why a metric was not there."""
    reasons = [
        ("master/messages_authenticate", "a message of the v0 protocol"),
        ("master/messages_deactivate_framework", "a message of the v0 protocol"),
        ("master/task_lost/", "there from the first such task on"),
        ("registrar/log/ensemble_size", "there is no replicated log of our own"),
        ("registrar/state_store_ms/", "there from the second write of the registry on"),
        ("containerizer/docker/", "of images"), ("containerizer/mesos/provisioner/", "of images"),
        ("containerizer/mesos/filesystem/", "of images"), ("containerizer/mesos/disk/", "of the isolator disk/xfs"),
        ("volume_gid_manager/", "of --volume_gid_range"),
    ]
    return next((why for prefix, why in reasons if name.startswith(prefix)), "")


def encode(data):
    return base64.b64encode(data).decode()


def is_big(offer):
    """Not just what one ended task left."""
    return any(r["name"] == "cpus" and r["scalar"]["value"] >= 1 for r in offer["resources"])


class Run:
    """One cluster and the story that is played on it."""

    def __init__(self, record):
        self.record = record
        self.cluster = harness.Cluster()
        self.master = self.cluster.start_master(allocation_interval="20ms", agent_ping_timeout="1secs",
                                                max_agent_ping_timeouts=2)
        self.agent = self.cluster.start_agent(self.master, executor_shutdown_grace_period="200ms")
        self.framework = self.cluster.scheduler(name="compat", failover_timeout=60)

    def call(self, name, run):
        self.record.check("scheduler_calls", name, run)

    def status_of(self, kind, **content):
        body = {"type": kind, "framework_id": {"value": self.framework.framework_id}}
        if content:
            body[kind.lower()] = content
        return self.framework.post(body).status

    # -- scheduler --

    def ends(self, task, state):
        return self.framework.wait_end(task["task_id"]["value"])["state"] == state

    def launch(self, task):
        self.framework.launch(self.framework.take_offer(is_big), [task], 0)
        return task

    def operation(self, kind, content):
        """True when the tasks of a LAUNCH or LAUNCH_GROUP run to their end."""
        offer = self.framework.take_offer(is_big)
        operation = {"type": kind, kind.lower(): content(offer)}
        self.framework.accept([offer], [operation], 0)
        if kind == "LAUNCH":
            return self.ends(operation["launch"]["task_infos"][0], "TASK_FINISHED")
        if kind == "LAUNCH_GROUP":
            return self.ends(operation["launch_group"]["task_group"]["tasks"][0], "TASK_FINISHED")
        raise AssertionError(kind)

    def resource_operation(self, reserver, kind, content):
        """True when the agent has done it and the acknowledgement reached it."""
        operation = {"type": kind, kind.lower(): content, "id": {"value": uuid.uuid4().hex}}
        reserver.accept([reserver.take_offer(is_big)], [operation], 0)
        event = reserver.wait("UPDATE_OPERATION_STATUS", lambda e: e["update_operation_status"]["status"][
            "operation_id"] == operation["id"], 5)
        status = event["update_operation_status"]["status"]
        if status["state"] == "OPERATION_ERROR" and kind.endswith("_DISK"):
            return "refused in Mesos' words: no agent has a resource provider"
        reserver.call("ACKNOWLEDGE_OPERATION_STATUS", agent_id=status["agent_id"], uuid=status["uuid"]["value"],
                      operation_id=operation["id"])
        harness.wait_for(lambda: self.master.post("/api/v1", {"type": "GET_OPERATIONS"}).json()[
            "get_operations"].get("operations", []) == [], what="the operation to be over")
        return status["state"] == "OPERATION_FINISHED"

    def resource_operations(self):
        """On a framework of their own, in the order in which they build on each other."""
        self.framework.call("SUPPRESS")
        self.framework.decline([{"id": {"value": o["id"]}} for o in self.state()["offers"]], 0)
        reserver = self.cluster.scheduler(name="reserver", roles=["dev"], capabilities=[
            {"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}])

        def of_dev(resource):
            return {**resource, "reservations": [{"type": "DYNAMIC", "role": "dev"}]}

        def volume(size):
            return {**of_dev(scalar("disk", size)), "disk": {"persistence": {"id": "v"}, "volume": {
                "mode": "RW", "container_path": "v"}}}

        for kind, content in (
                ("RESERVE", {"resources": [of_dev(scalar("disk", 20))]}), ("CREATE", {"volumes": [volume(10)]}),
                ("GROW_VOLUME", {"volume": volume(10), "addition": of_dev(scalar("disk", 5))}),
                ("SHRINK_VOLUME", {"volume": volume(15), "subtract": {"value": 5}}),
                ("DESTROY", {"volumes": [volume(10)]}), ("UNRESERVE", {"resources": [of_dev(scalar("disk", 20))]}),
                ("CREATE_DISK", {"source": scalar("disk", 5), "target_type": "MOUNT"}),
                ("DESTROY_DISK", {"source": scalar("disk", 5)})):
            self.record.check("operations", kind, lambda k=kind, c=content: self.resource_operation(reserver, k, c))
        reserver.teardown()
        self.framework.call("REVIVE")

    def operations(self):
        executor = {"type": "DEFAULT", "executor_id": {"value": "default"},
                    "framework_id": {"value": self.framework.framework_id},
                    "resources": [scalar("cpus", 0.1), scalar("mem", 32), scalar("disk", 10)]}

        def tasks(offer):
            return {"task_infos": [make_task("true", agent_id=offer["agent_id"])]}

        contents = {
            "LAUNCH": tasks,
            "LAUNCH_GROUP": lambda o: {"executor": executor, "task_group": {"tasks": tasks(o)["task_infos"]}}}
        for kind, content in contents.items():
            self.record.check("operations", kind, lambda kind=kind, content=content: self.operation(kind, content))
        self.resource_operations()

    def subscribe(self):
        self.call("SUBSCRIBE", lambda: self.framework.framework_id != "" or False)
        constrained = {"type": "SUBSCRIBE", "subscribe": {
            "framework_info": {"user": "root", "name": "constrained"},
            "offer_constraints": {"role_constraints": {"*": {"groups": [{"attribute_constraints": [{
                "selector": {"attribute_name": "x"}, "predicate": {"exists": {}}}]}]}}}}}
        stream = harness.Stream(self.master.address, "/api/v1/scheduler", json.dumps(constrained),
                                {"Content-Type": "application/json"})
        if stream.status != 200 or json.loads(stream.next(5))["type"] != "SUBSCRIBED":
            self.record.add("scheduler_calls", "SUBSCRIBE", PARTLY, "without `offer_constraints`")
        stream.close()

    def short_calls(self):
        f = self.framework
        nobody = {"agent_id": {"value": "nobody"}}
        self.call("DECLINE", lambda: f.decline([f.take_offer(is_big)], 0) and f.take_offer(is_big) is not None)

        def suppress():
            f.call("SUPPRESS")
            offer = f.take_offer(is_big)
            f.decline([{"id": {"value": o["id"]}} for o in self.state()["offers"]], 0)
            time.sleep(0.3)  # long enough for several rounds of offers
            return offer and not self.state()["offers"]

        self.call("SUPPRESS", suppress)
        self.call("REVIVE", lambda: f.call("REVIVE") and f.take_offer(is_big) is not None)

        def reconcile():
            f.call("RECONCILE", tasks=[{"task_id": {"value": "unknown"}}])
            return f.wait_update("unknown")["reason"] == "REASON_RECONCILIATION"

        self.call("RECONCILE", reconcile)
        # The default allocator of Mesos ignores it, too.
        self.call("REQUEST", lambda: self.status_of("REQUEST", requests=[{"resources": [scalar("cpus", 1)]}]) == 202)

        def update_framework():
            info = {**f.framework, "name": "renamed"}
            status = self.status_of("UPDATE_FRAMEWORK", framework_info=info)
            return status == 200 and self.state()["name"] == "renamed"

        self.call("UPDATE_FRAMEWORK", update_framework)
        self.inverse_offers()
        self.record.check("scheduler_calls", "ACKNOWLEDGE_OPERATION_STATUS", lambda: self.status_of(
            "ACKNOWLEDGE_OPERATION_STATUS", uuid=encode(uuid.uuid4().bytes), operation_id={"value": "x"}, **nobody)
            == 202 and self.record.rows["operations", "RESERVE"][0] == WORKS)
        self.record.check("scheduler_calls", "RECONCILE_OPERATIONS", self.reconcile_operations)

    def answer_inverse_offer(self, kind):
        """True when an operator sees the answer. Another offer follows."""
        offer = self.framework.wait("INVERSE_OFFERS", timeout=5)["inverse_offers"]["inverse_offers"][0]
        self.framework.call(kind, inverse_offer_ids=[offer["id"]], filters={"refuse_seconds": 0})
        machines = self.master.get("/maintenance/status").json()["draining_machines"]
        return machines[0]["statuses"][0]["status"] == kind.split("_")[0]

    def inverse_offers(self):
        """In a maintenance window of the agent's machine, on which a task runs."""
        task = self.launch(make_task("sleep 1000"))
        self.framework.wait_update(task["task_id"]["value"], "TASK_RUNNING")
        start = {"start": {"nanoseconds": int((time.time() + 3600) * 1e9)}}
        self.master.post("/maintenance/schedule", {"windows": [
            {"machine_ids": [{"hostname": "127.0.0.1"}], "unavailability": start}]})
        for kind in ("DECLINE_INVERSE_OFFERS", "ACCEPT_INVERSE_OFFERS"):
            self.call(kind, lambda kind=kind: self.answer_inverse_offer(kind))
        self.framework.wait("INVERSE_OFFERS", timeout=5)
        self.master.post("/maintenance/schedule", {})
        self.framework.wait("RESCIND_INVERSE_OFFER", timeout=5)
        self.framework.kill(task["task_id"]["value"], 0.1)
        self.ends(task, "TASK_KILLED")

    def reconcile_operations(self):
        self.framework.call("RECONCILE_OPERATIONS", operations=[{"operation_id": {"value": "unknown-operation"}}])
        self.framework.wait("UPDATE_OPERATION_STATUS", timeout=2)
        return True

    def state(self):
        frameworks = self.master.state()["frameworks"]
        return next(f for f in frameworks if f["id"] == self.framework.framework_id)

    def kill(self):
        task = self.launch(make_task("sleep 1000"))
        self.framework.wait_update(task["task_id"]["value"], "TASK_RUNNING")
        self.framework.kill(task["task_id"]["value"], 0.1)
        return self.ends(task, "TASK_KILLED")

    # -- executor --

    def executor_post(self, kind, **content):
        return harness.post(self.agent.address, "/api/v1/executor", {"type": kind, **self.ids, **content}).status == 202

    def update(self, state):
        task_id = self.task["task_id"]["value"]
        assert self.executor_post("UPDATE", update={"status": {
            "task_id": {"value": task_id}, "state": state, "source": "SOURCE_EXECUTOR",
            "uuid": encode(uuid.uuid4().bytes)}})
        return self.framework.wait_update(task_id, state) is not None

    def hear(self, kind):
        """The next event of that type on the executor's stream."""
        def find():
            record = self.stream.next(5)
            event = json.loads(record)
            self.record.add("executor_events", event["type"], WORKS)
            return event if event["type"] == kind else None
        return wait_for(find, 10, kind)

    def executors(self):
        f, r = self.framework, self.record
        executor = {"type": "CUSTOM", "executor_id": {"value": "spoken-for"}, "command": {"value": "sleep 1000"},
                    "resources": [scalar("cpus", 0.1), scalar("mem", 32)]}
        self.task = self.launch(make_task(executor=executor))
        self.ids = {"framework_id": {"value": f.framework_id}, "executor_id": {"value": "spoken-for"}}
        wait_for(lambda: [e for w in self.agent.state()["frameworks"] for e in w["executors"]
                          if e["id"] == "spoken-for"], 5, "the executor to be started")
        self.stream = harness.Stream(self.agent.address, "/api/v1/executor", json.dumps(
            {"type": "SUBSCRIBE", **self.ids, "subscribe": {}}), {"Content-Type": "application/json"})
        r.check("executor_calls", "SUBSCRIBE", lambda: self.hear("SUBSCRIBED") and self.hear("LAUNCH") is not None)
        r.check("executor_calls", "UPDATE", lambda: self.update("TASK_RUNNING")
                and self.hear("ACKNOWLEDGED") is not None)
        r.check("executor_calls", "MESSAGE", lambda: self.executor_post("MESSAGE", message={"data": encode(b"x")})
                and f.wait("MESSAGE") is not None)
        r.check("executor_calls", "HEARTBEAT", lambda: self.executor_post("HEARTBEAT"))
        agent_id = self.task["agent_id"]
        self.call("MESSAGE", lambda: f.call("MESSAGE", agent_id=agent_id, executor_id=self.ids["executor_id"],
                                            data=encode(b"y")) and self.hear("MESSAGE") is not None)
        f.kill(self.task["task_id"]["value"])
        r.check("executor_events", "KILL", lambda: self.hear("KILL") is not None)
        self.call("SHUTDOWN", lambda: f.call("SHUTDOWN", executor_id=self.ids["executor_id"], agent_id=agent_id)
                  and self.hear("SHUTDOWN") is not None)
        self.call("ACKNOWLEDGE", lambda: self.ends(self.task, "TASK_FAILED"))
        self.stream.close()
        for kind in SURFACE["executor_events"]:
            if ("executor_events", kind) not in r.rows:
                r.add("executor_events", kind, NOT_YET)
        if r.rows["operations", "LAUNCH_GROUP"][0] == WORKS:
            r.add("executor_events", "LAUNCH_GROUP", WORKS)
        r.add("executor_events", "HEARTBEAT", WORKS, "every 30 minutes: not waited for here")
        r.add("executor_events", "ERROR", NOT_YET, "refusals are HTTP answers")

    # -- events --

    def events(self):
        f = self.framework
        self.second = self.cluster.start_agent(self.master)
        offer = f.take_offer(lambda o: o["agent_id"]["value"] == self.second.state()["id"])
        self.second.kill()
        f.wait("RESCIND", lambda e: e["rescind"]["offer_id"] == offer["id"])
        f.wait("FAILURE", lambda e: "executor_id" not in e["failure"])
        f.wait("HEARTBEAT", timeout=20)
        other = self.cluster.scheduler(name="compat", id={"value": f.framework_id}, failover_timeout=60)
        try:
            f.wait("SUBSCRIBED", timeout=5)
        except AssertionError:
            pass  # its end is an ERROR
        seen = {e["type"] for e in f.events}
        for kind in SURFACE["scheduler_events"]:
            self.record.add("scheduler_events", kind, WORKS if kind in seen else NOT_YET)
        if self.record.rows["operations", "RESERVE"][0] != WORKS:
            self.record.add("scheduler_events", "UPDATE_OPERATION_STATUS", PARTLY, "only to refuse an operation")
        self.framework = other
        self.call("TEARDOWN", lambda: other.teardown() and other.framework_id in
                  [w["id"] for w in self.master.state()["completed_frameworks"]])

    # -- operator APIs, endpoints, metrics --

    def operator_calls(self, kind, daemon, path="/api/v1"):
        for name in SURFACE[kind]:
            if name == "SUBSCRIBE":
                stream = harness.Stream(daemon.address, path, json.dumps({"type": name}),
                                        {"Content-Type": "application/json"})
                works = stream.status == 200 and json.loads(stream.next(5))["type"] == "SUBSCRIBED"
                self.record.add(kind, name, WORKS if works else NOT_YET)
                stream.close()
                continue
            response = daemon.post(path, {"type": name})
            # 400 for a missing body is an answer; 404 is none, and 501 says it. A type that is not known
            # counts as none given.
            is_unknown = response.status in (404, 501) or "Expecting 'type' to be present" in response.text
            self.record.add(kind, name, NOT_YET if is_unknown else WORKS)
        if kind == "agent_calls":
            for name in ("ADD_RESOURCE_PROVIDER_CONFIG", "UPDATE_RESOURCE_PROVIDER_CONFIG",
                         "REMOVE_RESOURCE_PROVIDER_CONFIG", "MARK_RESOURCE_PROVIDER_GONE"):
                self.record.add(kind, name, NOT_YET, "refused: there are no resource providers")
            self.record.add(kind, "PRUNE_IMAGES", NOT_YET, "refused: there are no images")

    def endpoints(self, which, daemon):
        for method, path in SURFACE["endpoints"][which] + SURFACE["endpoints"]["both"]:
            query = "?path=/nothing" if path.startswith("/files/") and path != "/files/debug" else ""
            response = harness.request(method, daemon.address, path + query, "" if method != "GET" else None)
            text = response.body.decode("utf-8", "replace")
            is_known = response.status not in (404, 501) or (query and not text.startswith("There is nothing at"))
            note = ""
            if path == "/api/v1" and response.status == 404:
                is_known = False
            if not is_known and "profiler" in path:
                note = "profiles are taken with perf and heaptrack"
            elif not is_known:
                note = {"/__processes__": "there are no libprocess processes",
                        "/containerizer/debug": "there are no futures to be pending"}.get(path, note)
            self.record.add("endpoints." + which, "%s %s" % (method, path), WORKS if is_known else NOT_YET, note)

    def metrics(self, which, daemon):
        there = daemon.metrics()
        for name in SURFACE["metrics"][which]:
            pattern = re.compile(re.sub(r"<[A-Z_]+>", "[^/]+", name) + "$")
            if any(pattern.match(n) for n in there):
                self.record.add("metrics." + which, name, WORKS)
            else:
                self.record.add("metrics." + which, name, NOT_YET, missing_metric(name))

    def play(self):
        self.subscribe()
        self.operations()
        self.call("ACCEPT", lambda: self.record.rows["operations", "LAUNCH"][0] == WORKS
                  and (all(row[0] == WORKS for row in self.record.of("operations").values())
                       or "see the operations"))
        self.call("KILL", self.kill)
        self.executors()
        self.metrics("master", self.master)
        self.metrics("agent", self.agent)
        self.short_calls()
        self.operator_calls("master_calls", self.master)
        self.operator_calls("agent_calls", self.agent)
        self.operator_calls("resource_provider_calls", self.agent, "/api/v1/resource_provider")
        self.endpoints("master", self.master)
        self.endpoints("agent", self.agent)
        self.events()


def ask_for_flags(record, program):
    """The program's own help says what it has, and which flags have no effect yet."""
    shown = subprocess.run([os.path.join(harness.BIN, program), "--help"], capture_output=True, text=True, check=False)
    texts = {}
    for match in re.finditer(r"^  (--\S.*)\n((?:      .*\n?)*)", shown.stdout + shown.stderr, re.M):
        for name in re.findall(r"--(?:\[no-\])?([a-z0-9_]+)", match.group(1)):
            texts[name] = match.group(2)
    for name in SURFACE["flags"][program]:
        text = texts.get(name)
        result = NOT_YET if text is None or "No effect yet" in text or "Not supported yet" in text else WORKS
        note = "" if text else "unknown"
        if text and "Refused:" in text:
            result, note = PARTLY, "refused: " + " ".join(text.partition("Refused:")[2].split())
        record.add("flags." + program, name, result, note)


PARTS = [
    ("Scheduler API: calls", "scheduler_calls"), ("Scheduler API: events", "scheduler_events"),
    ("Operations of ACCEPT", "operations"), ("Executor API: calls", "executor_calls"),
    ("Executor API: events", "executor_events"), ("Operator API of the master", "master_calls"),
    ("Operator API of the agent", "agent_calls"), ("Resource provider API", "resource_provider_calls"),
    ("Endpoints of the master", "endpoints.master"), ("Endpoints of the agent", "endpoints.agent"),
    ("Flags of mesos-master", "flags.mesos-master"), ("Flags of mesos-agent", "flags.mesos-agent"),
    ("Flags of mesos-execute", "flags.mesos-execute"), ("Metrics of the master", "metrics.master"),
    ("Metrics of the agent", "metrics.agent")]

HEAD = """# Compatibility with Apache Mesos %s

This page is written by `make compatibility` from a run: each name of Mesos was tried on a real master and
agent, or asked of the program itself. Do not edit it by hand.

*Flags*: "not yet" means that a value other than Mesos' default is refused, so that nothing is silently
without effect. *Metrics* and *operator calls*: "works" means that the name is there and answers.

*Bodies in chunks*: a chunk with more than one extension, of which one that is not the last has an unquoted value
(`5;a=b;c=d`), is refused with 400 by the parser of Debian 12 (llhttp 8.1). No known client sends extensions.

| | works | partly | not yet |
|---|--:|--:|--:|
"""


def write_page(record):
    lines = [HEAD % SURFACE["version"]]
    for title, kind in PARTS:
        results = [row[0] for row in record.of(kind).values()]
        lines.append("| %s | %d | %d | %d |\n" % (title, *(results.count(r) for r in (WORKS, PARTLY, NOT_YET))))
    for title, kind in PARTS:
        lines.append("\n## %s\n" % title)
        rows = record.of(kind)
        for result in (WORKS, PARTLY, NOT_YET):
            order = {name: i for i, name in enumerate(SURFACE.get(kind, rows))}
            names = ["`%s`%s" % (name, " (%s)" % note if note and note != "unknown" else "")
                     for name, (found, note) in sorted(rows.items(), key=lambda row: order[row[0]]) if found == result]
            if names:
                lines.append("\n**%s** (%d): %s\n" % (result, len(names), ", ".join(names)))
    return "".join(lines) + task_reasons.write_section()


def main():
    leftovers.become_subreaper()
    record = Record()
    run = Run(record)
    try:
        run.play()
        for program in SURFACE["flags"]:
            ask_for_flags(record, program)
    finally:
        complaints = run.cluster.close()
    if complaints:
        sys.exit("\n".join(complaints))
    missing = [name for _, kind in PARTS for name in SURFACE.get(kind, []) if (kind, name) not in record.rows]
    if missing:
        sys.exit("not tried: %s" % missing)
    page = write_page(record)
    if "--check" in sys.argv[1:]:
        with open(PAGE, encoding="utf-8") as page_file:
            if page_file.read() != page:
                sys.exit("docs/compatibility.md is not what a run says: `make compatibility` writes it anew")
        return
    with open(PAGE, "w", encoding="utf-8") as page_file:
        page_file.write(page)
    print("wrote %s" % os.path.relpath(PAGE))


if __name__ == "__main__":
    main()
