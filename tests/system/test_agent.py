# SPDX-License-Identifier: Apache-2.0
"""The agent as operators and executors see it: its pages, sandboxes, bad calls, kills, restarts of its master."""

import http.server
import json
import os
import signal
import subprocess
import threading
import types

import pytest

from harness import BIN, get, make_task, post, wait_for

EXECUTOR = "/api/v1/executor"


def start(scheduler, command="sleep 1000", **fields):
    task = make_task(command, **fields)
    scheduler.launch(scheduler.wait_offer(), [task], refuse_seconds=0)
    task_id = task["task_id"]["value"]
    return task_id, scheduler.wait_update(task_id, "TASK_RUNNING")


def find_executors(agent, part="executors"):
    return [e for f in agent.state()["frameworks"] + agent.state()["completed_frameworks"] for e in f[part]]


def test_state(cluster, master):
    agent = cluster.start_agent(master, attributes="rack:r1;level:2.5;ports:[1-3]",
                                resources="cpus:3;cpus(ops):1;mem:512;disk:0;ports:[7000-7010,7020-7021]")
    scheduler = cluster.scheduler(master)
    task_id, _ = start(scheduler, labels={"labels": [{"key": "a", "value": "b"}]})
    state = agent.state()
    assert state["pid"] == "slave(1)@" + agent.address
    assert state["id"] == master.state()["slaves"][0]["id"]
    assert state["attributes"] == {"rack": "r1", "level": 2.5, "ports": "[1-3]"}
    assert state["resources"] == {"cpus": 4.0, "gpus": 0.0, "mem": 512.0, "disk": 0.0,
                                  "ports": "[7000-7010, 7020-7021]"}
    assert state["reserved_resources"] == {"ops": {"cpus": 1.0, "gpus": 0.0, "mem": 0.0, "disk": 0.0}}
    assert state["unreserved_resources"]["cpus"] == 3.0
    assert state["unreserved_resources_allocated"]["cpus"] == pytest.approx(0.2)  # the task's and its executor's
    assert state["flags"]["gc_delay"] == "1weeks"
    executor = find_executors(agent)[0]
    assert executor["id"] == executor["source"] == task_id
    assert executor["name"] == "Command Executor (Task: %s) (Command: sh -c 'sleep 1000')" % task_id
    task = executor["tasks"][0]
    assert (task["id"], task["state"], task["executor_id"]) == (task_id, "TASK_RUNNING", "")
    assert task["labels"] == [{"key": "a", "value": "b"}]
    assert task["statuses"][-1]["container_status"]["container_id"] == {"value": executor["container"]}
    metrics = agent.metrics()
    assert metrics["slave/registered"] == metrics["slave/tasks_running"] == metrics["slave/executors_running"] == 1.0
    containers = agent.get("/containers").json()
    assert [c["container_id"] for c in containers] == [executor["container"]]
    assert containers[0]["status"]["executor_pid"] > 0
    usage = agent.get("/monitor/statistics").json()
    assert usage[0]["executor_id"] == task_id and "timestamp" in usage[0]["statistics"]
    assert 0 < usage[0]["statistics"]["mem_rss_bytes"] < 100 * 2**20
    assert agent.get("/containers?container_id=none").json() == []


def test_refused_by_the_master(cluster, master):
    domain = {"fault_domain": {"region": {"name": "r"}, "zone": {"name": "z"}}}
    agent = cluster.start_agent(master, wait=False, domain=json.dumps(domain))
    wait_for(lambda: "Master refused this agent" in agent.read_log(), what="the refusal")
    assert agent.state()["domain"] == domain
    assert agent.metrics()["slave/registered"] == 0.0


def test_follows_to_the_leader(cluster, master):
    class Standby(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(307)
            self.send_header("Location", "//%s%s" % (master.address, self.path))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Standby) as standby:
        threading.Thread(target=standby.serve_forever, daemon=True).start()
        try:
            asked = types.SimpleNamespace(address="127.0.0.1:%d" % standby.server_port, state=master.state)
            agent = cluster.start_agent(asked)
            master.kill()
            master.restart()
            cluster.wait_registered(agent, master)
        finally:
            standby.shutdown()


