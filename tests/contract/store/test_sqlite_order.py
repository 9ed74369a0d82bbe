"""A page in the order of a parameter is the same whether an index is walked or all that matches is sorted; totals keep count."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fhir_server.model.clock import SystemClock
from fhir_server.search.query import EVERYTHING, And, Missing, Node, Query, RefersTo, SortKey, TokenIs
from fhir_server.search.values import DateEntry, Entry, NumberEntry, ReferenceEntry, StringEntry, TokenEntry, UriEntry
from fhir_server.store.port import UnitOfWork
from fhir_server.store.sqlite import SqliteStore

MANY = 700
PARAMS = ("date", "string", "number", "token", "uri", "nothing", "_id")
FILTERS: dict[str, Node] = {
    "all": EVERYTHING,
    "half": TokenIs("status", None, "b"),
    "some": And((RefersTo("owner", "Organization/3"), Missing("date", False))),
}


def values(param: str, number: int) -> Sequence[float]:
    """Return what a resource has to be sorted by: none, one value that many share, a few, or its own."""
    chosen = random.Random(f"{param} {number}")
    return [
        chosen.choice((5, 5, 5, chosen.randrange(1, 9), chosen.randrange(1, 5000))) for _ in range(chosen.randrange(4))
    ]


def entries(number: int) -> list[Entry]:
    found: list[Entry] = [
        TokenEntry("status", None, "ab"[number % 2]),
        ReferenceEntry("owner", f"Organization/{number % 5}"),
    ]
    found += [DateEntry("date", int(v), int(v) + number % 3 + 1) for v in values("date", number)]
    found += [StringEntry("string", f"{int(v):05}", f"x{number}") for v in values("string", number)]
    found += [NumberEntry("number", v) for v in values("number", number)]
    found += [TokenEntry("token", None, f"{int(v):05}") for v in values("token", number)]
    found += [UriEntry("uri", f"{int(v):05}") for v in values("uri", number)]
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    path: Path = tmp_path_factory.mktemp("order") / "store.db"
    opened = SqliteStore(path, SystemClock(), synchronous="NORMAL")

    def work(unit: UnitOfWork) -> None:
        for number in range(MANY):
            unit.put("Task", f"t{number * 7919 % 1000:03}", 1, b"{}", entries(number), "POST")

    opened.write(work)
    yield opened
    opened.close()


def expected(param: str, name: str, *, descending: bool) -> list[str]:
    rows = []
    for number in range(MANY):
        has_date = bool(values("date", number))
        if name == "all" or (number % 2 if name == "half" else number % 5 == 3 and has_date):
            rows.append((list(values(param, number)), f"t{number * 7919 % 1000:03}"))
    if param == "_id":
        return sorted((identity for _, identity in rows), reverse=descending)
    if param == "nothing":
        return sorted(identity for _, identity in rows)
    with_value = [(-max(found) if descending else min(found), identity) for found, identity in rows if found]
    return [identity for _, identity in sorted(with_value)] + sorted(identity for found, identity in rows if not found)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("param", PARAMS)
def test_pages_in_order_are_those_of_all_sorted(
    store: SqliteStore, param: str, name: str, descending: bool
) -> None:  # a case of the test
    for size in (9, 40):
        query = Query("Task", FILTERS[name], (SortKey(param, descending),), size)
        found: list[str] = []
        while page := store.read(lambda snapshot, query=query: snapshot.search(query)):  # type: ignore[misc]  # bound at once
            found += [row.version.id for row in page]
            query = Query("Task", FILTERS[name], query.sort, size, page[-1].position)
        assert found == expected(param, name, descending=descending)


class _Undo(Exception):
    pass


def test_the_total_of_a_type_follows_every_change(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db", SystemClock())
    everything = Query("Task")

    def make(unit: UnitOfWork) -> None:
        for number in range(5):
            unit.put("Task", str(number), 1, b"{}", (), "POST")
        unit.put("Task", "1", 2, b"{}", (), "PUT")
        unit.delete("Task", "2", 2)
        assert unit.count(everything) == 4

    def undone(unit: UnitOfWork) -> None:
        unit.delete("Task", "0", 2)
        assert unit.count(everything) == 3
        raise _Undo

    store.write(make)
    with pytest.raises(_Undo):
        store.write(undone)
    store.write(lambda unit: unit.put("Task", "2", 3, b"{}", (), "PUT"))
    again = SqliteStore(tmp_path / "store.db", SystemClock())
    again.write(lambda unit: unit.delete("Task", "4", 2))
    counted = [one.read(lambda snapshot: snapshot.count(everything)) for one in (store, again)]
    listed = store.read(lambda snapshot: len(snapshot.search(everything)))
    capped = store.read(lambda snapshot: snapshot.count(everything, 2))
    unknown = store.read(lambda snapshot: snapshot.count(Query("Basic")))
    store.close()
    again.close()
    assert (counted, listed, capped, unknown) == ([4, 4], 4, 2, 0)
