# SPDX-License-Identifier: Apache-2.0
"""The design's targets, one by one, with what the benchmarks reached: a table, and the same as JSON."""

import json
import pathlib
import time

import programs

# A row is what, what Apache Mesos needs (measured on such a machine), and its figures. A figure is a name, the benchmark
# that has it, how it is got from its document, the target, and whether more is better. Growth is the exponent e of
# N^e over at least four sizes; None where there are no sizes.


def figure(key):
    return lambda document: document.get("figures", {}).get(key)


def key(name):
    return lambda document: document.get(name)


def restart_growth(document):
    return exponent(document.get("restart", []), "agents", "agents_back_seconds")


def exponent(rows, x, y):
    rows = [r for r in rows if r.get(x) and r.get(y)]
    if len(rows) < 4:
        return None
    value = programs.exponent([(r[x], r[y]) for r in rows])
    return None if value is None else round(value, 2)


def turn_growth(document):
    return exponent(document.get("turn_rounds", []), "agents", "p50_ms")


def worst_share(document):
    """How far the share of a greedy framework was from its ideal one, at the worst size, in per cent."""
    rows = document.get("turn_rounds", [])
    return max((r["fairness"]["max_deviation_percent"] for r in rows if r.get("fairness")), default=None)


ROWS = [
    ("agents held, 10 tasks each, with heartbeats answered throughout", "10,000 tried", [
        ("sharing connections", "swarm", figure("agents_shared_connections"), 100000, True),
        ("a connection each", "swarm", figure("agents_own_connections"), 19000, True),
        ("tasks on them that all finished", "swarm", figure("tasks_finished"), 1000000, True),
        ("growth of the CPU to hold them", "swarm", key("cpu_exponent"), None, False)]),
    ("memory of the master", "18.6 kB, 4.1 kB", [
        ("per idle agent, bytes", "swarm", figure("bytes_per_agent"), 4096, False),
        ("per task, bytes", "swarm", figure("bytes_per_task"), 1024, False),
        ("growth", "swarm", key("memory_exponent"), None, False)]),
    ("a task's whole life through the master", "2 ms of CPU", [
        ("user instructions", "swarm", figure("instructions_per_task"), 20000, False),
        ("the same with calls of their own (command tasks)", "tasks", figure("master_instructions_per_task"), None, False),
        ("tasks per second, end to end, at the slowest size", "swarm", figure("tasks_per_second"), 20000, True),
        ("growth of a task's CPU with agents", "swarm", key("rate_cpu_exponent"), None, False)]),
    ("slot turn-round", "0.9 s", [
        ("p50, ms", "swarm", figure("turn_round_p50_ms"), 5, False),
        ("p99, ms", "swarm", figure("turn_round_p99_ms"), 20, False),
        ("growth of p50 with agents", "swarm", turn_growth, None, False)]),
    ("allocation cycle, 10,000 agents × 200 frameworks", "380–570 ms", [
        ("ms", "allocator", figure("cycle_10000_200_ms"), 10, False)]),
    ("the same, 20,000 × 2,000; empty; growth", "3.8 s; 13.7 s; N^1.8", [
        ("ms", "allocator", figure("cycle_20000_2000_ms"), 40, False),
        ("empty cycle, 20,000 × 2,000, ms", "allocator", figure("empty_ms"), 1, False),
        ("empty cycle, 3,000 quota roles, ms", "allocator", figure("empty_quotas_ms"), 1, False),
        ("growth of CPU, 2,500–20,000 agents", "allocator", figure("growth_small"), 1.05, False),
        ("growth of CPU, 30,000–100,000 agents", "allocator", figure("growth_large"), 1.05, False),
        ("growth of CPU with agents alone, 200 frameworks", "allocator", figure("growth_agents"), 1.05, False),
        ("growth of instructions", "allocator", figure("growth_instructions"), 1.05, False),
        ("a framework comes, ms", "allocator", figure("add_framework_ms"), None, False),
        ("a framework goes, ms", "allocator", figure("remove_framework_ms"), None, False),
        ("all frameworks revive, ms", "allocator", figure("revive_ms"), None, False)]),
    ("failover: CPU per task reregistered, µs", "26 µs", [
        ("5 tasks on each agent, a connection each", "failover", figure("failover_us_per_task"), 2.4, False),
        ("    of it the kernel's", "failover", figure("failover_kernel_us_per_task"), None, False),
        ("growth of it", "failover", figure("failover_cpu_exponent"), 1.0, False),
        ("10 tasks on each agent, a connection each", "failover", figure("failover_us_per_task_cluster"), 2.4, False),
        ("    of it the kernel's", "failover", figure("failover_kernel_us_per_task_cluster"), None, False),
        ("growth of these", "failover", figure("failover_cpu_exponent_cluster"), 1.0, False),
        ("Mesos' own benchmark: 5 × 20 tasks on each agent", "failover", figure("failover_us_per_task_mesos"), 2.4, False),
        ("growth of that", "failover", figure("failover_cpu_exponent_mesos"), 1.0, False),
        ("Mesos' own benchmark: 5 tasks on each agent", "failover", figure("failover_us_per_task_mesos5"), 2.4, False),
        ("growth of this one", "failover", figure("failover_cpu_exponent_mesos5"), 1.0, False)]),
    ("master killed and started again → its agent is back", "73.5 s", [
        ("s", "failover", figure("restart_to_agents_back_seconds"), 1, False),
        ("growth with agents", "failover", restart_growth, None, False)]),
    ("full /state; /health while it is polled", "14 µs per task", [
        ("µs per task", "swarm", figure("state_us_per_task"), 0.6, False),
        ("of the first one in a while", "swarm", figure("state_first_us_per_task"), 0.6, False),
        ("/health p99, polled by five, ratio", "swarm", figure("health_ratio"), 1.1, False),
        ("growth", "swarm", key("state_exponent"), None, False)]),
    ("a command task from ACCEPT to TASK_RUNNING", "125 ms", [
        ("p50, ms", "tasks", figure("accept_to_running_p50_ms"), 5, False)]),
    ("command tasks on one real agent, cgroup limits", "8.7/s; 225 ms", [
        ("per second", "tasks", figure("tasks_per_second"), 500, True),
        ("CPU of each, ms", "tasks", figure("cpu_ms_per_task"), 4, False),
        ("CPU of each with checkpoint, on disk, ms", "tasks", figure("checkpoint_cpu_ms_per_task"), 4, False),
        ("the same, one at a time, ms", "tasks", figure("checkpoint_alone_cpu_ms_per_task"), 4, False)]),
    ("cold start to serving; idle memory", "70 ms; 74 MiB each", [
        ("start of the master, ms", "tasks", figure("master_start_ms"), 50, False),
        ("start of the agent, ms", "tasks", figure("agent_start_ms"), 50, False),
        ("memory of the master, MiB", "tasks", figure("master_idle_mib"), 10, False),
        ("memory of the agent, MiB", "tasks", figure("agent_idle_mib"), 10, False)]),
    ("fairness under mesos-swarm (no target of the design)", "", [
        ("worst share is off its ideal by, %", "swarm", worst_share, None, False)]),
]


