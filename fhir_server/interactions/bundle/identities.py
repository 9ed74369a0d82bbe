"""Give every entry that writes its final identity, before anything is written.

Two entries for one identity are refused (R4 http.html#trules); conditional ones count by what they resolve to. Two
conditional creates whose condition the first one's resource meets are one creation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fhir_server.interactions.bundle.plan import Entry
from fhir_server.interactions.conditional import condition_node, condition_text, one_match
from fhir_server.interactions.request import Request
from fhir_server.interactions.unit import Unit
from fhir_server.model.errors import FhirError, Invalid, NotFound
from fhir_server.model.issue import Issue
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource
from fhir_server.search.match import Alone, matches
from fhir_server.search.query import Node


class Identity(NamedTuple):
    """What an entry is about; `existing` when a conditional create found it, so that nothing is written."""

    type: str
    id: str
    existing: bool = False

    @property
    def reference(self) -> str:
        """The relative reference."""
        return f"{self.type}/{self.id}"


@dataclass(slots=True)
class Identities:
    """The identities of a transaction: by entry, by what references name, and the resources that it will hold."""

    of_entry: dict[int, Identity] = field(default_factory=dict)
    of_url: dict[str, str] = field(default_factory=dict)
    pending: dict[str, Resource] = field(default_factory=dict)

    def pending_matches(self, unit: Unit, resource_type: str, where: Node) -> list[str]:
        """Return `Type/id` of the resources of this transaction that match and are not stored yet."""
        found = []
        for reference, resource in self.pending.items():
            if resource["resourceType"] != resource_type:
                continue
            entries = unit.engine.extractor.extract(resource)
            resource_id = reference.partition("/")[2]
            if matches(where, resource_type, resource_id, unit.uow.last_updated * 1000, entries, Alone()):
                found.append(reference)
        return found


def assign(unit: Unit, request: Request, entries: Sequence[Entry]) -> Identities:
    """Return the identities of all entries that write. Raises Invalid for each identity that stands twice."""
    identities = Identities()
    taken: dict[str, Entry] = {}
    issues: list[Issue] = []
    for entry in entries:
        try:
            identity = _identity(unit, request, entry, identities)
        except FhirError as error:
            error.issues = tuple(issue._replace(expression=f"{entry.expression}.request") for issue in error.issues)
            raise
        if identity is None:
            continue
        first = taken.get(identity.reference)
        if first is not None and not identity.existing:
            issues.append(_twice(identity, first, entry))
            continue
        if not identity.existing:
            taken[identity.reference] = entry
        identities.of_entry[entry.position] = identity
        _name(identities, entry, identity)
    if issues:
        raise Invalid(issues=issues)
    return identities


def _identity(unit: Unit, request: Request, entry: Entry, identities: Identities) -> Identity | None:
    place, code = entry.place, entry.row.code
    if code in ("update", "patch", "delete"):
        if place.id:
            return Identity(place.type, place.id)
        if code == "delete":
            return None  # done already; what it removed can no longer be matched
        return _conditional(unit, request, entry)
    if code != "create":
        return None
    condition = entry.request.preconditions.if_none_exist
    if condition is not None:
        existing = one_match(unit.engine, unit.view, place.type, condition, request)
        if existing is not None:
            return Identity(place.type, existing.id, existing=True)
        pending = identities.pending_matches(
            unit, place.type, condition_node(unit.engine, unit.view, place.type, condition, request)
        )
        if pending:
            return Identity(place.type, pending[0].partition("/")[2], existing=True)
    return Identity(place.type, unit.engine.ids.new_id())


def _conditional(unit: Unit, request: Request, entry: Entry) -> Identity:
    condition = condition_text(entry.request.query, entry.row.code)
    existing = one_match(unit.engine, unit.view, entry.place.type, condition, request)
    if existing is not None:
        return Identity(entry.place.type, existing.id)
    if entry.row.code == "patch":
        raise NotFound(f"No {entry.place.type} matches {condition!r}; there is nothing to patch.")
    sent_id = (entry.resource or {}).get("id")
    return Identity(entry.place.type, sent_id if isinstance(sent_id, str) else unit.engine.ids.new_id())


def _name(identities: Identities, entry: Entry, identity: Identity) -> None:
    """Record what references may call this entry, and its resource as far as conditions can see it."""
    if entry.full_url:
        identities.of_url[entry.full_url] = identity.reference
        parsed = parse_reference(entry.full_url)
        if parsed.kind in ("absolute", "relative") and parsed.key != identity.reference:
            identities.of_url[parsed.key] = identity.reference
    if entry.resource is not None and not identity.existing and entry.row.code in ("create", "update"):
        identities.pending[identity.reference] = {**entry.resource, "id": identity.id}


def _twice(identity: Identity, first: Entry, second: Entry) -> Issue:
    return Issue(
        "duplicate-identity",
        "duplicate",
        f"{identity.reference} is written by {first.expression} and again here. A transaction may touch a resource once: "
        "merge the entries or send two Bundles.",
        f"{second.expression}.request.url",
    )
