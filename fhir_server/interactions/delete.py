"""delete and conditional delete (R4 http.html#delete, #cdelete)."""

from fhir_server.interactions.conditional import all_matches, condition_text
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Writing
from fhir_server.interactions.preconditions import check_version
from fhir_server.interactions.request import Kind, Place, Request, Result
from fhir_server.interactions.unit import Unit
from fhir_server.interactions.write import must_exist, no_query
from fhir_server.model.issue import Issue


def delete(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # the shape of every handler
    """Delete the resource at an id; one that is deleted already stays so, without a new version."""
    no_query(request, "delete")

    def work(unit: Unit) -> Result:
        current = must_exist(unit.view.current(place.type, place.id), place)
        check_version(request.preconditions.if_match, current)
        return Result(Kind.NO_CONTENT, version=current if current.deleted else unit.delete(current))

    return Writing(work)


def conditional_delete(engine: Engine, request: Request, place: Place) -> Operation:
    """Delete every resource that matches the query of the URL, all or none, up to a stated number."""
    condition = condition_text(request.query, "delete")

    def work(unit: Unit) -> Result:
        found = all_matches(engine, unit.view, place.type, condition, request)
        for version in found:
            unit.delete(version)
        if not found:
            return Result(Kind.NO_CONTENT)
        names = ", ".join(f"{version.type}/{version.id}" for version in found)
        said = Issue("deleted", "informational", f"Deleted {len(found)}: {names}.", severity="information")
        return Result(Kind.OK, issues=(said,))

    return Writing(work)
