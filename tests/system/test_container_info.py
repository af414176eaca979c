# SPDX-License-Identifier: Apache-2.0
"""What a task's ContainerInfo asks for: a terminal, limits of its processes, capabilities, volumes; and what there is
not, which fails the task by name rather than being left out."""

import os

import pytest

import harness
import pods
from harness import make_task, wait_for
from pods import call, id_of
from test_sessions import Input, Output


def start(scheduler, command, **fields):
    """A command task that runs; its id and its container's."""
    task = make_task(command, **fields)
    scheduler.launch(scheduler.take_offer(), [task])
    return id_of(task), scheduler.wait_update(id_of(task), "TASK_RUNNING")["container_status"]["container_id"]


def run(scheduler, command, **fields):
    """The end of a command task."""
    task = make_task(command, **fields)
    scheduler.launch(scheduler.take_offer(), [task])
    return id_of(task), scheduler.wait_end(id_of(task))


def output(cluster, agent, scheduler, task_id, name="stdout"):
    with open(os.path.join(cluster.sandbox(agent, scheduler.framework_id, task_id), name), encoding="utf-8") as file:
        return file.read()


def mesos(**fields):
    return {"type": "MESOS", **fields}


# ---- terminals ----

def attach(agent, container_id):
    return Output(agent, "ATTACH_CONTAINER_OUTPUT", {"container_id": container_id})


ANSWERS = "stty size; while read line; do echo \"got $line\"; test \"$line\" != end || exit 0; done"


@pytest.mark.parametrize("is_durable", [False, True])
def test_a_task_with_a_terminal(cluster, master, agent, is_durable):
    scheduler = cluster.scheduler(master, checkpoint=is_durable)
    container = mesos(tty_info={"window_size": {"rows": 33, "columns": 44}})
    task_id, container_id = start(scheduler, "tty -s || exit 9; " + ANSWERS, container=container)
    # Nobody needs to listen; what comes out is in the sandbox as well.
    wait_for(lambda: "33 44" in output(cluster, agent, scheduler, task_id), 10, "the window's size")
    assert "got" not in output(cluster, agent, scheduler, task_id, "stderr")
    listener = attach(agent, container_id)
    speaker = Input(agent, container_id).data("one\n")
    listener.wait("got one")
    if is_durable:
        agent.kill()
        agent.restart()
        cluster.wait_registered(agent, master)
        listener = attach(agent, container_id)
        speaker = Input(agent, container_id)
    speaker.data("two\n")
    listener.wait("got two")
    # The line's discipline is the task's: what interrupts it is a signal.
    speaker.data("end\n")
    assert scheduler.wait_end(task_id)["state"] == "TASK_FINISHED"
    assert "got end" in listener.wait_end()["STDOUT"]
    assert speaker.answer()[0] == 200
    text = output(cluster, agent, scheduler, task_id)
    assert "got one" in text and "got two" in text and "got end" in text
    scheduler.teardown()


def test_an_interrupt_by_the_terminal(cluster, master, agent, scheduler):
    task_id, container_id = start(scheduler, "trap 'echo caught; exit 0' INT; echo up; while :; do sleep 0.05; done",
                                  container=mesos(tty_info={}))
    wait_for(lambda: "up" in output(cluster, agent, scheduler, task_id), 10, "its start")
    listener = attach(agent, container_id)
    Input(agent, container_id).resize(11, 22).data(b"\x03")
    listener.wait("caught")
    assert scheduler.wait_end(task_id)["state"] == "TASK_FINISHED"
    scheduler.teardown()


def test_a_pod_and_a_container_alone_with_terminals(cluster, master, agent):
    scheduler = cluster.scheduler(master, checkpoint=True, failover_timeout=60)
    task = make_task(ANSWERS, container=mesos(tty_info={}))
    executor = pods.launch(scheduler, [task])
    inside = scheduler.wait_update(id_of(task), "TASK_RUNNING")["container_status"]["container_id"]
    alone = {"value": "alone"}
    assert call(agent, "LAUNCH_CONTAINER", container_id=alone, command={"value": ANSWERS},
                container=mesos(tty_info={})).status == 200
    agent.kill()
    agent.restart()
    cluster.wait_registered(agent, master)
    wait_for(lambda: len(pods.containers(agent)) == 2, 20, "the containers")
    for container_id in (inside, alone):
        listener = attach(agent, container_id)
        speaker = Input(agent, container_id).data("hello\n")
        listener.wait("got hello")
        speaker.data("end\n")
        assert "got end" in listener.wait_end()["STDOUT"]
    assert scheduler.wait_end(id_of(task))["state"] == "TASK_FINISHED"
    pods.wait_gone(agent, executor)
    scheduler.teardown()


