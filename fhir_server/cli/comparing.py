"""Comparing two stores that must hold the same: every byte, every number, the audit trail with its digests and keys."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest

from fhir_server.cli.copying import Differs, Reached, Side, all_records, reached
from fhir_server.store.port import AuditRecord, Snapshot, Version

_BATCH = 500


def verify(source: Side, target: Side, told: Callable[[int, int], None]) -> Reached:
    """Compare every version byte by byte, the audit trail with its digests, outbox, records. Raises Differs."""
    at = reached(target.store)
    after = 0
    while after < at.sequence:
        ours, theirs = (side.store.read(partial(_changes, after)) for side in (target, source))
        _equal(ours, theirs[: len(ours)])
        after = ours[-1].sequence
        told(after, at.sequence)
    number = target.store.read(lambda snapshot: snapshot.audit_anchor()).number
    while records := target.store.read(partial(_audit, number)):
        _equal(records, source.store.read(partial(_audit, number))[: len(records)])
        last = records[-1].number
        mine, given = (side.inventory.audit_keys(number + 1, last) for side in (target, source))
        _equal(_sorted(mine), _sorted(given))
        number = last
    events = target.store.read(lambda snapshot: snapshot.outbox(0, at.outbox))
    _equal(events, source.store.read(lambda snapshot: snapshot.outbox(0, at.outbox)))
    for kind in source.inventory.kinds():
        _equal(list(all_records(target.store, kind)), list(all_records(source.store, kind)))
    return at


def _sorted(keys: dict[int, list[str]]) -> list[tuple[int, list[str]]]:
    return [(number, sorted(some)) for number, some in sorted(keys.items()) if some]


def _equal(ours: Sequence[object], theirs: Sequence[object]) -> None:
    if ours == theirs:
        return
    for one, other in zip_longest(ours, theirs):
        if one != other:
            raise Differs(f"the target has {_shown(one)} where the source has {_shown(other)}")


def _shown(one: object) -> str:
    return repr(one._replace(body=b"...") if isinstance(one, Version) else one)[:300]


def _changes(after: int, snapshot: Snapshot) -> list[Version]:
    return snapshot.changes(after, _BATCH)


def _audit(after: int, snapshot: Snapshot) -> list[AuditRecord]:
    return snapshot.audit(after, _BATCH)
