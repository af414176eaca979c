# SPDX-License-Identifier: Apache-2.0
"""Task groups, from the scheduler's call to the last trace on the agent."""

import http.server
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

import harness
import pods
from pods import id_of, make_tasks
from proxy import Proxy

UML_RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "uml_run")


def test_a_pod_runs_and_ends(agent, scheduler):
    tasks = make_tasks("echo one; sleep 0.2", "echo two; echo \"$MESOS_ALLOCATION_ROLE\" $MESOS_CONTAINER_IP; pwd")
    executor = pods.launch(scheduler, tasks)
    for task in tasks:
        assert scheduler.wait_end(id_of(task))["state"] == "TASK_FINISHED"
        assert scheduler.states_of(id_of(task)) == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
    end = scheduler.wait_end(id_of(tasks[0]))
    assert end["message"] == "Command exited with status 0"
    assert end["source"] == "SOURCE_EXECUTOR"
    assert end["executor_id"] == executor["executor_id"]
    nested = end["container_status"]["container_id"]
    pods.wait_gone(agent, executor)
    assert pods.sandbox(agent, executor).endswith("/runs/" + nested["parent"]["value"])
    assert pods.task_file(agent, executor, tasks[0]) == "one\n"
    name = scheduler.wait_end(id_of(tasks[1]))["container_status"]["container_id"]["value"]
    assert pods.task_file(agent, executor, tasks[1]) == "two\n* 127.0.0.1\n%s\n" % os.path.join(
        pods.sandbox(agent, executor), "containers", name)


def test_one_fails_and_the_others_are_killed(agent, scheduler):
    tasks = make_tasks("sleep 1000", "sleep 0.3; exit 7", "sleep 1000")
    executor = pods.launch(scheduler, tasks)
    failed = scheduler.wait_end(id_of(tasks[1]))
    assert (failed["state"], failed["message"]) == ("TASK_FAILED", "Command exited with status 7")
    for task in (tasks[0], tasks[2]):
        killed = scheduler.wait_end(id_of(task))
        assert (killed["state"], killed["message"]) == ("TASK_KILLED", "Command terminated with signal Terminated")
    pods.wait_gone(agent, executor)


def test_one_is_killed_and_the_others_with_it(agent, scheduler):
    stubborn = "trap '' TERM; echo up; while :; do sleep 0.05; done"
    tasks = make_tasks("sleep 1000", stubborn)
    executor = pods.launch(scheduler, tasks)
    for task in tasks:
        scheduler.wait_update(id_of(task), "TASK_RUNNING")
    harness.wait_for(lambda: pods.task_file(agent, executor, tasks[1]) == "up\n")
    scheduler.kill(id_of(tasks[1]), grace_seconds=0.2)
    end = scheduler.wait_end(id_of(tasks[1]))
    assert (end["state"], end["message"]) == ("TASK_KILLED", "Command terminated with signal Killed")
    assert scheduler.wait_end(id_of(tasks[0]))["state"] == "TASK_KILLED"
    pods.wait_gone(agent, executor)


def test_finished_tasks_leave_the_others_alone(agent, scheduler):
    tasks = make_tasks("true", "sleep 1000")
    executor = pods.launch(scheduler, tasks)
    assert scheduler.wait_end(id_of(tasks[0]))["state"] == "TASK_FINISHED"
    # Another group joins the same executor.
    more = make_tasks("sleep 0.2")
    pods.launch(scheduler, more, executor)
    assert scheduler.wait_end(id_of(more[0]))["state"] == "TASK_FINISHED"
    assert scheduler.states_of(id_of(tasks[1])) == ["TASK_STARTING", "TASK_RUNNING"]
    scheduler.kill(id_of(tasks[1]))
    assert scheduler.wait_end(id_of(tasks[1]))["state"] == "TASK_KILLED"
    pods.wait_gone(agent, executor)


