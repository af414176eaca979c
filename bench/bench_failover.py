#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A master dies with kill -9 under simulated agents with five tasks each; how long until all is as before.

Two ways: the master keeps its registry in SQLite and is started again at once; and a standby takes over where
masters elect their leader with ZooKeeper (the default session of 10 s must expire first). For each size, from the
master's death:

  agents      until all agents are registered again
  frameworks  until all frameworks are subscribed again
  and the new master's CPU time by then, per task: for one that is started, without what a master costs that has
  nothing to do; for a standby, from the death on.

Each size is the median of --runs deaths. bench/README.md says how to read it.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

import programs

TASKS_PER_AGENT = 5
FRAMEWORKS = 3


def swarm_flags(agents):
    return [f"--agents={agents}", f"--frameworks={FRAMEWORKS}", f"--tasks={agents * TASKS_PER_AGENT}",
            "--hold", "--survive_master", "--progress=0ns", "--timeout=5mins"]


def die(swarm, old, start_new, new, deaths):
    """One death: seconds until agents and frameworks are back, and the new master's CPU time."""
    before = new().cpu() if new() is not old else 0
    died = time.monotonic()
    old.kill()
    start_new()
    swarm.wait_line("back after", 120, deaths)
    cpu = new().cpu() - before
    return {"died": died, "cpu": cpu}


def settle(figures, report):
    for figure, failover in zip(figures, report["failovers"]):
        figure["agents"] = failover["agents_at"] - figure["died"]
        figure["frameworks"] = failover["frameworks_at"] - figure["died"]


def idle_cpu(world):
    """What a master costs that starts and has nothing to do."""
    master = programs.Master(world, name="idle").start()
    time.sleep(0.5)
    cpu = master.cpu()
    master.kill()
    return cpu


def measure_restarts(options, agents):
    with programs.World(options.build, options.directory) as world:
        master = programs.Master(world).start()
        swarm = programs.Swarm(world, f"127.0.0.1:{master.port}", *swarm_flags(agents))
        swarm.wait_line("holding", 300)
        wait_acknowledged(master, agents)
        figures = []
        for run in range(options.runs):
            figures.append(die(swarm, master, lambda: master.start(wait=False), lambda: master, run + 1))
            wait_tasks(master, agents)
        settle(figures, swarm.finish(stop=True))
        return figures, idle_cpu(world)


def wait_tasks(master, agents):
    programs.wait_until(lambda: programs.metrics(master.port)["master/tasks_running"] == agents * TASKS_PER_AGENT,
                        60, "the tasks")


def wait_acknowledged(master, agents):
    """What is not acknowledged when the master dies is sent again: that is not what is measured."""
    name = "master/valid_status_update_acknowledgements"
    programs.wait_until(lambda: programs.metrics(master.port)[name] >= agents * TASKS_PER_AGENT, 60, "acknowledgements")
    time.sleep(0.5)


def measure_standby(options, agents, zookeeper):
    url = zookeeper.url(f"/mesos-{agents}")
    with programs.World(options.build, options.directory) as world:
        masters = [programs.Master(world, f"--zk={url}", "--quorum=1", name=f"master-{i}") for i in range(2)]
        masters[0].start()
        elected(masters[0])
        masters[1].start()
        swarm = programs.Swarm(world, url, *swarm_flags(agents))
        swarm.wait_line("holding", 300)
        wait_acknowledged(masters[0], agents)
        figures = []
        for run in range(options.runs):
            led = []

            def note_leader(new=masters[1]):
                led.append(elected(new))
            figures.append(die(swarm, masters[0], note_leader, lambda: masters[1], run + 1))
            figures[-1]["elected"] = led[0] - figures[-1]["died"]
            wait_tasks(masters[1], agents)
            masters.reverse()
            masters[1].start()
            time.sleep(1)
        settle(figures, swarm.finish(stop=True))
        return figures, 0


def elected(master):
    return programs.wait_until(lambda: programs.metrics(master.port).get("master/elected") == 1, 60, "the election",
                               0.02)


