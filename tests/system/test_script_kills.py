# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the scheduler, of the executor, or of the task's process, at each step of a task's life.

The framework hears what Mesos' documents say, each end once, and all resources come back.
"""

import os
import signal
import time

import pytest

import books
import leftovers
import survivor
from harness import PATIENCE, TERMINAL, wait_for
from test_recovery_kills import STEPS, first_child

LATER = [step for step in STEPS if step.__name__ not in ("step_accepted", "step_sandbox", "step_run_file",
                                                         "step_supervisor", "step_forgotten")]


@pytest.fixture
def rig(cluster, master):
    cluster, master, agent, framework = survivor.start(cluster, master)
    framework.agent_id = agent.state()["id"]
    return cluster, master, agent, framework


def launch(framework, step):
    is_kill = "kill" in step.__name__
    task = framework.make_command(30 if is_kill else 0.3, 0 if is_kill else 3)
    framework.launch(framework.take_offer_now(), [task])
    return task["task_id"]["value"], is_kill


def kill_process(agent, generations):
    """kill -9 of the executor (1 below the supervisor) or of the task's process (2). False: it has ended."""
    def find():
        entries = agent.get("/containers").json()
        pid = entries[0]["status"].get("executor_pid") if entries else None
        try:
            for _ in range(generations):
                pid = pid and first_child(pid)
            return pid
        except (OSError, IndexError):
            return None

    deadline = time.monotonic() + 0.5 * PATIENCE
    while time.monotonic() < deadline:
        pid = find()
        if pid:
            try:
                os.kill(pid, signal.SIGKILL)
                return True
            except ProcessLookupError:
                pass
        elif agent.state()["frameworks"] == []:
            return False
    return False


def ends_of(framework, task_id):
    return [s for s in framework.updates.get(task_id, []) if s["state"] in TERMINAL]


def check_once(framework, task_id):
    """One end, of which nothing more comes."""
    if framework.heard is not None and framework.heard["uuid"] not in framework.acknowledged:
        framework.acknowledge(framework.heard)
    framework.heard = None
    framework.wait_all(20)
    ends = ends_of(framework, task_id)
    assert len({s["uuid"] for s in ends}) == 1, ends
    return ends[0]


def test_executor(rig):
    """TASK_FAILED, REASON_EXECUTOR_TERMINATED, from the agent; an end that it had told already stays."""
    cluster, master, agent, framework = rig
    for step in LATER:
        task_id, _ = launch(framework, step)
        step(agent, framework, task_id)
        was_there = kill_process(agent, 1)
        assert was_there or "end" in step.__name__ or "kill" in step.__name__, step  # it was faster
        status = check_once(framework, task_id)
        if status["source"] == "SOURCE_AGENT":
            assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_EXECUTOR_TERMINATED"), step
        else:
            assert step.__name__ in ("step_ended", "step_end_heard", "step_end_acknowledged", "step_killing_heard",
                                     "step_killed_heard", "step_kill_sent"), (step, status)
            assert status["state"] in {"TASK_FAILED", "TASK_KILLED"}
        survivor.settle(cluster, master, agent, framework)
    framework.teardown()
    books.wait_all_free(cluster, master, [agent])


def test_task_process(rig):
    """TASK_FAILED with the signal's name, or TASK_KILLED where the framework wanted it so."""
    cluster, master, agent, framework = rig
    for step in LATER:
        task_id, is_kill = launch(framework, step)
        step(agent, framework, task_id)
        was_there = kill_process(agent, 2)
        assert was_there or "end" in step.__name__ or "kill" in step.__name__, step
        status = check_once(framework, task_id)
        assert status["source"] == "SOURCE_EXECUTOR", status
        if is_kill:
            assert status["state"] == "TASK_KILLED"
        elif framework.count(task_id, "end") == 0:
            assert (status["state"], status["message"]) == ("TASK_FAILED", "Command terminated with signal Killed")
        survivor.settle(cluster, master, agent, framework)
    framework.teardown()
    books.wait_all_free(cluster, master, [agent])


def test_scheduler_that_comes_back(rig):
    """Tasks go on; whatever it had not acknowledged is told to the one that comes next."""
    cluster, master, agent, framework = rig
    for step in STEPS:
        task_id, is_kill = launch(framework, step)
        step(agent, framework, task_id)
        framework.close()
        time.sleep(0.1)
        framework.offers.clear()
        framework.acknowledged.clear()
        framework.subscribe()
        if is_kill:
            framework.kill(task_id)  # what it asked for may not have arrived
        framework.wait_all(20)
        framework.check(task_id)
        survivor.settle(cluster, master, agent, framework)
    books.wait_agreed(master, [agent])


def test_scheduler_that_stays_away(rig):
    """Without a failover timeout its tasks go with it, wherever they are."""
    cluster, master, agent, framework = rig
    framework.teardown()
    for step in STEPS:
        framework = survivor.Framework(master.address, cluster.path("evidence"), agent, None)
        framework.framework["failover_timeout"] = 0
        framework.agent_id = agent.state()["id"]
        cluster.schedulers.append(framework)
        framework.subscribe()
        framework.prefix = step.__name__
        task_id, _ = launch(framework, step)
        step(agent, framework, task_id)
        framework.close()
        wait_for(lambda f=framework: f.framework_id in {g["id"] for g in master.state()["completed_frameworks"]},
                 what="the framework to be removed")
        wait_for(lambda: agent.state()["frameworks"] == [], 20, "the agent to be done with it")
        assert survivor.find_runs(agent) == []
        assert leftovers.find_processes_in(agent.flags["work_dir"]) == {}
    books.wait_all_free(cluster, master, [agent])
