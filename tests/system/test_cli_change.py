# SPDX-License-Identifier: Apache-2.0
"""`mesos`: what it changes in a cluster. Each change is looked at through the API, not through `mesos` alone."""

import pytest

import cli as command_line
import harness
from cli import AMBIGUOUS, FAILED, NOT_FOUND, USAGE
from harness import get, make_task, wait_for


@pytest.fixture
def cli(cluster, master):
    return command_line.Cli(cluster, master)


def state_of(master, agent_id):
    agents = harness.post(master.address, "/api/v1", {"type": "GET_AGENTS"}).json()["get_agents"].get("agents", [])
    return next((a for a in agents if a["agent_info"]["id"]["value"] == agent_id), None)


def test_drain_deactivate_reactivate(cluster, master, agent, cli):
    agent_id = agent.state()["id"]
    assert cli("agent deactivate 127.0.0.1") == "Agent %s is deactivated\n" % agent_id
    assert state_of(master, agent_id)["deactivated"] and not state_of(master, agent_id)["active"]
    assert cli.rows("agent list")[0]["STATE"] == "deactivated"
    assert cli.json("agent reactivate S0") == {"agent_id": agent_id, "done": "reactivate"}
    wait_for(lambda: state_of(master, agent_id)["active"], 10, "the agent to be active")
    assert cli("agent drain S0 --grace=90secs -q") == ""
    drain = state_of(master, agent_id)["drain_info"]["config"]
    assert drain["max_grace_period"]["nanoseconds"] == 90 * 10 ** 9 and not drain.get("mark_gone")
    wait_for(lambda: cli.rows("agent list")[0]["STATE"] == "drained", 10, "it to be drained")
    assert "grace at most 90secs" in cli("agent info S0")
    cli("agent reactivate S0")
    cli("agent drain S0 --mark-gone")
    wait_for(lambda: state_of(master, agent_id) is None, 10, "it to be gone")
    cli.fails("agent drain S0", NOT_FOUND, "There is no agent 'S0'")
    cli.fails("agent drain S0 --grace=soon", USAGE, "--grace: 'soon' is no duration, such as 30secs or 2mins")


def test_gone(cluster, master, agent, cli):
    agent_id = agent.state()["id"]
    cli.fails("agent gone S0", USAGE, "There is no terminal to ask at: give --yes")
    terminal = cli.terminal("agent gone S0")
    terminal.wait("Mark agent %s as gone for good, with its tasks? [y/N] " % agent_id).keys("n\n")
    assert terminal.wait_end() == FAILED and "Nothing was done" in terminal.text
    assert state_of(master, agent_id) is not None
    terminal = cli.terminal("agent gone S0")
    terminal.wait("[y/N]").keys("y\n")
    assert terminal.wait_end() == 0 and "is gone for good" in terminal.text
    wait_for(lambda: state_of(master, agent_id) is None, 10, "it to be gone")
    wait_for(lambda: not agent.is_running(), 10, "the agent to shut down")


def test_an_unreachable_agent_by_its_whole_id(cluster):
    master = cluster.start_master(agent_ping_timeout="1secs", max_agent_ping_timeouts=1)
    agent = cluster.start_agent(master)
    cli = command_line.Cli(cluster, master)
    agent_id = agent.state()["id"]
    agent.kill()
    wait_for(lambda: state_of(master, agent_id) is None, 20, "it to be unreachable")
    cli.fails("agent gone S0 --yes", NOT_FOUND, "There is no agent 'S0'")
    assert cli(["agent", "gone", agent_id, "--yes"]) == "Agent %s is gone for good\n" % agent_id
    text = cli.fails(["agent", "gone", agent_id[:-1] + "7", "--yes"], NOT_FOUND, "The master: ")
    assert "(status 404)" in text


def test_teardown(cluster, master, agent, scheduler, cli):
    scheduler.launch(scheduler.wait_offer(), [make_task("sleep 1000", task_id="t")])
    scheduler.wait_update("t", "TASK_RUNNING")
    assert cli.json("framework teardown test --yes") == {"framework_id": scheduler.framework_id, "done": "teardown"}
    frameworks = master.state()
    assert frameworks["frameworks"] == [] and frameworks["completed_frameworks"][0]["id"] == scheduler.framework_id
    assert cli("framework list") == "" and cli.rows("framework list -a")[0]["STATE"] == "completed"
    cli.fails("framework teardown test --yes", FAILED, "has ended already")
    cli.fails("framework why test", FAILED, "it gets no offers")
    wait_for(lambda: agent.state()["frameworks"] == [], 10, "its tasks to be killed")


def test_quotas(cluster, master, agent, cli):
    cli("quota set prod --guarantee=cpus:1;mem:256 --limit=cpus:2")
    configs = harness.post(master.address, "/api/v1", {"type": "GET_QUOTA"}).json()["get_quota"]["status"]["configs"]
    assert configs == [{"role": "prod", "guarantees": {"cpus": {"value": 1.0}, "mem": {"value": 256.0}},
                        "limits": {"cpus": {"value": 2.0}}}]
    assert cli.rows("quota list") == [{"ROLE": "prod", "GUARANTEE": "cpus:1 mem:256MB", "LIMIT": "cpus:2"}]
    assert cli.json("quota list") == configs and cli("quota list -q") == "prod\n"
    assert cli.rows("role list")[0]["LIMIT"] == "cpus:2"
    cli.fails("quota set big --guarantee=cpus:1000", FAILED, "The master: ")
    cli("quota set big --guarantee=cpus:1000 --force")
    assert len(cli.json("quota list")) == 2
    assert cli.json("quota remove big") == {"role": "big", "done": "quota-remove"}
    cli("quota remove prod")
    cli.fails("quota remove prod", NOT_FOUND, "The role 'prod' has no quota")
    cli.fails("quota set prod", USAGE, "Neither --guarantee nor --limit is given")
    cli.fails("quota set prod --limit=cpus", USAGE, "--limit: ")
    cli.fails("quota set prod --limit=ports:[1-2]", USAGE, "--limit: 'ports' is no amount, such as cpus:4")


