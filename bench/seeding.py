"""Seeded store files under var/bench, made once and used again until what determines their content changes."""

import hashlib
import json
import os
import random
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.client import ask, http_request
from bench.processes import MASTER_KEY, ROOT, fhir_server
from fhir_server.app import build_engine
from fhir_server.interactions.context import Engine
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import encode
from fhir_server.model.resource import Resource, with_server_fields
from fhir_server.settings import Settings
from fhir_server.store.port import UnitOfWork

FOLDER = ROOT / "var" / "bench"
ORGANISATIONS = 50
PERSONS = 200
PRACTICE = (("x-dev-organization", "Organization/org-praktijk-bea"), ("x-dev-roles", "referrer"))
_TASKS_PER_PATIENT = 10
_PARTS = 4
"""One Task of so many is part of the one before."""
_TOGETHER = 50
"""Resources in one commit: about what the server reaches under load, so that `lastUpdated` is as fine as in life."""
_DECIDES = (
    "bench/seeding.py",
    "fhir_server/store/sqlite/schema.py",
    "fhir_server/store/sqlite/encode.py",
    "fhir_server/store/sqlite/pairs.py",
    "fhir_server/store/sqlite/rebuild.py",
    "fhir_server/search/r4_parameters.json",
    "fhir_server/search/extract.py",
)
_STATUSES = ("requested", "accepted", "in-progress", "completed", "completed", "completed", "rejected", "cancelled")


def tasks_file(number: int) -> Path:
    """Return a store of `number` resources, 1 in 11 a Patient, the others Tasks of 50 organisations."""
    path = FOLDER / f"tasks-{number}-{_digest()}.sqlite"
    if not path.exists():
        for old in FOLDER.glob(f"tasks-{number}-*"):
            old.unlink()
        draft = _draft()
        _remove(draft)
        _seed(draft, number)
        draft.rename(path)
    return path


def task_ids(path: Path, number: int) -> list[str]:
    """Return random ids of Tasks in a seeded store."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    text = "SELECT p FROM name WHERE type = 'Task' AND param = '' AND kind = ''"
    tasks, last = (
        connection.execute(text).fetchone()[0],
        connection.execute("SELECT max(seq) FROM version").fetchone()[0],
    )
    chosen = random.Random(1)
    found: list[str] = []
    text = "SELECT id FROM version WHERE seq = ? AND type = ?"
    while len(found) < number:
        row = connection.execute(text, (chosen.randint(1, last), tasks)).fetchone()
        if row is not None:
            found.append(row[0])
    connection.close()
    return found


def instants(path: Path, number: int, low: float, high: float) -> list[str]:
    """Return times of commits, at random between two parts (0 to 1) of the file's life."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    times = [row[0] for row in connection.execute("SELECT lu FROM commits ORDER BY lu")]
    connection.close()
    chosen = random.Random(2)
    return [render_instant(times[int(len(times) * chosen.uniform(low, high))]) for _ in range(number)]


def region_file() -> Path:
    """Return a store that holds the example region and the records of 200 invented persons with consents."""
    path = FOLDER / f"region-{_digest()}.sqlite"
    if path.exists():
        return path
    for old in FOLDER.glob("region-*"):
        old.unlink()
    draft = _draft()
    _remove(draft)
    record = (ROOT / "examples/erdan/00-record.json").read_text(encoding="utf-8")
    with fhir_server(draft, "/fhir/metadata") as server:
        bodies = [file.read_bytes() for file in sorted((ROOT / "examples/region").glob("*.json"))]
        bodies += [for_person(record, number).encode() for number in range(PERSONS)]
        for body in bodies:
            status, _, answer = ask(server.port, http_request("POST", "/fhir", PRACTICE, body))
            if status != 200:
                raise RuntimeError(f"a seed was refused: {answer.decode()[:1000]}")
    draft.rename(path)
    return path


def copy_of(path: Path, name: str) -> Path:
    """Return a fresh copy of a seeded file that may be written to."""
    target = FOLDER / f"{name}.sqlite"
    _remove(target)
    shutil.copyfile(path, target)
    return target


def for_person(text: str, number: int) -> str:
    """Return an example about Erdan as one about another invented person."""
    return text.replace("erdan", f"p{number:03d}")


def referrals(*, governed: bool) -> list[bytes]:
    """Return ServiceRequests for the persons of `region_file`, each with a number of its own."""
    text = (ROOT / "examples/erdan/01-service-request.json").read_text(encoding="utf-8")
    bodies = []
    for number in range(PERSONS):
        resource = json.loads(for_person(text, number))
        resource["identifier"][0]["value"] = f"LINDE-2026-{number:04d}"
        if not governed:
            del resource["meta"]
        bodies.append(encode(resource))
    return bodies


