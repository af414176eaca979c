# SPDX-License-Identifier: Apache-2.0
"""The agent dies, or ends, and another one goes on: tasks, executors, updates, containers.

MESETA_RECOVERY_ROUNDS=200 makes the test of random moments longer than the suite's 20.
"""

import base64
import json
import os
import random
import signal
import sqlite3
import subprocess
import time

import pytest

from harness import BIN, ROOT, find_port, make_task, scalar, wait_for

ROUNDS = int(os.environ.get("MESETA_RECOVERY_ROUNDS", "20"))


@pytest.fixture
def scheduler(cluster, master, agent):
    return cluster.scheduler(master, checkpoint=True)


def start(scheduler, command="sleep 1000", **fields):
    """A task that runs; returns its id and its TASK_RUNNING."""
    task = make_task(command, **fields)
    scheduler.launch(scheduler.wait_offer(), [task], refuse_seconds=0)
    task_id = task["task_id"]["value"]
    return task_id, scheduler.wait_update(task_id, "TASK_RUNNING")


def come_back(cluster, agent):
    agent.restart()
    return cluster.wait_registered(agent)


def first_child(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
        return int(file.read().split()[0])


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def supervisors_of(agent):
    """Pids of what watches over the containers, from the agent's runtime directory."""
    directory = os.path.join(agent.flags["runtime_dir"], "containers")
    found = []
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), encoding="ascii") as file:
            found.append(file.readline().strip())
    return found


def uuids_of(scheduler, task_id):
    return [e["update"]["status"].get("uuid") for e in scheduler.events
            if e["type"] == "UPDATE" and e["update"]["status"]["task_id"]["value"] == task_id]


def database(agent):
    return os.path.join(agent.flags["work_dir"], "meta", "agent.db")


def change_database(agent, *statements):
    with sqlite3.connect(database(agent)) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


def count_rows(agent):
    """What is written down beside the agent itself (of an agent that does not run)."""
    db = sqlite3.connect(database(agent))
    rows = [r[0] for r in db.execute("SELECT key FROM entries WHERE key != 'agent'")]
    db.close()
    return rows


# ---- the task outlives the agent ----

@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_task_goes_on(cluster, agent, scheduler, number):
    agent_id = agent.state()["id"]
    task_id, running = start(scheduler, "while [ ! -e stop ]; do sleep 0.1; done; exit 0")
    sandbox = cluster.sandbox(agent, scheduler.framework_id, task_id)
    pid = agent.get("/containers").json()[0]["status"]["executor_pid"]
    agent.stop(number)
    time.sleep(0.3)
    assert come_back(cluster, agent)["id"] == agent_id
    executor = agent.state()["frameworks"][0]["executors"][0]
    assert [t["id"] for t in executor["tasks"]] == [task_id]
    assert executor["tasks"][0]["state"] == "TASK_RUNNING"
    assert agent.get("/containers").json()[0]["status"]["executor_pid"] == pid
    with open(os.path.join(sandbox, "stop"), "w", encoding="ascii"):
        pass
    assert scheduler.wait_end(task_id)["state"] == "TASK_FINISHED"
    assert scheduler.states_of(task_id) == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
    assert running["agent_id"]["value"] == agent_id


@pytest.mark.parametrize("code,state", [(0, "TASK_FINISHED"), (7, "TASK_FAILED")])
def test_task_that_ends_meanwhile(cluster, agent, scheduler, code, state):
    task_id, _ = start(scheduler, "while [ ! -e stop ]; do sleep 0.05; done; exit %d" % code)
    sandbox = cluster.sandbox(agent, scheduler.framework_id, task_id)
    agent.kill()
    with open(os.path.join(sandbox, "stop"), "w", encoding="ascii"):
        pass
    time.sleep(1)
    come_back(cluster, agent)
    status = scheduler.wait_end(task_id)
    assert status["state"] == state
    if code:
        assert "exited with status 7" in status["message"]
    wait_for(lambda: agent.state()["frameworks"] == [], what="the executor to be done")
    agent.stop(signal.SIGTERM)
    assert count_rows(agent) == []


