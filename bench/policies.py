"""What policies add to a page with includes, as a receiving organisation asks for it: Tasks with the person and the referral."""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from bench.access import caller_of
from bench.measure import Line, Plan
from bench.validation import in_turn
from fhir_server.access.guarded_access import Access
from fhir_server.access.policies_nodes import PERMITS, READER, TAKER
from fhir_server.app import build_engine
from fhir_server.interactions.context import Engine
from fhir_server.model.codec import encode
from fhir_server.settings import Settings
from fhir_server.store.port import UnitOfWork

_CASES = 2_000
_OWNERS = 20
_QUERY = b"owner=Organization/0&status=accepted&_include=Task:patient&_include=Task:focus"


def lines(plan: Plan) -> Iterator[Line]:
    """Measure a page with includes: when nothing changed since the last one, and when something did."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fhir.sqlite"
        engine = build_engine(
            Settings(store=f"sqlite:///{path}", enforce_access=True, publish_artifacts=False, audit_reads="off")
        )
        try:
            _seed(engine)
            yield from _compared(engine, plan)
        finally:
            engine.store.close()


def _compared(engine: Engine, plan: Plan) -> Iterator[Line]:
    loop = asyncio.new_event_loop()
    numbers = count()
    engines = {"open": replace(engine, access=Access.open()), "enforced": engine}
    pages = {side: caller_of(loop, one, "/fhir/Task", _QUERY) for side, one in engines.items()}

    def changed(side: str) -> object:
        resource: dict[str, Any] = {"resourceType": "Basic", "id": f"b{next(numbers)}", "code": {"text": "x"}}
        entries = engine.extractor.extract(resource)
        engine.store.write(lambda uow: uow.put("Basic", resource["id"], 1, encode(resource), entries, "PUT"))
        return pages[side]()

    rounds = max(plan.rounds, 5) * 5
    steady = in_turn(rounds, dict(pages))
    moving = in_turn(rounds, {side: lambda side=side: changed(side) for side in pages})
    for name, found in (("nothing changed", steady), ("after a change, the write included", moving)):
        note = f"{found['enforced']:.0f} µs, open {found['open']:.0f} µs"
        yield Line(
            f"authorised page with includes, {name}", round(found["enforced"] / found["open"], 2), "x open", note=note
        )
    loop.close()


def _seed(engine: Engine) -> None:
    def put(uow: UnitOfWork, resource: dict[str, Any], *tags: tuple[str, str]) -> None:
        resource["meta"] = {"tag": [{"system": system, "code": code} for system, code in tags]}
        entries = engine.extractor.extract(resource)
        uow.put(resource["resourceType"], resource["id"], 1, encode(resource), entries, "PUT")

    def work(uow: UnitOfWork) -> None:
        for number in range(_CASES):
            owner, gp = f"Organization/{number % _OWNERS}", (READER, "Organization/gp")
            person, request = {"reference": f"Patient/p{number}"}, {"reference": f"ServiceRequest/r{number}"}
            put(uow, {"resourceType": "Patient", "id": f"p{number}", "name": [{"family": f"N{number}"}]})
            consent = {"resourceType": "Consent", "id": f"c{number}", "status": "active", "patient": person}
            put(uow, consent, (PERMITS, owner))
            made = {"resourceType": "ServiceRequest", "id": f"r{number}", "status": "active", "intent": "order"}
            named = {"subject": person, "supportingInfo": [{"reference": f"Consent/c{number}"}]}
            put(uow, {**made, **named}, gp)
            task = {"resourceType": "Task", "id": f"t{number}", "status": "accepted", "intent": "order"}
            whom = {"owner": {"reference": owner}, "for": person, "focus": request}
            put(uow, {**task, **whom}, gp, (READER, owner), (TAKER, owner))

    engine.store.write(work)
