# SPDX-License-Identifier: Apache-2.0
"""Bytes that are no sound HTTP, JSON or protobuf, to both daemons: a 4xx with the reason in one line,
and a framework with a running task notices nothing."""

import json
import socket
import threading
import time

import pytest

import harness
from bystander import Bystander
from harness import PATIENCE, Response, post


cluster = pytest.fixture(scope="module")(harness.run_cluster)


@pytest.fixture(scope="module")
def daemons(cluster):
    master = cluster.start_master()
    return {"master": master, "agent": cluster.start_agent(master)}


@pytest.fixture(scope="module")
def living(cluster, daemons):
    return Bystander(cluster, daemons["master"])


@pytest.fixture(params=["master", "agent"])
def daemon(request, daemons, living):
    """Each daemon in turn; after each test it is the same process as before and the bystander is well."""
    one = daemons[request.param]
    pid = one.pid
    yield one
    assert one.is_running() and one.pid == pid
    assert one.get("/health").status == 200
    living.check()


def connect(daemon):
    host, port = daemon.address.split(":")
    return socket.create_connection((host, int(port)), timeout=10 * PATIENCE)


def read_response(sock):
    """One response with a Content-Length; None when the connection ends before."""
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            part = sock.recv(65536)
        except ConnectionResetError:
            return None
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
    size = int(headers.get("content-length", 0))
    while len(body) < size:
        part = sock.recv(65536)
        if not part:
            return None
        body += part
    return Response(int(lines[0].split()[1]), headers, body[:size])


def exchange(daemon, data):
    with connect(daemon) as sock:
        try:
            sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it answered before it had read everything
        return read_response(sock)


def is_one_line(response):
    text = response.text
    return text.strip() != "" and "\n" not in text.strip() and len(text) < 1000


HOST = b"Host: h\r\n"
HEADS = {
    # name: (request, statuses that are right)
    "bad_escape": (b"GET /state%zz HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "cut_escape": (b"GET /state%2 HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "nul_escape": (b"GET /sta%00te HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "bad_escape_in_query": (b"GET /state?jsonp=%g1 HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "empty_path": (b"GET  HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "no_slash": (b"GET state HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "asterisk": (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "no_version": (b"GET /state\r\n" + HOST + b"\r\n", {400, 505}),
    "version_9": (b"GET /state HTTP/9.9\r\n" + HOST + b"\r\n", {400, 505}),
    "http_2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    "not_http": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n", {400}),
    "no_host": (b"GET /state HTTP/1.1\r\n\r\n", {400}),
    "two_hosts": (b"GET /state HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", {400}),
    "same_host_twice": (b"GET /state HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", {400}),
    "bad_host": (b"GET /state HTTP/1.1\r\nHost: a b\r\n\r\n", {400}),
    "folded": (b"GET /state HTTP/1.1\r\n" + HOST + b"X-A: b\r\n c\r\n\r\n", {400}),
    "space_before_colon": (b"GET /state HTTP/1.1\r\nHost : h\r\n\r\n", {400}),
    "no_colon": (b"GET /state HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n", {400}),
    "empty_name": (b"GET /state HTTP/1.1\r\n" + HOST + b": x\r\n\r\n", {400}),
    "nul_in_header": (b"GET /state HTTP/1.1\r\n" + HOST + b"X-A: b\0c\r\n\r\n", {400}),
    "bare_cr": (b"GET /state HTTP/1.1\r\n" + HOST + b"X-A: b\rX-B: c\r\n\r\n", {400}),
    "huge_header": (b"GET /state HTTP/1.1\r\n" + HOST + b"X-A: " + b"x" * 300000 + b"\r\n\r\n", {400, 431}),
    "huge_target": (b"GET /" + b"x" * 300000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", {400, 414, 431}),
    "many_headers": (b"GET /state HTTP/1.1\r\n" + HOST + b"X-A: b\r\n" * 20000 + b"\r\n", {400, 431}),
    "long_method": (b"G" * 5000 + b" /state HTTP/1.1\r\n" + HOST + b"\r\n", {400, 501}),
    "only_empty_lines": (b"\r\n" * 1000, {400}),
    "unknown_expectation": (b"GET /state HTTP/1.1\r\n" + HOST + b"Expect: wonders\r\n\r\n", {417}),
    "dots": (b"GET /files/../state HTTP/1.1\r\n" + HOST + b"\r\n", {404}),
    "escaped_dots": (b"GET /files/%2e%2e/state HTTP/1.1\r\n" + HOST + b"\r\n", {404}),
    "unknown_path": (b"GET /no/such/thing HTTP/1.1\r\n" + HOST + b"\r\n", {404}),
    # smuggling: two ways to tell where the body ends
    "length_and_chunked": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "two_lengths": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
                    {400}),
    "length_list": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Content-Length: 4, 4\r\n\r\nabcd", {400}),
    "plus_length": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Content-Length: +4\r\n\r\nabcd", {400}),
    "negative_length": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Content-Length: -4\r\n\r\nabcd", {400}),
    "hex_length": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Content-Length: 0x4\r\n\r\nabcd", {400}),
    "endless_length": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
                       {400, 413}),
    "too_long_body": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999\r\n\r\n", {413}),
    "odd_coding": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", {400, 501}),
    "two_codings": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n"
                    b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", {400, 501}),
    "chunked_then_gzip": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, gzip\r\n\r\n"
                          b"0\r\n\r\n", {400, 501}),
    "coding_in_1_0": (b"POST /api/v1/%s HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "bad_chunk_size": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n",
                       {400}),
    "endless_chunk_size": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
                           + b"f" * 40 + b"\r\n", {400, 413}),
    "chunk_without_end": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n",
                          {400}),
    "huge_chunk_extension": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1;a="
                             + b"x" * 300000 + b"\r\na\r\n0\r\n\r\n", {400}),
    "huge_trailer": (b"POST /api/v1/%s HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: "
                     + b"x" * 300000 + b"\r\n\r\n", {400, 431}),
}


