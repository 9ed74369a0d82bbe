"""The directory: bringing in a social map of 50,000 services, and what `$suggest` costs in it, against a read by id."""

import csv
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from bench import seeding
from bench.client import Job, ask, http_request
from bench.measure import Line, Plan, Side, alternate
from bench.processes import MASTER_KEY, ROOT, fhir_server

_SERVICES, _MUNICIPALITIES = 50_000, 300
_ASKED = 200
_NEEDS = (
    "debt", "food-insecurity", "parenting", "employment", "transport", "language", "digital-skills", "social-connection",
    "housing-instability", "utility-insecurity", "child-care", "informal-care",
)  # fmt: skip
_TYPES = ("debt-help", "housing-support", "food-aid", "legal-advice", "meeting-place", "link-work")
_HEADER = (
    "organisatie", "dienst", "dienst id", "noden", "soort aanbod", "straat en nummer", "gemeente", "werkingsgebied",
    "leeftijd van",
)  # fmt: skip


def lines(plan: Plan) -> Iterator[Line]:
    """Import and suggest; the import is measured once, when the store of this code is made."""
    store, seconds = _store()
    if seconds:
        note = f"{_SERVICES / seconds:.0f} services a second"
        yield Line(f"import of {_SERVICES:,} services", seconds, "s", 120.0, False, note)
    reads = [f"/fhir/HealthcareService/bench-service-s{number}" for number in range(_ASKED)]
    with fhir_server(store, reads[0], audit_reads="off") as server:
        asked = _questions()
        began = time.perf_counter()
        status, _, body = ask(server.port, http_request("GET", asked[0]))
        first = time.perf_counter() - began
        if status != 200:  # OK
            raise RuntimeError(f"{asked[0]} is answered with {status}: {body[:500]!r}")
        sides = {
            name: Side(server, Job(server.port, tuple(http_request("GET", path) for path in paths)))
            for name, paths in (("read", reads), ("suggest", asked))
        }
        found = alternate(plan, sides)
    read, suggest = found["read"], found["suggest"]
    note = (
        f"p50 {suggest.p50:.0f} to {read.p50:.0f} µs; CPU {suggest.cpu:.0f} to {read.cpu:.0f} µs = "
        f"{suggest.cpu / read.cpu:.1f} x; the first of a process {first:.2f} s"
    )
    detail = {"read": asdict(read), "suggest": asdict(suggest)}
    yield Line(f"$suggest, {_SERVICES:,} services, in reads", suggest.p50 / read.p50, "x", 10.0, False, note, detail)


def _questions() -> list[str]:
    chosen = random.Random(7)
    return [
        f"/fhir/HealthcareService/$suggest?need={chosen.choice(_NEEDS)}&nis={10_000 + chosen.randrange(_MUNICIPALITIES)}"
        f"&age={chosen.randint(18, 80)}&language=nl"
        for _ in range(_ASKED)
    ]


def _store() -> tuple[Path, float]:
    """Return a store with the services, and how many seconds their import took; 0 where it was there already."""
    path = seeding.FOLDER / f"directory-{_SERVICES}.sqlite"
    if path.exists():
        return path, 0.0
    draft = seeding.FOLDER / f"draft-directory-{os.getpid()}.sqlite"
    for old in seeding.FOLDER.glob(f"{draft.name}*"):
        old.unlink()
    _import(_areas(), "areas", draft)
    began = time.perf_counter()
    _import(_services(), "spreadsheet", draft)
    seconds = time.perf_counter() - began
    draft.rename(path)
    return path, seconds


def _import(file: Path, mapping: str, store: Path) -> None:
    command = [sys.executable, "-m", "fhir_server", "directory", "import", str(file), "--mapping", mapping]
    given = {"FHIR_MASTER_KEY": MASTER_KEY}
    done = subprocess.run(  # our own command
        [*command, "--source", "bench", "--to", str(store)],
        cwd=ROOT, env=os.environ | given, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the import of {file.name} failed: {done.stderr[-2000:]}{done.stdout[-2000:]}")


def _areas() -> Path:
    path = seeding.FOLDER / "areas.csv"
    rows = [["NIS", "naam", "postcodes"]]
    rows += [[str(10_000 + n), f"Gemeente {n}", str(1000 + 10 * n)] for n in range(_MUNICIPALITIES)]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=";").writerows(rows)
    return path


def _services() -> Path:
    path = seeding.FOLDER / "services.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADER)
        writer.writerows(_row(number) for number in range(_SERVICES))
    return path


def _row(number: int) -> list[str]:
    chosen = random.Random(number)
    towns = chosen.sample(range(_MUNICIPALITIES), chosen.randint(1, 4))
    return [
        f"Organisatie {number // 20}",
        f"Dienst {number}",
        f"s{number}",
        "; ".join(chosen.sample(_NEEDS, 2)),
        chosen.choice(_TYPES),
        f"Markt {number % 90 + 1}",
        f"Gemeente {towns[0]}",
        "; ".join(str(10_000 + town) for town in towns),
        str(chosen.choice((0, 12, 16, 18, 60))),
    ]
