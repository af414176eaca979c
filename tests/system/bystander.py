# SPDX-License-Identifier: Apache-2.0
"""A framework with a running task that must not notice what others do beside it."""

from harness import make_task, wait_for


class Bystander:
    """Subscribes, runs one long task, takes no more offers. check() tells whether it was left in peace."""

    def __init__(self, cluster, master):
        self.master = master
        self.scheduler = cluster.scheduler(master, name="bystander")
        task = make_task("sleep 1000", cpus=0.1, mem=32)
        self.task_id = task["task_id"]["value"]
        self.scheduler.launch(self.scheduler.wait_offer(), [task])
        self.scheduler.wait_update(self.task_id, "TASK_RUNNING")
        self.scheduler.call("SUPPRESS")
        # What was offered before the SUPPRESS is given back, so that all of it is free for others.
        self.scheduler.pump()
        for event in self.scheduler.events:
            if event["type"] == "OFFERS":
                self.scheduler.decline(event["offers"]["offers"])
        wait_for(lambda: not self.entry()["offers"], what="the bystander's offers to be gone")
        self.scheduler.pump()
        self.seen = len(self.scheduler.events)

    def entry(self):
        """Its entry in the master's /state."""
        frameworks = self.master.state()["frameworks"]
        return next(f for f in frameworks if f["id"] == self.scheduler.framework_id)

    def check(self):
        """Nothing happened to it: no event but heartbeats, and its task still runs and answers."""
        self.scheduler.pump()
        news = [e for e in self.scheduler.events[self.seen:] if e["type"] != "HEARTBEAT"]
        assert news == []
        entry = self.entry()
        assert entry["active"] and entry["connected"]
        assert [(t["id"], t["state"]) for t in entry["tasks"]] == [(self.task_id, "TASK_RUNNING")]
        # Its stream is alive: a question is answered on it.
        self.scheduler.call("RECONCILE", tasks=[{"task_id": {"value": self.task_id}}])
        event = self.scheduler.wait("UPDATE", lambda e: e["update"]["status"].get("reason") == "REASON_RECONCILIATION")
        assert event["update"]["status"]["state"] == "TASK_RUNNING"
        self.seen = len(self.scheduler.events)
