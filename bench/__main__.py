"""`python -m bench`: measure every budget, print a table, keep the figures in var/bench/<time>.json.

A missed budget is told, and is no error: the exit status says only whether everything could be measured.
"""

import argparse
import json
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from bench import (
    access,
    access_tokens,
    changes,
    directory,
    idle,
    policies,
    reads,
    searches,
    seeding,
    validation,
    writes,
)
from bench.measure import Line, Plan

PARTS: dict[str, Callable[[Plan], Iterator[Line]]] = {
    "start": idle.lines,
    "access": access_tokens.lines,
    "policies": access.lines,
    "policies-includes": policies.lines,
    "validation": validation.lines,
    "ceiling": reads.ceiling_lines,
    "poll": reads.poll_lines,
    "idle-poll": changes.idle_poll_lines,
    "waiting": changes.waiting_lines,
    "told": changes.told_lines,
    "search": searches.search_lines,
    "directory": directory.lines,
    "create": writes.create_lines,
    "transaction": writes.transaction_lines,
    "steady": reads.steady_lines,
    "steady-create": writes.steady_lines,
    "growth": reads.growth_lines,
}
_PACKAGES = ("uvicorn", "uvloop", "httptools", "fastapi", "starlette", "msgspec")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the budgets of speed and memory.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="measure these parts")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each side (default 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one round (default 2)")
    parser.add_argument("--full", action="store_true", help="growth up to 1,000,000 resources: seeds 3 GB at first")
    given = parser.parse_args()
    plan = Plan(given.rounds, given.seconds, given.full)
    seeding.FOLDER.mkdir(parents=True, exist_ok=True)
    about = _machine()
    print("\n".join(f"{name:8} {value}" for name, value in about.items()))
    print(f"\n{'':42} {'measured':>9} {'budget':>9}")
    found: list[Line] = []
    for part in given.only:
        for line in PARTS[part](plan):
            found.append(line)
            print(_rendered(line), flush=True)
    target = seeding.FOLDER / f"{time.strftime('%Y-%m-%dT%H%M%SZ', time.gmtime())}.json"
    kept = {"about": about, "plan": asdict(plan), "lines": [asdict(line) | {"verdict": line.verdict} for line in found]}
    target.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    print(f"\n{target}")
    return 0


def _rendered(line: Line) -> str:
    budget = "" if line.budget is None else (">= " if line.at_least else "<= ") + _amount(line.budget, line.unit)
    return f"{line.name:42} {_amount(line.value, line.unit):>9} {budget:>9}  {line.verdict:6}  {line.note}"


def _amount(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value:.0%}"
    return f"{value:.3g} {unit}"


def _machine() -> dict[str, str]:
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    load = ", ".join(f"{item:.1f}" for item in os.getloadavg())
    return {
        "machine": f"{os.cpu_count()} x {cpus[0].partition(': ')[2] if cpus else platform.machine()}, {platform.system()} {platform.release()}",
        "load": f"{load} before the first round",
        "python": f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "server": "fhir-server serve, one process; " + ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "client": "bench.client, one process, keep-alive; server and client share the machine",
    }


if __name__ == "__main__":
    sys.exit(main())
