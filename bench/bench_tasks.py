#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Command tasks through one real agent: 64 in flight, then all in a single ACCEPT.

Starts mesos-master and mesos-agent on loopback with cgroup limits, runs task_bench, and prints a
table with the design's figures for Apache Mesos beside ours. Writes JSON with --json FILE.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

TICK = os.sysconf("SC_CLK_TCK")

# Apache Mesos, measured on such a machine (the targets' table of the design).
MESOS = {"tasks_per_second": 8.7, "accept_to_running_ms": 125.0, "cpu_ms_per_task": 225.0}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(pid):
    """(own, reaped children's) user and system time of a process."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    utime, stime, cutime, cstime = (int(x) for x in stat[11:15])
    return (utime + stime) / TICK, (cutime + cstime) / TICK


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    sys.exit(f"Gave up waiting for {what}")


def get_json(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None


class Cluster:
    """One master and one agent; stopped by pid, whatever happens."""

    def __init__(self, bin_dir, isolation, launcher):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="meseta-bench-"))
        self.cgroups_root = f"meseta-bench-{os.getpid()}"
        self.port, agent_port = free_port(), free_port()
        self.log = open(self.work / "log", "w", encoding="utf-8")
        self.master = self.start(
            bin_dir / "mesos-master", "--ip=127.0.0.1", f"--port={self.port}",
            "--hostname=127.0.0.1", "--registry=in_memory", f"--work_dir={self.work}/master")
        wait_until(lambda: get_json(self.port, "/version"), 10, "the master")
        self.agent = self.start(
            bin_dir / "mesos-agent", f"--master=127.0.0.1:{self.port}", "--ip=127.0.0.1",
            f"--port={agent_port}", "--hostname=127.0.0.1", f"--work_dir={self.work}/agent",
            f"--runtime_dir={self.work}/run", f"--launcher_dir={bin_dir}",
            "--resources=cpus:64;mem:65536;disk:65536;ports:[31000-32000]",
            f"--launcher={launcher}", f"--isolation={isolation}",
            *([f"--cgroups_root={self.cgroups_root}", "--cgroups_enable_cfs"]
              if "cgroups" in isolation else []))
        wait_until(lambda: (get_json(self.port, "/state") or {}).get("activated_slaves"), 20,
                   "the agent")

    def start(self, *command):
        return subprocess.Popen([str(c) for c in command], stdout=self.log, stderr=self.log,
                                stdin=subprocess.DEVNULL)

    def cpu(self):
        master, _ = cpu_seconds(self.master.pid)
        agent, children = cpu_seconds(self.agent.pid)
        return {"master": master, "agent": agent, "children": children}

    def stop(self):
        for process in (self.agent, self.master):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.log.close()
        shutil.rmtree(self.work, ignore_errors=True)


def run(cluster, bench, tasks, in_flight):
    before = cluster.cpu()
    answer = subprocess.run(
        [str(bench), f"--master=127.0.0.1:{cluster.port}", f"--tasks={tasks}",
         f"--in_flight={in_flight}"], stdout=subprocess.PIPE, text=True, check=False)
    if answer.returncode not in (0, 1) or not answer.stdout:
        sys.exit(f"task_bench failed with status {answer.returncode}; log: {cluster.work}/log")
    time.sleep(0.5)  # the last containers are reaped
    after = cluster.cpu()
    result = json.loads(answer.stdout)
    result["cpu_seconds"] = {k: round(after[k] - before[k], 3) for k in after}
    result["cpu_ms_per_task"] = round(1000 * sum(result["cpu_seconds"].values()) / tasks, 2)
    return result


def show(results):
    print(f"{'':34}{'tasks/s':>9}{'ACCEPT to RUNNING, ms':>27}{'CPU ms/task':>13}"
          f"{'failed':>8}   CPU s: master, agent, children")
    print(f"{'':43}{'p50':>9}{'p99':>9}{'max':>9}")
    for name, r in results.items():
        t, c = r["accept_to_running_ms"], r["cpu_seconds"]
        print(f"{name:34}{r['tasks_per_second']:9.1f}{t['p50']:9.1f}{t['p99']:9.1f}{t['max']:9.1f}"
              f"{r['cpu_ms_per_task']:13.2f}{r['failed']:8}   "
              f"{c['master']:.2f}, {c['agent']:.2f}, {c['children']:.2f}")
    print(f"{'Apache Mesos, 1.11':34}{MESOS['tasks_per_second']:9.1f}"
          f"{MESOS['accept_to_running_ms']:9.1f}{'':18}{MESOS['cpu_ms_per_task']:13.2f}"
          "   (of 1,000 at once 731 failed)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("MESETA_BUILD", "build"),
                        help="the build directory")
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--isolation", default="cgroups/cpu,cgroups/mem")
    parser.add_argument("--launcher", default="linux")
    parser.add_argument("--json", help="writes the figures to this file")
    arguments = parser.parse_args()
    build = pathlib.Path(arguments.build).resolve()
    results = {}
    cluster = Cluster(build / "bin", arguments.isolation, arguments.launcher)
    try:
        for name, in_flight in (("one at a time", 1), ("64 in flight", 64),
                                ("all in a single ACCEPT", 0)):
            tasks = arguments.tasks if in_flight != 1 else min(arguments.tasks, 200)
            results[f"{tasks} tasks, {name}"] = run(
                cluster, build / "bench" / "task_bench", tasks, in_flight)
    finally:
        cluster.stop()
    show(results)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n",
                                                encoding="utf-8")


if __name__ == "__main__":
    main()