def test_executor_that_dies_meanwhile(cluster, agent, scheduler):
    task_id, _ = start(scheduler)
    pid = agent.get("/containers").json()[0]["status"]["executor_pid"]
    agent.kill()
    os.kill(first_child(pid), signal.SIGKILL)
    wait_for(lambda: not is_alive(pid), what="the supervisor to end")
    come_back(cluster, agent)
    status = scheduler.wait_end(task_id)
    assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_EXECUTOR_TERMINATED")


def test_supervisor_that_dies_meanwhile(cluster, agent, scheduler):
    """Nobody could write the status down. The executor went with its supervisor."""
    task_id, _ = start(scheduler)
    pid = agent.get("/containers").json()[0]["status"]["executor_pid"]
    agent.kill()
    executor = first_child(pid)
    task = first_child(executor)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(executor), what="the executor to end")
    assert is_alive(task)
    come_back(cluster, agent)
    wait_for(lambda: not is_alive(task), what="the task's process to be found by its environment, and ended")
    status = scheduler.wait_end(task_id)
    assert (status["state"], status["reason"]) == ("TASK_FAILED", "REASON_EXECUTOR_TERMINATED")
    assert "unknown container" in status["message"]


def test_executor_that_does_not_come_back(cluster, agent, scheduler):
    task_id, _ = start(scheduler)
    pid = agent.get("/containers").json()[0]["status"]["executor_pid"]
    os.kill(first_child(pid), signal.SIGSTOP)
    agent.kill()
    come_back(cluster, agent)
    status = scheduler.wait_end(task_id)
    assert (status["state"], status["reason"]) == ("TASK_LOST", "REASON_EXECUTOR_REREGISTRATION_TIMEOUT")
    assert status["message"].startswith("Executor did not reregister within 2secs")


def test_without_checkpoint_tasks_end(cluster, master, agent):
    scheduler = cluster.scheduler(master)
    task_id, _ = start(scheduler)
    agent_id = agent.state()["id"]
    agent.stop(signal.SIGTERM)
    assert come_back(cluster, agent)["id"] == agent_id
    assert scheduler.wait_end(task_id)["state"] == "TASK_LOST"
    assert agent.state()["frameworks"] == []


def test_shutdown_ends_all(cluster, master, agent, scheduler):
    task_id, _ = start(scheduler)
    agent_id = agent.state()["id"]
    assert agent.stop(signal.SIGUSR1) == 0
    assert scheduler.wait_end(task_id)["state"] == "TASK_LOST"
    assert come_back(cluster, agent)["id"] != agent_id
    assert agent.state()["frameworks"] == []


@pytest.mark.root
@pytest.mark.cgroups
def test_cgroups(cluster, master):
    """A container is found by its control groups again: its memory is watched, and nothing of it stays."""
    agent = cluster.start_agent(master, launcher="linux", isolation="cgroups/cpu,cgroups/mem")
    scheduler = cluster.scheduler(master, checkpoint=True)
    hog = "while [ ! -e %s ]; do sleep 0.05; done; exec python3 -c 'x = bytearray(1 << 30); print(len(x))'"
    task_id, _ = start(scheduler, hog % cluster.path("go"), mem=64)
    agent.kill()
    come_back(cluster, agent)
    with open(cluster.path("go"), "w", encoding="ascii"):
        pass
    # Who tells first, the executor or the agent, is not settled.
    assert scheduler.wait_end(task_id)["state"] == "TASK_FAILED"
    wait_for(lambda: "ran out of memory" in agent.read_log(), what="the agent to notice")
    # One whose supervisor was killed while nobody looked.
    task_id, _ = start(scheduler)
    pid = agent.get("/containers").json()[0]["status"]["executor_pid"]
    agent.kill()
    os.kill(pid, signal.SIGKILL)
    come_back(cluster, agent)
    assert scheduler.wait_end(task_id)["state"] == "TASK_FAILED"
    wait_for(lambda: agent.state()["frameworks"] == [], what="the executors to be done")


# ---- updates ----

