# SPDX-License-Identifier: Apache-2.0
"""Starts real masters and agents for a test, talks to them, and takes them down without a trace.

Cluster starts daemons on loopback; Scheduler is a plain v1 scheduler client over JSON. Nothing here
knows what a test wants to see: that is the tests' part.
"""

import http.client
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid

import leftovers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MESETA_BUILD", os.path.join(ROOT, "build"))
BIN = os.path.join(BUILD, "bin")
# Sanitizer builds and busy machines are slow: every patience is multiplied by this.
PATIENCE = float(os.environ.get("MESETA_PATIENCE", "4" if "asan" in os.path.basename(BUILD) else "1"))

TERMINAL = {"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_LOST", "TASK_DROPPED",
            "TASK_GONE", "TASK_GONE_BY_OPERATOR"}


def find_port():
    """A port of 127.0.0.1 that nobody uses right now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, timeout=10.0, what="it"):
    """The first true value of condition(); fails the test after `timeout` seconds."""
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("waited %.0f s for %s" % (timeout * PATIENCE, what))
        time.sleep(0.02)


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)


def request(method, address, path, body=None, headers=None, timeout=15.0):
    """One HTTP request. `body`: bytes or text as they are; anything else as JSON."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
        headers.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection(address, timeout=timeout * PATIENCE)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return Response(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def get(address, path, **options):
    return request("GET", address, path, **options)


def post(address, path, body=None, **options):
    return request("POST", address, path, body, **options)


def send_raw(address, data, timeout=5.0):
    """Sends bytes as they are and returns all that comes back until the other side closes or is silent."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=timeout * PATIENCE) as s:
        answer = b""
        try:
            s.sendall(data)
            while True:
                part = s.recv(65536)
                if not part:
                    return answer
                answer += part
        except (TimeoutError, ConnectionResetError, BrokenPipeError):
            return answer


class Stream:
    """An open RecordIO answer; a thread of its own reads it, so that waiting can end at any time."""

    END = object()

    def __init__(self, address, path, body, headers, timeout=15.0):
        self.connection = http.client.HTTPConnection(address, timeout=timeout * PATIENCE)
        self.connection.request("POST", path, body, headers)
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.headers = self.response.headers
        self.records = queue.Queue()
        self.error_text = None
        if self.status != 200:
            self.error_text = self.response.read().decode("utf-8", "replace")
            self.records.put(self.END)
            return
        self.connection.sock and self.connection.sock.settimeout(None)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read_exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.response.read(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def _read(self):
        try:
            while True:
                size = b""
                while not size.endswith(b"\n"):
                    size += self._read_exactly(1)
                self.records.put(self._read_exactly(int(size)))
        except (EOFError, OSError, ValueError, AttributeError, http.client.HTTPException):
            self.records.put(self.END)

    def next(self, timeout):
        """The next record's bytes; None at the end of the stream; queue.Empty when nothing comes."""
        record = self.records.get(timeout=max(timeout, 0.001))
        if record is self.END:
            self.records.put(record)  # the end stays
            return None
        return record

    def close(self):
        sock = self.connection.sock or getattr(getattr(self.response.fp, "raw", None), "_sock", None)
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.connection.close()


class StreamEnded(AssertionError):
    pass


class Scheduler:
    """A v1 scheduler over JSON. Events are kept in `events` as they come, also those nobody waited for."""

    PATH = "/api/v1/scheduler"
    MEDIA = "application/json"

    def __init__(self, address, **framework):
        self.address = address
        self.framework = {"user": "root", "name": "test", **framework}
        self.framework_id = None
        self.stream = None
        self.stream_id = None
        self.events = []
        self.acknowledges = True
        self._seen = 0  # events that wait() has passed over

    def subscribe(self, suppressed_roles=None, offer_constraints=None):
        """Opens the stream; returns the SUBSCRIBED event's content."""
        call = {"type": "SUBSCRIBE", "subscribe": {"framework_info": self.framework}}
        if "id" in self.framework:
            call["framework_id"] = self.framework["id"]
        if suppressed_roles is not None:
            call["subscribe"]["suppressed_roles"] = suppressed_roles
        if offer_constraints is not None:
            call["subscribe"]["offer_constraints"] = offer_constraints
        self.stream = Stream(self.address, self.PATH, self.encode(call),
                             {"Content-Type": self.MEDIA, "Accept": self.MEDIA})
        if self.stream.status != 200:
            raise AssertionError("SUBSCRIBE: %d %s" % (self.stream.status, self.stream.error_text))
        self.stream_id = self.stream.headers["Mesos-Stream-Id"]
        subscribed = self.wait("SUBSCRIBED")["subscribed"]
        self.framework_id = subscribed["framework_id"]["value"]
        self.framework["id"] = {"value": self.framework_id}
        return subscribed

    def encode(self, call):
        return json.dumps(call)

    def decode(self, record):
        return json.loads(record)

    def post(self, call, **headers):
        """Posts a call and returns the response, whatever it is."""
        return post(self.address, self.PATH, self.encode(call), headers={
            "Content-Type": self.MEDIA, "Mesos-Stream-Id": self.stream_id or "", **headers})

    def call(self, kind, **content):
        """A call that must be accepted. `content` is the member named like the call."""
        body = {"type": kind, "framework_id": {"value": self.framework_id}}
        if content:
            body[kind.lower()] = content
        response = self.post(body)
        assert response.status == 202, "%s: %d %s" % (kind, response.status, response.text)
        return response

    def _pump(self, deadline):
        """Takes one more event from the stream into `events`."""
        try:
            record = self.stream.next(deadline - time.monotonic())
        except queue.Empty:
            return False
        if record is None:
            raise StreamEnded("the stream ended; events so far: %s" % [e["type"] for e in self.events])
        event = self.decode(record)
        self.events.append(event)
        if event["type"] == "UPDATE" and self.acknowledges:
            self.acknowledge(event["update"]["status"])
        return True

    def pump(self):
        """Takes what has come so far into `events`, without waiting."""
        while self._pump(0):
            pass

    def wait(self, kind, where=None, timeout=10.0):
        """The next event of that type for which where(event) is true. Others stay in `events`."""
        deadline = time.monotonic() + timeout * PATIENCE
        at = self._seen
        while True:
            while at < len(self.events):
                event = self.events[at]
                at += 1
                if event["type"] == kind and (where is None or where(event)):
                    self._seen = at
                    return event
                if event["type"] == "ERROR":
                    raise AssertionError("ERROR event: %s" % event["error"]["message"])
            if not self._pump(deadline):
                raise AssertionError("no %s within %.0f s; last events: %s" % (
                    kind, timeout * PATIENCE, json.dumps(self.events[-5:])[-2000:]))

    def wait_offer(self, timeout=10.0, where=None):
        """One offer (of those in the next OFFERS event, the first that fits)."""
        fits = where or (lambda offer: True)
        event = self.wait("OFFERS", lambda e: any(fits(o) for o in e["offers"]["offers"]), timeout)
        return next(o for o in event["offers"]["offers"] if fits(o))

    def take_offer(self, where=None, timeout=10.0):
        """The offer with the most cpus, of all so far and to come that the master still counts."""
        def find():
            self.pump()
            frameworks = get(self.address, "/state").json()["frameworks"]
            valid = {o["id"] for f in frameworks if f["id"] == self.framework_id for o in f["offers"]}
            return [o for e in self.events if e["type"] == "OFFERS" for o in e["offers"]["offers"]
                    if o["id"]["value"] in valid and (where is None or where(o))]

        return max(wait_for(find, timeout, "a valid offer"), key=lambda o: sum(
            r["scalar"]["value"] for r in o["resources"] if r["name"] == "cpus"))

    def wait_update(self, task_id, state=None, timeout=10.0):
        """The status of the first update, of all so far and to come, of that task in that state (or set of states)."""
        states = {state} if isinstance(state, str) else state
        deadline = time.monotonic() + timeout * PATIENCE
        at = 0
        while True:
            while at < len(self.events):
                event = self.events[at]
                at += 1
                if event["type"] == "UPDATE" and event["update"]["status"]["task_id"]["value"] == task_id:
                    status = event["update"]["status"]
                    if states is None or status["state"] in states:
                        return status
                    if status["state"] in TERMINAL and not TERMINAL & states:
                        raise AssertionError("task %s: wanted %s, got %s" % (task_id, states, json.dumps(status)))
            if not self._pump(deadline):
                raise AssertionError("task %s was not seen in %s within %.0f s; its updates: %s" % (
                    task_id, states or "any state", timeout * PATIENCE, self.states_of(task_id)))

    def wait_end(self, task_id, timeout=20.0):
        """The status with which the task ended."""
        return self.wait_update(task_id, TERMINAL, timeout)

    def states_of(self, task_id):
        """The states that were reported of a task so far, in order."""
        return [e["update"]["status"]["state"] for e in self.events
                if e["type"] == "UPDATE" and e["update"]["status"]["task_id"]["value"] == task_id]

    def accept(self, offers, operations, refuse_seconds=None):
        content = {"offer_ids": [o["id"] for o in offers], "operations": operations}
        if refuse_seconds is not None:
            content["filters"] = {"refuse_seconds": refuse_seconds}
        return self.call("ACCEPT", **content)

    def launch(self, offer, tasks, refuse_seconds=None):
        """Launches tasks on one offer; their agent is the offer's."""
        for task in tasks:
            task.setdefault("agent_id", offer["agent_id"])
        return self.accept([offer], [{"type": "LAUNCH", "launch": {"task_infos": tasks}}], refuse_seconds)

    def run(self, command, timeout=20.0, **fields):
        """Waits for an offer, runs one command task to its end; returns (task id, final status)."""
        task = make_task(command, **fields)
        self.launch(self.wait_offer(), [task], refuse_seconds=0)
        return task["task_id"]["value"], self.wait_end(task["task_id"]["value"], timeout)

    def decline(self, offers, refuse_seconds=None):
        content = {"offer_ids": [o["id"] for o in offers]}
        if refuse_seconds is not None:
            content["filters"] = {"refuse_seconds": refuse_seconds}
        return self.call("DECLINE", **content)

    def acknowledge(self, status):
        """Acknowledges an update; those without a uuid want none."""
        if "uuid" in status:
            self.call("ACKNOWLEDGE", agent_id=status["agent_id"], task_id=status["task_id"], uuid=status["uuid"])

    def kill(self, task_id, grace_seconds=None):
        content = {"task_id": {"value": task_id}}
        if grace_seconds is not None:
            content["kill_policy"] = {"grace_period": {"nanoseconds": int(grace_seconds * 1e9)}}
        return self.call("KILL", **content)

    def teardown(self):
        return self.call("TEARDOWN")

    def close(self):
        """Drops the connection, as a crash would."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None


def scalar(name, value, role=None):
    resource = {"name": name, "type": "SCALAR", "scalar": {"value": value}}
    if role is not None:
        resource["role"] = role
    return resource


def is_running(pid):
    """Whether a process has not ended; one that only waits to be reaped (perhaps by us) has."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def make_task(command=None, cpus=0.1, mem=32, task_id=None, **fields):
    """A TaskInfo. `command`: text for the shell, or a whole CommandInfo; None with `executor=...`."""
    task_id = task_id or "task-" + uuid.uuid4().hex[:8]
    task = {"task_id": {"value": task_id}, "name": task_id, "resources": [scalar("cpus", cpus), scalar("mem", mem)]}
    if command is not None:
        task["command"] = {"value": command} if isinstance(command, str) else command
    task.update(fields)
    return task


class Daemon:
    """One running program with its log."""

    def __init__(self, cluster, name, program, flags, environment=None, prefix=()):
        self.cluster = cluster
        self.name = name
        self.program = program
        self.flags = flags
        self.environment = environment or {}
        self.prefix = list(prefix)
        self.log_path = os.path.join(cluster.directory, name + ".log")
        self.process = None
        self.address = "%s:%s" % (flags.get("ip", "127.0.0.1"), flags["port"])

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        words = self.prefix + [os.path.join(BIN, self.program)]
        for name, value in self.flags.items():
            if value is True or value is False:
                words.append("--%s%s" % ("" if value else "no-", name))
            elif value is not None:
                words.append("--%s=%s" % (name, value))
        return words

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.cluster.directory, env={**os.environ, **self.environment})
        return self

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def serves(self):
        """True once /health answers; fails when the program has ended instead."""
        if not self.is_running():
            raise AssertionError("%s ended with %s:\n%s" % (self.name, self.process.returncode, self.read_log()))
        try:
            return get(self.address, "/health", timeout=2).status == 200
        except OSError:
            return False

    def wait_serving(self, timeout=10.0):
        wait_for(self.serves, timeout, self.name + " to serve; its log:\n" + self.read_log())
        return self

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, timeout=10.0):
        """Signals it, waits, and returns its exit status. What does not end in time is killed, and that is
        remembered as a failure of the test."""
        if self.is_running():
            self.send_signal(number)
            try:
                self.process.wait(timeout * PATIENCE)
            except subprocess.TimeoutExpired:
                self.cluster.complaints.append("%s did not end within %.0f s of signal %d" % (
                    self.name, timeout * PATIENCE, number))
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def kill(self):
        return self.stop(signal.SIGKILL)

    def restart(self):
        """Starts it again as it was (after stop or kill). A child that was being started when it was killed
        may hold its port for another moment."""
        wait_for(self.is_port_free, what="the port of " + self.name)
        return self.start().wait_serving()

    def is_port_free(self):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((self.address.split(":")[0], int(self.flags["port"])))
            except OSError:
                return False
            return True

    def read_log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                return log.read()[-8000:]
        except OSError:
            return ""

    def get(self, path, **options):
        return get(self.address, path, **options)

    def post(self, path, body=None, **options):
        return post(self.address, path, body, **options)

    def request(self, method, path, body=None, **options):
        return request(method, self.address, path, body, **options)

    def state(self):
        return self.get("/state").json()

    def metrics(self):
        return self.get("/metrics/snapshot").json()


