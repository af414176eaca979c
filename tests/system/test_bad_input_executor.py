# SPDX-License-Identifier: Apache-2.0
"""Executors that die, stay silent, lie, repeat themselves or talk nonsense: the test itself speaks for them.

The containers really run (`sleep`), but who calls the agent's executor API with their ids is the test.
"""

import base64
import json
import os
import uuid

import pytest

import harness
from bystander import Bystander
from harness import Stream, make_task, post, scalar, wait_for


cluster = pytest.fixture(scope="module")(harness.run_cluster)


@pytest.fixture(scope="module")
def master(cluster):
    return cluster.start_master(allocation_interval="20ms")


@pytest.fixture(scope="module")
def agent(cluster, master):
    return cluster.start_agent(master, executor_registration_timeout="2secs",
                               executor_shutdown_grace_period="300ms")


@pytest.fixture(scope="module")
def living(cluster, agent, master):
    return Bystander(cluster, master)


@pytest.fixture
def scheduler(cluster, master, living):
    """A framework of the test's own; after it the bystander is well and nothing else is left."""
    one = cluster.scheduler(name="subject")
    yield one
    one.teardown()
    living.check()

    def is_clean():
        used = master.state()["slaves"][0]["used_resources"]
        agent_frameworks = cluster.agents[0].state()["frameworks"]
        return (used["cpus"], used["mem"]) == (0.1, 32) and len(agent_frameworks) == 1

    wait_for(is_clean, what="the subject to be gone from both daemons")


def new_uuid():
    return base64.b64encode(uuid.uuid4().bytes).decode()


class Puppet:
    """A custom executor whose container sleeps, while the test makes its calls."""

    def __init__(self, scheduler, agent, tasks=1, command="sleep 1000", subscribes=True):
        self.agent, self.scheduler = agent, scheduler
        self.id = "puppet-" + uuid.uuid4().hex[:8]
        executor = {"type": "CUSTOM", "executor_id": {"value": self.id}, "command": {"value": command},
                    "resources": [scalar("cpus", 0.1), scalar("mem", 32)]}
        infos = [make_task(executor=executor) for _ in range(tasks)]
        self.tasks = [info["task_id"]["value"] for info in infos]
        scheduler.launch(scheduler.take_offer(), infos, refuse_seconds=0)
        self.agent_id = infos[0]["agent_id"]
        self.stream = None
        if subscribes:
            self.wait_known()
            self.stream = self.subscribe()
            assert self.next()["type"] == "SUBSCRIBED"
            heard = [self.next()["launch"]["task"]["task_id"]["value"] for _ in range(tasks)]
            assert heard == self.tasks

    def wait_known(self):
        wait_for(lambda: self.entry() is not None, what="the agent to start the executor")

    def entry(self):
        for framework in self.agent.state()["frameworks"]:
            for executor in framework["executors"]:
                if executor["id"] == self.id:
                    return executor
        return None

    def ids(self, **ids):
        return {"framework_id": {"value": self.scheduler.framework_id}, "executor_id": {"value": self.id}, **ids}

    def subscribe(self, ids=None, **content):
        return Stream(self.agent.address, "/api/v1/executor", json.dumps(
            {"type": "SUBSCRIBE", **(ids or self.ids()), "subscribe": content}), {"Content-Type": "application/json"})

    def next(self, timeout=10):
        record = self.stream.next(timeout)
        return None if record is None else json.loads(record)

    def post(self, kind, ids=None, **content):
        return post(self.agent.address, "/api/v1/executor", {"type": kind, **(ids or self.ids()), **content})

    def update(self, task_id, state, uuid_text=None, **fields):
        return self.post("UPDATE", update={"status": {
            "task_id": {"value": task_id}, "state": state, "source": "SOURCE_EXECUTOR",
            "uuid": uuid_text or new_uuid(), **fields}})

    def run(self, *tasks):
        for task_id in tasks or self.tasks:
            assert self.update(task_id, "TASK_RUNNING").status == 202
            self.scheduler.wait_update(task_id, "TASK_RUNNING")


@pytest.fixture
def puppet(scheduler, agent):
    one = Puppet(scheduler, agent)
    yield one
    one.stream.close()


# ---- it dies, or never comes ----

@pytest.mark.parametrize("command, code", [("exit 3", 3), ("true", 0), ("kill -KILL $$", -9)])
def test_it_dies_before_it_subscribes(scheduler, agent, command, code):
    puppet = Puppet(scheduler, agent, tasks=2, command=command, subscribes=False)
    for task_id in puppet.tasks:
        status = scheduler.wait_end(task_id)
        assert (status["state"], status["reason"], status["source"]) == (
            "TASK_FAILED", "REASON_EXECUTOR_TERMINATED", "SOURCE_AGENT")
        assert status["executor_id"] == {"value": puppet.id}
    failure = scheduler.wait("FAILURE", lambda e: "executor_id" in e["failure"])["failure"]
    assert failure["executor_id"] == {"value": puppet.id} and failure["agent_id"] == puppet.agent_id
    assert os.waitstatus_to_exitcode(failure["status"]) == code


