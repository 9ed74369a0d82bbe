"""What the server notes in `meta.tag` of a resource so that the policies can tell, from it alone, who may see it.

`writer` is the organisation (or person) that created it. `reader` are the organisations that a governed ServiceRequest or
Task is between, or `pool`; `taker` are those that took a Task up, `asker` those that asked for it and do not work on it
themselves, who see what it reports; `area` are the areas in which the person lived when it
was first known, or `unknown`. On a PractitionerRole `serves` are its areas, as far as an operator said so. On a Consent,
`permits` and `closes` are the provisions as far as reading goes: `Organization/7`, `*` for everybody, with `#Type` where
only one part is meant. What a client sends under these systems is dropped.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from fhir_server.access.policies_nodes import (
    ACCESS,
    AREA,
    ASKER,
    CLOSES,
    PERMITS,
    READER,
    SERVES,
    TAKER,
    UNKNOWN_AREA,
    WRITER,
)
from fhir_server.model.resource import Resource
from fhir_server.workflow.codes import CANONICAL
from fhir_server.workflow.consent_parts import data_provisions
from fhir_server.workflow.links import Links, items

POOL: Final = "pool"
TAKEN: Final = frozenset({"accepted", "in-progress", "on-hold", "completed"})
"""The states of a Task in which its owner sees whom it is about."""
SERVED_AREA: Final = f"{CANONICAL}/StructureDefinition/served-area"
Tag = tuple[str, str]


class Stamping(NamedTuple):
    """What a stamp is made with."""

    writer: str
    """Who creates a resource, "" for the server."""
    links: Links
    place: Callable[[Resource | None], Iterable[str]]
    """Gives the areas in which a Patient lives now."""
    operates: bool = False
    """Whether an operator writes, who says which areas a role serves."""


def stamped(resource: Resource, before: Resource | None, by: Stamping) -> Resource:
    """Return a copy of a resource with the tags that it is to have."""
    wrote = _sent(before, WRITER) if before is not None else [(WRITER, by.writer)] if by.writer else []
    tags = list(dict.fromkeys((*wrote, *_tags(resource, by.links), *_places(resource, before, by))))
    return with_tags(resource, tags)


def with_tags(resource: Resource, tags: Iterable[Tag]) -> Resource:
    """Return a copy of a resource with these tags of the server, and no others of it."""
    meta = resource.get("meta") or {}
    kept = [tag for tag in meta.get("tag", ()) if not str(tag.get("system", "")).startswith(ACCESS)]
    told = [*kept, *({"system": system, "code": code} for system, code in tags)]
    if not told and "tag" not in meta:
        return resource
    rest = {name: value for name, value in meta.items() if name != "tag"}
    if told:
        rest["tag"] = told
    placed: Resource = {"resourceType": resource["resourceType"]}
    if "id" in resource:
        placed["id"] = resource["id"]
    if rest:
        placed["meta"] = rest
    return {**placed, **{name: value for name, value in resource.items() if name not in placed and name != "meta"}}


def sent_writer(resource: Resource) -> str:
    """Return the writer that a resource names itself, "" for none: an operator who imports says for whom."""
    return next((code for _, code in _sent(resource, WRITER)), "")


def _places(resource: Resource, before: Resource | None, by: Stamping) -> Iterator[Tag]:
    kind = resource["resourceType"]
    if kind == "PractitionerRole":
        said = {by.links.key(one.get("valueReference")) for one in resource.get("extension", ()) if _is_served(one)}
        known = {code for _, code in _sent(before or {}, SERVES)}
        yield from ((SERVES, code) for code in sorted(said - {""} if by.operates else said & known))
    elif kind in ("Task", "ServiceRequest") and by.links.governs(resource):
        yield from _areas(resource, before, by)


def _areas(resource: Resource, before: Resource | None, by: Stamping) -> list[Tag]:
    """Return where the person lived when that was first known: a link worker does not lose who moves away."""
    unknown = [(AREA, UNKNOWN_AREA)]
    is_task = resource["resourceType"] == "Task"
    request = by.links.follow(resource.get("focus")) if is_task else None
    for earlier in (before, request):
        known = _sent(earlier or {}, AREA)
        if known and known != unknown:
            return known
    person = by.links.follow(resource.get("for" if is_task else "subject"))
    return [(AREA, code) for code in by.place(person)] or unknown


def _is_served(extension: Resource) -> bool:
    return extension.get("url") == SERVED_AREA


def _sent(resource: Resource, system: str) -> list[Tag]:
    tags = (resource.get("meta") or {}).get("tag", ())
    return [(system, str(tag.get("code", ""))) for tag in tags if tag.get("system") == system]


def _tags(resource: Resource, links: Links) -> Iterator[Tag]:
    kind = resource["resourceType"]
    if kind == "Consent":
        yield from _consent(resource, links)
    elif kind in ("Task", "ServiceRequest") and links.governs(resource):
        readers = links.organizations(resource.get("requester"))
        if kind == "Task":
            yield from _task(resource, links)
            readers |= _senders(resource, links)
            yield from ((ASKER, code) for code in sorted(readers - links.organizations(resource.get("owner"))))
        yield from ((READER, code) for code in sorted(readers))


def _task(task: Resource, links: Links) -> Iterator[Tag]:
    status = task.get("status")
    if status == "draft":
        return
    owners = sorted(links.organizations(task.get("owner")))
    yield from ((READER, code) for code in owners)
    if status in TAKEN:
        yield from ((TAKER, code) for code in owners)
    if status == "requested" and not links.key(task.get("owner")):
        yield READER, POOL


def _senders(task: Resource, links: Links) -> frozenset[str]:
    """Return the organisations that asked for what a Task is a part of: they learn what becomes of it."""
    found: frozenset[str] = frozenset()
    for reference in (task.get("focus"), *items(task.get("basedOn"))):
        if links.key(reference).startswith("ServiceRequest/"):
            request = links.follow(reference)
            if request is not None and links.governs(request):
                found |= links.organizations(request.get("requester"))
    return found


def _consent(consent: Resource, links: Links) -> Iterator[Tag]:
    if links.key(consent.get("patient")) == "":
        return
    for rule in data_provisions(consent):
        system = PERMITS if rule.permit else CLOSES
        for who in _named(rule.actors, links):
            yield from ((system, who + part) for part in (f"#{name}" if name else "" for name in rule.parts))


def _named(actors: Iterable[Resource], links: Links) -> list[str]:
    given = list(actors)
    if not given:
        return ["*"]
    found: dict[str, None] = {}
    for actor in given:
        reference = actor.get("reference")
        own = links.key(reference)
        found.update(dict.fromkeys(sorted({own} | links.organizations(reference))))
    return [name for name in found if name]