def test_unacknowledged_update_comes_once_more_and_then_no_more(cluster, agent, scheduler):
    scheduler.acknowledges = False
    task = make_task("true")
    task_id = task["task_id"]["value"]
    scheduler.launch(scheduler.wait_offer(), [task], refuse_seconds=0)
    first = scheduler.wait_update(task_id)
    wait_for(lambda: agent.metrics()["slave/tasks_finished"] == 1.0, what="the task's end")
    agent.kill()
    come_back(cluster, agent)
    again = scheduler.wait("UPDATE", lambda e: e["update"]["status"]["uuid"] == first["uuid"]
                           and uuids_of(scheduler, task_id).count(first["uuid"]) == 2)
    scheduler.acknowledges = True
    scheduler.acknowledge(again["update"]["status"])
    assert scheduler.wait_end(task_id)["state"] == "TASK_FINISHED"
    seen = uuids_of(scheduler, task_id)
    # The acknowledgement has come to the agent when its task is over for it.
    wait_for(lambda: not agent.state()["frameworks"], what="the last acknowledgement")
    agent.kill()
    come_back(cluster, agent)
    time.sleep(0.5)
    scheduler.run("true")  # what would come late has come by then
    assert uuids_of(scheduler, task_id) == seen
    assert [u for u in set(seen) if seen.count(u) > 1] == [first["uuid"]]


