# SPDX-License-Identifier: Apache-2.0
"""Every state, source and reason of a task is driven at least once: task_reasons.py lists by what.

The tests here are those that no other file had a place for; each runs for a framework with PARTITION_AWARE and
for one without, wherever that makes a difference.
"""

import json
import os
import re
import signal

import pods
from harness import ROOT, get, make_task, scalar, wait_for
from task_reasons import ROWS, enumeration, write_section
from test_bad_input_executor import Puppet
from test_executor_custom import encode, make, make_executor
from test_operations import ROLE, apply, create, reserve, reserved, volume
from test_operator import call

AWARE = [{"type": "PARTITION_AWARE"}]


def summary(status):
    return status["state"], status.get("source"), status.get("reason")


def id_of(task):
    return task["task_id"]["value"]


def be_quiet(scheduler):
    """Holds no offers and gets none, so that others find the agent free; until its REVIVE."""
    scheduler.call("SUPPRESS")
    for framework in get(scheduler.address, "/state").json()["frameworks"]:
        if framework["id"] == scheduler.framework_id and framework["offers"]:
            scheduler.decline([{"id": {"value": offer["id"]}} for offer in framework["offers"]], refuse_seconds=0)


def both(cluster, master, **fields):
    """A framework that knows of partitions, and one that does not; quiet."""
    made = [cluster.scheduler(master, name=name, capabilities=capabilities, failover_timeout=600, **fields)
            for name, capabilities in (("aware", AWARE), ("old", []))]
    for one in made:
        be_quiet(one)
    return made


def run_one(scheduler, wanted="TASK_RUNNING", **fields):
    """Launches one task and, with `wanted`, waits for that state; its id. The framework is quiet then."""
    task = make_task(**{"command": "sleep 1000", **fields})
    scheduler.call("REVIVE")
    scheduler.launch(scheduler.take_offer(), [task], refuse_seconds=0)
    be_quiet(scheduler)
    if wanted:
        scheduler.wait_update(id_of(task), wanted)
    return id_of(task)


def make_puppet(scheduler, agent, **options):
    scheduler.call("REVIVE")
    puppet = Puppet(scheduler, agent, **options)
    be_quiet(scheduler)
    return puppet


def next_status(scheduler, task_id, **wanted):
    """The next update of that task that says so."""
    return scheduler.wait("UPDATE", lambda e: e["update"]["status"]["task_id"]["value"] == task_id
                          and all(e["update"]["status"].get(k) == v for k, v in wanted.items()), 20)["update"]["status"]


def reconciled(scheduler, task_id, agent_id=None):
    """What RECONCILE of that task answers."""
    scheduler.pump()
    scheduler._seen = len(scheduler.events)
    scheduler.call("RECONCILE", tasks=[{"task_id": {"value": task_id}, **(
        {"agent_id": {"value": agent_id}} if agent_id else {})}])
    return summary(next_status(scheduler, task_id, reason="REASON_RECONCILIATION"))


# ---- the table ----

def read_function(path, name):
    """The text of a test function: of Python, or of C."""
    with open(os.path.join(ROOT, "tests", path), encoding="utf-8") as file:
        text = file.read()
    start = r"^def %s\(" % name if path.endswith(".py") else r"^static void %s\(" % name
    found = re.search(start, text, re.M)
    assert found, "%s has no %s" % (path, name)
    end = re.search(r"^(def |@pytest|\}|# ----)", text[found.end():], re.M)
    return text[found.start():found.end() + (end.start() if end else len(text))]


def test_the_table_covers_the_enumerations():
    """Nothing missing, nothing invented; and who is said to drive it names it."""
    states, sources, reasons = (set(enumeration(name)) for name in ("TaskState", "Source", "Reason"))
    assert (len(states), len(sources), len(reasons)) == (14, 3, 35)
    assert {row.state for row in ROWS if row.driver} == states
    assert {row.source for row in ROWS if row.driver} == sources
    assert {row.reason for row in ROWS} - {None} == reasons
    assert {row.state for row in ROWS} <= states and {row.source for row in ROWS} <= sources
    keys = [row[:4] for row in ROWS]
    assert len(set(keys)) == len(keys)
    for row in ROWS:
        assert bool(row.driver) != bool(row.why), row
        if not row.driver:
            assert len(row.why) > 20, row
            continue
        path, _, name = row.driver.partition("::")
        text = read_function(path, name)
        state, reason = row.state, row.reason or ""
        if path.endswith(".c"):
            state, reason = state.partition("_")[2], reason.partition("_")[2]
        assert re.search(r"(\b|_)%s\b" % state, text), row
        assert re.search(r"(\b|_)%s\b" % reason, text) or 'enumeration("Reason")' in text, row


def test_the_page_has_them():
    page = write_section()
    for name in ("TaskState", "Source", "Reason"):
        for value in enumeration(name):
            assert "`%s`" % value in page, value


