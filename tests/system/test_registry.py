# SPDX-License-Identifier: Apache-2.0
"""The durable registry of a single master: what it admitted and gave up outlives it."""

import os
import signal
import subprocess

from harness import BIN, PATIENCE, find_port, make_task, wait_for

DURABLE = {"registry": "replicated_log"}


def test_an_agent_keeps_its_id_and_task_over_a_killed_master(cluster):
    master = cluster.start_master(**DURABLE)
    agent = cluster.start_agent(master)
    scheduler = cluster.scheduler(master, failover_timeout=600, checkpoint=True)
    task = make_task("sleep 600")
    scheduler.launch(scheduler.wait_offer(), [task])
    scheduler.wait_update(task["task_id"]["value"], "TASK_RUNNING")
    before = cluster.find_registration(agent, master)["id"]
    scheduler.close()
    master.kill()
    master.restart()
    assert cluster.wait_registered(agent, master)["id"] == before
    again = cluster.scheduler(master, subscribe=False, id=scheduler.framework["id"], failover_timeout=600)
    again.subscribe()
    again.call("RECONCILE", tasks=[{"task_id": task["task_id"]}])
    assert again.wait_update(task["task_id"]["value"])["state"] == "TASK_RUNNING"
    again.kill(task["task_id"]["value"])
    assert again.wait_end(task["task_id"]["value"])["state"] == "TASK_KILLED"


def test_an_agent_that_does_not_come_back_becomes_unreachable_and_stays_so(cluster):
    master = cluster.start_master(**DURABLE, agent_reregister_timeout="2secs")
    agent = cluster.start_agent(master)
    agent_id = cluster.find_registration(agent, master)["id"]
    master.kill()
    agent.kill()
    master.restart()
    state = master.state()
    assert state["slaves"] == []
    assert [entry["id"] for entry in state["recovered_slaves"]] == [agent_id]
    assert state["unreachable_slaves"] == 0
    wait_for(lambda: master.metrics()["master/slaves_unreachable"] == 1, 10, "the agent to be given up")
    assert master.metrics()["master/recovery_slave_removals"] == 1
    scheduler = cluster.scheduler(master, capabilities=[{"type": "PARTITION_AWARE"}])

    def ask():
        scheduler.events.clear()
        scheduler._seen = 0
        scheduler.call("RECONCILE", tasks=[{"task_id": {"value": "t"}, "agent_id": {"value": agent_id}}])
        return scheduler.wait_update("t")

    first = ask()
    assert first["state"] == "TASK_UNREACHABLE"
    scheduler.close()
    master.kill()
    master.restart()
    assert master.state()["recovered_slaves"] == []
    assert master.metrics()["master/slaves_unreachable"] == 1
    scheduler = cluster.scheduler(master, subscribe=False, id=scheduler.framework["id"],
                                  capabilities=[{"type": "PARTITION_AWARE"}])
    scheduler.subscribe()
    again = ask()
    assert again["state"] == "TASK_UNREACHABLE"
    assert again["unreachable_time"] == first["unreachable_time"]


def test_too_many_agents_that_do_not_come_back_end_the_master(cluster):
    """Rather than mark them unreachable: a person shall look first."""
    master = cluster.start_master(**DURABLE, agent_reregister_timeout="2secs", recovery_agent_removal_limit="40%")
    agents = [cluster.start_agent(master) for _ in range(3)]
    ids = [cluster.find_registration(agent, master)["id"] for agent in agents]
    for daemon in [master] + agents[:2]:
        daemon.kill()
    master.restart()
    cluster.wait_registered(agents[2], master)
    wait_for(lambda: not master.is_running(), 10, "the master to end")
    assert master.process.returncode == 1
    log = master.read_log()
    assert ("Post-recovery agent removal limit exceeded! After 2secs there were 2 (66.6667%) agents recovered from the "
            "registry that did not reregister:") in log
    assert ids[0] in log.partition("did not reregister:")[2] and ids[1] in log.partition("did not reregister:")[2]
    assert "The configured removal limit is 40%" in log
    # Nothing was changed: with another limit the next one gives up the two, one a second.
    master.flags.update(recovery_agent_removal_limit="70%", agent_removal_rate_limit="1/2secs")
    master.restart()
    assert {entry["id"] for entry in master.state()["recovered_slaves"]} <= set(ids)
    wait_for(lambda: master.metrics()["master/slaves_unreachable"] == 1, 10, "one agent to be given up")
    metrics = master.metrics()
    assert metrics["master/slave_unreachable_scheduled"] == 2 and metrics["master/slave_unreachable_completed"] == 1
    # The other one comes back in time.
    late = next(a for a, i in zip(agents, ids) if i in {e["id"] for e in master.state()["recovered_slaves"]})
    late.restart()
    cluster.wait_registered(late, master)
    metrics = master.metrics()
    assert metrics["master/slave_unreachable_canceled"] + metrics["master/slave_unreachable_completed"] == 2


