# SPDX-License-Identifier: Apache-2.0
"""Every call and every event of the executor API, in both encodings: what a call does when it is well formed, and what
is said of it when a field that is checked is broken. The protobuf side is made by a stock protoc, and speaks for an
executor whose container only sleeps."""

import base64
import json

import google.protobuf.json_format as json_format
import pytest

import harness
import protobuf_client
from harness import Stream, make_task, post, scalar, wait_for
from test_bad_input_executor import Puppet, new_uuid

(_executor,) = protobuf_client.load("executor")
JSON, PROTOBUF = "application/json", "application/x-protobuf"
PATH = "/api/v1/executor"


class Voice(Puppet):
    """An executor that speaks JSON."""

    MEDIA = JSON

    def encode(self, call):
        return json.dumps(call)

    def decode(self, record):
        return json.loads(record)

    def subscribe(self, ids=None, **content):
        return Stream(self.agent.address, PATH, self.encode({"type": "SUBSCRIBE", **(ids or self.ids()), "subscribe": content}),
                      {"Content-Type": self.MEDIA, "Accept": self.MEDIA})

    def next(self, timeout=10):
        record = self.stream.next(timeout)
        return None if record is None else self.decode(record)

    def send(self, call, **headers):
        return post(self.agent.address, PATH, self.encode(call), headers={"Content-Type": self.MEDIA, **headers})

    def post(self, kind, ids=None, **content):
        return self.send({"type": kind, **(ids or self.ids()), **content})

    def status(self, **fields):
        return {"task_id": {"value": self.tasks[0]}, "state": "TASK_RUNNING", "source": "SOURCE_EXECUTOR",
                "uuid": new_uuid(), **fields}


class ProtobufVoice(Voice):
    MEDIA = PROTOBUF

    def encode(self, call):
        return json_format.ParseDict(call, _executor.Call()).SerializePartialToString()

    def decode(self, record):
        event = _executor.Event()
        event.ParseFromString(record)
        return json_format.MessageToDict(event, preserving_proto_field_name=True)


VOICES = {"json": Voice, "protobuf": ProtobufVoice}

cluster = pytest.fixture(scope="module")(harness.run_cluster)


@pytest.fixture(scope="module")
def agent(cluster):
    master = cluster.start_master(allocation_interval="20ms")
    return cluster.start_agent(master, executor_shutdown_grace_period="300ms")


@pytest.fixture(scope="module")
def scheduler(cluster, agent):
    one = cluster.scheduler(cluster.masters[0], name="subject", failover_timeout=60)
    take = one.take_offer

    def take_whole():
        """What others gave back is offered in pieces, until these are declined."""
        one.pump()
        pieces = [o["id"] for e in one.events if e["type"] == "OFFERS" for o in e["offers"]["offers"]]
        one.call("DECLINE", offer_ids=pieces, filters={"refuse_seconds": 0})
        return take(has_room)
    one.take_offer = take_whole
    return one


def has_room(offer):
    amounts = {r["name"]: r["scalar"]["value"] for r in offer["resources"] if "scalar" in r}
    return amounts.get("cpus", 0) >= 0.5 and amounts.get("mem", 0) >= 128 and amounts.get("disk", 0) >= 1


@pytest.fixture(params=VOICES, scope="module")
def sound(request, scheduler, agent):
    """One executor per encoding for all that is refused: nothing of that changes it."""
    voice = VOICES[request.param](scheduler, agent)
    voice.run()
    assert voice.next()["type"] == "ACKNOWLEDGED"
    yield voice
    # It is as well as before.
    assert voice.update(voice.tasks[0], "TASK_FINISHED").status == 202
    assert scheduler.wait_end(voice.tasks[0])["state"] == "TASK_FINISHED"
    assert voice.next()["type"] == "ACKNOWLEDGED"
    assert scheduler.states_of(voice.tasks[0]) == ["TASK_RUNNING", "TASK_FINISHED"]
    voice.stream.close()
    scheduler.call("SHUTDOWN", executor_id={"value": voice.id}, agent_id=voice.agent_id)


@pytest.fixture(params=VOICES)
def voice(request, scheduler, agent):
    one = VOICES[request.param](scheduler, agent, tasks=2)
    yield one
    end(one)


