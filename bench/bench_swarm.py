#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The master under mesos-swarm: what it holds, how fast it is, and what that costs.

  held         agents with ten tasks each, in sizes that grow: memory per agent and per task, time to register; whether
               pings are answered throughout; at the most agents all tasks end in the end
  rate         tasks that end at once: tasks per second from end to end, the master's CPU per task
  turn-round   a slot's, at a rate that leaves the master half idle
  state        /state per task, and /health while five clients ask for /state
  life         the master's user instructions for the whole life of a task (valgrind)

It prints a table with the design's targets beside the figures, writes JSON with --json, and with --pictures SVG
curves. bench/README.md says how to read it.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

import pictures
import programs

TASKS_PER_AGENT = 10  # as many as an agent of the swarm has room for
PING_SECONDS = 15  # between the master's pings of an agent, by default
GIB = 1 << 30

# name: what, target, whether more is better, Apache Mesos.
TARGETS = {
    "agents_own_connections": ("agents held, a connection each, 10 tasks each", 19000, True, None),
    "agents_shared_connections": ("agents held, sharing connections, 10 tasks each", 100000, True, 10000),
    "tasks_finished": ("tasks that all ran at once and finished, ten on each of them", 1000000, True, None),
    "bytes_per_agent": ("memory per idle agent, bytes", 4096, False, 18600),
    "bytes_per_task": ("memory per running task, bytes", 1024, False, 4100),
    "tasks_per_second": ("tasks per second, end to end", 20000, True, None),
    "cpu_us_per_task": ("the master's CPU per task, µs", None, False, 2000),
    "instructions_per_task": ("the master's user instructions per task", 20000, False, None),
    "turn_round_p50_ms": ("slot turn-round, p50, ms", 5, False, 900),
    "turn_round_p99_ms": ("slot turn-round, p99, ms", 20, False, None),
    "state_us_per_task": ("/state, µs of CPU per task", 0.6, False, 14),
    "state_first_us_per_task": ("the same of the first one in a while", 0.6, False, 14),
    "health_ratio": ("/health p99 while five poll /state, ratio", 1.1, False, None),
}


def check_heartbeats(master, agents, report):
    """Each agent answered the ping of its admission and at least one of the rhythm's; the master misses nobody."""
    if report["pings_min"] < 2:
        raise RuntimeError(f"an agent of {agents:,} was pinged {report['pings_min']} times only")
    removed = {name: master[name] for name in ("master/slave_removals", "master/slave_unreachable_scheduled",
                                               "master/slaves_unreachable") if master[name] != 0}
    if removed or master["master/slaves_active"] != agents:
        raise RuntimeError(f"{master['master/slaves_active']:.0f} of {agents:,} agents are active, {removed}")


def hold(options, agents, connections, rest, ends):
    """A master that holds so many agents, each with its tasks, for `rest` seconds after all of them run. Those that
    answer no ping are removed by the master, which makes the swarm fail. With `ends` all tasks end after it."""
    with programs.World(options.build) as world:
        rhythm = [] if options.ping == PING_SECONDS else [f"--agent_ping_timeout={options.ping}secs"]
        master = programs.Master(world, *rhythm).start()
        idle_cpu, idle_bytes = programs.wait_quiet(master.pid), programs.resident_bytes(master.pid)
        tasks = agents * TASKS_PER_AGENT
        flags = [f"--hold_for={rest}secs", f"--task_duration={options.end_seconds}secs"] if ends else []
        began = time.monotonic()
        swarm = programs.Swarm(
            world, f"127.0.0.1:{master.port}", f"--agents={agents}", f"--connections={connections}",
            "--frameworks=4", f"--tasks={tasks}", "--hold", "--progress=0ns", "--timeout=10mins",
            f"--master_pid={master.pid}", *flags)
        swarm.wait_line("holding", 600)
        seconds, cpu = time.monotonic() - began, master.cpu() - idle_cpu
        if ends:
            swarm.wait_line("released", rest + 60)
        else:
            time.sleep(rest)
        metrics = programs.metrics(master.port)
        report = swarm.finish(stop=not ends)
        if rest > options.ping:
            check_heartbeats(metrics, agents, report)
        m = report["master"]
        row = {
            "agents": agents, "connections": report["connections"], "tasks": tasks, "seconds": round(seconds, 2),
            "seconds_to_register": report["seconds_to_register"], "cpu_seconds": round(cpu, 3),
            "resident_bytes": m["with_tasks"]["resident"], "idle_bytes": idle_bytes, "bytes_per_agent": m.get("bytes_per_agent"),
            "bytes_per_task": m.get("bytes_per_task"), "pings": report["pings"], "pings_min": report["pings_min"],
            "rest_seconds": rest, "heartbeats_answered": rest > options.ping}
        if ends:
            row["finished"] = report["ends"].get("TASK_FINISHED", 0)
            row["all_seconds"] = round(time.monotonic() - began, 1)
        return row


