# SPDX-License-Identifier: Apache-2.0
"""Starts the programs that benchmarks measure: masters and swarms. What is started is stopped by its pid, also when the
benchmark is ended by a signal: run_main makes an exception of it, and all that was begun is undone on its way."""

import contextlib
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

TICK = os.sysconf("SC_CLK_TCK")
ROOM_MIB = 256  # a registry, the logs, the sandboxes of a thousand tasks
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asks the benchmark to end."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.number = number


class _Signals:
    """The first signal ends the benchmark, as soon as it may be disturbed; later ones do not hasten the cleaning."""
    depth, number, is_raised = 0, None, False

    @classmethod
    def take(cls, number, _frame):
        cls.number = cls.number or number
        cls.give()

    @classmethod
    def give(cls):
        if cls.number is not None and cls.depth == 0 and not cls.is_raised:
            cls.is_raised = True
            raise Interrupted(cls.number)


@contextlib.contextmanager
def undisturbed():
    """What is done in here is done wholly: a signal counts afterwards."""
    _Signals.depth += 1
    try:
        yield
    finally:
        _Signals.depth -= 1
    _Signals.give()


def run_main(main):
    """A benchmark's main. What is wrong around it is told in a line; a signal ends it as an exception would."""
    for number in END_SIGNALS:
        signal.signal(number, _Signals.take)
    try:
        main()
    except Interrupted as why:
        print(f"ended by {why}", file=sys.stderr, flush=True)
        signal.signal(why.number, signal.SIG_DFL)
        os.kill(os.getpid(), why.number)  # so that whoever waits for it sees the same
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        sys.exit(f"failed: {error}")


def require(build, *names):
    """Fails with a line when a program was not built."""
    missing = [name for name in names if not os.access(pathlib.Path(build) / name, os.X_OK)]
    if missing:
        raise RuntimeError(f"{', '.join(missing)} not found in {build}: build with `make bench`, or ninja -C {build} benchmarks")


def require_room(directory=None):
    """Daemons wait for room on a full disk, and we would wait for them."""
    place = directory or tempfile.gettempdir()
    room = shutil.disk_usage(place).free >> 20
    if room < ROOM_MIB:
        raise RuntimeError(f"only {room} MiB are free in {place}, {ROOM_MIB} are needed")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(pid):
    """User and system time of a process, to the nanosecond where the kernel counts so (/proc/PID/task/*/schedstat)."""
    try:
        return sum(int(path.read_text(encoding="ascii").split()[0])
                   for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    except (OSError, IndexError, ValueError):
        pass  # counted in ticks
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(stat[11]) + int(stat[12])) / TICK


def user_part(pid):
    """(user, all) CPU time in seconds, as the kernel samples it at each of its ticks: its parts are right over many."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return int(stat[11]) / TICK, (int(stat[11]) + int(stat[12])) / TICK


def wait_quiet(pid, seconds=5, pause=0.1):
    """Waits until a process has next to nothing to do any more, or for so long; its CPU time then."""
    deadline, last = time.monotonic() + seconds, cpu_seconds(pid)
    while True:
        time.sleep(pause)
        cpu = cpu_seconds(pid)
        if cpu - last < 0.01 * pause or time.monotonic() > deadline:
            return cpu
        last = cpu


def resident_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.M).group(1)) * 1024


def available_bytes():
    """What may still be used of the machine's memory, by its cgroup too."""
    text = pathlib.Path("/proc/meminfo").read_text(encoding="ascii")
    return int(re.search(r"^MemAvailable:\s+(\d+) kB$", text, re.M).group(1)) * 1024


def get(port, path, timeout=30):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
        return answer.read()


def metrics(port):
    return json.loads(get(port, "/metrics/snapshot"))


def wait_until(condition, seconds, what, pause=0.002):
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return time.monotonic()
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {seconds} s for {what}")
        time.sleep(pause)