def end(voice):
    """Without a word of its own; its tasks fail with it."""
    voice.stream.close()
    voice.scheduler.call("SHUTDOWN", executor_id={"value": voice.id}, agent_id=voice.agent_id)

    def is_gone():
        voice.scheduler.pump()  # which acknowledges
        return voice.entry() is None
    wait_for(is_gone, 20, "the executor's end")


# ---- well formed ----

def test_subscribe_and_its_events(scheduler, agent, voice):
    """SUBSCRIBED, LAUNCH; what a new subscription names is heard, what it does not name was never heard of."""
    assert voice.stream.headers["Content-Type"] == voice.MEDIA
    voice.run()
    seen = [voice.next() for _ in voice.tasks]
    assert [e["acknowledged"]["task_id"]["value"] for e in seen] == voice.tasks
    voice.stream.close()
    told = voice.status(state="TASK_FINISHED", message="while it was away")
    infos = [make_task(task_id=task_id, executor={"executor_id": {"value": voice.id}, "command": {"value": "x"}},
                       agent_id=voice.agent_id) for task_id in voice.tasks]
    voice.stream = voice.subscribe(unacknowledged_updates=[{"status": told}], unacknowledged_tasks=infos)
    subscribed = voice.next()
    assert subscribed["type"] == "SUBSCRIBED"
    assert subscribed["subscribed"]["executor_info"]["executor_id"]["value"] == voice.id
    assert subscribed["subscribed"]["framework_info"]["id"]["value"] == scheduler.framework_id
    assert subscribed["subscribed"]["agent_info"]["id"] == voice.agent_id
    assert subscribed["subscribed"]["container_id"]["value"]
    end = scheduler.wait_end(voice.tasks[0])
    assert (end["state"], end["message"]) == ("TASK_FINISHED", "while it was away")
    assert voice.next()["acknowledged"]["uuid"] == told["uuid"]


def test_update(scheduler, agent, voice):
    """All that an update may hold comes to the framework as it was said."""
    said = voice.status(message="m", data=base64.b64encode(b"d").decode(), healthy=True, timestamp=1234.5,
                        reason="REASON_TASK_CHECK_STATUS_UPDATED", labels={"labels": [{"key": "k", "value": "v"}]},
                        check_status={"type": "HTTP", "http": {"status_code": 204}},
                        executor_id={"value": voice.id}, agent_id=voice.agent_id)
    assert voice.post("UPDATE", update={"status": said}).status == 202
    heard = scheduler.wait_update(voice.tasks[0], "TASK_RUNNING")
    for name in ("message", "data", "healthy", "timestamp", "reason", "labels", "check_status", "uuid", "source"):
        assert heard[name] == said[name], name
    acknowledged = voice.next()
    assert (acknowledged["type"], acknowledged["acknowledged"]["uuid"]) == ("ACKNOWLEDGED", said["uuid"])
    assert acknowledged["acknowledged"]["task_id"]["value"] == voice.tasks[0]
    # The same once more is known, and acknowledged; nothing goes on.
    assert voice.post("UPDATE", update={"status": said}).status == 202
    assert voice.next()["acknowledged"]["uuid"] == said["uuid"]


def test_messages_and_heartbeats(scheduler, agent, voice):
    data = base64.b64encode(b"\x00\xffup").decode()
    assert voice.post("MESSAGE", message={"data": data}).status == 202
    message = scheduler.wait("MESSAGE", lambda e: e["message"]["executor_id"]["value"] == voice.id)["message"]
    assert (message["data"], message["agent_id"]) == (data, voice.agent_id)
    scheduler.call("MESSAGE", agent_id=voice.agent_id, executor_id={"value": voice.id}, data=data)
    event = voice.next()
    assert (event["type"], event["message"]["data"]) == ("MESSAGE", data)
    assert voice.post("HEARTBEAT").status == 202


def test_kill_and_shutdown(scheduler, agent, voice):
    voice.run()
    for _ in voice.tasks:
        voice.next()
    scheduler.call("KILL", task_id={"value": voice.tasks[0]}, kill_policy={"grace_period": {"nanoseconds": 5}})
    event = voice.next()
    assert (event["type"], event["kill"]["task_id"]["value"]) == ("KILL", voice.tasks[0])
    assert int(event["kill"]["kill_policy"]["grace_period"]["nanoseconds"]) == 5
    assert voice.update(voice.tasks[0], "TASK_KILLED").status == 202
    assert scheduler.wait_end(voice.tasks[0])["state"] == "TASK_KILLED"
    assert voice.next()["type"] == "ACKNOWLEDGED"
    scheduler.call("SHUTDOWN", executor_id={"value": voice.id}, agent_id=voice.agent_id)
    assert voice.next()["type"] == "SHUTDOWN"
    assert voice.next(20) is None
    assert scheduler.wait_end(voice.tasks[1])["state"] == "TASK_FAILED"


