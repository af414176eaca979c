#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A master dies with kill -9 under simulated agents with tasks; how long until all is as before.

Two ways: the master keeps its registry in SQLite and is started again at once; and a standby takes over where
masters elect their leader with ZooKeeper (the default session of 10 s must expire first). Four shapes of cluster:

  own      each agent has a connection of its own and five tasks, of three frameworks
  cluster  the same with ten tasks on each agent, as in the design's clusters
  mesos    as Apache Mesos' own failover benchmark: 20 tasks of each of five frameworks on each agent, ten labels on
           each task, 0.1 cpus and 5 MB; agents share connections, as Mesos' are all in one process
  mesos5   its other size: five tasks of one framework on each agent, the rest as before

Mesos' benchmark has no frameworks that subscribe; here they do, and what it costs is in the figures. For each size,
from the master's death:

  agents      until all agents are registered again
  frameworks  until all frameworks are subscribed again
  and the new master's CPU time, per task, until it has nothing more to do: offers and their declines count. Of one that
  is started, without what a master costs that has nothing to do, the least of several starts; of a standby, from the
  death on. The kernel's part is sampled by the kernel, at its ticks.

Each size is the median of --runs deaths, and of three times as many where there are few tasks. bench/README.md says how
to read it.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

import programs


class Shape:
    """What a cluster looks like, whatever its size."""

    def __init__(self, title, frameworks, tasks_per_agent, per_connection, *flags):
        self.title, self.frameworks, self.tasks_per_agent = title, frameworks, tasks_per_agent
        self.per_connection, self.flags = per_connection, flags

    def tasks(self, agents):
        return agents * self.tasks_per_agent

    def swarm_flags(self, agents):
        connections = max(1, agents // self.per_connection)
        return [f"--agents={agents}", f"--frameworks={self.frameworks}", f"--tasks={self.tasks(agents)}",
                f"--connections={connections}", "--hold", "--survive_master", "--progress=0ns", "--timeout=5mins",
                *self.flags]


MESOS_FLAGS = ("--task_resources=cpus:0.1;mem:5", "--task_labels=10")
SHAPES = {
    "own": Shape("five tasks on each agent, a connection each", 3, 5, 1),
    # Its agents have 20 cpus and 10240 MB, which nobody is offered there; here the tasks take all there is.
    "cluster": Shape("ten tasks on each agent, a connection each", 3, 10, 1),
    "mesos": Shape("Apache Mesos' benchmark: 5 × 20 tasks on each agent", 5, 100, 100,
                   "--agent_resources=cpus:10;mem:500", "--tasks_per_offer=20", *MESOS_FLAGS),
    "mesos5": Shape("Apache Mesos' benchmark: five tasks on each agent", 1, 5, 100,
                    "--agent_resources=cpus:0.5;mem:25", *MESOS_FLAGS),
}


def die(swarm, old, start_new, new, deaths):
    """One death: seconds until agents and frameworks are back, and the new master's CPU time by then, and until all that
    follows is done."""
    before, user_before = (new().cpu(), programs.user_part(new().pid)) if new() is not old else (0, (0, 0))
    died = time.monotonic()
    old.kill()
    start_new()
    swarm.wait_line("back after", 120, deaths)
    back = new().cpu() - before
    cpu = programs.wait_quiet(new().pid) - before
    user, everything = (now - then for now, then in zip(programs.user_part(new().pid), user_before))
    return {"died": died, "cpu": cpu, "cpu_back": back, "user": user, "ticks": everything}


def settle(figures, report):
    for figure, failover in zip(figures, report["failovers"]):
        figure["agents"] = failover["agents_at"] - figure["died"]
        figure["frameworks"] = failover["frameworks_at"] - figure["died"]


IDLE_STARTS = 5
TICKS_LEAST = 0.5  # seconds of CPU from which on the kernel's samples tell its part


def idle_cpu(options):
    """What a master costs that starts and has nothing to do. What disturbs it only adds: the least is nearest."""
    costs = []
    for _ in range(IDLE_STARTS):
        with programs.World(options.build, options.directory) as world:
            costs.append(programs.wait_quiet(programs.Master(world, name="idle").start().pid))
    return min(costs)


def deaths_of(options, tasks):
    """What is small is noisy, and quick."""
    return options.runs * (3 if tasks <= 30000 else 1)


def measure_restarts(options, shape, agents):
    tasks = shape.tasks(agents)
    with programs.World(options.build, options.directory) as world:
        master = programs.Master(world).start()
        swarm = programs.Swarm(world, f"127.0.0.1:{master.port}", *shape.swarm_flags(agents))
        swarm.wait_line("holding", 120)
        wait_acknowledged(master, tasks)
        figures = []
        for run in range(deaths_of(options, tasks)):
            figures.append(die(swarm, master, lambda: master.start(wait=False), lambda: master, run + 1))
            wait_tasks(master, tasks)
        settle(figures, swarm.finish(stop=True))
        return figures, options.idle


def wait_tasks(master, tasks):
    programs.wait_until(lambda: programs.metrics(master.port)["master/tasks_running"] == tasks, 60, "the tasks")


def wait_acknowledged(master, tasks):
    """What is not acknowledged when the master dies is sent again: that is not what is measured."""
    name = "master/valid_status_update_acknowledgements"
    programs.wait_until(lambda: programs.metrics(master.port)[name] >= tasks, 60, "acknowledgements")
    programs.wait_quiet(master.pid)


def measure_standby(options, agents, zookeeper):
    url, shape = zookeeper.url(f"/mesos-{agents}"), SHAPES["own"]
    tasks = shape.tasks(agents)
    with programs.World(options.build, options.directory) as world:
        masters = [programs.Master(world, f"--zk={url}", "--quorum=1", name=f"master-{i}") for i in range(2)]
        masters[0].start()
        elected(masters[0])
        masters[1].start()
        swarm = programs.Swarm(world, url, *shape.swarm_flags(agents))
        swarm.wait_line("holding", 120)
        wait_acknowledged(masters[0], tasks)
        figures = []
        for run in range(options.standby_runs):
            led = []

            def note_leader(new=masters[1]):
                led.append(elected(new))
            figures.append(die(swarm, masters[0], note_leader, lambda: masters[1], run + 1))
            figures[-1]["elected"] = led[0] - figures[-1]["died"]
            wait_tasks(masters[1], tasks)
            masters.reverse()
            if run + 1 < options.standby_runs:
                masters[1].start()
                time.sleep(1)
        settle(figures, swarm.finish(stop=True))
        return figures, 0


def elected(master):
    return programs.wait_until(lambda: programs.metrics(master.port).get("master/elected") == 1, 60, "the election",
                               0.02)


def row_of(agents, tasks, figures, idle):
    cpu, back = (statistics.median(f[name] for f in figures) for name in ("cpu", "cpu_back"))
    net = max(cpu - idle, 0)
    ticks = sum(f["ticks"] for f in figures)
    user = sum(f["user"] for f in figures) / max(ticks, TICKS_LEAST)
    row = {"agents": agents, "tasks": tasks, "deaths": len(figures), "cpu_seconds": round(cpu, 4), "cpu_back_seconds": round(back, 4),
           "idle_cpu_seconds": round(idle, 4), "net_cpu_seconds": round(net, 4), "cpu_us_per_task": round(1e6 * net / tasks, 2),
           "cpu_us_per_task_spread": [round(1e6 * (limit(f["cpu"] for f in figures) - idle) / tasks, 2) for limit in (min, max)],
           "user_us_per_task": None, "kernel_us_per_task": None}
    if ticks >= TICKS_LEAST:
        row |= {"user_us_per_task": round(1e6 * net * user / tasks, 2),
                "kernel_us_per_task": round(1e6 * net * (1 - user) / tasks, 2)}
    for name in ("agents", "frameworks", "elected"):
        if name in figures[0]:
            row[name + "_back_seconds" if name != "elected" else "elected_seconds"] = round(
                statistics.median(f[name] for f in figures), 3)
    return row


def show(title, rows):
    print(f"\n{title}\n{'agents':>8}{'tasks':>9}{'deaths':>8}{'elected, s':>12}{'agents, s':>11}{'frameworks, s':>15}"
          f"{'CPU, s':>9}{'CPU per task, µs':>19}{'least':>8}{'most':>8}{'user':>8}{'kernel':>8}")
    for r in rows:
        led = f"{r['elected_seconds']:12.3f}" if "elected_seconds" in r else f"{'':12}"
        print(f"{r['agents']:8,}{r['tasks']:9,}{r['deaths']:8}{led}{r['agents_back_seconds']:11.3f}"
              f"{r['frameworks_back_seconds']:15.3f}{r['cpu_seconds']:9.2f}{r['cpu_us_per_task']:19.2f}"
              f"{r['cpu_us_per_task_spread'][0]:8.2f}{r['cpu_us_per_task_spread'][1]:8.2f}"
              + "".join(f"{'-' if r[part] is None else format(r[part], '.2f'):>8}"
                        for part in ("user_us_per_task", "kernel_us_per_task")))


def growth_of(rows):
    """Of the CPU time over the number of tasks. At the least size it is that of a start, and not counted."""
    rows = [r for r in rows if r["agents"] >= 100]
    slope = programs.exponent([(r["tasks"], r["net_cpu_seconds"]) for r in rows]) if len(rows) > 3 else None
    return None if slope is None else round(slope, 3)


def measure_shape(options, name, sizes, result):
    shape, began = SHAPES[name], time.monotonic()
    rows = []
    for agents in sizes:
        found = options.failures.run(f"{agents:,} agents, {shape.title}", measure_restarts, options, shape, agents)
        if found is None:
            return {}  # the figure is that of the largest
        rows.append(row_of(agents, shape.tasks(agents), *found))
    show(f"A master with SQLite is started again at once; {shape.title}", rows)
    growth = growth_of(rows)
    if growth is not None:
        print(f"CPU grows with tasks^{growth}", end="; ")
    print(f"measured in {time.monotonic() - began:.0f} s", flush=True)
    result["restart" if name == "own" else "restart_" + name] = rows
    last, suffix = rows[-1], "" if name == "own" else "_" + name
    return {"failover_us_per_task" + suffix: last["cpu_us_per_task"], "failover_cpu_exponent" + suffix: growth,
            "failover_kernel_us_per_task" + suffix: last["kernel_us_per_task"]}


def measure_standbys(options, sizes, result):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "system"))
    try:
        import zookeeper as zk  # pylint: disable=import-outside-toplevel
    except ImportError as error:
        print(f"no standby is measured: {error}")
        return
    if not zk.is_installed():
        print("ZooKeeper is not installed: no standby is measured")
        return
    began, rows = time.monotonic(), result["standby"]
    keeper = options.failures.run("ZooKeeper", zk.ZooKeeper)
    if keeper is None:
        return
    try:
        for agents in sizes:
            found = options.failures.run(f"a standby of {agents:,} agents", measure_standby, options, agents, keeper)
            if found is not None:
                rows.append(row_of(agents, SHAPES["own"].tasks(agents), *found))
    finally:
        with programs.undisturbed():
            keeper.close()
    show("A standby takes over (ZooKeeper, its session of 10 s); " + SHAPES["own"].title, rows)
    result["standby_cpu_exponent"] = growth_of(rows)
    print(f"measured in {time.monotonic() - began:.0f} s", flush=True)


