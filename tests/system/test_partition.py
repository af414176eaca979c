# SPDX-License-Identifier: Apache-2.0
"""Three masters, a ZooKeeper ensemble of three and five agents, each in a network namespace of its own, with tasks
running. Whatever is killed, stopped or cut off: there is one leader again, all agents and tasks are back, none was lost
or started twice, and nothing that the old leader wrote counts.

All tests share one such world, and leave it as they found it.
"""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

import books
import harness
import netns
import zookeeper
from harness import BIN, BUILD, PATIENCE, make_task, wait_for

pytestmark = [pytest.mark.root,
              pytest.mark.skipif(not zookeeper.is_installed(), reason="needs zookeeper and java"),
              pytest.mark.skipif(not netns.is_possible(), reason="needs network namespaces")]

ROOT = "/mesos/log_replicas/meseta"
AGENTS = 5


class World:
    def __init__(self, network, ensemble, cluster, places):
        self.network, self.zk, self.cluster = network, ensemble, cluster
        self.zk_places, self.master_places, self.agent_places, (self.spare, self.lonely) = places
        self.masters = [self.start_master(place) for place in self.master_places]
        self.leader = self.wait_leader()
        self.agents = [self.start_agent(place) for place in self.agent_places]
        self.ids = [cluster.find_registration(agent, self.leader)["id"] for agent in self.agents]
        self.framework = {"name": "witness", "failover_timeout": 600, "checkpoint": True,
                          "capabilities": [{"type": "PARTITION_AWARE"}]}
        self.scheduler = None
        self.resubscribe([])
        self.tasks = {}  # id -> (agent id, file that each start of it adds a line to)
        for agent_id in self.ids:
            self.start_task(agent_id)

    # ---- parts ----

    def start_master(self, place):
        return self.cluster.start_master(
            prefix=place.prefix, ip=place.ip, hostname=place.ip, port=5050, registry="replicated_log", quorum=2,
            zk=self.zk.url(), zk_session_timeout="2secs", agent_ping_timeout="1secs", max_agent_ping_timeouts=3)

    def start_agent(self, place, master_flag=None, wait=True):
        number = self.agent_places.index(place) if place in self.agent_places else AGENTS
        return self.cluster.start_agent(
            self.leader, wait=wait, prefix=place.prefix, ip=place.ip, hostname=place.ip, port=5051 + number,
            master_flag=master_flag or self.zk.url(), zk_session_timeout="2secs")

    def place_of(self, master):
        return self.master_places[self.masters.index(master)]

    def start_task(self, agent_id):
        task_id = "%s-%d" % (agent_id, len(self.tasks))
        path = self.cluster.path(task_id)
        task = make_task("echo started >> %s; exec sleep 600" % path, task_id=task_id)
        offer = self.scheduler.take_offer(lambda o: o["agent_id"]["value"] == agent_id)
        self.scheduler.launch(offer, [task], refuse_seconds=0)
        self.scheduler.wait_update(task_id, "TASK_RUNNING")
        self.tasks[task_id] = agent_id, path

    def resubscribe(self, suppressed_roles=("*",)):
        """The framework comes back to the leader, as its library would. It leaves the offers to others."""
        self.scheduler = self.cluster.scheduler(self.leader, subscribe=False, **self.framework)
        self.scheduler.subscribe(list(suppressed_roles))
        self.framework = self.scheduler.framework

    # ---- what must hold ----

    def elected(self, masters=None):
        def is_elected(master):
            try:
                return master.is_running() and master.metrics().get("master/elected") == 1
            except OSError:
                return False
        return [m for m in masters or self.masters if is_elected(m)]

    def wait_leader(self, masters=None, timeout=30):
        """The one of them that leads and has read the registry."""
        def find():
            leaders = self.elected(masters)
            try:
                return leaders[0] if len(leaders) == 1 and all(
                    leaders[0].get(path).status == 200 for path in ("/state", "/health")) else None
            except OSError:
                return None
        return wait_for(find, timeout, "a leader")

    def registry(self):
        """(the owner's name, the epoch's version), the names of all entries."""
        with self.zk.client() as client:
            names = [name for bucket in client.children(ROOT + "/entries")
                     for name in client.children(ROOT + "/entries/" + bucket)]
            return client.get(ROOT + "/epoch"), sorted(names)

    def reconcile(self):
        """What the master says of each task."""
        seen = len(self.scheduler.events)
        self.scheduler.call("RECONCILE", tasks=[{"task_id": {"value": task}} for task in self.tasks])

        def all_told():
            self.scheduler.pump()
            told = {e["update"]["status"]["task_id"]["value"]: e["update"]["status"]
                    for e in self.scheduler.events[seen:] if e["type"] == "UPDATE"}
            return told if set(self.tasks) <= set(told) else None

        return wait_for(all_told, 10, "an answer for each task")

    def check(self):
        """Everything is back where it was; everything that runs, runs, and was started once."""
        self.leader = self.wait_leader()
        for agent, agent_id in zip(self.agents, self.ids):
            assert self.cluster.wait_registered(agent, self.leader, 30)["id"] == agent_id
        self.resubscribe()
        wait_for(lambda: all(s["state"] == "TASK_RUNNING" for s in self.reconcile().values()), 20, "all tasks to be known")
        for task, status in self.reconcile().items():
            assert status["agent_id"]["value"] == self.tasks[task][0]
        books.wait_agreed(self.leader, self.agents)
        running = [t for agent in self.agents for _, t in books.tasks_of_agent(agent.state())]
        assert sorted(t for t in running if t in self.tasks) == sorted(self.tasks)
        for _, path in self.tasks.values():
            with open(path, encoding="ascii") as file:
                assert file.read() == "started\n"
        assert self.elected() == [self.leader]
        assert self.registry()[1] == sorted("agents%2F" + agent_id for agent_id in self.ids)

    def restart(self):
        """All that ended is started again."""
        for node in self.zk.nodes:
            if node.process.poll() is not None:
                node.start()
        for master in self.masters:
            if not master.is_running():
                master.start()
        for node in self.zk.nodes:
            wait_for(node.serves, 30, "ZooKeeper to serve")
        for master in self.masters:
            master.wait_serving(20)

    def write(self):
        """The registry can be written: an agent is admitted, and forgotten again when it goes."""
        before = self.registry()[0]
        agent = self.start_agent(self.spare)
        assert agent.stop(signal.SIGUSR1) == 0
        wait_for(lambda: len(self.registry()[1]) == AGENTS, 10, "the spare agent to be forgotten")
        after = self.registry()[0]
        assert after[0] == before[0] and after[1] >= before[1] + 2

    # ---- faults ----

    def kill_leader(self):
        self.leader.kill()
        self.wait_leader()

    def kill_node(self):
        """The node of ZooKeeper that leads there."""
        node = next(n for n in self.zk.nodes if n.mode() == "leader")
        node.kill()
        wait_for(lambda: any(n.mode() == "leader" for n in self.zk.nodes if n is not node), 30, "a new leader in ZooKeeper")

    def cut_leader_from_zookeeper(self):
        old = self.leader
        self.network.cut(self.place_of(old), *self.zk_places)
        self.expect_end(old)
        self.network.heal()

    def cut_leader_from_agents(self):
        """Longer than the pings may go unanswered."""
        self.network.cut(self.place_of(self.leader), *self.agent_places)
        wait_for(lambda: self.leader.metrics()["master/slaves_unreachable"] == AGENTS, 30, "the agents to be unreachable")
        for task in self.tasks:
            self.scheduler.wait_update(task, "TASK_UNREACHABLE")
        assert self.registry()[1] == sorted("unreachable%2F" + agent_id for agent_id in self.ids)
        self.network.heal()

    def stop_leader(self):
        """Past its session; then it wakes."""
        old = self.leader
        old.send_signal(signal.SIGSTOP)
        self.leader = self.wait_leader([m for m in self.masters if m is not old])
        for agent in self.agents:
            self.cluster.wait_registered(agent, self.leader, 30)
        before = self.registry()
        old.send_signal(signal.SIGCONT)
        self.expect_end(old)
        assert self.registry() == before

    def kill_masters(self):
        for master in self.masters:
            master.kill()

    def expect_end(self, old):
        """The old leader ends by itself, and another one leads."""
        wait_for(lambda: not old.is_running(), 30, "the old leader to end")
        assert old.process.returncode == 1
        assert "ost leadership" in old.read_log() or "taken over" in old.read_log()
        self.wait_leader([m for m in self.masters if m is not old])


