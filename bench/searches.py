"""Searching: the searches of every day in a large store, each against a read by id from the same server."""

import json
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from bench import seeding
from bench.client import Job, ask, http_request
from bench.measure import Figures, Line, Plan, Side, alternate
from bench.processes import MASTER_KEY, Process, fhir_server
from fhir_server.app import build_engine
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import encode
from fhir_server.model.resource import Resource, with_server_fields
from fhir_server.settings import Settings
from fhir_server.store.port import UnitOfWork

_MIDDLE, _LARGE = 110_000, 1_000_000
_LOCATIONS = 100_000
_ASKED = 200
_TOGETHER = 500
_BUDGETS = {
    "owner and status": 4.0,
    "patient by identifier": 4.0,
    "chain of two steps": 8.0,
    "include and revinclude": 10.0,
    "total, accurate": 20.0,
    "total of a type": 20.0,
    "near, 10 km": 10.0,
}
"""How many reads by id a search may take, at the median."""


def search_lines(plan: Plan) -> Iterator[Line]:
    """Searches in 110,000 resources, with --full in 1,000,000, and among 100,000 locations; one connection."""
    store = seeding.tasks_file(_LARGE if plan.full else _MIDDLE)
    yield from _measured(
        plan, store, [f"/fhir/Task/{name}" for name in seeding.task_ids(store, _ASKED)], _of_tasks(store)
    )
    places = _locations_file(store.stem.rpartition("-")[2])
    yield from _measured(plan, places, [f"/fhir/Location/place-{n}" for n in range(_ASKED)], _of_places())


def _of_tasks(store: Path) -> dict[str, list[str]]:
    chosen = random.Random(3)
    patients = int(store.name.split("-")[1]) // 11
    turns = [chosen.randrange(patients) for _ in range(_ASKED)]
    owners = [f"Organization/org-{chosen.randrange(seeding.ORGANISATIONS)}" for _ in range(_ASKED)]
    system = "https://de-linde.example.org/patients"
    return {
        "owner and status": [f"Task?owner={owner}&status=requested&_sort=-_lastUpdated&_count=20" for owner in owners],
        "patient by identifier": [f"Patient?identifier={system}|{11 * turn}" for turn in turns],
        "chain of two steps": [f"Task?part-of.subject:Patient.identifier={system}|{11 * turn}" for turn in turns],
        "chain of one step": [f"Task?patient.identifier={system}|{11 * turn}" for turn in turns],
        "include and revinclude": [
            f"Task?owner={owner}&status=requested&_sort=-_lastUpdated&_count=20&_include=Task:patient&_revinclude=Task:part-of"
            for owner in owners
        ],
        "total, accurate": [f"Task?owner={owner}&status=requested&_count=20&_total=accurate" for owner in owners],
        "total of a type": ["Task?_count=20&_total=accurate"],
        "nobody's and requested": ["Task?owner:missing=true&status=requested&_count=20"],
        "all, by status": ["Task?_sort=status&_count=20"],
        "all, by date": ["Task?_sort=-authored-on&_count=20"],
        "words in the content": [f"Task?owner={owner}&_content=opvoeding&_count=20" for owner in owners],
    }


def _of_places() -> dict[str, list[str]]:
    return {"near, 10 km": _near(), "near, and active": [f"{query}&status=active" for query in _near()]}


def _near() -> list[str]:
    chosen = random.Random(4)
    return [
        f"Location?near={chosen.uniform(50.7, 51.3):.4f}|{chosen.uniform(2.8, 5.5):.4f}|10|km&_count=20"
        for _ in range(_ASKED)
    ]


def _measured(plan: Plan, store: Path, reads: Sequence[str], searches: dict[str, list[str]]) -> Iterator[Line]:
    with ExitStack() as stack:
        server = stack.enter_context(fhir_server(store, reads[0], query_seconds="30", audit_reads="off"))
        sides = {"read": _side(server, reads)}
        sides |= {name: _side(server, [f"/fhir/{query}" for query in asked]) for name, asked in searches.items()}
        rows = {name: _rows(server, asked[0]) for name, asked in searches.items()}
        found = alternate(plan, sides)
    read = found["read"]
    size = f"{int(store.name.split('-')[1]):,}"
    for name in searches:
        yield _line(f"{name}, {size}", name, read, found[name], rows[name])


def _line(title: str, name: str, read: Figures, found: Figures, rows: int) -> Line:
    note = (
        f"p50 {found.p50:.0f} to {read.p50:.0f} µs, p99 {found.p99:.0f}; CPU {found.cpu:.0f} to {read.cpu:.0f} µs = "
        f"{found.cpu / read.cpu:.1f} x; {rows} entries"
    )
    detail = {"read": asdict(read), "search": asdict(found)}
    return Line(f"{title}, in reads", found.p50 / read.p50, "x", _BUDGETS.get(name), False, note, detail)


def _side(server: Process, paths: Sequence[str]) -> Side:
    return Side(server, Job(server.port, tuple(http_request("GET", path.replace("|", "%7C")) for path in paths)))


def _rows(server: Process, query: str) -> int:
    status, _, body = ask(server.port, http_request("GET", "/fhir/" + query.replace("|", "%7C")))
    if status != 200:
        raise RuntimeError(f"{query} is answered with {status}: {body[:500]!r}")
    return len(json.loads(body).get("entry", []))


def _locations_file(digest: str) -> Path:
    """Return a store of 100,000 locations, spread over Flanders as they would be: a third of them in ten towns."""
    path = seeding.FOLDER / f"places-{_LOCATIONS}-{digest}.sqlite"
    if path.exists():
        return path
    draft = seeding.FOLDER / f"draft-places-{os.getpid()}.sqlite"
    for old in (*seeding.FOLDER.glob("places-*"), *seeding.FOLDER.glob(f"{draft.name}*")):
        old.unlink()
    engine = build_engine(Settings(store=f"sqlite:///{draft}", synchronous="NORMAL", master_key=MASTER_KEY))
    for start in range(0, _LOCATIONS, _TOGETHER):
        batch = [_place(number) for number in range(start, start + _TOGETHER)]

        def work(unit: UnitOfWork, batch: Sequence[Resource] = batch) -> None:
            now = render_instant(unit.last_updated)
            for resource in batch:
                whole = with_server_fields(resource, resource["id"], 1, now)
                unit.put("Location", whole["id"], 1, encode(whole), engine.extractor.extract(whole), "PUT")

        engine.store.write(work)
    engine.store.close()
    draft.rename(path)
    return path


def _place(number: int) -> Resource:
    chosen = random.Random(number)
    latitude, longitude = chosen.uniform(50.7, 51.4), chosen.uniform(2.6, 5.8)
    if number % 3 == 0:
        town = random.Random(chosen.randrange(10))
        latitude = town.uniform(50.7, 51.4) + chosen.gauss(0, 0.02)
        longitude = town.uniform(2.6, 5.8) + chosen.gauss(0, 0.03)
    return {
        "resourceType": "Location",
        "id": f"place-{number}",
        "status": "active",
        "name": f"Huis van het Kind {number}",
        "position": {"latitude": round(latitude, 5), "longitude": round(longitude, 5)},
    }
