# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the agent at each step of a task's life, and at random moments under load; and of the others.

The framework must hear just what happened, once (survivor.py); and nothing may be left of anything.
"""

import os
import shutil
import signal
import sqlite3
import time

import pytest

import books
import leftovers
from harness import PATIENCE, make_task, wait_for
from survivor import find_container_cgroups, find_runs, kill_agent, settle, start, torment


@pytest.fixture
def rig(cluster, master):
    return start(cluster, master)


# ---- each step ----

def until(condition, framework, timeout=10):
    """Spins: the moment is what matters."""
    deadline = time.monotonic() + timeout * PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the step never came; %s" % framework.updates
    return True


def run_of(agent, framework, task_id):
    """The file of the task's container, once it is there."""
    work = os.path.join(agent.flags["work_dir"], "slaves", framework.agent_id, "frameworks", framework.framework_id,
                        "executors", task_id, "runs")
    try:
        names = [n for n in os.listdir(work) if n != "latest"]
    except FileNotFoundError:
        return None
    return (os.path.join(work, names[0]), os.path.join(agent.flags["runtime_dir"], "containers", names[0])) \
        if names else None


def holds(path, text):
    try:
        with open(path, "rb") as file:
            return text in file.read()
    except OSError:
        return False


def hear(framework, state):
    """Waits for that state; acknowledges what comes before, not itself."""
    deadline = time.monotonic() + 10 * PATIENCE
    while True:
        status = framework.next_update(0.5)
        if status is not None and status["state"] == state:
            framework.heard = status
            return status
        if status is not None:
            framework.acknowledge(status)
        assert time.monotonic() < deadline, "no %s: %s" % (state, framework.updates)


def step_accepted(agent, framework, task_id):
    pass


def step_sandbox(agent, framework, task_id):
    until(lambda: run_of(agent, framework, task_id), framework)


def step_run_file(agent, framework, task_id):
    until(lambda: (run_of(agent, framework, task_id) or "/n")[1] in
          [os.path.join(agent.flags["runtime_dir"], "containers", n) for n in find_runs(agent)], framework)


def step_supervisor(agent, framework, task_id):
    until(lambda: holds((run_of(agent, framework, task_id) or "/n")[1], b"\n"), framework)


def step_subscribed(agent, framework, task_id):
    until(lambda: holds((run_of(agent, framework, task_id) or "/n")[0] + "/stderr", b"Subscribed executor"), framework)


def step_started(agent, framework, task_id):
    until(lambda: os.path.exists(framework.file(task_id, "start")), framework)


def step_starting_heard(agent, framework, task_id):
    hear(framework, "TASK_STARTING")


def step_starting_acknowledged(agent, framework, task_id):
    framework.acknowledge(hear(framework, "TASK_STARTING"))


def step_running_heard(agent, framework, task_id):
    hear(framework, "TASK_RUNNING")


def step_running_acknowledged(agent, framework, task_id):
    framework.acknowledge(hear(framework, "TASK_RUNNING"))


def step_ended(agent, framework, task_id):
    framework.acknowledge(hear(framework, "TASK_RUNNING"))
    until(lambda: os.path.exists(framework.file(task_id, "end")), framework)


def step_end_heard(agent, framework, task_id):
    hear(framework, framework.tasks[task_id]["state"])


def step_end_acknowledged(agent, framework, task_id):
    framework.acknowledge(hear(framework, framework.tasks[task_id]["state"]))


def step_forgotten(agent, framework, task_id):
    framework.acknowledge(hear(framework, framework.tasks[task_id]["state"]))
    until(lambda: find_runs(agent) == [], framework)


def begin_kill(framework, task_id):
    framework.acknowledge(hear(framework, "TASK_RUNNING"))
    framework.tasks[task_id]["is_killed"] = True
    framework.kill(task_id)


def step_kill_sent(agent, framework, task_id):
    begin_kill(framework, task_id)


def step_killing_heard(agent, framework, task_id):
    begin_kill(framework, task_id)
    hear(framework, "TASK_KILLING")


def step_killed_heard(agent, framework, task_id):
    begin_kill(framework, task_id)
    hear(framework, "TASK_KILLED")


STEPS = [step_accepted, step_sandbox, step_run_file, step_supervisor, step_subscribed, step_started,
         step_starting_heard, step_starting_acknowledged, step_running_heard, step_running_acknowledged, step_ended,
         step_end_heard, step_end_acknowledged, step_forgotten, step_kill_sent, step_killing_heard, step_killed_heard]


def test_each_step(rig):
    cluster, master, agent, framework = rig
    framework.agent_id = agent.state()["id"]
    for step in STEPS:
        is_kill = "kill" in step.__name__
        task = framework.make_command(30 if is_kill else 0.2, 0 if is_kill else 3)
        task_id = task["task_id"]["value"]
        framework.launch(framework.take_offer_now(), [task])
        step(agent, framework, task_id)
        kill_agent(agent, framework)
        agent.start()
        cluster.wait_registered(agent, master)
        if is_kill:
            framework.kill(task_id)  # the first one may have gone with the agent
        framework.wait_all(20)
        framework.check(task_id)
        settle(cluster, master, agent, framework)
        print(step.__name__, [s["state"] for s in framework.updates[task_id]])


# ---- the others ----

