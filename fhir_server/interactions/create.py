"""create and conditional create (R4 http.html#create, #ccreate)."""

from fhir_server.interactions.conditional import one_match
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Writing
from fhir_server.interactions.request import Place, Request, Result
from fhir_server.interactions.unit import Unit
from fhir_server.interactions.write import no_query, sent_resource, written


def create(engine: Engine, request: Request, place: Place) -> Operation:
    """Store a new resource under an id of the server's; with If-None-Exist only when nothing matches it."""
    no_query(request, "create")
    resource = sent_resource(engine, request, place)
    condition = request.preconditions.if_none_exist

    def work(unit: Unit) -> Result:
        if condition is not None:
            existing = one_match(engine, unit.view, place.type, condition, request)
            if existing is not None:
                return written(existing, request, created=False)
        version = unit.write(resource, engine.ids.new_id(), "POST", None)
        return written(version, request, created=True)

    return Writing(work)