# ---- what an executor may say ----

def test_an_executor_may_say_it(cluster, master, agent, scheduler):
    """Its framework is told what it said, in its name; the master counts it by state, source and reason."""
    offer = scheduler.wait_offer()
    said = [("TASK_FAILED", reason) for reason in enumeration("Reason")]
    said += [(state, None) for state in ("TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_FINISHED",
                                         "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_LOST", "TASK_DROPPED",
                                         "TASK_GONE")]
    tasks = [make("say %s %s" % (state, reason or ""), cpus=0.01, mem=1) for state, reason in said]
    scheduler.launch(offer, tasks, refuse_seconds=0)
    for task, (state, reason) in zip(tasks, said):
        assert summary(scheduler.wait_update(id_of(task), state)) == (state, "SOURCE_EXECUTOR", reason)
    metrics = master.metrics()
    for reason in enumeration("Reason"):
        name = reason.lower().replace("reason_agent_", "reason_slave_")
        assert metrics["master/task_failed/source_executor/" + name] == 1, name


# ---- agents that are not there ----

def test_agent_is_away_and_comes_back(cluster):
    master = cluster.start_master(registry="replicated_log", agent_ping_timeout="1secs", max_agent_ping_timeouts=1)
    agent = cluster.start_agent(master, executor_shutdown_grace_period="300ms")
    agent_id = agent.state()["id"]
    frameworks = both(cluster, master, checkpoint=True)
    tasks = [run_one(one) for one in frameworks]
    waiting = [run_one(one, None, command=None, executor=make_executor(command={"value": "sleep 1000"}))
               for one in frameworks]
    for one, task, other in zip(frameworks, tasks, waiting):
        assert reconciled(one, task) == ("TASK_RUNNING", "SOURCE_MASTER", "REASON_RECONCILIATION")
        assert reconciled(one, other) == ("TASK_STAGING", "SOURCE_MASTER", "REASON_RECONCILIATION")
        one.kill(other)
        assert summary(one.wait_end(other)) == ("TASK_KILLED", "SOURCE_AGENT", "REASON_TASK_KILLED_DURING_LAUNCH")
    for one, gone, unknown in zip(frameworks, ("TASK_GONE", "TASK_LOST"), ("TASK_UNKNOWN", "TASK_LOST")):
        assert reconciled(one, "never", agent_id) == (gone, "SOURCE_MASTER", "REASON_RECONCILIATION")
        assert reconciled(one, "never", "no-agent") == (unknown, "SOURCE_MASTER", "REASON_RECONCILIATION")
    agent.send_signal(signal.SIGSTOP)
    try:
        for one, task, state in zip(frameworks, tasks, ("TASK_UNREACHABLE", "TASK_LOST")):
            assert summary(one.wait_update(task, state)) == (state, "SOURCE_MASTER", "REASON_AGENT_REMOVED")
            assert reconciled(one, task, agent_id) == (state, "SOURCE_MASTER", "REASON_RECONCILIATION")
    finally:
        agent.send_signal(signal.SIGCONT)
    cluster.wait_registered(agent, master)
    for one, task in zip(frameworks, tasks):
        assert summary(next_status(one, task, reason="REASON_AGENT_REREGISTERED")) == (
            "TASK_RUNNING", "SOURCE_MASTER", "REASON_AGENT_REREGISTERED")
    call(master, "MARK_AGENT_GONE", agent_id={"value": agent_id})
    for one, task, state, reason in zip(frameworks, tasks, ("TASK_GONE_BY_OPERATOR", "TASK_LOST"),
                                        ("REASON_AGENT_REMOVED_BY_OPERATOR", "REASON_AGENT_REMOVED")):
        status = next_status(one, task, message="Agent has been marked gone", state=state)
        assert summary(status) == (state, "SOURCE_MASTER", reason)
        assert reconciled(one, task, agent_id) == (state, "SOURCE_MASTER", "REASON_RECONCILIATION")


def test_agent_leaves(cluster, master, agent):
    """Mesos tells both kinds of frameworks the same."""
    frameworks = both(cluster, master)
    tasks = [run_one(one) for one in frameworks]
    agent.stop(signal.SIGUSR1)
    for one, task in zip(frameworks, tasks):
        status = one.wait_end(task)
        assert summary(status) == ("TASK_LOST", "SOURCE_MASTER", "REASON_AGENT_REMOVED")


def test_task_that_never_reached_its_agent(cluster, master, agent):
    """The agent dies with the task in its ears; the next process has not heard of the framework either."""
    frameworks = both(cluster, master, checkpoint=True)
    agent.send_signal(signal.SIGSTOP)
    tasks = [run_one(one, None) for one in frameworks]
    agent.kill()
    agent.restart()
    for one, task, state in zip(frameworks, tasks, ("TASK_DROPPED", "TASK_LOST")):
        assert summary(one.wait_end(task)) == (state, "SOURCE_AGENT", "REASON_RECONCILIATION")


