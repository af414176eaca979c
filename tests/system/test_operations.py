# SPDX-License-Identifier: Apache-2.0
"""Reservations and persistent volumes with real daemons: made by frameworks and operators, used by tasks, kept over
kill -9 of the agent and of the master; and each operation ends once."""

import json
import os
import random
import subprocess
import sys
import time
import urllib.parse
import uuid

import pytest

import pods
from harness import make_task, scalar, wait_for

ROLE = "storage"
RESOURCES = "cpus:4;mem:1024;disk:1000;ports:[31000-31009]"


def reserved(resource, role=ROLE, principal="p", stack=()):
    return {**resource, "reservations": [*stack, {"type": "DYNAMIC", "role": role, "principal": principal}]}


def volume(name, size, path="data", source=None, shared=False, role=ROLE):
    resource = reserved(scalar("disk", size), role)
    resource["disk"] = {"persistence": {"id": name, "principal": "p"}, "volume": {"mode": "RW", "container_path": path}}
    if source is not None:
        resource["disk"]["source"] = source
    if shared:
        resource["shared"] = {}
    return resource


def operation(kind, named=False, **body):
    made = {"type": kind, kind.lower(): body}
    if named:
        made["id"] = {"value": named if isinstance(named, str) else uuid.uuid4().hex}
    return made


def reserve(*resources, named=False):
    return operation("RESERVE", named, resources=list(resources))


def unreserve(*resources, named=False):
    return operation("UNRESERVE", named, resources=list(resources))


def create(*volumes, named=False):
    return operation("CREATE", named, volumes=list(volumes))


def destroy(*volumes, named=False):
    return operation("DESTROY", named, volumes=list(volumes))


