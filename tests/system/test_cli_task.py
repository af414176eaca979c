# SPDX-License-Identifier: Apache-2.0
"""`mesos task`: logs, files, a command in a task's container, at a terminal and without, attaching, killing."""

import json
import os
import select
import signal
import subprocess
import time
import uuid

import pytest

import cli as command_line
import harness
import netns
import pods
from cli import AMBIGUOUS, FAILED, NOT_FOUND, NOT_RUN, UNREACHABLE, USAGE
from harness import make_task, wait_for

cluster = pytest.fixture(scope="module")(harness.run_cluster)


class World:
    def __init__(self, cluster):
        self.cluster = cluster
        self.master = cluster.start_master(allocation_interval="50ms")
        self.agent = cluster.start_agent(self.master, resources="cpus:16;mem:8192;disk:8192")
        self.scheduler = cluster.scheduler(self.master, name="shop")
        self.cli = command_line.Cli(cluster, self.master)
        self.steady = self.run("echo hello; echo oops >&2; mkdir log; seq 1 5000 > log/lines; "
                               "printf '\\377\\000\\342' > bytes; echo ready > ready; sleep 1000", "steady")
        wait_for(lambda: "ready" in self.cli("task files steady -q"), 10, "the files to be there")

    def run(self, command, task_id):
        self.scheduler.launch(self.scheduler.take_offer(), [make_task(command, task_id=task_id)], refuse_seconds=0)
        self.scheduler.wait_update(task_id, "TASK_RUNNING")
        return task_id


@pytest.fixture(scope="module")
def world(cluster):
    return World(cluster)


@pytest.fixture
def cli(world):
    return world.cli


# ---- logs and files ----

def test_logs(world, cli):
    assert cli("task logs steady") == "hello\n"
    assert "oops" in cli("task logs --stderr steady").split("\n")
    lines = "".join("%d\n" % i for i in range(1, 5001))
    assert cli("task logs --file=log/lines steady") == lines
    for count in (0, 1, 3, 4999, 5000, 9999):
        assert cli("task logs --file=log/lines -n %d steady" % count) == "".join(
            "%d\n" % i for i in range(1, 5001)[5000 - min(count, 5000):])
    result = cli.run("task logs --file=bytes steady")
    assert result.stdout == b"\xff\x00\xe2"
    cli.fails("task logs --file=nothing steady", NOT_FOUND, "nothing")
    cli.fails("task logs --file=/etc/passwd steady", USAGE, "'/etc/passwd' is absolute")
    cli.fails("task logs --file=../../../../../../../../etc/passwd steady", NOT_FOUND, "")
    cli.fails("task logs -n x steady", USAGE, "--lines: 'x' is no number of lines")
    cli.fails("task logs --stderr --file=x steady", USAGE, "exclude each other")


def test_logs_follow(world, cli):
    """Until the task ends: all that it wrote, once and in order."""
    world.run("for i in $(seq 1 10); do echo line $i; sleep 0.1; done; echo last", "ticker")
    result = cli.run("task logs -f ticker")
    assert result.returncode == 0 and result.stderr == b""
    assert result.stdout.decode() == "".join("line %d\n" % i for i in range(1, 11)) + "last\n"
    assert cli("task logs -f ticker") == result.stdout.decode()  # it has ended


def test_logs_follow_until_interrupted(world, cli):
    process = cli.popen(world.cluster, "task logs -f -n 1 steady")
    text, status = command_line.interrupt_when(process, b"hello\n")
    assert text == b"hello\n" and status == -signal.SIGINT


