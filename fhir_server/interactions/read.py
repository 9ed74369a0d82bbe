"""read and vread (R4 http.html#read, #vread)."""

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.preconditions import not_modified
from fhir_server.interactions.request import Kind, Place, Request, Result
from fhir_server.interactions.subset import Subset, parse_subset
from fhir_server.model.errors import Gone, NotFound
from fhir_server.store.port import Snapshot, Version


def read(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # the shape of every handler
    """Return the current version; the stored bytes as they are unless a subset is asked for."""
    subset = parse_subset(request.query) if request.query else None

    def work(snapshot: Snapshot) -> Result:
        version = snapshot.current(place.type, place.id)
        if version is None:
            raise NotFound(f"There is no {place.type}/{place.id} here.")
        return _answer(version, request, subset)

    return Reading(work, once=True)


def vread(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # the shape of every handler
    """Return one version."""
    subset = parse_subset(request.query) if request.query else None

    def work(snapshot: Snapshot) -> Result:
        number = int(place.version) if place.version.isdecimal() and len(place.version) < 18 else 0  # noqa: PLR2004  # a 64-bit number
        version = snapshot.version(place.type, place.id, number)
        if version is None:
            raise NotFound(f"{place.type}/{place.id} has no version {place.version!r}.")
        return _answer(version, request, subset)

    return Reading(work, once=True)


def _answer(version: Version, request: Request, subset: Subset | None) -> Result:
    if version.body is None:
        raise Gone(f"{version.type}/{version.id} was deleted; its history is at {version.type}/{version.id}/_history.")
    conditions = request.preconditions
    if (conditions.if_none_match or conditions.if_modified_since) and not_modified(
        conditions.if_none_match, conditions.if_modified_since, version
    ):
        return Result(Kind.NOT_MODIFIED, version=version)
    body = subset.apply(version.body) if subset is not None else version.body
    return Result(Kind.OK, body, version)
