#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pymesos driven from outside: pymesos_client.py MASTER FRAMEWORK_INFO

Reads a call per line, ["KILL", {...}], and answers each with {"answer": null or what was wrong, "via": "library" or
"request"}; prints each event as {"event": {...}}. bridged.py is the other end.

What the library lacks goes through its own function for any call (_send): it has no SHUTDOWN and no UPDATE_FRAMEWORK,
and its killTask and reconcileTasks leave out the agent's id and the kill policy. Operations are passed on as they are.
"""

import json
import sys
import threading

from pymesos import MesosSchedulerDriver, Scheduler

_lock = threading.Lock()


def say(content):
    with _lock:
        print(json.dumps(content), flush=True)


def tell(kind, content):
    say({"event": {"type": kind, kind.lower(): content}})


class Forwarder(Scheduler):
    """Tells each callback as the event that it came from."""

    def registered(self, driver, framework_id, master_info):
        tell("SUBSCRIBED", {"framework_id": framework_id})

    def reregistered(self, driver, master_info):
        tell("SUBSCRIBED", {"framework_id": {"value": driver.framework_id}})

    def resourceOffers(self, driver, offers):
        tell("OFFERS", {"offers": offers})

    def statusUpdate(self, driver, update):
        tell("UPDATE", {"status": update})

    def operationStatusUpdate(self, driver, update):
        tell("UPDATE_OPERATION_STATUS", {"status": update})

    def executorLost(self, driver, executor_id, agent_id, status):
        tell("FAILURE", {"executor_id": executor_id, "agent_id": agent_id, "status": status})

    def slaveLost(self, driver, agent_id):
        tell("FAILURE", {"agent_id": agent_id})

    def error(self, driver, message):
        tell("ERROR", {"message": message})


def teardown(driver):
    driver.stop()
    driver.join()


FUNCTIONS = {
    "ACCEPT": lambda d, c: d.acceptOffers(c["offer_ids"], c["operations"], c.get("filters")),
    "DECLINE": lambda d, c: d.declineOffer(c["offer_ids"], c.get("filters")),
    "ACKNOWLEDGE": lambda d, c: d.acknowledgeStatusUpdate(c),
    "ACKNOWLEDGE_OPERATION_STATUS": lambda d, c: d.acknowledgeOperationStatusUpdate(c),
    "KILL": lambda d, c: d.killTask(c["task_id"]),
    "RECONCILE": lambda d, c: d.reconcileTasks(c["tasks"]),
    "REVIVE": lambda d, c: d.reviveOffers(c.get("roles", ())),
    "TEARDOWN": lambda d, c: teardown(d),
}


def call(driver, kind, content):
    """Makes the call by the library's function for it, or by its general one; says by which."""
    if kind in FUNCTIONS:
        FUNCTIONS[kind](driver, content)
        return "library"
    driver._send({"type": kind, "framework_id": {"value": driver.framework_id}, kind.lower(): content})
    return "request"


def main():
    master, info = sys.argv[1:]
    driver = MesosSchedulerDriver(Forwarder(), json.loads(info), master, implicit_acknowledgements=False)
    driver.start()
    for line in sys.stdin:
        kind, content = json.loads(line)
        try:
            say({"answer": None, "via": call(driver, kind, content)})
        except (RuntimeError, OSError, AssertionError) as error:
            say({"answer": str(error), "via": "library"})


if __name__ == "__main__":
    main()
