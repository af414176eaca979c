# SPDX-License-Identifier: Apache-2.0
"""Maintenance and drains from their beginning to their end, with the leading master killed after each step: masters
that elect each other through a real ZooKeeper, agents and a framework that find the new leader."""

import os
import time

import pytest

import zookeeper
from harness import make_task, wait_for
from test_election import scheduler_of, start_agent, start_master, wait_leader
from test_operator import call
from test_operator_agents import refused

pytestmark = pytest.mark.skipif(not zookeeper.is_installed(), reason="needs zookeeper and java")


class World:
    """Two masters, of which one leads; a framework that follows it."""

    def __init__(self, cluster, ensemble):
        self.cluster = cluster
        self.masters = [start_master(cluster, ensemble, agent_reregister_timeout="10mins", zk_session_timeout="1secs")
                        for _ in range(2)]
        self.leader = wait_leader(self.masters)
        self.scheduler = None

    def follow(self):
        self.scheduler = scheduler_of(self.cluster, self.leader, self.scheduler)
        return self.scheduler

    def fail_over(self, *agents):
        """Kills the leader; these agents are back with the next one. The killed one stands by."""
        before = self.leader
        before.kill()
        self.scheduler.close()
        self.leader = wait_leader([m for m in self.masters if m is not before])
        before.restart()
        for agent in agents:
            wait_for(lambda agent=agent: any(
                s["pid"] == "slave(1)@" + agent.address for s in self.slaves()), 20, "agent " + agent.name)
        self.follow()

    def slaves(self):
        return self.leader.get("/slaves").json()["slaves"]

    def slave(self, hostname):
        return next(s for s in self.slaves() if s["hostname"] == hostname)

    def offers_of(self, hostname):
        agents = {s["id"]: s["hostname"] for s in self.slaves()}
        return [o for f in self.leader.state()["frameworks"] for o in f["offers"] if agents[o["slave_id"]] == hostname]

    def start_task(self, hostname, command="sleep 1000"):
        offer = self.scheduler.take_offer(where=lambda o: o["hostname"] == hostname)
        task = make_task(command)
        self.scheduler.launch(offer, [task], 0)
        self.scheduler.wait_update(task["task_id"]["value"], "TASK_RUNNING")
        return task["task_id"]["value"]

    def maintenance(self):
        """Host names of machines that drain, what was answered about them, and those that are down."""
        status = call(self.leader, "GET_MAINTENANCE_STATUS")["status"]
        draining = status.get("draining_machines", [])
        return ([m["id"]["hostname"] for m in draining], [s["status"] for m in draining for s in m.get("statuses", [])],
                [m["hostname"] for m in status.get("down_machines", [])])

    def answer(self, kind):
        """Answers the next inverse offer; waits until the leader shows it."""
        inverse = self.scheduler.wait("INVERSE_OFFERS")["inverse_offers"]["inverse_offers"][0]
        self.scheduler.call(kind + "_INVERSE_OFFERS", inverse_offer_ids=[inverse["id"]], filters={"refuse_seconds": 1000})
        return wait_for(lambda: self.maintenance()[1], what="the answer to be shown")


@pytest.fixture
def world(cluster):
    ensemble = zookeeper.ZooKeeper()
    world = World(cluster, ensemble)
    world.ensemble = ensemble
    world.follow()
    yield world
    ensemble.close()