def test_it_never_subscribes(scheduler, agent):
    puppet = Puppet(scheduler, agent, tasks=2, subscribes=False)
    for task_id in puppet.tasks:
        status = scheduler.wait_end(task_id)
        assert (status["state"], status["reason"], status["source"]) == (
            "TASK_FAILED", "REASON_EXECUTOR_REGISTRATION_TIMEOUT", "SOURCE_AGENT")
        assert status["message"].startswith("Executor did not register within 2secs")


def test_a_program_that_is_none(scheduler, agent):
    puppet = Puppet(scheduler, agent, command="/no/such/program", subscribes=False)
    assert scheduler.wait_end(puppet.tasks[0])["reason"] == "REASON_EXECUTOR_TERMINATED"


def test_its_task_is_killed_before_it_subscribes(scheduler, agent):
    puppet = Puppet(scheduler, agent, tasks=2, subscribes=False)
    puppet.wait_known()
    scheduler.kill(puppet.tasks[0])
    status = scheduler.wait_end(puppet.tasks[0])
    assert (status["state"], status["reason"]) == ("TASK_KILLED", "REASON_TASK_KILLED_DURING_LAUNCH")
    puppet.stream = puppet.subscribe()
    assert puppet.next()["type"] == "SUBSCRIBED"
    assert puppet.next()["launch"]["task"]["task_id"]["value"] == puppet.tasks[1]
    puppet.run(puppet.tasks[1])
    puppet.stream.close()


def test_its_connection_drops(scheduler, agent, puppet):
    """Without checkpointing, Mesos lets it come back as long as its process lives."""
    puppet.run()
    puppet.stream.close()
    assert puppet.entry() is not None
    puppet.stream = puppet.subscribe(unacknowledged_tasks=[], unacknowledged_updates=[])
    assert puppet.next()["type"] == "SUBSCRIBED"
    assert puppet.update(puppet.tasks[0], "TASK_FINISHED").status == 202
    assert scheduler.wait_end(puppet.tasks[0])["state"] == "TASK_FINISHED"


# ---- it comes under a wrong name ----

@pytest.mark.parametrize("ids, text", [
    ({"framework_id": {"value": "nobody"}}, "Framework cannot be found"),
    ({"executor_id": {"value": "nobody"}}, "Executor cannot be found"),
    ({"framework_id": {"value": "../x"}}, "Framework cannot be found"),
    ({"executor_id": {"value": ""}}, "Executor cannot be found"),
    ({"executor_id": {"value": "x" * 300}}, "Executor cannot be found"),
    ({"framework_id": {"value": ""}}, "Framework cannot be found"),
])
def test_wrong_ids(scheduler, puppet, ids, text):
    stream = puppet.subscribe(puppet.ids(**ids))
    assert (stream.status, stream.error_text) == (400, text)
    response = puppet.post("MESSAGE", puppet.ids(**ids), message={"data": "AAAA"})
    assert (response.status, response.text) == (400, text)
    puppet.run()


def test_calls_before_it_subscribes(scheduler, agent):
    puppet = Puppet(scheduler, agent, subscribes=False)
    puppet.wait_known()
    response = puppet.update(puppet.tasks[0], "TASK_RUNNING")
    assert (response.status, response.text) == (403, "Executor is not subscribed")
    response = puppet.post("MESSAGE", message={"data": "AAAA"})
    assert (response.status, response.text) == (403, "Executor is not subscribed")


def test_it_subscribes_twice(scheduler, agent, puppet):
    """The newer connection counts; the older one ends."""
    puppet.run()
    older, puppet.stream = puppet.stream, puppet.subscribe()
    while older.next(10) is not None:
        pass
    older.close()
    assert puppet.next()["type"] == "SUBSCRIBED"
    scheduler.kill(puppet.tasks[0])
    assert puppet.next()["type"] == "KILL"


def test_it_subscribes_for_the_bystander(scheduler, agent, living, puppet):
    """A generated executor's ids, with this framework's: that executor is none of its own."""
    stream = puppet.subscribe(puppet.ids(executor_id={"value": living.task_id}))
    assert (stream.status, stream.error_text) == (400, "Executor cannot be found")


# ---- its updates ----