@pytest.fixture(scope="module")
def shared_world():
    with netns.Network() as network:
        places = [[network.add() for _ in range(count)] for count in (3, 3, AGENTS, 2)]
        cluster = harness.Cluster()
        ensemble = None
        try:
            ensemble = zookeeper.ZooKeeper(machines=places[0])
            yield World(network, ensemble, cluster, places)
        finally:
            network.heal()
            if ensemble is not None:
                ensemble.close()
            complaints = cluster.close()
        assert not complaints, "\n".join(complaints)


@pytest.fixture
def cluster(shared_world):
    return shared_world.cluster  # whose logs are shown when a test fails


@pytest.fixture
def world(shared_world, cluster):
    assert cluster is shared_world.cluster
    shared_world.restart()
    shared_world.check()
    yield shared_world
    shared_world.network.heal()


# The leader's end, and a cut between it and ZooKeeper, come with frameworks below.
@pytest.mark.parametrize("fault", ["kill_node", "cut_leader_from_agents", "stop_leader", "kill_masters"])
def test_one_leader_and_all_tasks_after(world, fault):
    getattr(world, fault)()
    world.restart()
    world.check()


def test_mesos_3280_the_registry_can_be_written_after_a_partition_heals(world):
    """The leader is in a minority with one node of ZooKeeper, and with an agent that knows no other master. In Mesos the
    log of a master that had been cut off could not be used any more after the network was whole again."""
    old, node = world.leader, next(n for n in world.zk.nodes if n.mode() == "leader")
    others = [m for m in world.masters if m is not old]
    minority = [world.place_of(old), world.zk_places[world.zk.nodes.index(node)], world.lonely]
    world.network.split(minority)
    lost = world.start_agent(world.lonely, master_flag=old.address, wait=False)
    world.expect_end(old)
    assert "Registered with master" not in lost.read_log()
    lost.kill()
    world.leader = world.wait_leader(others)
    world.write()
    world.network.heal()
    world.restart()
    world.check()  # and of the lost agent there is no trace
    # Now the one that had been cut off must lead, and write.
    for master in others:
        master.kill()
    world.leader = world.wait_leader([old])
    world.write()
    world.restart()
    world.check()


