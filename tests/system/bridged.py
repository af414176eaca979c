# SPDX-License-Identifier: Apache-2.0
"""Client libraries of others, behind the same Scheduler as the plain client: each runs in a process of its own, which
takes calls and tells events as lines of JSON (pymesos_client.py, node/client.js)."""

import json
import os
import queue
import subprocess
import sys
import threading

from harness import PATIENCE, Scheduler

HERE = os.path.dirname(os.path.abspath(__file__))


class Process:
    """The client's process, as a stream of events and as the place where calls go."""

    END = None

    def __init__(self, command, directory):
        self.events = queue.Queue()
        self.answers = queue.Queue()
        self.process = subprocess.Popen(command, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.said = []  # what is not of the protocol: logs and tracebacks
        self.threads = [threading.Thread(target=target, daemon=True) for target in (self._read, self._read_errors)]
        for thread in self.threads:
            thread.start()

    def _read(self):
        for line in self.process.stdout:
            if not line.startswith("{"):
                self.said.append(line)
                continue
            message = json.loads(line)
            (self.events if "event" in message else self.answers).put(message)
        self.events.put(self.END)
        self.answers.put({"answer": "the process ended", "via": None})

    def _read_errors(self):
        self.said.extend(self.process.stderr)

    def next(self, timeout):
        """As Stream.next: the next event; None when the process has ended; queue.Empty when nothing comes."""
        message = self.events.get(timeout=max(timeout, 0.001))
        if message is self.END:
            self.events.put(self.END)
            return None
        return message["event"]

    def call(self, kind, content):
        """Makes a call; what went wrong (None: nothing), and by which way it was made."""
        self.process.stdin.write(json.dumps([kind, content]) + "\n")
        self.process.stdin.flush()
        answer = self.answers.get(timeout=15 * PATIENCE)
        return answer["answer"], answer["via"]

    def close(self):
        """Kills it, as a crash would."""
        self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join()
        self.process.stdin.close()


class BridgedScheduler(Scheduler):
    """A Scheduler whose events and calls pass through a library."""

    def __init__(self, address, directory=None, **framework):
        super().__init__(address, **framework)
        self.directory = directory
        self.ways = {}  # call -> the ways by which it was made

    def command(self):
        raise NotImplementedError

    def subscribe(self, suppressed_roles=None, offer_constraints=None):
        assert suppressed_roles is None and offer_constraints is None, "no such client knows them"
        self.stream = Process(self.command(), self.directory)
        subscribed = self.wait("SUBSCRIBED")["subscribed"]
        self.framework_id = subscribed["framework_id"]["value"]
        self.framework["id"] = {"value": self.framework_id}
        return subscribed

    def decode(self, record):
        return record

    def call(self, kind, **content):
        error, way = self.stream.call(kind, content)
        self.ways.setdefault(kind, set()).add(way)
        assert error is None, "%s: %s\n%s" % (kind, error, "".join(self.stream.said)[-3000:])


class PymesosScheduler(BridgedScheduler):
    def command(self):
        return [sys.executable, os.path.join(HERE, "pymesos_client.py"), self.address, json.dumps(self.framework)]


class NodeScheduler(BridgedScheduler):
    def command(self):
        return ["node", os.path.join(HERE, "node", "client.js"), *self.address.split(":"), self.directory,
                json.dumps(self.framework)]
