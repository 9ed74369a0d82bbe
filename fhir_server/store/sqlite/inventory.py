"""What only a copy of a whole store asks: the keys of audit records, and which kinds of records and notes there are."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from typing import Any

from fhir_server.store.concepts import ConceptRow
from fhir_server.store.port import AuditAnchor, Snapshot, UnitOfWork
from fhir_server.store.sqlite.link import Link
from fhir_server.store.sqlite.snapshot import SqliteSnapshot
from fhir_server.store.sqlite.store import SqliteStore
from fhir_server.store.sqlite.unit import SqliteUnit


class _Grouped:
    """What belongs to each number, from rows that ascend by it; the numbers that are asked ascend too."""

    def __init__(self, rows: Iterable[tuple[int, Any]]) -> None:
        self._groups = groupby(rows, key=itemgetter(0))
        self._next = next(self._groups, None)

    def of(self, number: int) -> tuple[Any, ...]:
        """Return what belongs to a number."""
        if self._next is None or self._next[0] != number:
            return ()
        found = tuple(value for _, value in self._next[1])
        self._next = next(self._groups, None)
        return found


class SqliteInventory:
    """See `cli.copying.Inventory` for what each method promises."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def audit_keys(self, first: int, last: int) -> dict[int, list[str]]:
        """Return the keys of the audit records from one number to another."""
        found: dict[int, list[str]] = {}
        text = "SELECT number, about FROM audit_about WHERE number BETWEEN ? AND ? ORDER BY number, about"
        for number, about in self._rows(text, first, last):
            found.setdefault(number, []).append(about)
        return found

    def kinds(self) -> list[str]:
        """Return the kinds of records."""
        return [row[0] for row in self._rows("SELECT DISTINCT kind FROM record ORDER BY kind")]

    def notes(self) -> list[str]:
        """Return the names of the notes."""
        return [row[0] for row in self._rows("SELECT name FROM note ORDER BY name")]

    def bytes_used(self) -> int:
        """Return the bytes of the file, without its log."""
        return int(self._rows("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")[0][0])

    def concepts(self, edition: int) -> Iterator[ConceptRow]:
        """Yield the concepts of an edition by their number.

        Their words are in an index without content: its vocabulary is read in the order of the concepts.
        """
        with closing(sqlite3.connect(f"{self._store.path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            if connection.execute("SELECT 1 FROM edition WHERE live AND number = ?", (edition,)).fetchone() is None:
                return
            table = f"concept_words_{edition:d}"
            connection.execute(f"CREATE VIRTUAL TABLE temp.said USING fts5vocab(main, {table}, instance)")
            connection.execute("BEGIN")
            words = _Grouped(connection.execute("SELECT doc, term FROM temp.said ORDER BY doc, term"))
            parents = _Grouped(connection.execute(f"SELECT * FROM concept_parent_{edition:d} ORDER BY child, parent"))
            text = f"SELECT number, key, reach, body FROM concept_{edition:d} ORDER BY number"
            for number, key, reach, body in connection.execute(text):
                yield ConceptRow(number, key, parents.of(number), words.of(number), reach, body)

    def start_audit(self, unit: UnitOfWork, anchor: AuditAnchor) -> None:
        """Let the audit trail, which must be empty, begin after an anchor; the next record must follow in this unit.

        The record of the anchor stands in for the one that was trimmed until `trim_audit` takes it away.
        """
        assert isinstance(unit, SqliteUnit)  # noqa: S101  # our own store made it

        def work(link: Link, now: int) -> None:
            values = (anchor.number, b"", anchor.digest, now)
            link.execute("INSERT INTO audit (number, record, digest, recorded) VALUES (?, ?, ?, ?)", values)

        unit.on_link(work)

    def _rows(self, text: str, *values: object) -> list[Any]:
        def work(snapshot: Snapshot) -> list[Any]:
            assert isinstance(snapshot, SqliteSnapshot)  # noqa: S101  # our own store made it
            return list(snapshot._execute(text, values))  # noqa: SLF001  # another view of the same adapter

        return self._store.read(work)
