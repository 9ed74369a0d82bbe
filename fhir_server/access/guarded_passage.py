"""What a guarded snapshot passes on unchanged: the server's own records, and loaded code systems, which are public."""

from collections.abc import Sequence

from fhir_server.store.concepts import Edition, Ranges, StoredConcept
from fhir_server.store.port import AuditAnchor, OutboxEvent, Record, Snapshot


class Passage:
    """See `store.port.Snapshot` for each method; none of these tells of a resource."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def last_sequence(self) -> int:
        """Return the sequence number of the newest change; it is told to nobody but in signed cursors."""
        return self._snapshot.last_sequence()

    def note(self, name: str) -> str | None:
        """Return what was noted under a name."""
        return self._snapshot.note(name)

    def audit_anchor(self) -> AuditAnchor:
        """Return where the audit trail starts."""
        return self._snapshot.audit_anchor()

    def record(self, kind: str, key: str) -> Record | None:
        """Return one record of the server's own."""
        return self._snapshot.record(kind, key)

    def records(self, kind: str, after: str = "", limit: int = 100) -> list[Record]:
        """Return records of the server's own."""
        return self._snapshot.records(kind, after, limit)

    def due_records(self, kind: str, before: int, limit: int = 100) -> list[Record]:
        """Return records of the server's own that are due."""
        return self._snapshot.due_records(kind, before, limit)

    def outbox(self, after: int, limit: int) -> list[OutboxEvent]:
        """Return outbox events."""
        return self._snapshot.outbox(after, limit)

    def editions_stamp(self) -> int:
        """Return the number that grows with every change of the loaded editions."""
        return self._snapshot.editions_stamp()

    def editions(self, system: str | None = None) -> list[Edition]:
        """Return the visible editions."""
        return self._snapshot.editions(system)

    def concept(self, edition: int, key: str) -> StoredConcept | None:
        """Return the concept with a key."""
        return self._snapshot.concept(edition, key)

    def concept_reach(self, edition: int, number: int) -> bytes:
        """Return what is below a concept."""
        return self._snapshot.concept_reach(edition, number)

    def concepts_of(self, edition: int, keys: Sequence[str]) -> list[StoredConcept]:
        """Return the concepts with these keys."""
        return self._snapshot.concepts_of(edition, keys)

    def concept_parents(self, edition: int, numbers: Sequence[int]) -> list[StoredConcept]:
        """Return the concepts directly above."""
        return self._snapshot.concept_parents(edition, numbers)

    def concept_children(self, edition: int, number: int, limit: int = 1_000) -> list[StoredConcept]:
        """Return the concepts directly below."""
        return self._snapshot.concept_children(edition, number, limit)

    def concept_page(
        self, edition: int, within: Ranges, words: Sequence[str], offset: int, limit: int
    ) -> list[StoredConcept]:
        """Return a page of concepts."""
        return self._snapshot.concept_page(edition, within, words, offset, limit)

    def concept_count(self, edition: int, within: Ranges, words: Sequence[str]) -> int:
        """Count concepts."""
        return self._snapshot.concept_count(edition, within, words)
