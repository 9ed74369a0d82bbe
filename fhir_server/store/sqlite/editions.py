"""Loading and removing large code systems in the store file; `store.sqlite.concepts` says how they are kept."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from fhir_server.model.errors import Unavailable
from fhir_server.store.concepts import ConceptRow, Edition, EditionHead
from fhir_server.store.port import UnitOfWork
from fhir_server.store.sqlite.concepts import EDITION, STAMP
from fhir_server.store.sqlite.link import Link
from fhir_server.store.sqlite.unit import SqliteUnit

T = TypeVar("T")

_ABANDONED_MS: Final = 600_000
"""A staged edition that has not grown for so long belongs to a process that is gone."""
_TABLES: Final = (
    "CREATE TABLE concept_{n} (number INTEGER PRIMARY KEY, key TEXT NOT NULL, body BLOB NOT NULL, reach BLOB NOT NULL)",
    "CREATE TABLE concept_parent_{n} (child INTEGER NOT NULL, parent INTEGER NOT NULL)",
    """CREATE VIRTUAL TABLE concept_words_{n} USING fts5(
        words, content = '', columnsize = 0, detail = none, tokenize = 'ascii')""",
)
_INDEXES: Final = (
    "CREATE UNIQUE INDEX concept_key_{n} ON concept_{n} (key)",
    "CREATE INDEX concept_down_{n} ON concept_parent_{n} (parent, child)",
    "CREATE INDEX concept_up_{n} ON concept_parent_{n} (child, parent)",
)
"""Made when all is there, which is much quicker than to keep them up row by row."""


class EditionLoader:
    """Loads and removes editions by units of work; `write` runs one."""

    def __init__(self, write: Callable[[Callable[[UnitOfWork], Any]], Any]) -> None:
        self._write = write

    def load(self, head: EditionHead, batches: Iterable[Sequence[ConceptRow]]) -> Edition:
        """Stage an edition batch by batch, then make it visible."""
        number = self._run(lambda link, now: _stage(link, head, now))
        try:
            for batch in batches:
                self._run(partial(_add, number, batch))
            self._run(lambda link, now: _index(link, number, now))
            return self._run(lambda link, now: _show(link, number, head, now))
        except BaseException:
            self._run(lambda link, _: _drop(link, number))
            raise

    def remove(self, system: str, version: str) -> bool:
        """Take an edition away; return whether there was one."""

        def work(link: Link, _: int) -> bool:
            old = _visible(link, system, version)
            for number in old:
                _drop(link, number)
            if old:
                _stamp(link)
            return bool(old)

        return self._run(work)

    def _run(self, work: Callable[[Link, int], T]) -> T:
        def unit(unit: UnitOfWork) -> T:
            assert isinstance(unit, SqliteUnit)  # noqa: S101  # our own writer made it
            return unit.on_link(work)

        found: T = self._write(unit)
        return found


def _stage(link: Link, head: EditionHead, now: int) -> int:
    for (left,) in link.execute(
        "SELECT number FROM edition WHERE NOT live AND touched < ?", (now - _ABANDONED_MS,)
    ).fetchall():
        _drop(link, left)
    text = "INSERT INTO edition (system, version, concepts, loaded, touched, live, body) VALUES (?, ?, 0, 0, ?, 0, ?)"
    number = link.execute(text, (head.system, head.version, now, head.body)).lastrowid or 0
    for table in _TABLES:
        link.execute(table.format(n=number))
    return number


def _add(number: int, rows: Sequence[ConceptRow], link: Link, now: int) -> None:
    _touch(link, number, now, len(rows))
    many = link.executemany
    many(f"INSERT INTO concept_{number:d} VALUES (?, ?, ?, ?)", [(r.number, r.key, r.body, r.reach) for r in rows])
    many(
        f"INSERT INTO concept_parent_{number:d} VALUES (?, ?)",
        [(row.number, parent) for row in rows for parent in row.parents],
    )
    many(
        f"INSERT INTO concept_words_{number:d} (rowid, words) VALUES (?, ?)",
        [(row.number, " ".join(row.words)) for row in rows],
    )


def _index(link: Link, number: int, now: int) -> None:
    _touch(link, number, now, 0)
    for index in _INDEXES:
        link.execute(index.format(n=number))


def _show(link: Link, number: int, head: EditionHead, now: int) -> Edition:
    _touch(link, number, now, 0)
    for old in _visible(link, head.system, head.version):
        _drop(link, old)
    link.execute("UPDATE edition SET live = 1, loaded = ? WHERE number = ?", (now, number))
    _stamp(link)
    return Edition(*link.execute(f"SELECT {EDITION} FROM edition WHERE number = ?", (number,)).fetchone())


def _touch(link: Link, number: int, now: int, more: int) -> None:
    text = "UPDATE edition SET touched = ?, concepts = concepts + ? WHERE number = ?"
    if not link.execute(text, (now, more, number)).rowcount:
        raise Unavailable(
            "The code system that is being loaded was taken away meanwhile. Nothing was loaded; load again."
        )


def _visible(link: Link, system: str, version: str) -> list[int]:
    text = "SELECT number FROM edition WHERE live AND system = ? AND version = ?"
    return [row[0] for row in link.execute(text, (system, version)).fetchall()]


def _drop(link: Link, number: int) -> None:
    link.execute("DELETE FROM edition WHERE number = ?", (number,))
    for table in ("concept", "concept_parent", "concept_words"):
        link.execute(f"DROP TABLE IF EXISTS {table}_{number:d}")


def _stamp(link: Link) -> None:
    link.execute("INSERT INTO note VALUES (?, '1') ON CONFLICT (name) DO UPDATE SET value = value + 1", (STAMP,))
