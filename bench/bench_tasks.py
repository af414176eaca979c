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
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import programs

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "system"))
import leftovers  # pylint: disable=wrong-import-position

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


def cpu_seconds(pid):
    """(own, reaped children's) user and system time of a process."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    utime, stime, cutime, cstime = (int(x) for x in stat[11:15])
    return (utime + stime) / programs.TICK, (cutime + cstime) / programs.TICK


def is_healthy(port):
    """Whether /health answers 200; cheap enough to be asked every half millisecond."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b" 200 " in s.recv(256)
    except OSError:
        return False


class Cluster(programs.World):
    """One master and one agent. What they leave when they are ended in the middle is ended and removed as well."""

    def __init__(self, options, resources=ROOM, directory=None, master_prefix=()):
        super().__init__(options.build, directory)
        self.options, self.resources, self.master_prefix = options, resources, master_prefix
        self.port, self.agent_port = programs.free_port(), programs.free_port()
        self.cgroup = f"meseta-bench-{os.getpid()}"
        self.master = self.agent = self.master_start_ms = self.agent_start_ms = None

    def __enter__(self):
        super().__enter__()
        try:
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def begin(self):
        self.master, self.master_start_ms = self.start_daemon(
            "mesos-master", self.port, *self.master_prefix, self.bin / "mesos-master", f"--port={self.port}",
            "--registry=in_memory", f"--work_dir={self.path}/master")
        cgroups = ([f"--cgroups_root={self.cgroup}", "--cgroups_enable_cfs"]
                   if "cgroups" in self.options.isolation else [])
        self.agent, self.agent_start_ms = self.start_daemon(
            "mesos-agent", self.agent_port, self.bin / "mesos-agent", f"--port={self.agent_port}",
            f"--master=127.0.0.1:{self.port}", f"--work_dir={self.path}/agent", f"--runtime_dir={self.path}/run",
            f"--launcher_dir={self.bin}", f"--resources={self.resources}", f"--launcher={self.options.launcher}",
            f"--isolation={self.options.isolation}", *cgroups)
        programs.wait_until(lambda: programs.metrics(self.port)["master/slaves_active"] == 1, 20,
                            "the agent's registration", 0.02)

    def start_daemon(self, name, port, *command):
        """The process, and the milliseconds from exec to the first 200 of /health."""
        log = self.path / (name + ".log")
        with open(log, "wb") as file:
            began = time.monotonic()
            process = self.start(*command, "--ip=127.0.0.1", "--hostname=127.0.0.1", stdout=file, stderr=file)
        programs.wait_serving(process, lambda: is_healthy(port), log, name)
        return process, 1000 * (time.monotonic() - began)

    def cpu(self):
        master, _ = cpu_seconds(self.master.pid)
        agent, children = cpu_seconds(self.agent.pid)
        return {"master": master, "agent": agent, "children": children}

    def close(self):
        """Executors of tasks that checkpoint outlive their agent: they come to this process, and go here."""
        for process in reversed(self.processes):  # the agent before its master
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
        super().close()
        for _ in range(100):
            orphans = leftovers.find_descendants()
            leftovers.kill_all(orphans)
            leftovers.reap_orphans(())
            if not orphans:
                break
            time.sleep(0.02)
        for path in leftovers.find_cgroups(self.cgroup):
            leftovers.remove_cgroup(path)


@contextlib.contextmanager
def own_file_system(directory):
    """A new ext4 in a file of the directory, or the directory itself where none can be mounted. What was deleted on an
    old one counts: without a journal ext4 passes over the inodes of files that were deleted up to minutes ago, and a
    sandbox costs several times as much after a few thousand others went."""
    with contextlib.ExitStack() as stack:
        with programs.undisturbed():
            folder = pathlib.Path(tempfile.mkdtemp(prefix="meseta-bench-disk-", dir=directory))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        image, mounted = folder / "image", folder / "mounted"
        mounted.mkdir()
        with open(image, "wb") as file:
            file.truncate(1 << 30)
        # A sandbox takes seven inodes, and none is removed while this runs.
        make = ["mkfs.ext4", "-q", "-F", "-i", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)]
        with programs.undisturbed():
            why = attempt(make) or attempt(["mount", "-o", "loop", str(image), str(mounted)])
            if why is None:
                stack.callback(unmount, mounted)
        if why is not None:
            print(f"no file system of its own ({why}): the figures on disk depend on what was deleted there")
            mounted = pathlib.Path(directory)
        yield mounted


