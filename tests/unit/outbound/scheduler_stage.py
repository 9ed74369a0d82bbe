"""A store with deadlines in it, a clock that a test moves, and the scheduler on them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fhir_server.app import build_engine
from fhir_server.interactions.context import Engine
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import encode
from fhir_server.outbound.jobs import all_jobs
from fhir_server.outbound.scheduler import Scheduler
from fhir_server.settings import Settings
from fhir_server.store.port import UnitOfWork

START = 1_790_000_000_000
DAY = 86_400_000
PROFILE = "https://w3id.org/social-referral/StructureDefinition/social-referral-task"


class SetClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = START

    def now_ms(self) -> int:
        return self.now


@contextmanager
def opened(path: Path, clock: SetClock) -> Iterator[Engine]:
    settings = Settings(store=f"sqlite:///{path}", publish_artifacts=False, govern_all=True)
    engine = build_engine(settings, clock=clock)
    yield engine
    engine.store.close()


def scheduler(engine: Engine, **more: Any) -> Scheduler:
    return Scheduler(engine, all_jobs(engine, escalate=False), lease_ms=4_000, **more)


def put(engine: Engine, resource: dict[str, Any]) -> None:
    """Store a resource as it is: the rules that would judge it are tested elsewhere."""
    kind, identity = resource["resourceType"], resource["id"]
    entries = engine.extractor.extract(resource)

    def work(uow: UnitOfWork) -> None:
        current = uow.current(kind, identity)
        uow.put(kind, identity, current.version + 1 if current else 1, encode(resource), entries, "PUT")

    engine.store.write(work)


def task(identity: str, end: int, status: str = "requested") -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "id": identity,
        "meta": {"profile": [PROFILE]},
        "status": status,
        "intent": "order",
        "restriction": {"period": {"end": render_instant(end)}},
    }


def told(engine: Engine) -> list[tuple[str, str]]:
    """Return `(topic, focus)` of every event so far."""
    events = engine.store.read(lambda snapshot: snapshot.outbox(0, 10_000))
    return [(event.topic, json.loads(event.payload)["focus"]) for event in events]
