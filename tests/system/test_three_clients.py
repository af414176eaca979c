# SPDX-License-Identifier: Apache-2.0
"""One scenario, on pymesos, on npm's mesos-framework, and on a client that a stock protoc made of our .proto files:
a volume that outlives its tasks, a pod, reconciliation, a kill policy, a health check, and a scheduler that dies."""

import os

import pytest

import pods
from bridged import NodeScheduler, PymesosScheduler
from harness import make_task, scalar, wait_for
from protobuf_client import ProtobufScheduler

CLIENTS = {"pymesos": PymesosScheduler, "mesos-framework": NodeScheduler, "protoc": ProtobufScheduler}

ROLE = "clients"
# No principal: mesos-framework subscribes without one, and none can be had later.
INFO = {"user": "root", "name": "three-clients", "roles": [ROLE], "failover_timeout": 600, "capabilities": [
    {"type": name} for name in ("MULTI_ROLE", "RESERVATION_REFINEMENT", "PARTITION_AWARE", "TASK_KILLING_STATE")]}
RESERVATION = [{"type": "DYNAMIC", "role": ROLE}]
DISK = {**scalar("disk", 100), "reservations": RESERVATION}
VOLUME = {**DISK, "disk": {"persistence": {"id": "v"}, "volume": {"mode": "RW", "container_path": "data"}}}
ENDED = ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
KILLED = ["TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_KILLED"]