def attempt(command):
    """Why the command failed, or None. A terminal's Ctrl-C does not reach it."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                              start_new_session=True)
    except OSError as error:
        return str(error)
    return None if done.returncode == 0 else (done.stdout.strip().splitlines() or ["status %d" % done.returncode])[-1]


def unmount(path):
    with programs.undisturbed():
        for _ in range(50):
            why = attempt(["umount", str(path)])
            if why is None:
                return
            time.sleep(0.1)  # something that was killed is not gone yet
        attempt(["umount", "--lazy", str(path)])
        raise RuntimeError(why)


def run_tasks(cluster, options, tasks, in_flight, *extra):
    """One run of task_bench; its figures, and the CPU time that it cost the cluster."""
    before = cluster.cpu()
    answer = subprocess.run(
        [str(options.build / "bench" / "task_bench"), f"--master=127.0.0.1:{cluster.port}",
         f"--tasks={tasks}", f"--in_flight={in_flight}", *extra],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if answer.returncode != 0 or not answer.stdout:  # tasks that fail are quick: they would flatter
        why = (answer.stderr.strip().splitlines() or ["it said nothing"])[0]
        raise RuntimeError(f"task_bench ended with status {answer.returncode}: {why}")
    programs.wait_until(lambda: not leftovers.find_descendants(cluster.agent.pid), 30, "the last containers to go", 0.02)
    time.sleep(0.1)  # their cgroups and directories
    after = cluster.cpu()
    result = json.loads(answer.stdout)
    result["cpu_seconds"] = {k: round(after[k] - before[k], 3) for k in after}
    result["cpu_ms_per_task"] = round(1000 * sum(result["cpu_seconds"].values()) / tasks, 2)
    return result


def median_run(cluster, options, tasks, in_flight, *extra):
    """Of several runs the one whose rate is in the middle."""
    runs = [run_tasks(cluster, options, tasks, in_flight, *extra) for _ in range(options.runs)]
    return sorted(runs, key=lambda r: r["tasks_per_second"])[len(runs) // 2]


def measure_place(options, results, place, directory):
    few, many = min(options.tasks, 200), options.tasks
    rows = [("alone", f"{few} tasks, one at a time", few, 1), ("many", f"{many} tasks, 64 in flight", many, 64),
            ("at once", f"{many} tasks in a single ACCEPT", many, 0)]
    found = {}
    with Cluster(options, directory=directory) as cluster:
        for key, name, tasks, in_flight in rows:
            found[key] = results[f"{name}, work_dir {place}"] = median_run(cluster, options, tasks, in_flight)
        for key, name, tasks, in_flight in rows[:2]:
            found[key + " kept"] = results[f"{name}, checkpoint, {place}"] = median_run(
                cluster, options, tasks, in_flight, "--checkpoint")
    return found


def measure_launching(options, results):
    """With the work directory in memory, and on a disk. Where there is no memory, all figures are those of the disk."""
    memory = options.failures.run("tasks in memory", measure_place, options, results, "in memory", options.memory_dir) \
        if options.memory_dir else None
    disk = options.failures.run("tasks on disk", measure_disk, options, results)
    if not options.memory_dir:
        memory = disk
    if not options.is_limited:
        return {}  # the targets are those of tasks with limits
    figures = {}
    if memory:
        figures |= {"accept_to_running_p50_ms": memory["alone"]["accept_to_running_ms"]["p50"],
                    "tasks_per_second": memory["many"]["tasks_per_second"],
                    "cpu_ms_per_task": memory["many"]["cpu_ms_per_task"]}
    if disk:
        figures |= {"checkpoint_cpu_ms_per_task": disk["many kept"]["cpu_ms_per_task"],
                    "checkpoint_alone_cpu_ms_per_task": disk["alone kept"]["cpu_ms_per_task"]}
    return figures


def measure_disk(options, results):
    with own_file_system(options.disk_dir) as directory:
        return measure_place(options, results, "on disk", directory)


def measure_turn_round(options, results):
    """All slots are taken: there is one."""
    tasks = min(options.tasks, 300)
    with Cluster(options, resources=SLOT, directory=options.memory_dir) as cluster:
        result = median_run(cluster, options, tasks, 1, f"--task_resources={SLOT}")
    results[f"{tasks} tasks, an agent with room for one"] = result
    return {"turn_round_p50_ms": result["turn_round_ms"]["p50"],
            "turn_round_p99_ms": result["turn_round_ms"]["p99"]}


def measure_instructions(options, _results):
    """Instructions of the master's own code and libraries, as the slope between two runs."""
    if options.quick:
        return {}
    if not shutil.which("valgrind"):
        print("valgrind is not installed: no instructions are counted")
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


def measure_idling(options, _results):
    starts = {"master_start_ms": [], "agent_start_ms": [], "master_idle_mib": [],
              "agent_idle_mib": []}
    for _ in range(3 if options.quick else 7):
        with Cluster(options, directory=options.memory_dir) as cluster:
            time.sleep(0.5)
            starts["master_start_ms"].append(cluster.master_start_ms)
            starts["agent_start_ms"].append(cluster.agent_start_ms)
            starts["master_idle_mib"].append(programs.resident_bytes(cluster.master.pid) / (1 << 20))
            starts["agent_idle_mib"].append(programs.resident_bytes(cluster.agent.pid) / (1 << 20))
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
    programs.require(options.build, "bin/mesos-master", "bin/mesos-agent", "bin/mesos-containerizer", "bin/mesos-executor",
                     "bench/task_bench")
    options.is_limited = "cgroups" in options.isolation and leftovers.has_cgroups()
    if "cgroups" in options.isolation and not options.is_limited:
        print("control groups cannot be made here (by root alone): tasks run without limits, and do not count for the targets")
        options.launcher, options.isolation = "posix", "posix/cpu,posix/mem"
    leftovers.become_subreaper()
    results, figures, options.failures = {}, {}, programs.Failures()
    for what, measure in (("launching", measure_launching), ("slot turn-round", measure_turn_round),
                          ("instructions", measure_instructions), ("start and idle memory", measure_idling)):
        figures |= options.failures.run(what, measure, options, results) or {}
    show(results, figures)
    if options.json:
        document = {"figures": figures, "runs": results,
                    "targets": {k: {"target": t[3], "apache_mesos": t[2], "more_is_better": t[4]} for k, t in TARGETS.items()}}
        pathlib.Path(options.json).write_text(json.dumps(document, indent=2) + "\n",
                                              encoding="utf-8")
    options.failures.end()


if __name__ == "__main__":
    programs.run_main(main)
