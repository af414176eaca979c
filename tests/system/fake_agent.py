# SPDX-License-Identifier: Apache-2.0
"""An agent that follows a script: the executor side of the v1 API, for tests of executors alone.

It answers SUBSCRIBE with a stream of events that the test sends, keeps every call, and misbehaves on
request: refuses, drops the stream, sends garbage. Messages are protobuf; a small codec over the
fields that the tests need stands in for generated code.
"""

import http.server
import socket
import struct
import threading
import time

# ---- protobuf ----
# message: {field: (number, kind)}; a kind is a type's name, or "*" and one for a repeated field.
ID = {"value": (1, "string")}
DURATION = {"nanoseconds": (1, "int64")}
KILL_POLICY = {"grace_period": (1, DURATION)}
VARIABLE = {"name": (1, "string"), "value": (2, "string"), "type": (3, "int64")}
COMMAND = {"environment": (2, {"variables": (1, ["*", VARIABLE])}), "shell": (6, "bool"),
           "value": (3, "string"), "arguments": (7, ["*", "string"]), "user": (5, "string")}
RESOURCE = {"name": (1, "string"), "type": (2, "int64"), "scalar": (3, {"value": (1, "double")}),
            "allocation_info": (11, {"role": (1, "string")})}
CHECK = {"type": (1, "int64")}
TASK = {"name": (1, "string"), "task_id": (2, ID), "agent_id": (3, ID), "resources": (4, ["*", RESOURCE]),
        "command": (7, COMMAND), "health_check": (8, {"type": (8, "int64")}), "check": (13, CHECK),
        "kill_policy": (12, KILL_POLICY), "max_completion_time": (14, DURATION)}
STATUS = {"task_id": (1, ID), "state": (2, "int64"), "message": (4, "string"), "source": (9, "int64"),
          "reason": (10, "int64"), "executor_id": (7, ID), "timestamp": (6, "double"), "uuid": (11, "bytes")}
FRAMEWORK = {"user": (1, "string"), "name": (2, "string"), "id": (3, ID),
             "capabilities": (10, ["*", {"type": (1, "int64")}])}
UPDATE = {"status": (1, STATUS)}
EVENT = {"type": (1, "int64"),
         "subscribed": (2, {"executor_info": (1, {"executor_id": (1, ID), "framework_id": (8, ID)}),
                            "framework_info": (2, FRAMEWORK),
                            "agent_info": (3, {"hostname": (1, "string"), "id": (6, ID)})}),
         "acknowledged": (3, {"task_id": (1, ID), "uuid": (2, "bytes")}),
         "launch": (4, {"task": (1, TASK)}),
         "launch_group": (8, {"task_group": (1, {"tasks": (1, ["*", TASK])})}),
         "kill": (5, {"task_id": (1, ID), "kill_policy": (2, KILL_POLICY)}),
         "message": (6, {"data": (1, "bytes")}),
         "error": (7, {"message": (1, "string")})}
CALL = {"executor_id": (1, ID), "framework_id": (2, ID), "type": (3, "int64"),
        "subscribe": (4, {"unacknowledged_tasks": (1, ["*", TASK]), "unacknowledged_updates": (2, ["*", UPDATE])}),
        "update": (5, UPDATE), "message": (6, {"data": (2, "bytes")})}

EVENT_TYPES = {"SUBSCRIBED": 1, "LAUNCH": 2, "LAUNCH_GROUP": 8, "KILL": 3, "ACKNOWLEDGED": 4, "MESSAGE": 5,
               "ERROR": 6, "SHUTDOWN": 7, "HEARTBEAT": 9}
CALL_TYPES = {1: "SUBSCRIBE", 2: "UPDATE", 3: "MESSAGE", 4: "HEARTBEAT"}
STATES = {0: "TASK_STARTING", 1: "TASK_RUNNING", 2: "TASK_FINISHED", 3: "TASK_FAILED", 4: "TASK_KILLED",
          5: "TASK_LOST", 6: "TASK_STAGING", 7: "TASK_ERROR", 8: "TASK_KILLING"}


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_one(number, kind, value):
    if isinstance(kind, dict):
        data = encode(kind, value)
        return varint(number << 3 | 2) + varint(len(data)) + data
    if kind in ("string", "bytes"):
        data = value.encode() if isinstance(value, str) else value
        return varint(number << 3 | 2) + varint(len(data)) + data
    if kind == "double":
        return varint(number << 3 | 1) + struct.pack("<d", value)
    return varint(number << 3) + varint(int(value))


def encode(schema, message):
    out = b""
    for name, value in message.items():
        number, kind = schema[name]
        if isinstance(kind, list):
            out += b"".join(encode_one(number, kind[1], one) for one in value)
        else:
            out += encode_one(number, kind, value)
    return out


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def decode(schema, data):
    names = {number: (name, kind) for name, (number, kind) in schema.items()}
    message, at = {}, 0
    while at < len(data):
        tag, at = read_varint(data, at)
        wire_type = tag & 7
        if wire_type == 0:
            value, at = read_varint(data, at)
        elif wire_type == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif wire_type == 2:
            size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            value, at = None, at + 4
        if tag >> 3 not in names:
            continue
        name, kind = names[tag >> 3]
        one = kind[1] if isinstance(kind, list) else kind
        if isinstance(one, dict):
            value = decode(one, value)
        elif one == "string":
            value = value.decode()
        if isinstance(kind, list):
            message.setdefault(name, []).append(value)
        else:
            message[name] = value
    return message