def test_sandbox(cluster, agent, scheduler):
    task_id, status = scheduler.run("echo out; echo err >&2; mkdir d; echo in > d/file")
    assert status["state"] == "TASK_FINISHED"
    executor = wait_for(lambda: find_executors(agent, "completed_executors"), what="the end")[0]
    directory = executor["directory"]
    assert directory.endswith("/slaves/%s/frameworks/%s/executors/%s/runs/%s" % (
        agent.state()["id"], scheduler.framework_id, task_id, executor["container"]))
    latest = os.path.join(os.path.dirname(directory), "latest")
    assert os.readlink(latest) == directory
    virtual = "/frameworks/%s/executors/%s/runs/latest" % (scheduler.framework_id, task_id)
    for path in (directory, latest, virtual):
        names = {os.path.basename(e["path"]) for e in agent.get("/files/browse?path=" + path).json()}
        assert names == {"stdout", "stderr", "d"}
        assert "out\n" in agent.get("/files/read?offset=0&path=%s/stdout" % path).json()["data"]
        assert agent.get("/files/download?path=%s/d/file" % path).text == "in\n"
    assert agent.get("/files/browse?path=" + agent.flags["work_dir"]).status == 404
    assert agent.get("/files/read?path=%s/../../../../../../../../../etc/passwd" % virtual).status == 404


def test_sandboxes_are_removed(cluster, master):
    agent = cluster.start_agent(master, gc_delay="1secs", disk_watch_interval="1secs")
    scheduler = cluster.scheduler(master)
    first, _ = start(scheduler)
    task_id, _ = scheduler.run("mkdir -p a/b; touch a/b/c; chmod 0 a/b")
    path = os.path.dirname(os.path.dirname(cluster.sandbox(agent, scheduler.framework_id, task_id)))
    wait_for(lambda: not os.path.exists(path), what="the sandbox to go")
    assert os.path.exists(cluster.sandbox(agent, scheduler.framework_id, first))
    wait_for(lambda: not os.listdir(os.path.join(agent.flags["work_dir"], "gc")), what="the trash to be empty")
    assert agent.metrics()["gc/path_removals_succeeded"] >= 1
    # The same id again, after its folders went.
    assert scheduler.run("true", task_id=task_id)[1]["state"] == "TASK_FINISHED"


@pytest.mark.parametrize("kind,body,status", [
    ("application/json", "", 400),
    ("application/json", "[" * 100000, 400),
    ("application/json", '{"type": "SUBSCRIBE"}', 400),
    ("application/x-protobuf", "\xff\xff\xff", 400),
    ("text/plain", "{}", 415),
    (None, "{}", 400),
    ("application/json", json.dumps({"type": "SUBSCRIBE", "executor_id": {"value": "e"},
                                     "framework_id": {"value": "f"}, "subscribe": {}}), 400),
])
def test_bad_executor_calls(agent, kind, body, status):
    headers = {"Content-Type": kind} if kind else {}
    answer = post(agent.address, EXECUTOR, body.encode("latin-1"), headers=headers)
    assert answer.status == status, answer.text
    assert answer.body and b"\n" not in answer.body.strip()
    assert get(agent.address, "/health").status == 200


def test_executor_calls_are_posts(agent):
    answer = get(agent.address, EXECUTOR)
    assert answer.status == 405
    assert answer.headers["Allow"] == "POST"


def test_somebody_elses_calls(agent, scheduler):
    task_id, _ = start(scheduler)
    head = {"executor_id": {"value": task_id}, "framework_id": {"value": scheduler.framework_id}}
    status = {"task_id": {"value": task_id}, "state": "TASK_FINISHED", "source": "SOURCE_EXECUTOR",
              "uuid": "ASNFZ4mrTe+BI0VniavN7w=="}
    for bad in ({"uuid": "AAAA"}, {"state": "TASK_STAGING"}, {"source": "SOURCE_MASTER"},
                {"executor_id": {"value": "other"}}):
        answer = post(agent.address, EXECUTOR, {**head, "type": "UPDATE", "update": {"status": {**status, **bad}}})
        assert answer.status == 400, answer.text
    unknown = {**head, "executor_id": {"value": "no"}, "type": "UPDATE", "update": {"status": status}}
    assert post(agent.address, EXECUTOR, unknown).text.strip() == "Executor cannot be found"
    assert post(agent.address, EXECUTOR, {**head, "type": "HEARTBEAT"}).status == 202
    assert scheduler.states_of(task_id)[-1] == "TASK_RUNNING"


def test_executor_is_killed(agent, scheduler):
    task_id, _ = start(scheduler)
    os.kill(agent.get("/containers").json()[0]["status"]["executor_pid"], signal.SIGKILL)
    status = scheduler.wait_end(task_id)
    assert (status["state"], status["source"]) == ("TASK_FAILED", "SOURCE_AGENT")
    assert status["reason"] == "REASON_EXECUTOR_TERMINATED"
    wait_for(lambda: not find_executors(agent), what="the executor to be cleaned up")


