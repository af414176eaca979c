# SPDX-License-Identifier: Apache-2.0
"""The v1 operator API of the master: its checks, and the calls that need no cluster."""

import base64
import os
import time

import pytest

import raw_protobuf as protobuf
from harness import make_task, wait_for

JSON = "application/json"
PROTOBUF = "application/x-protobuf"


def call(daemon, kind, at="/api/v1", **content):
    """A call that must be answered with 200; the member of the response that belongs to it, or None."""
    body = {"type": kind}
    if content:
        body[kind.lower()] = content
    response = daemon.post(at, body)
    assert response.status == 200, "%s: %d %s" % (kind, response.status, response.text)
    if not response.body:
        return None
    answer = response.json()
    assert answer["type"] == kind
    return answer.get(kind.lower(), {})


def call_protobuf(daemon, number, *fields):
    """The same in protobuf; the decoded Response."""
    response = daemon.post("/api/v1", protobuf.encode([(1, number), *fields]),
                           headers={"Content-Type": PROTOBUF, "Accept": PROTOBUF})
    assert response.status == 200, response.text
    if not response.body:
        return None
    assert response.headers["Content-Type"] == PROTOBUF
    answer = protobuf.decode(response.body)
    return answer


@pytest.mark.parametrize("body, headers, status, text", [
    ("{}", {}, 400, "Expecting 'Content-Type' to be present"),
    ("{}", {"Content-Type": "text/plain"}, 415,
     "Expecting 'Content-Type' of application/json or application/x-protobuf"),
    ("{", {"Content-Type": JSON}, 400, "Failed to parse body into JSON: "),
    ("[]", {"Content-Type": JSON}, 400, "Failed to convert JSON into Call protobuf: "),
    ("\x08", {"Content-Type": PROTOBUF}, 400, "Failed to parse body into Call protobuf"),
    ("{}", {"Content-Type": JSON}, 400, "Failed to validate master::Call: Expecting 'type' to be present"),
    ('{"type": "GET_HELTH"}', {"Content-Type": JSON}, 400,
     "Failed to validate master::Call: Expecting 'type' to be present"),
    ('{"type": "UNKNOWN"}', {"Content-Type": JSON}, 501, "The call UNKNOWN is not implemented"),
    ('{"type": "READ_FILE"}', {"Content-Type": JSON}, 400,
     "Failed to validate master::Call: Expecting 'read_file' to be present"),
    ('{"type": "READ_FILE", "read_file": {"offset": 0}}', {"Content-Type": JSON}, 400,
     "Failed to convert JSON into Call protobuf: Missing required fields: read_file.path"),
    ('{"type": "SET_LOGGING_LEVEL", "set_logging_level": {"level": 1, "duration": {"nanoseconds": -1}}}',
     {"Content-Type": JSON}, 400, "Failed to validate master::Call: 'set_logging_level.duration' is negative"),
    ('{"type": "GET_METRICS", "get_metrics": {"timeout": {"nanoseconds": -1}}}', {"Content-Type": JSON}, 400,
     "Failed to validate master::Call: 'get_metrics.timeout' is negative"),
    ('{"type": "TEARDOWN", "teardown": {"framework_id": {"value": "nobody"}}}', {"Content-Type": JSON}, 400,
     "No framework found with specified ID"),
    ('{"type": "GET_HEALTH"}', {"Content-Type": JSON, "Accept": "text/html"}, 406,
     "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'"),
])
def test_what_is_wrong_with_a_call_is_said(master, body, headers, status, text):
    response = master.post("/api/v1", body, headers=headers)
    assert (response.status, response.text[:len(text)]) == (status, text)


def test_only_post_is_allowed(master):
    response = master.get("/api/v1")
    assert response.status == 405
    assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize("path", ["/api/v1", "/master/api/v1", "/api/v1/operator", "/api/v1/"])
def test_the_paths_that_clients_use(master, path):
    assert call(master, "GET_HEALTH", at=path) == {"healthy": True}


