# SPDX-License-Identifier: Apache-2.0
"""The tutorial's framework, on unmodified pymesos.

It invents its framework id itself, launches `echo HelloWorld` and the `mkdir` of a directory on one offer
(0.1 cpu and 100 MB each), reads the agent's address from the update that says RUNNING, puts failed tasks
into the queue again and revives, and suppresses offers when it has nothing left.

    tutorial.py --master=IP:PORT --directory=DIR [--user=NAME]

Prints one line per event; exits with 0 when both tasks finished.
"""

import argparse
import getpass
import queue
import shlex
import socket
import sys
import threading
import uuid

from pymesos import MesosSchedulerDriver, Scheduler

ENDED = {"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_LOST", "TASK_DROPPED", "TASK_GONE"}
ATTEMPTS_MAX = 3


def say(*words):
    print(*words, flush=True)


class Tutorial(Scheduler):
    def __init__(self, commands):
        self.waiting = queue.Queue()
        self.commands = {}  # task id -> (command, attempt)
        self.left = len(commands)
        self.addresses = {}  # task id -> the agent's address as RUNNING tells it
        self.failures = []
        self.done = threading.Event()
        for command in commands:
            self.waiting.put((command, 1))

    def registered(self, driver, framework_id, master_info):
        say("Registered with framework id", framework_id["value"])

    def reregistered(self, driver, master_info):
        say("Registered with our own framework id", driver.framework_id)  # pymesos: who brings an id comes back

    def resourceOffers(self, driver, offers):
        filters = {"refuse_seconds": 1}
        for offer in offers:
            tasks = []
            room = {r["name"]: r["scalar"]["value"] for r in offer["resources"] if r["type"] == "SCALAR"}
            while room.get("cpus", 0) >= 0.1 * (len(tasks) + 1) and room.get("mem", 0) >= 100 * (len(tasks) + 1):
                try:
                    tasks.append(self.make_task(offer, *self.waiting.get_nowait()))
                except queue.Empty:
                    break
            if tasks:
                driver.launchTasks(offer["id"], tasks, filters)
            else:
                driver.declineOffer(offer["id"], filters)
        if self.waiting.empty():
            driver.suppressOffers()

    def make_task(self, offer, command, attempt):
        task_id = str(uuid.uuid4())
        self.commands[task_id] = (command, attempt)
        say("Launching task", task_id, "on agent", offer["agent_id"]["value"] + ":", command)
        return {
            "task_id": {"value": task_id},
            "agent_id": {"value": offer["agent_id"]["value"]},
            "name": "task " + task_id,
            "command": {"value": command},
            "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}},
                          {"name": "mem", "type": "SCALAR", "scalar": {"value": 100}}],
        }

    def statusUpdate(self, driver, update):
        task_id, state = update["task_id"]["value"], update["state"]
        say("Task", task_id, "is", state, update.get("message", ""))
        if state == "TASK_RUNNING":
            network = update["container_status"]["network_infos"][0]
            self.addresses[task_id] = network["ip_addresses"][0]["ip_address"]
            say("Task", task_id, "runs on", self.addresses[task_id])
        if state in ENDED:
            self.end(driver, task_id, state)

    def end(self, driver, task_id, state):
        command, attempt = self.commands.pop(task_id, (None, 0))
        if command is None:
            return  # told a second time
        if state != "TASK_FINISHED" and attempt < ATTEMPTS_MAX:
            self.waiting.put((command, attempt + 1))
            driver.reviveOffers()
            return
        if state != "TASK_FINISHED" or task_id not in self.addresses:
            self.failures.append(command)
        self.left -= 1
        if self.left == 0:
            self.done.set()

    def error(self, driver, message):
        say("Error:", message)
        self.failures.append(message)
        self.done.set()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--master", required=True)
    parser.add_argument("--directory", required=True, help="the directory that the second task makes")
    parser.add_argument("--user", default=getpass.getuser())
    parser.add_argument("--timeout", type=float, default=60)
    options = parser.parse_args()

    tutorial = Tutorial(["echo HelloWorld", "mkdir " + shlex.quote(options.directory)])
    framework = {"user": options.user, "name": "tutorial", "hostname": socket.gethostname(),
                 "id": {"value": "tutorial-" + str(uuid.uuid4())}, "failover_timeout": 60}
    driver = MesosSchedulerDriver(tutorial, framework, options.master)
    driver.start()
    is_done = tutorial.done.wait(options.timeout)
    driver.stop()
    driver.join()
    if not is_done:
        say("Nothing more happened for", options.timeout, "seconds")
    return 0 if is_done and not tutorial.failures else 1


if __name__ == "__main__":
    sys.exit(main())
