"""update, update-as-create and conditional update (R4 http.html#update, #upsert, #cond-update)."""

from fhir_server.interactions.conditional import condition_text, one_match
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Writing
from fhir_server.interactions.request import Place, Request, Result
from fhir_server.interactions.unit import Unit
from fhir_server.interactions.write import (
    check_id,
    check_if_match,
    check_same_id,
    no_query,
    sent_resource,
    typed_resource,
    written,
)
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import Conflict, Malformed
from fhir_server.model.resource import Resource


def update(engine: Engine, request: Request, place: Place) -> Operation:
    """Replace the resource at an id, or create it there."""
    no_query(request, "update")
    check_id(place.id)
    check_same_id(typed_resource(request, place), place)
    resource = sent_resource(engine, request, place)

    def work(unit: Unit) -> Result:
        return put(unit, request, resource, place.id, named=True)

    return Writing(work)


def conditional_update(engine: Engine, request: Request, place: Place) -> Operation:
    """Replace the one resource that matches the query of the URL; none: create; several: refuse."""
    condition = condition_text(request.query, "update")
    resource = sent_resource(engine, request, place)

    def work(unit: Unit) -> Result:
        existing = one_match(engine, unit.view, place.type, condition, request)
        sent_id = resource.get("id")
        if existing is not None:
            if sent_id is not None and sent_id != existing.id:
                raise Malformed(
                    f"The query matches {place.type}/{existing.id}, the body says id {sent_id!r}. Leave the id out or "
                    "make it the same.",
                    key="id-mismatch",
                    expression=f"{place.type}.id",
                )
            return put(unit, request, resource, existing.id)
        if sent_id is None:
            return put(unit, request, resource, engine.ids.new_id())
        taken = unit.view.current(place.type, sent_id)
        unit.guard.require_known(taken, place.type, sent_id)
        if taken is not None and not taken.deleted:
            raise Conflict(
                f"Nothing matches the query, but {place.type}/{sent_id} exists. Leave the id out to create a new one.",
                key="id-taken",
                expression=f"{place.type}.id",
            )
        return put(unit, request, resource, sent_id)

    return Writing(work)


def put(unit: Unit, request: Request, resource: Resource, resource_id: str, *, named: bool = False) -> Result:
    """Write a validated resource at an id under the preconditions of the request; `named` when the caller chose the id."""
    current = unit.view.current(resource["resourceType"], resource_id)
    if named:
        unit.guard.require_known(current, resource["resourceType"], resource_id)
    before = decode_stored(current.body) if current is not None and current.body is not None else None
    check_if_match(unit, request, current, before)
    version = unit.write(resource, resource_id, "PUT", current)
    return written(version, request, created=before is None)
