"""Turn a request into its operation, and run an operation in the unit that it asks for."""

from collections.abc import Callable

from fhir_server.access.guarded import Asked
from fhir_server.interactions.context import Engine
from fhir_server.interactions.feed_patience import patiently
from fhir_server.interactions.operation import Answer, Many, Operation, Reading, Writing
from fhir_server.interactions.request import Request, Result
from fhir_server.interactions.unit import Unit
from fhir_server.model.errors import FhirError
from fhir_server.store.port import Snapshot, UnitOfWork


def prepare(engine: Engine, request: Request) -> Operation:
    """Judge a request as far as it can be judged without the store."""
    row, place = engine.routes.resolve(request.method, request.path)
    engine.access.admit(request.principal, row.code, place.member or place.type)
    operation = row.handler(engine, request, place)
    if engine.access.enforced and isinstance(operation, Reading):
        return operation._replace(
            work=_guarded(engine, request, operation.work, Asked.by(row.code, place.member or place.type))
        )
    return operation


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
    """As `perform`, for an event loop; bounded work runs on the loop, all else in threads of the store."""
    try:
        return await _performed_async(engine, request)
    except FhirError as error:
        engine.auditor.refused(request, error)
        raise


async def _performed_async(engine: Engine, request: Request) -> Result:
    operation = prepare(engine, request)
    match operation:
        case Answer(result):
            return result
        case Reading(work, heavy, once, patience):
            result = await engine.store.read_async(work, heavy=heavy, once=once)
            if patience is not None and engine.waiters is not None and result.idle >= 0:
                result = await patiently(engine.waiters, engine.store, operation, result)
            engine.auditor.read(request, result)
            if engine.auditor.waits:
                await engine.auditor.settled()
            return result
        case Writing(_, heavy):
            result = await engine.store.write_async(lambda uow: in_unit(engine, request, operation, uow), heavy=heavy)
        case Many(work):
            result = await engine.store.run_async(work)
    engine.signal.touch()
    return result
