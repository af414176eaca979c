# SPDX-License-Identifier: Apache-2.0
"""Daemons, executors, tasks, schedulers and connections that die or hang at awkward moments.

After each test the books of master and agent agree, all resources are offered again, and (by the
cluster fixture) no process, control group, mount or file is left.
"""

import os
import signal
import time

import pytest

import leftovers
from books import wait_agreed, wait_all_free
from harness import PATIENCE, StreamEnded, make_task, wait_for
from proxy import Proxy


@pytest.fixture
def master(cluster):
    return cluster.start_master(allocation_interval="20ms", agent_ping_timeout="1secs", max_agent_ping_timeouts=2)


# With the posix launcher, what an executor leaves behind when it is killed cannot be told from others'.
LAUNCHER = {"launcher": "linux", "isolation": "cgroups/cpu,cgroups/mem"} if leftovers.has_cgroups() else {}


def start_agent(cluster, first, **flags):
    return cluster.start_agent(first, executor_shutdown_grace_period="500ms", **LAUNCHER, **flags)


@pytest.fixture
def agent(cluster, master):
    return start_agent(cluster, master)


@pytest.fixture
def scheduler(cluster, master, agent):
    return cluster.scheduler(failover_timeout=60)


@pytest.fixture
def proxies():
    made = []

    def make(master):
        made.append(Proxy(master.address))
        made[-1].state = master.state  # for those who wait until the agent is registered
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(autouse=True)
def audit(cluster, master, proxies):
    """The end of each test: everything is given back."""
    yield
    for scheduler in cluster.schedulers:
        if scheduler.stream is None or scheduler.framework_id is None:
            continue
        response = scheduler.post({"type": "TEARDOWN", "framework_id": {"value": scheduler.framework_id}})
        assert response.status in (202, 400, 403)
    agents = [a for a in cluster.agents if a.is_running()]
    if master.is_running() and agents:
        wait_all_free(cluster, master, agents)


def has_room(offer):
    return any(r["name"] == "cpus" and r["scalar"]["value"] >= 0.5 for r in offer["resources"])


def start(scheduler, command="sleep 1000", wait="TASK_RUNNING", **fields):
    task = make_task(command, **fields)
    task_id = task["task_id"]["value"]
    scheduler.launch(scheduler.take_offer(has_room), [task], refuse_seconds=0)
    if wait:
        scheduler.wait_update(task_id, wait)
    return task_id


def run(scheduler, command, **fields):
    task_id = start(scheduler, command, None, **fields)
    return task_id, scheduler.wait_end(task_id)


def processes(cluster, word):
    """The pids of what runs below us with that word in its command line."""
    return [pid for pid, line in leftovers.find_descendants().items()
            if pid not in cluster.before and word in line.split()]


def executor_of(agent):
    """The pid of the only mesos-executor below the agent."""
    found = [pid for pid, line in leftovers.find_descendants(agent.pid).items()
             if line.split()[:1] and line.split()[0].endswith("mesos-executor")]
    assert len(found) == 1, found
    return found[0]


# ---- executors and tasks ----

def test_executor_killed_while_its_task_runs(cluster, master, agent, scheduler):
    task_id = start(scheduler, "sleep 4711")
    os.kill(executor_of(agent), signal.SIGKILL)
    status = scheduler.wait_end(task_id)
    assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_EXECUTOR_TERMINATED")
    wait_for(lambda: not processes(cluster, "4711"), what="the task's process to end")


def test_executor_killed_at_once(cluster, master, agent, scheduler):
    """As soon as its process is there, wherever it is on its way."""
    for _ in range(5):
        task_id = start(scheduler, wait=None)
        pid = wait_for(lambda: [p for p, line in leftovers.find_descendants(agent.pid).items()
                                if "mesos-executor" in line], what="the executor's process")[0]
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        status = scheduler.wait_end(task_id)
        assert status["state"] == "TASK_FAILED"
        assert status["reason"] in ("REASON_EXECUTOR_TERMINATED", "REASON_CONTAINER_LAUNCH_FAILED")


def test_task_process_killed(cluster, master, agent, scheduler):
    task_id = start(scheduler, "exec sleep 4712")
    os.kill(wait_for(lambda: processes(cluster, "4712"))[-1], signal.SIGKILL)
    status = scheduler.wait_end(task_id)
    assert (status["state"], status["message"]) == ("TASK_FAILED", "Command terminated with signal Killed")


