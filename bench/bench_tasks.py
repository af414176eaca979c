#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Command tasks through one real agent, and what its daemons cost when they have nothing to do.

Starts mesos-master and mesos-agent on loopback, the agent with cgroup limits, and measures

  - launching: tasks one at a time, 64 in flight, all in a single ACCEPT; with and without checkpoint; with the work
    directory in memory, and on a file system of its own on the disk;
  - the turn-round of a slot: the agent has room for one task, and the next one waits for it;
  - the master's instructions per task (where valgrind is installed);
  - starting: from exec to the first answer, and resident memory when idle.

It prints a table with the design's figures for Apache Mesos beside ours, and writes JSON with
--json FILE. bench/README.md says how to read it.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

TICK = os.sysconf("SC_CLK_TCK")

# One task of this size fills an agent of this size.
SLOT = "cpus:1;mem:128;disk:1024"
ROOM = "cpus:64;mem:65536;disk:65536"

# The design's targets and, measured on such a machine, Apache Mesos: name, unit, Mesos, target,
# and whether more is better.
TARGETS = {
    "accept_to_running_p50_ms": ("ACCEPT to TASK_RUNNING, p50", "ms", 125, 5, False),
    "tasks_per_second": ("tasks per second, 64 in flight", "/s", 8.7, 500, True),
    "cpu_ms_per_task": ("CPU per task, 64 in flight", "ms", 225, 4, False),
    "checkpoint_cpu_ms_per_task": ("the same with checkpoint, on disk", "ms", 225, 4, False),
    "checkpoint_alone_cpu_ms_per_task": ("the same, one task at a time", "ms", 225, 4, False),
    "turn_round_p50_ms": ("slot turn-round, p50", "ms", 900, 5, False),
    "turn_round_p99_ms": ("slot turn-round, p99", "ms", None, 20, False),
    "master_instructions_per_task": ("master's user instructions per task", "", None, 20000, False),
    "master_start_ms": ("cold start of the master", "ms", 70, 50, False),
    "agent_start_ms": ("cold start of the agent", "ms", 70, 50, False),
    "master_idle_mib": ("idle memory of the master", "MiB", 74, 10, False),
    "agent_idle_mib": ("idle memory of the agent", "MiB", 74, 10, False),
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(pid):
    """(own, reaped children's) user and system time of a process."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    utime, stime, cutime, cstime = (int(x) for x in stat[11:15])
    return (utime + stime) / TICK, (cutime + cstime) / TICK


def resident_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.M).group(1)) / 1024


def wait_until(condition, seconds, what, interval=0.02):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(interval)
    sys.exit(f"Gave up waiting for {what}")


def get_json(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None


def is_healthy(port):
    """Whether /health answers 200; cheap enough to be asked every half millisecond."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b" 200 " in s.recv(256)
    except OSError:
        return False


class Cluster:
    """One master and one agent; stopped by pid, whatever happens."""

    def __init__(self, options, resources=ROOM, directory=None, master_prefix=()):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="meseta-bench-", dir=directory))
        self.port, self.agent_port = free_port(), free_port()
        self.processes = []
        self.log = open(self.work / "log", "w", encoding="utf-8")
        bin_dir = options.build / "bin"
        began = time.monotonic()
        self.master = self.start(
            *master_prefix, bin_dir / "mesos-master", "--ip=127.0.0.1", f"--port={self.port}",
            "--hostname=127.0.0.1", "--registry=in_memory", f"--work_dir={self.work}/master")
        wait_until(lambda: is_healthy(self.port), 30, "the master", 0.0005)
        self.master_start_ms = 1000 * (time.monotonic() - began)
        cgroups = ([f"--cgroups_root=meseta-bench-{os.getpid()}", "--cgroups_enable_cfs"]
                   if "cgroups" in options.isolation else [])
        began = time.monotonic()
        self.agent = self.start(
            bin_dir / "mesos-agent", f"--master=127.0.0.1:{self.port}", "--ip=127.0.0.1",
            f"--port={self.agent_port}", "--hostname=127.0.0.1", f"--work_dir={self.work}/agent",
            f"--runtime_dir={self.work}/run", f"--launcher_dir={bin_dir}",
            f"--resources={resources}", f"--launcher={options.launcher}",
            f"--isolation={options.isolation}", *cgroups)
        wait_until(lambda: is_healthy(self.agent_port), 30, "the agent", 0.0005)
        self.agent_start_ms = 1000 * (time.monotonic() - began)
        wait_until(lambda: (get_json(self.port, "/state") or {}).get("activated_slaves"), 20,
                   "the agent's registration")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, *command):
        process = subprocess.Popen([str(c) for c in command], stdout=self.log, stderr=self.log,
                                   stdin=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def cpu(self):
        master, _ = cpu_seconds(self.master.pid)
        agent, children = cpu_seconds(self.agent.pid)
        return {"master": master, "agent": agent, "children": children}

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.log.close()
        shutil.rmtree(self.work, ignore_errors=True)


@contextlib.contextmanager
def own_file_system(directory):
    """A new ext4 in a file of the directory, or the directory itself where none can be mounted. What was deleted on an
    old one counts: without a journal ext4 passes over the inodes of files that were deleted up to minutes ago, and a
    sandbox costs several times as much after a few thousand others went."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="meseta-bench-disk-", dir=directory))
    image, mounted = folder / "image", folder / "mounted"
    mounted.mkdir()
    try:
        with open(image, "wb") as file:
            file.truncate(1 << 30)
        # A sandbox takes seven inodes, and none is removed while this runs.
        make = ["mkfs.ext4", "-q", "-F", "-i", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)]
        if all(subprocess.run(command, check=False).returncode == 0
               for command in (make, ["mount", "-o", "loop", str(image), str(mounted)])):
            try:
                yield mounted
            finally:
                subprocess.run(["umount", str(mounted)], check=True)
        else:
            print("no file system of its own: the figures on disk depend on what was deleted there")
            yield pathlib.Path(directory)
    finally:
        shutil.rmtree(folder)


def run_tasks(cluster, options, tasks, in_flight, *extra):
    """One run of task_bench; its figures, and the CPU time that it cost the cluster."""
    before = cluster.cpu()
    answer = subprocess.run(
        [str(options.build / "bench" / "task_bench"), f"--master=127.0.0.1:{cluster.port}",
         f"--tasks={tasks}", f"--in_flight={in_flight}", *extra],
        stdout=subprocess.PIPE, text=True, check=False)
    if answer.returncode not in (0, 1) or not answer.stdout:
        sys.exit(f"task_bench failed with status {answer.returncode}")
    time.sleep(0.5)  # the last containers are reaped
    after = cluster.cpu()
    result = json.loads(answer.stdout)
    result["cpu_seconds"] = {k: round(after[k] - before[k], 3) for k in after}
    result["cpu_ms_per_task"] = round(1000 * sum(result["cpu_seconds"].values()) / tasks, 2)
    return result


def median_run(cluster, options, tasks, in_flight, *extra):
    """Of several runs the one whose rate is in the middle."""
    runs = [run_tasks(cluster, options, tasks, in_flight, *extra) for _ in range(options.runs)]
    return sorted(runs, key=lambda r: r["tasks_per_second"])[len(runs) // 2]


def measure_launching(options, results):
    few, many = min(options.tasks, 200), options.tasks
    rows = [(f"{few} tasks, one at a time", few, 1), (f"{many} tasks, 64 in flight", many, 64),
            (f"{many} tasks in a single ACCEPT", many, 0)]
    places = [("in memory", options.memory_dir)] if options.memory_dir else []
    places.append(("on disk", options.disk_dir))
    for place, directory in places:
        with Cluster(options, directory=directory) as cluster:
            for name, tasks, in_flight in rows:
                results[f"{name}, work_dir {place}"] = median_run(cluster, options, tasks, in_flight)
            for name, tasks, in_flight in rows[:2]:
                results[f"{name}, checkpoint, {place}"] = median_run(
                    cluster, options, tasks, in_flight, "--checkpoint")
    first, last = f"work_dir {places[0][0]}", places[-1][0]
    return {
        "accept_to_running_p50_ms": results[f"{rows[0][0]}, {first}"]["accept_to_running_ms"]["p50"],
        "tasks_per_second": results[f"{rows[1][0]}, {first}"]["tasks_per_second"],
        "cpu_ms_per_task": results[f"{rows[1][0]}, {first}"]["cpu_ms_per_task"],
        "checkpoint_cpu_ms_per_task": results[f"{rows[1][0]}, checkpoint, {last}"]["cpu_ms_per_task"],
        "checkpoint_alone_cpu_ms_per_task": results[f"{rows[0][0]}, checkpoint, {last}"]["cpu_ms_per_task"],
    }


def measure_turn_round(options, results):
    tasks = min(options.tasks, 300)
    with Cluster(options, resources=SLOT, directory=options.memory_dir) as cluster:
        result = median_run(cluster, options, tasks, 1, f"--task_resources={SLOT}")
    results[f"{tasks} tasks, an agent with room for one"] = result
    return {"turn_round_p50_ms": result["turn_round_ms"]["p50"],
            "turn_round_p99_ms": result["turn_round_ms"]["p99"]}


def measure_instructions(options):
    """Instructions of the master's own code and libraries, as the slope between two runs."""
    if not shutil.which("valgrind") or options.quick:
        return {}
    counts = []
    for tasks in (100, 400):
        with tempfile.NamedTemporaryFile("r", dir=options.disk_dir) as log:
            prefix = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                      f"--log-file={log.name}")
            with Cluster(options, directory=options.memory_dir, master_prefix=prefix) as cluster:
                run_tasks(cluster, options, tasks, 64)
            counts.append((tasks, int(re.search(r"Collected : (\d+)", log.read()).group(1))))
    (few, before), (many, after) = counts
    return {"master_instructions_per_task": round((after - before) / (many - few))}