def row_of(agents, figures, idle):
    tasks = agents * TASKS_PER_AGENT
    cpu = statistics.median(f["cpu"] for f in figures)
    row = {"agents": agents, "tasks": tasks, "cpu_seconds": round(cpu, 3),
           "cpu_us_per_task": round(1e6 * max(cpu - idle, 0) / tasks, 2)}
    for name in ("agents", "frameworks", "elected"):
        if name in figures[0]:
            row[name + "_back_seconds" if name != "elected" else "elected_seconds"] = round(
                statistics.median(f[name] for f in figures), 3)
    return row


def show(title, rows):
    print(f"\n{title}\n{'agents':>10}{'tasks':>10}{'elected, s':>14}{'agents, s':>12}{'frameworks, s':>16}"
          f"{'CPU, s':>10}{'CPU per task, µs':>20}")
    for r in rows:
        led = f"{r['elected_seconds']:14.3f}" if "elected_seconds" in r else f"{'':14}"
        print(f"{r['agents']:10,}{r['tasks']:10,}{led}{r['agents_back_seconds']:12.3f}"
              f"{r['frameworks_back_seconds']:16.3f}{r['cpu_seconds']:10.2f}{r['cpu_us_per_task']:20.2f}")


def growth_of(rows):
    """Of the CPU time over the number of tasks, where it is more than the clock's resolution."""
    points = [(r["tasks"], r["cpu_seconds"]) for r in rows if r["cpu_seconds"] >= 0.05]
    slope = programs.exponent(points)
    return None if slope is None else round(slope, 3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("MESETA_BUILD", "build"),
                        type=lambda path: pathlib.Path(path).resolve(), help="the build directory")
    parser.add_argument("--agents", default="10,1000,3000,10000,18000", help="the sizes")
    parser.add_argument("--standby_agents", default="10,1000,10000", help="the sizes with ZooKeeper; empty: none")
    parser.add_argument("--runs", type=int, default=3, help="deaths at each size; the median is taken")
    parser.add_argument("--quick", action="store_true", help="fewer sizes, one death each, no ZooKeeper")
    parser.add_argument("--directory", help="where the registry lies (default: $TMPDIR)")
    parser.add_argument("--json", help="writes the figures to this file")
    options = parser.parse_args()
    if options.quick:
        options.agents, options.standby_agents, options.runs = "10,300,1000,3000", "", 1
    result = {"restart": [], "standby": []}
    for agents in map(int, options.agents.split(",")):
        result["restart"].append(row_of(agents, *measure_restarts(options, agents)))
    show("A master with SQLite is started again at once", result["restart"])
    result["restart_cpu_exponent"] = growth_of(result["restart"])
    print(f"CPU grows with tasks^{result['restart_cpu_exponent']}")
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "system"))
    import zookeeper as zk  # pylint: disable=import-outside-toplevel
    failure = None
    if options.standby_agents and zk.is_installed():
        keeper = zk.ZooKeeper()
        try:
            for agents in map(int, options.standby_agents.split(",")):
                result["standby"].append(row_of(agents, *measure_standby(options, agents, keeper)))
        except RuntimeError as error:
            failure = str(error)  # the figures of restarts are there
        finally:
            keeper.close()
        show("A standby takes over (ZooKeeper, its session of 10 s)", result["standby"])
        result["standby_cpu_exponent"] = growth_of(result["standby"])
    elif options.standby_agents:
        print("ZooKeeper is not installed: no standby is measured")
    last = result["restart"][-1]
    print(f"\nCPU per task of a failover at {last['tasks']:,} tasks: {last['cpu_us_per_task']} µs "
          f"(target ≤ 2.4, Apache Mesos 26)")
    result["figures"] = {"failover_us_per_task": last["cpu_us_per_task"],
                         "failover_cpu_exponent": result["restart_cpu_exponent"],
                         "restart_to_agents_back_seconds": result["restart"][0]["agents_back_seconds"]}
    result["targets"] = {"failover_us_per_task": [2.4, False], "failover_cpu_exponent": [1.0, False],
                         "restart_to_agents_back_seconds": [1, False]}
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if failure is not None:
        sys.exit("no standby took over: " + failure)


if __name__ == "__main__":
    main()
