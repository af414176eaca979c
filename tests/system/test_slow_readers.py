# SPDX-License-Identifier: Apache-2.0
"""Who does not read what he asked for: his part is bounded, and nobody else notices. And large answers that are made and
sent in pieces are whole, for each who reads."""

import gzip
import json
import socket
import threading
import urllib.request

from harness import get, post, wait_for

MEGABYTE = 1 << 20


def deaf(address, path, body):
    """Asks, and then reads no more than what its small buffer takes."""
    host, port = address.split(":")
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect((host, int(port)))
    method = "POST" if body else "GET"
    s.sendall(b"%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
              % (method.encode(), path.encode(), len(body), body))
    return s


def fill(cluster, master, count):
    """Frameworks that make /state as many megabytes long."""
    for i in range(count):
        scheduler = cluster.scheduler(master, name="large-%d" % i,
                                      labels={"labels": [{"key": "k", "value": "x" * MEGABYTE}]})
        scheduler.subscribe()


def test_a_framework_that_does_not_read_is_disconnected(cluster):
    master = cluster.start_master(max_event_stream_size="2MB")
    call = {"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "root", "name": "deaf", "failover_timeout": 600}}}
    other = cluster.scheduler(master, name="other")
    other.subscribe()
    with deaf(master.address, "/api/v1/scheduler", json.dumps(call).encode()) as s:
        head = b""
        while b"SUBSCRIBED" not in head:
            head += s.recv(2000)
        stream_id = head.split(b"Mesos-Stream-Id: ")[1].split(b"\r\n")[0].decode()
        frameworks = get(master.address, "/frameworks").json()["frameworks"]
        framework = next(f["id"] for f in frameworks if f["name"] == "deaf")
        # Each call is answered with 5,000 updates.
        tasks = [{"task_id": {"value": "unknown-%d" % i}} for i in range(5000)]
        reconcile = json.dumps({"type": "RECONCILE", "framework_id": {"value": framework}, "reconcile": {"tasks": tasks}})
        for _ in range(40):
            answer = post(master.address, "/api/v1/scheduler", reconcile,
                          headers={"Content-Type": "application/json", "Mesos-Stream-Id": stream_id})
            if answer.status != 202:
                break
        assert answer.status != 202
        assert master.metrics()["master/slow_event_streams_closed"] == 1
        assert "it does not read its events, and more than --max_event_stream_size=2097152B of them wait" in master.read_log()
        assert s.recv(1) != b""  # what had left before
    found = {f["name"]: f["connected"] for f in get(master.address, "/frameworks").json()["frameworks"]}
    assert found == {"other": True, "deaf": False}
    other.call("RECONCILE", tasks=[{"task_id": {"value": "unknown"}}])
    other.wait("UPDATE")


def test_large_answers_are_whole(cluster):
    master = cluster.start_master()
    cluster.start_agent(master)
    fill(cluster, master, 8)
    plain = get(master.address, "/state")
    assert plain.status == 200 and int(plain.headers["Content-Length"]) > 8 * MEGABYTE
    frameworks = plain.json()["frameworks"]
    assert sorted(f["name"] for f in frameworks) == ["large-%d" % i for i in range(8)]
    assert all(f["labels"][0]["value"] == "x" * MEGABYTE for f in frameworks)
    packed = urllib.request.urlopen(urllib.request.Request("http://%s/state" % master.address,
                                                           headers={"Accept-Encoding": "gzip"}), timeout=20)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed.read()))["frameworks"] == frameworks
    script = urllib.request.urlopen("http://%s/state?jsonp=f" % master.address, timeout=20).read()
    assert script.startswith(b"f({") and json.loads(script[2:-1])["frameworks"] == frameworks
    calls = {name: json.loads(post(master.address, "/api/v1", {"type": name}).text) for name in ("GET_STATE", "GET_FRAMEWORKS")}
    assert calls["GET_STATE"]["get_state"]["get_frameworks"] == calls["GET_FRAMEWORKS"]["get_frameworks"]
    assert len(calls["GET_FRAMEWORKS"]["get_frameworks"]["frameworks"]) == 8


def test_many_ask_for_a_large_answer_at_once(cluster):
    master = cluster.start_master()
    fill(cluster, master, 8)
    sizes = []

    def ask():
        sizes.append(len(get(master.address, "/state").json()["frameworks"]))
    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert get(master.address, "/health").status == 200
    for thread in threads:
        thread.join()
    assert sizes == [8] * 10


def test_who_does_not_read_a_large_answer_is_cut_off(cluster):
    master = cluster.start_master(max_answers_size="4MB")
    fill(cluster, master, 8)
    with deaf(master.address, "/state", b"") as s:
        assert s.recv(15) == b"HTTP/1.1 200 OK"
        # The next waits until there is room for it.
        assert len(get(master.address, "/state").json()["frameworks"]) == 8
        wait_for(lambda: master.metrics()["master/slow_answers_closed"] == 1, 10, "the connection to be cut off")
    assert "that do not read an answer of" in master.read_log()


def test_a_watcher_gets_what_happens_behind_a_large_state(cluster):
    master = cluster.start_master()
    fill(cluster, master, 8)
    with deaf(master.address, "/api/v1", b'{"type":"SUBSCRIBE"}') as s:
        wait_for(lambda: master.metrics()["master/operator_event_stream_subscribers"] == 1, 10, "the stream")
        cluster.start_agent(master)
        s.settimeout(20)
        stream = b""
        while b"AGENT_ADDED" not in stream[-100000:]:
            part = s.recv(MEGABYTE)
            assert part
            stream += part
    body = b"".join(chunks(stream.split(b"\r\n\r\n", 1)[1]))
    size, rest = body.split(b"\n", 1)
    state = json.loads(rest[:int(size)])
    assert state["type"] == "SUBSCRIBED" and state["subscribed"]["heartbeat_interval_seconds"] == 15
    assert len(state["subscribed"]["get_state"]["get_frameworks"]["frameworks"]) == 8
    assert b'"HEARTBEAT"' in rest[int(size):] and b'"AGENT_ADDED"' in rest[int(size):]


def chunks(data):
    """The whole chunks of a chunked body."""
    while b"\r\n" in data:
        size, data = data.split(b"\r\n", 1)
        n = int(size, 16)
        yield data[:n]
        data = data[n + 2:]