def measure_idling(options):
    starts = {"master_start_ms": [], "agent_start_ms": [], "master_idle_mib": [],
              "agent_idle_mib": []}
    for _ in range(3 if options.quick else 7):
        with Cluster(options, directory=options.memory_dir) as cluster:
            time.sleep(0.5)
            starts["master_start_ms"].append(cluster.master_start_ms)
            starts["agent_start_ms"].append(cluster.agent_start_ms)
            starts["master_idle_mib"].append(resident_mib(cluster.master.pid))
            starts["agent_idle_mib"].append(resident_mib(cluster.agent.pid))
    return {name: round(statistics.median(values), 1) for name, values in starts.items()}


def show(results, figures):
    print(f"{'':48}{'tasks/s':>9}{'ACCEPT to RUNNING, ms':>24}{'CPU ms per task':>34}{'failed':>8}")
    print(f"{'':57}{'p50':>8}{'p99':>8}{'max':>8}{'all':>10}{'master':>8}{'agent':>8}{'tasks':>8}")
    for name, r in results.items():
        t, c = r["accept_to_running_ms"], r["cpu_seconds"]
        parts = "".join(f"{1000 * c[k] / r['tasks']:8.2f}" for k in ("master", "agent", "children"))
        print(f"{name:48}{r['tasks_per_second']:9.1f}{t['p50']:8.1f}{t['p99']:8.1f}{t['max']:8.1f}"
              f"{r['cpu_ms_per_task']:10.2f}{parts}{r['failed']:8}")
    print(f"{'Apache Mesos 1.11':48}{8.7:9.1f}{125.0:8.1f}{'':16}{225.0:10.2f}"
          "          of 1,000 at once 731 failed\n")
    print(f"{'':48}{'measured':>12}{'target':>12}{'Apache Mesos':>14}")
    for key, value in figures.items():
        name, unit, mesos, target, more_is_better = TARGETS[key]
        sign = "≥" if more_is_better else "≤"
        met = value >= target if more_is_better else value <= target
        print(f"{name + (', ' + unit if unit else ''):48}{value:12,.1f}{f'{sign} {target:,}':>12}"
              f"{mesos if mesos is not None else '':>14}{'' if met else '   not met'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("MESETA_BUILD", "build"),
                        type=lambda path: pathlib.Path(path).resolve(), help="the build directory")
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3, help="the one in the middle is taken")
    parser.add_argument("--quick", action="store_true", help="fewer tasks, one run each")
    parser.add_argument("--isolation", default="cgroups/cpu,cgroups/mem")
    parser.add_argument("--launcher", default="linux")
    parser.add_argument("--memory_dir", default="/dev/shm" if os.path.isdir("/dev/shm") else None,
                        help="where work directories are put, on a file system in memory")
    parser.add_argument("--disk_dir", default=tempfile.gettempdir(),
                        help="the same on a disk: file systems slow down as files are deleted")
    parser.add_argument("--json", help="writes the figures to this file")
    options = parser.parse_args()
    if options.quick:
        options.tasks, options.runs = min(options.tasks, 200), 1
    results = {}
    temporary = options.disk_dir
    with own_file_system(temporary) as options.disk_dir:
        figures = measure_launching(options, results)
    options.disk_dir = temporary
    figures |= measure_turn_round(options, results)
    figures |= measure_instructions(options)
    figures |= measure_idling(options)
    show(results, figures)
    if options.json:
        document = {"figures": figures, "runs": results,
                    "targets": {k: {"target": t[3], "apache_mesos": t[2], "more_is_better": t[4]} for k, t in TARGETS.items()}}
        pathlib.Path(options.json).write_text(json.dumps(document, indent=2) + "\n",
                                              encoding="utf-8")


if __name__ == "__main__":
    main()