def test_executor_killed_during_the_kill_grace(cluster, master, agent, scheduler):
    task_id = start(scheduler, "trap '' TERM; touch up; while :; do sleep 0.1; done")
    sandbox = cluster.sandbox(agent, scheduler.framework_id, task_id)
    wait_for(lambda: os.path.exists(os.path.join(sandbox, "up")))
    scheduler.kill(task_id, 30)
    time.sleep(0.1)
    os.kill(executor_of(agent), signal.SIGKILL)
    assert scheduler.wait_end(task_id)["state"] in ("TASK_FAILED", "TASK_KILLED")


def test_stopped_executor_is_killed_with_its_framework(cluster, master, agent, scheduler):
    """An executor that hangs does not keep its container."""
    start(scheduler, "sleep 4713")
    os.kill(executor_of(agent), signal.SIGSTOP)
    scheduler.teardown()
    wait_for(lambda: not agent.state()["frameworks"], what="the framework to be gone")
    wait_for(lambda: not processes(cluster, "4713"), what="the task's process to end")


# ---- agents ----

def test_agent_killed_while_a_task_runs(cluster, master, agent, scheduler):
    task_id = start(scheduler, "sleep 4714")
    agent.kill()
    # Without checkpoints its executors end with it.
    wait_for(lambda: not processes(cluster, "4714"), what="the task's process to end")
    agent.restart()
    cluster.wait_registered(agent)
    assert scheduler.wait_end(task_id)["state"] == "TASK_LOST"
    assert run(scheduler, "true")[1]["state"] == "TASK_FINISHED"


def test_agent_killed_between_accept_and_running(cluster, master, agent, scheduler):
    offer = scheduler.take_offer(has_room)
    tasks = [make_task("sleep 4715", cpus=0.05, mem=8) for _ in range(10)]
    scheduler.launch(offer, tasks, refuse_seconds=0)
    agent.kill()
    agent.restart()
    cluster.wait_registered(agent)
    for task in tasks:
        assert scheduler.wait_end(task["task_id"]["value"])["state"] == "TASK_LOST"
    wait_for(lambda: not processes(cluster, "4715"), what="the tasks' processes to end")


def test_agent_killed_during_the_kill_grace(cluster, master, agent, scheduler):
    task_id = start(scheduler, "trap '' TERM; while :; do sleep 0.01; done")
    scheduler.kill(task_id, 30)
    agent.kill()
    agent.restart()
    assert scheduler.wait_end(task_id)["state"] in ("TASK_LOST", "TASK_KILLED")


def test_agent_that_stays_away(cluster, master, agent, scheduler):
    """Killed and not started again: tasks that could outlive it are lost within the ping timeout, others at once."""
    durable = cluster.scheduler(master, checkpoint=True, failover_timeout=60)
    task_ids = [start(one) for one in (scheduler, durable)]
    agent.kill()
    for one, task_id, reason in zip((scheduler, durable), task_ids, ("REASON_AGENT_DISCONNECTED", "REASON_AGENT_REMOVED")):
        status = one.wait_end(task_id)
        assert (status["state"], status["source"], status["reason"]) == ("TASK_LOST", "SOURCE_MASTER", reason)
        if reason == "REASON_AGENT_DISCONNECTED":
            assert status["message"] == "Agent 127.0.0.1 disconnected"
    failure = scheduler.wait("FAILURE")["failure"]
    assert failure["agent_id"] == status["agent_id"]
    assert master.state()["slaves"] == []
    assert master.state()["unreachable_slaves"] == 1
    agent.restart()
    cluster.wait_registered(agent)


def test_agent_stopped_and_continued(cluster, master, agent):
    """Hung beyond the ping timeout it is unreachable; when it comes back, so does its task."""
    aware = cluster.scheduler(name="aware", capabilities=[{"type": "PARTITION_AWARE"}])
    task_id = start(aware)
    agent.send_signal(signal.SIGSTOP)
    try:
        status = aware.wait_update(task_id, "TASK_UNREACHABLE")
        assert (status["source"], status["reason"]) == ("SOURCE_MASTER", "REASON_AGENT_REMOVED")
        assert "unreachable_time" in status
        entry = next(f for f in master.state()["frameworks"] if f["id"] == aware.framework_id)
        assert [t["id"] for t in entry["unreachable_tasks"]] == [task_id]
        assert entry["used_resources"]["cpus"] == 0
        aware.kill(task_id)  # cannot be reached, but must not break anything
    finally:
        agent.send_signal(signal.SIGCONT)
    cluster.wait_registered(agent)
    wait_agreed(master, [agent])
    entry = next(f for f in master.state()["frameworks"] if f["id"] == aware.framework_id)
    assert entry["unreachable_tasks"] == []
    # The KILL that could not be delivered may be made up for; else the task runs on.
    if entry["tasks"]:
        aware.call("RECONCILE", tasks=[])
        aware.kill(task_id, 0.1)
        aware.wait_update(task_id, "TASK_KILLED")


