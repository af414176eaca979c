# SPDX-License-Identifier: Apache-2.0
"""The agent's operator API (/api/v1): what each call demands, and what it says. Sessions: test_sessions.py."""

import json
import uuid

import pytest

import harness
import pods
from pods import call, id_of, make_tasks

ID = {"value": "child", "parent": {"value": "parent"}}


@pytest.mark.parametrize("body, text", [
    ({}, "Failed to validate agent::Call: Expecting 'type' to be present"),
    ({"type": "LAUNCH_CONTAINER"}, "Failed to validate agent::Call: Expecting 'launch_container' to be present"),
    ({"type": "READ_FILE"}, "Failed to validate agent::Call: Expecting 'read_file' to be present"),
    ({"type": "WAIT_NESTED_CONTAINER", "wait_nested_container": {"container_id": {"value": "x"}}},
     "Failed to validate agent::Call: Expecting 'wait_nested_container.container_id.parent' to be present"),
    ({"type": "KILL_CONTAINER", "kill_container": {"container_id": {"value": "a.b", "parent": {"value": "p"}}}},
     "Failed to validate agent::Call: 'kill_container.container_id' is invalid: "
     "'ContainerID.value' 'a.b' contains invalid characters"),
    ({"type": "REMOVE_CONTAINER", "remove_container": {"container_id": {"value": "a", "parent": {"value": "p/q"}}}},
     "Failed to validate agent::Call: 'remove_container.container_id' is invalid: 'ContainerID.parent' is invalid: "),
    ({"type": "LAUNCH_CONTAINER", "launch_container": {"container_id": {"value": "a" * 243, "parent": {"value": "p"}}}},
     "Failed to validate agent::Call: 'launch_container.container_id' is invalid: 'ContainerID.value' '" + "a" * 243
     + "' exceeds the maximum length (242)"),
    ({"type": "LAUNCH_CONTAINER", "launch_container": {
        "container_id": ID, "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": -1}}]}},
     "Failed to validate agent::Call: Invalid resources: "),
    ({"type": "LAUNCH_CONTAINER", "launch_container": {"container_id": {**ID, "parent": {
        "value": "p", "parent": {"value": "q"}}}, "container": {"type": "MESOS", "linux_info": {"share_cgroups": False}}}},
     "Failed to validate agent::Call: 'launch_container' is invalid: containers nested at the second level"),
    ({"type": "LAUNCH_NESTED_CONTAINER_SESSION", "launch_nested_container_session": {"container_id": ID, "container": {
        "type": "MESOS", "linux_info": {"share_cgroups": False}}}},
     "Failed to validate agent::Call: 'launch_nested_container_session.container.linux_info' is invalid: "),
    ({"type": "LAUNCH_NESTED_CONTAINER", "launch_nested_container": {"container_id": ID}},
     "A container without a command is not supported"),
    ({"type": "LAUNCH_NESTED_CONTAINER", "launch_nested_container": {"container_id": ID, "command": {"value": "true"}}},
     "Parent container parent does not exist"),
    ({"type": "LAUNCH_CONTAINER", "launch_container": {"container_id": {**ID, "parent": {
        "value": "p", "parent": {"value": "q"}}}, "resources": [harness.scalar("cpus", 1)]}},
     "Failed to validate agent::Call: 'launch_container' is invalid: containers nested at the second level or greater "
     "cannot specify resources"),
    ({"type": "LAUNCH_CONTAINER", "launch_container": {"container_id": {**ID, "parent": {
        "value": "p", "parent": {"value": "q"}}}, "limits": {"cpus": {"value": 1}}}},
     "Failed to validate agent::Call: 'launch_container' is invalid: containers nested at the second level or greater "
     "cannot specify resource limits"),
    ({"type": "LAUNCH_CONTAINER", "launch_container": {"container_id": {"value": "a"}, "container": {
        "type": "MESOS", "linux_info": {"share_cgroups": True}}}},
     "Failed to validate agent::Call: 'launch_container' is invalid: containers without a parent cannot set "
     "'share_cgroups' to 'true'"),
    ({"type": "LAUNCH_CONTAINER", "launch_container": {"container_id": {"value": "a"}, "resources": [
        {**harness.scalar("cpus", 1), "reservations": [{"type": "STATIC", "role": "r"}]}]}},
     "Failed to validate agent::Call: 'launch_container.resources' must be unreserved"),
    ({"type": "LAUNCH_CONTAINER", "launch_container": {"container_id": {"value": "a"}, "resources": [
        {**harness.scalar("cpus", 1), "revocable": {}}]}},
     "Failed to validate agent::Call: 'launch_container.resources' must be non-revocable"),
    ({"type": "LAUNCH_CONTAINER", "launch_container": {"container_id": {"value": "a"}, "command": {"value": "true"},
                                                       "limits": {"cpus": {"value": 1}}}},
     "Resource limits can only be set when the agent has loaded the isolators 'cgroups/cpu' and 'cgroups/mem'"),
])
def test_refused(agent, body, text):
    answer = harness.post(agent.address, "/api/v1", body)
    assert answer.status == 400 and answer.text.startswith(text), answer.text