def test_a_registry_that_is_not_there_is_made_only_when_that_is_wanted(cluster):
    master = cluster.start_master(wait=False, **DURABLE, log_auto_initialize=False)
    assert master.process.wait(10 * PATIENCE) == 1
    assert "There is no registry at %s" % os.path.join(master.flags["work_dir"], "registry.db") in master.read_log()
    assert not os.path.exists(os.path.join(master.flags["work_dir"], "registry.db"))
    master.flags["log_auto_initialize"] = True
    master.start().wait_serving()
    assert master.stop() == 0
    master.flags["log_auto_initialize"] = False
    master.start().wait_serving()


def test_an_agent_that_unregistered_is_forgotten(cluster):
    master = cluster.start_master(**DURABLE)
    agent = cluster.start_agent(master)
    agent.stop(signal.SIGUSR1)
    wait_for(lambda: master.state()["slaves"] == [], 10, "the agent to be removed")
    master.kill()
    master.restart()
    assert master.state()["recovered_slaves"] == []


def run_master(*flags):
    """Runs a master that ought to end by itself; returns its exit status and what it said."""
    command = [os.path.join(BIN, "mesos-master"), "--ip=127.0.0.1", "--port=%d" % find_port(), *flags]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            timeout=20 * PATIENCE, check=False, encoding="utf-8")
    return result.returncode, result.stdout


def test_a_second_master_on_the_same_work_dir_is_refused(cluster):
    master = cluster.start_master(**DURABLE)
    status, text = run_master("--work_dir=" + master.flags["work_dir"])
    assert status == 1
    assert "Failed to open the registry: %s/registry.db: " % master.flags["work_dir"] in text
    assert "Another process has it open" in text
    assert master.get("/health").status == 200


def test_a_durable_registry_needs_a_work_dir():
    status, text = run_master()
    assert status == 1
    assert "--work_dir needed for replicated log based registry" in text


def test_a_file_that_is_no_registry_is_left_alone(cluster):
    os.mkdir(cluster.path("work"))
    with open(cluster.path("work", "registry.db"), "w", encoding="ascii") as file:
        file.write("no database at all\n" * 500)
    status, text = run_master("--work_dir=" + cluster.path("work"))
    assert status == 1
    assert "Failed to open the registry: " in text and "not a database" in text
    with open(cluster.path("work", "registry.db"), encoding="ascii") as file:
        assert file.read(8) == "no datab"


def test_the_registry_can_be_read(cluster):
    master = cluster.start_master(**DURABLE)
    cluster.start_agent(master, resources="cpus:4;mem:1024;disk:100")
    agent_id = master.state()["slaves"][0]["id"]
    unavailability = {"start": {"nanoseconds": 1700000000000000000}}
    for kind, content in (
            ("DEACTIVATE_AGENT", {"agent_id": {"value": agent_id}}),
            ("UPDATE_WEIGHTS", {"weight_infos": [{"role": "ads", "weight": 2}]}),
            ("UPDATE_QUOTA", {"quota_configs": [{"role": "ads", "limits": {"cpus": {"value": 1}}}]}),
            ("UPDATE_MAINTENANCE_SCHEDULE", {"schedule": {"windows": [
                {"machine_ids": [{"ip": "10.1.2.3"}], "unavailability": unavailability}]}}),
            ("START_MAINTENANCE", {"machines": [{"ip": "10.1.2.3"}]})):
        response = master.post("/api/v1", {"type": kind, kind.lower(): content})
        assert response.status == 200, response.text
    registry = master.get("/registrar(1)/registry").json()
    master.kill()
    master.restart()
    wait_for(lambda: master.state()["slaves"], 10, "the agent")
    for found in (registry, master.get("/registrar(1)/registry").json()):
        assert found["slaves"]["slaves"][0]["info"]["id"] == {"value": agent_id}
        assert found["slaves"]["slaves"][0]["deactivated"] is True
        assert found["machines"]["machines"] == [
            {"info": {"id": {"ip": "10.1.2.3"}, "mode": "DOWN", "unavailability": unavailability}}]
        assert found["schedules"][0]["windows"][0]["machine_ids"] == [{"ip": "10.1.2.3"}]
        assert found["weights"] == [{"info": {"role": "ads", "weight": 2.0}}]
        assert found["quota_configs"] == [{"role": "ads", "limits": {"cpus": {"value": 1.0}}}]
        assert found["minimum_capabilities"] == [{"capability": "AGENT_DRAINING"}, {"capability": "QUOTA_V2"}]
        assert found["unreachable"] == found["gone"] == {"slaves": []}
    assert registry["master"]["info"]["id"] != found["master"]["info"]["id"]