def test_the_answer_is_in_what_is_accepted(master):
    for accept, kind in ((None, JSON), ("*/*", JSON), (JSON, JSON), (PROTOBUF, PROTOBUF),
                         ("application/*", JSON), ("text/html, " + PROTOBUF, PROTOBUF)):
        for sent, body in ((JSON, '{"type": "GET_HEALTH"}'), (PROTOBUF, protobuf.encode([(1, 1)]))):
            headers = {"Content-Type": sent}
            if accept is not None:
                headers["Accept"] = accept
            response = master.post("/api/v1", body, headers=headers)
            assert (response.status, response.headers["Content-Type"]) == (200, kind)
            if kind == PROTOBUF:
                assert response.body == protobuf.encode([(1, 1), (2, [(1, 1)])])


def test_flags_version_and_metrics(master):
    flags = {f["name"]: f["value"] for f in call(master, "GET_FLAGS")["flags"]}
    assert flags == master.get("/flags").json()["flags"]
    version = call(master, "GET_VERSION")["version_info"]
    shown = master.get("/version").json()
    assert {k: version[k] for k in ("version", "build_date", "build_time", "build_user")} == {
        k: shown[k] for k in ("version", "build_date", "build_time", "build_user")}
    metrics = {m["name"]: m["value"] for m in call(master, "GET_METRICS", timeout={"nanoseconds": 10**9})["metrics"]}
    assert metrics["master/elected"] == 1.0
    assert set(metrics) == set(master.metrics())
    answer = protobuf.decode(call_protobuf(master, 2)[3][0])  # GET_FLAGS
    assert len(answer[1]) == len(flags)


def test_the_logging_level_comes_back_by_itself(master):
    assert call(master, "GET_LOGGING_LEVEL") == {"level": 0}
    assert call(master, "SET_LOGGING_LEVEL", level=3, duration={"nanoseconds": int(60e9)}) is None
    assert call(master, "GET_LOGGING_LEVEL") == {"level": 3}
    assert master.get("/logging/toggle").text == "3\n"
    call(master, "GET_HEALTH")
    assert "Processing call GET_HEALTH" in master.read_log()
    call(master, "SET_LOGGING_LEVEL", level=1, duration={"nanoseconds": 1000})
    wait_for(lambda: call(master, "GET_LOGGING_LEVEL") == {"level": 0}, 5, "the level to come back")


def test_files_of_the_master(cluster):
    directory = cluster.path("log")
    os.mkdir(directory)
    master = cluster.start_master(log_dir=directory)
    virtual = "/master/log"
    assert list(master.get("/files/debug").json()) == [virtual]
    size = len(master.get("/files/read?path=%s&offset=0" % virtual).json()["data"])
    assert size > 0
    read = call(master, "READ_FILE", path=virtual, offset=3, length=10)
    assert base64.b64decode(read["data"]).decode() == master.get(
        "/files/read?path=%s&offset=3&length=10" % virtual).json()["data"]
    assert int(read["size"]) >= size
    assert call(master, "READ_FILE", path=virtual, offset=1 << 40)["data"] == ""
    external = cluster.path("log", "else")
    with open(external, "w", encoding="ascii") as file:
        file.write("elsewhere")
    other = cluster.start_master(log_dir=directory, external_log_file=external)
    assert base64.b64decode(call(other, "READ_FILE", path=virtual, offset=0)["data"]) == b"elsewhere"
    assert "file_infos" not in call(other, "LIST_FILES", path=virtual)
    response = master.post("/api/v1", {"type": "LIST_FILES", "list_files": {"path": "/nothing"}})
    assert (response.status, response.text) == (404, "There is no '/nothing'")
    response = master.post("/api/v1", {"type": "READ_FILE", "read_file": {"path": "/nothing", "offset": 0}})
    assert (response.status, response.text) == (404, "There is no '/nothing'")


def test_who_leads(master):
    answer = call(master, "GET_MASTER")
    state = master.state()
    assert answer["master_info"]["id"] == state["id"]
    assert answer["master_info"]["pid"] == state["pid"]
    assert answer["start_time"] == state["start_time"]
    assert abs(answer["elected_time"] - time.time()) < 600


def test_teardown_ends_a_framework(master, agent, scheduler):
    task = make_task("sleep 600")
    scheduler.launch(scheduler.wait_offer(), [task])
    scheduler.wait_update(task["task_id"]["value"], "TASK_RUNNING")
    assert call_protobuf(master, 31, (16, [(1, [(1, scheduler.framework_id)])])) is None
    state = master.state()
    assert state["frameworks"] == []
    assert [f["id"] for f in state["completed_frameworks"]] == [scheduler.framework_id]
