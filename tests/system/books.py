# SPDX-License-Identifier: Apache-2.0
"""Do master and agents agree? What both say of tasks, and what is used, offered and there in all."""

from harness import wait_for

TERMINAL = ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_LOST", "TASK_GONE", "TASK_DROPPED")
SCALARS = ("cpus", "mem", "disk")


def tasks_of_master(state, agent_id):
    return {(f["id"], t["id"]): t["state"] for f in state["frameworks"] for t in f["tasks"]
            if t["slave_id"] == agent_id and t["state"] not in TERMINAL}


def tasks_of_agent(state):
    tasks = {}
    for framework in state["frameworks"]:
        for executor in framework["executors"]:
            for task in executor["tasks"]:
                if task["state"] not in TERMINAL:
                    tasks[framework["id"], task["id"]] = task["state"]
            for task in executor["queued_tasks"]:
                tasks[framework["id"], task["id"]] = "TASK_STAGING"
    return tasks


def find_disagreement(master, agents):
    """A sentence about the first difference, or None."""
    state = master.state()
    ids = set()
    for agent in agents:
        mine = agent.state()
        ids.add(mine["id"])
        theirs = [s for s in state["slaves"] if s["id"] == mine["id"]]
        if len(theirs) != 1 or not theirs[0]["active"]:
            return "the master does not count %s as active" % agent.name
        slave = theirs[0]
        if tasks_of_agent(mine) != tasks_of_master(state, mine["id"]):
            return "%s has %s, the master %s" % (agent.name, tasks_of_agent(mine), tasks_of_master(state, mine["id"]))
        for name in SCALARS:
            used, offered = slave["used_resources"][name], slave["offered_resources"][name]
            if used + offered > slave["resources"][name] + 1e-6:
                return "%s: %s used and %s offered of %s %s" % (
                    agent.name, used, offered, slave["resources"][name], name)
            allocated = sum(r.get(name, 0) for r in [mine["unreserved_resources_allocated"]]
                            + list(mine["reserved_resources_allocated"].values()))
            # As in Mesos, a command task's executor counts at its agent alone.
            executors = sum(len(f["executors"]) for f in mine["frameworks"])
            if allocated < used - 1e-6 or (executors == 0 and allocated > used + 1e-6):
                return "%s: %s says %s used, the master %s" % (name, agent.name, allocated, used)
            booked = sum(f["used_resources"][name] for f in state["frameworks"] if len(agents) == 1)
            if len(agents) == 1 and abs(booked - used) > 1e-6:
                return "%s: the frameworks use %s, the agent's entry says %s" % (name, booked, used)
    extra = {s["id"] for s in state["slaves"] if s["active"]} - ids
    if extra:
        return "the master counts unknown agents as active: %s" % extra
    return None


def wait_agreed(master, agents, timeout=10):
    """Until the books agree; fails with the last difference."""
    last = []

    def agree():
        last[:] = [find_disagreement(master, agents)]
        return last[0] is None

    try:
        wait_for(agree, timeout, "the books to agree")
    except AssertionError as error:
        raise AssertionError("%s: %s" % (error, last[0])) from None


def wait_all_free(cluster, master, agents):
    """Nothing is used, and a new framework is offered all there is: no resource has leaked."""
    wait_agreed(master, agents)
    total = {name: sum(s["resources"][name] for s in master.state()["slaves"] if s["active"]) for name in SCALARS}
    scheduler = cluster.scheduler(master, name="auditor")

    def offered():
        scheduler.pump()
        frameworks = [f for f in master.state()["frameworks"] if f["id"] == scheduler.framework_id]
        return {name: frameworks[0]["offered_resources"][name] for name in SCALARS} == total

    wait_for(offered, 10, "all resources to be offered")
    scheduler.teardown()
    scheduler.close()
