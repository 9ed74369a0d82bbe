"""Writing: creates against the bare script that writes the same rows, a transaction against its parts, steadiness."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

from bench import seeding
from bench.client import Job, Outcome, http_request
from bench.measure import Line, Plan, Side, alternate, figures, once
from bench.processes import fhir_server
from bench.reads import tail
from bench.rows_written import capture, position

_CLIENTS = 16
_PROBE = "/fhir/Organization/org-praktijk-bea"
_FLOOR_UNITS = {True: 3000, False: 8000}


def create_lines(plan: Plan) -> Iterator[Line]:
    """Create a ServiceRequest, 16 clients, synchronous=FULL: governed (rules, consent, Tasks) and plain."""
    for governed in (True, False):
        yield _create_line(plan, governed=governed)


def _create_line(plan: Plan, *, governed: bool) -> Line:
    name = "governed" if governed else "plain"
    job = _job(seeding.referrals(governed=governed))
    base = seeding.region_file()
    store, bare = seeding.copy_of(base, "create"), seeding.copy_of(base, "floor")
    ours: list[tuple[Outcome, float]] = []
    floors: list[dict[str, float]] = []
    groups: list[float] = []
    rows: dict[str, float] = {}
    with fhir_server(store, _PROBE) as server:
        for turn in range(plan.rounds + 1):
            before = position(store)
            asked = replace(job, port=server.port, seconds=plan.seconds if turn else 1.0)
            measured = once(server, asked)
            after = position(store)
            groups.append((after[1] - before[1]) / (after[2] - before[2]))
            if not turn:
                rows = capture(store, seeding.FOLDER / "rows.pickle", before[0], before[1])
                continue
            ours.append(measured)
            floors.append(_floor(bare, round(groups[-1]), plan.seconds, _FLOOR_UNITS[governed]))
    server_figures = figures(ours)
    rate = median(found["count"] / found["seconds"] for found in floors)
    cpu = median(1e6 * found["cpu"] / found["count"] for found in floors)
    note = (
        f"{server_figures.rps:.0f} of {rate:.0f}/s; CPU {cpu:.0f} of {server_figures.cpu:.0f} µs = {cpu / server_figures.cpu:.0%}; "
        f"{sum(rows.values()):.0f} rows each, {median(groups):.1f} to a commit"
    )
    detail: dict[str, Any] = {
        "server": asdict(server_figures),
        "floor": {"rps": rate, "cpu": cpu},
        "rows": rows,
        "group": median(groups),
    }
    return Line(f"create {name}, of the floor", server_figures.rps / rate, "%", 0.4, True, note, detail)


def transaction_lines(plan: Plan) -> Iterator[Line]:
    """Six resources in one transaction against the same six created one by one; plain resources, 16 clients."""
    with fhir_server(seeding.copy_of(seeding.region_file(), "transaction"), _PROBE) as server:
        found = alternate(
            plan,
            {
                "transaction": Side(server, replace(_job(seeding.six_entries(together=True), ""), port=server.port)),
                "create": Side(server, replace(_six(), port=server.port)),
            },
        )
    whole, part = found["transaction"], found["create"]
    note = f"{1e6 / whole.rps:.0f} to {1e6 / part.rps:.0f} µs; CPU {whole.cpu:.0f} to {part.cpu:.0f} µs = {whole.cpu / part.cpu:.1f} x"
    detail = {name: asdict(item) for name, item in found.items()}
    yield Line("transaction of six, in creates", part.rps / whole.rps, "x", 6.0, False, note, detail)


def steady_lines(plan: Plan) -> Iterator[Line]:
    """Tail of governed creates at a moderate, even rate."""
    with fhir_server(seeding.copy_of(seeding.region_file(), "steady"), _PROBE) as server:
        job = replace(_job(seeding.referrals(governed=True)), port=server.port)
        most, _ = once(server, replace(job, seconds=plan.seconds))
        job = replace(job, rate=0.3 * most.rps)
        found = alternate(plan, {"create": Side(server, job)})
    yield tail("create governed", found["create"], job.rate, found)


def _job(bodies: list[bytes], type_name: str = "/ServiceRequest") -> Job:
    texts = tuple(http_request("POST", f"/fhir{type_name}", seeding.PRACTICE, body) for body in bodies)
    return Job(0, texts, connections=_CLIENTS)


def _six() -> Job:
    texts = (
        http_request("POST", f"/fhir/{json.loads(body)['resourceType']}", seeding.PRACTICE, body)
        for body in seeding.six_entries(together=False)
    )
    return Job(0, tuple(texts), connections=_CLIENTS)


def _floor(store: Path, group: int, seconds: float, units: int) -> dict[str, float]:
    given = {
        "store": str(store),
        "rows": str(seeding.FOLDER / "rows.pickle"),
        "group": group,
        "seconds": seconds,
        "units": units,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.floor"], input=json.dumps(given).encode(), capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode()[-2000:])
    found: dict[str, float] = json.loads(done.stdout)
    return found
