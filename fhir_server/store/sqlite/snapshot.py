"""What can be asked of one committed state of the file, or of a unit of work that is still open."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from fhir_server.search.query import EVERYTHING, Query
from fhir_server.store.port import (
    AuditAnchor,
    AuditRecord,
    Explanation,
    HistoryScope,
    OutboxEvent,
    Record,
    Row,
    Version,
)
from fhir_server.store.sqlite.compile import Compiler
from fhir_server.store.sqlite.concepts import SqliteConcepts
from fhir_server.store.sqlite.explain import explain
from fhir_server.store.sqlite.link import Link, overflowed
from fhir_server.store.sqlite.names import Names
from fhir_server.store.sqlite.sql import deepest_first

T = TypeVar("T")

_COLUMNS = "seq, type, id, vid, lu, method, body"
_CURRENT = """SELECT v.seq, v.vid, v.lu, v.method, v.body FROM head AS h CROSS JOIN version AS v ON v.seq = h.seq
    WHERE h.type = ? AND h.id = ?"""
_VERSION = "SELECT seq, vid, lu, method, body FROM version WHERE type = ? AND id = ? AND vid = ?"
_REFERRERS = """SELECT DISTINCT n.type || '/' || v.id FROM ref AS r CROSS JOIN version AS v ON v.seq = r.seq
    CROSS JOIN name AS n ON n.p = v.type WHERE r.target = ? LIMIT ?"""
_NEXT = """ifnull((SELECT n.lu FROM version AS n
    WHERE n.type = version.type AND n.id = version.id AND n.vid = version.vid + 1), 9223372036854775807)"""
"""When a version ceased to be current; two versions of one commit follow at once, so the first never was."""


class SqliteSnapshot(SqliteConcepts):
    """The reading half of a unit of work; see `store.port.Snapshot` for what each method promises."""

    __slots__ = ("_execute", "_link", "_names")

    def __init__(self, link: Link, names: Names) -> None:
        self._link = link
        self._execute = link.execute
        self._names = names

    def current(self, resource_type: str, resource_id: str) -> Version | None:
        """Return the newest version, a deletion included; None when there never was one."""
        number = self._names.number_of(self._execute, resource_type)
        row = self._execute(_CURRENT, (number, resource_id)).fetchone()
        return None if row is None else Version(row[0], resource_type, resource_id, *row[1:])

    def version(self, resource_type: str, resource_id: str, version: int) -> Version | None:
        """Return one version, a deletion included."""
        number = self._names.number_of(self._execute, resource_type)
        row = self._execute(_VERSION, (number, resource_id, version)).fetchone()
        return None if row is None else Version(row[0], resource_type, resource_id, *row[1:])

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
        where, values = self._scope(scope)
        if before is not None:
            where.append("seq < ?")
            values.append(before)
        if since_ms is not None:
            where.append("seq > ?")
            values.append(self._last_before(since_ms))
        if at is not None:
            low, high = at
            where.append(f"lu < ? AND {_NEXT} > max(lu, ?)")
            values += [high, low]
        order = "seq" if scope.id is None else "vid"  # the same order; each has its index
        text = f"SELECT {_COLUMNS} FROM {_by(scope)} WHERE {' AND '.join(where) or '1'} ORDER BY {order} DESC LIMIT ?"
        with self._link.bounded():
            return self._versions(self._execute(text, (*values, limit)))

    def history_total(self, scope: HistoryScope, *, since_ms: int | None = None) -> int:
        """Count the versions that `history` would give in all."""
        where, values = self._scope(scope)
        if since_ms is not None:
            where.append("seq > ?")
            values.append(self._last_before(since_ms))
        text = f"SELECT count(*) FROM {_by(scope)} WHERE {' AND '.join(where) or '1'}"
        with self._link.bounded():
            return int(self._execute(text, values).fetchone()[0])

    def changes(self, after: int, limit: int, resource_types: Sequence[str] = ()) -> list[Version]:
        """Return the changes after a sequence number, oldest first: the gapless feed."""
        if not resource_types:
            text = f"SELECT {_COLUMNS} FROM version WHERE seq > ? ORDER BY seq LIMIT ?"
            return self._versions(self._execute(text, (after, limit)))
        numbers = {self._names.number_of(self._execute, name) for name in resource_types}
        one = "SELECT * FROM (SELECT seq FROM version WHERE type = ? AND seq > ? ORDER BY seq LIMIT ?)"
        arms = " UNION ALL ".join([one] * len(numbers))
        values = [value for number in numbers for value in (number, after, limit)]
        text = f"SELECT {_COLUMNS} FROM version WHERE seq IN ({arms}) ORDER BY seq LIMIT ?"
        return self._versions(self._execute(text, (*values, limit)))

    def last_sequence(self) -> int:
        """Return the sequence number of the newest visible change, 0 in an empty store."""
        return int(self._execute("SELECT ifnull(max(seq), 0) FROM version").fetchone()[0])

    def search(self, query: Query) -> list[Row]:
        """Return up to `query.limit` rows. Raises TooCostly when the limit of time is reached."""
        return self._bounded(
            lambda: Compiler(self._link, self._names).search(query, lambda: self._total_of(query.type))
        )

    def count(self, query: Query, limit: int | None = None) -> int:
        """Count what matches, at most up to `limit`. Raises TooCostly when the limit of time is reached."""
        if query.where == EVERYTHING:
            total = self._total_of(query.type)
            return total if limit is None else min(total, limit)

        def work() -> int:
            text, values = Compiler(self._link, self._names).count(query, limit)
            return int(self._execute(text, values).fetchone()[0])

        return self._bounded(work)

    def explain(self, query: Query) -> Explanation:
        """Run a search and tell how. Raises TooCostly when the limit of time is reached."""
        return explain(self._link, self._names, query, lambda: self._total_of(query.type))

    def note(self, name: str) -> str | None:
        """Return what was noted under a name, None when nothing was."""
        row = self._execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def referrers(self, target: str, limit: int = 1) -> list[str]:
        """Return `Type/id` of current resources that refer to `target` by any reference parameter."""
        return [row[0] for row in self._execute(_REFERRERS, (target, limit))]

    def audit(
        self, after: int, limit: int, about: Sequence[str] = (), recorded: tuple[int, int] | None = None
    ) -> list[AuditRecord]:
        """Return audit records after a number, oldest first, by keys and time."""
        first, *more = about or (None,)
        source, where = "audit AS a", ["a.number > ?"]
        values: list[str | int] = [after]
        if first is not None:
            source = "audit_about AS k CROSS JOIN audit AS a USING (number)"
            where, values = ["k.about = ?", "k.number > ?"], [first, after]
        for key in more:
            where.append("EXISTS (SELECT 1 FROM audit_about AS o WHERE o.about = ? AND o.number = a.number)")
            values.append(key)
        if recorded is not None:
            where.append("a.recorded >= ? AND a.recorded < ?")
            values.extend(recorded)
        text = f"SELECT a.number, a.record, a.digest, a.recorded FROM {source} WHERE {' AND '.join(where)}"
        return [AuditRecord(*row) for row in self._execute(f"{text} ORDER BY a.number LIMIT ?", (*values, limit))]

    def audit_anchor(self) -> AuditAnchor:
        """Return where the audit trail starts."""
        row = self._execute("SELECT number, digest FROM audit_anchor").fetchone()
        return AuditAnchor() if row is None else AuditAnchor(*row)

    def record(self, kind: str, key: str) -> Record | None:
        """Return one record, None when there is none."""
        row = self._execute(
            "SELECT kind, key, body, due FROM record WHERE kind = ? AND key = ?", (kind, key)
        ).fetchone()
        return None if row is None else Record(*row)

    def records(self, kind: str, after: str = "", limit: int = 100) -> list[Record]:
        """Return the records of a kind after a key, in the order of their keys."""
        text = "SELECT kind, key, body, due FROM record WHERE kind = ? AND key > ? ORDER BY key LIMIT ?"
        return [Record(*row) for row in self._execute(text, (kind, after, limit))]

    def due_records(self, kind: str, before: int, limit: int = 100) -> list[Record]:
        """Return the records of a kind that are due before an instant, first due first."""
        text = """SELECT kind, key, body, due FROM record INDEXED BY record_due
            WHERE kind = ? AND due < ? ORDER BY due, key LIMIT ?"""
        return [Record(*row) for row in self._execute(text, (kind, before, limit))]

    def outbox(self, after: int, limit: int) -> list[OutboxEvent]:
        """Return outbox events after a number, oldest first."""
        text = "SELECT number, seq, topic, payload FROM outbox WHERE number > ? ORDER BY number LIMIT ?"
        return [OutboxEvent(*row) for row in self._execute(text, (after, limit))]

    def _bounded(self, work: Callable[[], T]) -> T:
        """Compile and run under the limit of time; what nests too much is compiled again, so that it takes less to parse."""
        with self._link.bounded():
            try:
                return work()
            except sqlite3.OperationalError as error:
                if not overflowed(error):
                    raise
            with deepest_first():
                return work()

    def _total_of(self, resource_type: str) -> int:
        number = self._names.number_of(self._execute, resource_type)
        return 0 if number is None else self._total(number)

    def _total(self, number: int) -> int:
        row = self._execute("SELECT number FROM total WHERE type = ?", (number,)).fetchone()
        return 0 if row is None else int(row[0])

    def _scope(self, scope: HistoryScope) -> tuple[list[str], list[Any]]:
        where: list[str] = []
        values: list[Any] = []
        if scope.type is not None:
            where.append("type = ?")
            values.append(self._names.number_of(self._execute, scope.type))
        if scope.id is not None:
            where.append("id = ?")
            values.append(scope.id)
        return where, values

    def _last_before(self, lu: int) -> int:
        text = "SELECT last_seq FROM commits WHERE lu < ? ORDER BY lu DESC LIMIT 1"
        row = self._execute(text, (lu,)).fetchone()
        return 0 if row is None else int(row[0])

    def _versions(self, rows: Iterable[tuple[Any, ...]]) -> list[Version]:
        type_of, execute = self._names.type_of, self._execute
        return [Version(row[0], type_of(execute, row[1]), *row[2:]) for row in rows]


def _by(scope: HistoryScope) -> str:
    if scope.type is None:
        return "version"
    return "version INDEXED BY " + ("version_type" if scope.id is None else "version_of")
