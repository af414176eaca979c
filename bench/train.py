#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the compiler learns from: an instrumented master under what masters do in life.

packaging/setup-release runs it between its two builds: bench/train.py BUILD. The master writes its counts (.gcda) beside its
objects when it ends, so it is ended with SIGTERM, never killed. Only the master is to be learnt from: what the swarm
counts in the same objects goes into a directory that is removed.

It needs no root, no network but loopback, no other program than those of the build, and takes some ten seconds.
"""

import http.client
import json
import os
import pathlib
import signal
import sys
import time
import urllib.request

import programs

MIXED = ["--behaviours=greedy,greedy,batch,picky,service", "--roles=3", "--task_failures=0.02", "--task_labels=3"]
ENDPOINTS = ["/state", "/state-summary", "/slaves", "/frameworks", "/tasks?limit=1000", "/roles", "/metrics/snapshot",
             "/health", "/redirect"]
CALLS = ["GET_STATE", "GET_TASKS", "GET_AGENTS", "GET_FRAMEWORKS", "GET_EXECUTORS", "GET_ROLES", "GET_METRICS"]


def start_master(world, *flags, name):
    return programs.Master(world, *flags, name=name, prefix=("env", "-u", "GCOV_PREFIX")).start()


def end(master):
    master.process.send_signal(signal.SIGTERM)
    if master.process.wait(60) != 0:
        raise RuntimeError(f"the master ended with {master.process.returncode}")


def start_swarm(world, master, *flags):
    return programs.Swarm(world, f"127.0.0.1:{master.port}", "--progress=0ns", "--timeout=1mins", *flags)


def ask(master, path, body=None, accept="application/json"):
    request = urllib.request.Request(f"http://127.0.0.1:{master.port}{path}", data=json.dumps(body).encode() if body else None,
                                     headers={"Content-Type": "application/json", "Accept": accept})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def look(master, rounds):
    """As dashboards, scrapers and operators ask, in JSON and in protobuf."""
    for _ in range(rounds):
        for path in ENDPOINTS:
            ask(master, path)
        for call in CALLS:
            body = {"type": call, "get_metrics": {}} if call == "GET_METRICS" else {"type": call}
            for accept in ("application/json", "application/x-protobuf"):
                ask(master, "/api/v1", body, accept)


class JsonFramework:
    """A framework that speaks JSON, as many clients do: accepts, acknowledges, declines, reconciles."""

    def __init__(self, master, tasks):
        self.tasks, self.offers, self.launched, self.ended = tasks, 0, 0, 0
        self.calls = http.client.HTTPConnection("127.0.0.1", master.port, timeout=30)
        self.stream = http.client.HTTPConnection("127.0.0.1", master.port, timeout=30)
        info = {"user": "train", "name": "json", "roles": ["json"], "failover_timeout": 60.0,
                "capabilities": [{"type": "MULTI_ROLE"}], "labels": {"labels": [{"key": "kind", "value": "train"}]}}
        self.stream.request("POST", "/api/v1/scheduler", json.dumps({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}),
                            {"Content-Type": "application/json", "Accept": "application/json"})
        self.events = self.stream.getresponse()
        self.headers = {"Content-Type": "application/json", "Mesos-Stream-Id": self.events.headers["Mesos-Stream-Id"]}
        self.id = self.next()["subscribed"]["framework_id"]

    def next(self):
        size = self.events.readline()
        return json.loads(self.events.read(int(size)))

    def call(self, kind, content=None):
        body = {"framework_id": self.id, "type": kind, **({kind.lower(): content} if content is not None else {})}
        self.calls.request("POST", "/api/v1/scheduler", json.dumps(body), self.headers)
        answer = self.calls.getresponse()
        answer.read()
        if answer.status != 202:
            raise RuntimeError(f"{kind} of a JSON framework was answered with {answer.status}")

    def task(self, offer):
        self.launched += 1
        name = f"json-{self.launched}"
        resources = [{"name": name, "type": "SCALAR", "scalar": {"value": value}, "allocation_info": {"role": "json"}}
                     for name, value in (("cpus", 1), ("mem", 64))]
        return {"name": name, "task_id": {"value": name}, "agent_id": offer["agent_id"], "resources": resources,
                "command": {"value": "sleep 0.001"}, "labels": {"labels": [{"key": "a", "value": "b"}]}}

    def offered(self, offers):
        for offer in offers:
            self.offers += 1
            cpus = sum(r["scalar"]["value"] for r in offer["resources"] if r["name"] == "cpus")
            count = 0 if self.offers % 10 == 0 else min(5, int(cpus), self.tasks - self.launched)
            if count > 0:
                launch = {"type": "LAUNCH", "launch": {"task_infos": [self.task(offer) for _ in range(count)]}}
                self.call("ACCEPT", {"offer_ids": [offer["id"]], "operations": [launch], "filters": {"refuse_seconds": 0}})
            else:
                self.call("DECLINE", {"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 0.1}})

    def updated(self, status):
        if "uuid" in status:
            self.call("ACKNOWLEDGE", {"agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]})
        self.ended += status["state"] == "TASK_FINISHED"
        if status["state"] in ("TASK_ERROR", "TASK_FAILED", "TASK_LOST", "TASK_DROPPED"):
            raise RuntimeError(f"a task of the JSON framework ended with {status['state']}: {status.get('message')}")

    def run(self):
        deadline = time.monotonic() + 60
        while self.ended < self.tasks:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.ended} of {self.tasks} tasks of the JSON framework ended within a minute")
            event = self.next()
            if event["type"] == "OFFERS":
                self.offered(event["offers"]["offers"])
            elif event["type"] == "UPDATE":
                self.updated(event["update"]["status"])
        self.call("RECONCILE", {"tasks": []})
        self.call("SUPPRESS")
        self.call("REVIVE")
        self.call("TEARDOWN")
        self.stream.close()


def rates(world):
    """Tasks that come and go as fast as they can, of frameworks of several kinds; the registry in SQLite."""
    master = start_master(world, name="rates")
    for agents, tasks, *flags in ((100, 30000), (1000, 20000), (50, 5000, *MIXED)):
        start_swarm(world, master, f"--agents={agents}", f"--connections={agents}", "--frameworks=4", f"--tasks={tasks}",
                    "--task_duration=1ms", f"--first={agents}", *flags).finish()
    end(master)


def failovers(world):
    """Masters that end under agents with tasks; the next ones find all in the registry. Then others look at it."""
    master = start_master(world, name="failovers")
    swarm = start_swarm(world, master, "--agents=1000", "--connections=500", "--frameworks=3", "--tasks=10000", "--hold",
                        "--survive_master", "--task_labels=2")
    swarm.wait_line("holding", 60)
    for deaths in (1, 2, 3):
        end(master)
        master.start(wait=False)
        swarm.wait_line("back after", 60, deaths)
    time.sleep(0.5)
    look(master, 5)
    swarm.finish(stop=True)
    end(master)


def json_tasks(world):
    master = start_master(world, name="json")
    swarm = start_swarm(world, master, "--agents=100", "--frameworks=0")
    JsonFramework(master, 3000).run()
    swarm.finish(stop=True)
    end(master)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: bench/train.py BUILD")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # what was started is ended, too
    with programs.World(pathlib.Path(sys.argv[1]).resolve()) as world:
        os.environ["GCOV_PREFIX"] = str(world.path / "others")
        for part in (rates, failovers, json_tasks):
            began = time.monotonic()
            part(world)
            print(f"{part.__name__}: {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