def launch(*tasks):
    return {"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}


FRAMEWORK = {"principal": "p", "checkpoint": True, "roles": [ROLE], "failover_timeout": 600, "capabilities": [
    {"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}, {"type": "SHARED_RESOURCES"},
    {"type": "PARTITION_AWARE"}]}


@pytest.fixture
def agent(cluster, master):
    return cluster.start_agent(master, resources=RESOURCES)


@pytest.fixture
def scheduler(cluster, master, agent):
    return cluster.scheduler(master, **FRAMEWORK)


def amount(resources, name, role=None, persistence=None):
    """What a list of Resource messages has of it: unreserved, or reserved to that role; in that volume."""
    total = 0
    for r in resources:
        stack = r.get("reservations", [])
        if r["name"] == name and (stack[-1]["role"] if stack else None) == role and (
                r.get("disk", {}).get("persistence", {}).get("id") == persistence):
            total += r["scalar"]["value"]
    return total


def offer_with(scheduler, name, size, role=ROLE, persistence=None, timeout=15):
    """A valid offer that has so much of it, and not more."""
    return scheduler.take_offer(lambda o: amount(o["resources"], name, role, persistence) == size, timeout)


def task_on(offer, command, *resources, **fields):
    return {**make_task(command, **fields), "agent_id": offer["agent_id"],
            **({"resources": list(resources)} if resources else {})}


def run(scheduler, offer, command, *resources, before=(), **fields):
    """Runs a task behind other operations of one ACCEPT; its final status."""
    task = task_on(offer, command, *resources, **fields)
    scheduler.accept([offer], [*before, launch(task)], refuse_seconds=0)
    return scheduler.wait_end(task["task_id"]["value"])


def status_of(scheduler, op, timeout=15.0):
    """The next status of an operation; acknowledged."""
    op_id = op["id"]["value"]
    event = scheduler.wait("UPDATE_OPERATION_STATUS", lambda e: e["update_operation_status"]["status"].get(
        "operation_id", {}).get("value") == op_id, timeout)
    status = event["update_operation_status"]["status"]
    acknowledge(scheduler, status)
    return status


def acknowledge(scheduler, status):
    if "uuid" in status:
        scheduler.call("ACKNOWLEDGE_OPERATION_STATUS", agent_id=status["agent_id"], uuid=status["uuid"]["value"],
                       operation_id=status["operation_id"])


def apply(scheduler, offer, *operations):
    """Operations of which each must be done."""
    for op in operations:
        op.setdefault("id", {"value": uuid.uuid4().hex})
    scheduler.accept([offer], list(operations), refuse_seconds=0)
    statuses = [status_of(scheduler, op) for op in operations]
    assert [s["state"] for s in statuses] == ["OPERATION_FINISHED"] * len(operations), statuses
    return statuses


def total_of(master):
    """The agent's resources as the master has them, as messages in the new form."""
    slave = master.get("/slaves").json()["slaves"][0]
    return slave["unreserved_resources_full"] + [
        r for role in slave["reserved_resources_full"].values() for r in role]


def directory_of(agent, name, role=ROLE, root=None):
    return os.path.join(root or agent.flags["work_dir"], "volumes", "roles", role.replace("/", " "), name)


# ---- the whole story ----

def test_data_outlives_everything(cluster, master, agent, scheduler):
    """Reserve, create, write; kill -9 the agent, kill -9 the master; the data is there, and another task reads it."""
    cpus, mem, disk = reserved(scalar("cpus", 1)), reserved(scalar("mem", 64)), reserved(scalar("disk", 100))
    data = volume("v1", 100)
    offer = scheduler.wait_offer()
    task = task_on(offer, "echo kept > data/file; sleep 1000", cpus, mem, data)
    task_id = task["task_id"]["value"]
    made = [reserve(cpus, mem, disk, named="reserve"), create(data, named="create")]
    scheduler.accept([offer], [*made, launch(task)], refuse_seconds=0)
    assert [status_of(scheduler, op)["state"] for op in made] == ["OPERATION_FINISHED"] * 2
    scheduler.wait_update(task_id, "TASK_RUNNING")
    path = directory_of(agent, "v1")
    wait_for(lambda: os.path.exists(os.path.join(path, "file")), what="the task's file")
    sandbox = cluster.sandbox(agent, scheduler.framework_id, task_id)
    assert os.readlink(os.path.join(sandbox, "data")) == path
    agent.kill()
    agent.restart()
    cluster.wait_registered(agent)
    master.kill()
    master.restart()
    cluster.wait_registered(agent)
    scheduler.close()
    scheduler.subscribe()
    total = total_of(master)
    assert amount(total, "cpus", ROLE) == 1 and amount(total, "cpus") == 3
    assert amount(total, "disk", ROLE, "v1") == 100 and amount(total, "disk") == 900
    scheduler.kill(task_id)
    scheduler.wait_update(task_id, "TASK_KILLED")
    offer = offer_with(scheduler, "disk", 100, persistence="v1")
    status = run(scheduler, offer, "test $(cat elsewhere/file) = kept", cpus, mem, volume("v1", 100, "elsewhere"))
    assert status["state"] == "TASK_FINISHED", status
    offer = offer_with(scheduler, "disk", 100, persistence="v1")
    apply(scheduler, offer, destroy(data), unreserve(cpus, mem, disk))
    wait_for(lambda: not os.path.exists(path), what="the volume to go")
    assert amount(total_of(master), "cpus") == 4 and amount(total_of(master), "disk") == 1000


def test_a_new_volume_is_empty(master, agent, scheduler):
    """Of the same name, and made in the same ACCEPT that destroys the old one."""
    disk, data = reserved(scalar("disk", 10)), volume("v", 10)
    offer = scheduler.wait_offer()
    status = run(scheduler, offer, "touch data/old", scalar("cpus", 0.1), scalar("mem", 32), data,
                 before=[reserve(disk), create(data)])
    assert status["state"] == "TASK_FINISHED", status
    offer = offer_with(scheduler, "disk", 10, persistence="v")
    status = run(scheduler, offer, "test -d data -a ! -e data/old", scalar("cpus", 0.1), scalar("mem", 32), data,
                 before=[destroy(data), create(data)])
    assert status["state"] == "TASK_FINISHED", status
    assert os.listdir(directory_of(agent, "v")) == []


def test_grow_and_shrink(master, agent, scheduler):
    disk, data = reserved(scalar("disk", 100)), volume("v", 40)
    apply(scheduler, scheduler.wait_offer(), reserve(disk), create(data))
    offer = offer_with(scheduler, "disk", 40, persistence="v")
    apply(scheduler, offer, operation("GROW_VOLUME", volume=data, addition=reserved(scalar("disk", 20))))
    offer = offer_with(scheduler, "disk", 60, persistence="v")
    assert amount(offer["resources"], "disk", ROLE) == 40
    apply(scheduler, offer, operation("SHRINK_VOLUME", volume=volume("v", 60), subtract={"value": 50}))
    offer = offer_with(scheduler, "disk", 10, persistence="v")
    assert amount(offer["resources"], "disk", ROLE) == 90
    assert amount(total_of(master), "disk", ROLE, "v") == 10


def test_shared_volume(cluster, master, agent, scheduler):
    """Two tasks use it at once; it cannot go while one does."""
    disk, data = reserved(scalar("disk", 10)), volume("v", 10, shared=True)
    offer = scheduler.wait_offer()
    ours = [scalar("cpus", 0.1), scalar("mem", 32), data]
    writer = task_on(offer, "echo hello > data/pipe; while [ ! -e data/done ]; do sleep 0.05; done", *ours)
    reader = task_on(offer, "while [ ! -e data/pipe ]; do sleep 0.05; done; touch data/read; sleep 1000", *ours)
    scheduler.accept([offer], [reserve(disk), create(data), launch(writer, reader)], refuse_seconds=0)
    wait_for(lambda: os.path.exists(os.path.join(directory_of(agent, "v"), "read")), 20, "the reader")
    offer = scheduler.take_offer(lambda o: amount(o["resources"], "cpus") > 1)
    refused = destroy(data, named="early")
    scheduler.accept([offer], [refused], refuse_seconds=0)
    status = status_of(scheduler, refused)
    assert status["state"] == "OPERATION_ERROR" and "Persistent volumes in use" in status["message"], status
    with open(os.path.join(directory_of(agent, "v"), "done"), "w", encoding="ascii"):
        pass
    assert scheduler.wait_end(writer["task_id"]["value"])["state"] == "TASK_FINISHED"
    scheduler.kill(reader["task_id"]["value"])
    scheduler.wait_update(reader["task_id"]["value"], "TASK_KILLED")
    offer = offer_with(scheduler, "disk", 10, persistence="v")
    apply(scheduler, offer, destroy(data))
    wait_for(lambda: not os.path.exists(directory_of(agent, "v")), what="the volume to go")


def test_volume_in_a_pod(master, agent, scheduler):
    """Made, and used by a nested container, in one ACCEPT."""
    disk, data = reserved(scalar("disk", 10)), volume("v", 10)
    offer = scheduler.wait_offer()
    task = task_on(offer, "echo pod > data/file", scalar("cpus", 0.1), scalar("mem", 32), data)
    executor = pods.make_executor(scheduler)
    scheduler.accept([offer], [reserve(disk), create(data), {"type": "LAUNCH_GROUP", "launch_group": {
        "executor": executor, "task_group": {"tasks": [task]}}}], refuse_seconds=0)
    assert scheduler.wait_end(task["task_id"]["value"])["state"] == "TASK_FINISHED"
    with open(os.path.join(directory_of(agent, "v"), "file"), encoding="ascii") as file:
        assert file.read() == "pod\n"
    apply(scheduler, offer_with(scheduler, "disk", 10, persistence="v"), destroy(data), unreserve(disk))


def test_disks_of_their_own(cluster, master, tmp_path):
    """PATH and MOUNT sources: where the data lies, what a destroyed volume leaves."""
    path_root, mount_root = tmp_path / "path", tmp_path / "mount"
    path_root.mkdir()
    mount_root.mkdir()
    sources = {"PATH": {"type": "PATH", "path": {"root": str(path_root)}},
               "MOUNT": {"type": "MOUNT", "mount": {"root": str(mount_root)}}}
    disks = [{**scalar("disk", 100), "disk": {"source": source}} for source in sources.values()]
    agent = cluster.start_agent(master, resources=json.dumps(
        [scalar("cpus", 4), scalar("mem", 512), *disks]))
    scheduler = cluster.scheduler(master, **FRAMEWORK)
    ours = [scalar("cpus", 0.1), scalar("mem", 32)]
    on_path = volume("p", 30, "on_path", sources["PATH"])
    on_mount = volume("m", 100, "deep/on_mount", sources["MOUNT"])
    made = [reserve(reserved({**scalar("disk", 30), "disk": {"source": sources["PATH"]}}),
                    reserved({**scalar("disk", 100), "disk": {"source": sources["MOUNT"]}})),
            create(on_path, on_mount)]
    status = run(scheduler, scheduler.wait_offer(), "echo a > on_path/x; echo b > deep/on_mount/y", *ours, on_path,
                 on_mount, before=made)
    assert status["state"] == "TASK_FINISHED", status
    assert (path_root / "volumes" / "roles" / ROLE / "p" / "x").read_text() == "a\n"
    assert (mount_root / "y").read_text() == "b\n"
    # A part of a MOUNT disk cannot be had.
    offer = offer_with(scheduler, "disk", 100, persistence="m")
    refused = operation("SHRINK_VOLUME", "x", volume=on_mount, subtract={"value": 1})
    scheduler.accept([offer], [refused], refuse_seconds=0)
    assert "Shrinking a volume on a MOUNT disk is not supported" in status_of(scheduler, refused)["message"]
    offer = offer_with(scheduler, "disk", 100, persistence="m")
    apply(scheduler, offer, destroy(on_path, on_mount))
    wait_for(lambda: not (path_root / "volumes" / "roles" / ROLE / "p").exists() and not list(mount_root.iterdir()),
             what="the data to go")
    assert agent.is_running()


def test_hierarchy_and_refinement(cluster, master):
    """A static reservation, narrowed twice; the volume's directory has a blank for each slash."""
    agent = cluster.start_agent(master, resources="cpus(eng):4;mem(eng):512;disk(eng):100;cpus:1")
    scheduler = cluster.scheduler(master, **{**FRAMEWORK, "roles": ["eng/dev"]})
    static = {"type": "STATIC", "role": "eng"}
    narrowed = reserved(scalar("disk", 50), "eng/dev", stack=[static])
    data = {**volume("v", 50), "reservations": narrowed["reservations"]}
    ours = [{**scalar("cpus", 1), "reservations": [static]}, {**scalar("mem", 64), "reservations": [static]}]
    status = run(scheduler, scheduler.wait_offer(), "touch data/x", *ours, data,
                 before=[reserve(narrowed), create(data)])
    assert status["state"] == "TASK_FINISHED", status
    assert os.path.exists(os.path.join(directory_of(agent, "v", "eng/dev"), "x"))
    slave = master.get("/slaves").json()["slaves"][0]
    assert slave["reserved_resources"]["eng/dev"]["disk"] == 50
    assert slave["reserved_resources"]["eng"] == {"cpus": 4, "mem": 512, "disk": 50, "gpus": 0}
    full = slave["reserved_resources_full"]["eng/dev"][0]
    assert [r["role"] for r in full["reservations"]] == ["eng", "eng/dev"]


def test_pymesos(cluster, master, agent):
    """The same by an unmodified client library."""
    process = cluster.popen([sys.executable, os.path.join(os.path.dirname(__file__), "volume_framework.py"),
                             master.address], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = process.communicate(timeout=90)[0]
    assert process.returncode == 0, output
    for name in ("reserve", "create", "destroy", "unreserve"):
        assert "operation %s OPERATION_FINISHED" % name in output, output
    assert "task write TASK_FINISHED" in output and "task read TASK_FINISHED" in output, output
    wait_for(lambda: call(master, "GET_OPERATIONS").json()["get_operations"].get("operations", []) == [],
             what="the acknowledgements")
    assert amount(total_of(master), "disk") == 1000


# ---- agents that die at awkward moments ----

def final_states(scheduler):
    """Each operation's terminal states, in the order in which they were told; repetitions count once."""
    states = {}
    for event in scheduler.events:
        if event["type"] == "UPDATE_OPERATION_STATUS":
            status = event["update_operation_status"]["status"]
            key = (status["state"], status.get("uuid", {}).get("value"))
            known = states.setdefault(status["operation_id"]["value"], [])
            if key not in known:
                known.append(key)
    return states


def end_all(scheduler, ids, timeout=30.0):
    """Acknowledges whatever comes until each operation has ended."""
    acknowledged = 0

    def are_over():
        nonlocal acknowledged
        scheduler.pump()
        for event in scheduler.events[acknowledged:]:
            acknowledged += 1
            if event["type"] == "UPDATE_OPERATION_STATUS":
                acknowledge(scheduler, event["update_operation_status"]["status"])
        return set(ids) <= set(final_states(scheduler))

    wait_for(are_over, timeout, "the operations to end")


def volumes_in(total):
    return {r["disk"]["persistence"]["id"] for r in total if "persistence" in r.get("disk", {})}


@pytest.mark.parametrize("rounds", [8, pytest.param(80, marks=pytest.mark.soak)])
def test_agent_killed_at_any_moment(cluster, master, agent, scheduler, rounds):
    """Each operation ends in one terminal status, and master, agent and disk agree on what is there: a volume that was
    made has its directory, one that is there has its data, one that was destroyed leaves nothing."""
    seed = int(os.environ.get("MESETA_SEED", random.randrange(1 << 30)))
    print("MESETA_SEED=%d" % seed)
    dice = random.Random(seed)
    ids, made = [], set()
    for number in range(rounds):
        offer = scheduler.take_offer(lambda o: amount(o["resources"], "disk") >= 10
                                     and made <= volumes_in(o["resources"]))
        gone = dice.choice(sorted(made)) if made and dice.random() < 0.5 else None
        if gone is None:
            names = ["op-%d-reserve" % number, "op-%d-create" % number]
            operations = [reserve(reserved(scalar("disk", 10)), named=names[0]),
                          create(volume("v%d" % number, 10), named=names[1])]
        else:
            names = ["op-%d-destroy" % number]
            operations = [destroy(volume(gone, 10), named=names[0])]
        ids += names
        scheduler.accept([offer], operations, refuse_seconds=0)
        time.sleep(dice.random() ** 4 * 0.01)  # mostly at once
        agent.kill()
        agent.restart()
        cluster.wait_registered(agent)
        end_all(scheduler, ids)
        states = final_states(scheduler)
        assert all(len(states[i]) == 1 for i in ids), states
        is_done = states[names[-1]][0][0] == "OPERATION_FINISHED"
        if gone is not None and is_done:
            made.discard(gone)
            wait_for(lambda: not os.path.exists(directory_of(agent, gone)), what="the data to go")
        elif gone is None and is_done:
            assert states[names[0]][0][0] == "OPERATION_FINISHED"
            made.add("v%d" % number)
            with open(os.path.join(directory_of(agent, "v%d" % number), "data"), "w", encoding="ascii"):
                pass
        total = total_of(master)
        assert volumes_in(total) == made
        assert sum(r["scalar"]["value"] for r in total if r["name"] == "disk") == 1000
        for name in made:
            assert os.listdir(directory_of(agent, name)) == ["data"]
    print({name: sum(s[0][0] == name for s in final_states(scheduler).values())
           for name in ("OPERATION_FINISHED", "OPERATION_DROPPED", "OPERATION_FAILED")})
    # The agent has nothing left to tell, and nothing to remove.
    wait_for(lambda: all(v == 0 for k, v in master.get("/metrics/snapshot").json().items()
                         if k.startswith("master/operations/") and k.endswith("/pending")))
    folder = os.path.join(agent.flags["work_dir"], "volumes")
    wait_for(lambda: not os.path.exists(folder) or os.listdir(folder) == ["roles"], what="the trash to go")


@pytest.mark.parametrize("rounds", [4, pytest.param(40, marks=pytest.mark.soak)])
def test_master_killed_at_any_moment(cluster, master, agent, scheduler, rounds):
    """Whoever asks afterwards is told what became of each operation: done, or unknown, and then it is not there."""
    seed = int(os.environ.get("MESETA_SEED", random.randrange(1 << 30)))
    print("MESETA_SEED=%d" % seed)
    dice = random.Random(seed)
    made = 0
    for number in range(rounds):
        name = "op-%d" % number
        offer = scheduler.take_offer(lambda o: amount(o["resources"], "disk") >= 10)
        scheduler.accept([offer], [reserve(reserved(scalar("disk", 10)), named=name)], refuse_seconds=0)
        time.sleep(dice.random() * 0.004)
        master.kill()
        master.restart()
        cluster.wait_registered(agent)
        scheduler.close()
        scheduler.subscribe()

        def is_over():
            scheduler.pump()
            if name in final_states(scheduler):
                return True
            scheduler.call("RECONCILE_OPERATIONS", operations=[
                {"operation_id": {"value": name}, "agent_id": offer["agent_id"]}])
            time.sleep(0.1)
            return False

        wait_for(is_over, 20, "an answer about " + name)
        states = {state for state, _ in final_states(scheduler)[name]}
        assert len(states) == 1 and states <= {"OPERATION_FINISHED", "OPERATION_UNKNOWN"}, states
        made += states == {"OPERATION_FINISHED"}
        for event in scheduler.events:
            if event["type"] == "UPDATE_OPERATION_STATUS":
                acknowledge(scheduler, event["update_operation_status"]["status"])
        total = total_of(master)
        assert amount(total, "disk", ROLE) == 10 * made and amount(total, "disk") == 1000 - 10 * made


def test_framework_that_is_away(cluster, master, agent, scheduler):
    """The status waits for the framework, over a restart of everybody."""
    op = reserve(reserved(scalar("cpus", 1)), named="patient")
    scheduler.accept([scheduler.wait_offer()], [op], refuse_seconds=0)
    scheduler.close()
    wait_for(lambda: amount(total_of(master), "cpus", ROLE) == 1, what="the reservation")
    time.sleep(0.2)
    agent.kill()
    master.kill()
    master.restart()
    agent.restart()
    cluster.wait_registered(agent)
    scheduler.subscribe()
    assert status_of(scheduler, op, 30)["state"] == "OPERATION_FINISHED"


def test_volume_that_cannot_be_made(cluster, master, agent, scheduler):
    """The agent cannot do what the master has booked: it says so, and both agree again."""
    work_dir = agent.flags["work_dir"]
    with open(os.path.join(work_dir, "volumes"), "w", encoding="ascii"):
        pass  # where the directory should be
    disk, data = reserved(scalar("disk", 10)), volume("v", 10)
    offer = scheduler.wait_offer()
    task = task_on(offer, "true", scalar("cpus", 0.1), scalar("mem", 32), data)
    made = [reserve(disk, named="fine"), create(data, named="fails")]
    scheduler.accept([offer], [*made, launch(task)], refuse_seconds=0)
    assert status_of(scheduler, made[0])["state"] == "OPERATION_FINISHED"
    status = status_of(scheduler, made[1])
    assert status["state"] == "OPERATION_FAILED", status
    assert "Failed to create the persistent volume" in status["message"], status
    # Refused by the agent, or lost with the link that it closed.
    assert scheduler.wait_end(task["task_id"]["value"])["reason"] in (
        "REASON_RESOURCES_UNKNOWN", "REASON_RECONCILIATION")
    wait_for(lambda: amount(total_of(master), "disk", ROLE) == 10, what="the books to agree")
    assert amount(total_of(master), "disk", ROLE, "v") == 0
    os.unlink(os.path.join(work_dir, "volumes"))
    offer = offer_with(scheduler, "disk", 10)
    apply(scheduler, offer, create(data))


def test_flags_that_do_not_fit_any_more(cluster, master, agent, scheduler):
    apply(scheduler, scheduler.wait_offer(), reserve(reserved(scalar("cpus", 3))))
    agent.stop()
    agent.flags["resources"] = "cpus:2;mem:1024;disk:1000;ports:[31000-31009]"
    agent.flags["reconfiguration_policy"] = "additive"
    agent.start()
    wait_for(lambda: not agent.is_running(), what="the agent to refuse")
    assert "Resources decreased" in agent.read_log()
    # As a new agent, too: reservations are the machine's.
    os.rename(os.path.join(agent.flags["work_dir"], "meta"), os.path.join(agent.flags["work_dir"], "kept"))
    agent.start()
    wait_for(lambda: agent.get("/health").status == 200 if agent.serves() else False)
    agent.stop()
    os.rename(os.path.join(agent.flags["work_dir"], "meta"), os.path.join(agent.flags["work_dir"], "other"))
    os.rename(os.path.join(agent.flags["work_dir"], "kept"), os.path.join(agent.flags["work_dir"], "meta"))
    agent.flags["resources"] = RESOURCES
    agent.start()
    cluster.wait_registered(agent)
    assert amount(total_of(master), "cpus", ROLE) == 3


def test_default_role(cluster, master):
    """Static reservations as --default_role and --resources say."""
    agent = cluster.start_agent(master, resources="cpus:2;mem:512;disk(*):10;cpus(other):1", default_role="eng")
    for slave in (master.get("/slaves").json()["slaves"][0], agent.state()):
        assert slave["reserved_resources"]["eng"]["cpus"] == 2 and slave["reserved_resources"]["other"]["cpus"] == 1
        assert slave["unreserved_resources"]["disk"] == 10 and slave["unreserved_resources"]["cpus"] == 0
        full = slave["reserved_resources_full"]["other"]
        assert [(r["name"], r["role"], r["reservations"]) for r in full] == [
            ("cpus", "other", [{"type": "STATIC", "role": "other"}])]
        assert [r["name"] for r in slave["unreserved_resources_full"]] == ["disk"] or (
            {r["name"] for r in slave["unreserved_resources_full"]} == {"disk", "ports"})
    offer = cluster.scheduler(master, role="other").wait_offer()
    assert amount_old(offer, "cpus", "other") == 1 and amount_old(offer, "cpus", "eng") == 0


def amount_old(offer, name, role):
    return sum(r["scalar"]["value"] for r in offer["resources"] if r["name"] == name and r["role"] == role)


# ---- operators ----

def call(daemon, kind, **content):
    body = {"type": kind}
    if content:
        body[kind.lower()] = content
    return daemon.post("/api/v1", body)


def agent_id_of(master):
    return {"value": master.state()["slaves"][0]["id"]}


def post_form(daemon, path, **fields):
    body = urllib.parse.urlencode({k: v if isinstance(v, str) else json.dumps(v) for k, v in fields.items()})
    return daemon.post(path, body, headers={"Content-Type": "application/x-www-form-urlencoded"})


V0 = {"RESERVE_RESOURCES": ("/reserve", "resources"), "UNRESERVE_RESOURCES": ("/unreserve", "resources"),
      "CREATE_VOLUMES": ("/create-volumes", "volumes"), "DESTROY_VOLUMES": ("/destroy-volumes", "volumes")}


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_operators(cluster, master, agent, scheduler, version):
    """Offers are taken back for it; what is in use is a conflict."""
    def operate(kind, *resources, **more):
        path, field = V0[kind]
        if version == "v1":
            return call(master, kind, agent_id=agent_id_of(master), **{field: list(resources)}, **more)
        return post_form(master, path, slaveId=agent_id_of(master)["value"], **{field: list(resources)}, **more)

    scheduler.wait_offer()
    cpus, disk, data = reserved(scalar("cpus", 3)), reserved(scalar("disk", 50)), volume("v", 50)
    response = operate("RESERVE_RESOURCES", cpus, disk)
    assert (response.status, response.text) == (202, "")
    scheduler.wait("RESCIND")
    assert operate("CREATE_VOLUMES", data).status == 202
    offer = offer_with(scheduler, "disk", 50, persistence="v")
    status = run(scheduler, offer, "touch data/x", reserved(scalar("cpus", 2)), scalar("mem", 32), data)
    assert status["state"] == "TASK_FINISHED"
    offer = offer_with(scheduler, "disk", 50, persistence="v")
    task = task_on(offer, "sleep 1000", reserved(scalar("cpus", 2)), scalar("mem", 32))
    scheduler.accept([offer], [launch(task)], refuse_seconds=0)
    scheduler.wait_update(task["task_id"]["value"], "TASK_RUNNING")
    response = operate("UNRESERVE_RESOURCES", cpus)
    assert response.status == 409 and "does not contain cpus(reservations: [(DYNAMIC,storage,p)]):3" in response.text
    assert operate("DESTROY_VOLUMES", data).status == 202
    wait_for(lambda: not os.path.exists(directory_of(agent, "v")), what="the volume to go")
    # From one role to another, at once.
    moved = operate("RESERVE_RESOURCES", reserved(scalar("cpus", 1), "other"), source=[reserved(scalar("cpus", 1))])
    assert moved.status == 202
    total = total_of(master)
    assert (amount(total, "cpus", ROLE), amount(total, "cpus", "other"), amount(total, "cpus")) == (2, 1, 1)
    wait_for(lambda: call(master, "GET_OPERATIONS").json()["get_operations"].get("operations", []) == [],
             what="the operations to be over")


def test_operators_resize(cluster, master, agent):
    agent_id = agent_id_of(master)
    disk, data = reserved(scalar("disk", 100)), volume("v", 40)
    assert call(master, "RESERVE_RESOURCES", agent_id=agent_id, resources=[disk]).status == 202
    assert call(master, "CREATE_VOLUMES", agent_id=agent_id, volumes=[data]).status == 202
    grown = call(master, "GROW_VOLUME", agent_id=agent_id, volume=data, addition=reserved(scalar("disk", 10)))
    assert grown.status == 202
    shrunk = call(master, "SHRINK_VOLUME", agent_id=agent_id, volume=volume("v", 50), subtract={"value": 45})
    assert shrunk.status == 202
    assert amount(total_of(master), "disk", ROLE, "v") == 5
    assert call(master, "SHRINK_VOLUME", agent_id=agent_id, volume=volume("v", 50), subtract={"value": 1}).status == 409


@pytest.mark.parametrize("kind, content, status, text", [
    ("RESERVE_RESOURCES", {"resources": [scalar("cpus", 1)]}, 400,
     "Resource cpus:1 is not dynamically reserved"),
    ("RESERVE_RESOURCES", {"resources": []}, 400, "Invalid resources"),
    ("RESERVE_RESOURCES", {"resources": [reserved(scalar("cpus", 100))]}, 409, "does not contain cpus:100"),
    ("RESERVE_RESOURCES", {"resources": [reserved(scalar("cpus", -1))]}, 400, "Invalid scalar resource: value <= 0"),
    ("RESERVE_RESOURCES", {"resources": [reserved(scalar("cpus", 1), "a/../b")]}, 400, "Role"),
    ("RESERVE_RESOURCES", {"resources": [{**reserved(scalar("cpus", 1)), "allocation_info": {"role": ROLE}}]}, 400,
     "the operator API only allows reservations to be made to unallocated resources"),
    ("UNRESERVE_RESOURCES", {"resources": [reserved(scalar("cpus", 1))]}, 409, "does not contain"),
    ("UNRESERVE_RESOURCES", {"resources": [volume("v", 1)]}, 400, "Please destroy the persistent volume first"),
    ("CREATE_VOLUMES", {"volumes": [reserved(scalar("disk", 1))]}, 400, "does not have DiskInfo"),
    ("CREATE_VOLUMES", {"volumes": [volume("a/b", 1)]}, 400, "Invalid persistence ID"),
    ("CREATE_VOLUMES", {"volumes": [volume("v", 1), volume("v", 2)]}, 400, "Persistence ID 'v' is not unique"),
    ("CREATE_VOLUMES", {"volumes": [volume("v", 1)]}, 409, "does not contain"),
    ("DESTROY_VOLUMES", {"volumes": [volume("v", 1)]}, 400, "Persistent volumes not found"),
    ("GROW_VOLUME", {"volume": volume("v", 1), "addition": scalar("disk", 1)}, 400, "Incompatible resources"),
    ("SHRINK_VOLUME", {"volume": volume("v", 1), "subtract": {"value": 1}}, 400, "must be smaller than the size"),
])
def test_what_operators_may_not(cluster, master, agent, kind, content, status, text):
    before = total_of(master)
    response = call(master, kind, agent_id=agent_id_of(master), **content)
    assert response.status == status and text in response.text, response.text
    assert call(master, kind, agent_id={"value": "nobody"}, **content).text == "No agent found with specified ID"
    assert total_of(master) == before


def test_forms_that_are_none(master, agent):
    agent_id = agent_id_of(master)["value"]
    for path, field in V0.values():
        response = post_form(master, path, resources="[]", volumes="[]")
        assert (response.status, response.text) == (400, "Missing 'slaveId' query parameter in the request body")
        response = post_form(master, path, slaveId=agent_id)
        assert (response.status, response.text) == (400, "Missing '%s' query parameter in the request body" % field)
        for bad in ("[", "{}", '[{"name":1}]', '["x"]'):
            response = post_form(master, path, slaveId=agent_id, **{field: bad})
            assert response.status == 400 and field in response.text, response.text
        assert master.get(path).status == 405
