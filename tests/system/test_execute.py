# SPDX-License-Identifier: Apache-2.0
"""mesos-execute: its lines, its exit status, its flags."""

import json
import os
import re
import signal
import subprocess
import threading
import time
import http.server

import pytest

from harness import BIN, find_port, wait_for

EXECUTE = os.path.join(BIN, "mesos-execute")


def execute(cluster, master, *flags, timeout=30):
    process = cluster.popen([EXECUTE, "--master=" + master.address, *flags], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def refuse(*flags):
    done = subprocess.run([EXECUTE, *flags], capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 1
    return done.stderr


def stdout_of(cluster, agent, output, task_id):
    framework_id = re.search(r"Subscribed with ID (\S+)", output).group(1)
    with open(os.path.join(cluster.sandbox(agent, framework_id, task_id), "stdout"), encoding="utf-8") as file:
        return file.read()


def test_the_tutorials_lines(cluster, master, agent):
    """`--command=echo "Hello, World"`: the stray word is ignored, as in Mesos."""
    status, out, err = execute(cluster, master, "--name=echo-test", "--command=echo", "Hello, World")
    assert status == 0, err
    agent_id = agent.state()["id"]
    lines = out.splitlines()
    assert re.fullmatch(r"Subscribed with ID [0-9a-f-]{36}-\d{4}", lines[0])
    assert lines[1:] == ["Submitted task 'echo-test' to agent '%s'" % agent_id,
                         "Received status update TASK_STARTING for task 'echo-test'",
                         "  source: SOURCE_EXECUTOR",
                         "Received status update TASK_RUNNING for task 'echo-test'",
                         "  source: SOURCE_EXECUTOR",
                         "Received status update TASK_FINISHED for task 'echo-test'",
                         "  message: 'Command exited with status 0'",
                         "  source: SOURCE_EXECUTOR"]
    assert stdout_of(cluster, agent, out, "echo-test") == "\n"


def group_file(cluster, *commands):
    path = os.path.join(cluster.directory, "group.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"tasks": [{
            "name": "task {%d}" % i, "task_id": {"value": "t%d" % i}, "command": {"value": command},
            "resources": [{"name": n, "type": "SCALAR", "scalar": {"value": v}} for n, v in (("cpus", 0.1), ("mem", 32))]}
            for i, command in enumerate(commands)]}, file)
    return path


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_task_group(cluster, master, agent, prefix):
    status, out, err = execute(cluster, master, "--task_group=" + prefix + group_file(cluster, "true", "sleep 0.3"))
    assert status == 0, out + err
    assert "Submitted task group with tasks [ t0, t1 ] to agent '%s'" % agent.state()["id"] in out
    for task in ("t0", "t1"):
        assert "Received status update TASK_FINISHED for task '%s'" % task in out


def test_a_task_group_that_fails_or_is_killed(cluster, master, agent):
    status, out, err = execute(cluster, master, "--task_group=" + group_file(cluster, "exit 3", "sleep 1000"))
    assert status == 1, out + err
    assert "Received status update TASK_FAILED for task 't0'" in out
    assert "Received status update TASK_KILLED for task 't1'" in out
    status, out, err = execute(cluster, master, "--task_group=" + group_file(cluster, "sleep 1000", "sleep 1000"),
                               "--kill_after=300ms")
    assert status == 1, out + err
    for task in ("t0", "t1"):
        assert "Received status update TASK_KILLED for task '%s'" % task in out


@pytest.mark.parametrize("content_type", ["json", "protobuf", "application/json", "application/x-protobuf"])
def test_content_types(cluster, master, agent, content_type):
    status, out, err = execute(cluster, master, "--name=a", "--command=true", "--content_type=" + content_type)
    assert status == 0, out + err


def test_failing_command(cluster, master, agent):
    status, out, _ = execute(cluster, master, "--name=a", "--command=exit 3")
    assert status == 1
    assert "Received status update TASK_FAILED for task 'a'\n  message: 'Command exited with status 3'\n" in out