def api_of(daemon):
    return "scheduler" if "master" in daemon.name else "executor"


@pytest.mark.parametrize("name", sorted(HEADS))
def test_unsound_requests(daemon, name):
    data, statuses = HEADS[name]
    data = data.replace(b"/api/v1/%s", b"/api/v1/" + api_of(daemon).encode())
    response = exchange(daemon, data)
    assert response is not None, "no answer"
    assert response.status in statuses, (response.status, response.text)
    assert is_one_line(response), response.text


def test_what_follows_an_unsound_request_is_not_read(daemon):
    """The smuggled request behind a refused one gets no answer: the connection ends."""
    with connect(daemon) as sock:
        sock.sendall(b"POST /version HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                     b"0\r\n\r\nGET /version HTTP/1.1\r\nHost: h\r\n\r\n")
        assert read_response(sock).status == 400
        assert read_response(sock) is None


def test_a_trailer_changes_nothing(daemon):
    body = b"0\r\nMesos-Stream-Id: x\r\nContent-Type: application/json\r\n\r\n"
    response = exchange(daemon, b"POST /version HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert response.status == 200
    # A Content-Type in the trailer is none.
    response = exchange(daemon, b"POST /api/v1/%s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" %
                        api_of(daemon).encode() + body)
    assert (response.status, response.text) == (400, "Expecting 'Content-Type' to be present")


def test_a_body_that_never_ends(daemon):
    """Refused at the limit while it is still being sent; soon the connection ends."""
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with connect(daemon) as sock:
        sock.sendall(b"POST /api/v1/%s HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n" % api_of(daemon).encode())
        is_refused, is_closed = threading.Event(), threading.Event()

        def send():
            try:
                while True:
                    sock.sendall(chunk)
                    if is_refused.is_set():
                        time.sleep(0.05)
            except OSError:
                is_closed.set()

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        response = read_response(sock)
        is_refused.set()
        assert response is not None and response.status == 413
        assert is_one_line(response)
        assert is_closed.wait(10 * PATIENCE), "the connection was never closed"


def test_bodies_that_are_waited_for(daemon):
    """A hundred requests that stop in their middle do not keep others waiting."""
    socks = []
    for i in range(100):
        sock = connect(daemon)
        sock.sendall(b"POST /api/v1/%s HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc"[:30 + i] %
                     (api_of(daemon).encode() if i > 10 else b""))
        socks.append(sock)
    assert daemon.get("/version").status == 200
    for sock in socks:
        sock.close()


def api(daemon, body, **headers):
    return post(daemon.address, "/api/v1/" + api_of(daemon), body, headers=headers)


JSON_TYPE = {"Content-Type": "application/json"}
JSONS = {
    "empty": b"",
    "garbage": b"hello",
    "cut": b'{"type": "SUBS',
    "two_values": b"{} {}",
    "array": b"[]",
    "number": b"17",
    "nul": b'{"type": "\0"}',
    "bad_utf8": b'{"type": "\xff\xfe"}',
    "bad_escape": b'{"type": "\\x"}',
    "lone_surrogate": b'{"type": "\\ud800"}',
    "comma": b'{"type": "TEARDOWN",}',
    "single_quotes": b"{'type': 'TEARDOWN'}",
    "nan": b'{"type": NaN}',
    "million_brackets": b"[" * 1000000,
    "million_braces": b'{"a":' * 1000000,
    "deep_subscribe": b'{"type":"SUBSCRIBE","subscribe":' + b'{"framework_info":' * 5000 + b"}" * 5001,
    "type_missing": b"{}",
    "type_unknown": b'{"type": "WHATEVER", "framework_id": {"value": "f"}, "executor_id": {"value": "e"}}',
    "type_number": b'{"type": 5, "framework_id": {"value": "f"}, "executor_id": {"value": "e"}}',
    "type_object": b'{"type": {}, "framework_id": {"value": "f"}, "executor_id": {"value": "e"}}',
    "id_missing": b'{"type": "UPDATE"}',
    "id_number": b'{"type": "UPDATE", "framework_id": {"value": {}}, "executor_id": {"value": "e"}}',
    "array_for_one": b'{"type": "UPDATE", "framework_id": [{"value": "f"}], "executor_id": {"value": "e"}}',
    "huge_number": b'{"type": "UPDATE", "framework_id": {"value": "f"}, "executor_id": {"value": "e"}, "update": '
                   b'{"status": {"task_id": {"value": "t"}, "state": "TASK_RUNNING", "timestamp": 1e999999}}}',
}


@pytest.mark.parametrize("name", sorted(JSONS))
def test_bad_json(daemon, name):
    response = api(daemon, JSONS[name], **JSON_TYPE)
    assert response.status == 400, (response.status, response.text)
    assert is_one_line(response), response.text


PROTOBUFS = {
    "garbage": b"\xff" * 20,
    "text": b"hello",
    "empty": b"",
    "cut_field": b"\x0a\x05ab",
    "length_beyond": b"\x0a\xff\xff\xff\xff\x0f",
    "endless_varint": b"\x10" + b"\xff" * 20,
    "field_zero": b"\x02\x01a",
    "bad_wire_type": b"\x0f",
    "group_open": b"\x0b" * 10000,
    "deep": None,  # made below
    "bad_utf8": b"\x0a\x04\x0a\x02\xff\xfe\x10\x02",
    "type_unknown": b"\x0a\x03\x0a\x01f\x10\x63",
    "fuzz": bytes(range(256)) * 40,
}


def nest(depth):
    data = b""
    for _ in range(depth):
        size, n = b"", len(data)
        while n > 0x7F:
            size += bytes([n & 0x7F | 0x80])
            n >>= 7
        data = b"\x1a" + size + bytes([n]) + data
    return data


PROTOBUFS["deep"] = nest(20000)


@pytest.mark.parametrize("name", sorted(PROTOBUFS))
def test_bad_protobuf(daemon, name):
    response = api(daemon, PROTOBUFS[name], **{"Content-Type": "application/x-protobuf"})
    assert response.status == 400, (response.status, response.text)
    assert is_one_line(response), response.text


@pytest.mark.parametrize("content_type", ["text/plain", "application/json; charset=utf-8", "application/recordio",
                                          "application/protobuf", "*/*", "application/json,application/x-protobuf", ""])
def test_wrong_content_type(daemon, content_type):
    response = api(daemon, b"{}", **{"Content-Type": content_type})
    assert (response.status, response.text) == (
        415, "Expecting 'Content-Type' of application/json or application/x-protobuf")


def test_no_content_type(daemon):
    response = api(daemon, b"{}")
    assert (response.status, response.text) == (400, "Expecting 'Content-Type' to be present")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "BREW", "get"])
