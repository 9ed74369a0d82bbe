"""What a unit of work and a snapshot look like from above: everything in clear. Below, nothing that was sealed is."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from fhir_server.search.query import Query
from fhir_server.search.values import Entry
from fhir_server.store.foresight import Foreseen
from fhir_server.store.port import (
    AuditAnchor,
    AuditRecord,
    Explanation,
    HistoryScope,
    OutboxEvent,
    Record,
    Row,
    Snapshot,
    UnitOfWork,
    Version,
)
from fhir_server.store.sealed.indexing import Questions, sealed_entries
from fhir_server.store.sealed.keyring import SEALED, Keyring
from fhir_server.store.sealed.numbers import Mask, NationalNumbers
from fhir_server.store.sealed.passing import PassingReader


class Sealing:
    """The collaborators of the views: the keys, the systems of numbers, and the rewriting of questions."""

    __slots__ = ("keyring", "numbers", "questions")

    def __init__(self, keyring: Keyring, numbers: NationalNumbers) -> None:
        self.keyring = keyring
        self.numbers = numbers
        self.questions = Questions(numbers, keyring.token)

    def seal(self, clear: bytes, place: str) -> bytes:
        """Seal what mentions a national number, and leave all else as it is."""
        # what only looks sealed (random bytes may begin with the mark) is sealed as well: or it could not be read again
        return self.keyring.seal(clear, place) if clear[:1] == SEALED or self.numbers.mentioned(clear) else clear

    def index(self, body: bytes, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Return the entries of a body as they may lie in the index."""
        found = self.numbers.within(body) if self.numbers.mentioned(body) else frozenset()
        return sealed_entries(entries, Mask(found), self.keyring.token) if found else entries

    def asked(self, query: Query) -> Query:
        """Return the query as the index understands it."""
        where = self.questions.rewritten(query.where)
        return query if where is query.where else replace(query, where=where)


class SealedSnapshot(PassingReader):
    """The reading half; see `store.port.Snapshot` for what each method promises."""

    __slots__ = ("_inner", "_sealing")

    def __init__(self, inner: Snapshot, sealing: Sealing) -> None:
        self._concepts = self._inner = inner
        self._sealing = sealing

    def _clear(self, version: Version) -> Version:
        body = version.body
        if body is None or body[:1] != SEALED:
            return version
        place = f"{version.type}/{version.id}/{version.version}"
        return version._replace(body=self._sealing.keyring.unseal(body, place, self._inner))

    def _all_clear(self, versions: list[Version]) -> list[Version]:
        return [self._clear(version) for version in versions]

    def current(self, resource_type: str, resource_id: str) -> Version | None:
        """Return the newest version, a deletion included; None when there never was one."""
        version = self._inner.current(resource_type, resource_id)
        return None if version is None else self._clear(version)

    def version(self, resource_type: str, resource_id: str, version: int) -> Version | None:
        """Return one version, a deletion included."""
        found = self._inner.version(resource_type, resource_id, version)
        return None if found is None else self._clear(found)

    def history(
        self,
        scope: HistoryScope,
        *,
        before: int | None = None,
        since_ms: int | None = None,
        at: tuple[int, int] | None = None,
        limit: int = 100,
    ) -> list[Version]:
        """Return versions of a scope, newest first."""
        return self._all_clear(self._inner.history(scope, before=before, since_ms=since_ms, at=at, limit=limit))

    def history_total(self, scope: HistoryScope, *, since_ms: int | None = None) -> int:
        """Count the versions that `history` would give in all."""
        return self._inner.history_total(scope, since_ms=since_ms)

    def changes(self, after: int, limit: int, resource_types: Sequence[str] = ()) -> list[Version]:
        """Return the changes after a sequence number, oldest first."""
        return self._all_clear(self._inner.changes(after, limit, resource_types))

    def last_sequence(self) -> int:
        """Return the sequence number of the newest visible change."""
        return self._inner.last_sequence()

    def search(self, query: Query) -> list[Row]:
        """Return up to `query.limit` rows."""
        rows = self._inner.search(self._sealing.asked(query))
        for at, row in enumerate(rows):
            body = row.version.body
            if body is not None and body[:1] == SEALED:
                rows[at] = row._replace(version=self._clear(row.version))
        return rows

    def count(self, query: Query, limit: int | None = None) -> int:
        """Count what matches."""
        return self._inner.count(self._sealing.asked(query), limit)

    def explain(self, query: Query) -> Explanation:
        """Run a search and tell how."""
        return self._inner.explain(self._sealing.asked(query))

    def note(self, name: str) -> str | None:
        """Return what was noted under a name."""
        return self._inner.note(name)

    def referrers(self, target: str, limit: int = 1) -> list[str]:
        """Return `Type/id` of current resources that refer to `target`."""
        return self._inner.referrers(target, limit)

    def audit(
        self, after: int, limit: int, about: Sequence[str] = (), recorded: tuple[int, int] | None = None
    ) -> list[AuditRecord]:
        """Return audit records as they lie in the store: their digests are over these bytes."""
        return self._inner.audit(after, limit, about, recorded)

    def audit_anchor(self) -> AuditAnchor:
        """Return where the audit trail starts."""
        return self._inner.audit_anchor()

    def record(self, kind: str, key: str) -> Record | None:
        """Return one record, None when there is none."""
        found = self._inner.record(kind, key)
        return None if found is None else self._clear_record(found)

    def records(self, kind: str, after: str = "", limit: int = 100) -> list[Record]:
        """Return the records of a kind after a key."""
        return [self._clear_record(one) for one in self._inner.records(kind, after, limit)]

    def due_records(self, kind: str, before: int, limit: int = 100) -> list[Record]:
        """Return the records of a kind that are due before an instant."""
        return [self._clear_record(one) for one in self._inner.due_records(kind, before, limit)]

    def _clear_record(self, record: Record) -> Record:
        if record.body[:1] != SEALED:
            return record
        place = f"record/{record.kind}/{record.key}"
        return record._replace(body=self._sealing.keyring.unseal(record.body, place, self._inner))

    def outbox(self, after: int, limit: int) -> list[OutboxEvent]:
        """Return outbox events after a number."""
        return [self._clear_event(event) for event in self._inner.outbox(after, limit)]

    def _clear_event(self, event: OutboxEvent) -> OutboxEvent:
        if event.payload[:1] != SEALED:
            return event
        payload = self._sealing.keyring.unseal(event.payload, f"outbox/{event.topic}", self._inner)
        return event._replace(payload=payload)


