"""Copying a whole store through the port: every version with its sequence and time, the audit trail, outbox, records, notes.

The copy replays the change feed commit by commit, with a clock that says what the clock of the source said. So the target
counts the same numbers, and how far it has come is what it holds: a copy that was interrupted goes on from there. Bodies go
as they lie in the source, sealed ones included; the index is made by the server's own re-indexing afterwards.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, Protocol

from fhir_server.store.concepts import ConceptRow
from fhir_server.store.port import AuditAnchor, AuditRecord, OutboxEvent, Record, Snapshot, Store, UnitOfWork, Version

_BATCH = 500
OWN_NOTES = frozenset({"index", "reindex", "editions"})
"""Notes about the index and the loaded code systems of one store, which say nothing of another (`cli.copying_concepts`)."""


class Inventory(Protocol):
    """What a copy must know of a store beyond the port."""

    def audit_keys(self, first: int, last: int) -> dict[int, list[str]]:
        """Return the keys of the audit records from one number to another."""
        ...

    def kinds(self) -> list[str]:
        """Return the kinds of records."""
        ...

    def notes(self) -> list[str]:
        """Return the names of the notes."""
        ...

    def bytes_used(self) -> int:
        """Return the bytes that the store takes on disk."""
        ...

    def concepts(self, edition: int) -> Iterator[ConceptRow]:
        """Yield the concepts of an edition by their number; fewer than it has, when it is removed meanwhile."""
        ...

    def start_audit(self, unit: UnitOfWork, anchor: AuditAnchor) -> None:
        """Let the audit trail, which must be empty, begin after an anchor; the next record must follow in this unit."""
        ...


class ReplayClock:
    """The clock of the source, at the commit that is being replayed."""

    def __init__(self) -> None:
        self.now = 0

    def now_ms(self) -> int:
        """Return the time of the commit."""
        return self.now


class Side(NamedTuple):
    """One of the two stores."""

    store: Store
    inventory: Inventory


class Commit:
    """What one commit of the source changed."""

    __slots__ = ("audit", "events", "versions")

    def __init__(self) -> None:
        self.versions: list[Version] = []
        self.audit: list[AuditRecord] = []
        self.events: list[OutboxEvent] = []


class Reached(NamedTuple):
    """How far a store has come."""

    sequence: int
    audit: int
    outbox: int


class Differs(Exception):
    """The two stores do not hold the same."""


def reached(store: Store) -> Reached:
    """Return the last numbers of a store."""

    def work(snapshot: Snapshot) -> Reached:
        audit, outbox = snapshot.audit_anchor().number, 0
        while records := snapshot.audit(audit, _BATCH):
            audit = records[-1].number
        while events := snapshot.outbox(outbox, _BATCH):
            outbox = events[-1].number
        return Reached(snapshot.last_sequence(), audit, outbox)

    return store.read(work)


def copy(source: Side, target: Side, clock: ReplayClock, told: Callable[[int, int], None]) -> int:
    """Bring the target to where the source is; return how many versions were copied. `told` hears how far, and of how many.

    The target must be empty or an earlier copy. Raises Differs when it holds something else.
    """
    at, copied = reached(target.store), 0
    _same_beginning(source.store, target.store, at)
    while True:
        commits, until = source.store.read(partial(_next, at))
        if not commits:
            break
        for time in sorted(commits):
            clock.now = time
            _replay(source, target, commits[time])
            copied += len(commits[time].versions)
            at = _after(at, commits[time])
        told(at.sequence, until)
    _copy_records(source, target)
    _copy_notes(source, target)
    return copied


def _next(at: Reached, snapshot: Snapshot) -> tuple[dict[int, Commit], int]:
    """Return the next commits by their time, whole, and the last sequence number of the source."""
    size = _BATCH
    while True:
        versions = snapshot.changes(at.sequence, size)
        last = len(versions) < size
        whole = versions if last else [v for v in versions if v.last_updated != versions[-1].last_updated]
        if whole or last:
            break
        size *= 2
    commits: dict[int, Commit] = {}
    for version in whole:
        commits.setdefault(version.last_updated, Commit()).versions.append(version)
    until = None if last else whole[-1].last_updated
    number = at.audit
    while records := snapshot.audit(max(number, snapshot.audit_anchor().number), _BATCH):
        for record in records:
            if until is None or record.recorded <= until:
                commits.setdefault(record.recorded, Commit()).audit.append(record)
        if until is not None and records[-1].recorded > until:
            break
        number = records[-1].number
    _add_events(snapshot, at, whole, commits, last=last)
    return commits, snapshot.last_sequence()


def _add_events(
    snapshot: Snapshot, at: Reached, whole: list[Version], commits: dict[int, Commit], *, last: bool
) -> None:
    """An event goes with the change that it names; one that names an earlier change goes with the first commit."""
    times = {version.sequence: version.last_updated for version in whole}
    number = at.outbox
    while events := snapshot.outbox(number, _BATCH):
        for event in events:
            if not last and event.sequence > whole[-1].sequence:
                return
            time = times.get(event.sequence) or min(commits, default=0)
            commits.setdefault(time, Commit()).events.append(event)
        number = events[-1].number


def _after(at: Reached, commit: Commit) -> Reached:
    return Reached(
        commit.versions[-1].sequence if commit.versions else at.sequence,
        commit.audit[-1].number if commit.audit else at.audit,
        commit.events[-1].number if commit.events else at.outbox,
    )


def _replay(source: Side, target: Side, commit: Commit) -> None:
    keys: dict[int, list[str]] = {}
    if commit.audit:
        keys = source.inventory.audit_keys(commit.audit[0].number, commit.audit[-1].number)
    anchor = source.store.read(lambda snapshot: snapshot.audit_anchor())

    def work(unit: UnitOfWork) -> None:
        events = iter(commit.events)
        event = next(events, None)
        for version in commit.versions:
            while event is not None and event.sequence < version.sequence:
                unit.emit(event.topic, event.payload)
                event = next(events, None)
            _write(unit, version)
        while event is not None:
            unit.emit(event.topic, event.payload)
            event = next(events, None)
        begins = bool(commit.audit) and anchor.number and commit.audit[0].number == anchor.number + 1
        if begins and not unit.audit(0, 1) and unit.audit_anchor() == AuditAnchor():
            target.inventory.start_audit(unit, anchor)
        for record in commit.audit:
            if unit.append_audit(record.record, keys.get(record.number, ())) != record.number:
                raise Differs(f"audit record {record.number} would get another number in the target")
        if begins:
            unit.trim_audit(anchor.number)

    target.store.write(work)


def _write(unit: UnitOfWork, version: Version) -> None:
    """Write one version; what was erased in the source is erased again once its deletion is there."""
    if version.method == "DELETE":
        made = unit.delete(version.type, version.id, version.version)
        before = unit.version(version.type, version.id, version.version - 1)
        if before is not None and before.body == b"":
            unit.erase(version.type, version.id)
    else:
        made = unit.put(version.type, version.id, version.version, version.body or b"", (), version.method)
    if made[:6] != version[:6]:
        raise Differs(f"{version[:6]} would become {made[:6]} in the target")


def _same_beginning(source: Store, target: Store, at: Reached) -> None:
    """The last change that the target has must be the one of the source: else it is no copy of it."""
    if not at.sequence:
        return
    ours = target.read(lambda snapshot: snapshot.changes(at.sequence - 1, 1))
    theirs = source.read(lambda snapshot: snapshot.changes(at.sequence - 1, 1))
    if [v._replace(body=None) for v in ours] != [v._replace(body=None) for v in theirs]:
        raise Differs(f"the target holds other changes than the source (change {at.sequence}); name an empty store")


def all_records(store: Store, kind: str) -> Iterator[Record]:
    """Yield the records of a kind, in the order of their keys."""
    after = ""
    while page := store.read(partial(_records, kind, after)):
        yield from page
        after = page[-1].key


def _records(kind: str, after: str, snapshot: Snapshot) -> list[Record]:
    return snapshot.records(kind, after, _BATCH)


def _copy_records(source: Side, target: Side) -> None:
    for kind in sorted({*source.inventory.kinds(), *target.inventory.kinds()}):
        wanted = {record.key: record for record in all_records(source.store, kind)}
        there = {record.key: record for record in all_records(target.store, kind)}

        def work(unit: UnitOfWork, wanted: dict[str, Record] = wanted, there: dict[str, Record] = there) -> None:
            for key in there.keys() - wanted.keys():
                unit.remove_record(there[key].kind, key)
            for key, record in wanted.items():
                if there.get(key) != record:
                    unit.set_record(*record)

        target.store.write(work)


def _copy_notes(source: Side, target: Side) -> None:
    names = sorted({*source.inventory.notes(), *target.inventory.notes()} - OWN_NOTES)
    notes = source.store.read(lambda snapshot: {name: snapshot.note(name) or "" for name in names})

    def work(unit: UnitOfWork) -> None:
        for name, note in notes.items():
            unit.set_note(name, note)

    target.store.write(work)