@pytest.mark.parametrize("kind", VOICES)
def test_a_group(cluster, scheduler, agent, kind):
    """A custom executor that is given a task group hears LAUNCH_GROUP."""
    voice = VOICES[kind].__new__(VOICES[kind])
    voice.agent, voice.scheduler, voice.id = agent, scheduler, "group-" + kind
    executor = {"type": "CUSTOM", "executor_id": {"value": voice.id}, "command": {"value": "sleep 1000"},
                "framework_id": {"value": scheduler.framework_id},
                "resources": [scalar("cpus", 0.1), scalar("mem", 32), scalar("disk", 1)]}
    offer = scheduler.take_offer()
    infos = [make_task("x", agent_id=offer["agent_id"]) for _ in range(2)]
    voice.tasks, voice.agent_id = [info["task_id"]["value"] for info in infos], offer["agent_id"]
    scheduler.accept([offer], [{"type": "LAUNCH_GROUP", "launch_group": {
        "executor": executor, "task_group": {"tasks": infos}}}], refuse_seconds=0)
    voice.wait_known()
    voice.stream = voice.subscribe()
    assert voice.next()["type"] == "SUBSCRIBED"
    event = voice.next()
    assert event["type"] == "LAUNCH_GROUP"
    assert [t["task_id"]["value"] for t in event["launch_group"]["task_group"]["tasks"]] == voice.tasks
    end(voice)


# ---- broken ----

INVALID = "Failed to validate Executor::Call: "


@pytest.mark.parametrize("kind", ["SUBSCRIBE", "UPDATE", "MESSAGE", "HEARTBEAT"])
@pytest.mark.parametrize("change, status, text", [
    ({"framework_id": {"value": "nobody"}}, 400, "Framework cannot be found"),
    ({"framework_id": {"value": ""}}, 400, "Framework cannot be found"),
    ({"executor_id": {"value": "nobody"}}, 400, "Executor cannot be found"),
    ({"executor_id": {"value": "../" * 90}}, 400, "Executor cannot be found"),
    ({"framework_id": None}, 400, "framework_id"),
    ({"executor_id": None}, 400, "executor_id"),
    ({"framework_id": {}}, 400, "value"),
    ({"executor_id": {}}, 400, "value"),
    ({"type": None}, 400, INVALID + "Expecting 'type' to be present"),
    ({"type": "UNKNOWN"}, 501, "The call's type is not known"),
])
def test_heads_that_are_refused(sound, kind, change, status, text):
    """What each call has before its body."""
    bodies = {"SUBSCRIBE": {"subscribe": {}}, "UPDATE": {"update": {"status": sound.status()}},
              "MESSAGE": {"message": {"data": "AAAA"}}, "HEARTBEAT": {}}
    call = {"type": kind, **sound.ids(), **bodies[kind], **change}
    response = sound.send({name: value for name, value in call.items() if value is not None})
    if kind == "HEARTBEAT" and change.get("type", kind) == kind and status == 400 and "cannot be found" in text:
        assert response.status == 202  # it says nothing of whom it comes from that would matter
        return
    assert response.status == status and text in response.text, response.text


@pytest.mark.parametrize("kind, text", [("SUBSCRIBE", "Expecting 'subscribe' to be present"),
                                        ("UPDATE", "Expecting 'update' to be present"),
                                        ("MESSAGE", "Expecting 'message' to be present")])
def test_calls_without_their_body(sound, kind, text):
    response = sound.post(kind)
    assert (response.status, response.text) == (400, INVALID + text)