class SealedUnit(SealedSnapshot):
    """The writing half; see `store.port.UnitOfWork` for what each method promises."""

    __slots__ = ("_unit",)

    def __init__(self, inner: UnitOfWork, sealing: Sealing) -> None:
        super().__init__(inner, sealing)
        self._unit = inner

    @property
    def last_updated(self) -> int:
        """The `lastUpdated` of every change in this unit."""
        return self._unit.last_updated

    def prefetch(self, foresee: Callable[[], Foreseen]) -> None:
        """Say what the unit will ask about."""

        def inner() -> Foreseen:
            told = foresee()
            return told._replace(queries=tuple(map(self._sealing.asked, told.queries)))

        self._unit.prefetch(inner)

    def put(
        self,
        resource_type: str,
        resource_id: str,
        version: int,
        body: bytes,
        entries: Sequence[Entry],
        method: str,
    ) -> Version:
        """Store a version; its body is sealed when it mentions a national number."""
        sealing = self._sealing
        if body[:1] != SEALED and not sealing.numbers.mentioned(body):
            return self._unit.put(resource_type, resource_id, version, body, entries, method)
        sealing.keyring.refresh(self._unit)
        sealed = sealing.keyring.seal(body, f"{resource_type}/{resource_id}/{version}")
        stored = self._unit.put(resource_type, resource_id, version, sealed, sealing.index(body, entries), method)
        return stored._replace(body=body)

    def delete(self, resource_type: str, resource_id: str, version: int) -> Version:
        """Store a deletion."""
        return self._unit.delete(resource_type, resource_id, version)

    def emit(self, topic: str, payload: bytes) -> None:
        """Append an event to the outbox."""
        self._unit.emit(topic, self._sealing.seal(payload, f"outbox/{topic}"))

    def set_note(self, name: str, value: str) -> None:
        """Keep a small text about the store itself."""
        self._unit.set_note(name, value)

    def append_audit(self, record: bytes, about: Sequence[str] = ()) -> int:
        """Append a record to the audit trail. Who writes it has sealed what must be (`SealedStore.seal`)."""
        return self._unit.append_audit(record, about)

    def trim_audit(self, through: int) -> None:
        """Take away the audit records up to a number."""
        self._unit.trim_audit(through)

    def set_record(self, kind: str, key: str, body: bytes, due: int | None = None) -> None:
        """Keep a record."""
        self._unit.set_record(kind, key, self._sealing.seal(body, f"record/{kind}/{key}"), due)

    def remove_record(self, kind: str, key: str) -> bool:
        """Forget a record; return whether there was one."""
        return self._unit.remove_record(kind, key)

    def erase(self, resource_type: str, resource_id: str) -> int:
        """Forget the bodies of all versions of a deleted resource."""
        return self._unit.erase(resource_type, resource_id)
