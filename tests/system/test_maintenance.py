# SPDX-License-Identifier: Apache-2.0
"""Maintenance of machines: the schedule, inverse offers and their answers, down and up, over failovers."""

import time

import pytest

import raw_protobuf as protobuf
from harness import make_task, wait_for
from test_operator import call, call_protobuf
from test_operator_agents import agent_of, refused, start_task

DURABLE = {"registry": "replicated_log"}
HERE = {"hostname": "127.0.0.1", "ip": "127.0.0.1"}
THERE = {"hostname": "elsewhere", "ip": "10.1.2.3"}
SOON = {"start": {"nanoseconds": int((time.time() + 3600) * 1e9)}, "duration": {"nanoseconds": int(3600e9)}}


def window(*machines, unavailability=None):
    return {"machine_ids": list(machines), "unavailability": unavailability or SOON}


def schedule(master, *windows):
    assert call(master, "UPDATE_MAINTENANCE_SCHEDULE", schedule={"windows": list(windows)}) is None


def modes(master):
    """Host names of machines that drain, and of those that are down."""
    status = call(master, "GET_MAINTENANCE_STATUS")["status"]
    return ([m["id"]["hostname"] for m in status.get("draining_machines", [])],
            [m["hostname"] for m in status.get("down_machines", [])])


def answers(master):
    status = call(master, "GET_MAINTENANCE_STATUS")["status"]
    return [a for m in status.get("draining_machines", []) for a in m.get("statuses", [])]


def test_a_machine_goes_down_and_up(cluster):
    master = cluster.start_master(**DURABLE)
    daemon = cluster.start_agent(master)
    scheduler, task_id = start_task(cluster, master)
    first_id = agent_of(master)["agent_info"]["id"]["value"]
    schedule(master, window(HERE), window(THERE))
    assert modes(master) == (["127.0.0.1", "elsewhere"], [])
    assert master.get("/maintenance/schedule").json() == {"windows": [window(HERE), window(THERE)]}
    assert master.get("/slaves").json()["slaves"][0]["unavailability"] == SOON
    offer = scheduler.wait_offer(where=lambda o: "unavailability" in o)
    assert offer["unavailability"] == SOON
    assert refused(master, "DRAIN_AGENT", agent_id={"value": first_id}) == (
        400, "Agent %s is part of a maintenance schedule under Machine 127.0.0.1 (127.0.0.1)" % first_id)
    assert master.post("/machine/down", [HERE]).status == 200
    status = scheduler.wait_update(task_id, "TASK_LOST")
    assert status["message"] == "Agent 127.0.0.1 removed: Operator initiated 'Machine DOWN'"
    assert modes(master) == (["elsewhere"], ["127.0.0.1"])
    wait_for(lambda: "its machine is DOWN for maintenance" in daemon.read_log(), 20, "the agent to be refused")
    master.kill()
    master.restart()
    assert modes(master) == (["elsewhere"], ["127.0.0.1"])
    assert "agents" not in call(master, "GET_AGENTS") and "recovered_agents" not in call(master, "GET_AGENTS")
    response = master.post("/maintenance/schedule", {"windows": [window(THERE)]})
    assert (response.status, response.text) == (
        400, 'Machine \'{"hostname":"127.0.0.1","ip":"127.0.0.1"}\' is deactivated and cannot be removed from the schedule')
    assert call_protobuf(master, 27, (13, [(1, [(1, "127.0.0.1"), (2, "127.0.0.1")])])) is None
    assert modes(master) == (["elsewhere"], [])
    assert master.get("/maintenance/schedule").json() == {"windows": [window(THERE)]}
    wait_for(lambda: cluster.find_registration(daemon, master), 40, "the agent to be back")
    assert agent_of(master)["agent_info"]["id"]["value"] != first_id
    schedule(master)
    assert modes(master) == ([], [])
    master.kill()
    master.restart()
    assert call(master, "GET_MAINTENANCE_SCHEDULE") == {"schedule": {}}