def numbers(text):
    return [int(word) for word in text.split(",") if word]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("MESETA_BUILD", "build"),
                        type=lambda path: pathlib.Path(path).resolve(), help="the build directory")
    parser.add_argument("--agents", type=numbers, default=[10, 1000, 3000, 10000, 18000],
                        help="the sizes with a connection each")
    parser.add_argument("--cluster_agents", type=numbers, default=[1000, 3000, 10000, 18000],
                        help="the same with ten tasks on each")
    parser.add_argument("--mesos_agents", type=numbers, default=[250, 500, 1000, 2000],
                        help="the sizes with 5 × 20 tasks on each")
    parser.add_argument("--mesos5_agents", type=numbers, default=[2500, 5000, 10000, 20000],
                        help="the sizes with five tasks on each, sharing connections")
    parser.add_argument("--standby_agents", type=numbers, default=[10, 1000, 3000, 10000],
                        help="the sizes with ZooKeeper; empty: none")
    parser.add_argument("--runs", type=int, default=3, help="deaths at each size, three times as many where there are at most 30,000 tasks; the median is taken")
    parser.add_argument("--standby_runs", type=int, default=3, help="the same with ZooKeeper")
    parser.add_argument("--quick", action="store_true", help="fewer sizes, one death each, no ZooKeeper")
    parser.add_argument("--directory", help="where the registry lies (default: $TMPDIR)")
    parser.add_argument("--json", help="writes the figures to this file")
    options = parser.parse_args()
    if options.quick:
        options.agents, options.standby_agents, options.runs = [100, 300, 1000, 3000], [], 1
        options.cluster_agents = [100, 300, 1000, 2000]
        options.mesos_agents, options.mesos5_agents = [100, 150, 220, 330], [250, 500, 1000, 2000]
    programs.require(options.build, "bin/mesos-master", "bin/mesos-swarm")
    programs.require_room(options.directory)
    result, figures, options.failures = {"standby": []}, {}, programs.Failures()
    options.idle = options.failures.run("an idle master", idle_cpu, options)
    if options.idle is None:
        options.failures.end()
    for name, sizes in (("own", options.agents), ("cluster", options.cluster_agents), ("mesos", options.mesos_agents), ("mesos5", options.mesos5_agents)):
        if sizes:
            figures |= measure_shape(options, name, sizes, result)
    if "restart" in result:
        figures["restart_to_agents_back_seconds"] = result["restart"][0]["agents_back_seconds"]
    if options.standby_agents:
        measure_standbys(options, options.standby_agents, result)
    print()
    for name, shape in SHAPES.items():
        value = figures.get("failover_us_per_task" + ("" if name == "own" else "_" + name))
        if value is not None:
            print(f"CPU per task reregistered, {shape.title}: {value} µs (target ≤ 2.4, Apache Mesos 26)")
    result["figures"] = figures
    result["targets"] = {key: [1 if "seconds" in key else 1.0 if "exponent" in key else 2.4, False] for key in figures
                         if "kernel" not in key}
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    options.failures.end()


if __name__ == "__main__":
    programs.run_main(main)
