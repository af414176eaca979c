# SPDX-License-Identifier: Apache-2.0
"""`mesos`: where the master is, what goes wrong on the way there, its configuration, its completion."""

import base64
import http.server
import json
import os
import shutil
import socket
import stat
import subprocess
import threading

import pytest

import cli as command_line
import harness
import zookeeper
from cli import DENIED, FAILED, NOT_FOUND, UNREACHABLE, USAGE
from harness import find_port, make_task, wait_for


# ---- bad lines ----

@pytest.mark.parametrize("words, text", [
    ("nonsense", "There is no command `mesos nonsense`"),
    ("agent nonsense", "There is no command `mesos agent nonsense`"),
    ("agent info", "`mesos agent info` wants AGENT"),
    ("agent list --bogus", "`mesos agent list` has no flag '--bogus'"),
    ("agent list -o yaml", "--output: 'yaml' is none of: table json"),
    ("-m", "-m wants a value: MASTER"),
    ("help nonsense", "There is no command `mesos nonsense`"),
    ("config nonsense", "KEY: 'nonsense' is none of: master.address"),
])
def test_bad_lines(cluster, words, text):
    said = command_line.Cli(cluster).fails(words, USAGE, text)
    assert said.startswith("mesos: ")


def test_help(cluster):
    cli = command_line.Cli(cluster)
    overview = cli("--help")
    assert cli("help") == overview and cli("", status=USAGE) == overview
    groups = cli("agent --help")
    assert cli("help agent") == groups == cli("agent")
    text = cli("task logs --help")
    assert cli("help task logs") == text and "Examples:" in text and "--follow" in text
    assert cli("--version") == "mesos 1.11.0\n"
    terminal = cli.terminal("task logs --help", columns=60)
    assert terminal.wait_end() == 0 and all(len(line) <= 60 or line.startswith("  mesos ") for line in terminal.lines)


# ---- the master ----

def test_no_master(cluster):
    port = find_port()
    address = "127.0.0.1:%d" % port
    for words in ("agent list", "task list -o json", "state", "state -o json", "events", "events -f", "flags", "offer list",
                  "task logs x", "role list", "log-level", "maintenance status", "framework why x"):
        text = command_line.Cli(cluster, address).fails(words, UNREACHABLE, "Cannot reach a leading master (%s" % address)
        assert "from $MESOS_MASTER" in text
    cli = command_line.Cli(cluster)
    cli.fails("state --master=a:b", USAGE, "The master from --master: Bad address 'a:b'")
    cli.fails("state --master=https://h:1", USAGE, "TLS is not supported yet")
    cli.fails("state --master=zk://", USAGE, "--master")
    cli.fails("state --master=no-such-host.invalid", UNREACHABLE, "no-such-host.invalid")


def test_which_master_counts(cluster, master):
    flag = ["--master", master.address]
    other = "127.0.0.1:%d" % find_port()
    cli = command_line.Cli(cluster, other)
    cli.fails("state", UNREACHABLE, other)
    assert "Agents:" in cli(["state", *flag]) and "Agents:" in cli([*flag, "state"])
    cli = command_line.Cli(cluster)
    cli("config master.address " + master.address)
    assert "Agents:" in cli("state")
    text = cli("config")
    assert "Master:       " + master.address in text and "Master from:  %s/.mesos/config.toml" % cluster.directory in text
    command_line.Cli(cluster, other).fails("state", UNREACHABLE, "from $MESOS_MASTER")
    # Of a list the first that answers counts; without a port it is 5050.
    assert "Agents:" in cli(["state", "--master", "%s, %s" % (other, master.address)])
    cli.fails(["state", "--master", other + ",127.0.0.1:1"], UNREACHABLE, "127.0.0.1:1")
    cli("config --unset master.address")
    assert "localhost:5050" in cli("config")