class Scene:
    """What the steps share: the cluster, and the client that speaks for the framework now."""

    def __init__(self, cluster, client):
        self.cluster = cluster
        self.master, self.agent = cluster.masters[0], cluster.agents[0]
        self.client = client
        self.log = cluster.path("client")
        os.makedirs(self.log)
        self.scheduler = self.connect()

    def connect(self, **more):
        options = {"directory": self.log} if self.client is not ProtobufScheduler else {}
        return self.cluster.scheduler(self.master, client=self.client, **INFO, **options, **more)

    def entry(self):
        frameworks = self.master.state()["frameworks"]
        return next((f for f in frameworks if f["id"] == self.scheduler.framework_id), None)

    def accept_all(self, operations, needs=None):
        """Accepts all that is offered, once nothing is used and, if it is needed, the volume is there."""
        def find():
            self.scheduler.pump()
            valid = {o["id"] for o in self.entry()["offers"]}
            offers = [o for e in self.scheduler.events if e["type"] == "OFFERS" for o in e["offers"]["offers"]
                      if o["id"]["value"] in valid]
            resources = [r for o in offers for r in o["resources"]]
            cpus = sum(r["scalar"]["value"] for r in resources if r["name"] == "cpus")
            has = [r for r in resources if r.get("disk", {}).get("persistence", {}).get("id") == needs]
            return offers if len(offers) == len(valid) and abs(cpus - 2) < 0.001 and has else None

        offers = wait_for(find, 15, "offers of all that the agent has")
        for one in operations:
            tasks = one.get("launch", {}).get("task_infos", []) + one.get("launch_group", {}).get(
                "task_group", {}).get("tasks", [])
            for task in tasks:
                task["agent_id"] = offers[0]["agent_id"]
        self.agent_id = offers[0]["agent_id"]
        self.scheduler.accept(offers, operations, refuse_seconds=0)

    def launch(self, *tasks, needs=None):
        self.accept_all([{"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}], needs)

    def launch_pod(self, *tasks):
        executor = pods.make_executor(self.scheduler)
        self.accept_all([{"type": "LAUNCH_GROUP", "launch_group": {
            "executor": executor, "task_group": {"tasks": list(tasks)}}}])
        return executor

    def kill(self, task):
        self.scheduler.call("KILL", task_id=task["task_id"], agent_id=self.agent_id)

    def end(self, task):
        return self.scheduler.wait_end(pods.id_of(task))

    def states(self, task):
        """Without repetitions: a RUNNING task tells more than once of its health."""
        states = self.scheduler.states_of(pods.id_of(task))
        return [s for i, s in enumerate(states) if i == 0 or s != states[i - 1]]

    def wait_running(self, *tasks):
        for task in tasks:
            self.scheduler.wait_update(pods.id_of(task), "TASK_RUNNING")

    def reconcile(self, tasks, expected):
        """Asks about tasks (none: about all); the answers are what is expected, {task id: state}, and no others. A task
        that was never there is said to have been on an agent that was never there."""
        before = len(self.scheduler.events)
        self.scheduler.call("RECONCILE", tasks=[{
            "task_id": {"value": t}, "agent_id": {"value": t} if t == "nobody" else self.agent_id} for t in tasks])

        def answers():
            self.scheduler.pump()
            statuses = [e["update"]["status"] for e in self.scheduler.events[before:] if e["type"] == "UPDATE"]
            return [s for s in statuses if s.get("reason") == "REASON_RECONCILIATION"]

        wait_for(lambda: len(answers()) >= len(expected), what="the answers")
        assert {s["task_id"]["value"]: s["state"] for s in answers()} == expected
        assert all("uuid" not in s and s["source"] == "SOURCE_MASTER" for s in answers())

    def operation_ended(self, name):
        event = self.scheduler.wait("UPDATE_OPERATION_STATUS", lambda e: e["update_operation_status"]["status"][
            "operation_id"]["value"] == name)
        status = event["update_operation_status"]["status"]
        assert status["state"] == "OPERATION_FINISHED", status
        self.scheduler.call("ACKNOWLEDGE_OPERATION_STATUS", agent_id=status["agent_id"],
                            operation_id=status["operation_id"], uuid=status["uuid"]["value"])


def operation(kind, **content):
    return {"type": kind, "id": {"value": kind.lower()}, kind.lower(): content}


def task_with_volume(command):
    task = make_task(command)
    task["resources"].append(VOLUME)
    return task


# ---- the steps ----

def volume_keeps_what_a_task_wrote(scene):
    writer = task_with_volume("echo kept > data/file")
    scene.accept_all([operation("RESERVE", resources=[DISK]), operation("CREATE", volumes=[VOLUME]),
                      {"type": "LAUNCH", "launch": {"task_infos": [writer]}}])
    scene.operation_ended("reserve")
    scene.operation_ended("create")
    scene.end(writer)
    assert scene.states(writer) == ENDED
    reader = task_with_volume("test $(cat data/file) = kept")
    scene.launch(reader, needs="v")
    assert scene.end(reader)["state"] == "TASK_FINISHED"


def volume_is_given_back(scene):
    scene.accept_all([operation("DESTROY", volumes=[VOLUME]), operation("UNRESERVE", resources=[DISK])], needs="v")
    scene.operation_ended("destroy")
    scene.operation_ended("unreserve")
    assert scene.master.state()["slaves"][0]["reserved_resources"] == {}


def pod_is_reconciled_and_killed(scene):
    tasks = pods.make_tasks("sleep 1000", "sleep 1000")
    ids = [pods.id_of(task) for task in tasks]
    executor = scene.launch_pod(*tasks)
    scene.wait_running(*tasks)
    scene.reconcile([ids[0]], {ids[0]: "TASK_RUNNING"})
    scene.reconcile(["nobody"], {"nobody": "TASK_UNKNOWN"})
    scene.reconcile([*ids, "nobody"], {ids[0]: "TASK_RUNNING", ids[1]: "TASK_RUNNING", "nobody": "TASK_UNKNOWN"})
    scene.reconcile([], {i: "TASK_RUNNING" for i in ids})
    scene.kill(tasks[0])
    for task in tasks:
        assert scene.end(task)["state"] == "TASK_KILLED"
        assert scene.states(task) == KILLED
    pods.wait_gone(scene.agent, executor)


def stubborn_task_has_its_grace(scene):
    task = make_task("trap 'touch asked' TERM; touch up; while :; do sleep 0.02; done",
                     kill_policy={"grace_period": {"nanoseconds": 300000000}})
    scene.launch(task)
    scene.wait_running(task)
    path = scene.cluster.sandbox(scene.agent, scene.scheduler.framework_id, pods.id_of(task))
    wait_for(lambda: os.path.exists(os.path.join(path, "up")), what="the task's trap")
    scene.kill(task)
    end = scene.end(task)
    assert end["message"] == "Command terminated with signal Killed"
    assert scene.states(task) == KILLED
    assert os.path.exists(os.path.join(path, "asked"))


def sick_task_is_killed(scene):
    check = {"type": "COMMAND", "delay_seconds": 0, "interval_seconds": 0.1, "grace_period_seconds": 0,
             "consecutive_failures": 2, "command": {"value": "test -e healthy"}}
    task = make_task("touch healthy; sleep 1000", health_check=check)
    scene.launch(task)

    def healths():
        scene.scheduler.pump()
        return [s["healthy"] for s in (e["update"]["status"] for e in scene.scheduler.events if e["type"] == "UPDATE")
                if s["task_id"] == task["task_id"] and s["state"] == "TASK_RUNNING" and "healthy" in s]

    wait_for(lambda: True in healths(), 15, "health")
    path = scene.cluster.sandbox(scene.agent, scene.scheduler.framework_id, pods.id_of(task))
    os.unlink(os.path.join(path, "healthy"))
    end = scene.end(task)
    assert (end["state"], end["healthy"]) == ("TASK_KILLED", False)
    assert healths()[-2:] == [False, False]


def scheduler_dies_and_another_takes_over(scene):
    """Its successor is told of what runs, and of what ended while nobody listened."""
    lasting = make_task("sleep 1000")
    ending = make_task("until [ -e go ]; do sleep 0.02; done")
    lost = scene.scheduler
    scene.launch(lasting, ending)
    scene.wait_running(lasting, ending)
    lost.pump()
    lost.close()
    wait_for(lambda: not scene.entry()["connected"], what="the master to see it")
    path = scene.cluster.sandbox(scene.agent, lost.framework_id, pods.id_of(ending))
    open(os.path.join(path, "go"), "w", encoding="ascii").close()
    wait_for(lambda: [t for t in scene.entry()["tasks"] + scene.entry()["completed_tasks"]
                      if t["id"] == pods.id_of(ending) and t["state"] == "TASK_FINISHED"], what="the end of one")
    scene.scheduler = scene.connect(id={"value": lost.framework_id})
    assert scene.scheduler.framework_id == lost.framework_id
    assert scene.end(ending)["state"] == "TASK_FINISHED"
    scene.reconcile([], {pods.id_of(lasting): "TASK_RUNNING"})
    assert scene.entry()["connected"] and sorted(scene.entry()["roles"]) == [ROLE]
    scene.kill(lasting)
    assert scene.end(lasting)["state"] == "TASK_KILLED"
    assert scene.states(lasting)[-2:] == KILLED[-2:]


STEPS = [volume_keeps_what_a_task_wrote, volume_is_given_back, pod_is_reconciled_and_killed,
         stubborn_task_has_its_grace, sick_task_is_killed, scheduler_dies_and_another_takes_over]


@pytest.mark.parametrize("client", CLIENTS)
def test_scenario(cluster, client):
    master = cluster.start_master(allocation_interval="20ms")
    cluster.start_agent(master)
    scene = Scene(cluster, CLIENTS[client])
    for step in STEPS:
        step(scene)
    first = cluster.schedulers[0]
    framework_id = scene.scheduler.framework_id
    scene.scheduler.call("TEARDOWN")
    done = wait_for(lambda: master.state()["completed_frameworks"])
    assert [f["id"] for f in done] == [framework_id]
    assert master.state()["slaves"][0]["used_resources"]["cpus"] == 0
    # The libraries did it, but for what they have no words for.
    if client == "pymesos":
        assert set().union(*first.ways.values()) == {"library"}
    elif client == "mesos-framework":
        assert first.ways["KILL"] == first.ways["ACKNOWLEDGE"] == {"library"}
        assert first.ways["ACCEPT"] == first.ways["RECONCILE"] == {"library", "request"}