def test_files(world, cli):
    rows = {row["NAME"]: row for row in cli.rows("task files steady")}
    assert rows["log/"]["MODE"] == "drwxr-xr-x" and rows["stdout"]["SIZE"] == "6B" and rows["bytes"]["SIZE"] == "3B"
    assert [row["NAME"] for row in cli.rows("task files steady log")] == ["lines"]
    assert {"stdout", "stderr", "bytes", "log"} <= set(cli("task files steady -q").split())
    assert {f["path"].rsplit("/", 1)[1] for f in cli.json("task files steady log")} == {"lines"}
    assert cli.run("task files steady bytes --get").stdout == b"\xff\x00\xe2"
    cli.fails("task files steady nothing --get", NOT_FOUND, "nothing")
    cli.fails("task files steady nothing", NOT_FOUND, "nothing")
    cli.fails("task files steady log --get", FAILED, "Cannot download a directory")
    cli.fails("task files steady --get", USAGE, "--get wants the PATH of a file")


def test_a_pods_task_has_files_of_its_own(world, cli):
    tasks = pods.make_tasks({"value": "echo one; sleep 1000"}, {"value": "echo two; sleep 1000"})
    pods.launch(world.scheduler, tasks, offer=world.scheduler.take_offer())
    ids = [pods.id_of(task) for task in tasks]
    for task_id, word in zip(ids, ("one\n", "two\n")):
        world.scheduler.wait_update(task_id, "TASK_RUNNING")
        wait_for(lambda: cli("task logs " + task_id) == word, 10, "its output")  # noqa: B023
        assert cli("task exec %s cat stdout" % task_id) == word
    # Its container alone is killed; the executor then ends the other one, as a pod ends.
    assert cli("task kill %s --yes" % ids[0]) == "The container of task %s is killed\n" % ids[0]
    assert world.scheduler.wait_end(ids[0])["state"] == "TASK_FAILED"
    world.scheduler.wait_end(ids[1])


# ---- exec ----

def nothing_is_left(cli):
    if "containers" in cli("task files steady -q").split():
        assert cli("task files steady containers -q") == ""


def test_exec(world, cli):
    result = cli.run(["task", "exec", "steady", "sh", "-c", "cat stdout; echo to stderr >&2; exit 7"])
    assert (result.returncode, result.stdout, result.stderr) == (7, b"hello\n", b"to stderr\n")
    # No shell looks at the words, and flags behind TASK are the command's.
    assert cli(["task", "exec", "steady", "printf", "%s|", "a b", "$HOME", "-q", "--help"]) == "a b|$HOME|-q|--help|"
    assert cli.run(["task", "exec", "steady", "sh", "-c", "kill -9 $$"]).returncode == 128 + 9
    assert cli(["task", "exec", "steady", "cat"]) == ""  # without -i its input has ended
    cli.fails("task exec steady no-such-program", NOT_RUN, "no-such-program")
    cli.fails("task exec nobody true", NOT_RUN, "There is no task 'nobody'")
    cli.fails("task exec --bad steady true", NOT_RUN, "`mesos task exec` has no flag '--bad'")
    nothing_is_left(cli)


def test_exec_with_input(world, cli):
    data = os.urandom(1024) * 3000
    result = cli.run("task exec -i steady cat", input=data, timeout=60)
    assert result.returncode == 0 and result.stdout == data
    assert cli.run(["task", "exec", "-i", "steady", "head", "-c", "3"], input=b"abcdef").stdout == b"abc"


def test_exec_at_a_terminal(world, cli):
    terminal = cli.terminal("task exec -it steady sh", columns=99, rows=33)
    terminal.keys("stty size; tty\n").wait("33 99").wait("/dev/pts/")
    terminal.resize(40, 120).signal(signal.SIGWINCH)
    wait_for(lambda: "40 120" in terminal.keys("stty size\n").wait("\n").text, 10, "the new size")
    # Keys go through as they are: ctrl-c reaches the command there, not the one here.
    terminal.keys("trap 'echo inter''rupted' INT; echo tr''apped; sleep 1000; echo went $((40 + 2))\n").wait("trapped")
    time.sleep(0.2)
    terminal.keys("\x03").wait("went 42").keys("exit 9\n")
    assert terminal.wait_end() == 9


