# SPDX-License-Identifier: Apache-2.0
"""Masters that elect their leader through a real ZooKeeper; agents and clients that find it there."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import harness
import zookeeper
from harness import BIN, PATIENCE, find_port, get, make_task, post, wait_for

pytestmark = pytest.mark.skipif(not zookeeper.is_installed(), reason="needs zookeeper and java")


@pytest.fixture
def zk():
    ensemble = zookeeper.ZooKeeper()
    yield ensemble
    ensemble.close()


def start_master(cluster, ensemble, **flags):
    flags = {"registry": "replicated_log", "quorum": 1, "zk": ensemble.url(), "zk_session_timeout": "2secs", **flags}
    return cluster.start_master(**flags)


def is_leader(master):
    try:
        metrics = master.metrics() if master.is_running() else {}
    except OSError:
        return False
    return metrics.get("master/elected") == 1


def wait_leader(masters, timeout=20.0):
    """The one master that leads and has read its registry."""
    def find():
        leaders = [m for m in masters if is_leader(m)]
        return leaders[0] if len(leaders) == 1 and leaders[0].get("/state").status == 200 and \
            leaders[0].get("/health").status == 200 else None
    return wait_for(find, timeout, "a leader")


def start_agent(cluster, ensemble, leader, **flags):
    flags = {"master_flag": ensemble.url(), "zk_session_timeout": "2secs", **flags}
    return cluster.start_agent(leader, **flags)


def scheduler_of(cluster, leader, before=None, **framework):
    framework = {"failover_timeout": 600, "checkpoint": True, "capabilities": [{"type": "PARTITION_AWARE"}], **framework}
    if before is not None:
        framework["id"] = before.framework["id"]
    scheduler = cluster.scheduler(leader, subscribe=False, **framework)
    scheduler.subscribe()
    return scheduler


def reconcile(scheduler, task):
    scheduler.call("RECONCILE", tasks=[{"task_id": task["task_id"]}])
    return scheduler.wait_update(task["task_id"]["value"])["state"]


def start_task(scheduler):
    task = make_task("sleep 600")
    scheduler.launch(scheduler.wait_offer(), [task])
    scheduler.wait_update(task["task_id"]["value"], "TASK_RUNNING")
    return task


def end_task(scheduler, task):
    scheduler.kill(task["task_id"]["value"])
    assert scheduler.wait_end(task["task_id"]["value"])["state"] == "TASK_KILLED"


# ---- what others see ----

def test_the_znodes_are_mesos_own(cluster, zk):
    first = start_master(cluster, zk)
    wait_leader([first])
    second = start_master(cluster, zk)
    wait_for(lambda: second.get("/state").status == 307, 10, "the second to learn of the first")
    with zk.client() as client:
        names = client.children("/mesos")
        # Every child that is made raises the number, log_replicas too.
        assert names == ["json.info_0000000000", "json.info_0000000002", "log_replicas"]
        for name, master in zip(names, (first, second)):
            info = json.loads(client.get("/mesos/" + name)[0])
            port = int(master.flags["port"])
            assert info["pid"] == "master@127.0.0.1:%d" % port
            assert info["port"] == port and info["ip"] == 16777343 and info["hostname"] == "127.0.0.1"
            assert info["address"] == {"hostname": "127.0.0.1", "ip": "127.0.0.1", "port": port}
            assert info["version"] == "1.11.0"
        info = json.loads(client.get("/mesos/" + names[0])[0])
        assert info["id"] == first.state()["id"] == first.state()["leader_info"]["id"]


def test_a_standby_redirects(cluster, zk):
    leader = start_master(cluster, zk)
    wait_leader([leader])
    standby = start_master(cluster, zk)
    wait_for(lambda: standby.get("/state").status == 307, 10, "the standby to learn of the leader")
    for path in ("/state", "/master/state", "/state-summary", "/slaves?slave_id=x", "/tasks?limit=1&order=asc",
                 "/frameworks", "/roles", "/api/v1/scheduler", "/meseta/link"):
        answer = standby.get(path)
        assert answer.status == 307, path
        assert answer.headers["Location"] == "//%s%s" % (leader.address, path)
    answer = standby.post("/api/v1/scheduler", {"type": "SUBSCRIBE"})
    assert answer.status == 307 and answer.headers["Location"] == "//%s/api/v1/scheduler" % leader.address
    for path in ("/redirect", "/master/redirect"):
        answer = standby.get(path)
        assert (answer.status, answer.headers["Location"]) == (307, "//" + leader.address)
    assert standby.get("/redirect/x").status == 404
    for path in ("/health", "/version", "/flags", "/metrics/snapshot"):
        assert standby.get(path).status == 200, path
    assert standby.metrics()["registrar/log/recovered"] == 0 and leader.metrics()["registrar/log/recovered"] == 1
    assert standby.metrics()["master/elected"] == 0 and leader.metrics()["master/elected"] == 1
    answer = leader.get("/redirect")
    assert (answer.status, answer.headers["Location"]) == (307, "//" + leader.address)


def test_there_is_no_leader_without_zookeeper(cluster):
    master = cluster.start_master(zk="zk://127.0.0.1:%d/mesos" % find_port(), quorum=1, registry="replicated_log")
    for path in ("/state", "/redirect", "/api/v1/scheduler"):
        answer = master.get(path)
        assert (answer.status, answer.text) == (503, "No leader elected"), path
    assert master.get("/health").status == 200
    assert master.stop() == 0


@pytest.mark.parametrize("url, text", [
    ("zk://127.0.0.1:1/", "Expecting a (chroot) path for ZooKeeper ('/' is not supported)"),
    ("zk://127.0.0.1:1", "Expecting a (chroot) path for ZooKeeper"),
    ("127.0.0.1:1/mesos", "Expecting 'zk://' at the beginning of the URL"),
    ("zk:///mesos", "Expecting at least one server of ZooKeeper"),
    ("file:///no/such/file", "Cannot read ZooKeeper's URL"),
])
def test_a_bad_url_is_refused(url, text):
    command = [os.path.join(BIN, "mesos-master"), "--ip=127.0.0.1", "--port=%d" % find_port(), "--quorum=1", "--zk=" + url]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            timeout=20 * PATIENCE, check=False, encoding="utf-8")
    assert result.returncode == 1
    assert text in result.stdout


def test_the_quorum_must_be_said(zk):
    command = [os.path.join(BIN, "mesos-master"), "--ip=127.0.0.1", "--port=%d" % find_port(), "--zk=" + zk.url()]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            timeout=20 * PATIENCE, check=False, encoding="utf-8")
    assert result.returncode == 1
    assert "Need to specify --quorum for replicated log based registry when using ZooKeeper" in result.stdout


def test_credentials_keep_others_out(cluster, zk):
    master = start_master(cluster, zk, zk=zk.url("/deep/er/mesos", "lead:se:cr@et"))
    wait_leader([master])
    with zk.client() as client:
        name, = [n for n in client.children("/deep/er/mesos") if n != "log_replicas"]
        assert json.loads(client.get("/deep/er/mesos/" + name)[0])["port"] == int(master.flags["port"])
        for path in ("/deep/er/mesos/" + name, "/deep/er/mesos/log_replicas/meseta/epoch"):
            with pytest.raises(zookeeper.ZooKeeperError) as refused:
                client.set(path, b"x")
            assert refused.value.code == zookeeper.ZooKeeperError.NO_AUTH
    other = cluster.start_master(wait=False, zk=zk.url("/deep/er/mesos", "lead:wrong"), quorum=1, registry="replicated_log")
    wait_for(lambda: not other.is_running(), 20, "the one without rights to end")
    assert other.process.returncode == 1
    assert "does not allow it with the credentials" in other.read_log()
    assert "wrong" not in other.read_log()
    # Others may read: an agent needs no credentials to find its master.
    start_agent(cluster, zk, master, master_flag=zk.url("/deep/er/mesos"))


# ---- failover ----

def test_a_killed_leader_is_followed_and_nothing_is_lost(cluster, zk):
    masters = [start_master(cluster, zk) for _ in range(3)]
    leader = wait_leader(masters)
    agent = start_agent(cluster, zk, leader)
    agent_id = cluster.find_registration(agent, leader)["id"]
    scheduler = scheduler_of(cluster, leader)
    task = start_task(scheduler)
    for _ in range(2):
        leader.kill()
        masters.remove(leader)
        leader = wait_leader(masters)
        assert cluster.wait_registered(agent, leader, 20)["id"] == agent_id
        scheduler = scheduler_of(cluster, leader, scheduler)
        assert reconcile(scheduler, task) == "TASK_RUNNING"
    end_task(scheduler, task)


def test_a_leader_that_is_stopped_in_good_order_is_followed_at_once(cluster, zk):
    masters = [start_master(cluster, zk, zk_session_timeout="10secs") for _ in range(2)]
    leader = wait_leader(masters)
    masters.remove(leader)
    start = time.monotonic()
    assert leader.stop() == 0
    wait_leader(masters)
    assert time.monotonic() - start < 5 * PATIENCE


def test_a_leader_that_slept_past_its_session_ends_and_changes_nothing(cluster, zk):
    masters = [start_master(cluster, zk) for _ in range(2)]
    old = wait_leader(masters)
    agent = start_agent(cluster, zk, old)
    agent_id = cluster.find_registration(agent, old)["id"]
    scheduler = scheduler_of(cluster, old)
    task = start_task(scheduler)
    old.send_signal(signal.SIGSTOP)
    masters.remove(old)
    leader = wait_leader(masters)
    assert cluster.wait_registered(agent, leader, 20)["id"] == agent_id
    scheduler = scheduler_of(cluster, leader, scheduler)
    with zk.client() as client:
        before = client.get("/mesos/log_replicas/meseta/epoch")
    old.send_signal(signal.SIGCONT)
    wait_for(lambda: not old.is_running(), 20, "the old leader to end")
    assert old.process.returncode == 1
    assert "ost leadership" in old.read_log() or "taken over" in old.read_log()
    with zk.client() as client:
        assert client.get("/mesos/log_replicas/meseta/epoch") == before
    assert reconcile(scheduler, task) == "TASK_RUNNING"
    end_task(scheduler, task)


def test_a_leader_whose_candidate_is_removed_ends(cluster, zk):
    masters = [start_master(cluster, zk) for _ in range(2)]
    leader = wait_leader(masters)
    with zk.client() as client:
        client.delete("/mesos/" + client.children("/mesos")[0])
    wait_for(lambda: not leader.is_running(), 10, "the leader to end")
    assert leader.process.returncode == 1
    masters.remove(leader)
    wait_leader(masters)


def test_a_standby_whose_candidate_is_removed_contends_again(cluster, zk):
    masters = [start_master(cluster, zk)]
    leader = wait_leader(masters)
    masters.append(start_master(cluster, zk))
    with zk.client() as client:
        wait_for(lambda: len(client.children("/mesos")) == 3, 10, "two candidates")
        old = client.children("/mesos")[1]
        client.delete("/mesos/" + old)
        wait_for(lambda: len(client.children("/mesos")) == 3 and old not in client.children("/mesos"), 10,
                 "a new candidate")
    leader.kill()
    assert wait_leader(masters[1:]) is masters[1]


def test_a_write_of_a_deposed_leader_is_refused(cluster, zk):
    master = start_master(cluster, zk)
    wait_leader([master])
    with zk.client() as client:
        client.set("/mesos/log_replicas/meseta/epoch", b"somebody else")
        agent = start_agent(cluster, zk, master, wait=False)
        wait_for(lambda: not master.is_running(), 15, "the master to end")
        assert master.process.returncode == 1
        assert "another master has taken over the registry in ZooKeeper" in master.read_log()
        assert "Registered agent" not in master.read_log()
        entries = [e for b in client.children("/mesos/log_replicas/meseta/entries")
                   for e in client.children("/mesos/log_replicas/meseta/entries/" + b)]
        assert entries == []
    master.restart()
    cluster.wait_registered(agent, wait_leader([master]), 20)


@pytest.mark.parametrize("what", ["request", "answer"])
def test_a_write_whose_fate_is_unknown_is_done_once(cluster, zk, what):
    """The connection breaks before a write reaches ZooKeeper, or before its answer reaches the master."""
    proxy = zookeeper.Proxy(zk.nodes[0].port)
    try:
        master = start_master(cluster, zk, zk="zk://127.0.0.1:%d/mesos" % proxy.port, zk_session_timeout="10secs")
        wait_leader([master])
        with zk.client() as client:
            _, before = client.get("/mesos/log_replicas/meseta/epoch")
            proxy.loses = what
            agent = cluster.start_agent(master)
            assert proxy.lost == 1
            _, after = client.get("/mesos/log_replicas/meseta/epoch")
            assert after == before + 1
            root = "/mesos/log_replicas/meseta/entries"
            entries = [e for b in client.children(root) for e in client.children(root + "/" + b)]
            assert entries == ["agents%2F" + cluster.find_registration(agent, master)["id"]]
        assert is_leader(master)
        agent.stop(signal.SIGUSR1)
        master.stop()
    finally:
        proxy.close()


def test_a_takeover_whose_fate_is_unknown_is_done(cluster, zk):
    """The same while a new leader makes the layout, while it takes the registry over (both MULTI), and while it reads."""
    proxy = zookeeper.Proxy(zk.nodes[0].port)
    multi, get_data = zookeeper.Proxy.MULTI, 4
    try:
        for path, kind, what in (("/a", multi, "request"), ("/a", multi, "request"), ("/a", multi, "answer"),
                                 ("/b", multi, "answer"), ("/a", get_data, "request"), ("/a", get_data, "answer")):
            proxy.kind, proxy.loses, proxy.lost = kind, what, 0
            master = start_master(cluster, zk, zk="zk://127.0.0.1:%d%s" % (proxy.port, path))
            wait_leader([master])
            assert proxy.lost == 1, (path, kind, what)
            assert master.stop() == 0
    finally:
        proxy.close()


EPOCH = "/mesos/log_replicas/meseta/epoch"


@pytest.mark.parametrize("how", ["is deaf", "sleeps"])
def test_a_leader_that_is_late_in_taking_over_deposes_nobody(cluster, zk, how):
    """The first master has been elected, and what would take the registry over is on its way when it hears no more, or
    is stopped. Another one is elected, and leads; then the first one's request arrives, or the first one wakes."""
    proxy = zookeeper.Proxy(zk.nodes[0].port)
    proxy.hold(b"/mesos/json.info_0000000000\xff\xff\xff\xff")  # a check of that znode, any version
    try:
        session = "10secs" if how == "is deaf" else "2secs"
        late = start_master(cluster, zk, wait=False, zk="zk://127.0.0.1:%d/mesos" % proxy.port,
                            zk_session_timeout=session)
        assert proxy.held.wait(20 * PATIENCE)
        if how == "is deaf":
            with zk.client() as client:
                client.delete("/mesos/json.info_0000000000")
        else:
            late.send_signal(signal.SIGSTOP)
        master = start_master(cluster, zk)
        wait_leader([master])
        agent = start_agent(cluster, zk, master)
        with zk.client() as client:
            before = client.get(EPOCH)
        proxy.let_go()
        if how == "sleeps":
            proxy.hear()
            late.send_signal(signal.SIGCONT)
        wait_for(lambda: not late.is_running(), 20, "the late one to end")
        assert late.process.returncode == 1
        assert "is ours" not in late.read_log()
        if how == "is deaf":
            assert "was not taken over: this master leads no more" in late.read_log()
        with zk.client() as client:
            assert client.get(EPOCH) == before
        # The other one can still write.
        start_agent(cluster, zk, master)
        assert is_leader(master) and cluster.find_registration(agent, master)
    finally:
        proxy.close()


