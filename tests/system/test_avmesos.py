# SPDX-License-Identifier: Apache-2.0
"""PyPI's avmesos, as Mesos' users have it: it subscribes, launches, hears, kills, reconciles and tears down, and logs no
error of its own."""

import logging
import threading
import time

from avmesos.client import MesosClient

from harness import make_task, wait_for


class Framework:
    """A client with its loop in a thread of its own, and what it heard."""

    def __init__(self, address):
        self.client = MesosClient(mesos_urls=["http://" + address], frameworkName="av", frameworkUser="root",
                                  max_reconnect=1)
        self.driver, self.offers, self.updates, self.beats = None, [], [], 0
        self.client.set_failover_timeout(0)
        self.client.add_capability("PARTITION_AWARE")
        self.client.on(MesosClient.SUBSCRIBED, self.subscribed)
        self.client.on(MesosClient.OFFERS, self.offers.extend)
        self.client.on(MesosClient.UPDATE, self.updates.append)
        self.client.on(MesosClient.HEARTBEAT, self.beat)
        self.thread = threading.Thread(target=self.client.register, daemon=True)
        self.thread.start()

    def subscribed(self, driver):
        self.driver = driver

    def beat(self, _):
        self.beats += 1

    def hear(self, condition, what):
        """It looks at an event once the next one begins (its lines end where the next length does): so one more is
        asked for, about a task that nobody knows."""
        def nudge():
            if not condition():
                self.driver.reconcile([{"task_id": {"value": "nudge"}}])
                time.sleep(0.05)
            return condition()

        return wait_for(nudge, what=what)

    def launch(self, command):
        """On the newest offer; the task's id and its agent's."""
        self.hear(lambda: self.offers, "an offer")
        offer = self.offers.pop()
        agent_id = offer.get_offer()["agent_id"]
        task = make_task(command, agent_id=agent_id)
        assert offer.accept([task], options={"filters": {"refuse_seconds": 0}})
        return task["task_id"]["value"], agent_id["value"]

    def wait(self, task_id, state):
        return self.hear(lambda: [u for u in self.updates if u["status"]["task_id"]["value"] == task_id
                                 and u["status"]["state"] == state], "%s of %s" % (state, task_id))

    def states(self, task_id):
        return [u["status"]["state"] for u in self.updates if u["status"]["task_id"]["value"] == task_id]


def test_a_framework_of_avmesos(cluster, master, agent, caplog):
    caplog.set_level(logging.ERROR, logger="avmesos")
    framework = Framework(master.address)
    wait_for(lambda: framework.driver, what="SUBSCRIBED")
    shown = master.state()["frameworks"][0]
    assert (shown["name"], shown["connected"]) == ("av", True)
    assert framework.client.get_master_info()["id"] == master.state()["id"]
    task_id, _ = framework.launch("true")
    framework.wait(task_id, "TASK_FINISHED")
    assert framework.states(task_id) == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
    task_id, agent_id = framework.launch("sleep 1000")
    framework.wait(task_id, "TASK_RUNNING")
    assert framework.driver.reconcile([{"agent_id": {"value": agent_id}, "task_id": {"value": task_id}}])
    framework.hear(lambda: framework.states(task_id).count("TASK_RUNNING") == 2, "the answer to RECONCILE")
    assert framework.driver.kill(agent_id, task_id)
    framework.wait(task_id, "TASK_KILLED")
    framework.hear(lambda: framework.offers, "an offer")
    framework.offers.pop().decline(options={"filters": {"refuse_seconds": 1}})
    framework.driver.suppress()
    framework.driver.revive()
    assert not [r for r in caplog.records if r.name.startswith("avmesos")], caplog.text
    framework.driver.tearDown()
    wait_for(lambda: [f["name"] for f in master.state()["completed_frameworks"]] == ["av"], what="the teardown")
