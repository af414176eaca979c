# SPDX-License-Identifier: Apache-2.0
"""Agents that an operator takes out of service: deactivated, drained, gone; over failovers and restarts."""

import pytest

import raw_protobuf as protobuf
from harness import make_task, wait_for
from test_operator import call, call_protobuf

DURABLE = {"registry": "replicated_log"}
AWARE = [{"type": "PARTITION_AWARE"}]


def agent_of(master):
    """The only agent, as GET_AGENTS shows it."""
    agents = call(master, "GET_AGENTS")["agents"]
    assert len(agents) == 1
    return agents[0]


def refused(daemon, kind, **content):
    response = daemon.post("/api/v1", {"type": kind, kind.lower(): content})
    return response.status, response.text


def start_task(cluster, master, command="sleep 600", **framework):
    scheduler = cluster.scheduler(master, failover_timeout=600, **framework)
    task = make_task(command)
    scheduler.launch(scheduler.wait_offer(), [task], refuse_seconds=0)
    scheduler.wait_update(task["task_id"]["value"], "TASK_RUNNING")
    return scheduler, task["task_id"]["value"]


def is_drained(master):
    info = agent_of(master).get("drain_info")
    return info and info["state"] == "DRAINED"


def offers(master):
    return [o for f in master.state()["frameworks"] for o in f["offers"]]


def test_get_agents_in_both_encodings(cluster):
    master = cluster.start_master()
    daemon = cluster.start_agent(master, attributes="rack:a", resources="cpus:4;mem:512;cpus(ads):1")
    scheduler, _ = start_task(cluster, master)
    agent = agent_of(master)
    registration = cluster.find_registration(daemon, master)
    assert agent["agent_info"]["id"]["value"] == registration["id"]
    assert agent["agent_info"]["attributes"][0]["name"] == "rack"
    assert (agent["active"], agent["deactivated"], agent["version"]) == (True, False, "1.11.0")
    assert agent["pid"] == registration["pid"]
    assert "drain_info" not in agent and "estimated_drain_start_time" not in agent
    cpus = {(r.get("role"), r["scalar"]["value"]) for r in agent["total_resources"] if r["name"] == "cpus"}
    assert cpus == {("*", 4.0), ("ads", 1.0)}
    assert [r["scalar"]["value"] for r in agent["allocated_resources"] if r["name"] == "cpus"] == [0.1]
    assert {c["type"] for c in agent["capabilities"]} >= {"MULTI_ROLE", "AGENT_DRAINING"}
    answer = protobuf.decode(call_protobuf(master, 10)[10][0])  # GET_AGENTS
    shown = protobuf.decode(answer[1][0])
    assert shown[2] == [1] and shown[3] == [b"1.11.0"] and shown[12] == [0]
    assert protobuf.decode(protobuf.decode(shown[1][0])[6][0])[1] == [registration["id"].encode()]
    scheduler.teardown()


def test_a_deactivated_agent_has_no_offers_and_keeps_its_tasks(cluster):
    master = cluster.start_master(**DURABLE)
    cluster.start_agent(master)
    scheduler, task_id = start_task(cluster, master, checkpoint=True)
    wait_for(lambda: offers(master), 10, "an offer")
    agent_id = agent_of(master)["agent_info"]["id"]
    assert call(master, "DEACTIVATE_AGENT", agent_id=agent_id) is None
    assert (agent_of(master)["active"], agent_of(master)["deactivated"]) == (False, True)
    assert master.get("/slaves").json()["slaves"][0]["deactivated"] is True
    assert offers(master) == []
    assert call(master, "DEACTIVATE_AGENT", agent_id=agent_id) is None  # again is fine
    master.kill()
    master.restart()
    wait_for(lambda: call(master, "GET_AGENTS").get("agents"), 10, "the agent")
    scheduler.close()
    scheduler = cluster.scheduler(master, subscribe=False, id=scheduler.framework["id"], failover_timeout=600,
                                  checkpoint=True)
    scheduler.subscribe()
    assert (agent_of(master)["active"], agent_of(master)["deactivated"]) == (False, True)
    assert agent_of(master)["allocated_resources"]
    assert offers(master) == []
    assert call(master, "REACTIVATE_AGENT", agent_id=agent_id) is None
    assert (agent_of(master)["active"], agent_of(master)["deactivated"]) == (True, False)
    scheduler.wait_offer()
    scheduler.kill(task_id)
    assert scheduler.wait_end(task_id)["state"] == "TASK_KILLED"
    assert refused(master, "REACTIVATE_AGENT", agent_id=agent_id) == (400, "Agent is not deactivated")