# ---- executors that are not there ----

def test_executors_after_the_agent_restarted(cluster, master):
    """One does not come back; one comes back and has not heard of a task that was sent to it."""
    agent = cluster.start_agent(master, executor_reregistration_timeout="1secs",
                                executor_shutdown_grace_period="300ms")
    frameworks = both(cluster, master, checkpoint=True)
    puppets = [make_puppet(one, agent, tasks=2) for one in frameworks]
    for puppet in puppets:
        puppet.run(puppet.tasks[0])
    absent = [make_puppet(one, agent) for one in frameworks]
    for puppet in absent:
        puppet.run()
    agent.kill()
    agent.restart()
    for puppet in puppets:
        puppet.stream = wait_for(lambda p=puppet: open_stream(p), what="the agent to let it subscribe")
        assert puppet.next()["type"] == "SUBSCRIBED"
    for one, puppet, other, dropped, gone in zip(frameworks, puppets, absent, ("TASK_DROPPED", "TASK_LOST"),
                                                 ("TASK_GONE", "TASK_LOST")):
        assert summary(one.wait_end(puppet.tasks[1])) == (dropped, "SOURCE_AGENT", "REASON_AGENT_RESTARTED")
        assert summary(one.wait_end(other.tasks[0])) == (
            gone, "SOURCE_AGENT", "REASON_EXECUTOR_REREGISTRATION_TIMEOUT")


def open_stream(puppet):
    stream = puppet.subscribe(unacknowledged_tasks=[], unacknowledged_updates=[])
    return stream if stream.status == 200 else None


def test_container_that_cannot_be_updated(cluster, master):
    """A file lies where the second task's volume is to appear."""
    agent = cluster.start_agent(master, resources="cpus:4;mem:1024;disk:1000;ports:[31000-31009]")
    for one, state in zip((AWARE, []), ("TASK_GONE", "TASK_LOST")):
        scheduler = cluster.scheduler(master, principal="p", roles=[ROLE], capabilities=[
            {"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}, *one])
        name = "volume-" + state
        data = volume(name, 10, path="seen/data")
        apply(scheduler, scheduler.wait_offer(), reserve(reserved(scalar("disk", 10))), create(data))
        executor = make_executor("updated-" + state)
        first, second = make("run", executor), make("run", executor)
        second["resources"] = [scalar("cpus", 0.1), scalar("mem", 32), data]
        scheduler.launch(scheduler.take_offer(lambda o: len(o["resources"]) > 2), [first], refuse_seconds=0)
        scheduler.wait_update(id_of(first), "TASK_RUNNING")
        offer = scheduler.take_offer(lambda o, n=name: n in json.dumps(o) and any(
            r["name"] == "cpus" for r in o["resources"]))
        scheduler.launch(offer, [second], refuse_seconds=0)
        for task in (first, second):
            assert summary(scheduler.wait_end(id_of(task))) == (
                state, "SOURCE_AGENT", "REASON_CONTAINER_UPDATE_FAILED")
        scheduler.teardown()
    wait_for(lambda: agent.state()["frameworks"] == [], what="the executors to be gone")


# ---- what is refused ----

def test_name_of_an_executor_that_runs(cluster, master, agent):
    """A command task's executor is called like the task."""
    for one, state in zip(both(cluster, master), ("TASK_DROPPED", "TASK_LOST")):
        run_one(one, command=None, executor=make_executor("taken"), data=encode("run"))
        status = one.wait_end(run_one(one, None, task_id="taken"))
        assert summary(status) == (state, "SOURCE_AGENT", "REASON_TASK_INVALID")
        assert status["message"] == "Cannot reuse an already existing executor for a command task"


def test_group_that_is_no_good(agent, scheduler):
    tasks = pods.make_tasks("true", "true", task_id="twice")
    pods.launch(scheduler, tasks)
    assert summary(scheduler.wait_end("twice")) == ("TASK_ERROR", "SOURCE_MASTER", "REASON_TASK_GROUP_INVALID")


def test_framework_is_removed(cluster, master, agent, scheduler):
    """Nobody is there to be told; operators see it."""
    task = run_one(scheduler)
    scheduler.teardown()
    done = call(master, "GET_TASKS")["completed_tasks"]
    assert [(t["task_id"]["value"], t["state"]) for t in done] == [(task, "TASK_KILLED")]
    assert summary(done[0]["statuses"][-1]) == ("TASK_KILLED", "SOURCE_MASTER", "REASON_FRAMEWORK_REMOVED")
    assert master.metrics()["master/task_killed/source_master/reason_framework_removed"] == 1