def has_ended(pid):
    """Also one that nobody has waited for yet."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_exec_ends_with_this_program(world, cli):
    process = cli.popen(world.cluster, ["task", "exec", "steady", "sh", "-c", "echo $$; exec sleep 998"])
    text, status = command_line.interrupt_when(process, b"\n")
    assert status == 128 + signal.SIGINT
    pid = int(text.split()[0])
    wait_for(lambda: has_ended(pid), 10, "the command to end")
    # A signal on a terminal that is in raw mode puts it back (Terminal.wait_end looks).
    terminal = cli.terminal("task exec -it steady sh")
    terminal.keys("echo th''ere\n").wait("there").signal(signal.SIGTERM)
    assert terminal.wait_end() == 128 + signal.SIGTERM
    nothing_is_left(cli)


def test_exec_whose_output_nobody_reads(world, cli):
    line = "%s task exec steady sh -c 'while :; do echo y; done' | head -n 1; echo ${PIPESTATUS[0]}" % command_line.MESOS
    result = subprocess.run(["bash", "-c", line], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=cli.environment, timeout=30 * harness.PATIENCE, check=True)
    assert result.stdout == b"y\n%d\n" % (128 + signal.SIGPIPE) and result.stderr == b""
    nothing_is_left(cli)


# ---- attach ----

@pytest.fixture
def session(world):
    """A session inside the task `steady`, without input yet; its name, and its output's stream."""
    status = world.scheduler.wait_update("steady", "TASK_RUNNING")
    name = uuid.uuid4().hex
    stream = harness.Stream(world.agent.address, "/api/v1", json.dumps({
        "type": "LAUNCH_NESTED_CONTAINER_SESSION", "launch_nested_container_session": {
            "container_id": {"value": name, "parent": status["container_status"]["container_id"]},
            "command": {"value": "stty -echo; echo up; while read x; do echo got-$x; done; echo end"},
            "container": {"type": "MESOS", "tty_info": {"window_size": {"rows": 20, "columns": 70}}}}}),
        {"Content-Type": "application/json", "Accept": "application/json"})
    assert stream.status == 200, stream.error_text
    yield name
    stream.close()


def test_attach(world, cli, session):
    cli.fails("task attach steady", FAILED, "neither a terminal nor a session")
    cli.fails("task attach steady --container=nothing", NOT_FOUND, "cannot be found")
    first = cli.terminal("task attach steady --container=" + session)
    first.keys("one\n").wait("got-one")
    # Of two inputs the agent takes one; who only looks disturbs nobody.
    second = cli.terminal("task attach steady --container=" + session)
    assert second.wait_end() == FAILED and "Somebody else's input is attached" in second.text
    watcher = cli.popen(world.cluster, "task attach --no-stdin steady --container=" + session)
    wait_for(lambda: first.keys("two\n").wait("got-two") and select.select([watcher.stdout], [], [], 0)[0], 10, "both")
    text, status = command_line.interrupt_when(watcher, b"got-two")
    assert status == 128 + signal.SIGINT
    # ctrl-p alone is the task's; ctrl-p ctrl-q detaches, and what was attached to goes on.
    first.keys("\x10x\n").wait("got-\x10x")
    first.keys("\x10\x11")
    assert first.wait_end() == 0 and "mesos: detached; the task goes on" in first.text
    third = cli.terminal("task attach steady --container=" + session)
    third.keys("three\n").wait("got-three").keys("\x04").wait("end")
    assert third.wait_end() == 0


def test_attach_to_a_task_with_a_terminal(world, cli):
    task = make_task("stty -echo; echo up; while read x; do echo got-$x; done; echo end", task_id="repl",
                     container={"type": "MESOS", "tty_info": {"window_size": {"rows": 20, "columns": 70}}})
    world.scheduler.launch(world.scheduler.take_offer(), [task], refuse_seconds=0)
    world.scheduler.wait_update("repl", "TASK_RUNNING")
    terminal = cli.terminal("task attach repl")
    terminal.keys("one\n").wait("got-one").keys("\x10\x11")
    assert terminal.wait_end() == 0 and "detached" in terminal.text
    terminal = cli.terminal("task attach repl")
    terminal.keys("two\n").wait("got-two").keys("\x04").wait("end")
    assert terminal.wait_end() == 0 and "detached" not in terminal.text
    assert world.scheduler.wait_end("repl")["state"] == "TASK_FINISHED"


