# SPDX-License-Identifier: Apache-2.0
"""Sessions inside a running task: LAUNCH_NESTED_CONTAINER_SESSION, ATTACH_CONTAINER_OUTPUT and _INPUT, as `task exec`
and `task attach` of command lines use them."""

import base64
import json
import queue
import re
import socket
import struct
import time
import uuid

import pytest

import harness
import pods
from harness import wait_for
from pods import id_of, make_tasks

JSON = {"Content-Type": "application/json", "Accept": "application/json"}


@pytest.fixture
def task(agent, scheduler):
    """The ContainerID of a running task of a pod."""
    tasks = make_tasks({"value": "echo up; sleep 1000", "environment": {"variables": [{"name": "OF_TASK", "value": "yes"}]}})
    pods.launch(scheduler, tasks)
    status = scheduler.wait_update(id_of(tasks[0]), "TASK_RUNNING")
    return status["container_status"]["container_id"]


def inside(task, name=None):
    return {"value": name or uuid.uuid4().hex, "parent": task}


class Output:
    """A stream of ProcessIO, taken apart."""

    def __init__(self, agent, kind, content, headers=None):
        self.stream = harness.Stream(agent.address, "/api/v1", json.dumps({"type": kind, kind.lower(): content}),
                                     headers or JSON)
        self.text = {"STDOUT": "", "STDERR": ""}
        self.heartbeats = 0
        self.has_ended = False

    def pump(self, timeout=0.05):
        try:
            record = self.stream.next(timeout)
        except queue.Empty:
            return
        if record is None:
            self.has_ended = True
            return
        io = json.loads(record)
        if io["type"] == "CONTROL":
            assert io["control"]["type"] == "HEARTBEAT"
            self.heartbeats += 1
        else:
            self.text[io["data"]["type"]] += base64.b64decode(io["data"]["data"]).decode()

    def wait(self, text, which="STDOUT", timeout=10):
        def find():
            self.pump()
            return text in self.text[which]
        wait_for(find, timeout, "%r in %s: %r" % (text, which, self.text))
        return self

    def wait_end(self, timeout=10):
        def find():
            self.pump()
            return self.has_ended
        wait_for(find, timeout, "the stream's end")
        return self.text


def session(agent, container_id, command, tty=None):
    content = {"container_id": container_id, "command": {"value": command} if isinstance(command, str) else command}
    if tty is not None:
        content["container"] = {"type": "MESOS", "tty_info": tty}
    output = Output(agent, "LAUNCH_NESTED_CONTAINER_SESSION", content)
    assert output.stream.status == 200, output.stream.error_text
    return output