@pytest.mark.parametrize("change, text", [
    ({"uuid": None}, INVALID + "Expecting 'uuid' to be present"),
    ({"uuid": ""}, INVALID + "Not a valid UUID"),
    ({"uuid": "AAAA"}, INVALID + "Not a valid UUID"),
    ({"uuid": base64.b64encode(b"x" * 17).decode()}, INVALID + "Not a valid UUID"),
    ({"source": None}, "with invalid source, expecting 'SOURCE_EXECUTOR'"),
    ({"source": "SOURCE_MASTER"}, "with invalid source, expecting 'SOURCE_EXECUTOR'"),
    ({"source": "SOURCE_AGENT"}, "with invalid source, expecting 'SOURCE_EXECUTOR'"),
    ({"state": "TASK_STAGING"}, "Received TASK_STAGING from executor"),
    ({"state": "TASK_UNREACHABLE"}, "Received TASK_UNREACHABLE from executor"),
    ({"state": "TASK_GONE_BY_OPERATOR"}, "Received TASK_GONE_BY_OPERATOR from executor"),
    ({"state": "TASK_UNKNOWN"}, "Received TASK_UNKNOWN from executor"),
    ({"executor_id": {"value": "other"}}, "does not match ExecutorID in TaskStatus: other"),
    ({"check_status": {}}, "CheckStatusInfo must specify 'type'"),
    ({"check_status": {"type": "UNKNOWN"}}, "'UNKNOWN' is not a valid check's status type"),
    ({"check_status": {"type": "COMMAND"}}, "Expecting 'command' to be set for COMMAND check's status"),
    ({"check_status": {"type": "HTTP"}}, "Expecting 'http' to be set for HTTP check's status"),
    ({"check_status": {"type": "TCP", "http": {}}}, "Expecting 'tcp' to be set for TCP check's status"),
    ({"task_id": None}, "task_id"),
    ({"state": None}, "state"),
    ({"task_id": {}}, "value"),
])
def test_updates_that_are_refused(sound, change, text):
    status = {name: value for name, value in sound.status(**change).items() if value is not None}
    response = sound.post("UPDATE", update={"status": status})
    assert response.status == 400 and text in response.text and "\n" not in response.text, response.text
    # In a list of SUBSCRIBE such an update is ignored, or the call refused where the message itself is not whole.


def test_updates_of_a_subscription_that_are_ignored(agent, voice):
    before = agent.metrics()["slave/invalid_status_updates"]
    voice.stream.close()
    bad = [voice.status(state="TASK_UNKNOWN"), {**voice.status(), "uuid": "AAAA"},
           {**voice.status(), "executor_id": {"value": "other"}}, {**voice.status(), "check_status": {}}]
    infos = [make_task(task_id=task_id, executor={"executor_id": {"value": voice.id}, "command": {"value": "x"}},
                       agent_id=voice.agent_id) for task_id in voice.tasks]
    voice.stream = voice.subscribe(unacknowledged_updates=[{"status": one} for one in bad], unacknowledged_tasks=infos)
    assert voice.next()["type"] == "SUBSCRIBED"
    assert agent.metrics()["slave/invalid_status_updates"] == before + len(bad)


def test_messages_that_are_refused(sound):
    response = sound.post("MESSAGE", message={})
    assert response.status == 400 and "data" in response.text


def test_lists_of_a_subscription_that_are_not_whole(sound):
    for content in ({"unacknowledged_updates": [{}]}, {"unacknowledged_updates": [{"status": {}}]},
                    {"unacknowledged_tasks": [{}]}):
        assert sound.post("SUBSCRIBE", subscribe=content).status == 400


@pytest.mark.parametrize("headers, status", [
    ({"Content-Type": "text/plain"}, 415), ({"Content-Type": "application/xml"}, 415),
    ({"Accept": "text/html"}, 406),
])
def test_media_types_that_are_refused(sound, headers, status):
    response = sound.send({"type": "SUBSCRIBE", **sound.ids(), "subscribe": {}}, **headers)
    assert response.status == status, response.text


def test_methods_and_bodies_that_are_refused(sound, agent):
    assert agent.get(PATH).status == 405
    for body in (b"", b"{", b"\xff\xff\xff\xff", b"[]", b"\x08"):
        response = post(agent.address, PATH, body, headers={"Content-Type": sound.MEDIA})
        assert response.status == 400, (body, response.text)


def test_before_it_subscribes(scheduler, agent):
    for kind in VOICES.values():
        voice = kind(scheduler, agent, subscribes=False)
        voice.wait_known()
        for call, content in (("UPDATE", {"update": {"status": voice.status()}}), ("MESSAGE", {"message": {"data": "AAAA"}})):
            response = voice.post(call, **content)
            assert (response.status, response.text) == (403, "Executor is not subscribed")
        scheduler.kill(voice.tasks[0])
        scheduler.wait_end(voice.tasks[0])
        scheduler.call("SHUTDOWN", executor_id={"value": voice.id}, agent_id=voice.agent_id)
