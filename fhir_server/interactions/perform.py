"""Turn a request into its operation, and run an operation in the unit that it asks for."""

from asyncio import sleep
from collections.abc import Callable, Mapping
from dataclasses import replace
from secrets import randbelow
from time import monotonic
from typing import Final

from fhir_server.access.guarded import Asked
from fhir_server.access.guarded_store import GuardedStore
from fhir_server.interactions.context import Engine
from fhir_server.interactions.feed_patience import patiently
from fhir_server.interactions.operation import Answer, Many, Operation, Reading, Writing
from fhir_server.interactions.request import Request, Result
from fhir_server.interactions.routing import Interaction
from fhir_server.interactions.unit import Unit
from fhir_server.model.errors import FhirError, NotFound
from fhir_server.store.port import Snapshot, UnitOfWork

NOT_FOUND_SECONDS: Final = 0.005
"""When it is told that something is not there, after the request came: later than any usual decision takes."""
UNGUARDED: Final[Mapping[str, str]] = {
    "suggest": "It keeps the public directory in memory, for all callers at once.",
    "region-figures": "It counts in the whole store, for operators and link workers, and tells no small number.",
}
"""Operations that open snapshots themselves and need all of it, and why; every other sees what its caller sees."""


def prepare(engine: Engine, request: Request) -> Operation:
    """Judge a request as far as it can be judged without the store."""
    row, place = engine.routes.resolve(request.method, request.path)
    if not engine.access.enforced:
        return row.handler(engine, request, place)
    engine.access.admit(request.principal, row.code, place.member or place.type)
    operation = row.handler(_seen_by(engine, request, row), request, place)
    if isinstance(operation, Reading):
        return operation._replace(
            work=_guarded(engine, request, operation.work, Asked.by(row.code, place.member or place.type))
        )
    return operation


def _seen_by(engine: Engine, request: Request, row: Interaction) -> Engine:
    """Return the engine that a handler gets: an operation that reads by itself reads what the caller sees.

    A batch is no operation: it performs each of its entries, which are guarded in turn.
    """
    if not row.definition or row.code in UNGUARDED:
        return engine
    return replace(
        engine, store=GuardedStore(engine.store, lambda snapshot: engine.access.guard(snapshot, request.principal))
    )


def _guarded(
    engine: Engine, request: Request, work: Callable[[Snapshot], Result], asked: Asked
) -> Callable[[Snapshot], Result]:
    """Return the work on what the caller sees of a snapshot."""
    return lambda snapshot: work(engine.access.guard(snapshot, request.principal, asked))


def in_unit(engine: Engine, request: Request, operation: Writing, uow: UnitOfWork) -> Result:
    """Run a write in a unit of its own; what it raises undoes the unit."""
    unit = Unit(engine, uow, request.principal)
    unit.request = request
    result = operation.work(unit)
    unit.settle()
    engine.auditor.within(uow, request, result, unit.entered)
    return result


def perform(engine: Engine, request: Request) -> Result:
    """Do a request in the calling thread and return when it is durable; every access and refusal is audited."""
    try:
        return _performed(engine, request)
    except FhirError as error:
        engine.auditor.refused(request, error)
        raise


def _performed(engine: Engine, request: Request) -> Result:
    operation = prepare(engine, request)
    match operation:
        case Answer(result):
            return result
        case Reading(work):
            result = engine.store.read(work)
            engine.auditor.read(request, result)
            return result
        case Writing():
            result = engine.store.write(lambda uow: in_unit(engine, request, operation, uow))
        case Many(work):
            result = work()
    engine.signal.touch()
    return result


async def perform_async(engine: Engine, request: Request) -> Result:
    """As `perform`, for an event loop; bounded work runs on the loop, all else in threads of the store.

    Where access is enforced, what is not found takes as long as what is hidden: both are told at the same time.
    """
    began = monotonic()
    try:
        operation = prepare(engine, request)
        if not isinstance(operation, Reading):
            return await _done_async(engine, request, operation)
        work, heavy, once, patience = operation
        result = await engine.store.read_async(work, heavy=heavy, once=once)
        if patience is not None and engine.waiters is not None and result.idle >= 0:
            result = await patiently(engine.waiters, engine.store, operation, result)
        engine.auditor.read(request, result)
        if engine.auditor.waits:
            await engine.auditor.settled()
    except FhirError as error:
        engine.auditor.refused(request, error)
        if engine.access.enforced and isinstance(error, NotFound):
            # event loops wait whole milliseconds from when they begin to: a random part of one hides when that was
            due = began + NOT_FOUND_SECONDS + randbelow(1_000) / 1e6
            await sleep(max(0.0, due - monotonic()))
        raise
    return result


async def _done_async(engine: Engine, request: Request, operation: Answer | Writing | Many) -> Result:
    match operation:
        case Answer(result):
            return result
        case Writing(_, heavy):
            result = await engine.store.write_async(lambda uow: in_unit(engine, request, operation, uow), heavy=heavy)
        case Many(work):
            result = await engine.store.run_async(work)
    engine.signal.touch()
    return result