def test_the_registry_outlives_all_masters(cluster, zk):
    masters = [start_master(cluster, zk, agent_reregister_timeout="2secs") for _ in range(2)]
    leader = wait_leader(masters)
    agents = [start_agent(cluster, zk, leader) for _ in range(2)]
    ids = [cluster.find_registration(agent, leader)["id"] for agent in agents]
    for master in masters:
        master.kill()
    agents[1].kill()
    for master in masters:
        master.start()
    leader = wait_leader(masters)
    assert cluster.wait_registered(agents[0], leader, 20)["id"] == ids[0]
    wait_for(lambda: leader.metrics()["master/slaves_unreachable"] == 1, 20, "the other agent to be given up")
    leader.kill()
    masters.remove(leader)
    leader = wait_leader(masters)
    assert leader.metrics()["master/slaves_unreachable"] == 1
    assert cluster.wait_registered(agents[0], leader, 20)["id"] == ids[0]


def test_a_registry_that_is_not_there_is_made_only_when_that_is_wanted(cluster, zk):
    master = start_master(cluster, zk, wait=False, log_auto_initialize=False)
    wait_for(lambda: not master.is_running(), 20, "the master to end")
    assert master.process.returncode == 1
    assert "there is no registry in ZooKeeper beneath the path of the URL" in master.read_log()
    other = start_master(cluster, zk)
    wait_leader([other])
    assert other.stop() == 0
    wait_leader([master.start().wait_serving()])


