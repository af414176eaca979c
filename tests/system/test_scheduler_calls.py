# SPDX-License-Identifier: Apache-2.0
"""Every call of the scheduler API, in both encodings: what it does when it is well formed, and what is said of it when
a field that is checked is broken. The protobuf client is made by a stock protoc (protobuf_client.py)."""

import base64
import uuid

import pytest

import harness
from harness import Scheduler, make_task, scalar, wait_for
from protobuf_client import ProtobufScheduler

CLIENTS = {"json": Scheduler, "protobuf": ProtobufScheduler}
ROLE = "calls"
INFO = {"name": "calls", "principal": "p", "roles": [ROLE], "failover_timeout": 60, "checkpoint": True,
        "capabilities": [{"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}, {"type": "PARTITION_AWARE"}]}


cluster = pytest.fixture(scope="module")(harness.run_cluster)


@pytest.fixture(scope="module")
def master(cluster):
    return cluster.start_master(allocation_interval="20ms")


@pytest.fixture(scope="module")
def agent(cluster, master):
    return cluster.start_agent(master, resources="cpus:4;mem:2048;disk:1000;ports:[31000-31099]")


@pytest.fixture(params=CLIENTS)
def client(request):
    return CLIENTS[request.param]


@pytest.fixture
def framework(cluster, master, agent, client):
    """Subscribed; afterwards it is gone, and the agent is as before."""
    made = cluster.scheduler(client=client, **INFO)
    yield made
    if made.stream is not None and entry_of(master, made) is not None:
        made.teardown()
    made.close()
    wait_for(lambda: master.state()["slaves"][0]["used_resources"]["cpus"] == 0, what="the tasks to be gone")
    assert master.state()["slaves"][0]["reserved_resources"] == {}


def entry_of(master, framework):
    return next((f for f in master.state()["frameworks"] if f["id"] == framework.framework_id), None)


def metric(master, name):
    return master.get("/metrics/snapshot").json()[name]


def status_of(framework, call):
    response = framework.post(call)
    return response.status, response.text


def body(framework, kind, **content):
    return {"type": kind, "framework_id": {"value": framework.framework_id}, **({kind.lower(): content} if content
                                                                                 else {})}


def start(framework, command="sleep 1000", **fields):
    task = make_task(command, **fields)
    framework.launch(framework.take_offer(), [task], refuse_seconds=0)
    framework.wait_update(task["task_id"]["value"], "TASK_RUNNING")
    return task


def reserved(value=1, principal="p"):
    return {**scalar("cpus", value), "reservations": [{"type": "DYNAMIC", "role": ROLE, "principal": principal}]}


def operate(framework, op, acknowledges=True):
    """Accepts with one operation; its status."""
    op.setdefault("id", {"value": uuid.uuid4().hex})
    framework.accept([framework.take_offer()], [op], refuse_seconds=0)
    event = framework.wait("UPDATE_OPERATION_STATUS", lambda e: e["update_operation_status"]["status"][
        "operation_id"] == op["id"])
    status = event["update_operation_status"]["status"]
    if acknowledges and "uuid" in status:
        framework.call("ACKNOWLEDGE_OPERATION_STATUS", agent_id=status["agent_id"], operation_id=op["id"],
                       uuid=status["uuid"]["value"])
    return status


# ---- well formed ----

def test_subscribe(master, framework):
    entry = entry_of(master, framework)
    assert (entry["name"], entry["roles"], entry["principal"], entry["checkpoint"]) == ("calls", [ROLE], "p", True)
    assert framework.stream.headers["Content-Type"] == framework.MEDIA
    framework.close()
    wait_for(lambda: not entry_of(master, framework)["connected"])
    assert framework.subscribe(suppressed_roles=[ROLE])["framework_id"]["value"] == framework.framework_id
    framework.call("REVIVE")
    assert framework.take_offer()


def test_teardown(master, framework):
    assert status_of(framework, body(framework, "TEARDOWN")) == (202, "")
    assert framework.framework_id in [f["id"] for f in master.state()["completed_frameworks"]]


def test_accept_and_kill(framework):
    task = start(framework)
    framework.kill(task["task_id"]["value"], 0.1)
    assert framework.wait_end(task["task_id"]["value"])["state"] == "TASK_KILLED"
    framework.kill("nobody")
    assert framework.wait_update("nobody")["state"] == "TASK_UNKNOWN"


@pytest.mark.parametrize("kind", ["DECLINE", "ACCEPT"])
def test_decline(master, framework, kind):
    """An ACCEPT without operations declines as well; the filter holds."""
    offer = framework.take_offer()
    framework.call(kind, offer_ids=[offer["id"]], filters={"refuse_seconds": 1000})
    assert entry_of(master, framework)["offers"] == []
    framework.call("REVIVE")
    assert framework.take_offer()["id"] != offer["id"]


def test_suppress_and_revive(master, framework):
    name = "master/frameworks/calls/%s/roles/%s/suppressed" % (framework.framework_id, ROLE)
    framework.call("SUPPRESS", roles=[ROLE])
    assert metric(master, name) == 1
    framework.call("REVIVE", roles=[ROLE])
    assert metric(master, name) == 0
    framework.call("SUPPRESS")
    assert metric(master, name) == 1
    framework.call("REVIVE")
    assert metric(master, name) == 0


@pytest.mark.parametrize("kind", ["ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS"])
def test_inverse_offers(framework, kind):
    assert status_of(framework, body(framework, kind, inverse_offer_ids=[{"value": "none"}])) == (202, "")


def test_shutdown_and_message(master, framework):
    executor = {"type": "DEFAULT", "executor_id": {"value": "pod"}, "framework_id": {"value": framework.framework_id},
                "resources": [scalar("cpus", 0.1), scalar("mem", 32), scalar("disk", 10)]}
    offer = framework.take_offer()
    task = make_task("sleep 1000", agent_id=offer["agent_id"])
    framework.accept([offer], [{"type": "LAUNCH_GROUP", "launch_group": {
        "executor": executor, "task_group": {"tasks": [task]}}}])
    framework.wait_update(task["task_id"]["value"], "TASK_RUNNING")
    before = metric(master, "master/valid_framework_to_executor_messages")
    framework.call("MESSAGE", agent_id=offer["agent_id"], executor_id={"value": "pod"},
                   data=base64.b64encode(b"\0\xff").decode())
    assert metric(master, "master/valid_framework_to_executor_messages") == before + 1
    framework.call("SHUTDOWN", agent_id=offer["agent_id"], executor_id={"value": "pod"})
    framework.wait("FAILURE", lambda e: e["failure"]["executor_id"]["value"] == "pod")
    framework.wait_end(task["task_id"]["value"])


def test_acknowledge(framework):
    """The next update comes when the last one was acknowledged."""
    framework.acknowledges = False
    task = make_task("true")
    framework.launch(framework.take_offer(), [task], refuse_seconds=0)
    for state in ("TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"):
        status = framework.wait_update(task["task_id"]["value"], state)
        assert framework.states_of(task["task_id"]["value"])[-1] == state
        framework.acknowledge(status)


def test_reconcile(framework):
    task = start(framework)
    for tasks in ([], [{"task_id": task["task_id"]}]):
        framework.call("RECONCILE", **({"tasks": tasks} if tasks else {"tasks": []}))
        event = framework.wait("UPDATE", lambda e: e["update"]["status"].get("reason") == "REASON_RECONCILIATION")
        assert event["update"]["status"]["state"] == "TASK_RUNNING"
    framework.kill(task["task_id"]["value"], 0.1)
    framework.wait_end(task["task_id"]["value"])


def test_operations(framework):
    """ACKNOWLEDGE_OPERATION_STATUS and RECONCILE_OPERATIONS."""
    op = {"type": "RESERVE", "reserve": {"resources": [reserved()]}}
    status = operate(framework, op, acknowledges=False)
    assert status["state"] == "OPERATION_FINISHED"
    asked = {"operation_id": op["id"], "agent_id": status["agent_id"]}

    def ask(operations):
        framework.call("RECONCILE_OPERATIONS", operations=operations)
        return framework.wait("UPDATE_OPERATION_STATUS")["update_operation_status"]["status"]

    for operations in ([], [asked]):
        told = ask(operations)
        assert told["state"] == "OPERATION_FINISHED" and "uuid" not in told
    framework.call("ACKNOWLEDGE_OPERATION_STATUS", agent_id=status["agent_id"], operation_id=op["id"],
                   uuid=status["uuid"]["value"])
    assert ask([asked])["state"] == "OPERATION_UNKNOWN"
    done = operate(framework, {"type": "UNRESERVE", "unreserve": {"resources": [reserved()]}})
    assert done["state"] == "OPERATION_FINISHED"


def test_request(master, framework):
    before = metric(master, "master/messages_resource_request")
    framework.call("REQUEST", requests=[{"resources": [scalar("cpus", 1)]}])
    assert metric(master, "master/messages_resource_request") == before + 1


def test_update_framework(master, framework):
    info = {**framework.framework, "name": "renamed", "roles": [ROLE, "more"]}
    assert status_of(framework, body(framework, "UPDATE_FRAMEWORK", framework_info=info,
                                     suppressed_roles=["more"])) == (200, "")
    entry = entry_of(master, framework)
    assert (entry["name"], sorted(entry["roles"])) == ("renamed", [ROLE, "more"])


def test_a_role_that_a_framework_left_is_shown_while_a_task_is_in_it(cluster, master, agent):
    many = {"capabilities": [{"type": "MULTI_ROLE"}]}
    scheduler = cluster.scheduler(master, roles=["left"], **many)
    task = make_task("sleep 600", cpus=1)
    scheduler.launch(scheduler.wait_offer(), [task])
    scheduler.wait_update(task["task_id"]["value"], "TASK_RUNNING")
    info = {**scheduler.framework, "roles": ["taken"]}
    assert status_of(scheduler, body(scheduler, "UPDATE_FRAMEWORK", framework_info=info)) == (200, "")

    def left():
        return {r["name"]: r for r in master.get("/roles").json()["roles"]}.get("left")

    assert (left()["frameworks"], left()["allocated"]["cpus"]) == ([scheduler.framework_id], 1)
    told = master.post("/api/v1", {"type": "GET_ROLES"}).json()["get_roles"]["roles"]
    assert {"value": scheduler.framework_id} in next(r for r in told if r["name"] == "left")["frameworks"]
    scheduler.kill(task["task_id"]["value"])
    scheduler.wait_end(task["task_id"]["value"])
    wait_for(lambda: left() is None, what="the role to be forgotten")
    scheduler.teardown()
    scheduler.close()


# ---- broken ----

BAD_UUID = base64.b64encode(b"x").decode()
SOME_UUID = base64.b64encode(uuid.uuid4().bytes).decode()
NOBODY = {"value": "nobody"}
PREFIX = "Failed to validate scheduler::Call: "

BROKEN = [
    ("ACKNOWLEDGE", {"agent_id": NOBODY, "task_id": NOBODY, "uuid": BAD_UUID}, PREFIX + "Not a valid UUID"),
    ("ACKNOWLEDGE_OPERATION_STATUS", {"agent_id": NOBODY, "operation_id": NOBODY, "uuid": BAD_UUID},
     PREFIX + "Not a valid UUID"),
    ("ACKNOWLEDGE_OPERATION_STATUS", {"operation_id": NOBODY, "uuid": SOME_UUID},
     PREFIX + "Expecting 'agent_id' to be present"),
    ("UPDATE_FRAMEWORK", {"framework_info": {"user": "root", "name": "n", "id": NOBODY}},
     PREFIX + "'framework_id' differs from 'update_framework.framework_info.id'"),
    ("KILL", {"agent_id": NOBODY}, "task_id"),
    ("SHUTDOWN", {"agent_id": NOBODY}, "executor_id"),
    ("MESSAGE", {"agent_id": NOBODY, "executor_id": NOBODY}, "data"),
    ("RECONCILE", {"tasks": [{"agent_id": NOBODY}]}, "task_id"),
    ("RECONCILE_OPERATIONS", {"operations": [{"agent_id": NOBODY}]}, "operation_id"),
    ("ACCEPT", {"operations": [{"type": "LAUNCH", "launch": {"task_infos": [{"name": "x"}]}}]}, "task_id"),
    ("ACCEPT", {"operations": [{"type": "GROW_VOLUME", "grow_volume": {"volume": scalar("disk", 1)}}]}, "addition"),
    ("ACCEPT", {"operations": [{"type": "SHRINK_VOLUME", "shrink_volume": {"volume": scalar("disk", 1)}}]},
     "subtract"),
    ("DECLINE", {"offer_ids": [{}]}, "value"),
]


@pytest.mark.parametrize("kind, content, text", BROKEN, ids=lambda p: p if isinstance(p, str) and p.isupper() else "")
def test_broken_call(master, framework, kind, content, text):
    status, said = status_of(framework, body(framework, kind, **content))
    assert status == 400 and text in said and "\n" not in said, said
    assert entry_of(master, framework)["connected"]


BODIES = ["ACCEPT", "DECLINE", "ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS", "KILL", "SHUTDOWN", "ACKNOWLEDGE",
          "ACKNOWLEDGE_OPERATION_STATUS", "RECONCILE", "RECONCILE_OPERATIONS", "MESSAGE", "REQUEST",
          "UPDATE_FRAMEWORK"]


def test_calls_without_body_or_framework(master, framework):
    for kind in BODIES:
        assert status_of(framework, body(framework, kind)) == (
            400, PREFIX + "Expecting '%s' to be present" % kind.lower())
    for kind in [*BODIES, "TEARDOWN", "REVIVE", "SUPPRESS"]:
        assert status_of(framework, {"type": kind}) == (400, PREFIX + "Expecting 'framework_id' to be present")
        status, text = status_of(framework, {"type": kind, "framework_id": NOBODY})
        assert status == 400 and ("to be present" in text or text == "Framework cannot be found")
    assert status_of(framework, {"framework_id": {"value": framework.framework_id}}) == (
        400, PREFIX + "Expecting 'type' to be present")
    assert entry_of(master, framework)["connected"]


@pytest.mark.parametrize("kind", ["REVIVE", "SUPPRESS"])
def test_roles_that_are_not_its_own(master, framework, kind):
    """As in Mesos the call is taken, and dropped."""
    name = "master/frameworks/calls/%s/roles/%s/suppressed" % (framework.framework_id, ROLE)
    if kind == "REVIVE":
        framework.call("SUPPRESS")
    before = metric(master, name)
    for role in ("other", "a/../b", "*"):
        framework.call(kind, roles=[role])
        assert metric(master, name) == before


UPDATES = [
    ({"principal": "q"}, [], "FrameworkInfo update is not valid: Changing framework's principal is not allowed."),
    ({"user": "nobody"}, [], "FrameworkInfo update is not valid: Updating 'FrameworkInfo.user' is unsupported"),
    ({"checkpoint": False}, [], "Updating 'FrameworkInfo.checkpoint' is unsupported"),
    ({"roles": ["a", "a"]}, [], "Supplied FrameworkInfo is not valid: 'FrameworkInfo.roles' contains duplicate items"),
    ({"roles": ["-a"]}, [], "Supplied FrameworkInfo is not valid"),
    ({"role": "a"}, [], "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"),
    ({"failover_timeout": 1e300}, [], "The framework failover_timeout"),
    ({}, ["other"], "Suppressed roles { other } are not contained in the set of roles"),
]


@pytest.mark.parametrize("change, suppressed, text", UPDATES, ids=[str(i) for i in range(len(UPDATES))])
def test_broken_update(master, framework, change, suppressed, text):
    before = entry_of(master, framework)
    status, said = status_of(framework, body(framework, "UPDATE_FRAMEWORK", suppressed_roles=suppressed,
                                             framework_info={**framework.framework, **change}))
    assert status == 400 and text in said, said
    after = entry_of(master, framework)
    for name in ("name", "roles", "principal", "user", "checkpoint"):
        assert before[name] == after[name]


def volume(**disk):
    return {**scalar("disk", 1), "reservations": reserved()["reservations"],
            "disk": {"persistence": {"id": "v", "principal": "p"},
                     "volume": {"mode": "RW", "container_path": "d"}, **disk}}


OPERATIONS = [
    ("RESERVE", {"resources": [scalar("cpus", 1)]}, "is not dynamically reserved"),
    ("RESERVE", {"resources": [reserved(principal="q")]}, "does not match a reserved resource in the request"),
    ("RESERVE", {"resources": [reserved(-1)]}, "Operation attempted with invalid resources"),
    ("RESERVE", {"resources": [reserved(100)]}, "does not contain cpus(allocated: calls):100"),
    ("RESERVE", {"resources": [reserved()], "source": [reserved()]}, "Reservation updates are not yet implemented"),
    ("RESERVE", None, "A RESERVE offer operation must have the Offer.Operation.reserve field set."),
    ("UNRESERVE", {"resources": [reserved()]}, "does not contain"),
    ("UNRESERVE", {"resources": [volume()]}, "cannot be unreserved directly"),
    ("CREATE", {"volumes": [reserved()]}, "does not have DiskInfo"),
    ("CREATE", {"volumes": [volume(persistence={"id": "a/b"})]}, "contains invalid characters"),
    ("CREATE", {"volumes": [volume(volume={"mode": "RO", "container_path": "d"})]}, "Read-only persistent volume"),
    ("CREATE", {"volumes": [volume(), volume()]}, "Persistence ID 'v' is not unique"),
    ("CREATE", {"volumes": [{**volume(), "shared": {}}]}, "with no SHARED_RESOURCES capability"),
    ("CREATE", {"volumes": [volume()]}, "does not contain"),
    ("DESTROY", {"volumes": [volume()]}, "Persistent volumes not found"),
    ("GROW_VOLUME", {"volume": volume(), "addition": reserved(0)}, "must be greater than zero"),
    ("GROW_VOLUME", {"volume": volume(), "addition": reserved()}, "Incompatible resources"),
    ("SHRINK_VOLUME", {"volume": volume(), "subtract": {"value": 0}}, "must be greater than zero"),
    ("SHRINK_VOLUME", {"volume": volume(), "subtract": {"value": 1}}, "must be smaller than the size"),
    ("CREATE_DISK", {"source": scalar("disk", 1), "target_type": "MOUNT"}, "is not managed by a resource provider"),
    ("DESTROY_DISK", {"source": scalar("disk", 1)}, "is not managed by a resource provider"),
]


@pytest.mark.parametrize("client", CLIENTS)
def test_broken_operations(cluster, master, agent, client):
    """All in one ACCEPT: each is refused by itself, and what stands behind them is done."""
    framework = cluster.scheduler(client=CLIENTS[client], **INFO)
    offer = framework.take_offer()
    operations = [{"type": kind, "id": {"value": str(i)}, **({kind.lower(): content} if content is not None else {})}
                  for i, (kind, content, _) in enumerate(OPERATIONS)]
    task = make_task("true", agent_id=offer["agent_id"])
    framework.accept([offer], [*operations, {"type": "LAUNCH", "launch": {"task_infos": [task]}}])
    for i, (kind, _, text) in enumerate(OPERATIONS):
        status = framework.wait("UPDATE_OPERATION_STATUS")["update_operation_status"]["status"]
        assert (status["operation_id"]["value"], status["state"]) == (str(i), "OPERATION_ERROR"), (kind, status)
        assert text in status["message"], (kind, status["message"])
        assert "uuid" not in status
    assert framework.wait_end(task["task_id"]["value"])["state"] == "TASK_FINISHED"
    framework.teardown()
    assert master.state()["slaves"][0]["reserved_resources"] == {}