def first_child(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
        return int(file.read().split()[0])


LAUNCHERS = [{"launcher": "posix"}, pytest.param(
    {"launcher": "linux", "isolation": "cgroups/cpu,cgroups/mem"}, marks=[pytest.mark.root, pytest.mark.cgroups])]


# Without checkpoint there is no supervisor, and nothing outlives the agent.
SITUATIONS = [(victim, checkpoint, is_away) for victim in ("supervisor", "executor", "task")
              for checkpoint in (False, True) for is_away in (False, True)
              if checkpoint or (victim != "supervisor" and not is_away)]


@pytest.mark.parametrize("launcher", LAUNCHERS, ids=["posix", "linux"])
@pytest.mark.parametrize("victim,checkpoint,is_away", SITUATIONS)
def test_kill_of_a_process(cluster, master, victim, checkpoint, is_away, launcher):
    """Whoever of a container's processes is killed, and whether an agent looks on: the others do not stay."""
    if launcher["launcher"] == "linux" and not leftovers.has_cgroups():
        pytest.skip("no control groups")
    agent = cluster.start_agent(master, **launcher)
    scheduler = cluster.scheduler(master, checkpoint=checkpoint)
    # The inner one would survive its parents, in a session of its own.
    task = make_task("setsid sleep 1000 & setsid sleep 1000")
    task_id = task["task_id"]["value"]
    scheduler.launch(scheduler.wait_offer(), [task], refuse_seconds=0)
    scheduler.wait_update(task_id, "TASK_RUNNING")
    first = agent.get("/containers").json()[0]["status"]["executor_pid"]
    executor = first_child(first) if checkpoint else first
    wait_for(lambda: len(leftovers.find_processes_in(agent.flags["work_dir"])) >= 4, what="the task's processes")
    if is_away:
        agent.kill()
    os.kill({"supervisor": first, "executor": executor, "task": first_child(executor)}[victim], signal.SIGKILL)
    if is_away:
        time.sleep(0.2)
        agent.start()
        cluster.wait_registered(agent, master)
    status = scheduler.wait_end(task_id)
    assert status["state"] == "TASK_FAILED"
    if victim == "task":
        assert "Command terminated with signal Killed" in status["message"]
    else:
        assert (status["source"], status["reason"]) == ("SOURCE_AGENT", "REASON_EXECUTOR_TERMINATED")
    wait_for(lambda: agent.state()["frameworks"] == [], what="the executor to be done")
    assert leftovers.find_processes_in(agent.flags["work_dir"]) == {}
    assert find_runs(agent) == []
    books.wait_agreed(master, [agent])


@pytest.mark.parametrize("launcher", LAUNCHERS, ids=["posix", "linux"])
@pytest.mark.parametrize("what", ["orphan", "cleanup", "reboot", "stopped executor"])
def test_nothing_of_before_stays(cluster, master, what, launcher):
    """Containers that the next agent does not go on with are taken down with all that they have."""
    if launcher["launcher"] == "linux" and not leftovers.has_cgroups():
        pytest.skip("no control groups")
    agent = cluster.start_agent(master, **launcher)
    scheduler = cluster.scheduler(master, checkpoint=what != "stopped executor")
    task = make_task("setsid sleep 1000 & sleep 1000")
    task_id = task["task_id"]["value"]
    scheduler.launch(scheduler.wait_offer(), [task], refuse_seconds=0)
    scheduler.wait_update(task_id, "TASK_RUNNING")
    first = agent.get("/containers").json()[0]["status"]["executor_pid"]
    wait_for(lambda: len(leftovers.find_processes_in(agent.flags["work_dir"])) >= 4, what="the task's processes")
    if what == "stopped executor":
        os.kill(first, signal.SIGSTOP)  # it does not see that its agent is gone
    agent.kill()
    meta = os.path.join(agent.flags["work_dir"], "meta")
    if what == "orphan":
        shutil.rmtree(meta)
    elif what == "reboot":
        while leftovers.find_processes_in(agent.flags["work_dir"]):
            leftovers.kill_all(leftovers.find_processes_in(agent.flags["work_dir"]))
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            boot_id = file.read().strip()
        with sqlite3.connect(os.path.join(meta, "agent.db")) as db:
            value = db.execute("SELECT value FROM entries WHERE key = 'agent'").fetchone()[0]
            db.execute("UPDATE entries SET value = ? WHERE key = 'agent'", (value.replace(boot_id, b"0" * 36),))
        db.close()
    elif what == "cleanup":
        agent.flags["recover"] = "cleanup"
        agent.start()
        assert agent.process.wait(20) == 0, agent.read_log()
        del agent.flags["recover"]
    agent.start()
    cluster.wait_registered(agent, master)
    assert scheduler.wait_end(task_id)["state"] in {"TASK_LOST", "TASK_FAILED", "TASK_KILLED"}
    if what != "stopped executor" or launcher["launcher"] == "linux":
        wait_for(lambda: leftovers.find_processes_in(agent.flags["work_dir"]) == {}, what="the processes to end")
    else:
        # Without control groups and without checkpoint nobody remembers it, as in Mesos; it ends by itself.
        os.kill(first, signal.SIGCONT)
        wait_for(lambda: leftovers.find_processes_in(agent.flags["work_dir"]) == {}, what="the processes to end")
    wait_for(lambda: find_container_cgroups(cluster) == [], what="the control groups to go")
    assert find_runs(agent) == []
    wait_for(lambda: agent.state()["frameworks"] == [], what="the executor to be forgotten")
    books.wait_agreed(master, [agent])


# ---- random moments ----

def test_random_moments(rig):
    torment(rig, 10)


@pytest.mark.soak
def test_random_moments_soak(rig):
    torment(rig, int(os.environ.get("MESETA_RECOVERY_ROUNDS", "200")))