def test_without_a_terminal_there_is_nothing_to_attach_to(agent, scheduler):
    task_id, container_id = start(scheduler, "sleep 1000")
    answer = call(agent, "ATTACH_CONTAINER_OUTPUT", container_id=container_id)
    assert answer.status == 500 and "neither a terminal nor a session" in answer.text
    scheduler.kill(task_id)
    scheduler.wait_end(task_id)


# ---- limits of processes, capabilities ----

def test_limits_of_processes(cluster, agent, scheduler):
    rlimits = [{"type": "RLMT_NOFILE", "soft": 77, "hard": 99}, {"type": "RLMT_CORE", "soft": 0, "hard": 0}]
    task_id, end = run(scheduler, "ulimit -Sn; ulimit -Hn; ulimit -c", container=mesos(rlimit_info={"rlimits": rlimits}))
    assert end["state"] == "TASK_FINISHED"
    assert output(cluster, agent, scheduler, task_id).split()[-3:] == ["77", "99", "0"]
    _, end = run(scheduler, "true", container=mesos(rlimit_info={"rlimits": [{"type": "RLMT_CPU", "soft": 1}]}))
    assert (end["state"], end["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED")
    assert end["message"].startswith("Failed to launch container: Expecting both or neither of an rlimit's")


def capabilities(*names):
    return {"capabilities": list(names)}


@pytest.mark.root
@pytest.mark.parametrize("user, linux_info, effective, bounding", [
    (None, {"effective_capabilities": capabilities("CHOWN", "NET_RAW", "DAC_READ_SEARCH")}, 0x2005, 0x2005),
    (None, {"bounding_capabilities": capabilities("KILL", "DAC_OVERRIDE")}, 0x22, 0x22),
    ("nobody", {"effective_capabilities": capabilities("NET_RAW"),
                "bounding_capabilities": capabilities("NET_RAW", "KILL")}, 0x2000, 0x2020),
    ("nobody", {"capability_info": capabilities("NET_BIND_SERVICE")}, 0x400, 0x400),
])
def test_capabilities(cluster, agent, scheduler, user, linux_info, effective, bounding):
    command = {"value": "grep Cap /proc/self/status", **({"user": user} if user else {})}
    task_id, end = run(scheduler, command, container=mesos(linux_info=linux_info))
    assert end["state"] == "TASK_FINISHED", end
    lines = dict(line.split(":") for line in output(cluster, agent, scheduler, task_id).splitlines() if "Cap" in line)
    assert (int(lines["CapEff"], 16), int(lines["CapBnd"], 16)) == (effective, bounding)


# ---- volumes ----

@pytest.fixture
def mounting(cluster, master):
    return cluster.start_agent(master, isolation="posix/cpu,posix/mem,filesystem/linux")


def volume(container_path, mode="RW", **source):
    return {"mode": mode, "container_path": container_path, "source": source} if "type" in source else {
        "mode": mode, "container_path": container_path, **source}


def host(path):
    return {"type": "HOST_PATH", "host_path": {"path": path}}


@pytest.mark.root
def test_host_paths(cluster, master, mounting):
    scheduler = cluster.scheduler(master)
    place, point = cluster.path("place"), cluster.path("point")
    os.makedirs(place)
    os.makedirs(point)
    with open(place + "/file", "w", encoding="utf-8") as file:
        file.write("there")
    volumes = [volume("rw", **host(place)), volume("deep/ro", "RO", host_path=place),
               volume("one", "RO", **host(place + "/file")), volume(point, "RO", **host(place))]
    task_id, end = run(scheduler, "cat deep/ro/file one %s/file; echo new > rw/new; cat deep/ro/new; "
                                  "! touch deep/ro/x || exit 3; ! echo > one || exit 4; ! touch %s/x || exit 5" % (point, point),
                       container=mesos(volumes=volumes))
    assert end["state"] == "TASK_FINISHED", end
    assert "theretheretherenew" in output(cluster, mounting, scheduler, task_id)
    # Nobody else sees the mounts, and what they show is as it was.
    sandbox = os.path.realpath(cluster.sandbox(mounting, scheduler.framework_id, task_id))
    assert os.listdir(sandbox + "/rw") == os.listdir(sandbox + "/deep/ro") == []
    assert sorted(os.listdir(place)) == ["file", "new"] and os.listdir(point) == []
    for volumes, text in [([volume("a", **host("/nowhere"))], "Path '/nowhere' in HOST_PATH volume does not exist"),
                          ([volume("/nowhere", **host(place))], "Mount point '/nowhere' is an absolute path. It must exist"),
                          ([volume("../a", **host(place))], "leads out of the sandbox")]:
        _, end = run(scheduler, "true", container=mesos(volumes=volumes))
        assert (end["state"], end["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED")
        assert text in end["message"]
    scheduler.teardown()


@pytest.mark.root
def test_a_place_of_the_own_sandbox(cluster, master, mounting):
    scheduler = cluster.scheduler(master)
    own = {"type": "SANDBOX_PATH", "sandbox_path": {"type": "SELF", "path": "mine"}}
    os.makedirs(cluster.path("point"))
    os.chmod(cluster.directory, 0o755)
    command = "echo hello > %s/x; cat mine/x" % cluster.path("point")
    task_id, end = run(scheduler, {"value": command, "user": "nobody"},
                       container=mesos(volumes=[volume(cluster.path("point"), **own)]))
    assert end["state"] == "TASK_FINISHED", end
    assert "hello" in output(cluster, mounting, scheduler, task_id)
    scheduler.teardown()


@pytest.mark.root
@pytest.mark.parametrize("isolation", ["posix/cpu,posix/mem", "posix/cpu,posix/mem,filesystem/linux"])
def test_read_only_places_of_a_pod(cluster, master, isolation):
    """One task writes where the other may only read; a session in it sees the same; over an agent's restart."""
    agent = cluster.start_agent(master, isolation=isolation)
    scheduler = cluster.scheduler(master, checkpoint=True, failover_timeout=60)
    parent = {"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "shared"}}
    tasks = [make_task("echo text > shared/file; sleep 1000", container=mesos(volumes=[volume("shared", **parent)])),
             make_task("until [ -e seen/file ]; do sleep 0.02; done; ! touch seen/x 2>/dev/null || exit 3; cat seen/file; "
                       "sleep 1000", container=mesos(volumes=[volume("seen", "RO", **parent)]))]
    executor = pods.launch(scheduler, tasks)
    inside = scheduler.wait_update(id_of(tasks[1]), "TASK_RUNNING")["container_status"]["container_id"]
    wait_for(lambda: "text" in pods.task_file(agent, executor, tasks[1]), 10, "the file")
    for name in ("before", "after"):
        session = Output(agent, "LAUNCH_NESTED_CONTAINER_SESSION", {
            "container_id": {"value": name, "parent": inside},
            "command": {"value": "cat seen/file; touch seen/x || echo refused"}})
        text = session.wait_end()
        assert text["STDOUT"] == "text\nrefused\n", text
        if name == "before":
            agent.kill()
            agent.restart()
            cluster.wait_registered(agent, master)
            wait_for(lambda: len(pods.containers(agent)) >= 3, 20, "the containers")
    scheduler.teardown()
    pods.wait_gone(agent, executor)


@pytest.mark.root
def test_a_link_leads_nowhere(cluster, master, mounting):
    """A sandbox is its user's, who may put a link where a volume is to be."""
    scheduler = cluster.scheduler(master)
    parent = {"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "link"}}
    first = make_task("ln -s /etc ../../link; sleep 1000")
    executor = pods.launch(scheduler, [first])
    sandbox = pods.sandbox(mounting, executor)
    wait_for(lambda: os.path.islink(sandbox + "/link"), 10, "the link")
    second = make_task("ls seen", container=mesos(volumes=[volume("seen", "RO", **parent)]))
    pods.launch(scheduler, [second], executor)
    end = scheduler.wait_end(id_of(second))
    assert end["state"] == "TASK_FAILED" and "Failed to open the volume 'link'" in end["message"], end
    scheduler.teardown()
    pods.wait_gone(mounting, executor)


@pytest.mark.root
def test_a_persistent_volume_that_is_only_read(cluster, master):
    agent = cluster.start_agent(master, resources="cpus:2;mem:1024;disk:64;disk(keep):64")
    scheduler = cluster.scheduler(master, roles=["keep"], capabilities=[{"type": "MULTI_ROLE"}])
    offer = scheduler.take_offer()
    disk = next(r for r in offer["resources"] if r["name"] == "disk" and r.get("role") == "keep")
    made = {**disk, "scalar": {"value": 16}, "disk": {"persistence": {"id": "v"}, "volume": {
        "mode": "RW", "container_path": "data"}}}
    made.pop("allocation_info", None)
    write = make_task("echo kept > data/file")
    write["resources"].append(made)
    write["agent_id"] = offer["agent_id"]
    scheduler.accept([offer], [{"type": "CREATE", "create": {"volumes": [made]}},
                               {"type": "LAUNCH", "launch": {"task_infos": [write]}}], refuse_seconds=0)
    assert scheduler.wait_end(id_of(write))["state"] == "TASK_FINISHED"
    read = {**made, "disk": {"persistence": {"id": "v"}, "volume": {"mode": "RO", "container_path": "data"}}}
    task = make_task("cat data/file; ! touch data/x || exit 3")
    task["resources"].append(read)
    scheduler.launch(scheduler.take_offer(), [task])
    end = scheduler.wait_end(id_of(task))
    assert end["state"] == "TASK_FINISHED", end
    assert "kept" in output(cluster, agent, scheduler, id_of(task))
    # The same in a pod, where each task sees it in its own sandbox.
    task = make_task("cat data/file; ! touch data/x || exit 3")
    task["resources"].append(read)
    executor = pods.launch(scheduler, [task])
    end = scheduler.wait_end(id_of(task))
    assert end["state"] == "TASK_FINISHED", end
    assert "kept" in pods.task_file(agent, executor, task)
    pods.wait_gone(agent, executor)
    scheduler.teardown()


# ---- what there is not ----

@pytest.mark.parametrize("container, text", [
    ({"type": "DOCKER", "docker": {"image": "busybox"}},
     "None of the enabled containerizers (mesos) could create a container for the provided TaskInfo/ExecutorInfo message"),
    (mesos(mesos={"image": {"type": "DOCKER", "docker": {"name": "busybox"}}}), "Images are not supported by this agent"),
    (mesos(network_infos=[{"name": "net"}]), "Networks of their own are not supported by this agent"),
    (mesos(hostname="other"), "Host names of their own are not supported by this agent"),
    (mesos(linux_info={"share_pid_namespace": False}), "PID namespaces of their own are not supported by this agent"),
    (mesos(linux_info={"ipc_mode": "PRIVATE"}), "IPC namespaces and sizes of /dev/shm are not supported by this agent"),
    (mesos(linux_info={"seccomp": {"profile_name": "x"}}), "Seccomp profiles are not supported by this agent"),
    (mesos(volumes=[{"mode": "RW", "container_path": "a", "host_path": "/tmp"}]),
     "Volumes in ContainerInfo is not supported: the isolator 'filesystem/linux' must be used"),
    (mesos(volumes=[{"mode": "RW", "container_path": "a", "source": {
        "type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "b"}}}]),
     "SANDBOX_PATH volume PARENT type only works for nested container"),
])
def test_what_a_task_cannot_have(scheduler, agent, container, text):
    _, end = run(scheduler, "true", container=container)
    assert (end["state"], end["source"], end["reason"]) == ("TASK_FAILED", "SOURCE_AGENT", "REASON_CONTAINER_LAUNCH_FAILED")
    assert end["message"].startswith("Failed to launch container: " + text), end["message"]