def exponent(points):
    """The slope of log y over log x: how y grows with x. None when there is nothing to compare."""
    logs = [(math.log(x), math.log(y)) for x, y in points if x > 0 and y > 0]
    if len({x for x, _ in logs}) < 2:
        return None
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    return (sum((x - mean_x) * (y - mean_y) for x, y in logs) /
            sum((x - mean_x) ** 2 for x, _ in logs))


class Failures:
    """What went wrong, told at once and again in the end: it does not take the figures of the rest with it."""

    def __init__(self):
        self.texts = []

    def run(self, what, function, *arguments):
        """The function's value, or None when it failed."""
        try:
            return function(*arguments)
        except (RuntimeError, AssertionError, subprocess.SubprocessError, OSError) as error:
            self.texts.append(f"{what}: {error}")
            print(f"FAILED: {self.texts[-1]}", flush=True)
            return None

    def end(self):
        if self.texts:
            sys.exit("failed: " + "\n".join(self.texts))


class World:
    """A directory, and all that was started in it."""

    def __init__(self, build, directory=None):
        self.bin = pathlib.Path(build) / "bin"
        self.bench = pathlib.Path(build) / "bench"
        self.directory = directory
        self.path = None
        self.processes = []

    def __enter__(self):
        require_room(self.directory)
        with undisturbed():
            self.path = pathlib.Path(tempfile.mkdtemp(prefix="meseta-bench-", dir=self.directory))
        return self

    def __exit__(self, *_):
        with undisturbed():
            self.close()

    def close(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.path, ignore_errors=True)

    def start(self, *command, **options):
        with undisturbed():
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, **options)
            self.processes.append(process)
        return process


def last_line(path):
    """What a program said last."""
    lines = pathlib.Path(path).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def wait_serving(process, is_serving, log, what):
    """Until it serves; one that ended meanwhile, as when its port is taken, raises at once."""
    def serves():
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended with status {process.returncode}: {last_line(log)}")
        return is_serving() and process.poll() is None
    wait_until(serves, 60, what + " to serve", 0.0005)


class Master:
    """A master as a user starts it, its log in a file."""

    def __init__(self, world, *flags, name="master", prefix=(), port=None):
        self.world = world
        self.port = port or free_port()
        self.log_path = world.path / (name + ".log")
        self.command = [*prefix, world.bin / "mesos-master", "--ip=127.0.0.1", "--hostname=127.0.0.1",
                        f"--port={self.port}", f"--work_dir={world.path / name}", *flags]
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def start(self, wait=True):
        with open(self.log_path, "ab") as log:
            self.process = self.world.start(*self.command, stdout=log, stderr=log)
        if wait:
            wait_serving(self.process, lambda: get(self.port, "/health", 1) is not None, self.log_path, "mesos-master")
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def cpu(self):
        return cpu_seconds(self.pid)


class Swarm:
    """mesos-swarm; its lines are read as they come."""

    def __init__(self, world, master, *flags):
        self.process = world.start(world.bin / "mesos-swarm", f"--master={master}", *flags,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()
        with self.changed:
            self.lines.append("")
            self.changed.notify_all()

    def wait_line(self, text, seconds, count=1):
        """Waits until `count` lines hold the text; a swarm that ended or failed raises."""
        def seen():
            return sum(text in line for line in self.lines) >= count or "" in self.lines
        with self.changed:
            if not self.changed.wait_for(seen, seconds):
                raise RuntimeError(f"the swarm did not say '{text}' in {seconds} s:\n" + "".join(self.lines[-10:]))
            if sum(text in line for line in self.lines) < count:
                raise RuntimeError("the swarm ended:\n" + "".join(self.lines[-10:]))

    def finish(self, stop=False, seconds=600):
        """Its report. One that failed raises."""
        if stop:
            self.process.send_signal(signal.SIGTERM)
        out = []
        reader = threading.Thread(target=lambda: out.append(self.process.stdout.read()), daemon=True)
        reader.start()
        self.process.wait(seconds)
        reader.join(10)
        report = json.loads(out[0]) if out and out[0] else None
        if self.process.returncode != 0 or report is None:
            raise RuntimeError("the swarm failed:\n" + "".join(self.lines[-15:]))
        return report
