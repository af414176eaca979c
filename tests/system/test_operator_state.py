# SPDX-License-Identifier: Apache-2.0
"""What the operator API tells of the cluster: its parts, and the stream of SUBSCRIBE in both encodings."""

import json
import queue
import socket
import time

import pytest

import raw_protobuf as protobuf
from harness import Stream, StreamEnded, make_task, post, wait_for
from test_operator import JSON, PROTOBUF, call, call_protobuf
from test_operator_agents import AWARE, agent_of, start_task


class Watcher:
    """An open SUBSCRIBE in JSON."""

    def __init__(self, master, **headers):
        self.stream = Stream(master.address, "/api/v1", '{"type": "SUBSCRIBE"}',
                             {"Content-Type": JSON, "Accept": JSON, **headers})
        assert self.stream.status == 200, self.stream.error_text
        self.events = []

    def wait(self, kind, where=None, timeout=10.0):
        """The content of the next event of that type for which where(content) is true."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                record = self.stream.next(deadline - time.monotonic())
            except queue.Empty:
                raise AssertionError("no %s; events: %s" % (kind, [e["type"] for e in self.events])) from None
            if record is None:
                raise StreamEnded("the stream ended after %s" % [e["type"] for e in self.events])
            event = json.loads(record)
            self.events.append(event)
            content = event.get(kind.lower(), {})
            if event["type"] == kind and (where is None or where(content)):
                return content

    def close(self):
        self.stream.close()


def ids(entries):
    return sorted(e["task_id"]["value"] for e in entries)


def test_the_parts_of_the_state(cluster):
    master = cluster.start_master()
    cluster.start_agent(master)
    scheduler, running = start_task(cluster, master, roles=["ads"], capabilities=[{"type": "MULTI_ROLE"}])
    done = make_task("true")
    custom = make_task(task_id="custom", executor={"executor_id": {"value": "ex"}, "command": {"value": "sleep 600"},
                                                   "framework_id": {"value": scheduler.framework_id}})
    scheduler.launch(scheduler.take_offer(), [done], refuse_seconds=0)
    scheduler.wait_end(done["task_id"]["value"])
    scheduler.launch(scheduler.take_offer(), [custom], refuse_seconds=0)
    wait_for(lambda: call(master, "GET_EXECUTORS").get("executors"), 10, "the executor")
    gone = cluster.scheduler(master, name="gone")
    gone.teardown()
    state = call(master, "GET_STATE")
    tasks = call(master, "GET_TASKS")
    assert ids(tasks["tasks"]) == sorted([running, "custom"])
    wait_for(lambda: ids(call(master, "GET_TASKS").get("completed_tasks", [])) == [done["task_id"]["value"]], 10, "the end")
    task = next(t for t in tasks["tasks"] if t["task_id"]["value"] == running)
    v0 = next(t for t in master.get("/tasks").json()["tasks"] if t["id"] == running)
    assert (task["state"], task["name"], task["agent_id"]["value"]) == ("TASK_RUNNING", v0["name"], v0["slave_id"])
    assert [s["state"] for s in task["statuses"]] == [s["state"] for s in v0["statuses"]]
    frameworks = call(master, "GET_FRAMEWORKS")
    assert [f["framework_info"]["name"] for f in frameworks["completed_frameworks"]] == ["gone"]
    shown = frameworks["frameworks"][0]
    assert shown["framework_info"]["id"]["value"] == scheduler.framework_id
    assert (shown["active"], shown["connected"], shown["recovered"]) == (True, True, False)
    assert int(shown["registered_time"]["nanoseconds"]) > 10**18
    assert {r["name"] for r in shown["allocated_resources"]} >= {"cpus", "mem"}
    wait_for(lambda: call(master, "GET_FRAMEWORKS")["frameworks"][0].get("offers"), 10, "an offer")
    executor = call(master, "GET_EXECUTORS")["executors"][0]
    assert executor["executor_info"]["executor_id"]["value"] == "ex"
    assert executor["agent_id"] == agent_of(master)["agent_info"]["id"]
    roles = {r["name"]: r for r in call(master, "GET_ROLES")["roles"]}
    assert [f["value"] for f in roles["ads"]["frameworks"]] == [scheduler.framework_id]
    assert roles["ads"]["weight"] == 1.0 and {r["name"] for r in roles["ads"]["resources"]} >= {"cpus", "mem"}
    assert call(master, "GET_OPERATIONS") == {}
    assert set(state) == {"get_tasks", "get_executors", "get_frameworks", "get_agents"}
    assert state["get_agents"]["agents"][0]["agent_info"] == agent_of(master)["agent_info"]
    answer = protobuf.decode(call_protobuf(master, 9)[9][0])  # GET_STATE
    assert len(protobuf.decode(answer[1][0])[2]) == 2
    assert len(protobuf.decode(answer[3][0])[2]) == 1


def test_the_stream_tells_each_change(cluster):
    master = cluster.start_master(agent_ping_timeout="1secs", max_agent_ping_timeouts=1)
    watcher = Watcher(master)
    first = watcher.wait("SUBSCRIBED")
    assert first == {"get_state": {"get_tasks": {}, "get_executors": {}, "get_frameworks": {}, "get_agents": {}},
                     "heartbeat_interval_seconds": 15.0}
    watcher.wait("HEARTBEAT")
    daemon = cluster.start_agent(master)
    agent_id = watcher.wait("AGENT_ADDED")["agent"]["agent_info"]["id"]
    scheduler = cluster.scheduler(master, failover_timeout=600, capabilities=AWARE, checkpoint=True)
    added = watcher.wait("FRAMEWORK_ADDED")["framework"]
    assert (added["framework_info"]["id"]["value"], added["connected"]) == (scheduler.framework_id, True)
    task = make_task("sleep 600")
    scheduler.launch(scheduler.wait_offer(), [task], refuse_seconds=0)
    shown = watcher.wait("TASK_ADDED")["task"]
    assert (shown["task_id"], shown["state"], shown["agent_id"]) == (task["task_id"], "TASK_STAGING", agent_id)
    scheduler.wait_update(task["task_id"]["value"], "TASK_RUNNING")
    updated = watcher.wait("TASK_UPDATED", lambda c: c["state"] == "TASK_RUNNING")
    assert updated["framework_id"]["value"] == scheduler.framework_id
    assert updated["status"]["task_id"] == task["task_id"]
    scheduler.close()
    again = cluster.scheduler(master, subscribe=False, id=scheduler.framework["id"], failover_timeout=600,
                              name="renamed", capabilities=AWARE, checkpoint=True)
    again.subscribe()
    assert watcher.wait("FRAMEWORK_UPDATED")["framework"]["framework_info"]["name"] == "renamed"
    late = Watcher(master)
    assert ids(late.wait("SUBSCRIBED")["get_state"]["get_tasks"]["tasks"]) == [task["task_id"]["value"]]
    assert master.metrics()["master/operator_event_stream_subscribers"] == 2
    late.close()
    wait_for(lambda: master.metrics()["master/operator_event_stream_subscribers"] == 1, 10, "the stream to be gone")
    daemon.kill()
    assert watcher.wait("TASK_UPDATED")["state"] == "TASK_UNREACHABLE"
    assert watcher.wait("AGENT_REMOVED") == {"agent_id": agent_id}
    daemon.restart()
    cluster.wait_registered(daemon, master)
    again.teardown()
    assert watcher.wait("FRAMEWORK_REMOVED")["framework_info"]["id"]["value"] == scheduler.framework_id
    watcher.close()


def test_the_stream_in_protobuf_and_recordio(cluster):
    master = cluster.start_master()
    for headers, kind in (({"Accept": PROTOBUF}, PROTOBUF),
                          ({"Accept": "application/recordio", "Message-Accept": PROTOBUF}, "application/recordio")):
        stream = Stream(master.address, "/api/v1", protobuf.encode([(1, 18)]), {"Content-Type": PROTOBUF, **headers})
        assert (stream.status, stream.headers["Content-Type"]) == (200, kind)
        event = protobuf.decode(stream.next(10))
        assert event[1] == [1] and 1 in protobuf.decode(event[2][0])
        assert protobuf.decode(stream.next(10)) == {1: [9]}  # HEARTBEAT
        stream.close()


def test_of_too_many_watchers_the_oldest_goes(cluster):
    master = cluster.start_master(max_operator_event_stream_subscribers=2)
    watchers = [Watcher(master) for _ in range(3)]
    for watcher in watchers:
        watcher.wait("SUBSCRIBED")
    with pytest.raises(StreamEnded):
        watchers[0].wait("AGENT_ADDED")
    cluster.start_agent(master)
    for watcher in watchers[1:]:
        watcher.wait("AGENT_ADDED")
        watcher.close()


def test_a_watcher_that_does_not_read_is_closed(cluster):
    master = cluster.start_master(max_event_stream_size="8MB")
    cluster.start_agent(master, resources="cpus:4;mem:1024;disk:1024")
    host, port = master.address.split(":")
    body = b'{"type":"SUBSCRIBE"}'
    with socket.create_connection((host, int(port))) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(b"POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                     % (len(body), body))
        wait_for(lambda: master.metrics()["master/operator_event_stream_subscribers"] == 1, 10, "the stream")
        scheduler = cluster.scheduler(master, labels={"labels": [{"key": "k", "value": "x" * 1000000}]},
                                      failover_timeout=600)
        for _ in range(60):  # each tells the framework anew, a megabyte
            scheduler.close()
            scheduler.subscribe()
            if master.metrics()["master/operator_event_stream_subscribers"] == 0:
                break
        wait_for(lambda: master.metrics()["master/operator_event_stream_subscribers"] == 0, 10, "the stream to be closed")
        assert master.metrics()["master/slow_event_streams_closed"] == 1
    assert post(master.address, "/api/v1", {"type": "GET_HEALTH"}).status == 200