@pytest.mark.parametrize("container, text", [
    ({"type": "DOCKER", "docker": {"image": "x"}}, "The provided ContainerInfo is not supported"),
    ({"type": "MESOS", "mesos": {"image": {"type": "DOCKER", "docker": {"name": "x"}}}}, "Images are not supported"),
    ({"type": "MESOS", "hostname": "x"}, "Host names of their own are not supported"),
    ({"type": "MESOS", "network_infos": [{"name": "x"}]}, "Networks of their own are not supported"),
    ({"type": "MESOS", "linux_info": {"share_pid_namespace": False}}, "PID namespaces of their own are not supported"),
    ({"type": "MESOS", "volumes": [{"mode": "RW", "container_path": "a", "host_path": "/tmp"}]},
     "Volumes in ContainerInfo is not supported: the isolator 'filesystem/linux' must be used"),
    ({"type": "MESOS", "volumes": [{"mode": "RW", "container_path": "a", "source": {
        "type": "HOST_PATH", "host_path": {"path": "b"}}}]}, "Path 'b' in HOST_PATH volume is not absolute"),
    ({"type": "MESOS", "volumes": [{"mode": "RW", "container_path": "a", "source": {
        "type": "HOST_PATH", "host_path": {"path": "/b", "mount_propagation": {"mode": "BIDIRECTIONAL"}}}}]},
     "Mounts that propagate to the host are not supported"),
    ({"type": "MESOS", "volumes": [{"mode": "RW", "container_path": "a", "source": {
        "type": "SECRET", "secret": {"type": "VALUE", "value": {"data": "eA=="}}}}]},
     "Volumes other than those of type HOST_PATH and SANDBOX_PATH are not supported"),
    ({"type": "MESOS", "linux_info": {"effective_capabilities": {"capabilities": ["KILL", "CHOWN"]},
                                      "bounding_capabilities": {"capabilities": ["KILL"]}}},
     "Requested capabilities are not all within the bounding capabilities"),
    ({"type": "MESOS", "linux_info": {"effective_capabilities": {}, "capability_info": {}}},
     "Only one of 'capability_info' or 'effective_capabilities' is allowed"),
    ({"type": "MESOS", "volumes": [{"mode": "RW", "container_path": "a", "source": {
        "type": "SANDBOX_PATH", "sandbox_path": {"type": "SELF", "path": "b"}}}]},
     "'container_path' is relative for SANDBOX_PATH volume SELF type"),
    ({"type": "MESOS", "volumes": [{"mode": "RW", "container_path": "a", "source": {
        "type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "../b"}}}]}, None),
    ({"type": "MESOS", "rlimit_info": {"rlimits": [{"type": "RLMT_NOFILE", "soft": 2, "hard": 1}]}},
     "An rlimit's 'soft' is above its 'hard'"),
])
def test_what_a_container_cannot_have(agent, container, text):
    answer = call(agent, "LAUNCH_CONTAINER", container_id=ID, command={"value": "true"}, container=container)
    assert answer.status == 400
    if text is not None:
        assert answer.text.startswith(text), answer.text


def test_unknown_containers(agent):
    for kind in ("WAIT_NESTED_CONTAINER", "WAIT_CONTAINER"):
        answer = call(agent, kind, container_id=ID)
        assert (answer.status, answer.text) == (404, "Container parent.child cannot be found")
    for kind in ("KILL_NESTED_CONTAINER", "KILL_CONTAINER"):
        answer = call(agent, kind, container_id=ID)
        assert (answer.status, answer.text) == (404, "Container 'parent.child' cannot be found (or is already killed)")
    for kind in ("REMOVE_NESTED_CONTAINER", "REMOVE_CONTAINER"):
        answer = call(agent, kind, container_id=ID)
        assert (answer.status, answer.text) == (500, "Unknown root container")


def test_looking(agent, scheduler):
    tasks = make_tasks("sleep 1000", "sleep 1000")
    executor = pods.launch(scheduler, tasks)
    for task in tasks:
        scheduler.wait_update(id_of(task), "TASK_RUNNING")
    assert call(agent, "GET_HEALTH").json()["get_health"] == {"healthy": True}
    assert call(agent, "GET_VERSION").json()["get_version"]["version_info"]["version"] == "1.11.0"
    assert {"name": "ip", "value": "127.0.0.1"} in call(agent, "GET_FLAGS").json()["get_flags"]["flags"]
    info = call(agent, "GET_AGENT").json()["get_agent"]["agent_info"]
    assert info["id"]["value"] == agent.state()["id"]
    state = call(agent, "GET_STATE").json()["get_state"]
    assert [f["framework_info"]["id"]["value"] for f in state["get_frameworks"]["frameworks"]] == [scheduler.framework_id]
    assert [e["executor_info"]["executor_id"] for e in state["get_executors"]["executors"]] == [executor["executor_id"]]
    assert {t["task_id"]["value"] for t in state["get_tasks"]["launched_tasks"]} == {id_of(t) for t in tasks}
    assert call(agent, "GET_TASKS").json()["get_tasks"] == state["get_tasks"]
    assert call(agent, "GET_EXECUTORS").json()["get_executors"] == state["get_executors"]
    assert call(agent, "GET_FRAMEWORKS").json()["get_frameworks"] == state["get_frameworks"]
    assert len(pods.containers(agent, nested=False)) == 1 and len(pods.containers(agent)) == 3
    assert call(agent, "GET_CONTAINERS").status == 200
    files = harness.post(agent.address, "/api/v1", {"type": "LIST_FILES", "list_files": {
        "path": pods.sandbox(agent, executor)}}).json()["list_files"]["file_infos"]
    assert any(f["path"].endswith("/stderr") for f in files)
    scheduler.teardown()
    pods.wait_gone(agent, executor)
    done = call(agent, "GET_STATE").json()["get_state"]
    assert {t["task_id"]["value"] for t in done["get_tasks"]["completed_tasks"]} == {id_of(t) for t in tasks}
    assert len(done["get_executors"]["completed_executors"]) == len(done["get_frameworks"]["completed_frameworks"]) == 1


def test_a_container_in_a_task(agent, scheduler):
    """Older and newer names, limits of its processes, and what a repeated call does."""
    tasks = make_tasks("sleep 1000")
    pods.launch(scheduler, tasks)
    parent = scheduler.wait_update(id_of(tasks[0]), "TASK_RUNNING")["container_status"]["container_id"]
    container_id = {"value": uuid.uuid4().hex, "parent": parent}
    command = {"value": "test $(ulimit -n) = 77 && exit 5"}
    container = {"type": "MESOS", "rlimit_info": {"rlimits": [{"type": "RLMT_NOFILE", "soft": 77, "hard": 77}]}}
    for status in (200, 202):
        assert call(agent, "LAUNCH_NESTED_CONTAINER", container_id=container_id, command=command,
                    container=container).status == status
    answer = call(agent, "WAIT_CONTAINER", container_id=container_id)
    assert json.loads(answer.text) == {"type": "WAIT_CONTAINER", "wait_container": {"exit_status": 5 << 8}}
    assert call(agent, "LAUNCH_CONTAINER", container_id=container_id, command=command).status == 202
    assert call(agent, "REMOVE_CONTAINER", container_id=container_id).status == 200
    assert call(agent, "LAUNCH_CONTAINER", container_id=container_id, command={"value": "sleep 1000"}).status == 200
    assert call(agent, "REMOVE_NESTED_CONTAINER", container_id=container_id).status == 500
    assert call(agent, "KILL_NESTED_CONTAINER", container_id=container_id).status == 200
    end = call(agent, "WAIT_NESTED_CONTAINER", container_id=container_id).json()["wait_nested_container"]
    assert end["exit_status"] == 9