def test_agent_stopped_for_a_moment(cluster, master, agent, scheduler):
    """Shorter than the timeout: nobody notices."""
    task_id = start(scheduler)
    agent.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    agent.send_signal(signal.SIGCONT)
    scheduler.kill(task_id, 0.1)
    assert scheduler.wait_end(task_id)["state"] == "TASK_KILLED"
    assert run(scheduler, "true")[1]["state"] == "TASK_FINISHED"
    assert master.state()["slaves"][0]["id"] == agent.state()["id"]


# ---- masters ----

def come_back(scheduler):
    """Subscribes again under its id, as a client does when its stream ends."""
    scheduler.close()
    scheduler._seen = len(scheduler.events)
    wait_for(lambda: try_subscribe(scheduler), 10, "the master to take the framework back")


def try_subscribe(scheduler):
    try:
        scheduler.subscribe()
        return True
    except (OSError, AssertionError):
        return False


def test_master_killed_while_tasks_run(cluster, master, agent, scheduler):
    running = [start(scheduler) for _ in range(2)]
    before = agent.state()["id"]
    master.kill()
    with pytest.raises(StreamEnded):
        scheduler.wait("ERROR")
    master.restart()
    registered = cluster.wait_registered(agent, timeout=5)
    assert registered["id"] == before
    come_back(scheduler)
    wait_agreed(master, [agent])
    entry = next(f for f in master.state()["frameworks"] if f["id"] == scheduler.framework_id)
    assert {(t["id"], t["state"]) for t in entry["tasks"]} == {(one, "TASK_RUNNING") for one in running}
    assert entry["name"] == "test" and entry["active"]
    for task_id in running:
        scheduler.kill(task_id, 0.1)
        assert scheduler.wait_end(task_id)["state"] == "TASK_KILLED"


def test_master_killed_before_the_framework_comes_back(cluster, master, agent, scheduler):
    """A task that ends while there is no master, and no framework after it: the update waits."""
    task_id = start(scheduler, "while ! [ -e go ]; do sleep 0.02; done")
    go = os.path.join(cluster.sandbox(agent, scheduler.framework_id, task_id), "go")
    master.kill()
    with open(go, "w", encoding="utf-8"):
        pass
    wait_for(lambda: [t for f in agent.state()["frameworks"] for e in f["executors"]
                      for t in e["tasks"] + e["completed_tasks"] if t["state"] == "TASK_FINISHED"],
             what="the task to end")
    master.restart()
    cluster.wait_registered(agent)
    come_back(scheduler)
    assert scheduler.wait_end(task_id)["state"] == "TASK_FINISHED"


def test_master_killed_between_accept_and_running(cluster, master, agent, scheduler):
    """Whether the agent got the task or not: the framework learns of it by reconciliation."""
    offer = scheduler.take_offer(has_room)
    tasks = [make_task("sleep 1000", cpus=0.05, mem=8) for _ in range(10)]
    scheduler.launch(offer, tasks, refuse_seconds=0)
    master.kill()
    master.restart()
    cluster.wait_registered(agent)
    come_back(scheduler)
    wait_agreed(master, [agent])
    for task in tasks:
        task_id = task["task_id"]["value"]
        scheduler.call("RECONCILE", tasks=[{"task_id": {"value": task_id}}])
        status = scheduler.wait("UPDATE", lambda e: e["update"]["status"]["task_id"]["value"] == task_id
                                and e["update"]["status"].get("reason") == "REASON_RECONCILIATION")
        assert status["update"]["status"]["state"] in (
            "TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_LOST")


def test_master_restarted_again_and_again(cluster, master, agent, scheduler):
    task_id = start(scheduler)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        master.stop(number)
        master.restart()
    cluster.wait_registered(agent)
    come_back(scheduler)
    wait_agreed(master, [agent])
    scheduler.kill(task_id, 0.1)
    assert scheduler.wait_end(task_id)["state"] == "TASK_KILLED"