class Input:
    """An open ATTACH_CONTAINER_INPUT."""

    def __init__(self, agent, container_id=None, message_type="application/json"):
        host, port = agent.address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10 * harness.PATIENCE)
        head = ("POST /api/v1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                "Content-Type: application/recordio\r\n")
        if message_type:
            head += "Message-Content-Type: %s\r\n" % message_type
        self.socket.sendall((head + "\r\n").encode())
        if container_id is not None:
            self.send(type="CONTAINER_ID", container_id=container_id)

    def chunk(self, data):
        self.socket.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def call(self, call):
        text = json.dumps(call).encode()
        self.chunk(b"%d\n%s" % (len(text), text))
        return self

    def send(self, **content):
        return self.call({"type": "ATTACH_CONTAINER_INPUT", "attach_container_input": content})

    def data(self, data, kind="STDIN"):
        if isinstance(data, str):
            data = data.encode()
        return self.send(type="PROCESS_IO", process_io={"type": "DATA", "data": {
            "type": kind, "data": base64.b64encode(data).decode()}})

    def resize(self, rows, columns):
        return self.send(type="PROCESS_IO", process_io={"type": "CONTROL", "control": {
            "type": "TTY_INFO", "tty_info": {"window_size": {"rows": rows, "columns": columns}}}})

    def heartbeat(self):
        return self.send(type="PROCESS_IO", process_io={"type": "CONTROL", "control": {
            "type": "HEARTBEAT", "heartbeat": {"interval": {"nanoseconds": 1}}}})

    def finish(self):
        self.socket.sendall(b"0\r\n\r\n")
        return self.answer()

    def answer(self):
        """Status and text of the answer."""
        got = b""
        while b"\r\n\r\n" not in got:
            part = self.socket.recv(65536)
            assert part, "no answer"
            got += part
        head, body = got.split(b"\r\n\r\n", 1)
        length = int(re.search(rb"Content-Length: (\d+)", head).group(1))
        while len(body) < length:
            body += self.socket.recv(65536)
        self.socket.close()
        return int(head.split()[1]), body.decode()


def test_a_command_in_a_task(agent, task):
    container_id = inside(task)
    output = session(agent, container_id, "echo $OF_TASK; echo oops >&2; cat stdout")
    assert output.wait_end() == {"STDOUT": "yes\nup\n", "STDERR": "oops\n"}
    # How it ended is there until it is removed; nothing of it is left beside the task.
    answer = pods.call(agent, "WAIT_NESTED_CONTAINER", container_id=container_id).json()
    assert answer["wait_nested_container"]["exit_status"] == 0
    assert pods.call(agent, "REMOVE_NESTED_CONTAINER", container_id=container_id).status == 200
    assert pods.call(agent, "WAIT_NESTED_CONTAINER", container_id=container_id).status == 404
    assert len(pods.containers(agent)) == 2


def test_input_by_pipes(agent, task):
    container_id = inside(task)
    output = session(agent, container_id, "cat; echo end")
    given = Input(agent, container_id).data("one\n")
    output.wait("one\n")
    given.heartbeat().data("two\n")
    output.wait("two\n")
    # A second one has to wait for its turn.
    status, text = Input(agent, container_id).answer()
    assert (status, text) == (409, "Multiple input connections are not allowed")
    given.data("")
    assert output.wait_end()["STDOUT"] == "one\ntwo\nend\n"
    assert given.answer()[0] == 200


def test_much_in_and_out(agent, task):
    container_id = inside(task)
    output = session(agent, container_id, "sleep 0.5; cat")
    given = Input(agent, container_id)
    line = ("0123456789" * 100 + "\n") * 60
    for _ in range(25):
        given.data(line)
    given.data("")
    assert output.wait_end(30)["STDOUT"] == line * 25
    assert given.answer()[0] == 200


def test_a_terminal(agent, task):
    container_id = inside(task)
    output = session(agent, container_id, {"shell": False, "value": "/bin/sh", "arguments": ["sh"]},
                     tty={"window_size": {"rows": 33, "columns": 99}})
    given = Input(agent, container_id).data("tty; stty size\n")
    output.wait("/dev/pts/").wait("33 99")
    given.resize(40, 120).data("stty size\n")
    output.wait("40 120")
    # A control character reaches the foreground process alone.
    given.data("trap 'echo interrupted' INT; sleep 1000; echo went $((40 + 2))\n")
    time.sleep(0.3)
    given.data("\x03")
    output.wait("went 42")
    given.data("exit 7\n")
    output.wait_end()
    answer = pods.call(agent, "WAIT_CONTAINER", container_id=container_id).json()
    assert struct.unpack("<i", struct.pack("<i", answer["wait_container"]["exit_status"]))[0] == 7 << 8


def test_others_listen_and_the_first_one_ends_it(cluster, master):
    agent = cluster.start_agent(master, http_heartbeat_interval="50ms")
    scheduler = cluster.scheduler(master)
    tasks = make_tasks("sleep 1000")
    pods.launch(scheduler, tasks)
    container_id = inside(scheduler.wait_update(id_of(tasks[0]), "TASK_RUNNING")["container_status"]["container_id"])
    output = session(agent, container_id, "while read line; do echo got $line; done")
    second = Output(agent, "ATTACH_CONTAINER_OUTPUT", {"container_id": container_id})
    given = Input(agent, container_id).data("a\n")
    output.wait("got a\n")
    second.wait("got a\n")
    wait_for(lambda: second.pump() or second.heartbeats > 2)
    second.stream.close()
    given.data("b\n")
    output.wait("got b\n")
    assert len(pods.containers(agent)) == 3
    # With the connection that launched it the session goes.
    output.stream.close()
    wait_for(lambda: len(pods.containers(agent)) == 2)
    assert given.answer()[0] == 200


def test_recordio_and_protobuf(agent, task):
    body = json.dumps({"type": "LAUNCH_NESTED_CONTAINER_SESSION", "launch_nested_container_session": {
        "container_id": inside(task), "command": {"value": "echo hello"}}})
    stream = harness.Stream(agent.address, "/api/v1", body, {
        "Content-Type": "application/json", "Accept": "application/recordio", "Message-Accept": "application/x-protobuf"})
    assert stream.status == 200
    assert stream.headers["Content-Type"] == "application/recordio"
    assert stream.headers["Message-Content-Type"] == "application/x-protobuf"
    record = stream.next(10)
    assert record.endswith(b"hello\n") and record.startswith(b"\x08\x01")


@pytest.mark.parametrize("content, text", [
    ({"type": "PROCESS_IO"}, "Expecting 'attach_container_input.process_io' to be present"),
    ({"type": "CONTAINER_ID"}, "Expecting 'attach_container_input.type' to be 'PROCESS_IO'"),
    ({"type": "PROCESS_IO", "process_io": {}}, "Expecting 'process_io.type' to be present"),
    ({"type": "PROCESS_IO", "process_io": {"type": "DATA"}}, "Expecting 'process_io.data' to be present"),
    ({"type": "PROCESS_IO", "process_io": {"type": "DATA", "data": {}}}, "Expecting 'process_io.data.type' to be present"),
    ({"type": "PROCESS_IO", "process_io": {"type": "DATA", "data": {"type": "STDOUT", "data": ""}}},
     "Expecting 'process_io.data.type' to be 'STDIN'"),
    ({"type": "PROCESS_IO", "process_io": {"type": "CONTROL"}}, "Expecting 'process_io.control' to be present"),
    ({"type": "PROCESS_IO", "process_io": {"type": "CONTROL", "control": {"type": "TTY_INFO", "tty_info": {}}}},
     "Expecting 'tty_info.window_size' to be present"),
    ({"type": "PROCESS_IO", "process_io": {"type": "CONTROL", "control": {
        "type": "TTY_INFO", "tty_info": {"window_size": {"rows": 1, "columns": 1}}}}}, "Unable to set the window size"),
])
def test_bad_input(agent, task, content, text):
    container_id = inside(task)
    output = session(agent, container_id, "cat")
    status, said = Input(agent, container_id).send(**content).answer()
    assert status == 400 and said.startswith(text)
    assert Input(agent, container_id).data("").finish()[0] == 200
    output.wait_end()


def test_bad_beginnings(agent, task):
    unknown = inside(task)
    cases = [
        (Input(agent).finish(), 400, "Received EOF while reading request body"),
        (Input(agent, message_type=None).answer(), 400, "Expecting 'Message-Content-Type' to be set"),
        (Input(agent, message_type="text/plain").answer(), 415, "Expecting 'Message-Content-Type' of"),
        (Input(agent).call({"type": "GET_HEALTH"}).answer(), 415,
         "Streaming 'Content-Type' application/recordio is not supported for GET_HEALTH call"),
        (Input(agent).data("x").answer(), 400, "Expecting 'attach_container_input.type' to be CONTAINER_ID"),
        (Input(agent, unknown).answer(), 404, "Container %s cannot be found" % pods.container_id(unknown)),
        (Input(agent, task).answer(), 500, "Container %s has neither a terminal nor a session" % pods.container_id(task)),
    ]
    for (status, text), wanted, start in cases:
        assert (status, text[:len(start)]) == (wanted, start)
    answer = harness.post(agent.address, "/api/v1", {"type": "ATTACH_CONTAINER_INPUT"})
    assert answer.status == 415 and "to be application/recordio for ATTACH_CONTAINER_INPUT call" in answer.text
    output = Output(agent, "ATTACH_CONTAINER_OUTPUT", {"container_id": unknown})
    assert output.stream.status == 404