@pytest.mark.parametrize("status, text", [
    ({"uuid": None}, "Expecting 'uuid' to be present"),
    ({"uuid": "AAAA"}, "Not a valid UUID"),
    ({"source": None}, "with invalid source, expecting 'SOURCE_EXECUTOR'"),
    ({"source": "SOURCE_MASTER"}, "with invalid source, expecting 'SOURCE_EXECUTOR'"),
    ({"state": "TASK_STAGING"}, "which is not allowed"),
    ({"executor_id": {"value": "other"}}, "does not match ExecutorID in TaskStatus: other"),
    ({"check_status": {}}, "CheckStatusInfo must specify 'type'"),
])
def test_updates_that_are_refused(scheduler, puppet, status, text):
    response = puppet.post("UPDATE", update={"status": {
        "task_id": {"value": puppet.tasks[0]}, "state": "TASK_RUNNING", "source": "SOURCE_EXECUTOR",
        "uuid": new_uuid(), **status}})
    assert response.status == 400
    assert response.text.startswith("Failed to validate Executor::Call: ") and text in response.text
    assert "\n" not in response.text
    puppet.run()


def test_update_of_another_agents_task(scheduler, agent, puppet):
    assert puppet.update(puppet.tasks[0], "TASK_FINISHED", agent_id={"value": "elsewhere"}).status == 202
    puppet.run()
    assert "TASK_FINISHED" not in scheduler.states_of(puppet.tasks[0])


def test_update_of_a_task_of_another_framework(scheduler, agent, living, puppet):
    """The bystander's task id, in this framework, is that of an unknown task."""
    assert puppet.update(living.task_id, "TASK_FAILED").status == 202
    puppet.run()
    living.check()


def test_update_of_a_task_of_another_executor(scheduler, agent, master, puppet):
    """Only its own executor may end a task."""
    other = Puppet(scheduler, agent)
    other.run()
    assert puppet.update(other.tasks[0], "TASK_FAILED").status == 202
    acknowledged = puppet.next()  # or it would send it for ever
    assert acknowledged["type"] == "ACKNOWLEDGED"
    puppet.run()
    assert "TASK_FAILED" not in scheduler.states_of(other.tasks[0])
    assert [t["state"] for t in other.entry()["tasks"]] == ["TASK_RUNNING"]
    assert other.update(other.tasks[0], "TASK_FINISHED").status == 202
    assert scheduler.wait_end(other.tasks[0])["state"] == "TASK_FINISHED"
    other.stream.close()


def test_update_of_an_invented_task(scheduler, agent, puppet):
    """It reaches the framework, as in Mesos, which alone knows what it means; no books change."""
    assert puppet.update("invented", "TASK_RUNNING").status == 202
    scheduler.wait_update("invented", "TASK_RUNNING")
    puppet.run()
    assert [t["id"] for t in puppet.entry()["tasks"]] == puppet.tasks
    states = scheduler.states_of("invented")
    assert puppet.update("invented", "TASK_FAILED").status == 202
    scheduler.wait_update("invented", "TASK_FAILED")
    assert states == ["TASK_RUNNING"]


def test_updates_twice(scheduler, agent, master, puppet):
    """The same update again, before and after its acknowledgement, is heard once."""
    task_id, same = puppet.tasks[0], new_uuid()
    scheduler.acknowledges = False
    assert puppet.update(task_id, "TASK_RUNNING", same).status == 202
    assert puppet.update(task_id, "TASK_RUNNING", same).status == 202
    status = scheduler.wait_update(task_id, "TASK_RUNNING")
    scheduler.acknowledge(status)
    scheduler.acknowledges = True
    assert puppet.update(task_id, "TASK_RUNNING", same).status == 202
    finish = new_uuid()
    for _ in range(3):
        assert puppet.update(task_id, "TASK_FINISHED", finish).status == 202
    assert scheduler.wait_end(task_id)["state"] == "TASK_FINISHED"
    second = new_uuid()
    assert puppet.update("marker", "TASK_RUNNING", second).status == 202
    scheduler.wait_update("marker", "TASK_RUNNING")
    assert scheduler.states_of(task_id) == ["TASK_RUNNING", "TASK_FINISHED"]
    seen = []
    while second not in seen:
        event = puppet.next()
        assert event["type"] == "ACKNOWLEDGED"
        seen.append(event["acknowledged"]["uuid"])
    assert same in seen and finish in seen
    assert puppet.update("marker", "TASK_FINISHED").status == 202
    scheduler.wait_end("marker")


def test_terminal_twice(scheduler, agent, master, puppet):
    """What has ended stays as it ended, whatever is said later."""
    task_id = puppet.tasks[0]
    puppet.run()
    assert puppet.update(task_id, "TASK_FINISHED", message="first").status == 202
    for state in ("TASK_FAILED", "TASK_FINISHED", "TASK_RUNNING", "TASK_STARTING"):
        assert puppet.update(task_id, state, message="again").status == 202
    assert scheduler.wait_end(task_id)["message"] == "first"
    assert puppet.update("marker", "TASK_FINISHED").status == 202
    scheduler.wait_end("marker")
    assert scheduler.states_of(task_id) == ["TASK_RUNNING", "TASK_FINISHED"]
    entry = next(f for f in master.state()["frameworks"] if f["id"] == scheduler.framework_id)
    assert [(t["id"], t["state"]) for t in entry["completed_tasks"]] == [(task_id, "TASK_FINISHED")]
    assert entry["tasks"] == []