def test_master_stopped_and_continued(cluster, master, agent, scheduler):
    """Its agents and frameworks keep their connections or come back; no task is lost."""
    task_id = start(scheduler)
    master.send_signal(signal.SIGSTOP)
    time.sleep(1.5)
    master.send_signal(signal.SIGCONT)
    cluster.wait_registered(agent)
    wait_agreed(master, [agent])
    scheduler.kill(task_id, 0.1)
    assert scheduler.wait_end(task_id)["state"] == "TASK_KILLED"


# ---- schedulers ----

def test_scheduler_gone_for_good(cluster, master, agent):
    """Without a failover timeout its tasks end with its connection."""
    brief = cluster.scheduler(name="brief")
    start(brief, "sleep 4716")
    brief.close()
    wait_for(lambda: not processes(cluster, "4716"), what="the task's process to end")
    wait_for(lambda: brief.framework_id in [f["id"] for f in master.state()["completed_frameworks"]])
    wait_for(lambda: not agent.state()["frameworks"], what="the agent to forget the framework")


def test_scheduler_gone_between_accept_and_running(cluster, master, agent):
    brief = cluster.scheduler(name="brief")
    brief.launch(brief.wait_offer(), [make_task("sleep 4717", cpus=0.05, mem=8) for _ in range(10)])
    brief.close()
    wait_for(lambda: brief.framework_id in [f["id"] for f in master.state()["completed_frameworks"]])
    wait_for(lambda: not agent.state()["frameworks"], what="the agent to forget the framework")
    wait_for(lambda: not processes(cluster, "4717"), what="the tasks' processes to end")


def test_scheduler_fails_over(cluster, master, agent, scheduler):
    """Updates that came meanwhile reach the next instance, in order; the stream of the first is dead."""
    scheduler.acknowledges = False
    task_id = start(scheduler, "while ! [ -e go ]; do sleep 0.02; done", wait="TASK_STARTING")
    sandbox = cluster.sandbox(agent, scheduler.framework_id, task_id)
    scheduler.close()
    wait_for(lambda: not next(f for f in master.state()["frameworks"])["connected"])
    with open(os.path.join(sandbox, "go"), "w", encoding="utf-8"):
        pass
    second = cluster.scheduler(master, failover_timeout=60, id={"value": scheduler.framework_id})
    assert second.framework_id == scheduler.framework_id
    assert second.wait_end(task_id, timeout=30)["state"] == "TASK_FINISHED"
    assert second.states_of(task_id) == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]


def test_failover_timeout_passes(cluster, master, agent):
    late = cluster.scheduler(name="late", failover_timeout=0.5)
    start(late, "sleep 4718")
    late.close()
    wait_for(lambda: late.framework_id in [f["id"] for f in master.state()["completed_frameworks"]])
    wait_for(lambda: not processes(cluster, "4718"), what="the task's process to end")
    again = cluster.scheduler(subscribe=False, name="late", id={"value": late.framework_id})
    with pytest.raises(AssertionError, match="Framework has been removed"):
        again.subscribe()
    again.close()


# ---- connections ----

def test_agent_link_cut(cluster, master, proxies):
    """Cut while a task ends: the agent is back at once, the update arrives, nothing is lost."""
    proxy = proxies(master)
    agent = start_agent(cluster, proxy)
    scheduler = cluster.scheduler(failover_timeout=60, checkpoint=True)
    task_id = start(scheduler, "while ! [ -e go ]; do sleep 0.02; done")
    before = agent.state()["id"]
    go = os.path.join(cluster.sandbox(agent, scheduler.framework_id, task_id), "go")
    for _ in range(3):
        proxy.cut()
    with open(go, "w", encoding="utf-8"):
        pass
    proxy.cut()
    assert scheduler.wait_end(task_id)["state"] == "TASK_FINISHED"
    wait_for(lambda: proxy.accepted >= 2)
    assert cluster.wait_registered(agent, master)["id"] == before
    assert run(scheduler, "true")[1]["state"] == "TASK_FINISHED"


def test_agent_link_cut_without_checkpoint(cluster, master, proxies):
    """The task is given up with the link, and told as running when the agent is back with it."""
    proxy = proxies(master)
    agent = start_agent(cluster, proxy)
    scheduler = cluster.scheduler(failover_timeout=60)
    task_id = start(scheduler)
    proxy.cut()
    lost = scheduler.wait_update(task_id, "TASK_LOST")
    assert (lost["source"], lost["reason"]) == ("SOURCE_MASTER", "REASON_AGENT_DISCONNECTED")
    scheduler.wait("UPDATE", lambda e: e["update"]["status"].get("reason") == "REASON_AGENT_REREGISTERED"
                   and e["update"]["status"]["state"] == "TASK_RUNNING")
    wait_agreed(master, [agent])
    scheduler.kill(task_id, 0.1)
    scheduler.wait("UPDATE", lambda e: e["update"]["status"]["state"] == "TASK_KILLED")
    wait_agreed(master, [agent])


