"""One unit of work on the writing connection, and the physical transaction that several units may share."""

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn, TypeVar

from fhir_server.model.clock import Clock
from fhir_server.model.errors import FhirError, Unavailable, VersionConflict
from fhir_server.search.values import Entry
from fhir_server.store.foresight import Foreseen
from fhir_server.store.port import Version
from fhir_server.store.sqlite import index, words
from fhir_server.store.sqlite.link import Link, explained
from fhir_server.store.sqlite.names import Names, PendingNames
from fhir_server.store.sqlite.snapshot import SqliteSnapshot

T = TypeVar("T")

_OPEN_END = 2**62
"""`commits.last_seq` while the transaction is open: whatever it still writes belongs to its time."""


_COUNT = """INSERT INTO total VALUES (?, ?)
    ON CONFLICT (type) DO UPDATE SET number = number + excluded.number"""


class Mark(NamedTuple):
    """A point in a transaction to which the memory of it can return."""

    last_seq: int
    names: int
    audit_number: int
    audit_digest: bytes
    totals: dict[int, int]


class Transaction:
    """What the units of one physical transaction share: their time, the running numbers, the new names."""

    __slots__ = ("audit_digest", "audit_number", "first", "last_seq", "link", "lu", "names", "texts", "totals")

    def __init__(self, link: Link, names: Names, clock: Clock) -> None:
        """Take the numbers over from the file, which another process may have written meanwhile."""
        self.link = link
        self.names = PendingNames(names)
        row = link.execute("SELECT lu, last_seq FROM commits ORDER BY lu DESC LIMIT 1").fetchone()
        last_lu, last_seq = row or (0, 0)
        self.last_seq: int = last_seq
        self.first = self.last_seq
        self.lu = max(clock.now_ms(), last_lu + 1)
        self.audit_number = -1
        self.audit_digest = b""
        self.texts = False
        self.totals: dict[int, int] = {}
        """How many more current resources of a type there are than `total` says."""
        link.execute("INSERT INTO commits VALUES (?, ?)", (self.lu, _OPEN_END))

    def finish(self) -> None:
        """Write what the commit itself leaves behind; the caller commits. Raises Unavailable when it is over already."""
        if not self.link.connection.in_transaction:
            raise Unavailable("The database ended the transaction after an error. Nothing was changed; try again.")
        if self.texts:
            words.fold(self.link.execute)
        self.link.executemany(_COUNT, [(number, more) for number, more in self.totals.items() if more])
        if self.last_seq == self.first:
            self.link.execute("DELETE FROM commits WHERE lu = ?", (self.lu,))
        else:
            self.link.execute("UPDATE commits SET last_seq = ? WHERE lu = ?", (self.last_seq, self.lu))

    def mark(self) -> "Mark":
        """Return where the transaction stands, before a unit begins."""
        return Mark(self.last_seq, self.names.mark(), self.audit_number, self.audit_digest, dict(self.totals))

    def restore(self, mark: "Mark") -> None:
        """Return to where the transaction stood: the rows of a unit were rolled back."""
        self.last_seq = mark.last_seq
        self.names.forget(mark.names)
        self.audit_number, self.audit_digest = mark.audit_number, mark.audit_digest
        self.totals = dict(mark.totals)

    def audit_tail(self) -> tuple[int, bytes]:
        """Return number and digest of the newest audit record."""
        if self.audit_number < 0:
            text = "SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1"
            self.audit_number, self.audit_digest = self.link.execute(text).fetchone() or (0, b"")
        return self.audit_number, self.audit_digest