def test_what_cannot_be_taken_out_of_service(master, agent):
    nobody = {"value": "nobody"}
    for kind in ("DEACTIVATE_AGENT", "DRAIN_AGENT"):
        assert refused(master, kind, agent_id=nobody) == (400, "Unknown agent")
    assert refused(master, "REACTIVATE_AGENT", agent_id=nobody) == (400, "Agent is not deactivated")
    assert refused(master, "MARK_AGENT_GONE", agent_id=nobody) == (404, "Agent 'nobody' not found")
    for kind in ("DEACTIVATE_AGENT", "DRAIN_AGENT", "REACTIVATE_AGENT", "MARK_AGENT_GONE"):
        assert refused(master, kind) == (
            400, "Failed to convert JSON into Call protobuf: Missing required fields: %s.agent_id" % kind.lower())
    known = agent_of(master)["agent_info"]["id"]
    for grace, text in (({"seconds": -1}, "Failed to validate master::Call: 'drain_agent.max_grace_period' is negative"),
                        ({"nanos": -1}, "Failed to validate master::Call: 'drain_agent.max_grace_period' is negative"),
                        ({"nanos": 10**9}, "Failed to validate master::Call: 'drain_agent.max_grace_period' is not a "
                                           "valid duration"),
                        ({"seconds": 10**15}, "Failed to validate master::Call: 'drain_agent.max_grace_period' is not "
                                              "a valid duration"),
                        ("10mins", "Failed to convert JSON into Call protobuf: Not expecting a JSON string for field "
                                   "'drain_agent.max_grace_period'")):
        assert refused(master, "DRAIN_AGENT", agent_id=known, max_grace_period=grace) == (400, text)
    assert agent_of(master)["deactivated"] is False


def test_a_drained_agent_is_empty_and_can_come_back(cluster):
    master = cluster.start_master(**DURABLE)
    daemon = cluster.start_agent(master)
    scheduler, task_id = start_task(cluster, master)
    agent_id = agent_of(master)["agent_info"]["id"]
    scheduler.acknowledges = False
    assert call(master, "DRAIN_AGENT", agent_id=agent_id, max_grace_period={"seconds": 2}) is None
    killed = scheduler.wait_end(task_id)
    assert (killed["state"], killed["reason"]) == ("TASK_KILLED", "REASON_AGENT_DRAINING")
    # Not before the framework knows of it.
    shown = agent_of(master)
    assert shown["drain_info"] == {"state": "DRAINING", "config": {
        "max_grace_period": {"nanoseconds": 2 * 10**9}, "mark_gone": False}}
    assert int(shown["estimated_drain_start_time"]["nanoseconds"]) > 10**18
    assert daemon.state()["drain_config"]["max_grace_period"] == {"nanoseconds": 2 * 10**9}
    assert refused(master, "REACTIVATE_AGENT", agent_id=agent_id) == (400, "Agent is still in the DRAINING state")
    scheduler.acknowledge(killed)
    wait_for(lambda: is_drained(master), 10, "the agent to be drained")
    wait_for(lambda: "drain_config" not in daemon.state(), 10, "the agent to know it")
    v0 = master.get("/slaves").json()["slaves"][0]
    assert (v0["deactivated"], v0["drain_info"]["state"]) == (True, "DRAINED")
    assert v0["estimated_drain_start_time_seconds"] > 10**9
    assert offers(master) == []
    call(master, "REACTIVATE_AGENT", agent_id=agent_id)
    assert "drain_info" not in agent_of(master)
    scheduler.acknowledges = True
    assert scheduler.run("true")[1]["state"] == "TASK_FINISHED"


def test_a_task_that_resists_gets_no_more_than_the_grace_period(cluster):
    master = cluster.start_master()
    cluster.start_agent(master)
    scheduler, task_id = start_task(cluster, master, "trap '' TERM; while :; do sleep 0.1; done")
    call(master, "DRAIN_AGENT", agent_id=agent_of(master)["agent_info"]["id"], max_grace_period={"nanos": 200000000})
    assert scheduler.wait_end(task_id, 30)["reason"] == "REASON_AGENT_DRAINING"
    wait_for(lambda: is_drained(master), 10, "the agent to be drained")


@pytest.mark.parametrize("who", ["master", "agent"])
def test_a_drain_goes_on_after_a_crash(cluster, who):
    master = cluster.start_master(**DURABLE)
    daemon = cluster.start_agent(master)
    slow = "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.1; done"
    scheduler, task_id = start_task(cluster, master, slow, checkpoint=True, capabilities=AWARE)
    agent_id = agent_of(master)["agent_info"]["id"]
    scheduler.acknowledges = False
    call(master, "DRAIN_AGENT", agent_id=agent_id)
    if who == "master":
        master.kill()  # what was answered with 200 is durable
        scheduler.close()
        master.restart()
        wait_for(lambda: call(master, "GET_AGENTS").get("agents"), 15, "the agent")
        scheduler = cluster.scheduler(master, subscribe=False, id=scheduler.framework["id"], failover_timeout=600,
                                      checkpoint=True, capabilities=AWARE)
        scheduler.subscribe()
    else:
        daemon.kill()
        daemon.restart()
        scheduler.acknowledges = True
        scheduler.pump()
        for event in scheduler.events:
            if event["type"] == "UPDATE":
                scheduler.acknowledge(event["update"]["status"])
        wait_for(lambda: "reregistered_time" in agent_of(master), 15, "the agent")
    assert agent_of(master)["drain_info"]["state"] in ("DRAINING", "DRAINED")
    scheduler.acknowledges = True
    scheduler.pump()
    assert scheduler.wait_end(task_id, 30)["reason"] == "REASON_AGENT_DRAINING"
    wait_for(lambda: is_drained(master), 20, "the agent to be drained")
    assert offers(master) == []


