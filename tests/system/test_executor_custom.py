# SPDX-License-Identifier: Apache-2.0
"""Custom executors: one for several tasks, its environment, its end; in a real cluster."""

import base64
import json
import os

from harness import make_task, scalar, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "custom_executor.py")


def encode(text):
    return base64.b64encode(text.encode()).decode()


def make_executor(executor_id="shared", **fields):
    return {"type": "CUSTOM", "executor_id": {"value": executor_id},
            "command": {"value": "exec /usr/bin/python3 " + PROGRAM},
            "resources": [scalar("cpus", 0.1), scalar("mem", 32)], **fields}


def make(what, executor=None, **fields):
    return make_task(executor=executor or make_executor(), data=encode(what), **fields)


def launch(scheduler, *whats, executor=None):
    tasks = [make(what, executor) for what in whats]
    scheduler.launch(scheduler.wait_offer(), tasks, refuse_seconds=0)
    return [task["task_id"]["value"] for task in tasks]


def seen(cluster, agent, scheduler, executor_id="shared"):
    path = os.path.join(cluster.sandbox(agent, scheduler.framework_id, executor_id), "seen")
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_several_tasks_share_it(cluster, agent, scheduler):
    good, bad, long = launch(scheduler, "finish", "fail", "run")
    finished = scheduler.wait_end(good)
    assert finished["state"] == "TASK_FINISHED"
    assert finished["message"] == "done"
    assert finished["data"] == encode("result")
    assert finished["executor_id"] == {"value": "shared"}
    failed = scheduler.wait_end(bad)
    assert (failed["state"], failed["message"]) == ("TASK_FAILED", "as it was told")
    running = scheduler.wait_update(long, "TASK_RUNNING")
    assert running["container_status"]["network_infos"][0]["ip_addresses"][0]["ip_address"] == "127.0.0.1"
    assert "container_id" in running["container_status"]
    # A later task finds the same executor.
    later = launch(scheduler, "finish")[0]
    assert scheduler.wait_end(later)["state"] == "TASK_FINISHED"
    scheduler.kill(long)
    assert scheduler.wait_end(long)["state"] == "TASK_KILLED"
    events = seen(cluster, agent, scheduler)
    assert [kind for kind, _ in events].count("SUBSCRIBED") == 1
    assert [kind for kind, _ in events].count("LAUNCH") == 4
    assert "refused" not in [kind for kind, _ in events]


def test_what_it_is_told(cluster, agent, scheduler):
    task_id = launch(scheduler, "run")[0]
    scheduler.wait_update(task_id, "TASK_RUNNING")
    facts = dict(seen(cluster, agent, scheduler))
    environment, framework_id = facts["environment"], scheduler.framework_id
    directory = os.path.realpath(cluster.sandbox(agent, framework_id, "shared"))
    assert environment["MESOS_FRAMEWORK_ID"] == framework_id
    assert environment["MESOS_EXECUTOR_ID"] == "shared"
    assert os.path.realpath(environment["MESOS_DIRECTORY"]) == directory
    assert os.path.realpath(environment["MESOS_SANDBOX"]) == directory
    assert environment["MESOS_AGENT_ENDPOINT"] == agent.address
    assert environment["MESOS_SLAVE_ID"] == agent.state()["id"]
    assert environment["MESOS_SLAVE_PID"] == "slave(1)@" + agent.address
    assert environment["MESOS_CHECKPOINT"] == "0"
    assert environment["MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD"] == "5secs"
    status, headers = facts["headers"]
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert headers["Transfer-Encoding"] == "chunked"
    subscribed = facts["SUBSCRIBED"]
    assert subscribed["executor_info"]["executor_id"] == {"value": "shared"}
    assert subscribed["framework_info"]["id"] == {"value": framework_id}
    assert subscribed["agent_info"]["id"] == {"value": agent.state()["id"]}
    assert facts["LAUNCH"]["task"]["task_id"] == {"value": task_id}


def test_messages_both_ways(cluster, agent, scheduler):
    task_id = launch(scheduler, "echo")[0]
    event = scheduler.wait("MESSAGE")["message"]
    assert event["data"] == encode("echo")
    assert event["executor_id"] == {"value": "shared"}
    scheduler.wait_update(task_id, "TASK_RUNNING")
    scheduler.call("MESSAGE", agent_id=event["agent_id"], executor_id=event["executor_id"], data=encode("hello"))
    assert scheduler.wait("MESSAGE")["message"]["data"] == encode("got hello")


def test_it_dies(cluster, agent, scheduler):
    living = launch(scheduler, "run")[0]
    scheduler.wait_update(living, "TASK_RUNNING")
    launch(scheduler, "die")
    failed = scheduler.wait_end(living)
    assert failed["state"] == "TASK_FAILED"
    assert failed["reason"] == "REASON_EXECUTOR_TERMINATED"
    failure = scheduler.wait("FAILURE", lambda event: "executor_id" in event["failure"])["failure"]
    assert failure["executor_id"] == {"value": "shared"}
    assert os.waitstatus_to_exitcode(failure["status"]) == 7


def test_shutdown_call(cluster, agent, scheduler):
    task_id = launch(scheduler, "run")[0]
    status = scheduler.wait_update(task_id, "TASK_RUNNING")
    scheduler.call("SHUTDOWN", executor_id={"value": "shared"}, agent_id=status["agent_id"])
    assert scheduler.wait_end(task_id)["state"] in ("TASK_KILLED", "TASK_FAILED", "TASK_LOST")
    wait_for(lambda: [kind for kind, _ in seen(cluster, agent, scheduler)][-1] == "SHUTDOWN")


def test_one_that_never_subscribes(cluster, master):
    cluster.start_agent(executor_registration_timeout="1secs")
    scheduler = cluster.scheduler()
    task_id = launch(scheduler, "run", executor=make_executor(command={"value": "sleep 1000"}))[0]
    failed = scheduler.wait_end(task_id)
    assert failed["state"] == "TASK_FAILED"
    assert failed["reason"] == "REASON_EXECUTOR_REGISTRATION_TIMEOUT"


def test_one_that_cannot_run(cluster, agent, scheduler):
    task_id = launch(scheduler, "run", executor=make_executor(command={"value": "/no/such/program"}))[0]
    failed = scheduler.wait_end(task_id)
    assert failed["state"] == "TASK_FAILED"
    assert failed["reason"] == "REASON_EXECUTOR_TERMINATED"
