# SPDX-License-Identifier: Apache-2.0
"""A framework for tests that kill its agent: what it hears must be what happened, once.

What is true of a task is written by the task itself, in files: that it began, and with what it ended.
"""

import base64
import json
import os
import random
import signal
import time

import books
import leftovers
from harness import PATIENCE, ROOT, Scheduler, TERMINAL, make_task, scalar, wait_for

SEED = int(os.environ.get("MESETA_RECOVERY_SEED", "1"))
EXECUTOR = os.path.join(ROOT, "tests", "system", "surviving_executor.py")
# What may be told of a task that never ran.
CUT_OFF = {"TASK_FAILED", "TASK_LOST", "TASK_KILLED"}


class Framework(Scheduler):
    """Acknowledges what it takes up with work(), and remembers each update, and which may not come again."""

    def __init__(self, address, evidence, agent, chance):
        super().__init__(address, name="survivor", checkpoint=True, failover_timeout=600,
                         capabilities=[{"type": "TASK_KILLING_STATE"}])
        self.acknowledges = False
        self.evidence = evidence
        self.agent = agent
        self.chance = chance
        self.offers = []
        self.tasks = {}  # id -> what it was told to do
        self.prefix = ""  # of their ids
        self.heard = None  # a status that a test has not acknowledged yet
        self.updates = {}  # id -> statuses
        self.sealed = set()  # uuids that may never come again
        self.life = 0  # how often the agent was killed
        self.is_registered = True  # in this life, as far as is known
        self.acknowledged = set()  # uuids, in this life, since then
        self.launched = {}  # id -> (life, uuids acknowledged before it was launched)
        self.at = 0

    # ---- tasks ----

    def make_command(self, seconds, code):
        task_id = "%sc%d" % (self.prefix, len(self.tasks))
        note = os.path.join(self.evidence, task_id)
        command = "echo start >> %s.start; %s; echo end >> %s.end; exit %d" % (
            note, "sleep %.3f" % seconds if seconds > 0 else ":", note, code)
        self.tasks[task_id] = {"state": "TASK_FAILED" if code else "TASK_FINISHED", "code": code, "is_killed": False}
        return make_task(command, cpus=0.1, mem=32, task_id=task_id)

    def make_custom(self, executor_id, seconds, state):
        task_id = "x%d" % len(self.tasks)
        order = {"evidence": self.evidence}
        if state is not None:
            order.update(delay=seconds, end=state)
        self.tasks[task_id] = {"state": state, "code": None, "is_killed": False}
        executor = {"type": "CUSTOM", "executor_id": {"value": executor_id},
                    "command": {"value": "exec python3 -B " + EXECUTOR},
                    "resources": [scalar("cpus", 0.1), scalar("mem", 64)]}
        return make_task(cpus=0.1, mem=32, task_id=task_id, executor=executor,
                         data=base64.b64encode(json.dumps(order).encode()).decode())

    def file(self, task_id, what):
        return os.path.join(self.evidence, "%s.%s" % (task_id, what))

    def count(self, task_id, what):
        try:
            with open(self.file(task_id, what), encoding="ascii") as file:
                return len(file.readlines())
        except FileNotFoundError:
            return 0

    def launch(self, offer, tasks, refuse_seconds=0):
        before = (self.life, frozenset(self.acknowledged - self.sealed))
        self.launched.update({t["task_id"]["value"]: before for t in tasks})
        return super().launch(offer, tasks, refuse_seconds)

    # ---- events ----

    def acknowledge(self, status):
        super().acknowledge(status)
        if self.is_registered and "uuid" in status:
            self.acknowledged.add(status["uuid"])

    def forget_agent(self):
        """It was killed."""
        self.life += 1
        self.is_registered = False
        self.acknowledged.clear()
        self.offers.clear()

    def take(self, event):
        kind = event["type"]
        if kind == "OFFERS":
            self.offers += event["offers"]["offers"]
        elif kind == "RESCIND":
            self.offers = [o for o in self.offers if o["id"] != event["rescind"]["offer_id"]]
        elif kind == "UPDATE":
            status = event["update"]["status"]
            task_id = status["task_id"]["value"]
            known = self.updates.setdefault(task_id, [])
            assert status.get("uuid") not in self.sealed, "acknowledged for good, and here again: %s" % status
            assert not any(s.get("uuid") in self.sealed for s in known if s["state"] in TERMINAL), (
                "it ended for good, and now: %s" % status)
            known.append(status)
            life, acknowledged = self.launched.get(task_id, (None, ()))
            if life == self.life and status["state"] in {"TASK_STARTING", "TASK_RUNNING"}:
                # RUN_TASK came through on the connection by which they went before, so they did too.
                self.sealed.update(acknowledged)
            return status
        elif kind == "ERROR":
            raise AssertionError(event)
        return None

    def next_update(self, timeout=0.0):
        """The next update, which is not acknowledged yet, or None."""
        deadline = time.monotonic() + timeout * PATIENCE
        while True:
            while self.at < len(self.events):
                self.at += 1
                status = self.take(self.events[self.at - 1])
                if status is not None:
                    return status
            if not self._pump(deadline):
                return None

    def work(self, timeout=0.0):
        """Takes up what has come, and acknowledges."""
        status = self.next_update(timeout)
        while status is not None:
            self.acknowledge(status)
            status = self.next_update()

    def take_offer_now(self):
        """An offer that has not been used."""
        def find():
            self.work()
            return self.offers

        wait_for(find, 20, "an offer")
        return self.offers.pop(0)

    def end_of(self, task_id):
        return next((s for s in self.updates.get(task_id, []) if s["state"] in TERMINAL), None)

    def live(self):
        return [t for t in self.tasks if self.end_of(t) is None]

    def wait_all(self, timeout=60):
        deadline = time.monotonic() + timeout * PATIENCE
        while self.live():
            self.work(0.1)
            assert time.monotonic() < deadline, "no end of %s, last: %s" % (
                {t: self.updates.get(t, [])[-1:] for t in self.live()}, self.events[-3:])

    def seal(self):
        """All that was told so far is acknowledged, and the agent knows it."""
        self.sealed |= {s["uuid"] for u in self.updates.values() for s in u if "uuid" in s}

    # ---- what is true ----

    def check(self, task_id):
        """What came of the task is what happened."""
        order = self.tasks[task_id]
        ends = [s for s in self.updates[task_id] if s["state"] in TERMINAL]
        starts, status = self.count(task_id, "start"), ends[0]
        # What the master says of itself when the agent is back has no uuid, and is not to be acknowledged.
        uuids = {s["uuid"] for s in ends if "uuid" in s}
        # Of a task that an agent never had each new process tells anew, until that is acknowledged.
        is_unknown = starts == 0 and all(s.get("reason") == "REASON_RECONCILIATION" for s in ends)
        assert is_unknown or len(uuids) <= 1, "%s ended more than once: %s" % (task_id, ends)
        assert len({s["state"] for s in ends}) == 1, "%s ended in two states: %s" % (task_id, ends)
        assert starts <= 1, "%s ran %d times" % (task_id, starts)
        if starts == 0:
            assert status["state"] in CUT_OFF, "%s never ran: %s" % (task_id, status)
        elif order["is_killed"] and status["state"] == "TASK_KILLED":
            pass  # before or after its own end: the executor knows
        else:
            assert self.count(task_id, "end") == 1, "%s did not end itself: %s" % (task_id, status)
            assert status["state"] == order["state"], "%s: %s" % (task_id, status)
            if order["code"]:
                assert "exited with status %d" % order["code"] in status["message"], status