def test_environment_and_shell(cluster, master, agent):
    status, out, err = execute(cluster, master, "--name=a", "--command=echo $A$B",
                               '--env={"A": "one ", "B": "two", "C": 3}')
    assert status == 0, err
    assert stdout_of(cluster, agent, out, "a") == "one two\n"
    status, out, err = execute(cluster, master, "--name=b", "--no-shell", "--command=/bin/pwd")
    assert status == 0, err
    assert stdout_of(cluster, agent, out, "b").endswith("/executors/b/runs/" + os.path.basename(
        os.path.realpath(cluster.sandbox(agent, re.search(r"ID (\S+)", out).group(1), "b"))) + "\n")


def test_resources_that_nobody_has(cluster, master, agent):
    process = cluster.popen([EXECUTE, "--master=" + master.address, "--name=a", "--command=true",
                             "--resources=cpus:1000;mem:1"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("Subscribed")
    wait_for(lambda: master.metrics()["master/messages_decline_offers"] >= 1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert process.stdout.read().startswith("Tearing down framework")


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_takes_the_framework_down(cluster, master, agent, number, status):
    process = cluster.popen([EXECUTE, "--master=" + master.address, "--name=a", "--command=sleep 1000"],
                            stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if "TASK_RUNNING" in line:
            break
    process.send_signal(number)
    assert process.wait(10) == status
    state = wait_for(lambda: (s := master.state()) and s["completed_frameworks"] and s)
    assert state["frameworks"] == []
    assert state["completed_frameworks"][0]["name"] == "mesos-execute instance"


def test_kill_after(cluster, master, agent):
    start = time.monotonic()
    status, out, _ = execute(cluster, master, "--name=a", "--command=sleep 1000", "--kill_after=300ms")
    assert status == 1
    assert time.monotonic() - start < 10
    assert "Asked to kill task 'a' on agent '%s'" % agent.state()["id"] in out
    assert "TASK_KILLING for task 'a'" in out
    assert "TASK_KILLED for task 'a'\n  message: 'Command terminated with signal Terminated'" in out


def test_framework_of_mesos_execute(cluster, master, agent):
    process = cluster.popen([EXECUTE, "--master=" + master.address, "--name=a", "--command=sleep 1000",
                             "--principal=me", "--checkpoint", "--framework_capabilities=GPU_RESOURCES",
                             "--role=dev"], stdout=subprocess.PIPE, text=True)
    framework = wait_for(lambda: (master.state()["frameworks"] or [None])[0])
    assert framework["principal"] == "me"
    assert framework["checkpoint"] is True
    assert framework["role"] == "dev"
    assert sorted(framework["capabilities"]) == ["GPU_RESOURCES", "PARTITION_AWARE", "RESERVATION_REFINEMENT",
                                                 "REVOCABLE_RESOURCES", "TASK_KILLING_STATE"]
    wait_for(lambda: master.state()["frameworks"][0]["tasks"])
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130


TASK = {"name": "named", "task_id": {"value": "the-id"},
        "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}},
                      {"name": "mem", "type": "SCALAR", "scalar": {"value": 32}}],
        "command": {"value": "echo from JSON"}}


@pytest.mark.parametrize("form", ["text", "uri", "path"])
def test_task_as_json(cluster, master, agent, form):
    path = cluster.path("task.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(TASK, file, indent=2)
    flag = {"text": json.dumps(TASK), "uri": "file://" + path, "path": path}[form]
    status, out, err = execute(cluster, master, "--task=" + flag)
    assert status == 0, err
    assert "Submitted task 'named' to agent" in out
    assert "Received status update TASK_FINISHED for task 'the-id'" in out
    assert stdout_of(cluster, agent, out, "the-id") == "from JSON\n"


def test_task_that_the_master_refuses(cluster, master, agent):
    status, out, _ = execute(cluster, master, "--task=" + json.dumps({**TASK, "task_id": {"value": "a/b"}}))
    assert status == 1
    assert "Received status update TASK_ERROR for task 'a/b'" in out
    assert "  source: SOURCE_MASTER\n  reason: REASON_TASK_INVALID" in out


def test_checks_are_told(cluster, master, agent):
    fast = {"delay_seconds": 0, "interval_seconds": 0.1}
    task = {**TASK, "command": {"value": "while [ ! -e seen ]; do sleep 0.05; done; sleep 1"},
            "health_check": {"type": "COMMAND", "command": {"value": "true"}, **fast},
            "check": {"type": "COMMAND", "command": {"command": {"value": "touch seen; exit 6"}}, **fast}}
    status, out, err = execute(cluster, master, "--task=" + json.dumps(task))
    assert status == 0, out + err
    assert "  healthy?: 1\n" in out
    assert "  check status: COMMAND\n" in out
    assert "  check status: COMMAND exit code 6\n" in out


def test_package(cluster, master, agent):
    path = cluster.path("data.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write("fetched\n")
    status, out, err = execute(cluster, master, "--name=a", "--command=cat data.txt", "--package=" + path)
    assert status == 0, out + err
    assert stdout_of(cluster, agent, out, "a") == "fetched\n"


def test_follows_a_redirect(cluster, master, agent):
    class Standby(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(307)
            self.send_header("Location", "//%s/api/v1/scheduler" % master.address)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Standby)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        process = cluster.popen([EXECUTE, "--master=127.0.0.1:%d" % server.server_address[1], "--name=a",
                                 "--command=true"], stdout=subprocess.PIPE, text=True)
        assert "TASK_FINISHED" in process.communicate(timeout=20)[0]
        assert process.returncode == 0
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_waits_for_a_master(cluster):
    port = find_port()
    process = cluster.popen([EXECUTE, "--master=127.0.0.1:%d" % port, "--name=a", "--command=true"],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "Not connected to the master, still trying" in process.stderr.readline()
    cluster.start_master(port=port)
    cluster.start_agent()
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out


def test_outlives_a_restart_of_the_master(cluster, master, agent):
    """The agent and mesos-execute come back to the new master, and the task's end is not lost."""
    go = cluster.path("go")
    process = cluster.popen([EXECUTE, "--master=" + master.address, "--name=a",
                             "--command=while ! [ -e %s ]; do sleep 0.05; done" % go], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True)
    for line in process.stdout:
        if "TASK_RUNNING" in line:
            break
    master.kill()
    master.restart()
    for line in process.stdout:
        if line.startswith("Subscribed with ID"):
            break
    cluster.wait_registered(agent, master)
    with open(go, "w", encoding="utf-8"):
        pass
    assert "Received status update TASK_FINISHED for task 'a'" in process.communicate(timeout=30)[0]
    assert process.returncode == 0


def test_master_from_a_file(cluster, master, agent):
    path = cluster.path("master")
    with open(path, "w", encoding="utf-8") as file:
        file.write(master.address + "\n")
    process = cluster.popen([EXECUTE, "--master=file://" + path, "--name=a", "--command=true"],
                            stdout=subprocess.PIPE, text=True)
    process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.root
def test_what_the_container_gets(cluster, master):
    """Limits of processes, capabilities, volumes and limits beyond what was asked for."""
    agent = cluster.start_agent(master, isolation="cgroups/cpu,cgroups/mem,filesystem/linux")
    place = cluster.path("place")
    os.makedirs(place)
    with open(place + "/file", "w", encoding="utf-8") as file:
        file.write("there\n")
    volumes = cluster.path("volumes.json")
    with open(volumes, "w", encoding="utf-8") as file:
        json.dump([{"container_path": "seen", "mode": "RO", "source": {
            "type": "HOST_PATH", "host_path": {"path": place}}}], file)
    status, out, err = execute(
        cluster, master, "--name=limited", "--command=ulimit -n; grep CapEff /proc/self/status; cat seen/file; touch seen/x",
        "--rlimits={\"rlimits\": [{\"type\": \"RLMT_NOFILE\", \"soft\": 70, \"hard\": 70}]}",
        "--effective_capabilities={\"capabilities\": [\"KILL\", \"DAC_OVERRIDE\"]}",
        "--bounding_capabilities={\"capabilities\": [\"KILL\", \"DAC_OVERRIDE\"]}", "--volumes=" + volumes)
    assert status != 0, err  # touch: the volume is read-only
    words = stdout_of(cluster, agent, out, "limited").split()
    assert words == ["70", "CapEff:", "%016x" % 0x22, "there"]
    task = {"name": "t", "task_id": {"value": "t"}, "command": {"value": "true"}, "limits": {
        "cpus": {"value": "Infinity"}, "mem": {"value": 200}}, "resources": [
        {"name": n, "type": "SCALAR", "scalar": {"value": v}} for n, v in (("cpus", 0.1), ("mem", 32))]}
    status, out, err = execute(cluster, master, "--task=" + json.dumps(task))
    assert status == 0, out + err


def test_a_terminal(cluster, master, agent):
    status, out, err = execute(cluster, master, "--name=t", "--command=tty -s && echo yes", "--tty")
    assert status == 0, err
    assert "yes" in stdout_of(cluster, agent, out, "t")
    status, out, err = execute(cluster, master, "--name=u", "--command=tty -s")
    assert status != 0, err


@pytest.mark.parametrize("flags, text", [
    (["--name=a", "--command=b"], "master"),
    (["--master=x", "--command=b"], "Missing required option --name"),
    (["--master=x", "--name=a"], "Missing required option --command"),
    (["--master=x", "--name=a", "--command=b", "--content_type=xml"], "Invalid content type 'xml'"),
    (["--master=x", "--name=a", "--command=b", "--resources=cpus"], "Failed to parse resources 'cpus'"),
    (["--master=x", "--name=a", "--command=b", "--env=[1]"], "--env"),
    (["--master=x", "--name=a", "--command=b", "--env={"], "--env"),
    (["--master=x", "--name=a", "--command=b", "--docker_image=busybox"],
     "--docker_image is not supported: agents have no images"),
    (["--master=x", "--name=a", "--command=b", "--networks=n"],
     "--networks is not supported: tasks share the network of their agent"),
    (["--master=x", "--name=a", "--command=b", "--hdfs=h:9000"], "--hdfs is not supported: HDFS is not"),
    (["--master=x", "--name=a", "--command=b", "--rlimits=[]"], "Failed to load --rlimits"),
    (["--master=x", "--name=a", "--command=b", "--rlimits={\"rlimits\": [{\"type\": \"X\"}]}"], "Failed to load --rlimits"),
    (["--master=x", "--name=a", "--command=b", "--effective_capabilities={\"capabilities\": [\"UNKNOWN\"]}"],
     "Failed to load --effective_capabilities"),
    (["--master=x", "--name=a", "--command=b", "--volumes={}"], "Failed to load --volumes: it is not a JSON list"),
    (["--master=x", "--name=a", "--command=b", "--volumes=/no/such/file"], "Failed to load --volumes"),
    (["--master=x", "--name=a", "--command=b", "--volumes=[{\"mode\": \"RW\"}]"], "Failed to load --volumes"),
    (["--master=x", "--task={}", "--tty"], "cannot be given beside --task: its 'container' says it"),
    (["--master=x", "--name=a", "--command=b", "--containerizer=docker"], "--containerizer=docker is not supported"),
    (["--master=x", "--name=a", "--command=b", "--package=hdfs://h/p"], "HDFS is not supported"),
    (["--master=x", "--name=a", "--command=b", "--framework_capabilities=FLYING"], "unknown capability 'FLYING'"),
    (["--master=x", "--name=a", "--command=b", "--framework_capabilities=MULTI_ROLE"], "unsupported capability"),
    (["--master=x", "--task={}", "--name=a"], "cannot be given beside --task"),
    (["--master=x", "--task={}"], "Failed to load --task"),
    (["--master=x", "--task=/no/such/file"], "Failed to load --task"),
    (["--master=x", "--task={}", "--task_group={}"], "--task and --task_group cannot be given together"),
    (["--master=x", "--task_group={}", "--command=b"], "cannot be given beside --task_group"),
    (["--master=x", "--task_group={\"tasks\": []}"], "it has no tasks"),
    (["--master=x", "--task_group={\"tasks\": [{\"name\": 1}]}"], "Failed to load --task_group"),
    (["--master=zk://a:2181/", "--name=a", "--command=b"], "Expecting a (chroot) path for ZooKeeper"),
    (["--master=x:y", "--name=a", "--command=b"], "Bad address 'x:y'"),
    (["--master=x", "--name=a", "--command=b", "--bogus=1"], "bogus"),
])
def test_refused_flags(flags, text):
    assert text in refuse(*flags)