class SqliteUnit(SqliteSnapshot):
    """The writing half of a unit of work; see `store.port.UnitOfWork` for what each method promises."""

    __slots__ = ("_broken", "_pending", "_transaction")

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(transaction.link, transaction.names)
        self._pending = transaction.names
        self._transaction = transaction
        self._broken: Exception | None = None

    @property
    def last_updated(self) -> int:
        """The `lastUpdated` of every change in this unit, milliseconds since the epoch."""
        return self._transaction.lu

    def prefetch(self, foresee: Callable[[], Foreseen]) -> None:
        """Do nothing: the file is here, and each question takes microseconds."""

    def put(
        self,
        resource_type: str,
        resource_id: str,
        version: int,
        body: bytes,
        entries: Sequence[Entry],
        method: str,
    ) -> Version:
        """Store a version and its index entries; raises VersionConflict when it does not follow the newest."""
        self.check()
        try:
            number = self._pending.make(self._execute, (resource_type, "", ""))
            seq = self._append(number, resource_type, resource_id, version, method, body)
            if index.insert(self._link, self._pending, resource_type, seq, entries):
                self._transaction.texts = True
        except sqlite3.Error as error:
            self._fail(error)
        return Version(seq, resource_type, resource_id, version, self._transaction.lu, method, body)

    def delete(self, resource_type: str, resource_id: str, version: int) -> Version:
        """Store a deletion; raises VersionConflict when it does not follow the newest."""
        self.check()
        try:
            number = self._pending.make(self._execute, (resource_type, "", ""))
            seq = self._append(number, resource_type, resource_id, version, "DELETE", None)
        except sqlite3.Error as error:
            self._fail(error)
        return Version(seq, resource_type, resource_id, version, self._transaction.lu, "DELETE", None)

    def _total(self, number: int) -> int:
        return super()._total(number) + self._transaction.totals.get(number, 0)

    def emit(self, topic: str, payload: bytes) -> None:
        """Append an event to the outbox, about the newest change so far."""
        self.check()
        try:
            text = "INSERT INTO outbox (seq, topic, payload) VALUES (?, ?, ?)"
            self._execute(text, (self._transaction.last_seq, topic, payload))
        except sqlite3.Error as error:
            self._fail(error)

    def set_note(self, name: str, value: str) -> None:
        """Keep a small text about the store itself; "" forgets it."""
        self.check()
        try:
            if value:
                self._execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))
            else:
                self._execute("DELETE FROM note WHERE name = ?", (name,))
        except sqlite3.Error as error:
            self._fail(error)

    def append_audit(self, record: bytes, about: Sequence[str] = ()) -> int:
        """Append a record to the audit trail, to be found by the keys `about`; return its number."""
        self.check()
        transaction, execute = self._transaction, self._execute
        try:
            number, digest = transaction.audit_tail()
            number, digest = number + 1, hashlib.sha256(digest + record).digest()
            execute("INSERT INTO audit VALUES (?, ?, ?, ?)", (number, record, digest, transaction.lu))
            if about:
                rows = [(key, number) for key in about]
                self._link.connection.executemany("INSERT OR IGNORE INTO audit_about VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            self._fail(error)
        transaction.audit_number, transaction.audit_digest = number, digest
        return number

    def trim_audit(self, through: int) -> None:
        """Take away the audit records up to a number, the newest excepted."""
        self.check()
        execute = self._execute
        try:
            text = "SELECT number, digest FROM audit WHERE number <= ? AND number < ? ORDER BY number DESC LIMIT 1"
            last = execute(text, (through, self._transaction.audit_tail()[0])).fetchone()
            if last is None:
                return
            execute("DELETE FROM audit_about WHERE number <= ?", (last[0],))
            execute("DELETE FROM audit WHERE number <= ?", (last[0],))
            execute("DELETE FROM audit_anchor")
            execute("INSERT INTO audit_anchor VALUES (?, ?)", last)
        except sqlite3.Error as error:
            self._fail(error)

    def set_record(self, kind: str, key: str, body: bytes, due: int | None = None) -> None:
        """Keep a record, in place of one with the same kind and key."""
        self.check()
        try:
            self._execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)", (kind, key, body, due))
        except sqlite3.Error as error:
            self._fail(error)

    def remove_record(self, kind: str, key: str) -> bool:
        """Forget a record; return whether there was one."""
        self.check()
        try:
            return self._execute("DELETE FROM record WHERE kind = ? AND key = ?", (kind, key)).rowcount > 0
        except sqlite3.Error as error:
            self._fail(error)

    def erase(self, resource_type: str, resource_id: str) -> int:
        """Forget the bodies of all versions of a deleted resource; raises VersionConflict when it is not deleted."""
        self.check()
        newest = self.current(resource_type, resource_id)
        if newest is None or not newest.deleted:
            raise VersionConflict(f"{resource_type}/{resource_id} is not deleted. Delete it before it is erased.")
        try:
            number = self._pending.find(self._execute, (resource_type, "", ""))
            text = "UPDATE version SET body = NULL WHERE type = ? AND id = ? AND body IS NOT NULL"
            with self._link.overwriting():
                return self._execute(text, (number, resource_id)).rowcount
        except sqlite3.Error as error:
            self._fail(error)

    def on_link(self, work: Callable[[Link, int], T]) -> T:
        """Run work of this adapter's own on the writing connection; it is told the time of the commit."""
        self.check()
        return work(self._link, self._transaction.lu)

    def check(self) -> None:
        """Raise the database error that the unit met, if any, whatever its work made of it."""
        if self._broken is not None:
            raise self._broken

    def reindex(self, version: Version, entries: Sequence[Entry]) -> bool:
        """Replace the index entries of a version if it is still current; return whether it is."""
        self.check()
        try:
            number = self._pending.find(self._execute, (version.type, "", ""))
            text = "SELECT seq FROM head WHERE type = ? AND id = ? AND seq = ? AND live"
            if self._execute(text, (number, version.id, version.sequence)).fetchone() is None:
                return False
            before = index.remove(self._link, version.sequence)
            if index.insert(self._link, self._pending, version.type, version.sequence, entries, before):
                self._transaction.texts = True
        except sqlite3.Error as error:
            self._fail(error)
        return True

    def _append(
        self, number: int, resource_type: str, resource_id: str, version: int, method: str, body: bytes | None
    ) -> int:
        """Write version and head, and clear the index of the version before; return the sequence number."""
        execute, transaction = self._execute, self._transaction
        newest = execute("SELECT seq, vid, live FROM head WHERE type = ? AND id = ?", (number, resource_id)).fetchone()
        self._expect(resource_type, resource_id, version, 0 if newest is None else newest[1])
        seq = transaction.last_seq + 1
        execute(
            "INSERT INTO version VALUES (?, ?, ?, ?, ?, ?, ?)",
            (seq, number, resource_id, version, transaction.lu, method, body),
        )
        transaction.last_seq = seq
        live = body is not None
        if newest is None:
            execute("INSERT INTO head VALUES (?, ?, ?, ?, ?)", (number, resource_id, seq, version, live))
        else:
            text = "UPDATE head SET seq = ?, vid = ?, live = ? WHERE type = ? AND id = ?"
            execute(text, (seq, version, live, number, resource_id))
            if newest[2]:
                index.remove(self._link, newest[0])
                execute("DELETE FROM live WHERE type = ? AND seq = ?", (number, newest[0]))
        if live is not (newest is not None and bool(newest[2])):
            transaction.totals[number] = transaction.totals.get(number, 0) + (1 if live else -1)
        if live:
            execute("INSERT INTO live VALUES (?, ?)", (number, seq))
        return seq

    @staticmethod
    def _expect(resource_type: str, resource_id: str, version: int, newest: int) -> None:
        if version != newest + 1:
            found = f"version {newest} of {resource_type}/{resource_id} is the newest"
            found = found if newest else f"{resource_type}/{resource_id} does not exist"
            raise VersionConflict(
                f"Version {version} was to be written, but {found}. Read the resource again and repeat the change."
            )

    def _fail(self, error: sqlite3.Error) -> NoReturn:
        meaning: FhirError | None = explained(error)
        self._broken = meaning or error
        raise self._broken from error
