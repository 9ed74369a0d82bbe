"""What the writing interactions share: reading the body, and the answer to a write."""

from fhir_server.artifacts import r4
from fhir_server.interactions.context import Engine
from fhir_server.interactions.preconditions import check_version
from fhir_server.interactions.request import Kind, Place, Request, Result
from fhir_server.interactions.unit import Unit, require_valid
from fhir_server.model.codec import decode_resource
from fhir_server.model.errors import Malformed, NotFound
from fhir_server.model.issue import Issue
from fhir_server.model.reference import ID_PATTERN
from fhir_server.model.resource import Resource
from fhir_server.store.port import Version

_NAMED_BY_OPERATOR = frozenset({"operator", "platform"})


def sent_resource(engine: Engine, request: Request, place: Place) -> Resource:
    """Decode and validate the body of a create or update. Raises Malformed or Invalid with every problem."""
    resource = typed_resource(request, place)
    require_valid(engine, resource)
    return resource


def typed_resource(request: Request, place: Place) -> Resource:
    """Decode a body that must be of the type in the URL."""
    resource = decode_resource(request.body or b"")
    sent = resource["resourceType"]
    if sent != place.type:
        known = "" if sent in r4.resource_types() else " That is no R4 resource type."
        raise Malformed(
            f"The body is a {sent!r}, the URL asks for {place.type}.{known} Send it to the URL of its own type.",
            key="wrong-resource-type",
            expression="resourceType",
        )
    return resource


def check_id(resource_id: str) -> None:
    """Raise Malformed unless this may be a logical id."""
    if ID_PATTERN.fullmatch(resource_id) is None:
        raise Malformed(
            f"{resource_id[:80]!r} is not a logical id: 1 to 64 letters, digits, '-' and '.'.",
            key="bad-id",
            code="value",
        )


def check_same_id(resource: Resource, place: Place) -> None:
    """Raise Malformed unless the body names the id of the URL (R4 http.html#update)."""
    if "id" not in resource:
        raise Malformed(
            f"The body has no id. An update needs the id of its URL in the body too: {place.id!r}.",
            key="id-missing",
            code="required",
            expression=place.type,
        )
    if resource["id"] != place.id:
        raise Malformed(
            f"The id in the body is {resource['id']!r}, in the URL {place.id!r}. Make them the same.",
            key="id-mismatch",
            code="value",
            expression=f"{place.type}.id",
        )


def check_if_match(unit: Unit, request: Request, current: Version | None, before: Resource | None) -> None:
    """Apply If-Match; on a governed Task it is required, so that no one overwrites a step they did not see."""
    check_version(request.preconditions.if_match, current)
    if (
        before is not None
        and not request.preconditions.if_match
        and before["resourceType"] == "Task"
        and unit.engine.rulebook.governs(before)
        and not unit.principal.roles & _NAMED_BY_OPERATOR
    ):
        raise Malformed(
            'A change of a referral Task names the version it was made on: send If-Match: W/"version" (in a Bundle, '
            "request.ifMatch).",
            key="if-match-required",
            code="required",
        )


def written(version: Version, request: Request, *, created: bool) -> Result:
    """Return the answer to a write, as `Prefer: return` asks; representation is the default."""
    kind = Kind.CREATED if created else Kind.OK
    if request.returns == "minimal":
        return Result(kind, None, version, located=created)
    if request.returns == "OperationOutcome":
        said = "created" if created else "updated"
        text = f"{version.type}/{version.id} {said}; version {version.version} is current."
        return Result(
            kind, None, version, located=created, issues=(Issue(said, "informational", text, severity="information"),)
        )
    return Result(kind, version.body, version, located=created)


def no_query(request: Request, interaction: str) -> None:
    """Raise Malformed when a request carries parameters that mean nothing to it."""
    if request.query:
        name = request.query[0][0]
        raise Malformed(f"The parameter {name!r} means nothing on {interaction}.", key="unknown-parameter")


def must_exist(current: Version | None, place: Place) -> Version:
    """Return the newest version, a deletion included. Raises NotFound when there never was one."""
    if current is None:
        raise NotFound(f"There is no {place.type}/{place.id} here.")
    return current
