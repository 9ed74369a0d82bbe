"""What access control adds to a read and to a poll: the whole endpoint in this process, open and enforced in turn."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.measure import Line, Plan
from bench.validation import in_turn
from fhir_server.access.guarded_access import Access
from fhir_server.access.policies_nodes import READER
from fhir_server.app import build_engine
from fhir_server.http.endpoint import FhirEndpoint
from fhir_server.interactions.context import Engine
from fhir_server.model.codec import encode
from fhir_server.settings import Settings
from fhir_server.store.port import UnitOfWork

_TASKS = 5_000
_OWNERS = 20
_OWNER = "Organization/0"
_BASE = "http://127.0.0.1:8080/fhir"


def lines(plan: Plan) -> Iterator[Line]:
    """Measure an authorised read and an authorised poll against open ones."""
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
    engines = {"open": replace(engine, access=Access.open()), "enforced": engine}
    asked = {
        "read": ("/fhir/Task/t20", b""),
        "poll, page of 20": ("/fhir/Task", b"owner=Organization/0&status=requested"),
        "poll, nothing new": ("/fhir/Task", b"owner=Organization/0&_lastUpdated=gt2099-01-01"),
    }
    loop = asyncio.new_event_loop()
    for name, (path, query) in asked.items():
        sides = {side: caller_of(loop, one, path, query) for side, one in engines.items()}
        found = in_turn(max(plan.rounds, 5) * 5, sides)
        note = f"{found['enforced']:.0f} µs, open {found['open']:.0f} µs"
        yield Line(f"authorised {name}", round(found["enforced"] / found["open"], 2), "x open", 1.3, note=note)
    loop.close()


def caller_of(loop: asyncio.AbstractEventLoop, engine: Engine, path: str, query: bytes) -> Callable[[], object]:
    app = FhirEndpoint(engine, base=_BASE, base_path="/fhir", max_body_bytes=1 << 20)
    headers = [(b"accept", b"application/fhir+json"), (b"x-dev-organization", _OWNER.encode())]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": headers}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        if message.get("status", 200) != 200:  # OK
            raise RuntimeError(f"{path} is answered {message['status']}")

    return lambda: loop.run_until_complete(app(dict(scope), receive, send))


def _seed(engine: Engine) -> None:
    def work(uow: UnitOfWork) -> None:
        for number in range(_TASKS):
            owner = f"Organization/{number % _OWNERS}"
            resource: dict[str, Any] = {
                "resourceType": "Task",
                "id": f"t{number}",
                "meta": {"tag": [{"system": READER, "code": owner}, {"system": READER, "code": "Organization/gp"}]},
                "status": "requested",
                "intent": "order",
                "owner": {"reference": owner},
                "requester": {"reference": "Organization/gp"},
                "description": "Help with debts",
            }
            uow.put("Task", resource["id"], 1, encode(resource), engine.extractor.extract(resource), "PUT")

    engine.store.write(work)