def start(cluster, master, **options):
    """An agent with the strongest isolation that this machine has, and a framework that checkpoints."""
    evidence = cluster.path("evidence")
    os.mkdir(evidence)
    isolation = {"launcher": "linux", "isolation": "cgroups/cpu,cgroups/mem"} if leftovers.has_cgroups() else {}
    agent = cluster.start_agent(master, resources="cpus:16;mem:16000;disk:1000", **isolation, **options)
    framework = Framework(master.address, evidence, agent, random.Random(SEED))
    cluster.schedulers.append(framework)
    framework.subscribe()
    return cluster, master, agent, framework


def kill_agent(agent, framework):
    agent.kill()
    framework.forget_agent()


def find_runs(agent):
    try:
        return os.listdir(os.path.join(agent.flags["runtime_dir"], "containers"))
    except FileNotFoundError:
        return []


def find_container_cgroups(cluster):
    inner = [d for path in leftovers.find_cgroups(cluster.cgroups_root) for d, _, _ in os.walk(path)][1:]
    return [d for d in inner if os.path.basename(d) != cluster.cgroups_root]


def settle(cluster, master, agent, framework):
    """Everything ended: nothing is left, and both keep the same books."""
    wait_for(lambda: framework.work() or agent.state()["frameworks"] == [], 20, "all executors to be done")
    assert find_runs(agent) == []
    # Those of a container that the agent never heard of go while it is at other things already.
    wait_for(lambda: find_container_cgroups(cluster) == [], 10, "the control groups to go")
    books.wait_agreed(master, [agent])
    assert leftovers.find_mounts_below(cluster.directory) == []
    mine = leftovers.find_processes_in(agent.flags["work_dir"])
    assert mine == {}, "processes left: %s" % mine
    framework.seal()


