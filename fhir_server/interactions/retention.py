"""Retention: what nobody needs any longer goes by command, by periods that stand in a file; the trail says so."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from fhir_server.access.principal import Principal
from fhir_server.interactions.audit import Access, Entity, append
from fhir_server.interactions.audit_seals import seal_anchor, seal_trail
from fhir_server.interactions.context import Engine
from fhir_server.interactions.erasure import Plan, erase, erase_one, plan
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import Malformed
from fhir_server.search.query import And, LastUpdated, Node, Or, Prefix, Query, SortKey, TokenIs
from fhir_server.store.port import Snapshot, UnitOfWork

OPERATOR = Principal(roles=frozenset({"operator"}), agent="fhir-server command")
_BATCH, _MANY = 1000, 10_000
_DAY: Final = 86_400_000


def trim_trail(engine: Engine, before: int, *, really: bool) -> int:
    """Take away the records from before an instant (milliseconds), the newest excepted; return how many.

    The trimming itself is entered in the trail, its new start is signed.
    """

    def oldest(snapshot: Snapshot) -> tuple[int, int]:
        number = count = 0
        while records := snapshot.audit(number, _BATCH, (), (0, before)):
            number, count = records[-1].number, count + len(records)
        return number, count

    through, count = engine.store.read(oldest)
    if not really or not count:
        return count

    def work(uow: UnitOfWork) -> None:
        append(uow, OPERATOR, [Access(does=f"audit trim through record {through}")])
        uow.trim_audit(through)
        signer = engine.auditor.sealing.signer
        if signer is not None:
            seal_trail(uow, signer)
            seal_anchor(uow, signer)

    engine.store.write(work)
    return count


class Rule(msgspec.Struct, forbid_unknown_fields=True):
    """What goes by itself: resources of a type in some states that nobody touched for so many days."""

    type: str
    parameter: str
    states: tuple[str, ...]
    days: int


class Persons(msgspec.Struct, forbid_unknown_fields=True):
    """A person goes with all that is theirs, when nothing of it changed for so many days and nothing of it is open."""

    days: int
    open: dict[str, tuple[str, ...]]
    """Resource type → the states in which it is open."""


class AuditPeriod(msgspec.Struct, forbid_unknown_fields=True):
    """How long the audit trail is kept."""

    days: int


class Policy(msgspec.Struct, forbid_unknown_fields=True):
    """The periods of retention (retention_policy.json is the default)."""

    persons: Persons
    resources: tuple[Rule, ...]
    audit: AuditPeriod


class Due(NamedTuple):
    """What is due, and how many records of the audit trail."""

    persons: tuple[Plan, ...]
    resources: tuple[str, ...]
    audit: int


def load_policy(path: Path | None) -> Policy:
    """Read the policy, the shipped one without a path. Raises Malformed with what is wrong in it."""
    raw = path.read_bytes() if path else files(__package__).joinpath("retention_policy.json").read_bytes()
    try:
        return msgspec.json.decode(raw, type=Policy)
    except msgspec.MsgspecError as error:
        raise Malformed(f"The retention policy {path} cannot be used: {error}.", key="retention-policy") from error


def due(engine: Engine, policy: Policy, now: int) -> Due:
    """Return what retention would take away at a moment (milliseconds)."""

    def look(snapshot: Snapshot) -> Due:
        resources = tuple(dict.fromkeys(what for rule in policy.resources for what in _by_rule(snapshot, rule, now)))
        idle = Query("Patient", _untouched(now - policy.persons.days * _DAY), (SortKey("_lastUpdated"),), _MANY)
        plans = (plan(engine, snapshot, f"Patient/{row.version.id}") for row in snapshot.search(idle))
        persons = tuple(one for one in plans if _is_idle(snapshot, policy.persons, one, now))
        return Due(persons, resources, 0)

    found = engine.store.read(look)
    return found._replace(audit=trim_trail(engine, now - policy.audit.days * _DAY, really=False))


def run(engine: Engine, policy: Policy, wanted: Due, now: int) -> int:
    """Carry out what is due; return how many versions lost their body."""
    bodies = sum(erase(engine, one, f"retention: {policy.persons.days} days", OPERATOR) for one in wanted.persons)
    gone = {what for one in wanted.persons for what in one.erased}

    def work(uow: UnitOfWork) -> int:
        rest = [what for what in wanted.resources if what not in gone]
        if rest:
            entities = [Entity("D", what) for what in rest]
            append(uow, replace(OPERATOR, reason="retention"), [Access(does="retention run", entity=entities)])
        return sum(erase_one(uow, what) for what in rest)

    bodies += engine.store.write(work)
    trim_trail(engine, now - policy.audit.days * _DAY, really=True)
    return bodies


def _by_rule(snapshot: Snapshot, rule: Rule, now: int) -> list[str]:
    states = Or(tuple(TokenIs(rule.parameter, None, state) for state in rule.states))
    where = And((states, _untouched(now - rule.days * _DAY)))
    rows = snapshot.search(Query(rule.type, where, (SortKey("_lastUpdated"),), _MANY))
    return [f"{rule.type}/{row.version.id}" for row in rows]


def _untouched(before: int) -> Node:
    return LastUpdated(Prefix.LT, before * 1000, before * 1000)


def _is_idle(snapshot: Snapshot, persons: Persons, wanted: Plan, now: int) -> bool:
    for what in wanted.erased:
        kind, _, identity = what.partition("/")
        current = snapshot.current(kind, identity)
        if current is None or current.body is None:
            continue
        if current.last_updated >= now - persons.days * _DAY:
            return False
        if decode_stored(current.body).get("status") in persons.open.get(kind, ()):
            return False
    return True
