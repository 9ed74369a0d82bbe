"""Judge the shape of every entry before anything is done, and report all faults together."""

from base64 import b64decode
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from fhir_server.artifacts import r4
from fhir_server.interactions.context import Engine
from fhir_server.interactions.patch import FHIR_JSON, JSON_PATCH
from fhir_server.interactions.request import Parameters, Place, Preconditions, Request
from fhir_server.interactions.routing import Interaction
from fhir_server.model.codec import encode
from fhir_server.model.errors import FhirError, Invalid, Malformed, TooCostly
from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource

_BODY_METHODS: Final = ("POST", "PUT", "PATCH")
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class Entry(NamedTuple):
    """One entry that is fit to be done: its request, where it points, and the resource it carries."""

    position: int
    request: Request
    row: Interaction
    place: Place
    resource: Resource | None
    full_url: str
    json_patch: bool = False
    """Whether the request carries a JSON Patch (it came in a Binary)."""

    @property
    def expression(self) -> str:
        """FHIRPath of the entry in the Bundle as it was sent."""
        return f"Bundle.entry[{self.position}]"


def plan(engine: Engine, request: Request, bundle: Resource) -> tuple[Entry, ...]:
    """Return the entries of a Bundle in the order they were sent. Raises Invalid with every fault."""
    sent = bundle.get("entry", [])
    if not isinstance(sent, list):
        raise Malformed("Bundle.entry is not an array.", expression="Bundle.entry")
    if len(sent) > engine.limits.bundle_entries:
        raise TooCostly(
            f"The Bundle has {len(sent)} entries; {engine.limits.bundle_entries} at most are taken at once.",
            key="too-many-entries",
            expression="Bundle.entry",
        )
    entries: list[Entry] = []
    issues: list[Issue] = _shape_issues(engine, bundle)
    for index, element in enumerate(sent):
        if not isinstance(element, dict):
            continue  # the shape check has told it
        try:
            entries.append(_entry(engine, request, index, element))
        except FhirError as error:
            issues.extend(_at(issue, index) for issue in error.issues)
    if issues:
        raise Invalid(issues=issues)
    return tuple(entries)


def _shape_issues(engine: Engine, bundle: Resource) -> list[Issue]:
    """Check the Bundle itself; its resources are checked later, once their references are resolved."""
    shell = {**bundle}
    if isinstance(bundle.get("entry"), list):
        shell["entry"] = [
            {name: value for name, value in entry.items() if name != "resource"} if isinstance(entry, dict) else entry
            for entry in bundle["entry"]
        ]
        if not shell["entry"]:
            del shell["entry"]
    about_absent_resources = ("bdl-5",)
    return [
        issue
        for issue in engine.validator.validate(shell)
        if issue.severity in ("error", "fatal") and issue.key not in about_absent_resources
    ]


def _entry(engine: Engine, request: Request, index: int, element: dict[str, Any]) -> Entry:
    told = element.get("request")
    if not isinstance(told, dict):
        raise Malformed("An entry of a batch or transaction needs request.method and request.url.", key="entry-request")
    method, url = told.get("method"), told.get("url")
    if method not in _METHODS or not isinstance(url, str):
        raise Malformed(
            "request.method or request.url is missing or not known.", key="entry-request", expression="request"
        )
    path, query = split_url(url, request.base)
    row, place = engine.routes.resolve(method, path)
    if row.level == "system" and row.code in ("transaction", "batch"):
        raise Malformed(
            "A Bundle cannot carry another Bundle to process.", key="nested-bundle", expression="request.url"
        )
    resource = _resource_of(method, row, element)
    json_patch = _json_patch(resource) if method == "PATCH" and resource is not None else None
    inner = Request(
        method=method,
        path=path,
        query=query,
        body=json_patch or (None if resource is None else encode(resource)),
        content_type=FHIR_JSON if json_patch is None else JSON_PATCH,
        preconditions=Preconditions(
            if_match=told.get("ifMatch", ""),
            if_none_match=told.get("ifNoneMatch", ""),
            if_modified_since="",
            if_none_exist=told.get("ifNoneExist"),
        ),
        returns=request.returns,
        strict=request.strict,
        principal=request.principal,
        base=request.base,
        languages=request.languages,
    )
    full_url = element.get("fullUrl")
    named = full_url if isinstance(full_url, str) else ""
    return Entry(index, inner, row, place, resource, named, json_patch is not None)


def _json_patch(resource: Resource) -> bytes | None:
    """Return the JSON Patch that a Binary carries (R4 http.html#jsonpatch), None for a Parameters."""
    if resource["resourceType"] != "Binary":
        return None
    if resource.get("contentType") != JSON_PATCH:
        raise Malformed(
            f"A PATCH entry carries a Parameters, or a Binary of contentType {JSON_PATCH}.",
            key="patch-type",
            expression="resource.contentType",
        )
    try:
        return b64decode(resource.get("data", ""), validate=True)
    except (ValueError, TypeError) as error:
        raise Malformed("Binary.data is not base64.", key="patch-type", expression="resource.data") from error


def _resource_of(method: str, row: Interaction, element: dict[str, Any]) -> Resource | None:
    resource = element.get("resource")
    if method not in _BODY_METHODS or row.code == "search-type":
        if resource is not None:
            raise Malformed(f"A {method} entry carries no resource.", key="entry-resource", expression="resource")
        return None
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise Malformed(f"A {method} entry needs a resource with a resourceType.", key="entry-resource")
    if resource["resourceType"] not in r4.resource_types():
        raise Malformed(
            f"{resource['resourceType'][:80]!r} is not an R4 resource type.", key="unknown-type", expression="resource"
        )
    return resource


def split_url(url: str, base: str) -> tuple[str, Parameters]:
    """Split request.url into path and query; a leading slash or our own base before it is taken off.

    Raises Malformed for a URL on another server.
    """
    if base and url.startswith(base):
        url = url[len(base) :]
    elif url.startswith(("http://", "https://", "urn:")):
        raise Malformed(
            f"request.url {url[:200]!r} is not on this server. Write it relative to the base: Patient/123.",
            key="foreign-url",
            expression="request.url",
        )
    path, _, query = url.lstrip("/").partition("?")
    return unquote(path), tuple(parse_qsl(query, keep_blank_values=True))


def _at(issue: Issue, index: int) -> Issue:
    place = f"Bundle.entry[{index}]"
    return issue._replace(expression=f"{place}.{issue.expression}" if issue.expression else place)