def test_weights(cluster, master, cli):
    assert cli("weight set prod 2.5") == "Set the weight of role prod\n"
    assert get(master.address, "/weights").json() == [{"role": "prod", "weight": 2.5}]
    assert cli.rows("weight list") == [{"ROLE": "prod", "WEIGHT": "2.5"}] and cli("weight list -q") == "prod\n"
    assert cli.json("weight list") == [{"role": "prod", "weight": 2.5}]
    for bad in ("0", "x", "1e999"):
        cli.fails("weight set prod " + bad, USAGE, "WEIGHT must be a number above 0, not '%s'" % bad)
    cli.fails("weight set -- -a 2", FAILED, "The master: ")


def test_maintenance(cluster, master, agent, cli):
    machine = "127.0.0.1/127.0.0.1"
    cli("maintenance schedule S0 --start=1hrs --duration=2hrs")
    row = cli.rows("maintenance status")[0]
    assert (row["MACHINE"], row["MODE"], row["FOR"]) == (machine, "draining", "2h00m")
    window = get(master.address, "/maintenance/schedule").json()["windows"][0]
    assert window["machine_ids"] == [{"hostname": "127.0.0.1", "ip": "127.0.0.1"}]
    assert window["unavailability"]["duration"] == {"nanoseconds": 2 * 3600 * 10 ** 9}
    # A second window of the same machine takes the place of the first; others stay.
    cli("maintenance schedule other/10.0.0.9 --start=2030-01-02T03:04:05")
    cli("maintenance schedule 127.0.0.1 other")
    schedule = cli.json("maintenance schedule")
    assert len(schedule["windows"]) == 1 and len(schedule["windows"][0]["machine_ids"]) == 2
    assert "duration" not in schedule["windows"][0]["unavailability"]
    assert cli.json("maintenance schedule --remove other") == {"machine": "other/10.0.0.9", "done": "unschedule"}
    assert cli("maintenance schedule -q").split() == [machine]
    cli.fails("maintenance start S0", USAGE, "There is no terminal to ask at: give --yes")
    assert cli("maintenance start S0 --yes") == "Machine %s is down\n" % machine
    assert cli.rows("maintenance status")[0]["MODE"] == "down"
    assert cli.json("maintenance status")["down_machines"] == [{"hostname": "127.0.0.1", "ip": "127.0.0.1"}]
    wait_for(lambda: cli("agent list -q") == "", 10, "the agent to be away")
    assert cli("maintenance stop 127.0.0.1") == "Machine %s may come back\n" % machine
    assert cli("maintenance status") == ""
    cli.fails("maintenance schedule nowhere", NOT_FOUND, "There is no agent 'nowhere'")
    cli.fails("maintenance start nowhere/1.2.3.4 --yes", NOT_FOUND, "The machine nowhere/1.2.3.4 is not scheduled")
    cli.fails("maintenance schedule --remove nowhere/1.2.3.4", NOT_FOUND, "is not scheduled")
    cli.fails("maintenance schedule x/1.2.3.4 --start=tomorrow", USAGE, "--start: 'tomorrow' is neither now")
    cli.fails("maintenance schedule --start=now", USAGE, "No MACHINE is named")
    cli.fails("maintenance schedule --remove x/1.2.3.4 -d 1hrs", USAGE, "--remove takes no --start")
    cli.fails("maintenance schedule /", USAGE, "'/' names no machine")
    cli.fails("maintenance stop x/1.2.3.4", FAILED, "The master: ")


def test_log_levels(cluster, master, agent, cli):
    assert cli("log-level") == "0\n" and cli("log-level 2 --duration=1hrs") == "2\n"
    assert harness.post(master.address, "/api/v1", {"type": "GET_LOGGING_LEVEL"}).json()["get_logging_level"]["level"] == 2
    assert cli.json("log-level --agent=S0") == {"level": 0} and cli("log-level 1 --agent=S0") == "1\n"
    assert harness.post(agent.address, "/api/v1", {"type": "GET_LOGGING_LEVEL"}).json()["get_logging_level"]["level"] == 1
    cli.fails("log-level loud", USAGE, "LEVEL must be a number from 0 up, not 'loud'")
    cli.fails("log-level --duration=1hrs", USAGE, "--duration wants a LEVEL")


def test_ids_that_could_mean_several(cluster, master, cli):
    agents = [cluster.start_agent(master) for _ in range(2)]
    ids = [a.state()["id"] for a in agents]
    text = cli.fails("agent deactivate 127.0.0.1", AMBIGUOUS, "'127.0.0.1' could be 2 agents: ")
    assert all(i in text for i in ids)
    cli.fails(["agent", "deactivate", ids[0][:8]], AMBIGUOUS, "could be 2 agents")
    cli("agent deactivate S1")
    assert [state_of(master, i).get("deactivated", False) for i in ids] == [False, True]