def load(results):
    documents = {}
    for path in pathlib.Path(results).glob("*.json"):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        if isinstance(document, dict) and path.stem != "summary":
            documents[path.stem] = document
    return documents


def stamp(path, quick):
    """Notes in a benchmark's document when it was written, and how: the table shows former ones as such."""
    path = pathlib.Path(path)
    if path.exists():
        document = json.loads(path.read_text(encoding="utf-8"))
        document["run"] = {"at": time.strftime("%Y-%m-%d %H:%M:%S"), "quick": quick}
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def text_of(value):
    if value is None:
        return "not measured"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2g}" if abs(value) < 0.1 else f"{value:,.2f}"


# A quick run measures smaller clusters.
SIZES = {"sharing connections", "a connection each", "tasks on them that all finished"}


def verdict_of(name, value, target, more, quick):
    if target is None or value is None:
        return ""
    if quick and name in SIZES:
        return "quick"
    return "met" if (value >= target if more else value <= target) else "NOT MET"


def collect(results, names):
    """Rows as they stand in the table, and in the JSON. Figures of benchmarks that are not among the names are of an
    earlier run, and say of which."""
    documents = load(results)
    rows = []
    for what, mesos, figures in ROWS:
        for name, bench, get, target, more in figures:
            document = documents.get(bench, {})
            value, run = get(document), document.get("run", {})
            former = None
            if value is not None and bench not in names:
                former = run.get("at", "an unknown time") + (", quick" if run.get("quick") else "")
            rows.append({"what": what, "figure": name, "measured": value, "target": target, "more_is_better": more,
                         "apache_mesos": mesos, "verdict": verdict_of(name, value, target, more, run.get("quick")),
                         "of_an_earlier_run": former})
    return rows


def show(rows):
    print(f"\n{'target of the design, and its figures':56}{'measured':>14}{'target':>12}{'':10}  Apache Mesos")
    last = None
    for row in rows:
        if row["what"] != last:
            last = row["what"]
            print(f"{last:92}  {row['apache_mesos']}")
        growth = row["figure"].startswith("growth") and row["measured"] is not None
        bound = "" if row["target"] is None else ("≥ " if row["more_is_better"] else "≤ ") + \
            ("N^" if row["figure"].startswith("growth") else "") + text_of(row["target"])
        print(f"    {row['figure']:52}{('N^' if growth else '') + text_of(row['measured']):>14}{bound:>12}"
              f"{row['verdict']:>10}" + (f"  (as of {row['of_an_earlier_run']})" if row["of_an_earlier_run"] else ""))
    missed = sum(row["verdict"] == "NOT MET" for row in rows)
    absent = sum(row["measured"] is None for row in rows)
    print(f"\n{sum(row['verdict'] == 'met' for row in rows)} figures meet their targets, {missed} do not, "
          f"{absent} were not measured; {sum(row['of_an_earlier_run'] is not None for row in rows)} are of an earlier run")


def write(results, seconds, quick):
    """Prints the table and writes summary.json; `seconds` says how long each benchmark took."""
    rows = collect(results, seconds)
    show(rows)
    path = pathlib.Path(results) / "summary.json"
    path.write_text(json.dumps({"quick": quick, "rows": rows, "seconds": seconds}, indent=2, ensure_ascii=False) + "\n",
                    encoding="utf-8")
