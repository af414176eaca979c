#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A framework on pymesos with a volume: volume_framework.py MASTER

Reserves disk and makes a volume of it, writes with one task, reads with another, and gives all back. Prints a line
for each status. (pymesos' own acknowledgement of operations sends the uuid as an object, which no master takes: here it
is done explicitly.)
"""

import sys
import threading

from pymesos import MesosSchedulerDriver, Scheduler

ROLE = "volumes"
RESERVATION = [{"type": "DYNAMIC", "role": ROLE}]
DISK = {"name": "disk", "type": "SCALAR", "scalar": {"value": 16}, "reservations": RESERVATION}
VOLUME = {**DISK, "disk": {"persistence": {"id": "v"}, "volume": {"mode": "RW", "container_path": "data"}}}
OURS = [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}},
        {"name": "mem", "type": "SCALAR", "scalar": {"value": 32}}]


def has_volume(offer):
    return any("persistence" in r.get("disk", {}) for r in offer["resources"])


class Volumes(Scheduler):
    def __init__(self):
        self.steps = ["write", "read", "destroy"]
        self.step = None
        self.done = threading.Event()

    def resourceOffers(self, driver, offers):
        for offer in offers:
            # The first step makes the volume; the others need it.
            if self.step is not None or not self.steps or (self.steps[0] != "write" and not has_volume(offer)):
                driver.declineOffer(offer["id"], {"refuse_seconds": 0})
                continue
            self.step = self.steps.pop(0)
            driver.acceptOffers(offer["id"], self.operations(offer), {"refuse_seconds": 0})

    def operations(self, offer):
        if self.step == "destroy":
            return [{"type": "DESTROY", "id": {"value": "destroy"}, "destroy": {"volumes": [VOLUME]}},
                    {"type": "UNRESERVE", "id": {"value": "unreserve"}, "unreserve": {"resources": [DISK]}}]
        command = "echo kept > data/file" if self.step == "write" else "test $(cat data/file) = kept"
        task = {"task_id": {"value": self.step}, "name": self.step, "agent_id": offer["agent_id"],
                "resources": [*OURS, VOLUME], "command": {"value": command}}
        made = [{"type": "RESERVE", "id": {"value": "reserve"}, "reserve": {"resources": [DISK]}},
                {"type": "CREATE", "id": {"value": "create"}, "create": {"volumes": [VOLUME]}}]
        return [*(made if self.step == "write" else []), {"type": "LAUNCH", "launch": {"task_infos": [task]}}]

    def statusUpdate(self, driver, update):
        print("task %s %s" % (update["task_id"]["value"], update["state"]), flush=True)
        driver.acknowledgeStatusUpdate(update)
        if update["state"] == "TASK_FINISHED":
            self.step = None
        elif update["state"] not in ("TASK_STARTING", "TASK_RUNNING"):
            self.done.set()

    def operationStatusUpdate(self, driver, update):
        name = update["operation_id"]["value"]
        print("operation %s %s" % (name, update["state"]), flush=True)
        driver.acknowledgeOperationStatusUpdate({
            "agent_id": update["agent_id"], "operation_id": update["operation_id"], "uuid": update["uuid"]["value"]})
        if name == "unreserve" or update["state"] != "OPERATION_FINISHED":
            self.done.set()


scheduler = Volumes()
framework = {"user": "root", "name": "volumes", "roles": [ROLE], "capabilities": [
    {"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}]}
driver = MesosSchedulerDriver(scheduler, framework, sys.argv[1], implicit_acknowledgements=False)
driver.start()
in_time = scheduler.done.wait(60)
driver.stop()
driver.join()
sys.exit(0 if in_time else "nothing more happens")
