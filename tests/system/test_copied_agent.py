# SPDX-License-Identifier: Apache-2.0
"""Agents that share what only one may have: a work_dir, or the id in a copy of it."""

import shutil

from harness import make_task, wait_for


def test_two_agents_on_one_work_dir(cluster):
    """The second does not start, and says why; the first notices nothing."""
    master = cluster.start_master()
    first = cluster.start_agent(master)
    second = cluster.start_agent(master, wait=False, work_dir=first.flags["work_dir"])
    assert second.process.wait(20) == 1
    assert "Another process has it open" in second.read_log()
    (entry,) = master.state()["slaves"]
    assert entry["active"] and int(entry["port"]) == int(first.flags["port"])


def test_a_machine_that_was_copied_with_its_agent(cluster):
    """As when a machine is cloned: the copy becomes an agent of its own, and the first one's task runs on."""
    master = cluster.start_master()
    first = cluster.start_agent(master)
    agent_id = first.state()["id"]
    scheduler = cluster.scheduler(master, checkpoint=True, failover_timeout=100.0)
    scheduler.launch(scheduler.wait_offer(), [make_task("sleep 1000", task_id="long")])
    scheduler.wait_update("long", "TASK_RUNNING")
    # Another machine has no processes of the first: without the executors there are none to look for.
    work_dir = shutil.copytree(first.flags["work_dir"], cluster.path("copy"), symlinks=True)
    copy = cluster.start_agent(master, wait=False, work_dir=work_dir, ip="127.0.0.2", port=first.flags["port"])
    wait_for(lambda: len([s for s in master.state()["slaves"] if s["active"]]) == 2, what="both to be active")
    assert "reregister with different IP / hostname; expected slave(1)@127.0.0.1" in master.read_log()
    assert copy.state()["id"] != agent_id and first.state()["id"] == agent_id
    scheduler.pump()
    assert scheduler.states_of("long") == ["TASK_STARTING", "TASK_RUNNING"]
    assert "No connection to the master" not in first.read_log()
