# SPDX-License-Identifier: Apache-2.0
"""`mesos`: what it shows of a cluster, as tables, as JSON, as ids; on terminals of several widths."""

import json
import os
import signal
import subprocess

import pytest

import cli as command_line
import harness
import pods
from harness import get, make_task, scalar, wait_for

cluster = pytest.fixture(scope="module")(harness.run_cluster)


class World:
    """A cluster with two agents, a framework with tasks of its own and one with a pod."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.master = cluster.start_master(allocation_interval="50ms")
        self.agent = cluster.start_agent(self.master, hostname="node1.test", attributes="rack:r1;level:2",
                                         resources="cpus:8;mem:4096;disk:10240;ports:[31000-32000]")
        self.pods = cluster.scheduler(self.master, name="pods")
        self.pod = pods.make_tasks({"value": "echo in a pod; sleep 1000"}, {"value": "sleep 1000"})
        offer = self.pods.wait_offer()
        self.pods.call("SUPPRESS")
        pods.launch(self.pods, self.pod, offer=offer)
        for task in self.pod:
            self.pods.wait_update(pods.id_of(task), "TASK_RUNNING")
        self.scheduler = cluster.scheduler(self.master, name="shop", roles=["prod", "web"], capabilities=[
            {"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}, {"type": "RESERVATION_REFINEMENT"}])
        offer = self.scheduler.wait_offer()
        role = offer["allocation_info"]["role"]
        names = ["web.1", "web.2", "évil\x1b[31m", "fine", "bad"]
        commands = ["sleep 1000", "sleep 1000", "sleep 1000", "true", "exit 3"]
        tasks = [make_task(c, task_id="t-%d" % i, labels={"labels": [{"key": "number", "value": str(i)}]})
                 for i, c in enumerate(commands)]
        for task, name in zip(tasks, names):
            task["name"] = name
        self.scheduler.launch(offer, tasks, refuse_seconds=1000)
        for i in range(3):
            self.scheduler.wait_update("t-%d" % i, "TASK_RUNNING")
        self.scheduler.wait_end("t-3")
        self.scheduler.wait_end("t-4")
        self.role = role
        self.other = cluster.start_agent(self.master, hostname="node2.test")
        wait_for(self.has_offer_there, 10, "an offer of node2")
        self.agent_id, self.other_id = self.agent.state()["id"], self.other.state()["id"]
        self.cli = command_line.Cli(cluster, self.master)


    def has_offer_there(self):
        self.scheduler.pump()
        return any(o["hostname"] == "node2.test" for e in self.scheduler.events if e["type"] == "OFFERS"
                   for o in e["offers"]["offers"])


@pytest.fixture(scope="module")
def world(cluster):
    return World(cluster)


@pytest.fixture
def cli(world):
    return world.cli


def test_agents(world, cli):
    rows = {row["HOST"]: row for row in cli.rows("agent list")}
    assert rows["node1.test"]["ID"] == world.agent_id and rows["node1.test"]["STATE"] == "active"
    assert rows["node1.test"]["CPUS"] == "0.6/8" and rows["node1.test"]["MEM"] == "192MB/4GB"
    assert rows["node1.test"]["TASKS"] == "5" and rows["node2.test"]["TASKS"] == "0"
    assert sorted(cli("agent list -q").split()) == sorted([world.agent_id, world.other_id])
    agents = cli.json("agent list")
    assert {a["agent_info"]["id"]["value"] for a in agents} == {world.agent_id, world.other_id}
    for name in (world.agent_id, "node1.test", world.agent_id.split("-")[-1], world.agent.address):
        text = cli(["agent", "info", name])
        assert "Id:           " + world.agent_id in text and "rack:r1; level:2" in text
        assert "\nt-0  " in text and "\nt-3  " not in text
    assert cli.json("agent info node2.test")["agent_info"]["hostname"] == "node2.test"


def test_frameworks(world, cli):
    rows = {row["NAME"]: row for row in cli.rows("framework list")}
    assert rows["shop"]["ID"] == world.scheduler.framework_id and rows["shop"]["ROLES"] == "prod,web"
    assert rows["shop"]["TASKS"] == "3" and rows["pods"]["TASKS"] == "2" and rows["shop"]["STATE"] == "active"
    assert world.scheduler.framework_id in cli("framework list -q").split()
    text = cli("framework info shop")
    assert "RESERVATION_REFINEMENT" in text and "prod,web" in text and "\nt-1  " in text
    assert cli.json("framework info shop")["framework_info"]["name"] == "shop"
    assert len(cli.json("framework list")) == 2


def test_why(world, cli):
    text = cli("framework why shop")
    assert "Role prod" in text and "Role web" in text and "node2.test" in text and "nothing is free" in text
    why = cli.json("framework why shop")
    assert {role["role"] for role in why["roles"]} == {"prod", "web"}
    assert "suppressed offers" in cli("framework why pods")


def test_tasks(world, cli):
    rows = {row["TASK"]: row for row in cli.rows("task list")}
    assert set(rows) == {"t-0", "t-1", "t-2"} | {pods.id_of(t) for t in world.pod}
    assert rows["t-0"]["STATE"] == "running" and rows["t-0"]["FRAMEWORK"] == "shop"
    assert rows["t-0"]["HOST"] == "node1.test" and rows["t-0"]["MEM"] == "32MB"
    rows = {row["TASK"]: row["STATE"] for row in cli.rows("task list --all")}
    assert rows["t-3"] == "finished" and rows["t-4"] == "failed" and len(rows) == 7
    assert cli("task list -s failed -q").split() == ["t-4"]
    assert cli("task list --framework=pods -q").split() == [pods.id_of(t) for t in world.pod]
    assert cli("task list --agent node2.test -q") == ""
    assert sorted(t["task_id"]["value"] for t in cli.json("task list --all --framework=shop")) == [
        "t-%d" % i for i in range(5)]
    text = cli("task info t-4")
    assert "Command exited with status 3" in text and "number=4" in text and "node1.test" in text
    assert cli.json("task info t-0")["state"] == "TASK_RUNNING"
    # Names are for finding too, and cannot write to the terminal.
    assert "Id:           t-0" in cli("task info web.1")
    assert "évil?[31m" in cli("task info t-2") and "\x1b" not in cli("task info t-2")


def test_offers_and_roles(world, cli):
    offers = {row["HOST"]: row for row in cli.rows("offer list")}
    assert offers["node2.test"]["FRAMEWORK"] == world.scheduler.framework_id
    assert offers["node2.test"]["RESOURCES"].startswith("cpus:2; mem:1024")
    ids = cli("offer list -q").split()
    assert offers["node2.test"]["ID"] in ids and ids == [o["id"]["value"] for o in cli.json("offer list")]
    rows = {row["ROLE"]: row for row in cli.rows("role list")}
    assert float(rows[world.role]["CPUS"]) >= 0.3 and rows["web"]["FRAMEWORKS"] == "1"
    assert {"*", "prod", "web"} <= {r["name"] for r in cli.json("role list")} and "prod" in cli("role list -q").split()


def test_the_cluster(world, cli):
    text = cli("state")
    assert "Agents:       2 active" in text and "Tasks:        5 running" in text
    assert "Cpus:         0.6 of 10 used (6%)" in text and "1 finished, 1 failed" in text
    state = cli.json("state")["get_state"]
    assert len(state["get_tasks"]["tasks"]) == 5 and len(state["get_agents"]["agents"]) == 2
    assert cli.json("flags")["port"] == world.master.flags["port"] or int(cli.json("flags")["port"])
    assert cli.json(["flags", "--agent", "node1.test"])["hostname"] == "node1.test"
    assert any(row["FLAG"] == "allocation_interval" and row["VALUE"] == "50ms" for row in cli.rows("flags"))


def test_events(world, cli):
    lines = cli("events").splitlines()
    assert sum("agent added" in line for line in lines) == 2 and sum("task added" in line for line in lines) == 5
    snapshot = json.loads(cli("events -o json"))
    assert snapshot["type"] == "SUBSCRIBED" and len(snapshot["subscribed"]["get_state"]["get_agents"]["agents"]) == 2
    # Both forms follow, and end when they are interrupted.
    words, records = (cli.popen(world.cluster, "events -f" + form) for form in ("", " -o json"))
    wait_for(lambda: world.master.metrics()["master/operator_event_stream_subscribers"] == 2, 10, "two subscribers")
    task = make_task("true", task_id="t-event")
    offer = world.scheduler.take_offer()
    world.scheduler.launch(offer, [task], refuse_seconds=0)
    world.scheduler.wait_end("t-event")
    text, status = command_line.interrupt_when(words, b"t-event  finished")
    assert status == -signal.SIGINT and b"2 agents, 2 frameworks, 5 tasks" in text and b"task added" in text
    text, status = command_line.interrupt_when(records, b"TASK_FINISHED")
    events = [json.loads(line) for line in text.splitlines()]
    assert status == -signal.SIGINT and [e["type"] for e in events[:2]] == ["SUBSCRIBED", "TASK_ADDED"]
    assert "HEARTBEAT" not in [e["type"] for e in events]


# ---- terminals ----

@pytest.mark.parametrize("columns", [40, 80, 160])
@pytest.mark.parametrize("words", ["agent list", "framework list", "task list --all", "offer list", "role list"])
def test_widths(cli, columns, words):
    terminal = cli.terminal(words, columns=columns)
    assert terminal.wait_end() == 0
    plain = [line.replace("\x1b[0m", "") for line in terminal.lines]
    plain = ["".join(part.split("m", 1)[-1] if i else part for i, part in enumerate(line.split("\x1b["))) for line in plain]
    assert len(plain) > 1 and all(len(line) <= columns for line in plain), plain
    if columns == 80:
        assert "…-" not in terminal.text  # an id is shown by its last part, never cut at its front


def test_short_ids_mean_what_they_say(world, cli):
    terminal = cli.terminal("agent list", columns=80)
    assert terminal.wait_end() == 0
    shown = [line.split()[0].strip() for line in terminal.lines[1:]]
    assert shown == [i.split("-")[-1] for i in (world.agent_id, world.other_id)]
    for short in shown:
        assert cli.json(["agent", "info", short])["agent_info"]["id"]["value"].endswith("-" + short)


def test_events_at_a_terminal(world, cli):
    terminal = cli.terminal("events", columns=120)
    assert terminal.wait_end() == 0
    assert any(line.split()[3] == world.agent_id.split("-")[-1] for line in terminal.lines if "agent added" in line)
    assert world.agent_id not in terminal.text and world.agent_id in cli("events")


def test_colours(world, cluster):
    for more, has_colours in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)):
        terminal = command_line.Cli(cluster, world.master, **more).terminal("task list")
        assert terminal.wait_end() == 0
        assert ("\x1b[32mrunning\x1b[0m" in terminal.text) == has_colours
    assert "\x1b" not in world.cli("task list")


def test_a_pipe_that_is_closed(world, cli):
    line = "%s task list -q; echo status $? >&2" % command_line.MESOS
    # The reader is gone before anything is written.
    read, write = os.pipe()
    os.close(read)
    for ignored in (False, True):  # some parents ignore SIGPIPE
        result = subprocess.run(["sh", "-c", line], stdin=subprocess.DEVNULL, stdout=write, stderr=subprocess.PIPE,
                                env=cli.environment, restore_signals=not ignored, check=False)
        assert result.stderr == b"status 141\n"
    os.close(write)
    result = subprocess.run(["sh", "-c", "%s task list --all | head -n 1" % command_line.MESOS], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=cli.environment, check=True)
    assert result.stdout.startswith(b"TASK ") and result.stderr == b""


def test_nothing_to_show(cluster):
    master = cluster.start_master()
    cli = command_line.Cli(cluster, master)
    for words in ("agent list", "framework list", "task list", "offer list", "quota list", "weight list", "role list",
                  "maintenance status", "maintenance schedule"):
        assert cli(words) in ("",) and cli(words + " -q") == ""
    for words in ("agent list", "framework list", "task list", "offer list", "quota list", "weight list", "role list"):
        assert cli.json(words) == []
    assert "Agents:       0 active" in cli("state") and cli("events") == ""
    terminal = cli.terminal("task list")
    assert terminal.wait_end() == 0 and terminal.text.strip() == "There are no tasks."


def test_many_tasks(cluster):
    """Two thousand tasks of two frameworks, whose ids are numbers that both have."""
    master = cluster.start_master()
    cli = command_line.Cli(cluster, master)
    cluster.popen([os.path.join(harness.BIN, "mesos-swarm"), "--master=" + master.address, "--agents=200", "--tasks=2000",
                   "--frameworks=2", "--hold", "--connections=4", "--agent_resources=cpus:20;mem:20480;disk:1024"],
                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: master.metrics()["master/tasks_running"] == 2000, 20, "2000 tasks")
    frameworks = cli("framework list -q").split()
    assert len(cli("task list -q").split()) == 2000 == len(cli.json("task list")) == len(cli.rows("task list"))
    assert sum("task added" in line for line in cli("events").splitlines()) == 2000
    assert len(cli("task list -q -f " + frameworks[0]).split()) == 1000
    text = cli.fails("task info 99", command_line.AMBIGUOUS, "'99' could be 2 tasks: 99 (framework ")
    assert all("99 (framework %s)" % framework in text for framework in frameworks)
    assert cli.json("task info 99 --framework=" + frameworks[1])["framework_id"]["value"] == frameworks[1]
    assert len(cli.rows("agent list")) == 200
