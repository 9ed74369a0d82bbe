"""`python -m bench.profile_parts`: where a read and a create spend their microseconds, stage by stage, in one process.

Each stage is run by itself on the same real input, many times in blocks; told is the least of the blocks' means in CPU time of
the process: other load on the machine only ever adds. The whole request is driven through the ASGI application
with a scope and messages like uvicorn's, so what is left between whole and stages is dispatch and glue.
"""

import gc
import json
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from bench import seeding
from bench.processes import MASTER_KEY
from fhir_server.access.principal import Principal
from fhir_server.app import build_engine, create_app
from fhir_server.http.endpoint import FhirEndpoint
from fhir_server.http.responses import render
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Reading, Writing
from fhir_server.interactions.perform import in_unit, perform, prepare
from fhir_server.interactions.request import Kind, Request, Result
from fhir_server.interactions.unit import Unit
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import decode_resource, encode
from fhir_server.model.resource import Resource, with_server_fields
from fhir_server.search.parse import parse_search
from fhir_server.search.query import Query
from fhir_server.search.values import Entry
from fhir_server.settings import Settings
from fhir_server.store.port import UnitOfWork, Version
from fhir_server.workflow.effects import Change

_BLOCKS, _BLOCK_SECONDS = 15, 0.03
_PRINCIPAL = Principal("Organization/org-praktijk-bea", frozenset({"referrer"}), "development")
Stage = tuple[str, float]


def cost(work: Callable[[], Any]) -> float:
    """Return the CPU time of one call in microseconds."""
    work()
    times = 1
    while True:
        began = time.process_time()
        for _ in range(times):
            work()
        spent = time.process_time() - began
        if spent > _BLOCK_SECONDS / 4:
            break
        times *= 2
    times = max(1, int(times * _BLOCK_SECONDS / spent))
    blocks = []
    for _ in range(_BLOCKS):
        began = time.process_time()
        for _ in range(times):
            work()
        blocks.append((time.process_time() - began) / times)
    return 1e6 * min(blocks)


