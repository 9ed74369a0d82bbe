"""A file of the schema before cells, shapes, pairs and totals opens, and every search in it finds what it found."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.model.clock import SystemClock
from fhir_server.search.query import (
    EVERYTHING,
    And,
    Chain,
    Missing,
    Near,
    Node,
    Or,
    Query,
    RefersTo,
    SortKey,
    TokenIs,
)
from fhir_server.search.values import DateEntry, Entry, PositionEntry, ReferenceEntry, TokenEntry
from fhir_server.store.port import UnitOfWork
from fhir_server.store.sqlite import SqliteStore
from fhir_server.store.sqlite.schema import STEPS

OLD = 4
"""The schema before."""
STATUSES = ("requested", "accepted", "completed")
OWNED = RefersTo("owner", "Organization/o1")
QUESTIONS: dict[str, tuple[str, Node, tuple[SortKey, ...]]] = {
    "pair": ("Task", And((OWNED, TokenIs("status", None, "requested"))), ()),
    "pair, any of two": ("Task", And((OWNED, Or(tuple(TokenIs("status", None, code) for code in STATUSES[:2])))), ()),
    "absent": ("Task", And((Missing("owner", True), TokenIs("status", None, "requested"))), ()),
    "present": ("Task", Missing("authored-on", False), ()),
    "near": ("Location", Near("near", 50.9, 4.4, 30_000), ()),
    "near the date line": ("Location", Near("near", 0.0, 179.99, 30_000), ()),
    "linked and near": ("HealthcareService", Chain("location", "Location", Near("near", 50.9, 4.4, 30_000)), ()),
    "sorted": ("Task", EVERYTHING, (SortKey("authored-on"),)),
}


def fill(unit: UnitOfWork) -> None:
    for number in range(60):
        task: list[Entry] = [TokenEntry("status", None, STATUSES[number % 3])]
        if number % 4:
            task.append(ReferenceEntry("owner", f"Organization/o{number % 2}"))
        if number % 5:
            task.append(DateEntry("authored-on", number % 7, number % 7 + 1))
        unit.put("Task", f"t{number}", 1, b"{}", task[:: -1 if number % 2 else 1], "POST")
        place = PositionEntry("near", 50.9 + number / 500, 4.4) if number % 2 else PositionEntry("near", 0.0, -179.99)
        unit.put("Location", f"l{number}", 1, b"{}", (place,), "POST")
        unit.put(
            "HealthcareService", f"h{number}", 1, b"{}", (ReferenceEntry("location", f"Location/l{number}"),), "POST"
        )
    unit.put("Task", "bare", 1, b"{}", (), "POST")
    unit.delete("Task", "t59", 2)


def made_old(path: Path) -> None:
    """Take out of a file what the newest steps of the schema have put in."""
    file = sqlite3.connect(path)
    file.execute(
        "CREATE TABLE old (p INTEGER, lat REAL, lon REAL, seq INTEGER, PRIMARY KEY (p, lat, lon, seq)) WITHOUT ROWID"
    )
    file.execute("INSERT INTO old SELECT p, lat, lon, seq FROM geo")
    file.execute("DROP TABLE geo")
    file.execute("ALTER TABLE old RENAME TO geo")
    file.execute("CREATE INDEX geo_seq ON geo (seq, p, lat, lon)")
    file.execute("DROP TABLE total")
    new = {str(row[0]) for row in file.execute("SELECT p FROM name WHERE kind IN ('m', 'p')")}
    for seq, present, keys in file.execute("SELECT seq, present, keys FROM doc").fetchall():
        kept = {p: values for p, values in json.loads(keys).items() if p not in new}
        numbers = [number for number in present.split(",") if number][::-1]
        listed = f",{','.join(numbers)}," if numbers else ""
        file.execute("UPDATE doc SET present = ?, keys = ? WHERE seq = ?", (listed, json.dumps(kept), seq))
    file.execute("DELETE FROM eq WHERE p IN (SELECT p FROM name WHERE kind IN ('m', 'p'))")
    file.execute("DELETE FROM name WHERE kind IN ('m', 'p')")
    file.execute("DELETE FROM schema_version WHERE step > ?", (OLD,))
    file.commit()
    file.close()


def upgraded(path: Path) -> SqliteStore:
    store = SqliteStore(path, SystemClock(), synchronous="NORMAL")
    store.write(fill)
    store.close()
    made_old(path)
    return SqliteStore(path, SystemClock(), synchronous="NORMAL")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SqliteStore, SqliteStore]]:
    folder = tmp_path_factory.mktemp("upgrade")
    new = SqliteStore(folder / "new", SystemClock(), synchronous="NORMAL")
    new.write(fill)
    old = upgraded(folder / "old")
    yield new, old
    new.close()
    old.close()


def found(store: SqliteStore, name: str) -> list[str]:
    resource_type, where, sort = QUESTIONS[name]
    query = Query(resource_type, where, sort, 100)
    return [row.version.id for row in store.read(lambda snapshot: snapshot.search(query))]


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_older_file_finds_the_same(stores: tuple[SqliteStore, SqliteStore], name: str) -> None:
    new, old = stores
    assert found(old, name) == found(new, name) != []


def test_an_older_file_counts_the_same(stores: tuple[SqliteStore, SqliteStore]) -> None:
    counts = [store.read(lambda snapshot: snapshot.count(Query("Task"))) for store in stores]
    assert counts == [60, 60]


def test_what_was_made_from_an_older_file_goes_out_with_its_version(tmp_path: Path) -> None:
    store = upgraded(tmp_path / "store.db")
    present = Query("Task", Missing("authored-on", False))

    def work(unit: UnitOfWork) -> tuple[int, int]:
        unit.delete("Task", "t3", 2)
        return unit.count(present), unit.count(Query("Task"))

    before = store.read(lambda snapshot: snapshot.count(present))
    counted = store.write(work)
    store.close()
    file = sqlite3.connect(tmp_path / "store.db")
    left = file.execute("SELECT count(*) FROM eq WHERE seq NOT IN (SELECT seq FROM doc)").fetchone()[0]
    total = file.execute("SELECT max(number) FROM total").fetchone()[0]
    file.close()
    assert len(STEPS) > OLD
    assert counted == (before - 1, 59)
    assert left == 0
    assert total == 60