def test_zookeeper_goes_and_comes_back(cluster, zk):
    """Shorter than the session: nobody notices. Longer: the leader ends, and agents keep their tasks."""
    masters = [start_master(cluster, zk, zk_session_timeout="4secs") for _ in range(2)]
    leader = wait_leader(masters)
    agent = start_agent(cluster, zk, leader)
    scheduler = scheduler_of(cluster, leader)
    task = start_task(scheduler)
    zk.nodes[0].send_signal(signal.SIGSTOP)
    time.sleep(1)
    zk.nodes[0].send_signal(signal.SIGCONT)
    time.sleep(3)
    assert is_leader(leader)
    zk.nodes[0].kill()
    wait_for(lambda: not leader.is_running(), 20, "the leader to end")
    assert leader.process.returncode == 1
    zk.nodes[0].start()
    wait_for(zk.nodes[0].serves, 30, "ZooKeeper to serve")
    masters.remove(leader)
    leader = wait_leader(masters, 30)
    cluster.wait_registered(agent, leader, 20)
    scheduler = scheduler_of(cluster, leader, scheduler)
    assert reconcile(scheduler, task) == "TASK_RUNNING"
    end_task(scheduler, task)


def test_three_nodes_of_which_one_is_killed(cluster):
    ensemble = zookeeper.ZooKeeper(3)
    try:
        masters = [start_master(cluster, ensemble, zk_session_timeout="5secs") for _ in range(3)]
        leader = wait_leader(masters)
        agents = [start_agent(cluster, ensemble, leader) for _ in range(2)]
        ids = {cluster.find_registration(agent, leader)["id"] for agent in agents}
        scheduler = scheduler_of(cluster, leader)
        task = start_task(scheduler)
        for node in ensemble.nodes:
            node.kill()
            wait_for(lambda: any(n.process.poll() is None and n.serves() for n in ensemble.nodes), 30, "a quorum")
            late = start_agent(cluster, ensemble, leader)  # this needs a write
            ids.add(cluster.find_registration(late, leader)["id"])
            agents.append(late)
            assert is_leader(leader)
            node.start()
            wait_for(node.serves, 30, "the node to serve")
        leader.kill()
        masters.remove(leader)
        leader = wait_leader(masters, 30)
        assert {cluster.wait_registered(agent, leader, 20)["id"] for agent in agents} == ids
        scheduler = scheduler_of(cluster, leader, scheduler)
        assert reconcile(scheduler, task) == "TASK_RUNNING"
        end_task(scheduler, task)
    finally:
        ensemble.close()


