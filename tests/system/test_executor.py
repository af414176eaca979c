# SPDX-License-Identifier: Apache-2.0
"""mesos-executor alone, against an agent that follows a script (fake_agent.py)."""

import os
import signal
import subprocess
import time

import pytest

from fake_agent import FakeAgent
from harness import BIN

SECOND = 1_000_000_000


@pytest.fixture
def agent():
    fake = FakeAgent()
    yield fake
    fake.close()


class Runner:
    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.processes = []

    def start(self, agent, **environment):
        stdout = open(self.sandbox / "stdout", "ab")
        stderr = open(self.sandbox / "stderr", "ab")
        variables = {"PATH": os.environ["PATH"], "MESOS_FRAMEWORK_ID": agent.framework_id,
                     "MESOS_EXECUTOR_ID": agent.executor_id, "MESOS_DIRECTORY": str(self.sandbox),
                     "MESOS_SANDBOX": str(self.sandbox), "MESOS_CHECKPOINT": "0",
                     "MESOS_AGENT_ENDPOINT": "127.0.0.1:%d" % agent.port,
                     "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD": "5secs", **environment}
        variables = {name: value for name, value in variables.items() if value is not None}
        process = subprocess.Popen([os.path.join(BIN, "mesos-executor")], cwd=self.sandbox, env=variables,
                                   stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
        self.processes.append(process)
        return process

    def text(self, name):
        return (self.sandbox / name).read_text()


@pytest.fixture
def runner(tmp_path):
    one = Runner(tmp_path)
    yield one
    for process in one.processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def read_pid(path, timeout=5):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if path.exists() and path.read_text().strip():
            return int(path.read_text())
        time.sleep(0.01)
    raise AssertionError("%s was not written" % path)


def shell(command, **more):
    return {"command": {"value": command, **more}}


def test_finishes(agent, runner):
    process = runner.start(agent)
    agent.launch(**shell("echo HelloWorld"))
    finished = agent.wait_state("TASK_FINISHED")
    assert process.wait(5) == 0
    assert agent.states() == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
    assert finished["message"] == "Command exited with status 0"
    assert finished["executor_id"] == {"value": "E"}
    assert finished["source"] == 2
    assert len(finished["uuid"]) == 16
    assert abs(finished["timestamp"] - time.time()) < 10
    assert runner.text("stdout") == "HelloWorld\n"
    log = runner.text("stderr")
    for line in ("Received SUBSCRIBED event", "Subscribed executor on fake-host", "Received LAUNCH event",
                 "Starting task t", "Forked command at ", "Command exited with status 0 (pid: "):
        assert line in log


@pytest.mark.parametrize("command, message", [
    ("exit 3", "Command exited with status 3"),
    ("kill -KILL $$", "Command terminated with signal Killed"),
    ("kill -TERM $$", "Command terminated with signal Terminated"),
])
def test_fails(agent, runner, command, message):
    process = runner.start(agent)
    agent.launch(**shell(command))
    assert agent.wait_state("TASK_FAILED")["message"] == message
    assert process.wait(5) == 0


def test_program_with_arguments(agent, runner):
    process = runner.start(agent)
    agent.launch(**shell("printf", shell=False, arguments=["printf", "<%s>", "a b", "*"]))
    agent.wait_state("TASK_FINISHED")
    process.wait(5)
    assert runner.text("stdout") == "<a b><*>"


def test_program_in_the_sandbox(agent, runner):
    program = runner.sandbox / "mine"
    program.write_text("#!/bin/sh\necho $0 $#\n")
    program.chmod(0o755)
    process = runner.start(agent)
    agent.launch(**shell("./mine", shell=False))
    agent.wait_state("TASK_FINISHED")
    process.wait(5)
    assert runner.text("stdout").endswith("/./mine 0\n")


@pytest.mark.parametrize("value, text", [
    ("no-such-program", "Failed to execute 'no-such-program': No such file or directory"),
    ("/no/such/program", "No such file or directory"),
    ("/etc/passwd", "Permission denied"),
])
def test_program_that_cannot_run(agent, runner, value, text):
    process = runner.start(agent)
    agent.launch(**shell(value, shell=False))
    assert text in agent.wait_state("TASK_FAILED")["message"]
    assert process.wait(5) == 0
    assert agent.states() == ["TASK_STARTING", "TASK_FAILED"]


def test_environment(agent, runner):
    process = runner.start(agent, MINE="executor", OTHER="kept", MESOS_EXECUTOR_AUTHENTICATION_TOKEN="secret")
    agent.launch(resources=[{"name": "cpus", "type": 0, "scalar": {"value": 1},
                             "allocation_info": {"role": "dev"}}],
                 **shell("echo $MINE $OTHER $MESOS_ALLOCATION_ROLE [$MESOS_EXECUTOR_AUTHENTICATION_TOKEN] "
                         "$MESOS_SANDBOX $PWD",
                         environment={"variables": [{"name": "MINE", "value": "task"}]}))
    agent.wait_state("TASK_FINISHED")
    process.wait(5)
    assert runner.text("stdout") == "task kept dev [] %s %s\n" % (runner.sandbox, runner.sandbox)
    assert agent.wait_subscribed()["authorization"] == "Bearer secret"


def test_signals_are_not_inherited(agent, runner):
    """A shell pipe must end by SIGPIPE; ignored signals would make it write on."""
    process = runner.start(agent)
    agent.launch(**shell("grep -E 'Sig(Ign|Blk)' /proc/self/status; ls /proc/self/fd | wc -l; "
                         "ps -o sid= -p $$ | tr -d ' '; echo $$"))
    agent.wait_state("TASK_FINISHED")
    process.wait(5)
    blocked, ignored, fds, session, pid = runner.text("stdout").split("\n")[:5]
    assert int(blocked.split()[1], 16) == 0
    assert int(ignored.split()[1], 16) == 0
    assert int(fds) == 4          # 0, 1, 2 and that of ls itself
    assert session == pid         # a session of its own


def test_kill(agent, runner):
    process = runner.start(agent)
    agent.launch(**shell("trap 'echo bye; exit 7' TERM; while :; do sleep 0.05; done"))
    agent.wait_state("TASK_RUNNING")
    time.sleep(0.2)
    agent.send("KILL", kill={"task_id": {"value": "t"}})
    killed = agent.wait_state("TASK_KILLED")
    assert killed["message"] == "Command exited with status 7"
    assert "TASK_KILLING" not in agent.states()
    assert process.wait(5) == 0
    assert runner.text("stdout") == "bye\n"
    assert "with grace period of 3secs" in runner.text("stderr")


def test_killing_state(runner):
    agent = FakeAgent(capabilities=[2])    # TASK_KILLING_STATE
    try:
        runner.start(agent)
        agent.launch(**shell("sleep 100"))
        agent.wait_state("TASK_RUNNING")
        agent.send("KILL", kill={"task_id": {"value": "t"}})
        agent.wait_state("TASK_KILLED")
        assert agent.states()[2:] == ["TASK_KILLING", "TASK_KILLED"]
    finally:
        agent.close()


STUBBORN = "trap '' TERM; echo $$ > pid; while :; do sleep 0.05; done"


@pytest.mark.parametrize("of_task, of_kill, least, most", [
    (None, 0.3, 0.25, 2), (0.4, None, 0.35, 2), (20, 0.2, 0.15, 2), (0.1, 0.8, 0.75, 2.5)])
def test_kill_with_grace_period(agent, runner, of_task, of_kill, least, most):
    def policy(seconds):
        return {"kill_policy": {"grace_period": {"nanoseconds": int(seconds * SECOND)}}} if seconds else {}
    runner.start(agent)
    agent.launch(**policy(of_task), **shell(STUBBORN))
    read_pid(runner.sandbox / "pid")
    start = time.monotonic()
    agent.send("KILL", kill={"task_id": {"value": "t"}, **policy(of_kill)})
    killed = agent.wait_state("TASK_KILLED")
    assert least <= time.monotonic() - start <= most
    assert killed["message"] == "Command terminated with signal Killed"


def test_second_kill_only_shortens(agent, runner):
    def kill(seconds):
        agent.send("KILL", kill={"task_id": {"value": "t"},
                                 "kill_policy": {"grace_period": {"nanoseconds": int(seconds * SECOND)}}})
    runner.start(agent)
    agent.launch(**shell(STUBBORN))
    read_pid(runner.sandbox / "pid")
    start = time.monotonic()
    kill(0.6)
    kill(30)
    agent.wait_state("TASK_KILLED")
    assert 0.5 < time.monotonic() - start < 3


def test_kill_finds_orphans(agent, runner):
    """Neither a new session nor a double fork escapes."""
    runner.start(agent)
    agent.launch(**shell("(setsid sh -c 'trap \"\" TERM; echo $$ > orphan; while :; do sleep 0.05; done' &) ; "
                         "sleep 100"))
    orphan = read_pid(runner.sandbox / "orphan")
    agent.send("KILL", kill={"task_id": {"value": "t"}})
    agent.wait_state("TASK_KILLED")
    assert not is_alive(orphan)


def test_nothing_outlives_the_task(agent, runner):
    process = runner.start(agent)
    agent.launch(**shell("setsid sh -c 'echo $$ > left; sleep 100' & while ! [ -s left ]; do sleep 0.01; done"))
    agent.wait_state("TASK_FINISHED")
    assert not is_alive(read_pid(runner.sandbox / "left"))
    assert process.wait(5) == 0


def test_orphans_are_reaped_while_the_task_runs(agent, runner):
    process = runner.start(agent)
    agent.launch(**shell("for i in 1 2 3 4 5; do (true &) ; done; sleep 0.5; "
                         "ps -o stat= --ppid $PPID | grep -c Z; true"))
    agent.wait_state("TASK_FINISHED")
    process.wait(5)
    assert runner.text("stdout") == "0\n"


def test_max_completion_time(agent, runner):
    runner.start(agent)
    start = time.monotonic()
    agent.launch(max_completion_time={"nanoseconds": SECOND // 3}, **shell("sleep 100"))
    failed = agent.wait_state("TASK_FAILED")
    assert 0.3 < time.monotonic() - start < 3
    assert failed["reason"] == 33          # REASON_MAX_COMPLETION_TIME_REACHED


def test_max_completion_time_that_suffices(agent, runner):
    runner.start(agent)
    agent.launch(max_completion_time={"nanoseconds": 5 * SECOND}, **shell("true"))
    agent.wait_state("TASK_FINISHED")


def test_shutdown(agent, runner):
    process = runner.start(agent, MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD="600ms")
    agent.launch(**shell(STUBBORN))
    read_pid(runner.sandbox / "pid")
    start = time.monotonic()
    agent.send("SHUTDOWN")
    agent.wait_state("TASK_KILLED")
    assert 0.25 < time.monotonic() - start < 0.6
    assert process.wait(5) == 0


def test_shutdown_without_task(agent, runner):
    process = runner.start(agent)
    agent.send("SHUTDOWN")
    assert process.wait(5) == 0


def test_kill_before_launch_ends_it(agent, runner):
    process = runner.start(agent)
    agent.send("KILL", kill={"task_id": {"value": "t"}})
    assert process.wait(5) == 1


def test_second_task_is_refused(agent, runner):
    runner.start(agent)
    agent.launch("one", **shell("sleep 100"))
    agent.wait_state("TASK_RUNNING")
    agent.launch("two", **shell("true"))
    failed = agent.wait_state("TASK_FAILED")
    assert failed["task_id"] == {"value": "two"}
    assert failed["message"] == 'Attempted to run multiple tasks using a "command" executor'
    agent.send("KILL", kill={"task_id": {"value": "one"}})
    assert agent.wait_state("TASK_KILLED")["task_id"] == {"value": "one"}


@pytest.mark.parametrize("part,kind", [({"health_check": {"type": 1}}, "COMMAND health check"),
                                       ({"check": {"type": 1}}, "COMMAND check")])
def test_checks_that_make_no_sense_are_refused_clearly(agent, runner, part, kind):
    process = runner.start(agent)
    agent.launch(**part, **shell("touch ran"))
    refused = agent.wait_state("TASK_ERROR")
    assert "Expecting 'command' to be set for " + kind in refused["message"]
    assert process.wait(5) == 0
    assert not (runner.sandbox / "ran").exists()


def test_launch_group_shuts_it_down(agent, runner):
    process = runner.start(agent)
    agent.send("LAUNCH_GROUP", launch_group={"task_group": {"tasks": [FakeAgent.task(**shell("true"))]}})
    assert process.wait(5) == 0


def test_events_that_ask_for_nothing(agent, runner):
    process = runner.start(agent)
    agent.send("MESSAGE", message={"data": b"\0\xff"})
    agent.send("HEARTBEAT")
    agent.send("ERROR", error={"message": "odd"})
    agent.launch(**shell("true"))
    agent.wait_state("TASK_FINISHED")
    assert process.wait(5) == 0


def test_waits_for_the_acknowledgement(agent, runner):
    agent.acknowledges = False
    process = runner.start(agent)
    agent.launch(**shell("true"))
    agent.wait_state("TASK_FINISHED")
    time.sleep(0.5)
    assert process.poll() is None
    for status in agent.updates():
        agent.acknowledge(status)
    assert process.wait(5) == 0


def test_unknown_acknowledgement_is_ignored(agent, runner):
    agent.acknowledges = False
    process = runner.start(agent)
    agent.launch(**shell("true"))
    finished = agent.wait_state("TASK_FINISHED")
    agent.acknowledge({**finished, "uuid": b"0123456789abcdef"})
    agent.acknowledge({**finished, "uuid": b""})
    time.sleep(0.2)
    assert process.poll() is None
    assert "for unknown status update" in runner.text("stderr")


@pytest.mark.parametrize("statuses", [[503], [404, 503]])
def test_agent_that_is_not_ready(agent, runner, statuses):
    agent.subscribe_status = list(statuses)
    process = runner.start(agent)
    agent.wait_subscribed(len(statuses) + 1)
    agent.launch(**shell("true"))
    agent.wait_state("TASK_FINISHED")
    assert process.wait(5) == 0


def test_agent_that_refuses(agent, runner):
    agent.subscribe_status = [400]
    assert runner.start(agent).wait(5) == 1


def test_update_is_sent_again(agent, runner):
    agent.update_status = [503, 503]
    process = runner.start(agent)
    agent.launch(**shell("true"))
    agent.wait_state("TASK_FINISHED")
    assert process.wait(5) == 0
    accepted = [call["update"]["status"]["state"] for call in agent.calls
                if call["type"] == "UPDATE" and call["answered"] == 202]
    assert accepted == [0, 1, 2]           # in order, each once


def test_without_checkpoint_it_ends_with_the_agent(agent, runner):
    process = runner.start(agent)
    agent.launch(**shell("echo $$ > pid; sleep 100"))
    pid = read_pid(runner.sandbox / "pid")
    agent.drop_stream()
    assert process.wait(8) == 1
    assert not is_alive(pid)


CHECKPOINT = {"MESOS_CHECKPOINT": "1", "MESOS_RECOVERY_TIMEOUT": "15mins", "MESOS_SUBSCRIPTION_BACKOFF_MAX": "2secs"}


def test_with_checkpoint_it_comes_back(agent, runner):
    agent.acknowledges = False
    process = runner.start(agent, **CHECKPOINT)
    agent.launch(**shell("while ! [ -e go ]; do sleep 0.05; done"))
    agent.wait_state("TASK_RUNNING")
    agent.drop_stream()
    again = agent.wait_subscribed(2)["subscribe"]
    assert [one["task_id"]["value"] for one in again["unacknowledged_tasks"]] == ["t"]
    assert [one["status"]["state"] for one in again["unacknowledged_updates"]] == [0, 1]
    for one in again["unacknowledged_updates"]:
        agent.acknowledge(one["status"])
    agent.acknowledges = True
    (runner.sandbox / "go").touch()
    agent.wait_state("TASK_FINISHED")
    assert process.wait(5) == 0


def test_update_made_while_the_agent_is_away(runner):
    agent = FakeAgent()
    process = runner.start(agent, **CHECKPOINT)
    agent.launch(**shell("while ! [ -e go ]; do sleep 0.02; done"))
    agent.wait_state("TASK_RUNNING")
    time.sleep(0.2)                        # both updates are acknowledged by now
    agent.close()
    (runner.sandbox / "go").touch()
    time.sleep(0.5)
    assert process.poll() is None
    again = FakeAgent(port=agent.port)
    try:
        subscribe = again.wait_subscribed()["subscribe"]
        assert "unacknowledged_tasks" not in subscribe
        finished = subscribe["unacknowledged_updates"][0]["status"]
        assert finished["state"] == 2
        again.acknowledge(finished)
        assert process.wait(5) == 0
    finally:
        again.close()


def test_recovery_timeout(agent, runner):
    process = runner.start(agent, **{**CHECKPOINT, "MESOS_RECOVERY_TIMEOUT": "700ms"})
    agent.launch(**shell("echo $$ > pid; sleep 100"))
    pid = read_pid(runner.sandbox / "pid")
    agent.subscribe_status = [503] * 1000
    start = time.monotonic()
    agent.drop_stream()
    assert process.wait(8) == 1
    assert time.monotonic() - start > 0.6
    assert not is_alive(pid)


@pytest.mark.parametrize("garbage", [b"x\n", b"3\nabc", b"99999999999999999999\n", b"5\n\xff\xff\xff\xff\xff"])
def test_garbage_on_the_stream(agent, runner, garbage):
    process = runner.start(agent, **CHECKPOINT)
    agent.wait_subscribed()
    agent.write_raw(garbage)
    agent.wait_subscribed(2)
    time.sleep(0.1)
    agent.launch(**shell("true"))
    agent.wait_state("TASK_FINISHED")
    assert process.wait(5) == 0


def test_subscribed_and_launch_in_one_packet(agent, runner):
    agent.events_at_once = [{"type": "LAUNCH", "launch": {"task": FakeAgent.task(**shell("true"))}}]
    assert runner.start(agent).wait(5) == 0
    assert agent.states() == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]


@pytest.mark.parametrize("missing, text", [
    ({"MESOS_FRAMEWORK_ID": None}, "Expecting 'MESOS_FRAMEWORK_ID' to be set in the environment"),
    ({"MESOS_EXECUTOR_ID": None}, "Expecting 'MESOS_EXECUTOR_ID' to be set in the environment"),
    ({"MESOS_CHECKPOINT": "1"}, "Expecting 'MESOS_RECOVERY_TIMEOUT' to be set in the environment"),
    ({"MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD": "soon"}, "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD"),
    ({"MESOS_AGENT_ENDPOINT": "a:b:c"}, "a:b:c"),
])
def test_bad_environment(agent, runner, missing, text):
    assert runner.start(agent, **missing).wait(5) == 1
    assert text in runner.text("stderr")


def test_agent_by_its_pid(agent, runner):
    process = runner.start(agent, MESOS_AGENT_ENDPOINT=None,
                           MESOS_SLAVE_PID="slave(1)@127.0.0.1:%d" % agent.port)
    agent.launch(**shell("true"))
    agent.wait_state("TASK_FINISHED")
    assert process.wait(5) == 0


def test_executor_that_is_killed_leaves_the_rest_to_its_agent(agent, runner):
    """SIGTERM ends the executor at once: its container is destroyed by the agent, not by itself."""
    process = runner.start(agent)
    agent.wait_subscribed()
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == -signal.SIGTERM