def test_agent_link_cut_under_load(cluster, master, proxies):
    """Cut again and again while fifty tasks start and end: each gets exactly one end."""
    proxy = proxies(master)
    agent = start_agent(cluster, proxy)
    scheduler = cluster.scheduler(failover_timeout=60)
    ended = []
    deadline = time.monotonic() + 40 * PATIENCE
    for _ in range(5):
        offer = scheduler.take_offer(has_room, timeout=20)
        tasks = [make_task("true", cpus=0.05, mem=8) for _ in range(10)]
        scheduler.launch(offer, tasks, refuse_seconds=0)
        proxy.cut()
        for task in tasks:
            task_id = task["task_id"]["value"]
            status = scheduler.wait_end(task_id, timeout=deadline - time.monotonic())
            assert status["state"] in ("TASK_FINISHED", "TASK_LOST"), status
            ended.append(status["state"])
    assert len(ended) == 50
    cluster.wait_registered(agent, master)
    wait_agreed(master, [agent])


def test_agent_link_held(cluster, master, proxies):
    """Open but dead for longer than the ping timeout, then everything arrives late."""
    proxy = proxies(master)
    agent = start_agent(cluster, proxy)
    aware = cluster.scheduler(name="aware", capabilities=[{"type": "PARTITION_AWARE"}], failover_timeout=60)
    task_id = start(aware)
    proxy.hold()
    aware.wait_update(task_id, "TASK_UNREACHABLE")
    proxy.release()
    cluster.wait_registered(agent, master)
    wait_agreed(master, [agent])
    aware.call("RECONCILE", tasks=[{"task_id": {"value": task_id}}])
    aware.wait("UPDATE", lambda e: e["update"]["status"].get("reason") == "REASON_RECONCILIATION"
               and e["update"]["status"]["state"] == "TASK_RUNNING")
    aware.kill(task_id, 0.1)
    assert aware.wait_end(task_id)["state"] == "TASK_KILLED"


def test_agent_link_refused_for_a_while(cluster, master, proxies):
    proxy = proxies(master)
    agent = start_agent(cluster, proxy)
    scheduler = cluster.scheduler(failover_timeout=60)
    task_id = start(scheduler)
    proxy.refuses = True
    proxy.cut()
    wait_for(lambda: not cluster.find_registration(agent, master))
    tried = proxy.accepted
    wait_for(lambda: proxy.accepted > tried + 1, what="the agent to try again")
    proxy.refuses = False
    cluster.wait_registered(agent, master, timeout=20)
    wait_agreed(master, [agent])
    status = scheduler.wait_update(task_id)
    assert status is not None


def test_scheduler_connection_cut(cluster, master, agent, proxies):
    """A client behind a cut connection resubscribes and hears what it missed."""
    proxy = proxies(master)
    scheduler = cluster.scheduler(subscribe=False, failover_timeout=60)
    scheduler.address = proxy.address
    scheduler.subscribe()
    task_id = start(scheduler, "while ! [ -e go ]; do sleep 0.02; done")
    proxy.cut()
    with pytest.raises(StreamEnded):
        scheduler.wait("ERROR")
    with open(os.path.join(cluster.sandbox(agent, scheduler.framework_id, task_id), "go"), "w", encoding="utf-8"):
        pass
    come_back(scheduler)
    assert scheduler.wait_end(task_id, timeout=30)["state"] == "TASK_FINISHED"


def test_scheduler_that_does_not_read(cluster, master, agent, scheduler):
    """One whose connection is stuck does not hold up another."""
    proxy = Proxy(master.address)
    offer = scheduler.take_offer(has_room)  # what is left of it will be offered to the one that is stuck
    stuck = cluster.scheduler(subscribe=False, name="stuck")
    stuck.address = proxy.address
    stuck.subscribe()
    proxy.hold()
    try:
        tasks = [make_task("true", cpus=0.01, mem=1) for _ in range(5)]
        scheduler.launch(offer, tasks, refuse_seconds=0)
        for task in tasks:
            assert scheduler.wait_end(task["task_id"]["value"])["state"] == "TASK_FINISHED"
    finally:
        proxy.close()
        stuck.close()
    wait_for(lambda: stuck.framework_id in [f["id"] for f in master.state()["completed_frameworks"]])