class Asgi:
    """Drives the application like uvicorn does, without a socket."""

    def __init__(
        self, application: Any, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes = b""
    ) -> None:
        self._application = application
        self._body = body
        self.status = 0
        self.answer = b""
        sent = [("host", "127.0.0.1"), ("accept", "application/fhir+json"), *headers]
        if body:
            sent += [("content-type", "application/fhir+json"), ("content-length", str(len(body)))]
        self.scope: dict[str, Any] = {
            "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(),
            "query_string": b"", "headers": [(name.encode(), value.encode()) for name, value in sent],
        }  # fmt: skip

    async def receive(self) -> dict[str, Any]:
        """Give the body."""
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        """Keep the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.answer = message["body"]

    async def call(self) -> None:
        """Run one request."""
        await self._application(self.scope, self.receive, self.send)

    def drive(self) -> None:
        """Run one request that never waits, without an event loop."""
        step = self.call()
        try:
            step.send(None)
        except StopIteration:
            return
        raise RuntimeError("the request waits for something")


def read_stages() -> list[Stage]:
    """Take a read of a Task apart."""
    store = seeding.tasks_file(10_000)
    settings = Settings(store=f"sqlite:///{store}", master_key=MASTER_KEY)
    engine = build_engine(settings)
    application = create_app(settings, engine)
    name = seeding.task_ids(store, 1)[0]
    asgi = Asgi(application, "GET", f"/fhir/Task/{name}", [])
    request = Request("GET", f"Task/{name}", base=settings.public_base)
    operation = prepare(engine, request)
    if not isinstance(operation, Reading):
        raise TypeError("a read reads")
    result = engine.store.read(operation.work)
    endpoint = application._endpoint  # noqa: SLF001  # a profile looks inside
    if not isinstance(endpoint, FhirEndpoint):
        raise TypeError("the gateway holds the endpoint")
    ask, place = endpoint._request, endpoint._path  # noqa: SLF001  # idem
    headers = dict(asgi.scope["headers"])
    gc.collect()
    gc.freeze()
    stages = [
        ("whole request, without socket", cost(asgi.drive)),
        (
            "request from scope and headers",
            cost(lambda: ask("GET", place(asgi.scope), (), None, "", request.principal, "1", headers)),
        ),
        ("route and handler", cost(lambda: prepare(engine, request))),
        ("store: snapshot and row", cost(lambda: engine.store.read(operation.work))),
        ("  of which BEGIN and COMMIT", cost(lambda: engine.store.read(_nothing))),
        ("render status and headers", cost(lambda: render(request, result))),
    ]
    engine.store.close()
    return stages


def poll_stages() -> list[Stage]:
    """Take a poll, page of 20, apart."""
    store = seeding.tasks_file(10_000)
    settings = Settings(store=f"sqlite:///{store}", master_key=MASTER_KEY)
    engine = build_engine(settings)
    since = seeding.instants(store, 1, 0.3, 0.3)[0]
    query = (
        ("owner", "Organization/org-7"),
        ("_lastUpdated", f"gt{since}"),
        ("_sort", "_lastUpdated"),
        ("_count", "20"),
    )
    request = Request("GET", "Task", query=query, base=settings.public_base)
    operation = prepare(engine, request)
    if not isinstance(operation, Reading):
        raise TypeError("a search reads")
    asked = parse_search(engine.registry, "Task", query, strict=True, own_base=request.base)
    found = Query("Task", asked.where, asked.sort, 21)
    rows = engine.store.read(lambda snapshot: snapshot.search(found))
    gc.collect()
    gc.freeze()
    stages = [
        ("parse, route and handler", cost(lambda: prepare(engine, request))),
        (
            "  of which parse",
            cost(lambda: parse_search(engine.registry, "Task", query, strict=True, own_base=request.base)),
        ),
        ("store, links and Bundle", cost(lambda: engine.store.read(operation.work))),
        (
            f"  of which search, {len(rows)} rows",
            cost(lambda: engine.store.read(lambda snapshot: snapshot.search(found))),
        ),
    ]
    engine.store.close()
    return stages


def create_stages(*, governed: bool) -> list[Stage]:
    """Take a create of a ServiceRequest apart; units are undone, so that the store stays as it is."""
    store = seeding.copy_of(seeding.region_file(), "profile")
    engine = build_engine(Settings(store=f"sqlite:///{store}", master_key=MASTER_KEY))
    body = seeding.referrals(governed=governed)[0]
    request = Request("POST", "ServiceRequest", body=body, content_type="application/fhir+json", principal=_PRINCIPAL)
    resource = decode_resource(body)
    whole = with_server_fields(resource, "x" * 26, 1, render_instant(0))
    entries = engine.extractor.extract(whole)
    stored = encode(whole)
    version = Version(1, "ServiceRequest", "x" * 26, 1, 0, "POST", stored)
    operation = prepare(engine, request)
    if not isinstance(operation, Writing):
        raise TypeError("a create writes")
    perform(
        engine, request
    )  # so that the store knows the names of all parameters, as after the first create of its life
    gc.collect()
    gc.freeze()
    stages = [
        ("decode", cost(lambda: decode_resource(body))),
        ("validate", cost(lambda: engine.validator.validate(resource))),
        ("route, decode and validate in all", cost(lambda: prepare(engine, request))),
        ("with server fields", cost(lambda: with_server_fields(resource, "x" * 26, 1, render_instant(0)))),
        ("extract index entries", cost(lambda: engine.extractor.extract(whole))),
        ("encode", cost(lambda: encode(whole))),
        ("new id", cost(engine.ids.new_id)),
        ("last updated as text", cost(lambda: render_instant(1_790_000_000_123))),
        ("render the answer", cost(lambda: render(request, Result(Kind.CREATED, stored, version, located=True)))),
        ("put: version, index rows, SQL", _in_units(engine, lambda unit: _put(engine, unit, stored, entries))),
        ("  of which without index", _in_units(engine, lambda unit: _put(engine, unit, stored, ()))),
        (
            "unit: write, rules, effects, audit",
            _in_units(engine, lambda unit: in_unit(engine, request, operation, unit)),
        ),
        ("durable commit, alone (wall time)", _commits(engine, stored, entries)),
    ]
    engine.store.close()
    return stages


class _Undo(Exception):
    """Ends a unit without a trace."""


def _in_units(engine: Engine, work: Callable[[UnitOfWork], Any]) -> float:
    """Return the CPU time of `work` in a unit, that of an empty unit taken off."""
    spent: list[float] = []

    def timed(unit: UnitOfWork) -> None:
        for _ in range(8):
            began = time.process_time_ns()
            work(unit)
            spent.append((time.process_time_ns() - began) / 1000)
        raise _Undo

    for _ in range(80):
        try:
            engine.store.write(timed)
        except _Undo:
            continue
    return sorted(spent)[len(spent) // 10]  # a page that splits makes some dear, other load makes any dear


def _reviews(engine: Engine, whole: Resource) -> float:
    """Return the CPU time of the rules on the new request, without what they lead to."""

    def work(unit: UnitOfWork) -> None:
        related = Unit(engine, unit, _PRINCIPAL)
        engine.rulebook.review(Change(None, whole), related, _PRINCIPAL, render_instant(unit.last_updated))

    return _in_units(engine, work)


def _put(engine: Engine, unit: UnitOfWork, stored: bytes, entries: Sequence[Entry]) -> None:
    unit.put("ServiceRequest", engine.ids.new_id(), 1, stored, entries, "POST")


def _commits(engine: Engine, stored: bytes, entries: Sequence[Entry]) -> float:
    """Return the wall time from the end of a unit to its durable commit."""
    spent = []
    for _ in range(60):
        ended: list[float] = []

        def work(unit: UnitOfWork, ended: list[float] = ended) -> None:
            _put(engine, unit, stored, entries)
            ended.append(time.perf_counter())

        engine.store.write(work)
        spent.append(time.perf_counter() - ended[0])
        time.sleep(0.003)
    return 1e6 * median(spent)


def _nothing(_: Any) -> None:
    return


def main() -> None:
    found = {
        "read a Task": read_stages(),
        "poll, page of 20": poll_stages(),
        "create a governed ServiceRequest": create_stages(governed=True),
        "create a plain ServiceRequest": create_stages(governed=False),
    }
    for title, stages in found.items():
        print(f"\n{title}: µs of CPU")
        for name, micros in stages:
            print(f"  {name:38} {micros:8.1f}")
    target = seeding.FOLDER / "profile.json"
    target.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
