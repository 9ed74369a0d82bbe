"""What the interactions ask of a store, and what a store guarantees. Proved for each store by tests/contract/store.

1. Resource, history, search index, change feed, outbox and audit change in one transaction, or not at all.
2. `version` counts up by one per resource, from 1; every version and every deletion is kept; a body comes back byte for
   byte as it was put.
3. `put` and `delete` name the version they expect and fail with VersionConflict when another is current. Everything
   read in a unit of work stays true until it commits: conditional interactions are race-free.
4. Every change has a sequence number: counted up by one without gaps, in commit order, and visible in that order, so a
   reader that asks for what came after the last number it saw never misses a change. `last_updated` has milliseconds,
   exactly what is rendered, and strictly increases from commit to commit; changes that become visible in one physical
   commit share it.
5. A search position neither skips nor repeats a resource that did not change while others write. `_lastUpdated` sorts
   in order of the sequence, which is finer and has no ties; all other ties break on id.
6. A process that is killed at any instant loses nothing that was acknowledged, and opens again by itself.
7. Two threads never share a transaction; a reader never blocks a writer; writers queue with a bounded wait and then
   get Unavailable. `work` given to `write` may run more than once (a retry): it must not act on anything but its unit.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from fhir_server.search.query import Query
from fhir_server.search.values import Entry
from fhir_server.store.concepts import ConceptLoader, ConceptReader
from fhir_server.store.foresight import Foreseen

T = TypeVar("T")


class Version(NamedTuple):
    """One version of one resource; a deletion has no body."""

    sequence: int
    type: str
    id: str
    version: int
    last_updated: int
    """Milliseconds since the epoch."""
    method: str
    """The interaction that made it: POST, PUT, PATCH or DELETE."""
    body: bytes | None

    @property
    def deleted(self) -> bool:
        """Whether this version is a deletion."""
        return self.body is None


class Row(NamedTuple):
    """One search result: the current version, and where it stands in the order that was asked."""

    version: Version
    position: tuple[str | int | float | None, ...]
    distance: float | None = None
    """Metres, for a search with `Near`."""


class Explanation(NamedTuple):
    """How a search ran. The statement shows no values, so it may be told to whoever may search."""

    statement: str
    plan: tuple[str, ...]
    """What the database says of how it runs it, a line for each table."""
    indexes: tuple[str, ...]
    scanned: tuple[str, ...]
    """Tables that were read from end to end: none, for a search that has an index."""
    candidates: int
    """Rows that the driving index offered until the page was full."""
    rows: int
    milliseconds: float


class AuditRecord(NamedTuple):
    """One line of the audit trail; `digest` chains it to all before it (SHA-256 over previous digest and record)."""

    number: int
    record: bytes
    digest: bytes
    recorded: int = 0
    """The `last_updated` of the unit that wrote it, milliseconds since the epoch."""


class AuditAnchor(NamedTuple):
    """The last record of the audit trail that retention took away: number 0 and no digest while all are there."""

    number: int = 0
    digest: bytes = b""


class Record(NamedTuple):
    """A small thing that the server keeps for itself: a client, a key, a lease, a delivery, a session, a used token.

    Records are no resources: they have no history and are not in the feed. They change with the unit of work.
    """

    kind: str
    key: str
    body: bytes
    due: int | None = None
    """When something is to be done about it (delivered, forgotten), milliseconds since the epoch; None is never."""


class OutboxEvent(NamedTuple):
    """An event that waits to be told to others; `sequence` is the change it belongs to."""

    number: int
    sequence: int
    topic: str
    payload: bytes


class HistoryScope(NamedTuple):
    """Which history: of one resource, of one type (`id` None), or of the system (`type` None too)."""

    type: str | None = None
    id: str | None = None


class Snapshot(ConceptReader, Protocol):
    """A view of one committed state; inside a unit of work, of that state plus the unit's own changes."""

    def current(self, resource_type: str, resource_id: str) -> Version | None:
        """Return the newest version, a deletion included; None when there never was one."""

    def version(self, resource_type: str, resource_id: str, version: int) -> Version | None:
        """Return one version, a deletion included."""

    def history(
        self,
        scope: HistoryScope,
        *,
        before: int | None = None,
        since_ms: int | None = None,
        at: tuple[int, int] | None = None,
        limit: int = 100,
    ) -> list[Version]:
        """Return versions, newest first: those with a sequence below `before`, updated at or after `since_ms`,
        or current at some instant of the half-open range `at` (milliseconds).
        """

    def history_total(self, scope: HistoryScope, *, since_ms: int | None = None) -> int:
        """Count the versions that `history` would give in all."""

    def changes(self, after: int, limit: int, resource_types: Sequence[str] = ()) -> list[Version]:
        """Return the changes after a sequence number, oldest first: the gapless feed."""

    def last_sequence(self) -> int:
        """Return the sequence number of the newest visible change, 0 in an empty store."""

    def search(self, query: Query) -> list[Row]:
        """Return up to `query.limit` rows. Raises TooCostly when a bound of the store is reached; never cuts off."""

    def count(self, query: Query, limit: int | None = None) -> int:
        """Count what matches, regardless of order, limit and position; stop counting at `limit`."""

    def explain(self, query: Query) -> Explanation:
        """Run a search and tell how, instead of what it found. Raises TooCostly as `search` does."""

    def note(self, name: str) -> str | None:
        """Return what was noted under a name (`UnitOfWork.set_note`), None when nothing was."""

    def referrers(self, target: str, limit: int = 1) -> list[str]:
        """Return `Type/id` of current resources that refer to `target` by any reference parameter."""

    def audit(
        self, after: int, limit: int, about: Sequence[str] = (), recorded: tuple[int, int] | None = None
    ) -> list[AuditRecord]:
        """Return audit records after a number, oldest first: those that carry every key of `about` (`append_audit`) and
        were recorded in the half-open range of milliseconds.
        """

    def audit_anchor(self) -> AuditAnchor:
        """Return where the audit trail starts: the newest record that `trim_audit` took away."""

    def record(self, kind: str, key: str) -> Record | None:
        """Return one record, None when there is none."""

    def records(self, kind: str, after: str = "", limit: int = 100) -> list[Record]:
        """Return the records of a kind whose key comes after `after`, in the order of the code points of their keys."""

    def due_records(self, kind: str, before: int, limit: int = 100) -> list[Record]:
        """Return the records of a kind that are due before an instant (milliseconds), first due first, then by key."""

    def outbox(self, after: int, limit: int) -> list[OutboxEvent]:
        """Return outbox events after a number, oldest first."""