@pytest.mark.skipif(not zookeeper.is_installed(), reason="needs ZooKeeper")
def test_standby_masters_and_a_failover(cluster):
    """Any master will do; the election is asked by zk://; events go on with the next leader."""
    zk = zookeeper.ZooKeeper()
    try:
        masters = [cluster.start_master(zk=zk.url(), quorum=1, registry="replicated_log", zk_session_timeout="2secs")
                   for _ in range(2)]
        leader = wait_for(lambda: next((m for m in masters if m.metrics()["master/elected"] == 1), None), 20, "a leader")
        standby = next(m for m in masters if m is not leader)
        wait_for(lambda: command_line.Cli(cluster, standby).run("state").returncode == 0, 10, "the standby to know it")
        for master in (leader.address, standby.address, standby.address + "," + leader.address, zk.url()):
            assert "Leader:       127.0.0.1:%s" % leader.flags["port"] in command_line.Cli(cluster, master)("state")
        cli = command_line.Cli(cluster)
        cli("config master.zookeeper.addresses " + zk.servers)
        cli.fails("state", USAGE, "master.zookeeper needs 'addresses', a list, and 'path', a string")
        cli("config master.zookeeper.path /mesos")
        assert "Leader:       127.0.0.1:%s" % leader.flags["port"] in cli("state")
        events = command_line.Cli(cluster, zk.url()).popen(cluster, "events -f")
        assert b"subscribed" in events.stdout.readline()
        leader.kill()
        assert b"subscribed" in events.stdout.readline()
        events.terminate()
        assert b"the master is gone, looking for its successor" in events.communicate()[1]
    finally:
        zk.close()


@pytest.mark.soak
@pytest.mark.skipif(not zookeeper.is_installed(), reason="needs ZooKeeper")
def test_an_election_without_a_leader(cluster):
    """It is waited for, ten seconds."""
    zk = zookeeper.ZooKeeper()
    try:
        command_line.Cli(cluster, zk.url()).fails("state", UNREACHABLE, "No leading master was found at " + zk.url())
    finally:
        zk.close()


class Silly(http.server.BaseHTTPRequestHandler):
    """A server that is no master."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = self.server.answer
        self.server.authorizations.append(self.headers["Authorization"])
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        if self.server.status == 307:
            self.send_header("Location", self.server.location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def silly():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silly)
    server.authorizations = []
    server.address = "127.0.0.1:%d" % server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("status, answer, location, code, text", [
    (200, b"<html>hello</html>", None, FAILED, "The answer cannot be read"),
    (200, b"", None, FAILED, "The master's answer holds no frameworks"),
    (500, b"I am\x1b[31m unwell\n", None, FAILED, "The master: I am?[31m unwell (status 500)"),
    (503, b"", None, UNREACHABLE, "answers with status 503"),
    (404, b"", None, NOT_FOUND, "The master answers with status 404"),
    (401, b"who?", None, DENIED, "The master: who? (status 401)"),
    (403, b"no", None, DENIED, "The master: no (status 403)"),
    (307, b"", "//ITSELF/api/v1", UNREACHABLE, "redirected 5 times in a row"),
    (307, b"", "/elsewhere", UNREACHABLE, "redirected 5 times in a row"),
    (307, b"", "//127.0.0.1:1/x", UNREACHABLE, "127.0.0.1:1"),
])
def test_answers_that_make_no_sense(cluster, silly, status, answer, location, code, text):
    silly.status, silly.answer = status, answer
    silly.location = location and location.replace("ITSELF", silly.address)
    command_line.Cli(cluster, silly.address).fails("framework list", code, text)


def test_credentials(cluster, silly):
    silly.status, silly.answer = 401, b""
    cli = command_line.Cli(cluster, silly.address)
    cli.run("framework list")
    cli("config master.principal op")
    cli("config master.secret s3cret")
    cli.run("framework list")
    assert silly.authorizations == [None, "Basic " + base64.b64encode(b"op:s3cret").decode()]
    assert "s3cret" not in cli("config") and "***" in cli("config")
    assert stat.S_IMODE(os.stat(cluster.path(".mesos", "config.toml")).st_mode) == 0o600


def test_a_master_that_does_not_answer(cluster):
    """It is connected to and says nothing: an interrupt ends the wait."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        terminal = command_line.Cli(cluster, "127.0.0.1:%d" % silent.getsockname()[1]).terminal("agent list")
        with silent.accept()[0] as connection:  # held: its end would be told as one
            connection.recv(1)
            terminal.keys("\x03")
            assert terminal.wait_end() == -2


# ---- configuration ----

