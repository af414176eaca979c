# SPDX-License-Identifier: Apache-2.0
"""Clients that do what is allowed and what nobody does: packed bodies, many subscriptions of one framework at once,
thousands of operations in a call, more connections than the master may have files open."""

import gzip
import json
import os
import queue
import socket
import threading

import pytest

from harness import PATIENCE, Stream, get, scalar, wait_for

GET_HEALTH = json.dumps({"type": "GET_HEALTH"}).encode()


def connect(daemon):
    host, port = daemon.address.split(":")
    return socket.create_connection((host, int(port)), timeout=10 * PATIENCE)


def make_post(body, *headers):
    lines = ["POST /api/v1 HTTP/1.1", "Host: h", "Content-Type: application/json", "Content-Length: %d" % len(body)]
    return "\r\n".join(lines + list(headers) + ["", ""]).encode() + body


def read_until(sock, mark, count):
    """What comes, up to the count-th `mark`, or up to the end."""
    data = b""
    while data.count(mark) < count:
        part = sock.recv(65536)
        if not part:
            break
        data += part
    return data


# ---- packed bodies ----

@pytest.fixture(params=["master", "agent"])
def daemon(request, cluster):
    master = cluster.start_master()
    return master if request.param == "master" else cluster.start_agent(master)


def test_packed_requests(daemon):
    packed = make_post(gzip.compress(GET_HEALTH), "Content-Encoding: gzip")
    plain = make_post(GET_HEALTH)
    with connect(daemon) as sock:
        # Alike and behind each other, then one that is not packed.
        sock.sendall(packed + packed + plain)
        answer = read_until(sock, b'"healthy":true', 3)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    for body, coding, status in ((b"no gzip", "gzip", b"400"), (gzip.compress(GET_HEALTH)[:-1], "gzip", b"400"),
                                 (gzip.compress(b" " * (65 << 20)), "gzip", b"413"), (GET_HEALTH, "br", b"415")):
        with connect(daemon) as sock:
            sock.sendall(make_post(body, "Content-Encoding: " + coding))
            assert read_until(sock, b"\r\n", 1).split()[1] == status, (body[:20], coding)
    assert daemon.get("/health").status == 200


def test_head_of_the_metrics(daemon):
    answer = daemon.request("HEAD", "/metrics")
    assert (answer.status, answer.body) == (200, b"")


# ---- one framework many times at once ----

def read_types(stream):
    """The types of the events that have come; "END" where the stream has ended."""
    types = []
    try:
        while True:
            record = stream.next(0.05)
            if record is None:
                return types + ["END"]
            types.append(json.loads(record)["type"])
    except queue.Empty:
        return types


def test_subscriptions_at_once(cluster):
    """The last one has the framework; each of the others is told why it ends."""
    master = cluster.start_master()
    scheduler = cluster.scheduler(master, failover_timeout=100.0)
    body = json.dumps({"type": "SUBSCRIBE", "framework_id": {"value": scheduler.framework_id},
                       "subscribe": {"framework_info": scheduler.framework}})
    media = {"Content-Type": "application/json", "Accept": "application/json"}
    streams = []

    def subscribe():
        streams.append(Stream(master.address, scheduler.PATH, body, media))

    threads = [threading.Thread(target=subscribe) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [s.status for s in streams] == [200] * 16
    seen = [[] for _ in streams]

    def count_ended():
        for types, stream in zip(seen, streams):
            if "END" not in types:
                types += read_types(stream)
        return sum("END" in types for types in seen) == 15

    wait_for(count_ended, what="the other streams to end")
    for types in seen:
        assert types[0] == "SUBSCRIBED"
        assert types[-1] != "END" or types[-2] == "ERROR", types
    (framework,) = [f for f in master.state()["frameworks"] if f["id"] == scheduler.framework_id]
    assert framework["active"] and framework["connected"]
    for stream in streams:
        stream.close()


# ---- many operations ----

def test_thousands_of_operations_in_one_call(cluster):
    count = 5000
    master = cluster.start_master()
    agent = cluster.start_agent(master, resources="cpus:8;mem:1024")
    scheduler = cluster.scheduler(master, roles=["dev"], principal="p", capabilities=[
        {"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}])
    cpus = {**scalar("cpus", 0.001), "allocation_info": {"role": "dev"},
            "reservations": [{"type": "DYNAMIC", "role": "dev", "principal": "p"}]}
    scheduler.accept([scheduler.wait_offer()], [
        {"type": "RESERVE", "id": {"value": "op-%d" % i}, "reserve": {"resources": [cpus]}} for i in range(count)])
    told = []
    while len(told) < count:
        told.append(scheduler.wait("UPDATE_OPERATION_STATUS", timeout=30)["update_operation_status"]["status"])
    assert {s["state"] for s in told} == {"OPERATION_FINISHED"}
    assert len({s["operation_id"]["value"] for s in told}) == count
    wait_for(lambda: agent.state()["reserved_resources"].get("dev", {}).get("cpus") == count / 1000,
             what="the agent to count them")


# ---- no descriptor left ----

def is_taken(master, busy):
    """Whether one more connection, put into `busy`, gets as far as a body, which then never comes."""
    busy.append(connect(master))
    try:
        busy[-1].sendall(b"POST /api/v1 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        return read_until(busy[-1], b"\r\n", 1).startswith(b"HTTP/1.1 100 Continue")
    except OSError:
        return False


def test_more_connections_than_files(cluster):
    """Idle connections make room for new ones; where none is idle, new ones are refused and the log says so. A framework
    and its tasks go on, and all is well afterwards."""
    master = cluster.start_master(prefix=["bash", "-c", "ulimit -n 64; exec \"$@\"", "limit"])
    cluster.start_agent(master)
    scheduler = cluster.scheduler(master)
    idle = [connect(master) for _ in range(100)]
    try:
        scheduler.run("true")
        assert get(master.address, "/health").status == 200
        assert master.is_running() and "Refused" not in master.read_log()
    finally:
        for sock in idle:
            sock.close()
    busy = []
    try:
        while is_taken(master, busy):
            assert len(busy) < 64
        wait_for(lambda: "may have 64 files open" in master.read_log(), what="the log to tell")
        assert len(os.listdir("/proc/%d/fd" % master.pid)) < 64  # some are kept for the master's own files
    finally:
        for sock in busy:
            sock.close()
    wait_for(master.serves, what="the master to serve again")
    scheduler.run("true")