@pytest.mark.parametrize("round_number", range(4))
def test_kill_at_random_moments(cluster, master, agent, scheduler, round_number):
    """Whatever the moment: each task ends once, truly, and an acknowledged update never comes again."""
    chance = random.Random(int(os.environ.get("MESETA_RECOVERY_SEED", "1")) * 1000 + round_number)
    for _ in range(max(1, ROUNDS // 4)):
        code = chance.choice([0, 3])
        task = make_task("sleep %.3f; exit %d" % (chance.uniform(0, 0.3), code))
        task_id = task["task_id"]["value"]
        scheduler.launch(scheduler.wait_offer(timeout=20), [task], refuse_seconds=0)
        time.sleep(chance.uniform(0, 0.4))
        agent.kill()
        time.sleep(chance.choice([0, 0.2]))
        come_back(cluster, agent)
        status = scheduler.wait_end(task_id)
        # A launch that was cut off is told as what it is; a task that ran ends with its own status.
        if "TASK_RUNNING" in scheduler.states_of(task_id):
            assert status["state"] == ("TASK_FAILED" if code else "TASK_FINISHED"), status
            if code:
                assert "status 3" in status["message"]
        else:
            assert status["state"] in {"TASK_FAILED", "TASK_LOST", "TASK_FINISHED"}, status
        ends = {json.dumps(e["update"]["status"].get("uuid")) for e in scheduler.events if e["type"] == "UPDATE"
                and e["update"]["status"]["task_id"]["value"] == task_id
                and e["update"]["status"]["state"] in {"TASK_FAILED", "TASK_LOST", "TASK_FINISHED"}}
        assert len(ends) == 1, scheduler.events[-10:]
    wait_for(lambda: agent.state()["frameworks"] == [], what="all executors to be done")
    agent.stop(signal.SIGTERM)
    assert count_rows(agent) == []
    assert os.listdir(os.path.join(agent.flags["runtime_dir"], "containers")) == []


# ---- modes and policies ----

def test_cleanup(cluster, agent, scheduler):
    start(scheduler)
    agent_id = agent.state()["id"]
    agent.kill()
    agent.flags["recover"] = "cleanup"
    agent.start()
    assert agent.process.wait(15) == 0
    assert count_rows(agent) == []
    del agent.flags["recover"]
    assert come_back(cluster, agent)["id"] != agent_id


@pytest.mark.parametrize("policy,resources,attributes,is_accepted", [
    ("equal", "cpus:2;mem:1024;disk:1024", None, True),
    ("equal", "cpus:3;mem:1024;disk:1024", None, False),
    ("equal", "cpus:2;mem:1024;disk:1024", "rack:2", False),
    ("additive", "cpus:3;mem:1024;disk:1024", "rack:2", True),
    ("additive", "cpus:1;mem:1024;disk:1024", None, False),
])
def test_reconfiguration(cluster, agent, scheduler, policy, resources, attributes, is_accepted):
    task_id, _ = start(scheduler)
    agent_id = agent.state()["id"]
    before = dict(agent.flags)
    agent.kill()
    agent.flags.update(resources=resources, attributes=attributes, reconfiguration_policy=policy)
    if is_accepted:
        assert come_back(cluster, agent)["id"] == agent_id
        assert agent.state()["resources"]["cpus"] == float(resources[5])
    else:
        agent.start()
        assert agent.process.wait(10) == 1
        assert "Failed to perform recovery" in agent.read_log()
        agent.flags = before
        assert come_back(cluster, agent)["id"] == agent_id  # nothing was lost by the refusal
    assert scheduler.states_of(task_id)[-1] == "TASK_RUNNING"
    assert agent.state()["frameworks"][0]["executors"][0]["tasks"][0]["id"] == task_id


def test_reboot(cluster, agent, scheduler):
    """Another boot id, and no process of before."""
    task_id, _ = start(scheduler)
    agent_id = agent.state()["id"]
    pid = agent.get("/containers").json()[0]["status"]["executor_pid"]
    agent.kill()
    os.killpg(first_child(first_child(pid)), signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    db = sqlite3.connect(database(agent))
    value = db.execute("SELECT value FROM entries WHERE key = 'agent'").fetchone()[0]
    boot_id = open("/proc/sys/kernel/random/boot_id", "rb").read().strip()
    assert boot_id in value
    db.execute("UPDATE entries SET value = ? WHERE key = 'agent'", (value.replace(boot_id, b"0" * 36),))
    db.commit()
    db.close()
    assert come_back(cluster, agent)["id"] == agent_id
    assert "Agent host rebooted" in agent.read_log()
    assert scheduler.wait_end(task_id)["state"] == "TASK_FAILED"


def test_sandboxes_of_before_go_in_their_time(cluster, agent, scheduler):
    """Also those of an agent that is no more are removed when --gc_delay is over; what runs keeps its own."""
    ended, _ = scheduler.run("true")
    task_id, _ = start(scheduler)
    old = os.path.realpath(cluster.sandbox(agent, scheduler.framework_id, ended))
    new = os.path.realpath(cluster.sandbox(agent, scheduler.framework_id, task_id))
    other = os.path.join(agent.flags["work_dir"], "slaves", "another", "frameworks")
    os.makedirs(other)
    agent.kill()
    agent.flags["gc_delay"] = "1secs"
    come_back(cluster, agent)
    wait_for(lambda: not os.path.exists(old) and not os.path.exists(os.path.dirname(other)), what="the removal")
    time.sleep(1)
    assert os.path.exists(new)


# ---- broken disks ----

def test_corrupt_record_of_the_agent(cluster, agent, scheduler):
    task_id, _ = start(scheduler)
    agent_id = agent.state()["id"]
    agent.kill()
    change_database(agent, "UPDATE entries SET value = x'ffff' WHERE key = 'agent'")
    agent.start()
    assert agent.process.wait(10) == 1
    assert "Failed to recover 'agent'" in agent.read_log()
    agent.flags["strict"] = False
    assert come_back(cluster, agent)["id"] != agent_id
    assert scheduler.wait_end(task_id)["state"] == "TASK_LOST"
    wait_for(lambda: os.listdir(os.path.join(agent.flags["runtime_dir"], "containers")) == [], what="its containers to go")


@pytest.mark.parametrize("kind", ["framework", "executor", "task", "stream", "update"])
def test_corrupt_record(cluster, agent, scheduler, kind):
    scheduler.acknowledges = kind != "update"
    task = make_task("sleep 1000")
    task_id = task["task_id"]["value"]
    scheduler.launch(scheduler.wait_offer(), [task], refuse_seconds=0)
    scheduler.wait_update(task_id, "TASK_RUNNING" if kind != "update" else "TASK_STARTING")
    time.sleep(0.5)  # the acknowledgement of TASK_RUNNING has come
    agent.kill()
    scheduler.acknowledges = True
    change_database(agent, "UPDATE entries SET value = x'ffff' WHERE key LIKE '%s/%%'" % kind)
    agent.start()
    assert agent.process.wait(10) == 1
    assert "Failed to recover '%s/" % kind in agent.read_log()
    agent.flags["strict"] = False
    come_back(cluster, agent)
    assert agent.metrics()["slave/recovery_errors"] >= 1
    assert scheduler.wait_end(task_id)["state"] in {"TASK_LOST", "TASK_KILLED"}
    wait_for(lambda: agent.state()["frameworks"] == [], what="the executor to end")


@pytest.mark.parametrize("is_deep", [False, True], ids=["head", "pages"])
def test_corrupt_store(cluster, agent, scheduler, is_deep):
    task_id, _ = start(scheduler)
    agent_id = agent.state()["id"]
    agent.kill()
    # As large as that the head alone does not tell, and with nothing left in the log.
    change_database(agent, *["INSERT INTO entries VALUES ('filler/%d', zeroblob(2000))" % i for i in range(50)],
                    "COMMIT", "PRAGMA wal_checkpoint(TRUNCATE)")
    with open(database(agent), "r+b") as file:
        file.seek(4096 if is_deep else 0)
        file.write(b"nonsense" * 1024)
    agent.start()
    assert agent.process.wait(10) == 1
    assert "agent.db" in agent.read_log() or "malformed" in agent.read_log()
    agent.flags["strict"] = False
    assert come_back(cluster, agent)["id"] != agent_id
    assert os.path.exists(database(agent) + ".broken")
    assert agent.metrics()["slave/recovery_errors"] == 1
    # What the former one ran is destroyed, and its end is known.
    assert scheduler.wait_end(task_id)["state"] == "TASK_LOST"
    wait_for(lambda: os.listdir(os.path.join(agent.flags["runtime_dir"], "containers")) == [], what="its containers to go")


@pytest.mark.root
def test_full_disk(cluster, master):
    """An agent that cannot write down what it would say ends; nothing is acknowledged that is not there."""
    place = cluster.path("small")
    os.mkdir(place)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", place], check=True)
    try:
        agent = cluster.start_agent(master, work_dir=os.path.join(place, "work"))
        scheduler = cluster.scheduler(master, checkpoint=True)
        task_id, _ = start(scheduler, "while [ ! -e %s ]; do sleep 0.05; done" % cluster.path("go"))
        ballast = os.open(os.path.join(place, "ballast"), os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(ballast, b"x" * 4096)
        except OSError:
            os.close(ballast)
        with open(cluster.path("go"), "w", encoding="ascii"):
            pass
        assert wait_for(lambda: agent.process.poll() is not None, what="the agent to end")
        assert "Failed to checkpoint" in agent.read_log()
        assert scheduler.states_of(task_id)[-1] == "TASK_RUNNING"
        os.unlink(os.path.join(place, "ballast"))
        come_back(cluster, agent)
        assert scheduler.wait_end(task_id)["state"] == "TASK_FINISHED"
        agent.stop(signal.SIGUSR1)
    finally:
        for _ in range(50):
            if subprocess.run(["umount", place], check=False).returncode == 0:
                break
            time.sleep(0.1)


def test_a_second_agent_is_refused(cluster, agent):
    words = [w if not w.startswith("--port") else "--port=%d" % find_port() for w in agent.command()]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert "agent.db" in ended.stderr


# ---- others ----

def test_mesos_execute(cluster, master, agent):
    client = cluster.popen([os.path.join(BIN, "mesos-execute"), "--master=" + master.address, "--name=t",
                            "--checkpoint", "--command=sleep 3"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for(lambda: agent.metrics()["slave/tasks_running"] == 1.0, what="the task to run")
    agent.kill()
    come_back(cluster, agent)
    output = client.communicate(timeout=30)[0].decode()
    assert client.returncode == 0, output
    assert "TASK_FINISHED" in output


def test_status_of_an_executor_that_ended_meanwhile(cluster, agent, scheduler):
    executor = {"executor_id": {"value": "custom"}, "resources": [scalar("cpus", 0.1), scalar("mem", 32)],
                "command": {"value": "exec python3 -B %s/tests/system/custom_executor.py" % ROOT}}
    task = make_task(executor=executor, task_id="lost", data=base64.b64encode(b"run").decode())
    scheduler.launch(scheduler.wait_offer(), [task], refuse_seconds=0)
    scheduler.wait_update("lost", "TASK_RUNNING")
    agent.send_signal(signal.SIGSTOP)
    pid = int(supervisors_of(agent)[0])
    os.kill(first_child(pid), signal.SIGTERM)
    wait_for(lambda: not is_alive(pid), what="the supervisor to end")
    agent.kill()
    come_back(cluster, agent)
    assert scheduler.wait_end("lost")["state"] == "TASK_FAILED"
    failure = scheduler.wait("FAILURE")["failure"]
    assert (failure["executor_id"]["value"], failure["status"]) == ("custom", signal.SIGTERM)