def test_kill_of_unknown_task(agent, scheduler):
    start(scheduler)
    scheduler.call("KILL", task_id={"value": "nobody"}, agent_id={"value": agent.state()["id"]})
    status = scheduler.wait_end("nobody")
    assert status["state"] == "TASK_LOST"


def test_teardown_ends_all(cluster, agent, scheduler):
    start(scheduler)
    start(scheduler, "trap '' TERM; sleep 1000 & sleep 1000")
    scheduler.teardown()
    wait_for(lambda: not agent.state()["frameworks"], what="the framework to go")
    assert agent.get("/containers").json() == []


def test_master_is_killed_and_comes_back(cluster, master, agent, scheduler):
    task_id, _ = start(scheduler)
    agent_id = agent.state()["id"]
    master.kill()
    wait_for(lambda: agent.metrics()["slave/registered"] == 0.0, what="the agent to notice")
    master.restart()
    cluster.wait_registered(agent, master)
    assert agent.state()["id"] == agent_id
    scheduler.subscribe()
    tasks = wait_for(lambda: [t for f in master.state()["frameworks"] for t in f["tasks"]], what="the task")
    assert [(t["id"], t["state"]) for t in tasks] == [(task_id, "TASK_RUNNING")]
    scheduler.kill(task_id)
    assert scheduler.wait_end(task_id)["state"] == "TASK_KILLED"


def test_unacknowledged_update_comes_again(agent, scheduler):
    scheduler.acknowledges = False
    task = make_task("true")
    scheduler.launch(scheduler.wait_offer(), [task], refuse_seconds=0)
    task_id = task["task_id"]["value"]
    first = scheduler.wait_update(task_id)
    again = scheduler.wait("UPDATE", lambda e: e is not first and e["update"]["status"] == first
                           and scheduler.states_of(task_id).count(first["state"]) == 2, timeout=15)
    assert again["update"]["status"]["uuid"] == first["uuid"]
    assert set(scheduler.states_of(task_id)) == {first["state"]}
    scheduler.acknowledges = True
    scheduler.acknowledge(first)
    assert scheduler.wait_end(task_id)["state"] == "TASK_FINISHED"


def test_end(cluster, master, agent, scheduler):
    task_id, _ = start(scheduler)
    assert agent.stop(signal.SIGUSR1) == 0
    assert scheduler.wait_end(task_id)["state"] == "TASK_LOST"
    wait_for(lambda: not cluster.find_registration(agent, master), what="the master to forget it")


def test_second_signal_is_impatient(agent, scheduler):
    start(scheduler, "trap '' TERM; while true; do sleep 1; done",
          kill_policy={"grace_period": {"nanoseconds": 3600 * 10**9}})
    agent.send_signal(signal.SIGUSR1)
    wait_for(lambda: agent.metrics()["slave/executors_terminating"] == 1.0, what="the end to begin")
    assert agent.stop(signal.SIGUSR1, timeout=8) == 0


def test_environment(cluster, master):
    cluster.start_agent(master, executor_environment_variables=json.dumps({"PATH": "/usr/bin:/bin", "X": "a b"}))
    scheduler = cluster.scheduler(master)
    command = "test \"$X\" = 'a b' && test -z \"$HOME$LANG\" && test \"$MESOS_SANDBOX\" = \"$PWD\""
    assert scheduler.run(command)[1]["state"] == "TASK_FINISHED"


@pytest.mark.parametrize("flag,text", [
    ("--master=zk://127.0.0.1:2181/", "is not supported"),
    ("--master=nonsense", "nonsense"),
    ("--resources=cpus:x", "cpus"),
    ("--attributes=broken", "broken"),
    ("--executor_environment_variables=[]", "executor_environment_variables"),
    ("--domain={}x", "domain"),
    ("--ip=203.0.113.77", "203.0.113.77"),
    ("--containerizers=docker", "containerizers"),
])
def test_bad_flags(cluster, flag, text):
    name = flag.split("=")[0]
    defaults = ["--master=127.0.0.1:1", "--work_dir=" + cluster.path("w"), "--ip=127.0.0.1", "--port=0",
                "--runtime_dir=" + cluster.path("r"), "--launcher=posix"]
    words = [d for d in defaults if not d.startswith(name + "=")] + [flag]
    ended = subprocess.run([os.path.join(BIN, "mesos-agent"), *words], capture_output=True, text=True, timeout=60,
                           check=False)
    assert ended.returncode == 1
    assert text in ended.stderr.strip().splitlines()[0], ended.stderr
