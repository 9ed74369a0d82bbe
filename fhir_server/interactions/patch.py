"""patch and conditional patch, by JSON Patch or FHIRPath Patch (R4 http.html#patch)."""

from collections.abc import Callable
from typing import Final

from fhir_server.interactions.conditional import condition_text, one_match
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Writing
from fhir_server.interactions.patch_documents import apply_fhirpath_patch, apply_json_patch
from fhir_server.interactions.request import Place, Request, Result
from fhir_server.interactions.unit import Unit, require_valid
from fhir_server.interactions.write import check_if_match, must_exist, no_query, written
from fhir_server.model.codec import decode, decode_resource, decode_stored
from fhir_server.model.errors import Gone, Malformed, NotFound, UnsupportedMediaType
from fhir_server.model.resource import Resource

JSON_PATCH: Final = "application/json-patch+json"
FHIR_JSON: Final = "application/fhir+json"
PATCH_TYPES: Final = (JSON_PATCH, FHIR_JSON, "application/json")

Patch = Callable[[Resource], Resource]


def patch(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # the shape of every handler
    """Change the resource at an id."""
    no_query(request, "patch")
    change = _patch_document(request)

    def work(unit: Unit) -> Result:
        return apply(unit, request, place, change)

    return Writing(work)


def conditional_patch(engine: Engine, request: Request, place: Place) -> Operation:
    """Change the one resource that matches the query of the URL."""
    condition = condition_text(request.query, "patch")
    change = _patch_document(request)

    def work(unit: Unit) -> Result:
        existing = one_match(engine, unit.view, place.type, condition, request)
        if existing is None:
            raise NotFound(f"No {place.type} matches {condition!r}; there is nothing to patch.")
        return apply(unit, request, Place(place.type, existing.id), change)

    return Writing(work)


def apply(unit: Unit, request: Request, place: Place, change: Patch) -> Result:
    """Patch the current version and write the result through the same checks as an update."""
    current = must_exist(unit.view.current(place.type, place.id), place)
    if current.body is None:
        raise Gone(f"{place.type}/{place.id} was deleted; an update can bring it back, a patch cannot.")
    before = decode_stored(current.body)
    check_if_match(unit, request, current, before)
    after = change(before)
    if after.get("resourceType") != place.type or after.get("id") != place.id:
        raise Malformed(
            "A patch may not change resourceType or id.", key="patch-identity", expression=f"{place.type}.id"
        )
    require_valid(unit.engine, after)
    return written(unit.write(after, place.id, "PATCH", current), request, created=False)


def _patch_document(request: Request) -> Patch:
    body = request.body or b""
    if request.content_type == JSON_PATCH:
        operations = decode(body)
        return lambda resource: apply_json_patch(resource, operations)
    document = decode_resource(body)
    if document["resourceType"] != "Parameters":
        raise UnsupportedMediaType(
            f"A patch is a JSON Patch ({JSON_PATCH}) or a Parameters resource (FHIRPath Patch, application/fhir+json); "
            f"this is a {document['resourceType']!r}."
        )
    return lambda resource: apply_fhirpath_patch(resource, document)