def measure_held(options, result):
    rows = []
    print(f"\n{'agents':>10}{'connections':>13}{'tasks':>11}{'register, s':>13}{'all run, s':>12}{'CPU, s':>9}"
          f"{'resident, MiB':>15}{'B/agent':>10}{'B/task':>9}{'pings':>9}")
    sizes = [(n, 0) for n in options.agents] + [(n, n // 100) for n in options.shared]
    most_own, most = max(options.agents, default=0), max(options.shared, default=0)
    for agents, connections in sizes:
        # The swarm's own memory is about that of the master.
        need = agents * (12_000 + TASKS_PER_AGENT * 2_500)
        if need > programs.available_bytes() - 2 * GIB:
            print(f"{agents:,} agents are left out: they need {need / GIB:.1f} GiB, of which there are only "
                  f"{programs.available_bytes() / GIB:.1f}")
            continue
        # The sizes that have a target are held for longer than the master's time between pings.
        rest = options.rest if agents in (most_own, most) else 0
        r = options.failures.run(f"{agents:,} agents held", hold, options, agents, connections, rest, agents == most)
        if r is None:
            continue
        rows.append(r)
        print(f"{r['agents']:10,}{r['connections']:13,}{r['tasks']:11,}{r['seconds_to_register']:13.2f}"
              f"{r['seconds']:12.2f}{r['cpu_seconds']:9.2f}{r['resident_bytes'] / (1 << 20):15.1f}"
              f"{r['bytes_per_agent'] or 0:10,}{r['bytes_per_task'] or 0:9,}{r['pings']:9,}"
              + (f"  each ≥ {r['pings_min']}, held for {r['rest_seconds']} s" if r["heartbeats_answered"] else ""),
              flush=True)
        if "finished" in r:
            print(f"{r['finished']:,} tasks on {r['agents']:,} agents, registered, offered, run and finished: "
                  f"{r['all_seconds']:.0f} s, all pings answered", flush=True)
    result["held"] = rows
    own = [r for r in rows if r["connections"] == r["agents"]]
    figures = {}
    if own:
        figures["agents_own_connections"] = max((r["agents"] for r in own if r["heartbeats_answered"]), default=None)
        last = own[-1]
        figures["bytes_per_agent"] = last["bytes_per_agent"]
        figures["bytes_per_task"] = last["bytes_per_task"]
        # Without what a master has and costs that holds nothing: it would hide growth.
        result["memory_exponent"] = growth(own, "tasks", lambda r: r["resident_bytes"] - r["idle_bytes"])
        result["cpu_exponent"] = growth(own, "tasks", lambda r: r["cpu_seconds"])
    shared = [r for r in rows if r["connections"] < r["agents"]]
    if shared:
        figures["agents_shared_connections"] = max((r["agents"] for r in shared if r["heartbeats_answered"]), default=None)
        figures["tasks_finished"] = max((r["finished"] for r in shared if "finished" in r), default=None)
    return {key: value for key, value in figures.items() if value is not None}


def growth(rows, x, y):
    """The exponent over four sizes at least."""
    value = programs.exponent([(r[x], y(r)) for r in rows]) if len(rows) >= 4 else None
    return None if value is None else round(value, 3)


def run_tasks(options, agents, tasks, *flags, prefix=()):
    with programs.World(options.build) as world:
        master = programs.Master(world, prefix=prefix).start()
        swarm = programs.Swarm(
            world, f"127.0.0.1:{master.port}", f"--agents={agents}", f"--connections={min(agents, 100)}",
            "--frameworks=4", f"--tasks={tasks}", "--progress=0ns", f"--master_pid={master.pid}", *flags)
        return swarm.finish()


def measure_rate(options, result):
    rows = []
    for agents in options.rate_agents:
        report = run_tasks(options, agents, options.rate_tasks, "--task_duration=1ms")
        rows.append({"agents": agents, "tasks": options.rate_tasks, "tasks_per_second": report["tasks_per_second"],
                     "cpu_us_per_task": report["master"]["cpu_us_per_task"],
                     "user_us_per_task": report["master"]["user_us_per_task"]})
    result["rate"] = rows
    print(f"\n{'agents':>10}{'tasks':>11}{'tasks/s':>11}{'CPU, µs/task':>15}{'user, µs/task':>15}")
    for r in rows:
        print(f"{r['agents']:10,}{r['tasks']:11,}{r['tasks_per_second']:11,.0f}{r['cpu_us_per_task']:15.1f}"
              f"{r['user_us_per_task']:15.1f}")
    result["rate_cpu_exponent"] = growth(rows, "agents", lambda r: r["cpu_us_per_task"])
    worst = min(rows, key=lambda r: r["tasks_per_second"])
    return {"tasks_per_second": worst["tasks_per_second"], "cpu_us_per_task": worst["cpu_us_per_task"]}


def turn_round(options, agents):
    """Latencies count when tasks have lasted for as long as they do on average, so that their ends are spread, for
    twice that time."""
    duration = agents * TASKS_PER_AGENT / options.turn_rate
    seconds = max(3 * duration, options.turn_least)
    tasks = 2 * int(options.turn_rate * (seconds + duration))  # never all of them
    report = run_tasks(options, agents, tasks, f"--task_duration={duration:.3f}secs", "--distribution=uniform",
                       f"--warm_up={1000 * seconds / 3:.0f}ms", f"--duration={seconds:.1f}secs")
    turn, fairness = report["slot_turn_round_ms"], report["fairness"]
    # Each of them is a task that took a slot after the first third, in which none ends.
    rate = turn["count"] / (seconds - seconds / 3)
    print(f"{agents:10,}{rate:11,.0f}{turn['p50']:10.3f}{turn['p90']:10.3f}{turn['p99']:10.3f}{turn['max']:10.1f}"
          + (f"{fairness['max_deviation_percent']:24.2f}" if fairness else f"{'-':>24}"), flush=True)
    return {"agents": agents, "tasks": report["ended"], "tasks_per_second": round(rate, 1), "p50_ms": turn["p50"],
            "p99_ms": turn["p99"], "slot_turn_round_ms": turn, "accept_to_running_ms": report["accept_to_running_ms"],
            "fairness": fairness}


def measure_turn_round(options, result):
    """Every slot is taken all the time; tasks last so long that the rate is a fraction of what is possible. Smaller
    clusters at the same rate tell how it grows."""
    print(f"\nSlot turn-round, ms\n{'agents':>10}{'tasks/s':>11}{'p50':>10}{'p90':>10}{'p99':>10}{'max':>10}"
          f"{'worst share off by, %':>24}")
    rows = [turn_round(options, options.turn_agents // part) for part in (8, 4, 2, 1)]
    result["turn_rounds"] = rows
    return {"turn_round_p50_ms": rows[-1]["p50_ms"], "turn_round_p99_ms": rows[-1]["p99_ms"]}


# Clients are other machines; here they want the same two processors. Whom they must not hold up goes ahead of them.
AHEAD = ("chrt", "-r", "1") if os.geteuid() == 0 and shutil.which("chrt") else ()


def ask_health(world, port, clients, seconds):
    """Times of /health in milliseconds, while so many clients ask for /state once a second, as the dashboard does."""
    command = [*AHEAD, world.bench / "health_bench", f"--port={port}", f"--clients={clients}", f"--duration={seconds}secs"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def read_all(port, path):
    """How many bytes came. They are read into one buffer: what is measured is the master, not its client."""
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        buffer, size = bytearray(1 << 18), 0
        while n := s.recv_into(buffer):
            size += n
        return size


def state_row(options, agents, with_health):
    with programs.World(options.build) as world:
        master = programs.Master(world, prefix=AHEAD if with_health else ()).start()
        tasks = agents * TASKS_PER_AGENT
        swarm = programs.Swarm(world, f"127.0.0.1:{master.port}", f"--agents={agents}",
                               f"--connections={min(agents, 100)}", "--frameworks=4", f"--tasks={tasks}", "--hold",
                               "--progress=0ns")
        swarm.wait_line("holding", 300)
        before = programs.wait_quiet(master.pid)
        size = read_all(master.port, "/state")  # the first makes the blocks that the others use again
        first = master.cpu() - before
        before = master.cpu()
        rounds = max(10, 1_000_000 // tasks)
        for _ in range(rounds):
            read_all(master.port, "/state")
        cpu = (master.cpu() - before) / rounds
        row = {"agents": agents, "tasks": tasks, "bytes": size, "cpu_seconds": round(cpu, 5),
               "us_per_task": round(1e6 * cpu / tasks, 3), "first_us_per_task": round(1e6 * first / tasks, 3), "health": []}
        for _ in range(3 if with_health else 0):
            row["health"].append({"alone_ms": ask_health(world, master.port, 0, options.health_seconds),
                                  "polled_ms": ask_health(world, master.port, 5, options.health_seconds)})
        swarm.finish(stop=True)
        return row


def measure_state(options, result):
    print(f"\n{'agents':>10}{'tasks':>11}{'/state, MB':>12}{'CPU, ms':>10}{'µs/task':>10}{'of the first':>14}")
    rows = []
    for agents in options.state_agents:
        r = state_row(options, agents, agents == options.health_agents)
        rows.append(r)
        print(f"{r['agents']:10,}{r['tasks']:11,}{r['bytes'] / 1e6:12.1f}{1000 * r['cpu_seconds']:10.2f}"
              f"{r['us_per_task']:10.2f}{r['first_us_per_task']:14.2f}", flush=True)
    result["state"] = rows
    result["state_exponent"] = growth(rows, "tasks", lambda r: r["cpu_seconds"])
    figures = {"state_us_per_task": rows[-1]["us_per_task"], "state_first_us_per_task": rows[-1]["first_us_per_task"]}
    health = [h for r in rows for h in r["health"]]
    if not health:
        return figures
    print(f"\n/health, {options.health_agents * TASKS_PER_AGENT:,} tasks, ms{'p50':>10}{'p99':>10}{'polled: p50':>14}{'p99':>10}")
    for h in health:
        print(f"{'':28}{h['alone_ms']['p50']:10.3f}{h['alone_ms']['p99']:10.3f}{h['polled_ms']['p50']:14.3f}"
              f"{h['polled_ms']['p99']:10.3f}")
    if not AHEAD:
        print("the ratio does not count: only root can put the master ahead of clients that stand for other machines")
        return figures
    ratios = [h["polled_ms"]["p99"] / h["alone_ms"]["p99"] for h in health]
    return figures | {"health_ratio": round(statistics.median(ratios), 2)}


def measure_life(options, result):
    """The slope between two runs, so that starting and ending do not count. In both of them the master has as many ended
    tasks as it keeps: what is made for one more task is given back for an older one."""
    if not shutil.which("valgrind"):
        print("\nvalgrind is not installed: no instructions are counted")
        return {}
    counts = []
    for tasks in options.life_tasks:
        with tempfile.NamedTemporaryFile("r") as log:
            prefix = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log.name}")
            run_tasks(options, 200, tasks, "--task_duration=1ms", prefix=prefix)
            counts.append((tasks, int(re.search(r"Collected : (\d+)", log.read()).group(1))))
    (few, before), (many, after) = counts
    result["life"] = {"runs": counts, "instructions_per_task": round((after - before) / (many - few))}
    return {"instructions_per_task": result["life"]["instructions_per_task"]}


def show(figures):
    print(f"\n{'':50}{'measured':>12}{'target':>12}{'Apache Mesos':>14}")
    for key, value in figures.items():
        name, target, more, mesos = TARGETS[key]
        met = target is None or (value >= target if more else value <= target)
        bound = "" if target is None else f"{'≥' if more else '≤'} {target:,}"
        print(f"{name:50}{value:12,}{bound:>12}{f'{mesos:,}' if mesos else '':>14}{'' if met else '   not met'}")


def draw(directory, result):
    directory.mkdir(parents=True, exist_ok=True)
    held = [r for r in result.get("held", []) if r["connections"] == r["agents"]]
    curves = {
        "memory": ("The master's memory", "tasks", "MiB",
                   {"resident": [(r["tasks"], r["resident_bytes"] / (1 << 20)) for r in held]}),
        "rate": ("Tasks from end to end", "agents", "tasks/s",
                 {"tasks per second": [(r["agents"], r["tasks_per_second"]) for r in result.get("rate", [])]}),
        "cpu": ("The master's CPU per task", "agents", "µs",
                {"all": [(r["agents"], r["cpu_us_per_task"]) for r in result.get("rate", [])],
                 "user": [(r["agents"], r["user_us_per_task"]) for r in result.get("rate", [])]}),
        "state": ("CPU of one /state", "tasks", "ms",
                  {"/state": [(r["tasks"], 1000 * r["cpu_seconds"]) for r in result.get("state", [])]}),
    }
    for name, (title, x, y, lines) in curves.items():
        if all(len(points) > 1 for points in lines.values()):
            (directory / (name + ".svg")).write_text(pictures.draw(title, x, y, lines), encoding="utf-8")


PARTS = {"held": measure_held, "rate": measure_rate, "turn-round": measure_turn_round, "state": measure_state,
         "life": measure_life}


def numbers(text):
    return [int(word) for word in text.split(",") if word]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("MESETA_BUILD", "build"),
                        type=lambda path: pathlib.Path(path).resolve(), help="the build directory")
    parser.add_argument("--parts", default=",".join(PARTS), help="which: " + ", ".join(PARTS))
    parser.add_argument("--agents", type=numbers, default=[1000, 3000, 10000, 19000], help="held, a connection each")
    parser.add_argument("--shared", type=numbers, default=[100000], help="held, a hundred on each connection")
    parser.add_argument("--rest", type=int, default=18, help="seconds that the most agents are held on, and answer pings")
    parser.add_argument("--ping", type=int, default=PING_SECONDS, help="seconds between pings")
    parser.add_argument("--end_seconds", type=int, default=10, help="in which all tasks of the most agents end")
    parser.add_argument("--rate_agents", type=numbers, default=[100, 1000, 3000, 10000])
    parser.add_argument("--rate_tasks", type=int, default=200000)
    parser.add_argument("--turn_agents", type=int, default=10000)
    parser.add_argument("--turn_rate", type=float, default=10000, help="tasks per second")
    parser.add_argument("--turn_least", type=float, default=6, help="seconds that a turn-round is measured, at least")
    parser.add_argument("--state_agents", type=numbers, default=[3000, 6000, 10000, 20000],
                        help="sizes whose records no cache holds")
    parser.add_argument("--health_agents", type=int, default=10000, help="of those sizes, where /health is asked for")
    parser.add_argument("--health_seconds", type=float, default=5)
    parser.add_argument("--life_tasks", type=numbers, default=[8000, 20000])
    parser.add_argument("--quick", action="store_true", help="smaller sizes, and shorter")
    parser.add_argument("--json", help="writes the figures to this file")
    parser.add_argument("--pictures", type=pathlib.Path, help="writes SVG curves into this directory (default: beside --json)")
    options = parser.parse_args()
    if options.quick:
        options.agents, options.shared, options.rate_agents = [300, 600, 1200, 2400], [10000], [100, 200, 400, 800]
        options.rate_tasks, options.turn_agents, options.turn_rate = 30000, 1000, 4000
        options.turn_least, options.state_agents, options.health_seconds = 2, [300, 500, 800, 1300], 1
        options.health_agents, options.end_seconds, options.life_tasks = 1300, 2, [4000, 8000]
        options.rest, options.ping = 4, 2
    programs.require(options.build, "bin/mesos-master", "bin/mesos-swarm", "bench/health_bench")
    programs.require_room()
    result, figures, seconds, options.failures = {}, {}, {}, programs.Failures()
    for part in options.parts.split(","):
        if part not in PARTS:
            parser.error(f"--parts: '{part}' is none of {', '.join(PARTS)}")
        began = time.monotonic()
        figures |= options.failures.run(part, PARTS[part], options, result) or {}
        seconds[part] = round(time.monotonic() - began, 1)
    show(figures)
    for name, key in (("memory", "memory_exponent"), ("CPU to hold", "cpu_exponent"), ("/state", "state_exponent")):
        if result.get(key) is not None:
            print(f"{name} grows with tasks^{result[key]}")
    print(", ".join(f"{part} {value:.0f} s" for part, value in seconds.items()))
    if options.json and not options.pictures:
        options.pictures = pathlib.Path(options.json).parent / "pictures"
    if options.pictures:
        draw(options.pictures, result)
    if options.json:
        document = {"figures": figures, "targets": {k: [TARGETS[k][1], TARGETS[k][2]] for k in figures}, "seconds": seconds, **result}
        pathlib.Path(options.json).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    options.failures.end()


if __name__ == "__main__":
    programs.run_main(main)
