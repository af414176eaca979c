# SPDX-License-Identifier: Apache-2.0
"""Containers that stand alone: launched through the agent's operator API, nobody's executor."""

import http.client
import json
import os

import pytest

import harness
import pods
from harness import scalar
from pods import call


def container_id(name, parent=None):
    return {"value": name, **({"parent": parent} if parent else {})}


def launch(agent, name, command, **fields):
    answer = call(agent, "LAUNCH_CONTAINER", container_id=container_id(name), command={"value": command}, **fields)
    assert answer.status == 200, answer.text
    return os.path.join(agent.flags["work_dir"], "containers", name)


def shown(agent, **which):
    answer = call(agent, "GET_CONTAINERS", **which).json()["get_containers"].get("containers", [])
    return {pods.container_id(c["container_id"]): c for c in answer}


def begin_wait(agent, name):
    """Asks for the end of one that runs; returns what waits for the answer."""
    connection = http.client.HTTPConnection(agent.address, timeout=30)
    connection.request("POST", "/api/v1", json.dumps({
        "type": "WAIT_CONTAINER", "wait_container": {"container_id": container_id(name)}}),
        {"Content-Type": "application/json"})
    harness.get(agent.address, "/health")  # by now the agent has the first request as well

    def finish():
        response = connection.getresponse()
        text = response.read()
        connection.close()
        assert response.status == 200, text
        return json.loads(text)["wait_container"]
    return finish


def test_a_life(agent):
    sandbox = launch(agent, "alone", "echo $MESOS_SANDBOX; pwd; exec sleep 1000", **{
        "resources": [scalar("cpus", 0.1), scalar("mem", 64)]})
    again = call(agent, "LAUNCH_CONTAINER", container_id=container_id("alone"), command={"value": "true"})
    assert again.status == 202
    assert shown(agent) == {} and shown(agent, show_nested=True) == {}
    entry = shown(agent, show_standalone=True)["alone"]
    assert "framework_id" not in entry and entry["container_status"]["executor_pid"] > 0
    assert call(agent, "REMOVE_CONTAINER", container_id=container_id("alone")).text == "Container has not terminated yet"
    # One within it, which may also be a session.
    inner = container_id("inner", container_id("alone"))
    assert call(agent, "LAUNCH_NESTED_CONTAINER", container_id=inner, command={"value": "exit 3"}).status == 200
    assert call(agent, "WAIT_NESTED_CONTAINER", container_id=inner).json()["wait_nested_container"]["exit_status"] == 3 << 8
    def output():
        with open(os.path.join(sandbox, "stdout"), encoding="utf-8") as file:
            return file.read()
    harness.wait_for(lambda: output() == "%s\n%s\n" % (sandbox, sandbox), 10, "its output")
    wait = begin_wait(agent, "alone")
    assert call(agent, "KILL_CONTAINER", container_id=container_id("alone"), signal=15).status == 200
    assert wait()["exit_status"] == 15
    harness.wait_for(lambda: shown(agent, show_standalone=True) == {}, 10, "its end")
    gone = call(agent, "WAIT_CONTAINER", container_id=container_id("alone"))
    assert (gone.status, gone.text) == (404, "Container alone cannot be found")
    gone = call(agent, "KILL_CONTAINER", container_id=container_id("alone"))
    assert (gone.status, gone.text) == (404, "Container 'alone' cannot be found (or is already killed)")
    # Its sandbox stays until somebody removes it.
    assert os.path.exists(sandbox)
    assert call(agent, "REMOVE_CONTAINER", container_id=container_id("alone")).status == 200
    assert not os.path.exists(sandbox)
    assert call(agent, "REMOVE_CONTAINER", container_id=container_id("alone")).status == 404


def test_how_it_ends(agent):
    """A wait that stands when it ends hears how; an id may be used again, with what is in its sandbox."""
    fields = {"environment": {"variables": [{"name": "GREETING", "value": "hello"}]}}
    sandbox = os.path.join(agent.flags["work_dir"], "containers", "twice")
    command = {"value": "echo $GREETING >> seen; exec sleep 1000", **fields}
    for times in (1, 2):
        assert call(agent, "LAUNCH_CONTAINER", container_id=container_id("twice"), command=command).status == 200
        harness.wait_for(lambda: os.path.exists(sandbox + "/seen") and
                         open(sandbox + "/seen", encoding="utf-8").read() == "hello\n" * times, 10, "the command")
        wait = begin_wait(agent, "twice")
        assert call(agent, "KILL_CONTAINER", container_id=container_id("twice")).status == 200
        assert wait()["exit_status"] == 9
        harness.wait_for(lambda: shown(agent, show_standalone=True) == {}, 10, "its end")
    bad = call(agent, "LAUNCH_CONTAINER", container_id=container_id("bad"),
               command={"value": "/nowhere", "shell": False})
    assert bad.status == 400 and "Failed to execute '/nowhere'" in bad.text


@pytest.mark.parametrize("isolation", ["posix/cpu,posix/mem",
                                       pytest.param("cgroups/cpu,cgroups/mem", marks=pytest.mark.cgroups)])
def test_over_an_agent_restart(cluster, master, isolation):
    agent = cluster.start_agent(master, isolation=isolation, launcher="posix" if "posix" in isolation else "linux")
    launch(agent, "stays", "exec sleep 1000", resources=[scalar("cpus", 0.1), scalar("mem", 64)])
    launch(agent, "goes", "exec sleep 1000")
    inner = container_id("inner", container_id("stays"))
    assert call(agent, "LAUNCH_CONTAINER", container_id=inner, command={"value": "exec sleep 1000"}).status == 200
    before = shown(agent, show_standalone=True, show_nested=True)
    pid = before["stays"]["container_status"]["executor_pid"]
    agent.kill()
    os.kill(before["goes"]["container_status"]["executor_pid"], 9)
    agent.restart()
    cluster.wait_registered(agent, master)
    harness.wait_for(lambda: set(shown(agent, show_standalone=True, show_nested=True)) == {"stays", "stays.inner"}, 10,
                     "the former agent's containers")
    now = shown(agent, show_standalone=True)["stays"]
    assert now["container_status"]["executor_pid"] == pid
    assert now["resource_statistics"].get("mem_limit_bytes") == before["stays"]["resource_statistics"]["mem_limit_bytes"]
    assert call(agent, "LAUNCH_CONTAINER", container_id=container_id("stays"), command={"value": "true"}).status == 202
    wait = begin_wait(agent, "stays")
    assert call(agent, "KILL_CONTAINER", container_id=container_id("stays")).status == 200
    assert wait()["exit_status"] == 9
    harness.wait_for(lambda: shown(agent, show_standalone=True, show_nested=True) == {}, 10, "the end")
    assert os.listdir(os.path.join(agent.flags["runtime_dir"], "containers")) == []


@pytest.mark.root
@pytest.mark.cgroups
def test_limits(cluster, master):
    agent = cluster.start_agent(master, isolation="cgroups/cpu,cgroups/mem")
    sandbox = launch(agent, "greedy", "while ! test -e go; do sleep 0.02; done; head -c 300M /dev/zero | tail",
                     resources=[scalar("cpus", 0.1), scalar("mem", 32)], limits={"mem": {"value": 96}})
    wait = begin_wait(agent, "greedy")
    open(os.path.join(sandbox, "go"), "w", encoding="utf-8").close()
    over = wait()
    assert (over["state"], over["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LIMITATION_MEMORY")
    assert "Memory limit exceeded: Requested: 96MB" in over["message"]
