"""read and search of AuditEvent: the audit trail itself. Nobody writes AuditEvents but the server.

An auditor sees all of it, a person what is about them. A search is answered by the keys and the time of the records; what
a page holds is bounded by `_SCANNED` records too, so a page may be short, or empty, and still have a next link.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple
from urllib.parse import urlencode

from fhir_server.access.principal import Principal
from fhir_server.interactions.audit import unversioned
from fhir_server.interactions.audit_render import Event, events, render
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.request import Kind, Parameters, Place, Request, Result
from fhir_server.interactions.search import form_of
from fhir_server.model.codec import encode
from fhir_server.model.errors import Forbidden, Malformed, NotFound, NotSupported
from fhir_server.model.temporal import parse_temporal
from fhir_server.search.bundle import Link, SearchEntry, searchset
from fhir_server.search.page import fingerprint_of
from fhir_server.store.port import Snapshot

PARAMETERS: Final = ("_id", "action", "agent", "date", "entity", "outcome", "patient")
"""What a search may ask."""
_BATCH, _SCANNED = 200, 2_000
_EVER: Final = (0, 2**62)
_PREFIXES: Final = ("eq", "ge", "gt", "le", "lt", "sa", "eb")

Test = Callable[[Event], bool]


class _Asked(NamedTuple):
    keys: tuple[str, ...]
    recorded: tuple[int, int]
    tests: tuple[Test, ...]
    size: int
    after: tuple[int, int]


def read(engine: Engine, request: Request, place: Place) -> Operation:
    """Return one AuditEvent."""
    own = _only(engine, request.principal)
    number, index = _position(place.id)

    def work(snapshot: Snapshot) -> Result:
        for event in _events_of(snapshot, number, own):
            if event.place == index and (not own or own in event.access.persons):
                resource = render(event, engine.routes, request.base, engine.auditor.sealing.unseal)
                return Result(Kind.OK, encode(resource))
        raise NotFound(f"There is no AuditEvent/{place.id} here.")

    return Reading(work)


def search(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # the shape of every handler
    """Search the trail, oldest first."""
    return _search(engine, request, request.query)


def search_by_post(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # idem
    """Search the trail with the parameters of a form."""
    return _search(engine, request, (*request.query, *form_of(request)))


def _search(engine: Engine, request: Request, parameters: Parameters) -> Operation:
    own = _only(engine, request.principal)
    mark = fingerprint_of(request.base, "AuditEvent", parameters)
    asked = _parse(engine, parameters, mark)
    if own:
        asked = asked._replace(keys=(*asked.keys, own), tests=(*asked.tests, lambda event: own in event.access.persons))

    def work(snapshot: Snapshot) -> Result:
        found, last = _page(snapshot, asked)
        links = [Link("self", _url(request, parameters))]
        if last is not None:
            following = tuple(pair for pair in parameters if pair[0] != "_cursor")
            cursor = engine.cursors.encode(mark, last)
            links.append(Link("next", _url(request, (*following, ("_cursor", cursor)))))
        unseal = engine.auditor.sealing.unseal
        rendered = [(event.id, encode(render(event, engine.routes, request.base, unseal))) for event in found]
        entries = [SearchEntry(f"{request.base}/AuditEvent/{name}", body) for name, body in rendered]
        return Result(Kind.OK, searchset(entries, links))

    return Reading(work, heavy=True)


def _page(snapshot: Snapshot, asked: _Asked) -> tuple[list[Event], tuple[int, int] | None]:
    """Return the events of a page, and where the next one starts; None after the last."""
    found: list[Event] = []
    after, scanned = asked.after, 0
    start = after[0] - 1 if after[1] >= 0 else after[0]  # the record at which the last page ended may hold more
    while scanned < _SCANNED:
        records = snapshot.audit(start, _BATCH, asked.keys, asked.recorded)
        for record in records:
            for event in events(record):
                if (event.number, event.place) <= after:
                    continue
                if len(found) == asked.size:
                    return found, after
                after = event.number, event.place
                if all(test(event) for test in asked.tests):
                    found.append(event)
        if len(records) < _BATCH:
            return found, None
        start, scanned = records[-1].number, scanned + len(records)
    return found, after


def _events_of(snapshot: Snapshot, number: int, own: str) -> Iterator[Event]:
    for record in snapshot.audit(number - 1, 1, (own,) if own else ()):
        if record.number == number:
            yield from events(record)


def _only(engine: Engine, principal: Principal) -> str:
    """Return the person whose entries alone are shown, "" for all. Raises Forbidden.

    Where no access rules are enforced, who states nothing sees everything, here as elsewhere.
    """
    if "auditor" in principal.roles or (principal.anonymous and not engine.access.enforced):
        return ""
    if principal.person.startswith("Patient/"):
        return principal.person
    raise Forbidden("The audit trail is for auditors, and for persons as far as it is about them.", key="audit-only")


def _position(resource_id: str) -> tuple[int, int]:
    number, _, index = resource_id.partition("-")
    if not (number.isdecimal() and index.isdecimal() and len(resource_id) < 20):  # noqa: PLR2004  # a 64-bit number
        return -1, -1
    return int(number), int(index)


def _parse(engine: Engine, parameters: Parameters, mark: bytes) -> _Asked:
    keys: list[str] = []
    tests: list[Test] = []
    recorded, count, after = _EVER, engine.limits.default_count, (0, -1)
    for name, value in parameters:
        if name == "_count":
            if not value.isdecimal() or int(value) == 0:
                raise Malformed(f"_count={value!r} is not a positive whole number.", key="search-bad-count")
            count = min(int(value), engine.limits.max_count)
        elif name == "_cursor":
            number, index = engine.cursors.decode(value, mark)
            after = int(number or 0), int(index or 0)
        elif name == "date":
            lo, hi = _range(value)
            recorded = max(recorded[0], lo), min(recorded[1], hi)
            tests.append(_within(lo, hi))
        elif name in PARAMETERS:
            key, test = _condition(name, value)
            keys += [key] if key else []
            tests.append(test)
        else:
            raise NotSupported(
                f"The audit trail cannot be searched by {name!r}; it can by {', '.join(PARAMETERS)}, with _count.",
                key="unknown-parameter",
            )
    # what happened is entered within a second: the time of the record is at or after that of the event
    return _Asked(tuple(keys), (recorded[0], min(_EVER[1], recorded[1] + 60_000)), tuple(tests), count, after)


def _condition(name: str, value: str) -> tuple[str, Test]:
    """Return the key that a parameter gives, if any, and what holds for the events that it finds."""
    code = value.rpartition("|")[2]
    if name == "_id":
        return "", lambda event: event.id == value
    if name == "action":
        return "", lambda event: event.action == code
    if name == "outcome":
        return "", lambda event: event.outcome == code
    if name == "agent":
        return f"agent:{value}", lambda event: value in (event.entry.agent, event.entry.organization)
    target = f"Patient/{value}" if name == "patient" and "/" not in value else value
    if name == "patient":
        return target, lambda event: target in event.access.persons
    return target, lambda event: _holds_entity(event, target)


def _holds_entity(event: Event, target: str) -> bool:
    listed = [one.what for one in event.access.entity]
    return target in listed or target in map(unversioned, listed) or target in event.access.persons


def _range(value: str) -> tuple[int, int]:
    """Read a date with its prefix as a half-open range of milliseconds."""
    prefix, text = (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)
    try:
        interval = parse_temporal(text)
    except ValueError as error:
        raise Malformed(
            f"date={value!r} is not a date. (A '+' in a URL is sent as %2B.)", key="search-bad-date"
        ) from error
    if prefix not in _PREFIXES:
        raise NotSupported(
            f"date={value!r}: the audit trail knows the prefixes {', '.join(_PREFIXES)}.", key="search-bad-date"
        )
    lo, hi = -(-interval.lo // 1000), -(-interval.hi // 1000)
    return {
        "eq": (lo, hi),
        "ge": (lo, _EVER[1]),
        "gt": (hi, _EVER[1]),
        "sa": (hi, _EVER[1]),
        "le": (0, hi),
        "lt": (0, lo),
        "eb": (0, lo),
    }[prefix]


def _within(lo: int, hi: int) -> Test:
    return lambda event: lo <= parse_temporal(event.recorded).lo // 1000 < hi


def _url(request: Request, parameters: Parameters) -> str:
    return f"{request.base}/AuditEvent" + (f"?{urlencode(parameters)}" if parameters else "")
