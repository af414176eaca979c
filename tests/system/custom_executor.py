#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A custom executor on the bare v1 API, over JSON, for several tasks at once.

A task's data tells what to do: "finish", "fail", "run" (until it is killed), "die" (the executor
exits with status 7), "echo" (its data come back as a framework message), "say STATE REASON" (tells just
that; REASON may be missing). What it saw goes to `seen` in its sandbox, a line of JSON each.
"""

import base64
import http.client
import json
import os
import time
import uuid

ADDRESS = os.environ["MESOS_AGENT_ENDPOINT"]
IDS = {"framework_id": {"value": os.environ["MESOS_FRAMEWORK_ID"]},
       "executor_id": {"value": os.environ["MESOS_EXECUTOR_ID"]}}
HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}


def see(what, value):
    with open("seen", "a", encoding="utf-8") as file:
        file.write(json.dumps([what, value]) + "\n")


def call(kind, **body):
    connection = http.client.HTTPConnection(ADDRESS, timeout=10)
    connection.request("POST", "/api/v1/executor", json.dumps({"type": kind, **IDS, **body}), HEADERS)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    if response.status != 202:
        see("refused", [kind, response.status, text])


def update(task_id, state, **fields):
    call("UPDATE", update={"status": {"task_id": {"value": task_id}, "state": state, "source": "SOURCE_EXECUTOR",
                                      "timestamp": time.time(),
                                      "uuid": base64.b64encode(uuid.uuid4().bytes).decode(), **fields}})


def launch(task):
    task_id = task["task_id"]["value"]
    what = base64.b64decode(task.get("data", "")).decode()
    if what == "die":
        os._exit(7)
    if what.startswith("say "):
        _, state, *reason = what.split()
        update(task_id, state, **({"reason": reason[0]} if reason else {}))
        return
    update(task_id, "TASK_RUNNING")
    if what == "finish":
        update(task_id, "TASK_FINISHED", message="done", data=base64.b64encode(b"result").decode())
    elif what == "fail":
        update(task_id, "TASK_FAILED", message="as it was told")
    elif what == "echo":
        call("MESSAGE", message={"data": task["data"]})


def handle(event):
    kind = event["type"]
    see(kind, event.get(kind.lower()))
    if kind == "LAUNCH":
        launch(event["launch"]["task"])
    elif kind == "KILL":
        update(event["kill"]["task_id"]["value"], "TASK_KILLED")
    elif kind == "MESSAGE":
        call("MESSAGE", message={"data": base64.b64encode(
            b"got " + base64.b64decode(event["message"]["data"])).decode()})
    return kind != "SHUTDOWN"


def main():
    see("environment", {name: value for name, value in os.environ.items() if name.startswith("MESOS_")})
    connection = http.client.HTTPConnection(ADDRESS)
    connection.request("POST", "/api/v1/executor", json.dumps({"type": "SUBSCRIBE", **IDS, "subscribe": {}}), HEADERS)
    response = connection.getresponse()
    see("headers", [response.status, dict(response.getheaders())])
    goes_on = response.status == 200
    while goes_on:
        length = response.readline()
        if not length:
            break
        goes_on = handle(json.loads(response.read(int(length))))


main()
