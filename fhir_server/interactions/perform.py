"""Turn a request into its operation, and run an operation in the unit that it asks for."""

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Answer, Many, Operation, Reading, Writing
from fhir_server.interactions.request import Request, Result
from fhir_server.interactions.unit import Unit
from fhir_server.store.port import UnitOfWork


def prepare(engine: Engine, request: Request) -> Operation:
    """Judge a request as far as it can be judged without the store."""
    row, place = engine.routes.resolve(request.method, request.path)
    return row.handler(engine, request, place)


def in_unit(engine: Engine, request: Request, operation: Writing, uow: UnitOfWork) -> Result:
    """Run a write in a unit of its own; what it raises undoes the unit."""
    unit = Unit(engine, uow, request.principal)
    result = operation.work(unit)
    unit.settle()
    return result


def perform(engine: Engine, request: Request) -> Result:
    """Do a request in the calling thread and return when it is durable."""
    operation = prepare(engine, request)
    match operation:
        case Answer(result):
            return result
        case Reading(work):
            return engine.store.read(work)
        case Writing():
            return engine.store.write(lambda uow: in_unit(engine, request, operation, uow))
        case Many(work):
            return work()


async def perform_async(engine: Engine, request: Request) -> Result:
    """As `perform`, for an event loop; bounded work runs on the loop, all else in threads of the store."""
    operation = prepare(engine, request)
    match operation:
        case Answer(result):
            return result
        case Reading(work, heavy, once):
            return await engine.store.read_async(work, heavy=heavy, once=once)
        case Writing(_, heavy):
            return await engine.store.write_async(lambda uow: in_unit(engine, request, operation, uow), heavy=heavy)
        case Many(work):
            return await engine.store.run_async(work)
