"""What the entries of a transaction will ask of the store, told ahead: a request for each would be a journey for each."""

from collections.abc import Iterable, Iterator, Sequence

from fhir_server.interactions.bundle.identities import Identities
from fhir_server.interactions.bundle.plan import Entry
from fhir_server.interactions.conditional import condition_node, condition_text
from fhir_server.interactions.request import Request
from fhir_server.interactions.unit import Unit
from fhir_server.model.errors import FhirError
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import walk
from fhir_server.search.query import Query, SortKey
from fhir_server.store.foresight import Foreseen

Name = tuple[str, str]

_BY_ID = ("read", "update", "patch", "delete")
_CONDITIONAL = ("update", "patch")


def of_entries(unit: Unit, entries: Sequence[Entry]) -> Foreseen:
    """Return the resources that the entries name by their id, what theirs refer to, and whose referrers stand in the way."""
    names = dict.fromkeys((entry.place.type, entry.place.id) for entry in entries if _names(entry))
    enforced = unit.engine.references == "enforce"
    if enforced or unit.guard.enforced:
        names |= dict.fromkeys(_referred(unit, entries))
    deleted = (entry for entry in entries if entry.row.code == "delete" and entry.place.id)
    targets = tuple(f"{entry.place.type}/{entry.place.id}" for entry in deleted) if enforced else ()
    return Foreseen(tuple(names), targets)


def of_conditions(unit: Unit, request: Request, entries: Sequence[Entry]) -> Foreseen:
    """Return the searches that give conditional entries their identities, and conditional references their targets."""
    found = dict.fromkeys(_searches(unit, request, entries))
    return Foreseen(queries=tuple(found))


def of_identities(identities: Identities, entries: Sequence[Entry]) -> Foreseen:
    """Return the resources that conditional entries have turned out to be about."""
    found = (identities.of_entry[one.position] for one in entries if one.row.code in _CONDITIONAL)
    return Foreseen(tuple(dict.fromkeys((one.type, one.id) for one in found)))


def _names(entry: Entry) -> bool:
    return bool(entry.place.id) and entry.row.code in _BY_ID


def _referred(unit: Unit, entries: Iterable[Entry]) -> Iterator[Name]:
    for entry in entries:
        for _, element in walk(entry.resource or {}, ""):
            text = element.get("reference")
            parsed = parse_reference(text, unit.engine.own_base) if isinstance(text, str) else None
            if parsed is not None and parsed.kind == "relative":
                yield parsed.type, parsed.id


def _searches(unit: Unit, request: Request, entries: Iterable[Entry]) -> Iterator[Query]:
    for entry in entries:
        for resource_type, condition in _conditions(entry):
            try:
                where = condition_node(unit.engine, unit.view, resource_type, condition, request)
            except FhirError:  # it is told when the turn of the entry comes
                continue
            yield Query(resource_type, where, (SortKey("_lastUpdated"),), 2)


def _conditions(entry: Entry) -> Iterator[tuple[str, str]]:
    created = entry.request.preconditions.if_none_exist
    if entry.row.code == "create" and created is not None:
        yield entry.place.type, created
    elif entry.row.code in _CONDITIONAL and not entry.place.id and entry.request.query:
        yield entry.place.type, condition_text(entry.request.query, entry.row.code)
    for _, element in walk(entry.resource or {}, ""):
        text = element.get("reference")
        if isinstance(text, str) and "?" in text and (parsed := parse_reference(text)).kind == "conditional":
            yield parsed.type, text