def test_state_that_goes_back(scheduler, agent, master, puppet):
    """Mesos passes STARTING after RUNNING on; the resources stay counted once."""
    task_id = puppet.tasks[0]
    puppet.run()
    assert puppet.update(task_id, "TASK_STARTING").status == 202
    scheduler.wait_update(task_id, "TASK_STARTING")
    assert puppet.update(task_id, "TASK_FINISHED").status == 202
    scheduler.wait_end(task_id)
    used = master.state()["slaves"][0]["used_resources"]
    assert used["mem"] == 64  # the bystander and the executor


@pytest.mark.parametrize("state", ["TASK_UNREACHABLE", "TASK_UNKNOWN", "TASK_GONE_BY_OPERATOR", "TASK_DROPPED",
                                   "TASK_LOST", "TASK_ERROR"])
def test_states_that_are_not_an_executors(scheduler, agent, master, puppet, state):
    """Whatever it claims, the daemons stay, and the books of both agree."""
    task_id = puppet.tasks[0]
    puppet.run()
    response = puppet.update(task_id, state)
    if state in ("TASK_UNREACHABLE", "TASK_UNKNOWN", "TASK_GONE_BY_OPERATOR"):
        assert response.status == 400 and "which is not allowed" in response.text
    else:
        assert response.status == 202
    puppet.update(task_id, "TASK_FINISHED")
    scheduler.wait_update(task_id, harness.TERMINAL | {state})

    def agree():
        mine = {t["id"] for t in puppet.entry()["tasks"]}
        entry = next(f for f in master.state()["frameworks"] if f["id"] == scheduler.framework_id)
        return mine == {t["id"] for t in entry["tasks"]}

    wait_for(agree, what="the books to agree")


def test_subscribe_with_odd_lists(scheduler, agent, living, puppet):
    """Unacknowledged tasks and updates that it never had."""
    puppet.run()
    odd = puppet.subscribe(
        unacknowledged_tasks=[make_task("x", agent_id=puppet.agent_id, task_id=living.task_id)],
        unacknowledged_updates=[
            {"status": {"task_id": {"value": living.task_id}, "state": "TASK_LOST", "uuid": new_uuid()}},
            {"status": {"task_id": {"value": "t"}, "state": "TASK_RUNNING", "uuid": "AAAA"}},
            {"status": {"task_id": {"value": "t"}, "state": "TASK_RUNNING"}}])
    assert odd.status == 200
    puppet.stream.close()
    puppet.stream = odd
    kinds = [puppet.next()["type"], puppet.next()["type"]]
    assert "SUBSCRIBED" in kinds
    living.check()
    assert puppet.update(puppet.tasks[0], "TASK_FINISHED").status == 202
    scheduler.wait_end(puppet.tasks[0])


def test_messages(scheduler, agent, puppet):
    """An empty one, and one of a megabyte, in both directions."""
    for data in (b"", os.urandom(1 << 20)):
        text = base64.b64encode(data).decode()
        assert puppet.post("MESSAGE", message={"data": text}).status == 202
        assert scheduler.wait("MESSAGE")["message"].get("data", "") == text
        scheduler.call("MESSAGE", agent_id=puppet.agent_id, executor_id={"value": puppet.id}, data=text)
        assert puppet.next()["message"].get("data", "") == text


def test_garbage_between(scheduler, agent, puppet):
    """Refused calls of an executor do not end its connection."""
    for body in (b"", b"{", b"[]", b'{"type":"UPDATE"}', b"\0" * 100):
        response = post(agent.address, "/api/v1/executor", body, headers={"Content-Type": "application/json"})
        assert response.status == 400
    response = puppet.post("UNKNOWN")
    assert response.status == 501
    assert puppet.post("HEARTBEAT").status == 202
    puppet.run()


def test_a_command_task_with_the_id_of_an_executor(scheduler, agent, puppet):
    """A command task's executor is called like the task: that name may be taken."""
    puppet.run()
    task = make_task("true", task_id=puppet.id)
    scheduler.launch(scheduler.take_offer(), [task], refuse_seconds=0)
    status = scheduler.wait_end(puppet.id)
    assert status["state"] in ("TASK_FINISHED", "TASK_ERROR", "TASK_LOST", "TASK_FAILED"), status
    assert puppet.update(puppet.tasks[0], "TASK_FINISHED").status == 202
    assert scheduler.wait_end(puppet.tasks[0])["state"] == "TASK_FINISHED"