def test_wrong_method(daemon, method):
    response = harness.request(method, daemon.address, "/api/v1/" + api_of(daemon), headers=JSON_TYPE)
    assert response.status == 405
    assert response.headers["Allow"] == "POST"
    if method != "HEAD":
        assert response.text == ("405 Method Not Allowed. Expecting one of { 'POST' }, but received '%s'." % method)


def test_a_type_in_json_beside_protobuf(daemon):
    """JSON under the type of protobuf and the other way round."""
    assert api(daemon, b'{"type": "TEARDOWN"}', **{"Content-Type": "application/x-protobuf"}).status == 400
    assert api(daemon, b"\x0a\x03\x0a\x01f\x10\x02", **JSON_TYPE).status == 400


def test_many_bad_requests_at_once(daemon):
    """Eight clients with all of it at the same time."""
    wrong = []

    def run(names):
        for name in names:
            response = api(daemon, JSONS[name], **JSON_TYPE)
            if response.status != 400:
                wrong.append((name, response.status))

    names = [name for name in sorted(JSONS) if not name.startswith("million")]
    threads = [threading.Thread(target=run, args=(names[i:] + names[:i],)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


FILES = ["/files/browse", "/files/browse?path=/no/such", "/files/read?path=/no/such", "/files/read",
         "/files/download", "/files/download?path=../../etc/passwd", "/files/read?path=../../../etc/passwd",
         "/files/read?path=/%s/log&offset=abc", "/files/read?path=/%s/log&length=-7&offset=-2"]


@pytest.mark.parametrize("path", FILES)
def test_files_that_nobody_may_have(daemon, path):
    response = daemon.get(path.replace("%s", api_of(daemon)))
    assert response.status in (400, 404), response.text
    assert b"root:" not in response.body


@pytest.mark.parametrize("query", ["jsonp=alert(1)//", "jsonp=%3Cscript%3E", "jsonp="])
def test_jsonp_is_a_name(daemon, query):
    assert daemon.get("/state?" + query).status == 400


@pytest.mark.parametrize("path", ["/tasks?limit=abc", "/tasks?offset=-1", "/tasks?limit=99999999999999999999",
                                  "/tasks?limit=-1&offset=abc&order=up", "/slaves?slave_id=%2e%2e", "/frameworks?x",
                                  "/state?&&==&a=b=c", "/roles?" + "a=b&" * 1000])
def test_v0_parameters_that_make_no_sense_are_ignored(daemons, living, path):
    assert daemons["master"].get(path).status == 200
    living.check()


def test_json_that_only_looks_odd_is_taken(daemons, living):
    """Unknown keys, nulls, numbers as text: a strange but sound RECONCILE of a real framework."""
    response = living.scheduler.post({
        "type": "RECONCILE", "framework_id": {"value": living.scheduler.framework_id, "x": None},
        "reconcile": {"tasks": None}, "accept": None, "unknown": [{"a": [1, {}]}]})
    assert response.status == 202
    event = living.scheduler.wait("UPDATE")
    assert event["update"]["status"]["reason"] == "REASON_RECONCILIATION"
    living.seen = len(living.scheduler.events)
