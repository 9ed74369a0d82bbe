"""What only a copy of a whole store asks: the keys of audit records, and which kinds of records and notes there are."""

from typing import Any

from fhir_server.store.port import AuditAnchor, Snapshot, UnitOfWork
from fhir_server.store.sqlite.link import Link
from fhir_server.store.sqlite.snapshot import SqliteSnapshot
from fhir_server.store.sqlite.store import SqliteStore
from fhir_server.store.sqlite.unit import SqliteUnit


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