def test_maintenance(world):
    agent = start_agent(world.cluster, world.ensemble, world.leader, hostname="node-1", zk_session_timeout="1secs")
    other = start_agent(world.cluster, world.ensemble, world.leader, hostname="node-2", zk_session_timeout="1secs")
    task_id = world.start_task("node-1")
    machine = {"hostname": "node-1", "ip": "127.0.0.1"}
    window = {"machine_ids": [machine], "unavailability": {"start": {"nanoseconds": int((time.time() + 3600) * 1e9)}}}
    assert call(world.leader, "UPDATE_MAINTENANCE_SCHEDULE", schedule={"windows": [window]}) is None
    assert world.answer("ACCEPT") == ["ACCEPT"]
    first_id = world.slave("node-1")["id"]

    # The plan is known, and the framework is asked anew: what it said was the former leader's.
    world.fail_over(agent, other)
    assert world.leader.get("/maintenance/schedule").json() == {"windows": [window]}
    assert world.slave("node-1")["unavailability"] == window["unavailability"]
    assert "unavailability" not in world.slave("node-2")
    assert world.answer("DECLINE") == ["DECLINE"]
    assert world.maintenance() == (["node-1"], ["DECLINE"], [])
    assert world.scheduler.take_offer(where=lambda o: o["hostname"] == "node-1")["unavailability"] == window["unavailability"]

    # Down: its agent is out, whoever leads.
    assert call(world.leader, "START_MAINTENANCE", machines=[machine]) is None
    assert world.scheduler.wait_end(task_id)["state"] in ("TASK_GONE_BY_OPERATOR", "TASK_GONE", "TASK_LOST")
    world.fail_over(other)
    assert world.maintenance() == ([], [], ["node-1"])
    wait_for(lambda: "its machine is DOWN for maintenance" in agent.read_log(), 20, "the agent to be refused")
    assert [s["hostname"] for s in world.slaves()] == ["node-2"]
    assert refused(world.leader, "UPDATE_MAINTENANCE_SCHEDULE", schedule={"windows": []})[0] == 400

    # Up: it comes back as a new agent, and the plan is empty.
    assert call(world.leader, "STOP_MAINTENANCE", machines=[machine]) is None
    world.fail_over(other)
    assert world.maintenance() == ([], [], []) and world.leader.get("/maintenance/schedule").json() == {}
    wait_for(lambda: len(world.slaves()) == 2, 20, "the agent to be back")
    assert world.slave("node-1")["id"] != first_id
    world.start_task("node-1")


def test_drain(world):
    agent = start_agent(world.cluster, world.ensemble, world.leader, hostname="node-1", zk_session_timeout="1secs")
    # It ends in its own time once it is asked to.
    done = world.cluster.path("done")
    task_id = world.start_task("node-1", "trap 'while [ ! -e %s ]; do sleep 0.05; done; exit 0' TERM; "
                                         "touch %s.ready; while :; do sleep 0.05; done" % (done, done))
    wait_for(lambda: os.path.exists(done + ".ready"), what="the task")
    agent_id = {"value": agent.state()["id"]}
    assert call(world.leader, "DRAIN_AGENT", agent_id=agent_id, max_grace_period={"seconds": 500}) is None
    world.fail_over(agent)
    drain = world.slave("node-1")
    assert drain["deactivated"] and drain["drain_info"] == {
        "state": "DRAINING", "config": {"max_grace_period": {"nanoseconds": 500 * 10**9}, "mark_gone": False}}
    assert world.offers_of("node-1") == []
    assert refused(world.leader, "REACTIVATE_AGENT", agent_id=agent_id) == (400, "Agent is still in the DRAINING state")
    with open(done, "w", encoding="ascii"):
        pass
    assert world.scheduler.wait_end(task_id)["reason"] == "REASON_AGENT_DRAINING"
    wait_for(lambda: world.slave("node-1")["drain_info"]["state"] == "DRAINED", 20, "the drain to be over")

    world.fail_over(agent)
    assert world.slave("node-1")["drain_info"]["state"] == "DRAINED" and world.offers_of("node-1") == []
    assert call(world.leader, "REACTIVATE_AGENT", agent_id=agent_id) is None
    world.fail_over(agent)
    shown = world.slave("node-1")
    assert not shown["deactivated"] and "drain_info" not in shown and shown["id"] == agent_id["value"]

    # For good.
    task_id = world.start_task("node-1", "trap 'sleep 2; exit 0' TERM; while :; do sleep 0.05; done")
    assert call(world.leader, "DRAIN_AGENT", agent_id=agent_id, max_grace_period={"seconds": 500}, mark_gone=True) is None
    world.fail_over()
    assert world.scheduler.wait_end(task_id, 30)["state"] == "TASK_GONE_BY_OPERATOR"
    wait_for(lambda: not agent.is_running(), 20, "the agent to end")
    world.fail_over()
    assert world.slaves() == [] and world.leader.get("/slaves").json()["recovered_slaves"] == []
    assert world.leader.post("/api/v1", {"type": "DRAIN_AGENT", "drain_agent": {"agent_id": agent_id}}).text == "Unknown agent"
    agent.start()
    wait_for(lambda: not agent.is_running(), 20, "the agent to be refused")
    assert "gone" in agent.read_log()