# ---- kill ----

def test_kill(world, cli):
    world.run("sleep 1000", "victim")
    cli.fails("task kill victim", USAGE, "give --yes")
    terminal = cli.terminal("task kill victim")
    terminal.wait("Kill the container of task victim? [y/N]").keys("y\n")
    assert terminal.wait_end() == 0
    status = world.scheduler.wait_end("victim")
    assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_EXECUTOR_TERMINATED")
    cli.fails("task kill victim --yes", FAILED, "The task victim has ended already: failed")
    cli.fails("task exec victim true", NOT_RUN, "The task victim has ended: failed")
    cli.fails("task kill nobody --yes", NOT_FOUND, "There is no task 'nobody'")


# ---- agents that cannot be reached ----

def test_an_agent_that_is_down(cluster):
    master = cluster.start_master()
    agent = cluster.start_agent(master)
    scheduler = cluster.scheduler(master, checkpoint=True)
    scheduler.launch(scheduler.wait_offer(), [make_task("sleep 1000", task_id="t")], refuse_seconds=0)
    scheduler.wait_update("t", "TASK_RUNNING")
    cli = command_line.Cli(cluster, master)
    agent.kill()
    for words in ("task logs t", "task files t", "task kill t --yes", "flags --agent=S0", "task attach t"):
        result = cli.run(words)
        assert result.returncode == UNREACHABLE and result.stdout == b"", (words, result)
        assert agent.address.encode() in result.stderr or b"is not there" in result.stderr
    assert cli.run("task exec t true").returncode == NOT_RUN
    agent.restart()
    cluster.wait_registered(agent, master)
    scheduler.teardown()


@pytest.mark.root
@pytest.mark.skipif(not netns.is_possible(), reason="needs network namespaces")
def test_files_through_the_master():
    """From a machine that reaches the master and not the agent."""
    with netns.Network() as network:
        cluster = harness.Cluster()
        try:
            here, there, desk = network.add(), network.add(), network.add()
            master = cluster.start_master(ip=here.ip, hostname=here.ip, prefix=here.prefix)
            agent = cluster.start_agent(master, ip=there.ip, hostname=there.ip, prefix=there.prefix)
            scheduler = cluster.scheduler(master)
            scheduler.launch(scheduler.wait_offer(), [make_task(
                "yes 'äöü€𝄞' | head -c 200001 > text; seq 1 5000 > lines; printf '\\377\\000' > bytes; echo up; sleep 1000",
                task_id="t")], refuse_seconds=0)
            scheduler.wait_update("t", "TASK_RUNNING")
            network.cut(desk, there)
            cli = command_line.Cli(cluster, master, prefix=desk.prefix)
            wait_for(lambda: cli("task logs t") == "up\n", 10, "its output")
            assert cli("task logs --file=lines -n 2 t") == "4999\n5000\n"
            text = cli("task logs --file=text t")
            whole = ("äöü€𝄞\n" * 20000).encode()[:200001].decode("utf-8", "ignore")
            assert text.rstrip("�") == whole
            assert {"stdout", "bytes"} <= set(cli("task files t -q").split())
            assert cli.run("task files t bytes --get").stdout == b"\xff\x00"
            cli.fails("task logs --file=nothing t", NOT_FOUND, "There is no ")
            assert cli.run("task exec t true").returncode == NOT_RUN
            # With the agent away from its master too, both are named.
            agent.kill()
            assert there.ip in cli.fails("task logs t", UNREACHABLE, "Neither the agent answers (")
            agent.start().wait_serving()
        finally:
            network.heal()
            complaints = cluster.close()
        assert not complaints, complaints
