# SPDX-License-Identifier: Apache-2.0
"""Sound messages that make no sense, to the master: who may call, and what an ACCEPT may say."""

import json
import uuid

import pytest

import harness
from bystander import Bystander
from harness import Stream, make_task, post, scalar, wait_for


cluster = pytest.fixture(scope="module")(harness.run_cluster)


@pytest.fixture(scope="module")
def master(cluster):
    # A short interval: what a refused task leaves is offered again at once.
    return cluster.start_master(allocation_interval="20ms")


@pytest.fixture(scope="module")
def agent(cluster, master):
    return cluster.start_agent(master, resources="cpus:4;mem:2048;disk:1024;ports:[31000-31099]")


@pytest.fixture(scope="module")
def living(cluster, agent, master):
    return Bystander(cluster, master)


@pytest.fixture(scope="module")
def framework(cluster, living):
    return cluster.scheduler(name="subject")


@pytest.fixture
def subject(framework, living, master):
    """A subscribed framework; after the test the bystander is well, and the books hold nothing of the subject."""
    yield framework
    living.check()

    def is_clean():
        entry = next(f for f in master.state()["frameworks"] if f["id"] == framework.framework_id)
        return not entry["tasks"] and not entry["executors"] and entry["used_resources"]["cpus"] == 0

    wait_for(is_clean, what="the subject's tasks to be gone")
    used = master.state()["slaves"][0]["used_resources"]
    assert (used["cpus"], used["mem"]) == (0.1, 32)  # the bystander's


# ---- who may call ----

def call(master, scheduler, body, stream_id=None):
    headers = {} if stream_id is None else {"Mesos-Stream-Id": stream_id}
    return post(master.address, "/api/v1/scheduler", body, headers=headers)


def revive(framework_id):
    return {"type": "REVIVE", "framework_id": {"value": framework_id}}


