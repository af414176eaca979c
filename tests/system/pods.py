# SPDX-License-Identifier: Apache-2.0
"""Task groups for tests: what they say, how they are launched, and what of them is found on the agent."""

import os
import uuid

import harness
from harness import get, make_task, post, scalar


def make_executor(scheduler, executor_id=None, **fields):
    """The ExecutorInfo of a default executor with the least that it may ask for."""
    return {"type": "DEFAULT", "executor_id": {"value": executor_id or "pod-" + uuid.uuid4().hex[:8]},
            "framework_id": {"value": scheduler.framework_id},
            "resources": [scalar("cpus", 0.1), scalar("mem", 32), scalar("disk", 16)], **fields}


def launch(scheduler, tasks, executor=None, offer=None):
    """Launches the tasks as one group; returns the executor's info."""
    offer = offer or scheduler.take_offer()
    executor = executor or make_executor(scheduler)
    for task in tasks:
        task["agent_id"] = offer["agent_id"]
    scheduler.accept([offer], [{"type": "LAUNCH_GROUP", "launch_group": {
        "executor": executor, "task_group": {"tasks": tasks}}}], refuse_seconds=0)
    return executor


def make_tasks(*commands, **fields):
    return [make_task(command, **fields) for command in commands]


def id_of(task):
    return task["task_id"]["value"]


def call(agent, kind, **content):
    body = {"type": kind}
    if content:
        body[kind.lower()] = content
    return post(agent.address, "/api/v1", body)


def containers(agent, nested=True):
    """container id -> what GET_CONTAINERS says of it."""
    answer = call(agent, "GET_CONTAINERS", show_nested=nested)
    assert answer.status == 200, answer.text
    return {container_id(c["container_id"]): c for c in answer.json()["get_containers"].get("containers", [])}


def container_id(message):
    return (container_id(message["parent"]) + "." if "parent" in message else "") + message["value"]


def sandbox(agent, executor):
    """The executor's sandbox, as the agent's /state tells it."""
    state = get(agent.address, "/state").json()
    for framework in state["frameworks"] + state["completed_frameworks"]:
        for one in framework["executors"] + framework["completed_executors"]:
            if one["id"] == executor["executor_id"]["value"]:
                return one["directory"]
    raise AssertionError("no such executor")


def task_file(agent, executor, task, name="stdout"):
    """What a task wrote, found by its id."""
    with open(os.path.join(sandbox(agent, executor), "tasks", id_of(task), name), encoding="utf-8") as file:
        return file.read()


def wait_gone(agent, executor):
    """Until the agent has nothing of the executor any more."""
    def is_gone():
        state = get(agent.address, "/state").json()
        running = [e["id"] for f in state["frameworks"] for e in f["executors"]]
        return executor["executor_id"]["value"] not in running
    harness.wait_for(is_gone, 20, "the executor's end")
