"""Erasure: a person's data goes, from every version; the order of changes, counts and the audit trail stay.

What goes: the Patient, and what is about that person alone, found by walking all versions (also of what was deleted long
ago) and then by what refers to that. What is shared with others is listed, and left to whoever asked. Each Task leaves a
skeleton without a person, for statistics. In the audit trail the person remains as a logical id that names nobody.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, NamedTuple

from fhir_server.access.principal import Principal
from fhir_server.artifacts.r4.compartments import compartments
from fhir_server.interactions.audit import Access, Entity, append, persons_in
from fhir_server.interactions.context import Engine
from fhir_server.model.codec import decode_stored, encode
from fhir_server.model.errors import NotFound
from fhir_server.model.resource import Resource
from fhir_server.store.port import Snapshot, UnitOfWork, Version

SKELETON: Final = "statistic"
"""The kind of the records that remain of Tasks."""
_SHARED: Final = frozenset({"Group", "List", "Schedule", "Person", "Appointment", "AppointmentResponse"})
"""Types that may be about several persons: they are erased only when they mention no other."""
_BATCH, _MANY = 500, 10_000
_BINARY: Final = re.compile(rb'"url":\s*"(?:[^"]*/)?(Binary/[A-Za-z0-9.-]{1,64})"')


class Plan(NamedTuple):
    """What an erasure would do; `Type/id` each, in alphabetical order, the person last."""

    person: str
    erased: tuple[str, ...]
    kept: tuple[str, ...]
    """What mentions the person and others too, or is no record of a person: to be looked at."""


def plan(engine: Engine, snapshot: Snapshot, person: str) -> Plan:
    """Find what belongs to a person (`Patient/id`). Raises NotFound when there never was one."""
    if snapshot.current("Patient", person.removeprefix("Patient/")) is None:
        raise NotFound(f"There is no {person} here.")
    types = frozenset(compartments()["Patient"].members) | {"Task", "Binary"}
    mentions: dict[str, set[str]] = {}
    for version in _versions(snapshot):
        if version.body is not None and person.encode() in version.body:
            found = persons_in(version.body, engine.own_base)
            if person in found:
                mentions.setdefault(f"{version.type}/{version.id}", set()).update(found)
    own = {what for what, persons in mentions.items() if _kind(what) in types and _alone(what, persons, person)}
    kept = set(mentions) - own
    waiting = [person, *own]
    own.add(person)
    while waiting:
        for what in _attached(engine, snapshot, waiting.pop(), person):
            if what not in own and what not in kept:
                (own if _kind(what) in types else kept).add(what)
                waiting += [what] if what in own else []
    return Plan(person, (*sorted(own - {person}), person), tuple(sorted(kept)))


def erase(engine: Engine, wanted: Plan, reason: str, by: Principal) -> int:
    """Carry out a plan in one unit of work; return how many versions lost their body."""

    def work(uow: UnitOfWork) -> int:
        area = _area(uow, wanted.person)
        deletions = [_delete(uow, what, area) for what in wanted.erased]
        entities = [Entity("D", f"{one.type}/{one.id}/_history/{one.version}") for one in deletions if one is not None]
        bodies = sum(uow.erase(*what.split("/", 1)) for what in wanted.erased if _is_known(uow, what))
        access = Access(does=f"erase {wanted.person}", entity=entities, persons=[wanted.person])
        append(uow, replace(by, purpose="PATRQT", reason=reason), [access])
        return bodies

    done = engine.store.write(work)
    engine.auditor.changed()
    return done


def erase_one(uow: UnitOfWork, what: str) -> int:
    """Delete and erase one resource, whoever it is about; return how many versions lost their body."""
    _delete(uow, what, "")
    return uow.erase(*what.split("/", 1))


def _delete(uow: UnitOfWork, what: str, area: str) -> Version | None:
    """Delete what is not deleted yet; a Task leaves its skeleton."""
    kind, _, identity = what.partition("/")
    current = uow.current(kind, identity)
    if current is None or current.deleted:
        return None
    deletion = uow.delete(kind, identity, current.version + 1)
    if kind == "Task":
        uow.set_record(SKELETON, f"{deletion.sequence:016d}", encode(skeleton(uow, current, area)))
    return deletion


def _is_known(uow: UnitOfWork, what: str) -> bool:
    return uow.current(*what.split("/", 1)) is not None


def skeleton(snapshot: Snapshot, task: Version, area: str) -> Resource:
    """Return what statistics need of a Task: category, area, months, states and organisations; nothing of a person."""
    resource = decode_stored(task.body or b"{}")
    request = _referred(snapshot, resource.get("focus")) or _referred(snapshot, (resource.get("basedOn") or [None])[0])
    history = [
        decode_stored(one.body).get("status")
        for number in range(1, task.version + 1)
        if (one := snapshot.version(task.type, task.id, number)) is not None and one.body is not None
    ]
    found = {
        "status": resource.get("status"),
        "states": list(dict.fromkeys(history)),
        "reason": _codes(resource.get("statusReason")),
        "category": [code for concept in (request or {}).get("category", []) for code in _codes(concept)],
        "code": _codes(resource.get("code")),
        "owner": _organization(resource.get("owner")),
        "requester": _organization(resource.get("requester")),
        "area": area,
        "authored": str(resource.get("authoredOn", ""))[:7],
        "closed": str(resource.get("lastModified", ""))[:7],
    }
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def _versions(snapshot: Snapshot) -> Iterator[Version]:
    after = 0
    while versions := snapshot.changes(after, _BATCH):
        yield from versions
        after = versions[-1].sequence


def _alone(what: str, persons: set[str], person: str) -> bool:
    return _kind(what) not in _SHARED or persons == {person}


def _attached(engine: Engine, snapshot: Snapshot, what: str, person: str) -> Iterator[str]:
    """Yield what hangs on a resource that goes: what refers to it and to no other person, and its Binaries."""
    for referrer in snapshot.referrers(what, _MANY):
        current = snapshot.current(*referrer.split("/", 1))
        if current is not None and set(persons_in(current.body or b"", engine.own_base)) <= {person}:
            yield referrer
    current = snapshot.current(*what.split("/", 1))
    if current is not None and current.body is not None:
        yield from (found.decode() for found in _BINARY.findall(current.body))


def _kind(what: str) -> str:
    return what.partition("/")[0]


def _area(snapshot: Snapshot, person: str) -> str:
    current = snapshot.current("Patient", person.removeprefix("Patient/"))
    if current is None or current.body is None:
        return ""
    addresses = decode_stored(current.body).get("address") or [{}]
    return str(addresses[0].get("postalCode", ""))


def _referred(snapshot: Snapshot, reference: Any) -> Resource | None:
    text = reference.get("reference", "") if isinstance(reference, dict) else ""
    kind, _, identity = text.partition("/")
    current = snapshot.current(kind, identity) if identity else None
    if current is None:
        return None
    number = current.version - 1 if current.deleted else current.version  # deleted in the same unit, a moment ago
    version = snapshot.version(kind, identity, number)
    return decode_stored(version.body) if version is not None and version.body is not None else None


def _codes(concept: Any) -> list[str]:
    codings = concept.get("coding", []) if isinstance(concept, dict) else []
    return [f"{one.get('system', '')}|{one['code']}" for one in codings if "code" in one]


def _organization(reference: Any) -> str:
    text = reference.get("reference", "") if isinstance(reference, dict) else ""
    return text if text.startswith("Organization/") else ""
