#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A framework on pymesos that runs one task group: pod_framework.py MASTER

One of its tasks is killed when all run, so that the whole group ends. Prints a line for each status.
"""

import sys
import threading

from pymesos import MesosSchedulerDriver, Scheduler

TASKS = ("web", "log")


def amounts(**named):
    return [{"name": name, "type": "SCALAR", "scalar": {"value": value}} for name, value in named.items()]


class Pods(Scheduler):
    def __init__(self):
        self.framework_id = None
        self.states = {}
        self.is_launched = False
        self.done = threading.Event()

    def registered(self, driver, framework_id, master_info):
        self.framework_id = framework_id

    def resourceOffers(self, driver, offers):
        for offer in offers:
            if self.is_launched:
                driver.declineOffer(offer["id"])
                continue
            self.is_launched = True
            executor = {"type": "DEFAULT", "executor_id": {"value": "pod"}, "framework_id": self.framework_id,
                        "resources": amounts(cpus=0.1, mem=32, disk=16)}
            tasks = [{"task_id": {"value": name}, "name": name, "agent_id": offer["agent_id"],
                      "resources": amounts(cpus=0.1, mem=32), "command": {"value": "sleep 1000"}} for name in TASKS]
            driver.acceptOffers(offer["id"], [{"type": "LAUNCH_GROUP", "launch_group": {
                "executor": executor, "task_group": {"tasks": tasks}}}])

    def statusUpdate(self, driver, update):
        name, state = update["task_id"]["value"], update["state"]
        print("task %s %s" % (name, state), flush=True)
        driver.acknowledgeStatusUpdate(update)
        self.states[name] = state
        if list(self.states.values()) == ["TASK_RUNNING"] * len(TASKS):
            driver.killTask({"value": TASKS[0]})
        elif all(self.states.get(task) not in (None, "TASK_STARTING", "TASK_RUNNING") for task in TASKS):
            self.done.set()


def main():
    pods = Pods()
    driver = MesosSchedulerDriver(pods, {"user": "root", "name": "pods"}, sys.argv[1], implicit_acknowledgements=False)
    driver.start()
    ended = pods.done.wait(60)
    driver.stop()
    driver.join()
    return 0 if ended else 1


if __name__ == "__main__":
    sys.exit(main())