def test_no_stream_id(master, subject):
    response = call(master, subject, revive(subject.framework_id))
    assert (response.status, response.text) == (
        400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header")


@pytest.mark.parametrize("stream_id", ["", "x", "00000000-0000-0000-0000-000000000000", "a" * 5000])
def test_wrong_stream_id(master, subject, stream_id):
    response = call(master, subject, revive(subject.framework_id), stream_id)
    assert response.status == 400
    assert "\n" not in response.text and "stream ID" in response.text or "Mesos-Stream-Id" in response.text


def test_stream_id_of_another_framework(master, subject, living):
    response = call(master, subject, revive(subject.framework_id), living.scheduler.stream_id)
    assert (response.status, response.text) == (
        400, "The stream ID '%s' included in this request didn't match the stream ID currently associated with "
        "framework ID %s" % (living.scheduler.stream_id, subject.framework_id))
    # Nor may it end the other with its own stream's id.
    response = call(master, subject, {"type": "TEARDOWN", "framework_id": {"value": living.scheduler.framework_id}},
                    subject.stream_id)
    assert response.status == 400


@pytest.mark.parametrize("framework_id", ["unknown", "", "../x", "x" * 300, "a/b", "\u00e9", "a\nb"])
def test_unknown_framework(master, subject, framework_id):
    response = call(master, subject, revive(framework_id), subject.stream_id)
    assert (response.status, response.text) == (400, "Framework cannot be found")


def test_framework_that_is_not_connected(cluster, master, subject):
    gone = cluster.scheduler(name="gone", failover_timeout=60)
    gone.close()
    wait_for(lambda: not next(f for f in master.state()["frameworks"] if f["id"] == gone.framework_id)["connected"])
    response = gone.post(revive(gone.framework_id))
    assert (response.status, response.text) == (403, "Framework is not subscribed")
    gone.subscribe()
    gone.teardown()


def test_framework_that_is_gone(cluster, master, subject):
    gone = cluster.scheduler(name="gone")
    gone.teardown()
    response = gone.post(revive(gone.framework_id))
    assert (response.status, response.text) == (400, "Framework cannot be found")
    again = cluster.scheduler(subscribe=False, name="gone", id={"value": gone.framework_id})
    stream = Stream(master.address, "/api/v1/scheduler", json.dumps(
        {"type": "SUBSCRIBE", "framework_id": {"value": gone.framework_id},
         "subscribe": {"framework_info": again.framework}}), {"Content-Type": "application/json"})
    assert stream.status == 200
    assert b"Framework has been removed" in stream.next(10)
    assert stream.next(10) is None  # and the stream ends
    stream.close()


def test_old_stream_after_failover(cluster, master, subject):
    first = cluster.scheduler(name="twice", failover_timeout=60)
    second = cluster.scheduler(name="twice", failover_timeout=60, id={"value": first.framework_id})
    with pytest.raises(AssertionError, match="Framework failed over"):
        first.wait("SUBSCRIBED", timeout=5)
    response = first.post(revive(first.framework_id))
    assert response.status == 400 and "didn't match the stream ID" in response.text
    second.teardown()


MISSING = {"ACCEPT": "accept", "DECLINE": "decline", "KILL": "kill", "SHUTDOWN": "shutdown",
           "ACKNOWLEDGE": "acknowledge", "RECONCILE": "reconcile", "MESSAGE": "message", "REQUEST": "request",
           "ACCEPT_INVERSE_OFFERS": "accept_inverse_offers", "DECLINE_INVERSE_OFFERS": "decline_inverse_offers",
           "ACKNOWLEDGE_OPERATION_STATUS": "acknowledge_operation_status",
           "RECONCILE_OPERATIONS": "reconcile_operations", "UPDATE_FRAMEWORK": "update_framework"}


@pytest.mark.parametrize("kind", sorted(MISSING))
def test_call_without_its_body(subject, kind):
    response = subject.post({"type": kind, "framework_id": {"value": subject.framework_id}})
    assert (response.status, response.text) == (
        400, "Failed to validate scheduler::Call: Expecting '%s' to be present" % MISSING[kind])


def test_call_without_type(subject):
    for kind in ({}, {"type": None}, {"type": "NO_SUCH_CALL"}):
        response = subject.post({**kind, "framework_id": {"value": subject.framework_id}})
        assert (response.status, response.text) == (
            400, "Failed to validate scheduler::Call: Expecting 'type' to be present")


def test_unknown_call(subject):
    assert subject.post({"type": "UNKNOWN", "framework_id": {"value": subject.framework_id}}).status == 501


def test_call_without_framework_id(subject):
    response = subject.post({"type": "REVIVE"})
    assert (response.status, response.text) == (
        400, "Failed to validate scheduler::Call: Expecting 'framework_id' to be present")


@pytest.mark.parametrize("body, names", [
    ({"kill": {}}, ["task_id"]), ({"kill": {"task_id": {}}}, ["value"]),
    ({"acknowledge": {"task_id": {"value": "t"}}}, ["agent_id", "uuid"]),
    ({"message": {"agent_id": {"value": "a"}}}, ["executor_id", "data"]),
    ({"accept": {"operations": [{"launch": {"task_infos": [{"name": "x"}]}}]}}, ["task_id", "agent_id"]),
])
def test_required_fields_are_named(subject, body, names):
    response = subject.post({"type": next(iter(body)).upper(), "framework_id": {"value": subject.framework_id}, **body})
    assert response.status == 400
    assert "\n" not in response.text
    for name in names:
        assert name in response.text, response.text


@pytest.mark.parametrize("uuid_text", ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAAA==", "not base64!"])
def test_acknowledge_with_a_bad_uuid(subject, living, uuid_text):
    response = subject.post({"type": "ACKNOWLEDGE", "framework_id": {"value": subject.framework_id}, "acknowledge": {
        "agent_id": {"value": "a"}, "task_id": {"value": living.task_id}, "uuid": uuid_text}})
    assert response.status == 400
    assert "\n" not in response.text


def test_subscribe_with_a_stream_id(subject):
    response = subject.post({"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "u", "name": "n"}}})
    assert (response.status, response.text) == (
        400, "Subscribe calls should not include the 'Mesos-Stream-Id' header")


def test_subscribe_that_accepts_nothing(master, subject):
    response = post(master.address, "/api/v1/scheduler", {
        "type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "u", "name": "n"}}},
        headers={"Accept": "text/plain"})
    assert response.status == 406


def test_subscribe_with_two_ids(master, subject):
    response = post(master.address, "/api/v1/scheduler", {
        "type": "SUBSCRIBE", "framework_id": {"value": "a"},
        "subscribe": {"framework_info": {"user": "u", "name": "n", "id": {"value": "b"}}}})
    assert (response.status, response.text) == (
        400, "Failed to validate scheduler::Call: 'framework_id' differs from 'subscribe.framework_info.id'")


@pytest.mark.parametrize("info, text", [
    ({"role": "a/../b"}, "'FrameworkInfo.role' is not a valid role"),
    ({"role": "-a"}, "'FrameworkInfo.role' is not a valid role"),
    ({"role": "a b"}, "'FrameworkInfo.role' is not a valid role"),
    ({"roles": ["a"]}, "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"),
    ({"role": "a", "capabilities": [{"type": "MULTI_ROLE"}]},
     "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"),
    ({"roles": ["a", "a"], "capabilities": [{"type": "MULTI_ROLE"}]},
     "'FrameworkInfo.roles' contains duplicate items"),
    ({"id": {"value": "../x"}}, "contains invalid characters"),
    ({"id": {"value": "x" * 300}}, "ID must not be greater than 255 characters"),
    ({"id": {"value": ".."}}, "disallowed"),
    ({"failover_timeout": 1e300}, "The framework failover_timeout"),
    ({"failover_timeout": "nan"}, None),
])
def test_framework_info_that_is_no_good(master, subject, info, text):
    """The stream opens, tells the error and ends, as in Mesos."""
    body = {"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "u", "name": "n", **info}}}
    if "id" in info:
        body["framework_id"] = info["id"]
    before = {f["id"] for f in master.state()["frameworks"]}
    stream = Stream(master.address, "/api/v1/scheduler", json.dumps(body),
                    {"Content-Type": "application/json"})
    if stream.status == 200:
        event = json.loads(stream.next(10))
        assert event["type"] == "ERROR", event
        assert text in event["error"]["message"]
        assert stream.next(10) is None
    else:
        assert stream.status == 400
    stream.close()
    assert {f["id"] for f in master.state()["frameworks"]} == before


# ---- what an ACCEPT may say ----

def agent_of(master):
    return {"value": master.state()["slaves"][0]["id"]}


def accept_ids(scheduler, ids, tasks):
    scheduler.call("ACCEPT", offer_ids=[{"value": one} for one in ids],
                   operations=[{"type": "LAUNCH", "launch": {"task_infos": tasks}}], filters={"refuse_seconds": 0})


def task_for(master, **fields):
    return make_task("true", **{"agent_id": agent_of(master), **fields})


def id_of(task):
    return task["task_id"]["value"]


@pytest.mark.parametrize("aware", [False, True])
def test_unknown_offer(cluster, master, subject, aware):
    scheduler = cluster.scheduler(name="aware", capabilities=[{"type": "PARTITION_AWARE"}]) if aware else subject
    task = task_for(master)
    accept_ids(scheduler, ["no-such-offer"], [task])
    status = scheduler.wait_end(id_of(task))
    assert status["state"] == ("TASK_DROPPED" if aware else "TASK_LOST")
    assert status["reason"] == "REASON_INVALID_OFFERS"
    assert status["source"] == "SOURCE_MASTER"
    assert status["message"] == "Task launched with invalid offers: Offer no-such-offer is no longer valid"
    assert "uuid" not in status
    if aware:
        scheduler.teardown()


def test_no_offer(master, subject):
    task = task_for(master)
    accept_ids(subject, [], [task])
    assert subject.wait_end(id_of(task))["message"] == "Task launched with invalid offers: No offers specified"


def test_used_offer(master, subject):
    offer = subject.take_offer()
    first, second = task_for(master), task_for(master)
    subject.launch(offer, [first], refuse_seconds=0)
    subject.launch(offer, [second], refuse_seconds=0)
    status = subject.wait_end(id_of(second))
    assert (status["state"], status["reason"]) == ("TASK_LOST", "REASON_INVALID_OFFERS")
    assert status["message"] == "Task launched with invalid offers: Offer %s is no longer valid" % offer["id"]["value"]
    assert subject.wait_end(id_of(first))["state"] == "TASK_FINISHED"


def test_same_offer_twice(master, subject):
    offer = subject.take_offer()["id"]["value"]
    task = task_for(master)
    accept_ids(subject, [offer, offer], [task])
    assert subject.wait_end(id_of(task))["message"] == (
        "Task launched with invalid offers: Duplicate offer %s in offer list" % offer)


def test_offer_of_another_framework(cluster, master, subject):
    offer = subject.take_offer()
    thief = cluster.scheduler(name="thief")
    task = task_for(master)
    accept_ids(thief, [offer["id"]["value"]], [task])
    status = thief.wait_end(id_of(task))
    assert (status["state"], status["reason"]) == ("TASK_LOST", "REASON_INVALID_OFFERS")
    assert "has invalid framework %s while framework %s is expected" % (
        subject.framework_id, thief.framework_id) in status["message"]
    # DECLINE of a foreign offer does nothing either.
    thief.decline([offer])
    thief.teardown()
    mine = task_for(master)
    subject.launch(offer, [mine], refuse_seconds=0)
    assert subject.wait_end(id_of(mine))["state"] == "TASK_FINISHED"


def check_error(subject, task, text, reason="REASON_TASK_INVALID"):
    """The task is refused with that text and the offer's rest comes back."""
    offer = subject.take_offer()
    task.setdefault("agent_id", offer["agent_id"])
    subject.launch(offer, [task], refuse_seconds=0)
    status = subject.wait_end(id_of(task))
    assert (status["state"], status["reason"], status["source"]) == ("TASK_ERROR", reason, "SOURCE_MASTER"), status
    assert text in status["message"], status["message"]
    assert "uuid" not in status
    return status


def test_more_than_offered(subject):
    check_error(subject, make_task("true", cpus=64), "is more than available")
    check_error(subject, make_task("true", mem=1e9), "is more than available")
    check_error(subject, make_task("true", resources=[scalar("cpus", 0.1), scalar("mem", 32), scalar("gold", 1)]),
                "is more than available")
    check_error(subject, make_task("true", resources=[
        scalar("cpus", 0.1), scalar("mem", 32),
        {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 30999, "end": 31001}]}}]),
        "is more than available")


def test_together_more_than_offered(subject):
    """The first fits, the second no longer does."""
    offer = subject.take_offer()
    cpus = next(r["scalar"]["value"] for r in offer["resources"] if r["name"] == "cpus")
    first, second = make_task("true", cpus=cpus - 0.5), make_task("true", cpus=1)
    subject.launch(offer, [first, second], refuse_seconds=0)
    assert "is more than available" in subject.wait_end(id_of(second))["message"]
    assert subject.wait_end(id_of(first))["state"] == "TASK_FINISHED"


@pytest.mark.parametrize("resources, text", [
    ([], "Task uses no resources"),
    ([scalar("cpus", -1), scalar("mem", 32)], "Invalid scalar resource: value <= 0"),
    ([{"name": "cpus", "type": "SCALAR"}], "Invalid scalar resource"),
    ([{"name": "", "type": "SCALAR", "scalar": {"value": 1}}], "Empty resource name"),
    ([{"name": "ports", "type": "RANGES"}], "Invalid ranges resource"),
    ([{"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31005, "end": 31001}]}}],
     "Invalid ranges resource"),
    ([{"name": "x", "type": "SET"}], "Invalid set resource"),
    ([{"name": "x", "type": "TEXT"}], "Unsupported resource type"),
    ([scalar("cpus", 0.1, role="a/../b")], "Role"),
    ([scalar("gpus", 0.5), scalar("mem", 32)], "The 'gpus' resource must be an unsigned integer"),
])
def test_resources_that_are_none(subject, resources, text):
    check_error(subject, make_task("true", resources=resources), text)


@pytest.mark.parametrize("task_id, text", [
    ("", "ID must not be empty"), ("../x", "'../x' contains invalid characters"), ("..", "'..' is disallowed"),
    (".", "'.' is disallowed"), ("a/b", "'a/b' contains invalid characters"),
    ("a\\b", "contains invalid characters"), ("a\tb", "contains invalid characters"),
    pytest.param("x" * 300, "ID must not be greater than 255 characters", id="long")])
def test_bad_ids(agent, subject, task_id, text):
    task = make_task("true")
    task["task_id"]["value"] = task_id
    check_error(subject, task, text)
    executor = {"executor_id": {"value": task_id}, "command": {"value": "true"}, "resources": [scalar("cpus", 0.1)]}
    check_error(subject, make_task(executor=executor), text)


def test_duplicate_task_id(subject):
    one, same = make_task("sleep 100", task_id="same"), make_task("true", task_id="same")
    subject.launch(subject.take_offer(), [one, same], refuse_seconds=0)
    event = subject.wait("UPDATE", lambda e: e["update"]["status"]["state"] == "TASK_ERROR"
                         and e["update"]["status"]["task_id"]["value"] == "same")
    assert event["update"]["status"]["message"] == "Task has duplicate ID: same"
    subject.wait("UPDATE", lambda e: e["update"]["status"]["state"] == "TASK_RUNNING")
    subject.kill("same", 0.1)
    subject.wait("UPDATE", lambda e: e["update"]["status"]["state"] == "TASK_KILLED")


def test_wrong_agent_id(subject):
    offer = subject.take_offer()
    task = make_task("true", agent_id={"value": "elsewhere"})
    subject.launch(offer, [task], refuse_seconds=0)
    assert subject.wait_end(id_of(task))["message"] == (
        "Task uses invalid agent elsewhere while agent %s is expected" % offer["agent_id"]["value"])


EITHER = "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"


def make_executor(executor_id=None, **fields):
    return {"executor_id": {"value": executor_id or "e-" + uuid.uuid4().hex[:8]},
            "command": {"value": "sleep 1000"}, "resources": [scalar("cpus", 0.1), scalar("mem", 32)], **fields}


def test_neither_command_nor_executor_nor_both(subject):
    check_error(subject, make_task(), EITHER)
    check_error(subject, make_task("true", executor=make_executor()), EITHER)


@pytest.mark.parametrize("fields, text", [
    ({"framework_id": {"value": "other"}}, "ExecutorInfo has an invalid FrameworkID"),
    ({"type": "DEFAULT"}, "'ExecutorInfo.command' must not be set for 'DEFAULT' executor"),
    ({"shutdown_grace_period": {"nanoseconds": -1}}, "ExecutorInfo's 'shutdown_grace_period' must be non-negative"),
    ({"resources": [scalar("cpus", -1)]}, "Invalid scalar resource: value <= 0"),
    ({"command": None, "type": "CUSTOM"}, "'ExecutorInfo.command' must be set for 'CUSTOM' executor"),
    ({"command": None}, "'ExecutorInfo.command' must be set"),
    ({"resources": [scalar("cpus", 1000)]}, "is more than available"),
    ({"command": {"value": "true", "environment": {"variables": [{"name": "A", "type": "SECRET"}]}}},
     "Executor's `CommandInfo` is invalid"),
])
def test_executors_that_are_no_good(subject, fields, text):
    check_error(subject, make_task(executor=make_executor(**fields)), text)


@pytest.mark.parametrize("fields, text", [
    ({"kill_policy": {"grace_period": {"nanoseconds": -5}}}, "'kill_policy.grace_period' must be non-negative"),
    ({"max_completion_time": {"nanoseconds": -5}}, "`max_completion_time` must be non-negative"),
    ({"check": {}}, "CheckInfo must specify 'type'"),
    ({"check": {"type": "HTTP"}}, "Expecting 'http' to be set for HTTP check"),
    ({"health_check": {"type": "TCP"}}, "Expecting 'tcp' to be set for TCP health check"),
    ({"health_check": {"type": "COMMAND", "command": {"value": "x"}, "timeout_seconds": -1}}, "to be non-negative"),
    ({"container": {"type": "DOCKER"}}, "DockerInfo 'docker' is not set for DOCKER typed ContainerInfo"),
    ({"container": {"type": "MESOS", "volumes": [{"mode": "RW", "container_path": "x"}]}}, "Invalid volume"),
    ({"command": {"value": "x", "environment": {"variables": [{"name": "A"}]}}},
     "Environment variable 'A' of type 'VALUE' must have a value set"),
    ({"limits": {"disk": {"value": 1}}}, "Only cpus and mem may be included in a task's resource limits"),
    ({"limits": {"cpus": {"value": 0.01}}}, "The cpu limit must be greater than or equal to the cpu request"),
])
def test_tasks_that_are_no_good(subject, fields, text):
    check_error(subject, make_task(**{"command": "true", **fields}), text)


def test_changed_executor(master, subject):
    executor = make_executor("constant", shutdown_grace_period={"nanoseconds": 100_000_000})
    first = make_task(executor=executor)
    subject.launch(subject.take_offer(), [first], refuse_seconds=0)
    wait_for(lambda: [f for f in master.state()["frameworks"] if f["id"] == subject.framework_id][0]["executors"])
    status = check_error(subject, make_task(executor={**executor, "command": {"value": "sleep 999"}}),
                         "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.")
    assert "sleep 1000" in status["message"] and "sleep 999" in status["message"]
    subject.call("SHUTDOWN", executor_id={"value": "constant"}, agent_id=first["agent_id"])
    assert subject.wait_end(id_of(first))["state"] in ("TASK_FAILED", "TASK_LOST", "TASK_KILLED")


def test_operation_that_is_none(subject):
    """Unknown and empty operations change nothing; a sound one behind them runs."""
    offer = subject.take_offer()
    task = make_task("true", agent_id=offer["agent_id"])
    subject.accept([offer], [{}, {"type": "NO_SUCH"}, {"type": "LAUNCH"},
                             {"type": "LAUNCH", "launch": {"task_infos": []}},
                             {"type": "LAUNCH", "launch": {"task_infos": [task]}}], 0)
    assert subject.wait_end(id_of(task))["state"] == "TASK_FINISHED"


@pytest.mark.parametrize("refuse_seconds", [-5, 1e300, "Infinity", "NaN", -1e300])
def test_filters_that_make_no_sense(subject, refuse_seconds):
    """Mesos takes them as its default; an ACCEPT never fails for a filter."""
    offer = subject.take_offer()
    body = {"type": "DECLINE", "framework_id": {"value": subject.framework_id},
            "decline": {"offer_ids": [offer["id"]], "filters": {"refuse_seconds": refuse_seconds}}}
    response = subject.post(body)
    assert response.status in (202, 400), response.text
    if response.status == 400:
        subject.decline([offer], 0)
    subject.call("REVIVE")


def test_kill_of_what_is_unknown(subject):
    subject.kill("nobody")
    status = subject.wait_end("nobody")
    assert (status["state"], status["reason"], status["source"]) == (
        "TASK_LOST", "REASON_RECONCILIATION", "SOURCE_MASTER")


def test_kill_of_a_foreign_task(subject, living):
    subject.kill(living.task_id)
    assert subject.wait_end(living.task_id)["state"] == "TASK_LOST"


def test_calls_about_unknown_things(subject):
    nobody = {"agent_id": {"value": "nobody"}}
    subject.call("SHUTDOWN", executor_id={"value": "x"}, **nobody)
    subject.call("MESSAGE", executor_id={"value": "x"}, data="AAAA", **nobody)
    subject.call("ACKNOWLEDGE", task_id={"value": "x"}, uuid="AAAAAAAAQACAAAAAAAAAAA==", **nobody)
    subject.call("DECLINE", offer_ids=[{"value": "nothing"}])
    subject.call("ACCEPT_INVERSE_OFFERS", inverse_offer_ids=[{"value": "nothing"}])
    subject.call("REVIVE", roles=["not-mine"])
    subject.call("SUPPRESS", roles=["not-mine", "a/../b"])
    subject.call("REQUEST", requests=[{"resources": [scalar("cpus", 1)]}])
    # It still gets offers.
    subject.decline([subject.take_offer()], 0)


# ---- everything twice ----

def test_every_call_twice(cluster, master, subject):
    """What is said twice counts once."""
    offer = subject.take_offer()  # before SUPPRESS: afterwards none may come any more
    subject.call("SUPPRESS")
    subject.decline([offer], 0)  # or it would hold all there is
    twice = cluster.scheduler(name="twice")
    call_once = twice.call
    twice.call = lambda kind, **content: (call_once(kind, **content), call_once(kind, **content))[0]
    offer = twice.wait_offer()
    task, killed = task_for(master), make_task("sleep 1000", agent_id=agent_of(master))
    twice.launch(offer, [task, killed], refuse_seconds=0)
    # The second ACCEPT used an offer that was gone: its tasks' ids are those of the first, and get TASK_LOST.
    twice.wait("UPDATE", lambda e: e["update"]["status"].get("reason") == "REASON_INVALID_OFFERS"
               and e["update"]["status"]["task_id"] == killed["task_id"])
    twice.wait("UPDATE", lambda e: e["update"]["status"]["task_id"] == task["task_id"]
               and e["update"]["status"]["state"] == "TASK_FINISHED")
    twice.wait_update(id_of(killed), {"TASK_RUNNING", "TASK_LOST"})
    wait_for(lambda: twice.pump() or [t["state"] for f in master.state()["frameworks"] if f["id"] == twice.framework_id
                                      for t in f["tasks"]] == ["TASK_RUNNING"], what="the second task to run")
    twice.pump()
    twice.call("RECONCILE", tasks=[])
    twice.call("MESSAGE", agent_id=agent_of(master), executor_id=killed["task_id"], data="AAAA")
    twice.call("SUPPRESS")
    twice.call("REVIVE")
    twice.decline([offer], 0)
    twice.kill(id_of(killed), 0.1)
    twice.wait("UPDATE", lambda e: e["update"]["status"]["state"] == "TASK_KILLED")
    states = [s for s in twice.states_of(id_of(killed)) if s == "TASK_KILLED"]
    assert states == ["TASK_KILLED"]
    twice.call = call_once
    twice.teardown()
    assert twice.post({"type": "TEARDOWN", "framework_id": {"value": twice.framework_id}}).status == 400
    subject.call("REVIVE")
