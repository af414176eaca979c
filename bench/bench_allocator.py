#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rounds of the allocator alone: runs allocator_bench, and tells how a round's cost grows.

Growth is the slope of log cost over log agents, with ten agents to a framework, each framework in a role of its own:

  CPU time, 2,500 to 20,000 agents     what the small ones need fits into the caches, what the large ones need does not
  CPU time, 30,000 to 100,000 agents   none fits
  CPU time, the same of agents alone   2,500 to 20,000 of them, always 200 frameworks
  instructions, 2,500 to 20,000        what the program does, whatever the machine (valgrind; not with --quick)

It prints tables and writes JSON with --json, and curves as SVG beside it. bench/README.md says how to read it.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pictures
import programs

SMALL, LARGE = (2500, 20000), (30000, 100000)
RATIO = 10  # agents to a framework

# name: what, target
TARGETS = {
    "cycle_10000_200_ms": ("a round that offers all of 10,000 agents, 200 frameworks, ms", 10),
    "cycle_20000_2000_ms": ("the same, 20,000 agents, 2,000 frameworks, ms", 40),
    "empty_ms": ("a round in which nothing changed, 20,000 × 2,000, ms", 1),
    "empty_quotas_ms": ("the same with 3,000 roles with quotas, ms", 1),
    "growth_small": ("growth of a round's CPU time, 2,500–20,000 agents", 1.05),
    "growth_large": ("the same, 30,000–100,000 agents", 1.05),
    "growth_agents": ("the same of agents alone, 200 frameworks, 2,500–20,000 agents", 1.05),
    "growth_instructions": ("growth of a round's instructions, 2,500–20,000 agents", 1.05),
    "task_ms": ("a task ends, and what it had is offered, 20,000 × 2,000, ms", None),
    "add_framework_ms": ("a framework comes, 20,000 × 2,000, ms", None),
    "remove_framework_ms": ("it goes, ms", None),
    "revive_ms": ("all 2,000 frameworks revive, with a filter for each agent, ms", None),
}


def run_rounds(options):
    with tempfile.NamedTemporaryFile("r") as file:
        subprocess.run([options.build / "bench" / "allocator_bench", "--json=" + file.name,
                        *(["--quick"] if options.quick else [])], check=True)
        return json.load(file)


def row_of(document, agents, frameworks):
    return next(r for r in document["rounds"] if (r["agents"], r["frameworks"], r["roles"], r["mixed"]) ==
                (agents, frameworks, frameworks, False))


def points(document, low, high, mixed=False):
    return [(r["agents"], r["cycle_ms"]) for r in document["rounds"] if low <= r["agents"] <= high
            and r["agents"] == RATIO * r["frameworks"] == RATIO * r["roles"] and r["mixed"] == mixed]


def points_of(document, frameworks):
    return [(r["agents"], r["cycle_ms"]) for r in document["rounds"] if SMALL[0] <= r["agents"] <= SMALL[1]
            and r["frameworks"] == r["roles"] == frameworks and not r["mixed"]]


def rounded(value):
    return None if value is None else round(value, 3)


def count_instructions(options):
    """Of the rounds alone, per offer, at sizes that double."""
    counts = []
    size, cycles = SMALL[0], 2
    while size <= SMALL[1]:
        with tempfile.NamedTemporaryFile("r") as log:
            subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=allocator_run",
                            "--callgrind-out-file=/dev/null", "--log-file=" + log.name,
                            options.build / "bench" / "allocator_bench",
                            f"--cycles={size}x{size // RATIO}x{size // RATIO}x{cycles}"],
                           check=True, stdout=subprocess.DEVNULL)
            total = int(re.search(r"Collected : (\d+)", log.read()).group(1))
        counts.append((size, total / (cycles + 1)))
        size *= 2
    return counts


def show(figures):
    print(f"\n{'':66}{'measured':>12}{'target':>10}")
    for key, value in figures.items():
        name, target = TARGETS[key]
        verdict = "" if target is None or value is None or value <= target else "   not met"
        shown = "-" if value is None else f"{value:.3g}" if value < 0.01 else f"{value:.2f}"
        print(f"{name:66}{shown:>12}{'' if target is None else f'≤ {target}':>10}{verdict}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("MESETA_BUILD", "build"),
                        type=lambda path: pathlib.Path(path).resolve(), help="the build directory")
    parser.add_argument("--quick", action="store_true", help="fewer sizes, no valgrind")
    parser.add_argument("--json", help="writes the figures to this file")
    options = parser.parse_args()
    document = run_rounds(options)
    middle, large = row_of(document, 10000, 200), row_of(document, 20000, 2000)
    figures = {
        "cycle_10000_200_ms": middle["cycle_ms"],
        "cycle_20000_2000_ms": large["cycle_ms"],
        "empty_ms": large["empty_ms"],
        "empty_quotas_ms": max(q["empty_ms"] for q in document["quotas"]),
        "growth_small": rounded(programs.exponent(points(document, *SMALL))),
        "growth_large": rounded(programs.exponent(points(document, *LARGE))),
        "growth_agents": rounded(programs.exponent(points_of(document, 200))),
        "task_ms": large["task_ms"], "add_framework_ms": large["add_ms"], "remove_framework_ms": large["remove_ms"],
        "revive_ms": large["revive_ms"],
    }
    document["growth_mixed"] = rounded(programs.exponent(points(document, *SMALL, mixed=True)))
    if not options.quick and shutil.which("valgrind"):
        document["instructions"] = count_instructions(options)
        figures["growth_instructions"] = rounded(programs.exponent(document["instructions"]))
        print("\nagents: instructions of a round, per offer")
        for size, count in document["instructions"]:
            print(f"{size:7,}: {count / size:8,.0f}")
    show({key: figures[key] for key in TARGETS if key in figures})
    if document["growth_mixed"] is not None:
        print(f"with agents of various sizes a round grows with agents^{document['growth_mixed']}")
    document["figures"] = figures
    document["targets"] = {key: [TARGETS[key][1], False] for key in figures}
    if options.json:
        path = pathlib.Path(options.json)
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        lines = {"all alike": points(document, 0, 100000), "of various sizes": points(document, 0, 100000, mixed=True)}
        (path.parent / "pictures").mkdir(exist_ok=True)
        (path.parent / "pictures" / "allocator.svg").write_text(
            pictures.draw("A round that offers all agents", "agents (ten to a framework)", "ms",
                          {name: line for name, line in lines.items() if len(line) > 1}), encoding="utf-8")


if __name__ == "__main__":
    programs.run_main(main)
