# SPDX-License-Identifier: Apache-2.0
"""Agents' sandboxes and views through the master: the same answers, no more of them held than a piece, and a clear
word when the agent is away."""

import http.client
import os
import signal
import socket
import time
import urllib.parse

import pytest

from harness import PATIENCE, make_task, wait_for

BIG = 256 << 20


@pytest.fixture
def sandbox(master, agent, scheduler):
    """A task whose sandbox has a page, a big file and a log; gives (agent's id, path of the sandbox)."""
    command = "echo '<script>page()</script>' >page.html; truncate -s %d big; echo %s; sleep 1000" % (BIG, "x" * 2000)
    task = make_task(command)
    scheduler.launch(scheduler.wait_offer(), [task], refuse_seconds=0)
    scheduler.wait_update(task["task_id"]["value"], "TASK_RUNNING")
    state = agent.state()
    path = state["frameworks"][0]["executors"][0]["directory"]
    wait_for(lambda: os.path.exists(path + "/stdout") and os.path.getsize(path + "/stdout") > 2000, what="the log")
    return state["id"], path


def test_same_answers(master, agent, sandbox):
    agent_id, path = sandbox
    quoted = urllib.parse.quote(path, safe="")
    for target in ("files/browse?path=" + quoted, "files/read?path=%s%%2Fstdout&offset=3&length=9" % quoted,
                   "files/browse?jsonp=angular.callbacks._0&path=" + quoted, "files/debug",
                   "files/download?path=" + quoted + "/page.html", "files/browse?path=nowhere", "files/browse",
                   "files/read?path=%s/stdout&offset=x" % quoted):
        direct = agent.get("/" + target)
        for prefix in ("/agent/", "/master/agent/"):
            through = master.get(prefix + agent_id + "/" + target)
            assert (through.status, through.body) == (direct.status, direct.body), target
            assert through.headers["Content-Type"] == direct.headers["Content-Type"], target
            assert through.headers["Content-Disposition"] == direct.headers["Content-Disposition"]
        # A page from another origin may read the agent's own answer, whatever it is.
        assert direct.headers["Access-Control-Allow-Origin"] == "*", target
    page = master.get("/agent/%s/files/download?path=%s/page.html" % (agent_id, quoted))
    assert page.text == "<script>page()</script>\n"
    # It comes from the master's origin, and nothing of it is to run there.
    assert page.headers["Content-Disposition"] == "attachment; filename=page.html"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Content-Security-Policy"] == "sandbox"
    assert int(page.headers["Content-Length"]) == len(page.body)


def test_views(master, agent, sandbox):
    agent_id, _ = sandbox
    state = master.get("/agent/%s/state" % agent_id).json()
    assert state["id"] == agent_id and state["pid"] == "slave(1)@" + agent.address
    assert set(state) == set(agent.state())
    container = state["frameworks"][0]["executors"][0]["container"]
    assert [c["container_id"] for c in master.get("/agent/%s/containers" % agent_id).json()] == [container]
    statistics = master.get("/agent/%s/monitor/statistics" % agent_id).json()
    assert statistics[0]["statistics"]["mem_limit_bytes"] > 0
    # What the agent packs stays packed.
    packed = master.get("/agent/%s/state" % agent_id, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and packed.body[:2] == b"\x1f\x8b"


def test_only_that(master, agent, sandbox):
    agent_id, _ = sandbox
    for path in ("/agent", "/agent/" + agent_id, "/agent/%s/" % agent_id, "/agent/%s/flags" % agent_id,
                 "/agent/%s/api/v1" % agent_id, "/agent/%s/files" % agent_id, "/agent/%s/files/browse/x" % agent_id,
                 "/agent/%s/logging/toggle?level=1&duration=1secs" % agent_id):
        answer = master.get(path)
        assert answer.status == 404 and "There is nothing at" in answer.text, path
    answer = master.get("/agent/nobody-S0/state")
    assert (answer.status, answer.text) == (404, "There is no agent 'nobody-S0'\n")
    answer = master.post("/agent/%s/state" % agent_id, "x")
    assert answer.status == 405


def read_memory(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def open_download(master, agent_id, path):
    connection = http.client.HTTPConnection(master.address, timeout=20 * PATIENCE)
    connection.connect()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    connection.request("GET", "/agent/%s/files/download?path=%s" % (agent_id, path))
    return connection, connection.getresponse()


def test_big_file(master, agent, sandbox):
    """A reader that does not read holds up the agent and not the master's memory; then it gets every byte."""
    agent_id, path = sandbox
    before = read_memory(master.pid)
    readers = [open_download(master, agent_id, path + "/big") for _ in range(3)]
    for _, answer in readers:
        assert answer.status == 200 and int(answer.headers["Content-Length"]) == BIG
    time.sleep(0.3)
    assert read_memory(master.pid) - before < 64 * 1024  # KiB; the files are 768 MiB
    assert master.get("/health").status == 200
    connection, answer = readers[0]
    size = 0
    while part := answer.read(1 << 20):
        size += len(part)
    assert size == BIG
    # The other two go in the middle; the master forgets them.
    for connection, _ in readers:
        connection.close()
    assert master.get("/agent/%s/files/debug" % agent_id).status == 200


def test_agent_ends_in_the_middle(master, agent, sandbox):
    agent_id, path = sandbox
    connection, answer = open_download(master, agent_id, path + "/big")
    size = len(answer.read(100000))
    agent.kill()
    try:
        while part := answer.read(1 << 20):
            size += len(part)
    except (http.client.IncompleteRead, ConnectionError):
        pass
    connection.close()
    assert 100000 <= size < BIG  # by its Content-Length the client knows
    # It is known for a while yet, and cannot be reached.
    answer = master.get("/agent/%s/files/debug" % agent_id)
    assert answer.status == 502 and agent_id in answer.text and "refused" in answer.text


def test_agent_is_away(cluster):
    """An agent that the master awaits, one that is unreachable, and one that is gone."""
    master = cluster.start_master(registry="replicated_log", quorum=1, agent_ping_timeout="1secs",
                                  max_agent_ping_timeouts=1, agent_reregister_timeout="30secs")
    agent = cluster.start_agent(master)
    agent_id = agent.state()["id"]
    path = "/agent/%s/files/debug" % agent_id
    assert master.get(path).status == 200
    # A hung agent: nothing comes, and the client of the master is told so when the agent breaks.
    agent.send_signal(signal.SIGSTOP)
    connection = http.client.HTTPConnection(master.address, timeout=20 * PATIENCE)
    connection.request("GET", path)
    time.sleep(0.1)
    agent.send_signal(signal.SIGKILL)
    answer = connection.getresponse()
    assert answer.status == 502 and agent_id in answer.read().decode()
    connection.close()
    agent.process.wait()
    master.stop()
    master.restart()
    answer = master.get(path)
    assert answer.status == 502 and "has not reregistered" in answer.text
    answer = master.post("/api/v1", {"type": "MARK_AGENT_GONE",
                                     "mark_agent_gone": {"agent_id": {"value": agent_id}}})
    assert answer.status == 200
    answer = master.get(path)
    assert (answer.status, answer.text) == (502, "Agent %s: it is gone\n" % agent_id)


def test_standby_redirects(cluster):
    """Not the leader: it knows no agents, and points to whom does."""
    master = cluster.start_master(zk="zk://127.0.0.1:1/mesos", quorum=1, wait=False)
    wait_for(lambda: master.is_running() and answers(master), what="the master")
    assert master.get("/agent/some-S0/state").status == 503


def answers(master):
    try:
        return master.get("/version").status == 200
    except OSError:
        return False