# ---- the agent ----

class FakeAgent:
    """`calls` are the decoded calls in order, each with its type's name under "type"."""

    def __init__(self, framework_id="F", executor_id="E", capabilities=(), port=0):
        self.framework_id, self.executor_id = framework_id, executor_id
        self.capabilities = list(capabilities)
        self.calls, self.changed = [], threading.Condition()
        self.subscribe_status = []   # statuses to answer to the next SUBSCRIBEs; then 200
        self.update_status = []      # likewise for UPDATE; then 202
        self.acknowledges = True
        self.events_at_once = []     # sent with SUBSCRIBED
        self.stream = None
        agent = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                agent.handle(self)

            def log_message(self, *arguments):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass     # a peer that goes is part of the tests

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def handle(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        assert request.path == "/api/v1/executor", request.path
        assert request.headers["Content-Type"] == "application/x-protobuf"
        call = decode(CALL, body)
        call["type"] = CALL_TYPES[call["type"]]
        call["authorization"] = request.headers.get("Authorization")
        call["at"] = time.monotonic()
        if call["type"] == "SUBSCRIBE":
            self.note(call)
            self.subscribe(request)
            return
        status = self.update_status.pop(0) if call["type"] == "UPDATE" and self.update_status else 202
        call["answered"] = status
        request.send_response(status)
        request.send_header("Content-Length", "0")
        request.end_headers()
        self.note(call)
        if call["type"] == "UPDATE" and status == 202 and self.acknowledges:
            self.acknowledge(call["update"]["status"])

    def note(self, call):
        with self.changed:
            self.calls.append(call)
            self.changed.notify_all()

    def subscribe(self, request):
        status = self.subscribe_status.pop(0) if self.subscribe_status else 200
        if status != 200:
            text = b"The agent is not ready"
            request.send_response(status)
            request.send_header("Content-Length", str(len(text)))
            request.end_headers()
            request.wfile.write(text)
            return
        request.send_response(200)
        request.send_header("Content-Type", "application/x-protobuf")
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        done = threading.Event()
        first = {"type": "SUBSCRIBED", "subscribed": {
            "executor_info": {"executor_id": {"value": self.executor_id},
                              "framework_id": {"value": self.framework_id}},
            "framework_info": {"user": "root", "name": "f", "id": {"value": self.framework_id},
                               "capabilities": [{"type": one} for one in self.capabilities]},
            "agent_info": {"hostname": "fake-host", "id": {"value": "A"}}}}
        with self.changed:
            self.stream = (request, done)
            for event in [first] + self.events_at_once:
                self.write(event)
            self.events_at_once = []
            self.changed.notify_all()
        done.wait()
        request.close_connection = True

    def write(self, event):
        data = encode(EVENT, {**event, "type": EVENT_TYPES[event["type"]]})
        self.write_raw(b"%d\n%s" % (len(data), data))

    def write_raw(self, data):
        self.stream[0].wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.stream[0].wfile.flush()

    def send(self, type_name, **body):
        with self.changed:
            assert self.changed.wait_for(lambda: self.stream, 10), "the executor did not subscribe"
            self.write({"type": type_name, **body})

    def acknowledge(self, status):
        self.send("ACKNOWLEDGED", acknowledged={"task_id": status["task_id"], "uuid": status["uuid"]})

    def launch(self, task_id="t", **task):
        self.send("LAUNCH", launch={"task": self.task(task_id, **task)})

    @staticmethod
    def task(task_id="t", **task):
        return {"name": task_id, "task_id": {"value": task_id}, "agent_id": {"value": "A"}, **task}

    def drop_stream(self):
        """Breaks the connection without ending the answer."""
        with self.changed:
            request, done = self.stream
            self.stream = None
            done.set()
            try:
                request.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass     # the executor was faster

    def wait(self, condition, timeout=10):
        """Waits until condition(calls) is true; returns its value."""
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self.calls), timeout), self.calls
            return condition(self.calls)

    def updates(self, calls=None):
        calls = self.calls if calls is None else calls
        return [call["update"]["status"] for call in calls if call["type"] == "UPDATE"]

    def states(self):
        return [STATES[status["state"]] for status in self.updates()]

    def wait_state(self, state, timeout=10):
        """The first update with this state."""
        return self.wait(lambda calls: next((status for status in self.updates(calls)
                                             if STATES[status["state"]] == state), None), timeout)

    def wait_subscribed(self, times=1, timeout=10):
        """The times-th SUBSCRIBE call."""
        def nth(calls):
            found = [call for call in calls if call["type"] == "SUBSCRIBE"]
            return found[times - 1] if len(found) >= times else None
        call = self.wait(nth, timeout)
        with self.changed:
            self.changed.wait_for(lambda: self.stream, 1)
        return call

    def close(self):
        self.server.shutdown()
        self.thread.join()
        if self.stream is not None:
            self.drop_stream()
        self.server.server_close()