def test_frameworks_on_pymesos_and_on_the_c_library_go_through_failovers(world):
    cluster, done = world.cluster, world.cluster.path("done")
    execute = cluster.popen(
        [os.path.join(BIN, "mesos-execute"), "--name=t", "--resources=cpus:0.1;mem:32", "--master=" + world.zk.url(),
         "--checkpoint", "--command=while ! test -e %s; do sleep 0.1; done" % done],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    library = cluster.popen(
        [os.path.join(BUILD, "src", "libmesos", "example-framework"), world.zk.url(),
         "while ! test -e %s; do sleep 0.1; done" % done, "2"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    names = {"mesos-execute instance", "Tutorial", "example"}
    # The task whose directory is not there fails after a while, and is launched again.
    scratch = cluster.path("late")
    tutorial = cluster.popen(
        [sys.executable, os.path.join(os.path.dirname(__file__), "tutorial_framework.py"), world.zk.url(),
         "$(sleep 1; echo %s)" % scratch], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def active():
        return {f["name"] for f in world.leader.state()["frameworks"] if f["active"]}

    wait_for(lambda: names <= active(), 20, "the frameworks to subscribe")
    for fault in (world.kill_leader, world.cut_leader_from_zookeeper):
        fault()
        world.restart()
        world.check()
        wait_for(lambda: names <= active(), 20, "the frameworks to subscribe again")
    os.makedirs(scratch)
    with open(done, "w", encoding="ascii"):
        pass
    for process in (execute, library, tutorial):
        try:
            process.wait(40 * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
        output = process.communicate()[0]
        assert process.returncode == 0, output
    assert os.path.isdir(os.path.join(scratch, "made"))
    world.check()


@pytest.mark.soak
def test_many_faults_one_after_the_other(world):
    """For MESETA_MINUTES (5), at random, with the seed in the report."""
    seed = int(os.environ.get("MESETA_SEED", random.randrange(1 << 32)))
    print("MESETA_SEED=%d" % seed)
    chance = random.Random(seed)
    faults = [world.kill_leader, world.kill_node, world.cut_leader_from_zookeeper, world.cut_leader_from_agents,
              world.stop_leader, world.kill_masters]
    end = time.monotonic() + 60 * float(os.environ.get("MESETA_MINUTES", "5"))
    count = 0
    while time.monotonic() < end:
        some = chance.sample(faults, chance.choice((1, 2, 2)))
        print("%d: %s" % (count, ", ".join(f.__name__ for f in some)), flush=True)
        for fault in some:
            world.check()  # what the fault before it has ended is still missing
            fault()
            if fault == world.kill_masters:
                break
        world.restart()
        world.check()
        world.write()
        count += 1
    print("%d rounds" % count)
    assert count > 0