class Cluster:
    """The daemons of one test, in a directory of their own. close() ends them and reports what was left."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="meseta-test-")
        os.chmod(self.directory, 0o755)  # tasks of other users go through it
        self.cgroups_root = "meseta-test-" + uuid.uuid4().hex[:8]
        self.masters = []
        self.agents = []
        self.schedulers = []
        self.others = []  # processes (Popen) that close() ends too
        self.complaints = []
        self.before = leftovers.find_descendants()

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def start_master(self, wait=True, environment=None, prefix=(), **flags):
        name = "master-%d" % len(self.masters)
        flags = {"ip": "127.0.0.1", "port": find_port(), "work_dir": self.path(name), "registry": "in_memory",
                 "hostname": "127.0.0.1", **flags}
        if "agent_reregister_timeout" in flags:
            flags.setdefault("min_agent_reregister_timeout", "1ms")
        master = Daemon(self, name, "mesos-master", flags, environment, prefix).start()
        self.masters.append(master)
        return master.wait_serving() if wait else master

    def start_agent(self, master=None, wait=True, environment=None, prefix=(), master_flag=None, **flags):
        """Starts an agent and, with `wait`, waits until the master counts it as active. `master_flag`: what --master
        says when it is not that master's address."""
        name = "agent-%d" % len(self.agents)
        master = master or (self.masters[-1] if self.masters else None)
        flags = {"ip": "127.0.0.1", "port": find_port(), "hostname": "127.0.0.1",
                 "work_dir": self.path(name, "work"), "runtime_dir": self.path(name, "run"), "launcher_dir": BIN,
                 "resources": "cpus:2;mem:1024;disk:1024", "launcher": "posix",
                 "isolation": "posix/cpu,posix/mem", "cgroups_root": self.cgroups_root, **flags}
        if master is not None:
            flags["master"] = master_flag or master.address
        agent = Daemon(self, name, "mesos-agent", flags, environment, prefix).start()
        self.agents.append(agent)
        if wait:
            agent.wait_serving()
            self.wait_registered(agent, master)
        return agent

    @staticmethod
    def find_registration(agent, master):
        """The agent's entry in the master's /state, while it is active."""
        for entry in master.state()["slaves"]:
            if entry["active"] and int(entry["port"]) == int(agent.flags["port"]):
                return entry
        return None

    def wait_registered(self, agent, master=None, timeout=10.0):
        master = master or self.masters[-1]
        return wait_for(lambda: agent.serves() and self.find_registration(agent, master), timeout,
                        "%s to register; its log:\n%s" % (agent.name, agent.read_log()))

    def scheduler(self, master=None, subscribe=True, client=Scheduler, **framework):
        scheduler = client((master or self.masters[-1]).address, **framework)
        self.schedulers.append(scheduler)
        if subscribe:
            scheduler.subscribe()
        return scheduler

    def popen(self, command, **options):
        """Starts another program (a client, a web server) that close() ends."""
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
        self.others.append(process)
        return process

    def sandbox(self, agent, framework_id, executor_id):
        """The path of an executor's newest sandbox."""
        agent_id = agent.state()["id"]
        return os.path.join(agent.flags["work_dir"], "slaves", agent_id, "frameworks", framework_id, "executors",
                            executor_id, "runs", "latest")

    def close(self):
        """Takes all down: agents shut down their executors on SIGUSR1. Returns the complaints."""
        for scheduler in self.schedulers:
            scheduler.close()
        for agent in self.agents:
            if agent.process is not None:
                agent.stop(signal.SIGUSR1)
        for master in self.masters:
            if master.process is not None:
                master.stop(signal.SIGTERM)
        for process in self.others:
            if process.poll() is None:
                process.kill()
            process.wait()
        for daemon in self.masters + self.agents:
            log = daemon.read_log()
            for mark in ("CHECK(", "ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:"):
                if mark in log:
                    self.complaints.append("%s logged '%s':\n%s" % (daemon.name, mark, log[-3000:]))
        self._find_leftovers()
        shutil.rmtree(self.directory, ignore_errors=True)
        if os.path.exists(self.directory):
            self.complaints.append("files left in %s" % self.directory)
        return self.complaints

    def _find_leftovers(self):
        known = {d.process.pid for d in self.masters + self.agents if d.process} | {p.pid for p in self.others}

        def find_processes():
            leftovers.reap_orphans(known)
            found = {pid: c for pid, c in leftovers.find_descendants().items() if pid not in self.before}
            return {**found, **leftovers.find_processes_in(self.directory)}

        processes = leftovers.wait_until_gone(find_processes, 5 * PATIENCE)
        if processes:
            self.complaints.append("processes left: %s" % processes)
            leftovers.kill_all(processes)
            leftovers.wait_until_gone(find_processes, 5)
        cgroups = leftovers.wait_until_gone(lambda: leftovers.find_cgroups(self.cgroups_root), 2)
        # The root that an agent was told to use stays, empty, as Mesos leaves it; containers' groups go.
        for path in cgroups:
            inner = [d for d, _, _ in os.walk(path)][1:]
            if inner:
                self.complaints.append("control groups left: %s" % inner[:5])
            leftovers.remove_cgroup(path)
        mounts = leftovers.find_mounts_below(self.directory)
        if mounts:
            self.complaints.append("mounts left: %s" % mounts)
            for point in reversed(mounts):
                subprocess.run(["umount", "-l", point], check=False)


def run_cluster():
    """A fixture `cluster`: conftest.py makes it for each test, some files for all of theirs."""
    cluster = Cluster()
    yield cluster
    complaints = cluster.close()
    assert not complaints, "\n".join(complaints)