# ---- clients ----

def execute(*flags):
    return [os.path.join(BIN, "mesos-execute"), "--name=t", "--resources=cpus:0.1;mem:32", *flags]


def test_mesos_execute_finds_the_leader(cluster, zk):
    masters = [start_master(cluster, zk) for _ in range(2)]
    leader = wait_leader(masters)
    start_agent(cluster, zk, leader)
    with open(cluster.path("zk"), "w", encoding="ascii") as file:
        file.write(zk.url() + "\n")
    for master in (zk.url(), "file://" + cluster.path("zk")):
        result = subprocess.run(execute("--master=" + master, "--command=exit 0"), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30 * PATIENCE, check=False,
                                encoding="utf-8")
        assert result.returncode == 0, result.stdout
        assert "TASK_FINISHED" in result.stdout


def test_mesos_execute_goes_with_the_leader(cluster, zk):
    masters = [start_master(cluster, zk) for _ in range(2)]
    leader = wait_leader(masters)
    agent = start_agent(cluster, zk, leader)
    process = cluster.popen(execute("--master=" + zk.url(), "--checkpoint",
                                    "--command=while ! test -e %s; do sleep 0.1; done" % cluster.path("done")),
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(lambda: any(t["state"] == "TASK_RUNNING" for t in leader.get("/tasks").json()["tasks"]), 15, "the task to run")
    leader.kill()
    masters.remove(leader)
    leader = wait_leader(masters)
    cluster.wait_registered(agent, leader, 20)
    wait_for(lambda: any(f["active"] for f in leader.state()["frameworks"]), 15, "mesos-execute to subscribe again")
    with open(cluster.path("done"), "w", encoding="ascii"):
        pass
    output = process.communicate(timeout=20 * PATIENCE)[0]
    assert process.returncode == 0, output
    assert "TASK_FINISHED" in output and output.count("Subscribed with ID") == 2


def test_pymesos_goes_with_the_leader(cluster, zk):
    """The tutorial's framework, unmodified but for its master: its task fails until a directory is there."""
    masters = [start_master(cluster, zk) for _ in range(2)]
    leader = wait_leader(masters)
    agent = start_agent(cluster, zk, leader)
    scratch = cluster.path("scratch", "late")
    process = cluster.popen([sys.executable, os.path.join(os.path.dirname(__file__), "tutorial_framework.py"), zk.url(),
                             scratch], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "is TASK_FAILED" in line and leader in masters:
            leader.kill()
            masters.remove(leader)
            cluster.wait_registered(agent, wait_leader(masters), 20)
            os.makedirs(scratch)
    assert process.wait(10 * PATIENCE) == 0, "".join(lines)
    assert os.path.isdir(os.path.join(scratch, "made"))


def test_the_executor_is_not_linked_with_zookeeper():
    libraries = subprocess.run(["ldd", os.path.join(BIN, "mesos-executor")], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, check=False, encoding="utf-8").stdout
    assert "zookeeper" not in libraries and "sqlite" not in libraries
    with open(os.path.join(BIN, "mesos-executor"), "rb") as file:
        assert b"ZOO_ERROR" not in file.read()