class UnitOfWork(Snapshot, Protocol):
    """One atomic change. Nothing of it is visible to others before it commits; an exception undoes all of it."""

    @property
    def last_updated(self) -> int:
        """The `lastUpdated` of every change in this unit, milliseconds since the epoch."""

    def prefetch(self, foresee: Callable[[], Foreseen]) -> None:
        """Say what the unit will ask about. It changes no answer; a store beside us does not even look (`foresee`)."""

    def put(
        self,
        resource_type: str,
        resource_id: str,
        version: int,
        body: bytes,
        entries: Sequence[Entry],
        method: str,
    ) -> Version:
        """Store `version` of a resource, which must be one more than the newest (1 when there is none).

        `entries` are all its index entries and replace those of the version before.
        Raises VersionConflict when another version is the newest; nothing is changed then.
        """

    def delete(self, resource_type: str, resource_id: str, version: int) -> Version:
        """Store a deletion as `version`, with the rules of `put`."""

    def emit(self, topic: str, payload: bytes) -> None:
        """Append an event to the outbox."""

    def set_note(self, name: str, value: str) -> None:
        """Keep a small text about the store itself, such as how far a long task has come; "" forgets it."""

    def append_audit(self, record: bytes, about: Sequence[str] = ()) -> int:
        """Append a record to the audit trail and return its number; `about` are keys that it will be found by."""

    def trim_audit(self, through: int) -> None:
        """Take away the audit records up to a number, the newest excepted; the anchor keeps the chain verifiable."""

    def set_record(self, kind: str, key: str, body: bytes, due: int | None = None) -> None:
        """Keep a record, in place of one with the same kind and key. Of two units that each found none, one is retried."""

    def remove_record(self, kind: str, key: str) -> bool:
        """Forget a record; return whether there was one."""

    def erase(self, resource_type: str, resource_id: str) -> int:
        """Forget the bodies of all versions of a resource that is deleted; return how many there were.

        Sequence, version numbers, methods and dates stay; an erased version has no body. Raises VersionConflict when the
        resource is not deleted.
        """


class Store(ConceptLoader, Protocol):
    """A store of resources. Safe to use from several threads; one instance per process."""

    def read(self, work: Callable[[Snapshot], T], *, once: bool = False) -> T:
        """Run `work` on one consistent snapshot, in the calling thread.

        `once` promises that `work` asks for one thing only, which is consistent by itself and so costs less.
        """

    def write(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` in a unit of work and commit durably before returning; what it raises undoes it and comes out."""

    def read_async(self, work: Callable[[Snapshot], T], *, heavy: bool = False, once: bool = False) -> Awaitable[T]:
        """As `read`, for an event loop: bounded work may run on the loop itself, `heavy` work never does."""

    def write_async(self, work: Callable[[UnitOfWork], T], *, heavy: bool = False) -> Awaitable[T]:
        """As `write`, for an event loop: units that wait together may share one physical commit."""

    def run_async(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run `work`, which calls `read` and `write` itself, in a thread of the store's."""

    def reindex(self, items: Iterable[tuple[Version, Sequence[Entry]]]) -> int:
        """Replace the index entries of versions that are still current; return how many were."""

    def close(self) -> None:
        """Finish what runs and release every file or connection."""