def test_a_command_that_cannot_start(agent, scheduler):
    tasks = make_tasks("sleep 1000", {"shell": False, "value": "/nowhere/program"})
    executor = pods.launch(scheduler, tasks)
    failed = scheduler.wait_end(id_of(tasks[1]))
    assert failed["state"] == "TASK_FAILED"
    assert failed["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
    assert failed["message"] == ("Failed to launch container: Failed to execute '/nowhere/program': "
                                 "No such file or directory")
    assert scheduler.wait_end(id_of(tasks[0]))["state"] == "TASK_KILLED"
    pods.wait_gone(agent, executor)


def test_volumes_are_shared_by_sandbox_path(agent, scheduler):
    def task(command):
        return harness.make_task(command, container={"type": "MESOS", "volumes": [{
            "mode": "RW", "container_path": "shared",
            "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "data"}}}]})

    tasks = [task("echo hello >shared/note; sleep 0.5"), task("until cat shared/note; do sleep 0.02; done")]
    executor = pods.launch(scheduler, tasks)
    for one in tasks:
        assert scheduler.wait_end(id_of(one))["state"] == "TASK_FINISHED"
    assert pods.task_file(agent, executor, tasks[1]) == "hello\n"
    pods.wait_gone(agent, executor)


def test_out_of_time(agent, scheduler):
    tasks = [harness.make_task("sleep 1000", max_completion_time={"nanoseconds": 300000000}),
             harness.make_task("sleep 1000")]
    executor = pods.launch(scheduler, tasks)
    end = scheduler.wait_end(id_of(tasks[0]))
    assert (end["state"], end["reason"]) == ("TASK_FAILED", "REASON_MAX_COMPLETION_TIME_REACHED")
    assert scheduler.wait_end(id_of(tasks[1]))["state"] == "TASK_KILLED"
    pods.wait_gone(agent, executor)


def test_the_executor_dies(agent, scheduler):
    tasks = make_tasks("sleep 1000", "sleep 1000")
    executor = pods.launch(scheduler, tasks)
    for task in tasks:
        scheduler.wait_update(id_of(task), "TASK_RUNNING")
    found = pods.containers(agent)
    root = next(c for name, c in found.items() if "." not in name)
    assert len(found) == 3 and root["executor_id"] == executor["executor_id"]
    os.kill(root["container_status"]["executor_pid"], signal.SIGKILL)
    for task in tasks:
        end = scheduler.wait_end(id_of(task))
        assert (end["state"], end["reason"]) == ("TASK_FAILED", "REASON_EXECUTOR_TERMINATED")
    assert scheduler.wait("FAILURE")["failure"]["executor_id"] == executor["executor_id"]
    pods.wait_gone(agent, executor)
    assert pods.containers(agent) == {}


def test_teardown_ends_all(agent, scheduler):
    tasks = make_tasks("sleep 1000", "trap '' TERM; while :; do sleep 0.05; done")
    executor = pods.launch(scheduler, tasks)
    for task in tasks:
        scheduler.wait_update(id_of(task), "TASK_RUNNING")
    scheduler.teardown()
    pods.wait_gone(agent, executor)
    assert pods.containers(agent) == {}


def test_agent_is_killed_and_comes_back(cluster, master, agent):
    scheduler = cluster.scheduler(master, checkpoint=True, failover_timeout=60)
    tasks = make_tasks("until [ -e go ]; do sleep 0.05; done", "sleep 1000")
    executor = pods.launch(scheduler, tasks)
    for task in tasks:
        scheduler.wait_update(id_of(task), "TASK_RUNNING")
    sandbox = pods.sandbox(agent, executor)
    before = pods.containers(agent)
    for i in range(3):
        agent.kill()
        if i == 2:  # one ends while nobody looks
            open(os.path.join(sandbox, "tasks", id_of(tasks[0]), "go"), "w", encoding="utf-8").close()
        agent.restart()
        cluster.wait_registered(agent, master)
        if i < 2:
            after = harness.wait_for(lambda: len(pods.containers(agent)) == 3 and pods.containers(agent), 20)
            assert {n: c["container_status"]["executor_pid"] for n, c in after.items()} == {
                n: c["container_status"]["executor_pid"] for n, c in before.items()}
    end = scheduler.wait_end(id_of(tasks[0]))
    assert (end["state"], end["message"]) == ("TASK_FINISHED", "Command exited with status 0")
    # A group goes into an executor that an earlier agent launched.
    more = make_tasks("echo more")
    pods.launch(scheduler, more, executor)
    assert scheduler.wait_end(id_of(more[0]))["state"] == "TASK_FINISHED"
    scheduler.kill(id_of(tasks[1]))
    assert scheduler.wait_end(id_of(tasks[1]))["state"] == "TASK_KILLED"
    pods.wait_gone(agent, executor)
    scheduler.teardown()


def statuses(scheduler, task):
    return [e["update"]["status"] for e in scheduler.events
            if e["type"] == "UPDATE" and e["update"]["status"]["task_id"]["value"] == id_of(task)]


def wait_status(scheduler, task, condition, timeout=15):
    def find():
        scheduler.pump()
        return next((s for s in statuses(scheduler, task) if condition(s)), None)
    return harness.wait_for(find, timeout, "a status of " + id_of(task))


def test_command_check_runs_inside_the_task(agent, scheduler):
    check = {"type": "COMMAND", "delay_seconds": 0, "interval_seconds": 0.1, "timeout_seconds": 5, "command": {
        "command": {"value": "exit $(cat status || echo 0)"}}}
    tasks = [harness.make_task("sleep 1000", check=check), harness.make_task("sleep 1000")]
    executor = pods.launch(scheduler, tasks)
    wait_status(scheduler, tasks[0], lambda s: s["check_status"]["command"].get("exit_code") == 0)
    assert statuses(scheduler, tasks[0])[0]["check_status"] == {"type": "COMMAND", "command": {}}
    path = os.path.join(pods.sandbox(agent, executor), "tasks", id_of(tasks[0]), "status")
    with open(path, "w", encoding="utf-8") as file:
        file.write("3")
    status = wait_status(scheduler, tasks[0], lambda s: s["check_status"]["command"].get("exit_code") == 3)
    assert (status["state"], status["reason"]) == ("TASK_RUNNING", "REASON_TASK_CHECK_STATUS_UPDATED")
    # Each look has a container of its own, which goes with it.
    folder = os.path.join(pods.sandbox(agent, executor), "tasks", id_of(tasks[0]), "containers")
    harness.wait_for(lambda: len(os.listdir(folder)) <= 1)
    assert "check_status" not in scheduler.wait_update(id_of(tasks[1]), "TASK_RUNNING")
    scheduler.kill(id_of(tasks[1]))
    assert scheduler.wait_end(id_of(tasks[0]))["state"] == "TASK_KILLED"
    pods.wait_gone(agent, executor)


def test_health_check_has_the_group_killed(agent, scheduler):
    check = {"type": "COMMAND", "delay_seconds": 0, "interval_seconds": 0.1, "grace_period_seconds": 0,
             "consecutive_failures": 2, "command": {"value": "test -e healthy"}}
    tasks = [harness.make_task("touch healthy; sleep 1000", health_check=check), harness.make_task("sleep 1000")]
    executor = pods.launch(scheduler, tasks)
    wait_status(scheduler, tasks[0], lambda s: s.get("healthy"))
    os.unlink(os.path.join(pods.sandbox(agent, executor), "tasks", id_of(tasks[0]), "healthy"))
    end = scheduler.wait_end(id_of(tasks[0]))
    assert (end["state"], end["healthy"]) == ("TASK_KILLED", False)
    failed = [s for s in statuses(scheduler, tasks[0]) if s.get("healthy") is False and s["state"] == "TASK_RUNNING"]
    assert [s["reason"] for s in failed] == ["REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"] * 2
    assert scheduler.wait_end(id_of(tasks[1]))["state"] == "TASK_KILLED"
    pods.wait_gone(agent, executor)


def test_tcp_health_check(agent, scheduler):
    port = harness.find_port()
    serve = "exec python3 -m http.server --bind 127.0.0.1 %d" % port
    check = {"type": "TCP", "delay_seconds": 0, "interval_seconds": 0.1, "tcp": {"port": port}}
    tasks = [harness.make_task(serve, health_check=check, cpus=1, mem=64)]
    executor = pods.launch(scheduler, tasks)
    wait_status(scheduler, tasks[0], lambda s: s.get("healthy"))
    scheduler.kill(id_of(tasks[0]))
    assert scheduler.wait_end(id_of(tasks[0]))["state"] == "TASK_KILLED"
    pods.wait_gone(agent, executor)


def test_checks_pause_while_the_agent_is_away(cluster, master, agent):
    """They would count failures that are the agent's, and nobody could be told."""
    looks = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            looks.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    check = {"type": "HTTP", "delay_seconds": 0, "interval_seconds": 0.05, "timeout_seconds": 5,
             "http": {"port": server.server_address[1], "path": "/"}}
    scheduler = cluster.scheduler(master, checkpoint=True, failover_timeout=60)
    tasks = [harness.make_task("sleep 1000", health_check=check)]
    executor = pods.launch(scheduler, tasks)
    wait_status(scheduler, tasks[0], lambda s: s.get("healthy"))
    sandbox = pods.sandbox(agent, executor)
    agent.kill()

    def has_paused():
        with open(os.path.join(sandbox, "stderr"), encoding="utf-8") as file:
            return "the checks of 1 tasks pause" in file.read()
    harness.wait_for(has_paused, 20, "the checks to pause")
    time.sleep(0.5)  # for a request that was on its way
    count = len(looks)
    time.sleep(1)
    assert len(looks) == count
    agent.restart()
    cluster.wait_registered(agent, master)
    harness.wait_for(lambda: len(looks) > count + 3, 20, "the checks to go on")
    scheduler.kill(id_of(tasks[0]))
    assert scheduler.wait_end(id_of(tasks[0]))["state"] == "TASK_KILLED"
    pods.wait_gone(agent, executor)
    scheduler.teardown()
    server.shutdown()
    server.server_close()


def test_agent_is_killed_without_checkpoints(cluster, master, agent, scheduler):
    tasks = make_tasks("sleep 1000", "trap '' TERM HUP; while :; do sleep 0.05; done")
    pods.launch(scheduler, tasks)
    for task in tasks:
        scheduler.wait_update(id_of(task), "TASK_RUNNING")
    pids = [c["container_status"]["executor_pid"] for c in pods.containers(agent).values()]
    agent.kill()
    # They end with their agent, also without another one: nobody would know of them.
    harness.wait_for(lambda: not any(map(harness.is_running, pids)), 20, "the containers' end")
    for task in tasks:
        assert scheduler.wait_end(id_of(task))["state"] == "TASK_LOST"
    agent.restart()
    cluster.wait_registered(agent, master)
    assert pods.containers(agent) == {}


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4))
def test_agent_is_killed_at_random_moments(cluster, seed):
    """Whatever an agent was doing for a group: each of its tasks ends, and nothing is left of it."""
    random_ = random.Random(seed)
    master = cluster.start_master()
    agent = cluster.start_agent(master)
    scheduler = cluster.scheduler(master, checkpoint=True, failover_timeout=600,
                                  capabilities=[{"type": "PARTITION_AWARE"}])
    launched = []
    for _ in range(50):
        cluster.wait_registered(agent, master)
        tasks = make_tasks(*["sleep %.2f; exit %d" % (random_.random() * 0.5, random_.random() < 0.1)
                             for _ in range(random_.choice([1, 2, 3]))])
        pods.launch(scheduler, tasks)
        launched += tasks
        time.sleep(random_.random() * 0.3)
        agent.kill()
        time.sleep(random_.random() * 0.1)
        agent.restart()
    cluster.wait_registered(agent, master)
    ends = [scheduler.wait_end(id_of(task), 60) for task in launched]
    assert sum(end["state"] == "TASK_FINISHED" for end in ends) > len(ends) / 2
    for end in ends:
        # TASK_ERROR: the offer was smaller than what the group wants; what earlier ones hold still counts.
        assert end["state"] in ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_DROPPED", "TASK_LOST", "TASK_ERROR"), end
        assert "unknown status" not in end.get("message", ""), end
    harness.wait_for(lambda: pods.containers(agent) == {}, 20, "the containers to go")
    scheduler.teardown()


@pytest.mark.root
@pytest.mark.cgroups
def test_a_task_with_its_own_memory_limit(cluster, master):
    agent = cluster.start_agent(master, isolation="cgroups/cpu,cgroups/mem")
    scheduler = cluster.scheduler(master)
    apart = {"type": "MESOS", "linux_info": {"share_cgroups": False}}
    tasks = [harness.make_task("head -c 150M /dev/zero | tail; sleep 1000", mem=40, container=apart),
             harness.make_task("sleep 1000", mem=256, container=apart)]
    executor = pods.launch(scheduler, tasks)
    end = scheduler.wait_end(id_of(tasks[0]))
    assert (end["state"], end["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LIMITATION_MEMORY")
    assert "Memory limit exceeded: Requested: 40MB" in end["message"]
    assert end["limitation"]["resources"][0]["name"] == "mem"
    assert scheduler.wait_end(id_of(tasks[1]))["state"] == "TASK_KILLED"
    pods.wait_gone(agent, executor)


@pytest.mark.root
@pytest.mark.parametrize("cgroups", ["1", "2"])
def test_pods_in_uml(cgroups):
    """A few of the above on both cgroup versions."""
    if "asan" in os.path.basename(harness.BUILD):
        pytest.skip("user-mode Linux gives a process less address space than the address sanitizer needs")
    done = subprocess.run(
        [UML_RUN, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", os.path.abspath(__file__), "-k",
         "runs_and_ends or executor_dies or own_memory_limit or (agent_is_killed and comes_back)"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "UML_CGROUPS": cgroups, "UML_MEM": "1024M"})
    if done.returncode == 77:
        pytest.skip("no user-mode Linux here")
    assert done.returncode == 0 and "4 passed" in done.stdout, done.stdout + done.stderr


def test_connections_of_the_executor_break(cluster, master):
    """Each answer may be lost: what was asked for is asked for again, and done once."""
    port = harness.find_port()
    proxy = Proxy("127.0.0.1:%d" % port)
    try:
        agent = cluster.start_agent(master, wait=False, port=port, advertise_port=proxy.address.split(":")[1])
        scheduler = cluster.scheduler(master, checkpoint=True, failover_timeout=60)
        groups = []
        for i in range(4):
            tasks = make_tasks("echo ran; sleep 0.5", "echo ran; sleep 0.3")
            groups.append((pods.launch(scheduler, tasks), tasks))
            time.sleep(0.03 * i)
            for _ in range(3):
                proxy.cut()
                time.sleep(0.05)
        for executor, tasks in groups:
            for task in tasks:
                assert scheduler.wait_end(id_of(task), 30)["state"] == "TASK_FINISHED"
                assert pods.task_file(agent, executor, task) == "ran\n"
            pods.wait_gone(agent, executor)
        scheduler.teardown()
    finally:
        proxy.close()


def test_a_persistent_volume_in_a_pod(cluster, master):
    role, stack = "storage", [{"type": "DYNAMIC", "role": "storage", "principal": "p"}]
    agent = cluster.start_agent(master, resources="cpus:2;mem:512;disk:500")
    scheduler = cluster.scheduler(master, principal="p", roles=[role], capabilities=[
        {"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}])
    disk = {**harness.scalar("disk", 100), "reservations": stack}
    volume = {**disk, "disk": {"persistence": {"id": "v", "principal": "p"},
                               "volume": {"mode": "RW", "container_path": "data"}}}
    offer = scheduler.take_offer()
    writer = make_tasks("echo kept >data/file; cat data/file")[0]
    writer["resources"].append(volume)
    writer["agent_id"] = offer["agent_id"]
    executor = pods.make_executor(scheduler)
    scheduler.accept([offer], [
        {"type": "RESERVE", "reserve": {"resources": [disk]}}, {"type": "CREATE", "create": {"volumes": [volume]}},
        {"type": "LAUNCH_GROUP", "launch_group": {"executor": executor, "task_group": {"tasks": [writer]}}}], 0)
    assert scheduler.wait_end(id_of(writer))["state"] == "TASK_FINISHED"
    pods.wait_gone(agent, executor)
    reader = make_tasks("cat data/file")[0]
    reader["resources"].append(volume)
    offer = scheduler.take_offer(lambda o: any(r.get("disk", {}).get("persistence") for r in o["resources"]))
    executor = pods.launch(scheduler, [reader], offer=offer)
    assert scheduler.wait_end(id_of(reader))["state"] == "TASK_FINISHED"
    assert pods.task_file(agent, executor, reader) == "kept\n"


def test_pymesos(cluster, master, agent):
    """The same by an unmodified client library."""
    process = cluster.popen([sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "pod_framework.py"),
                             master.address], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = process.communicate(timeout=90)[0]
    assert process.returncode == 0, output
    for name in ("web", "log"):
        assert "task %s TASK_RUNNING" % name in output and "task %s TASK_KILLED" % name in output, output
    harness.wait_for(lambda: pods.containers(agent) == {})
