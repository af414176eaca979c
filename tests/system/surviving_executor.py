#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A custom executor for several tasks that outlives its agent: it subscribes again and says what was
not acknowledged, as the v1 executor API wants it.

A task's data are JSON: {"evidence": directory, "delay": seconds, "end": state}; without "end" it runs until it is
killed. Into the directory go a line of <task>.start when it starts and <task>.end before its end is told.
"""

import base64
import http.client
import json
import os
import threading
import time
import uuid

ADDRESS = os.environ["MESOS_AGENT_ENDPOINT"]
IDS = {"framework_id": {"value": os.environ["MESOS_FRAMEWORK_ID"]},
       "executor_id": {"value": os.environ["MESOS_EXECUTOR_ID"]}}
HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
PATIENCE_S = 30

lock = threading.Lock()
tasks = {}  # id -> TaskInfo, until an update of it is acknowledged
updates = {}  # uuid -> update, in order, until it is acknowledged
orders = {}  # id -> what its data say
ended = set()


def note(task_id, data, what):
    with open(os.path.join(data["evidence"], "%s.%s" % (task_id, what)), "a", encoding="ascii") as file:
        file.write(what + "\n")


def call(kind, **body):
    connection = http.client.HTTPConnection(ADDRESS, timeout=10)
    connection.request("POST", "/api/v1/executor", json.dumps({"type": kind, **IDS, **body}), HEADERS)
    connection.getresponse().read()
    connection.close()


def update(task_id, state):
    """Kept until it is acknowledged; when the agent is not there, SUBSCRIBE tells it later."""
    status = {"task_id": {"value": task_id}, "state": state, "source": "SOURCE_EXECUTOR", "timestamp": time.time(),
              "uuid": base64.b64encode(uuid.uuid4().bytes).decode(), "message": "as it was told"}
    with lock:
        updates[status["uuid"]] = {"status": status}
        try:
            call("UPDATE", update={"status": status})
        except (OSError, http.client.HTTPException):
            pass


def end(task_id, data, state):
    with lock:
        if task_id in ended:
            return
        ended.add(task_id)
    note(task_id, data, "end")
    update(task_id, state)


def launch(task):
    task_id = task["task_id"]["value"]
    data = orders[task_id] = json.loads(base64.b64decode(task["data"]))
    with lock:
        tasks[task_id] = task
    note(task_id, data, "start")
    update(task_id, "TASK_RUNNING")
    if "end" in data:
        threading.Timer(data["delay"], end, (task_id, data, data["end"])).start()


def handle(event):
    kind = event["type"]
    if kind == "LAUNCH":
        launch(event["launch"]["task"])
    elif kind == "KILL":
        task_id = event["kill"]["task_id"]["value"]
        end(task_id, orders[task_id], "TASK_KILLED")
    elif kind == "ACKNOWLEDGED":
        with lock:
            updates.pop(event["acknowledged"]["uuid"], None)
            tasks.pop(event["acknowledged"]["task_id"]["value"], None)
    return kind != "SHUTDOWN"


def subscribe():
    """One subscription, until it breaks (True) or the executor is to end (False)."""
    connection = http.client.HTTPConnection(ADDRESS)
    with lock:
        body = {"type": "SUBSCRIBE", **IDS, "subscribe": {"unacknowledged_tasks": list(tasks.values()),
                                                          "unacknowledged_updates": list(updates.values())}}
        connection.request("POST", "/api/v1/executor", json.dumps(body), HEADERS)
        response = connection.getresponse()
    if response.status != 200:
        return response.status == 503
    while True:
        length = response.readline()
        if not length:
            return True
        if not handle(json.loads(response.read(int(length)))):
            return False


def main():
    last = time.monotonic()
    while True:
        try:
            if not subscribe():
                break
            last = time.monotonic()
        except (OSError, ValueError, http.client.HTTPException):
            pass
        if time.monotonic() - last > PATIENCE_S:
            break
        time.sleep(0.05)
    os._exit(0)


main()