def six_entries(*, together: bool) -> list[bytes]:
    """Return one transaction of six plain resources that refer to each other, or the six bodies by themselves."""
    resources = [_without_profile(entry["resource"]) for entry in _entries("00-record.json")]
    kept = {resource["resourceType"]: resource for resource in resources}
    kept["ServiceRequest"] = json.loads(referrals(governed=False)[0])
    six = [kept[name] for name in ("Patient", "Observation", "Condition", "Consent", "ServiceRequest")] + [_task(0)]
    six = [{name: value for name, value in resource.items() if name != "id"} for resource in six]
    if not together:
        return [encode(resource) for resource in six]
    texts = [encode(resource) for resource in six]
    known = {entry["fullUrl"]: entry["resource"]["resourceType"] for entry in _entries("00-record.json")}
    patient = b'"urn:uuid:00000000-0000-4000-8000-000000000000"'
    for old in (f"Patient/{name}" for name in ("erdan", "p000", "patient-0")):
        texts = [text.replace(f'"{old}"'.encode(), patient) for text in texts]
    places = [resource["resourceType"] for resource in six]
    for old, resource_type in known.items():
        new = f"urn:uuid:00000000-0000-4000-8000-00000000000{places.index(resource_type)}"
        texts = [text.replace(old.encode(), new.encode()) for text in texts]
    entries = [
        b'{"fullUrl":"urn:uuid:00000000-0000-4000-8000-00000000000%d","resource":%b,"request":{"method":"POST","url":"%b"}}'
        % (number, text, six[number]["resourceType"].encode())
        for number, text in enumerate(texts)
    ]
    return [b'{"resourceType":"Bundle","type":"transaction","entry":[' + b",".join(entries) + b"]}"]


def _entries(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((ROOT / "examples/erdan" / name).read_text(encoding="utf-8"))["entry"]
    return found


def _without_profile(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name != "meta"}


def _seed(path: Path, number: int) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    engine = build_engine(Settings(store=f"sqlite:///{path}", synchronous="NORMAL", master_key=MASTER_KEY))
    began = time.monotonic()
    done = 0
    for batch in _batches(_resources(number)):
        engine.store.write(lambda unit, batch=batch: _put(engine, unit, batch))  # type: ignore[misc]  # bound at once
        done += len(batch)
        if done % 5000 < _TOGETHER:
            print(
                f"\r  seeding {path.parent.name}: {done} of {number}, {done / (time.monotonic() - began):.0f}/s ",
                end="",
                file=sys.stderr,
            )
    engine.store.close()
    print(file=sys.stderr)


def _put(engine: Engine, unit: UnitOfWork, batch: Sequence[Resource]) -> None:
    now = render_instant(unit.last_updated)
    for resource in batch:
        whole = with_server_fields(resource, resource["id"], 1, now)
        unit.put(whole["resourceType"], whole["id"], 1, encode(whole), engine.extractor.extract(whole), "PUT")


def _batches(resources: Iterator[Resource]) -> Iterator[list[Resource]]:
    batch: list[Resource] = []
    for resource in resources:
        batch.append(resource)
        if len(batch) == _TOGETHER:
            yield batch
            batch = []
    if batch:
        yield batch


def _resources(number: int) -> Iterator[Resource]:
    patient = next(
        entry["resource"] for entry in _entries("00-record.json") if entry["resource"]["resourceType"] == "Patient"
    )
    tasks = 0
    for turn in range(number):
        if turn % (_TASKS_PER_PATIENT + 1) == 0:
            yield patient | {
                "id": f"patient-{turn // (_TASKS_PER_PATIENT + 1)}",
                "identifier": [{"system": "https://de-linde.example.org/patients", "value": str(turn)}],
            }
        else:
            yield _task(tasks)
            tasks += 1


def _task(number: int) -> Resource:
    chosen = random.Random(number)
    day = f"2026-{chosen.randint(1, 12):02d}-{chosen.randint(1, 28):02d}"
    whole = {"partOf": [{"reference": f"Task/{_task_id(number - 1)}"}]} if number % _PARTS == _PARTS - 1 else {}
    return whole | {
        "resourceType": "Task",
        "id": _task_id(number),
        "basedOn": [{"reference": f"ServiceRequest/request-{number}"}],
        "status": chosen.choice(_STATUSES),
        "intent": "order",
        "priority": "routine",
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "description": "Opvoedingsondersteuning en hulp bij het zoeken naar werk",
        "focus": {"reference": f"ServiceRequest/request-{number}"},
        "for": {"reference": f"Patient/patient-{number // _TASKS_PER_PATIENT}"},
        "authoredOn": f"{day}T09:10:00+01:00",
        "lastModified": f"{day}T09:10:00+01:00",
        "requester": {"reference": f"PractitionerRole/role-{chosen.randrange(200)}"},
        "owner": {"reference": f"Organization/org-{chosen.randrange(ORGANISATIONS)}"},
        "reasonCode": {"text": "Jonge alleenstaande vader zoekt steun bij de opvoeding en een job"},
        "restriction": {"period": {"end": f"{day}T23:59:59+01:00"}},
    }


def _task_id(number: int) -> str:
    return f"task-{random.Random(f'id {number}').getrandbits(64):016x}-{number}"


def _digest() -> str:
    return hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in _DECIDES)).hexdigest()[:8]


def _draft() -> Path:
    """Name a file for this process, so that two runs do not write to one."""
    return FOLDER / f"draft-{os.getpid()}.sqlite"


def _remove(path: Path) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for left_over in FOLDER.glob(f"{path.name}*"):
        left_over.unlink()