def test_inverse_offers(cluster):
    master = cluster.start_master(**DURABLE)
    cluster.start_agent(master)
    scheduler, task_id = start_task(cluster, master, checkpoint=True)
    idle = cluster.scheduler(master, name="idle")
    agent_id = agent_of(master)["agent_info"]["id"]
    schedule(master, window(HERE))
    first = scheduler.wait("INVERSE_OFFERS")["inverse_offers"]["inverse_offers"]
    assert len(first) == 1
    assert (first[0]["agent_id"], first[0]["unavailability"]) == (agent_id, SOON)
    assert first[0]["framework_id"]["value"] == scheduler.framework_id
    assert first[0]["url"]["path"] == "/slave(1)"
    assert answers(master) == []
    scheduler.call("DECLINE_INVERSE_OFFERS", inverse_offer_ids=[first[0]["id"]], filters={"refuse_seconds": 0.5})
    declined = wait_for(lambda: answers(master), 5, "the answer")
    assert len(declined) == 1
    assert (declined[0]["status"], declined[0]["framework_id"]["value"]) == ("DECLINE", scheduler.framework_id)
    assert int(declined[0]["timestamp"]["nanoseconds"]) > 10**18
    second = scheduler.wait("INVERSE_OFFERS")["inverse_offers"]["inverse_offers"][0]
    assert second["id"] != first[0]["id"]
    # Another window: what was asked and answered is void.
    later = {"start": {"nanoseconds": SOON["start"]["nanoseconds"] + 10**12}}
    schedule(master, window({"hostname": "127.0.0.1"}, unavailability=later))
    scheduler.wait("RESCIND_INVERSE_OFFER", lambda e: e["rescind_inverse_offer"]["inverse_offer_id"] == second["id"])
    assert answers(master) == []
    third = scheduler.wait("INVERSE_OFFERS")["inverse_offers"]["inverse_offers"][0]
    assert third["unavailability"] == later
    scheduler.call("ACCEPT_INVERSE_OFFERS", inverse_offer_ids=[third["id"], second["id"]],
                   filters={"refuse_seconds": 3600})
    assert wait_for(lambda: answers(master), 5, "the answer")[0]["status"] == "ACCEPT"
    count = len(scheduler.events)
    time.sleep(2.5)
    scheduler.pump()
    assert "INVERSE_OFFERS" not in [e["type"] for e in scheduler.events[count:]]
    idle.pump()
    assert "INVERSE_OFFERS" not in [e["type"] for e in idle.events]
    # A new master asks again.
    master.kill()
    scheduler.close()
    master.restart()
    again = cluster.scheduler(master, subscribe=False, id=scheduler.framework["id"], failover_timeout=600,
                              checkpoint=True)
    again.subscribe()
    assert again.wait("INVERSE_OFFERS", timeout=20)["inverse_offers"]["inverse_offers"][0]["unavailability"] == later
    again.kill(task_id)
    again.wait_end(task_id)


@pytest.mark.parametrize("windows, text", [
    ([{"machine_ids": [], "unavailability": SOON}], "List of machines in the maintenance window is empty"),
    ([window(HERE, unavailability={**SOON, "duration": {"nanoseconds": -1}})], "Unavailability 'duration' is negative"),
    ([window({"hostname": ""})], "Both 'hostname' and 'ip' for a machine are empty"),
    ([window({"ip": "1.2.3"})], "Failed to parse the IP '1.2.3'"),
    ([window({"ip": "1.2.3.256"})], "Failed to parse the IP '1.2.3.256'"),
    ([window(HERE, HERE)], 'Machine \'{"hostname":"127.0.0.1","ip":"127.0.0.1"}\' appears more than once in the schedule'),
    ([window({"hostname": "A"}), window({"hostname": "a"})], 'Machine \'{"hostname":"a"}\' appears more than once in the '
                                                             'schedule'),
    ([{"machine_ids": [HERE]}], None),
])
def test_bad_schedules(master, windows, text):
    for response in (master.post("/maintenance/schedule", {"windows": windows}),
                     master.post("/api/v1", {"type": "UPDATE_MAINTENANCE_SCHEDULE",
                                             "update_maintenance_schedule": {"schedule": {"windows": windows}}})):
        assert response.status == 400
        assert "windows[0].unavailability" in response.text if text is None else response.text == text
    assert modes(master) == ([], [])


def test_bad_machines(master):
    schedule(master, window(HERE))
    here = '{"hostname":"127.0.0.1","ip":"127.0.0.1"}'
    for path, machines, text in (
            ("/machine/down", [], "List of machines is empty"),
            ("/machine/up", [{}], "Both 'hostname' and 'ip' for a machine are empty"),
            ("/machine/down", [HERE, HERE], "Machine '%s' appears more than once in the schedule" % here),
            ("/machine/down", [{"ip": "1.2.3.4"}], 'Machine \'{"ip":"1.2.3.4"}\' is not part of a maintenance schedule'),
            ("/machine/up", [HERE], "Machine '%s' is not in DOWN mode and cannot be brought up" % here)):
        response = master.post(path, machines)
        assert (response.status, response.text) == (400, text)
    assert master.post("/machine/down", [HERE]).status == 200
    response = master.post("/machine/down", [HERE])
    assert (response.status, response.text) == (400, "Machine '%s' is not in DRAINING mode and cannot be brought down" % here)
    assert master.post("/machine/down", "{").status == 400
    assert master.get("/machine/up").status == 405
    assert master.post("/maintenance/status", "").status == 405
    many = [{"hostname": "host-with-a-rather-long-name-%05d" % i} for i in range(20000)]
    response = master.post("/maintenance/schedule", {"windows": [window(HERE, *many)]})
    assert response.status == 400 and "too much for one call" in response.text