def test_configuration(cluster):
    path = cluster.path("own.toml")
    cli = command_line.Cli(cluster, MESOS_CLI_CONFIG=path)
    cli.fails("config master.address", NOT_FOUND, "'master.address' is not set in " + path)
    with open(path, "w", encoding="utf-8") as file:
        file.write("# mine\n[master] # of all\n  address = \"a:1\" # first\n")
    assert cli("config master.address") == "a:1\n"
    cli("config master.address b:2")
    cli("config agent.timeout 3")
    assert open(path, encoding="utf-8").read() == (
        "# mine\n[master] # of all\n  address = \"b:2\" # first\n\n[agent]\ntimeout = 3\n")
    assert cli.json("config") == {"master.address": "b:2", "agent.timeout": "3"}
    cli("config --unset agent.timeout")
    assert cli.json("config") == {"master.address": "b:2"}
    cli.fails("config agent.timeout soon", USAGE, "agent.timeout must be a whole number, not 'soon'")
    cli.fails("config agent.timeout 0", USAGE, "agent.timeout must be from 1 to 3600 seconds")
    cli.fails("config agent.ssl true", USAGE, "TLS is not supported yet")
    cli.fails("config core.output xml", USAGE, "core.output is 'table' or 'json', not 'xml'")
    cli.fails("config --unset", USAGE, "--unset wants a KEY")
    cli.fails("config --unset master.address x", USAGE, "--unset takes no VALUE")
    # What cannot be read stops every command that would go by it, and names the line.
    with open(path, "a", encoding="utf-8") as file:
        file.write("adress = 'c'\n")
    cli.fails("agent list", USAGE, "Bad configuration in %s: line 6: there is no setting 'agent.adress'" % path)
    assert "Usage" in cli("help")
    os.remove(path)
    os.mkdir(path)
    cli.fails("agent list", USAGE, "Cannot read the configuration")


def test_json_by_configuration(cluster, master):
    cli = command_line.Cli(cluster, master)
    cli("config core.output json")
    assert json.loads(cli("agent list")) == [] and cli("agent list -o table") == ""
    assert "Usage" in cli("help")


# ---- completion ----

def complete(cluster, cli, shell, line):
    """What that shell offers for the last word of the line."""
    words = line.split(" ")
    path = "PATH=%s:$PATH; " % harness.BIN
    if shell == "fish":
        script = path.replace("PATH=", "set -x PATH ").replace(":$PATH", " $PATH") + \
            "mesos completion fish | source; complete -C '%s'" % line
        result = subprocess.run(["fish", "--no-config", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=cli.environment, check=True, timeout=60)
        assert result.stderr == b"", result.stderr
        return [found.split("\t")[0] for found in result.stdout.decode().splitlines()]
    script = path + 'eval "$(mesos completion bash)"; COMP_WORDS=(%s); COMP_CWORD=%d; _mesos; printf "%%s\\n" "${COMPREPLY[@]}"' % (
        " ".join("'%s'" % w for w in words), len(words) - 1)
    result = subprocess.run(["bash", "--norc", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=cli.environment, check=True, timeout=60)
    assert result.stderr == b"", result.stderr
    return result.stdout.decode().split()


def test_completion(cluster, master, agent, scheduler):
    cli = command_line.Cli(cluster, master)
    scheduler.launch(scheduler.wait_offer(), [make_task("sleep 1000", task_id=i) for i in ("web.1", "db.1")])
    scheduler.wait_update("db.1", "TASK_RUNNING")
    agent_id = agent.state()["id"]
    shells = ["bash"] + (["fish"] if shutil.which("fish") else [])
    for shell in shells:
        def offers(line):
            return complete(cluster, cli, shell, line)  # noqa: B023
        assert {"agent", "task", "events", "config"} <= set(offers("mesos "))
        assert offers("mesos ag") == ["agent"]
        assert set(offers("mesos agent ")) == {"list", "info", "drain", "deactivate", "reactivate", "gone"}
        assert offers("mesos agent info ") == [agent_id]
        assert sorted(offers("mesos task logs ")) == ["db.1", "web.1"] and offers("mesos task logs w") == ["web.1"]
        assert offers("mesos framework why ") == [scheduler.framework_id]
        assert offers("mesos completion f") == ["fish"]
        assert any(f.startswith("--follow") for f in offers("mesos task logs --f"))
        assert "json" in " ".join(offers("mesos agent list -o "))
    assert complete(cluster, cli, "bash", "mesos task list --state = fin") == ["finished"]
    assert complete(cluster, cli, "bash", "mesos task list --agent = ") == [agent_id]
    assert complete(cluster, cli, "bash", "mesos task logs --framework %s w" % scheduler.framework_id) == ["web.1"]
    # Without a master nothing is offered, and nothing is said.
    assert complete(cluster, command_line.Cli(cluster, "127.0.0.1:1"), "bash", "mesos task logs ") == []
    zsh = cli("completion zsh")
    assert zsh.startswith("#compdef mesos\n")
    if shutil.which("zsh"):
        script = "PATH=%s:$PATH; autoload -Uz compinit && compinit -D -u && eval \"$(mesos completion zsh)\" && print $_comps[mesos]" % (
            harness.BIN)
        result = subprocess.run(["zsh", "-f", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=cli.environment, check=True, timeout=60)
        assert result.stdout.strip() != b"" and result.stderr == b""