# ---- random moments ----

def launch_some(framework):
    chance = framework.chance
    framework.work()
    while framework.offers and len(framework.live()) < 40:
        tasks = []
        offer = framework.offers.pop(0)
        room = {r["name"]: r["scalar"]["value"] for r in offer["resources"] if "scalar" in r}
        # A task of a custom executor may need the executor's resources too.
        for _ in range(min(chance.randint(1, 12), int(room.get("cpus", 0) / 0.21), int(room.get("mem", 0) / 96))):
            kind = chance.random()
            seconds = chance.choice([0, 0, 0.05, 0.3, chance.uniform(0, 2)])
            if kind < 0.7:
                tasks.append(framework.make_command(seconds, chance.choice([0, 3, 77])))
            else:
                executor = chance.choice(["first", "second"])
                tasks.append(framework.make_custom(executor, seconds, chance.choice(
                    ["TASK_FINISHED", "TASK_FAILED", None])))
        if tasks:
            framework.launch(offer, tasks)
        else:
            framework.decline([offer], refuse_seconds=0)


def kill_some(framework):
    """Kills what runs until it is killed, and now and then something else."""
    for task_id in framework.live():
        order = framework.tasks[task_id]
        states = [s["state"] for s in framework.updates.get(task_id, [])]
        if "TASK_RUNNING" in states and (order["state"] is None or framework.chance.random() < 0.02):
            order["is_killed"] = True
            framework.kill(task_id)


def torment(rig, kills, pace=1):
    """Kills the agent so often, at moments that are `pace` times as far apart as usual; then all must be true."""
    cluster, master, agent, framework = rig
    chance = framework.chance
    for _ in range(kills):
        until_s = time.monotonic() + pace * chance.choice([0.01, 0.05, 0.3, chance.uniform(0, 0.6)])
        while True:
            launch_some(framework)
            kill_some(framework)
            left = until_s - time.monotonic()
            if left <= 0:
                break
            framework.work(min(left, 0.02))
        kill_agent(agent, framework)
        if chance.random() < 0.3:
            time.sleep(chance.uniform(0, 0.4))
        agent.start()
        if chance.random() < 0.8:
            wait_for(lambda: framework.work() or (agent.serves() and cluster.find_registration(agent, master)), 20,
                     "the agent to be back: " + agent.read_log()[-500:])
            framework.is_registered = True
    # What is to run until it is killed, is; everything ends.
    deadline = time.monotonic() + 60 * PATIENCE
    while framework.live():
        kill_some(framework)
        framework.work(0.1)
        assert time.monotonic() < deadline, "no end of %s" % {
            t: [s["state"] for s in framework.updates.get(t, [])] for t in framework.live()}
    for task_id in framework.tasks:
        framework.check(task_id)
    for pid in leftovers.find_processes_in(agent.flags["work_dir"]):
        # The custom executors wait for more.
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            if EXECUTOR.encode() in file.read():
                os.kill(pid, signal.SIGTERM)
    settle(cluster, master, agent, framework)
    # What has been acknowledged is so for good.
    kill_agent(agent, framework)
    agent.start()
    cluster.wait_registered(agent, master)
    framework.work(0.5)
    ran = sum(framework.count(t, "start") for t in framework.tasks)
    print("%d kills, %d tasks, %d of which ran" % (kills, len(framework.tasks), ran))
    assert ran >= kills
