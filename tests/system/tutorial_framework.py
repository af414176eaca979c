#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tutorial's framework, on pymesos: tutorial_framework.py MASTER SCRATCH_DIRECTORY

Runs `echo HelloWorld` and the `mkdir` of SCRATCH_DIRECTORY/made, both on one offer, under a framework
id of its own invention. A task that fails is queued again and offers are asked for; with nothing
left they are suppressed. Prints a line for each thing that happens and ends when both have finished.
"""

import getpass
import os
import socket
import sys
import threading
import uuid

from addict import Dict
from pymesos import MesosSchedulerDriver, Scheduler

CPUS, MEM = 0.1, 100
FAILED = ("TASK_FAILED", "TASK_KILLED", "TASK_LOST", "TASK_ERROR", "TASK_DROPPED")


class Tutorial(Scheduler):
    def __init__(self, commands):
        self.waiting = list(commands)
        self.running = {}
        self.finished = []
        self.done = threading.Event()

    def say(self, text):
        print(text, flush=True)

    def registered(self, driver, framework_id, master_info):
        self.say("Registered with framework id %s" % framework_id["value"])

    def reregistered(self, driver, master_info):
        # What pymesos makes of a subscription under an id that it had before.
        self.say("Registered with framework id %s" % driver.framework_id)

    def resourceOffers(self, driver, offers):
        for offer in offers:
            tasks = self.fill(offer)
            if tasks:
                driver.launchTasks(offer["id"], tasks, {"refuse_seconds": 1})
            else:
                driver.declineOffer(offer["id"], {"refuse_seconds": 1})
        if not self.waiting:
            driver.suppressOffers()

    def fill(self, offer):
        amounts = {resource["name"]: resource["scalar"]["value"] for resource in offer["resources"]
                   if resource["type"] == "SCALAR"}
        cpus, mem, tasks = amounts.get("cpus", 0), amounts.get("mem", 0), []
        while self.waiting and cpus >= CPUS and mem >= MEM:
            command = self.waiting.pop(0)
            cpus, mem = cpus - CPUS, mem - MEM
            tasks.append(self.make_task(offer, command))
        return tasks

    def make_task(self, offer, command):
        task = Dict()
        task.task_id.value = str(uuid.uuid4())
        task.agent_id.value = offer["agent_id"]["value"]
        task.name = "tutorial %s" % task.task_id.value
        task.resources = [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": CPUS}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": MEM}},
        ]
        task.command = {"shell": True, "value": command}
        self.running[task.task_id.value] = command
        self.say("Launching task %s: %s" % (task.task_id.value, command))
        return task.to_dict()

    def statusUpdate(self, driver, update):
        task_id, state = update["task_id"]["value"], update["state"]
        line = "Task %s is %s" % (task_id, state)
        if state == "TASK_RUNNING":
            infos = update["container_status"]["network_infos"]
            line += " at %s" % infos[0]["ip_addresses"][0]["ip_address"]
        self.say(line)
        if task_id not in self.running:
            pass  # said once more, since the acknowledgement was lost with a master
        elif state == "TASK_FINISHED":
            self.finished.append(self.running.pop(task_id))
        elif state in FAILED:
            self.say("  message: %s" % update.get("message"))
            self.waiting.append(self.running.pop(task_id))
            driver.reviveOffers()
        if not self.waiting and not self.running:
            self.done.set()

    def error(self, driver, message):
        self.say("Error: %s" % message)
        self.done.set()


def main():
    master, scratch = sys.argv[1:]
    commands = ["echo HelloWorld", "mkdir %s" % os.path.join(scratch, "made")]
    framework = Dict(user=getpass.getuser(), name="Tutorial", hostname=socket.gethostname(),
                     id={"value": "tutorial-%s" % uuid.uuid4()})
    tutorial = Tutorial(commands)
    driver = MesosSchedulerDriver(tutorial, framework.to_dict(), master)
    driver.start()
    is_done = tutorial.done.wait(60)
    driver.stop()
    driver.join()
    if not is_done or len(tutorial.finished) != len(commands):
        tutorial.say("Not all tasks finished")
        return 1
    tutorial.say("All tasks finished")
    return 0


if __name__ == "__main__":
    sys.exit(main())
