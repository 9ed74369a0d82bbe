"""Organization/$meeting-list: the open referrals of a practice, for a meeting on its patients (OperationDefinition
organization-meeting-list).

Everything is read as the caller sees it: a practice that asks for another one gets what that one shares with it.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.operations.parameters import Inputs, read_inputs
from fhir_server.interactions.request import Kind, Place, Request, Result
from fhir_server.interactions.routing import Interaction
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import NotFound
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal
from fhir_server.search.query import And, LastUpdated, Node, Or, Prefix, Query, RefersTo, SortKey, TokenIs
from fhir_server.store.port import Snapshot
from fhir_server.workflow.case import is_aside
from fhir_server.workflow.deadlines import is_overdue
from fhir_server.workflow.links import items

DEFINITION: Final = "https://w3id.org/social-referral/OperationDefinition/organization-meeting-list"
_MOST, _USUAL = 500, 100
_OPEN: Final = ("draft", "active", "on-hold")
_ENDED: Final = ("completed", "revoked")
_ROLES: Final = 200
_TASKS: Final = 50
_NEVER: Final = "9999"
_encode = msgspec.json.encode


class _Line(NamedTuple):
    """One referral of the list, with its Tasks."""

    request: Resource
    tasks: tuple[Resource, ...]
    overdue: bool

    @property
    def order(self) -> tuple[bool, str, str]:
        """Overdue first, then by the day until which the person is to be contacted."""
        ends = [one.get("restriction", {}).get("period", {}).get("end", _NEVER) for one in self.tasks]
        return not self.overdue, min(ends, default=_NEVER), self.request["id"]

    @property
    def state(self) -> str:
        """How the Tasks stand, in words: `accepted (contacted), rejected`."""
        steps = [(one["status"], one.get("businessStatus") or {}) for one in self.tasks if not is_aside(one)]
        told = [status + (f" ({_said(step)})" if _said(step) else "") for status, step in steps]
        return ", ".join(told) or self.request["status"]


def meeting_list(engine: Engine, request: Request, place: Place) -> Operation:
    """Return the open referrals that an organisation, or a role in it, asked for."""
    inputs = read_inputs(engine, request, DEFINITION)
    count = inputs.number("_count")
    if count is not None and not 1 <= count <= _MOST:
        raise inputs.refuse(f"_count is {count}; 1 to {_MOST} may be asked.", "_count")
    since = _since(inputs)
    return Reading(lambda snapshot: _answer(engine, request, place, snapshot, (count or _USUAL, since)), heavy=True)


def _since(inputs: Inputs) -> int | None:
    if not inputs.given("since"):
        return None
    try:
        return parse_temporal(inputs.text("since")).lo
    except ValueError:
        raise inputs.refuse("since is a date such as 2026-11-01.", "since") from None


def _answer(
    engine: Engine, request: Request, place: Place, snapshot: Snapshot, asked: tuple[int, int | None]
) -> Result:
    current = snapshot.current("Organization", place.id)
    if current is None or current.body is None:
        raise NotFound(f"There is no Organization/{place.id} here.")
    most, since = asked
    now = render_instant(engine.clock.now_ms())
    where = And((_asked_by(snapshot, f"Organization/{place.id}"), _standing(since)))
    query = Query("ServiceRequest", where, (SortKey("_lastUpdated", True),), most + 1)
    found = [one for one in _bodies(snapshot, query) if engine.rulebook.governs(one)]
    lines = sorted((_line(snapshot, one, now) for one in found[:most]), key=lambda line: line.order)
    listed = _list(engine, lines, now, more=len(found) > most)
    entries = [_entry("", listed, "match"), *_named(request.base, snapshot, lines)]
    body = b'{"resourceType":"Bundle","type":"searchset","total":1,"entry":[%b]}' % b",".join(entries)
    return Result(Kind.OK, body)


def _asked_by(snapshot: Snapshot, organization: str) -> Node:
    """Return the condition that a request is of the organisation itself, or of a role in it."""
    roles = snapshot.search(Query("PractitionerRole", RefersTo("organization", organization), limit=_ROLES))
    targets = [organization, *(f"PractitionerRole/{row.version.id}" for row in roles)]
    return Or(tuple(RefersTo("requester", target) for target in targets))


def _standing(since: int | None) -> Node:
    is_open = Or(tuple(TokenIs("status", None, status) for status in _OPEN))
    if since is None:
        return is_open
    ended = Or(tuple(TokenIs("status", None, status) for status in _ENDED))
    return Or((is_open, And((ended, LastUpdated(Prefix.GE, since, since)))))


def _line(snapshot: Snapshot, request: Resource, now: str) -> _Line:
    query = Query("Task", RefersTo("focus", f"ServiceRequest/{request['id']}"), (SortKey("_lastUpdated"),), _TASKS)
    tasks = tuple(_bodies(snapshot, query))
    return _Line(request, tasks, any(is_overdue(task, now) for task in tasks if not is_aside(task)))


def _list(engine: Engine, lines: list[_Line], now: str, *, more: bool) -> Resource:
    """Return the List; each entry is a referral, flagged when it is overdue, with its number and state in words."""
    entries = [
        {
            "flag": {"text": "overdue" if line.overdue else line.request["status"]},
            "item": {"reference": f"ServiceRequest/{line.request['id']}", "display": _display(line)},
        }
        for line in lines
    ]
    listed: Resource = {
        "resourceType": "List",
        "id": engine.ids.new_id(),
        "status": "current",
        "mode": "snapshot",
        "title": "Meeting list: open referrals",
        "date": now,
        "orderedBy": {"text": "Overdue first, then by the day until which the person is to be contacted"},
    }
    if more:
        listed["note"] = [
            {"text": f"There are more than {len(lines)} open referrals; these changed last. Ask for more with _count."}
        ]
    if entries:
        return {**listed, "entry": entries}
    reason = {"system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": "nilknown"}
    return {**listed, "emptyReason": {"coding": [reason]}}


def _display(line: _Line) -> str:
    numbers = [
        one["value"] for one in items(line.request.get("identifier")) if "/referral-number" in one.get("system", "")
    ]
    return " · ".join([*numbers[:1], _said(line.request.get("code") or {}), line.state]).strip(" ·")


def _said(concept: Resource) -> str:
    displays = [one.get("display", one.get("code", "")) for one in items(concept.get("coding"))]
    return str(concept.get("text") or next(iter(displays), ""))


def _named(base: str, snapshot: Snapshot, lines: Iterable[_Line]) -> list[bytes]:
    """Return what the list names, each once: referrals, Tasks, the persons, and what was reported."""
    found: dict[str, Resource] = {}
    for line in lines:
        for one in (line.request, *line.tasks):
            found[f"{one['resourceType']}/{one['id']}"] = one
        wanted = [line.request.get("subject")]
        wanted += [given.get("valueReference") for task in line.tasks for given in items(task.get("output"))]
        for reference in wanted:
            parsed = parse_reference(str((reference or {}).get("reference", "")), base)
            current = snapshot.current(parsed.type, parsed.id) if parsed.kind == "relative" else None
            if current is not None and current.body is not None:
                found[parsed.key] = decode_stored(current.body)
    return [_entry(f"{base}/{key}", resource, "include") for key, resource in found.items()]


def _entry(url: str, resource: Resource, mode: str) -> bytes:
    entry = {"fullUrl": url, "resource": resource, "search": {"mode": mode}}
    return _encode({name: value for name, value in entry.items() if value})


def _bodies(snapshot: Snapshot, query: Query) -> list[Resource]:
    return [decode_stored(row.version.body) for row in snapshot.search(query) if row.version.body is not None]


MEETING_LIST: Final = tuple(
    Interaction(
        method, "type/id/$meeting-list", "meeting-list", "instance", meeting_list, DEFINITION, ("Organization",)
    )
    for method in ("GET", "POST")
)
