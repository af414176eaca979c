# SPDX-License-Identifier: Apache-2.0
"""Checks and health checks of command tasks, with real commands, HTTP servers and TCP ports."""

import os
import socket
import subprocess
import time

import pytest

import books
import leftovers
from harness import find_port, make_task, wait_for

FAST = {"delay_seconds": 0, "interval_seconds": 0.1, "timeout_seconds": 5}
SERVER = """
import http.server, os, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/ok")
        else:
            status = open("status").read().strip() if os.path.exists("status") else "200"
            self.send_response(int(status) if self.path == "/" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *args):
        pass
socketserver.TCPServer.allow_reuse_address = True
class Server(socketserver.ThreadingTCPServer):
    address_family = __import__("socket").AF_INET6 if ":" in sys.argv[1] else __import__("socket").AF_INET
server = Server((sys.argv[1], int(sys.argv[2])), Handler)
if len(sys.argv) > 3:
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def serve(cluster, port, ip="127.0.0.1", certificate=""):
    """A command that serves HTTP; the file `status` in its sandbox says with what."""
    path = cluster.path("server.py")
    with open(path, "w", encoding="ascii") as file:
        file.write(SERVER)
    return "exec python3 %s %s %d %s" % (path, ip, port, certificate)


def command_check(command, **fields):
    return {"type": "COMMAND", "command": {"command": {"value": command}}, **FAST, **fields}


def start(scheduler, command, **fields):
    task = make_task(command, **fields)
    scheduler.launch(scheduler.wait_offer(), [task], refuse_seconds=0)
    task_id = task["task_id"]["value"]
    scheduler.wait_update(task_id, "TASK_RUNNING")
    return task_id


def statuses(scheduler, task_id):
    return [e["update"]["status"] for e in scheduler.events
            if e["type"] == "UPDATE" and e["update"]["status"]["task_id"]["value"] == task_id]


def wait_status(scheduler, task_id, where):
    """The first update of the task, so far or to come, of which where() is true."""
    def find():
        scheduler.pump()
        return next((s for s in statuses(scheduler, task_id) if where(s)), None)
    return wait_for(find, 20, "an update; there are: %s" % statuses(scheduler, task_id))


def put(cluster, agent, scheduler, task_id, name, text):
    path = os.path.join(cluster.sandbox(agent, scheduler.framework_id, task_id), name)
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(text)
    os.rename(path + ".new", path)


# ---- checks ----

def test_command_check(cluster, agent, scheduler):
    """Each change of the exit status is told, nothing else; the command runs in the sandbox."""
    task_id = start(scheduler, "sleep 1000", check=command_check("exit $(cat status || echo 0)"))
    assert [s["check_status"] for s in statuses(scheduler, task_id)][:2] == [{"type": "COMMAND", "command": {}}] * 2
    for code in (0, 3, 0):
        put(cluster, agent, scheduler, task_id, "status", str(code))
        seen = len(statuses(scheduler, task_id))
        status = wait_status(scheduler, task_id, lambda s, n=seen, c=code: s in statuses(scheduler, task_id)[
            (n - 1):] and s["check_status"]["command"].get("exit_code") == c)
        assert (status["state"], status["reason"], status["source"]) == (
            "TASK_RUNNING", "REASON_TASK_CHECK_STATUS_UPDATED", "SOURCE_EXECUTOR")
    time.sleep(0.5)
    scheduler.pump()
    codes = [s["check_status"]["command"].get("exit_code") for s in statuses(scheduler, task_id)]
    assert codes == [None, None, 0, 3, 0]
    assert len({s["uuid"] for s in statuses(scheduler, task_id)}) == 5
    scheduler.kill(task_id)
    end = scheduler.wait_end(task_id)
    assert (end["state"], end["check_status"]) == ("TASK_KILLED", {"type": "COMMAND", "command": {}})


def test_command_check_without_shell(scheduler):
    check = {"type": "COMMAND", "command": {"command": {"shell": False, "value": "test", "arguments": [
        "test", "yes", "=", "no"]}}, **FAST}
    task_id = start(scheduler, "sleep 1000", check=check)
    wait_status(scheduler, task_id, lambda s: s["check_status"]["command"].get("exit_code") == 1)


def test_environment_of_a_check(scheduler):
    check = command_check('test "$GREETING" = hello && test -d "$MESOS_SANDBOX" && exit 9')
    check["command"]["command"]["environment"] = {"variables": [{"name": "GREETING", "value": "hello"}]}
    task_id = start(scheduler, "sleep 1000", check=check)
    wait_status(scheduler, task_id, lambda s: s["check_status"]["command"].get("exit_code") == 9)


def test_check_that_takes_too_long(agent, scheduler):
    """It is killed with what it started, and its status is not known."""
    task_id = start(scheduler, "sleep 1000", check=command_check(
        "if [ -e second ]; then sleep 998 & sleep 999; else touch second; exit 5; fi", timeout_seconds=0.3))
    wait_status(scheduler, task_id, lambda s: s["check_status"]["command"].get("exit_code") == 5)
    wait_status(scheduler, task_id, lambda s: s["reason"] == "REASON_TASK_CHECK_STATUS_UPDATED"
                and s["check_status"]["command"] == {} if "reason" in s else False)
    scheduler.kill(task_id)
    assert scheduler.wait_end(task_id)["state"] == "TASK_KILLED"
    wait_for(lambda: leftovers.find_processes_in(agent.flags["work_dir"]) == {}, what="the check's processes to end")


def test_http_check(cluster, agent, scheduler):
    port = find_port()
    task_id = start(scheduler, serve(cluster, port), check={"type": "HTTP", "http": {"port": port, "path": "/"}, **FAST})
    wait_status(scheduler, task_id, lambda s: s["check_status"]["http"].get("status_code") == 200)
    put(cluster, agent, scheduler, task_id, "status", "503")
    wait_status(scheduler, task_id, lambda s: s["check_status"]["http"].get("status_code") == 503)


def test_tcp_check(cluster, agent, scheduler):
    port = find_port()
    check = {"type": "TCP", "tcp": {"port": port}, **FAST}
    task_id = start(scheduler, "while [ ! -e go ]; do sleep 0.05; done; " + serve(cluster, port), check=check)
    wait_status(scheduler, task_id, lambda s: s["check_status"]["tcp"].get("succeeded") is False)
    put(cluster, agent, scheduler, task_id, "go", "")
    wait_status(scheduler, task_id, lambda s: s["check_status"]["tcp"].get("succeeded") is True)


def test_check_beside_a_health_check(scheduler):
    """What the one found out stays in what is told of the other."""
    task_id = start(scheduler, "sleep 1000", check=command_check("exit 4"),
                    health_check={"type": "COMMAND", "command": {"value": "true"}, **FAST})
    status = wait_status(scheduler, task_id, lambda s: s.get("healthy") is True
                         and s["check_status"]["command"].get("exit_code") == 4)
    assert status["state"] == "TASK_RUNNING"


# ---- health checks ----

def health(kind, **fields):
    return {"type": kind, **FAST, "grace_period_seconds": 0, **fields}


def test_health_comes_and_goes(cluster, master, agent, scheduler):
    task_id = start(scheduler, "sleep 1000", health_check=health(
        "COMMAND", command={"value": "test ! -e ill"}, consecutive_failures=10000))
    assert all("healthy" not in s for s in statuses(scheduler, task_id)[:2])
    status = wait_status(scheduler, task_id, lambda s: s.get("healthy") is True)
    assert (status["state"], status["reason"]) == ("TASK_RUNNING", "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED")
    put(cluster, agent, scheduler, task_id, "ill", "")
    wait_status(scheduler, task_id, lambda s: s.get("healthy") is False)
    entry = wait_for(lambda: [t for t in master.state()["frameworks"][0]["tasks"]
                              if t["statuses"][-1].get("healthy") is False], what="the master's page to say so")
    assert entry[0]["state"] == "TASK_RUNNING"
    os.unlink(os.path.join(cluster.sandbox(agent, scheduler.framework_id, task_id), "ill"))
    wait_for(lambda: scheduler.pump() or statuses(scheduler, task_id)[-1]["healthy"] is True, what="health")
    # Success is told once, each failure is.
    told = [s["healthy"] for s in statuses(scheduler, task_id) if "healthy" in s]
    assert told[0] and told[-1] and told.count(True) == 2


@pytest.mark.parametrize("killing", [False, True])
def test_too_many_failures_kill(cluster, master, agent, killing):
    scheduler = cluster.scheduler(master, capabilities=[{"type": "TASK_KILLING_STATE"}] if killing else [])
    task_id = start(scheduler, "trap 'exit 0' TERM; sleep 1000 & wait", health_check=health(
        "COMMAND", command={"value": "exit 1"}, consecutive_failures=3))
    end = scheduler.wait_end(task_id)
    assert (end["state"], end["healthy"]) == ("TASK_KILLED", False)
    assert end["message"] == "Command exited with status 0"
    assert scheduler.states_of(task_id) == ["TASK_STARTING"] + ["TASK_RUNNING"] * 4 + ["TASK_KILLING"] * killing + [
        "TASK_KILLED"]
    wait_for(lambda: agent.state()["frameworks"] == [], what="the executor to be done")
    books.wait_agreed(master, [agent])


def test_grace_period(scheduler):
    """Failures within it do not count, and are not told, before the first success; after it they are."""
    command = {"value": "n=$(cat n || echo 0); echo $((n + 1)) > n; test $n -lt 3 && exit 1; test $n -lt 6"}
    task_id = start(scheduler, "sleep 1000", health_check=health(
        "COMMAND", command=command, consecutive_failures=2, grace_period_seconds=1000))
    end = scheduler.wait_end(task_id)
    assert (end["state"], end["healthy"]) == ("TASK_KILLED", False)
    assert [s["healthy"] for s in statuses(scheduler, task_id) if "healthy" in s] == [True, False, False, False]


def test_health_by_http(cluster, agent, scheduler):
    """200 to 399 are healthy, redirects are followed."""
    port = find_port()
    task_id = start(scheduler, serve(cluster, port), health_check=health(
        "HTTP", http={"port": port, "path": "/moved", "scheme": "http"}, consecutive_failures=10000))
    wait_status(scheduler, task_id, lambda s: s.get("healthy") is True)
    other = find_port()
    task_id = start(scheduler, "echo 404 > status; " + serve(cluster, other), health_check=health(
        "HTTP", http={"port": other, "path": "/"}, consecutive_failures=10000))
    wait_status(scheduler, task_id, lambda s: s.get("healthy") is False)
    put(cluster, agent, scheduler, task_id, "status", "399")
    wait_status(scheduler, task_id, lambda s: s.get("healthy") is True)


def test_health_by_https(cluster, scheduler):
    """Nobody looks at the certificate."""
    port, certificate = find_port(), cluster.path("certificate.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=nobody", "-days", "1",
                    "-keyout", certificate, "-out", certificate + ".crt"], check=True, capture_output=True)
    with open(certificate, "a", encoding="ascii") as file, open(certificate + ".crt", encoding="ascii") as other:
        file.write(other.read())
    os.chmod(certificate, 0o644)
    task_id = start(scheduler, serve(cluster, port, certificate=certificate), health_check=health(
        "HTTP", http={"port": port, "path": "/ok", "scheme": "https"}, consecutive_failures=10000))
    wait_status(scheduler, task_id, lambda s: s.get("healthy") is True)


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.parametrize("kind", ["HTTP", "TCP"])
@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_health_by_ipv6(cluster, scheduler, kind):
    port = find_port()
    body = {"port": port, "protocol": "IPv6", **({"path": "/ok"} if kind == "HTTP" else {})}
    task_id = start(scheduler, serve(cluster, port, "::1"), health_check=health(
        kind, consecutive_failures=10000, **{kind.lower(): body}))
    wait_status(scheduler, task_id, lambda s: s.get("healthy") is True)


@pytest.mark.parametrize("kind", ["HTTP", "TCP"])
def test_nobody_listens(scheduler, kind):
    task_id = start(scheduler, "sleep 1000", health_check=health(
        kind, consecutive_failures=2, **{kind.lower(): {"port": find_port()}}))
    end = scheduler.wait_end(task_id)
    assert (end["state"], end["healthy"]) == ("TASK_KILLED", False)


def test_http_that_does_not_answer(cluster, scheduler):
    """A server that takes the connection and is silent: the timeout counts as a failure."""
    port = find_port()
    command = "exec python3 -c 'import socket, time; s = socket.create_server((\"127.0.0.1\", %d)); time.sleep(1000)'"
    task_id = start(scheduler, command % port, health_check=health(
        "HTTP", http={"port": port}, consecutive_failures=2, timeout_seconds=0.3, delay_seconds=1))
    assert scheduler.wait_end(task_id)["state"] == "TASK_KILLED"
    told = [s["healthy"] for s in statuses(scheduler, task_id) if "healthy" in s]
    assert told == [False, False, False]


def test_old_health_check_without_a_type(scheduler):
    task_id = start(scheduler, "sleep 1000", health_check={"command": {"value": "true"}, **FAST})
    wait_status(scheduler, task_id, lambda s: s.get("healthy") is True)


def test_checks_outlive_the_agent(cluster, master, agent):
    """What they find while the agent is away is told when it is back."""
    scheduler = cluster.scheduler(master, checkpoint=True)
    task_id = start(scheduler, "sleep 1000", health_check=health(
        "COMMAND", command={"value": "test ! -e ill"}, consecutive_failures=10000))
    wait_status(scheduler, task_id, lambda s: s.get("healthy") is True)
    sandbox = os.path.realpath(cluster.sandbox(agent, scheduler.framework_id, task_id))
    agent.kill()
    with open(os.path.join(sandbox, "ill"), "w", encoding="ascii"):
        pass
    time.sleep(0.5)
    agent.restart()
    cluster.wait_registered(agent)
    wait_status(scheduler, task_id, lambda s: s.get("healthy") is False)