def test_drained_and_gone(cluster):
    master = cluster.start_master(**DURABLE)
    daemon = cluster.start_agent(master)
    scheduler, task_id = start_task(cluster, master, capabilities=AWARE)
    agent_id = agent_of(master)["agent_info"]["id"]
    assert call_protobuf(master, 37, (21, [(1, [(1, agent_id["value"])]), (3, 1)])) is None
    status = scheduler.wait_end(task_id)
    assert (status["state"], status["reason"], status["source"]) == (
        "TASK_GONE_BY_OPERATOR", "REASON_AGENT_DRAINING", "SOURCE_EXECUTOR")
    wait_for(lambda: not daemon.is_running(), 20, "the agent to end")
    assert call(master, "GET_AGENTS") == {}
    assert "Agent has been marked gone" in daemon.read_log()


def test_gone_is_for_good(cluster):
    master = cluster.start_master(**DURABLE)
    daemon = cluster.start_agent(master)
    aware, task_id = start_task(cluster, master, capabilities=AWARE, checkpoint=True)
    agent_id = agent_of(master)["agent_info"]["id"]
    assert call(master, "MARK_AGENT_GONE", agent_id=agent_id) is None
    status = aware.wait_end(task_id)
    assert (status["state"], status["reason"], status["source"], status["message"]) == (
        "TASK_GONE_BY_OPERATOR", "REASON_AGENT_REMOVED_BY_OPERATOR", "SOURCE_MASTER", "Agent has been marked gone")
    aware.wait("FAILURE")
    assert call(master, "MARK_AGENT_GONE", agent_id=agent_id) is None  # it is
    wait_for(lambda: not daemon.is_running(), 20, "the agent to end")
    assert refused(master, "DRAIN_AGENT", agent_id=agent_id) == (400, "Unknown agent")
    master.kill()
    master.restart()
    daemon.start()
    wait_for(lambda: not daemon.is_running(), 20, "the agent to end again")
    assert call(master, "GET_AGENTS") == {}
    aware.close()
    for name, capabilities, state in (("aware", AWARE, "TASK_GONE_BY_OPERATOR"), ("old", [], "TASK_LOST")):
        scheduler = cluster.scheduler(master, name=name, capabilities=capabilities)
        scheduler.call("RECONCILE", tasks=[{"task_id": {"value": task_id}, "agent_id": agent_id}])
        status = scheduler.wait_update(task_id)
        assert (status["state"], status["message"]) == (state, "Reconciliation: Task is gone")


def test_an_awaited_and_an_unreachable_agent_can_be_marked(cluster):
    master = cluster.start_master(**DURABLE, agent_reregister_timeout="2secs", agent_ping_timeout="1secs",
                                  max_agent_ping_timeouts=1, registry_gc_interval="1secs")
    daemon = cluster.start_agent(master)
    scheduler, task_id = start_task(cluster, master, capabilities=AWARE, checkpoint=True)
    agent_id = agent_of(master)["agent_info"]["id"]
    daemon.kill()
    assert scheduler.wait_update(task_id, "TASK_UNREACHABLE")
    call(master, "DEACTIVATE_AGENT", agent_id=agent_id)
    call(master, "MARK_AGENT_GONE", agent_id=agent_id)
    status = scheduler.wait_update(task_id, "TASK_GONE_BY_OPERATOR")
    assert (status["reason"], status["message"]) == ("REASON_AGENT_REMOVED_BY_OPERATOR", "Agent has been marked gone")
    assert master.metrics()["master/slaves_unreachable"] == 0
    daemon.start()
    wait_for(lambda: not daemon.is_running(), 30, "the agent to end")
    scheduler.close()
    again = cluster.start_agent(master)
    second = agent_of(master)["agent_info"]["id"]
    assert second != agent_id
    again.kill()
    master.kill()
    master.restart()
    assert [a["id"] for a in call(master, "GET_AGENTS")["recovered_agents"]] == [second]
    call(master, "MARK_AGENT_GONE", agent_id=second)
    assert call(master, "GET_AGENTS") == {}


def test_gone_agents_are_forgotten_in_time(cluster):
    master = cluster.start_master(**DURABLE, registry_gc_interval="1secs", registry_max_agent_age="1secs")
    daemon = cluster.start_agent(master)
    agent_id = agent_of(master)["agent_info"]["id"]
    call(master, "MARK_AGENT_GONE", agent_id=agent_id)
    wait_for(lambda: refused(master, "MARK_AGENT_GONE", agent_id=agent_id)[0] == 404, 15, "it to be forgotten")
    wait_for(lambda: not daemon.is_running(), 20, "the agent to end")
