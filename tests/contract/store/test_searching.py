"""Guarantee 5 and the order of results; what each node means is proved against the reference interpreter elsewhere."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.interactions.search_hierarchies import Follower
from fhir_server.model.codec import encode
from fhir_server.model.errors import TooCostly
from fhir_server.model.temporal import END
from fhir_server.search.compare import INSTANT_US, compare
from fhir_server.search.extract import Extractor
from fhir_server.search.match import distance
from fhir_server.search.parameters import Registry
from fhir_server.search.query import (
    EVERYTHING,
    NOTHING,
    And,
    LastUpdated,
    Near,
    Or,
    Prefix,
    Query,
    RefersTo,
    SortKey,
    StringIs,
    TextMode,
    TokenIs,
)
from fhir_server.search.values import DateEntry, Entry, NumberEntry, PositionEntry, StringEntry, TokenEntry
from fhir_server.store.port import Row, Store, UnitOfWork
from tests.contract.search.truth import Table, tables
from tests.contract.store.staged import SetClock, ids, put_task

TABLES = list(tables())


def put(store: Store, identity: str, *entries: Entry, version: int = 1) -> None:
    store.write(lambda unit: unit.put("Task", identity, version, b"{}", entries, "PUT"))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_store_finds_what_the_truth_tables_say(open_store: Callable[..., Store], table: Table) -> None:
    registry = Registry.load()
    clock = SetClock()
    store = open_store(clock)
    stored = sorted(table.stored(registry), key=lambda resource: resource.last_updated_us)
    for instant in sorted({resource.last_updated_us for resource in stored}):
        clock.now = instant // 1000
        together = [resource for resource in stored if resource.last_updated_us == instant]

        def work(unit: UnitOfWork, together: list[Any] = together) -> None:
            for r in together:
                unit.put(r.type, r.id, 1, encode(r.body), r.entries, "POST")

        store.write(work)
    wrong, extractor = [], Extractor(registry, table.own_base)
    for row in table.rows:
        request = store.read(lambda s, row=row: table.request(registry, row, Follower(extractor, s)))
        found = set(ids(store, request.where, resource_type=request.resource_type))
        if found != row.matches:
            wrong.append((row.query, sorted(found ^ row.matches)))
    assert wrong == []


@pytest.mark.parametrize("prefix", Prefix)
def test_last_updated_compares_as_the_truth_table_says(open_store: Callable[..., Store], prefix: Prefix) -> None:
    clock = SetClock(1_000)
    store = open_store(clock)
    for step in range(6):
        clock.now = 1_000 + 10 * step
        put(store, str(step))
    edges = [t * 1000 + off for t in (0, 1_009, 1_010, 1_011, 1_020, 1_049, 1_050, 1_051) for off in (-1, 0, 1, 500)]
    for lo in edges:
        for width in (1, 1_000, 10_000, 1_000_000):
            node = LastUpdated(prefix, lo, lo + width)
            times = {str(step): (1_000 + 10 * step) * 1000 for step in range(6)}
            expected = {i for i, t in times.items() if compare(prefix, t, t + INSTANT_US, lo, lo + width)}
            assert set(ids(store, node)) == expected, (node, expected)


def test_the_default_order_is_newest_first(store: Store) -> None:
    for identity in ("a", "b", "c"):
        put(store, identity)
    put(store, "a", version=2)
    assert ids(store, EVERYTHING) == ["a", "c", "b"]
    assert ids(store, EVERYTHING, SortKey("_lastUpdated")) == ["b", "c", "a"]
    assert ids(store, EVERYTHING, SortKey("_id")) == ["a", "b", "c"]
    assert ids(store, NOTHING) == []


def test_values_sort_by_the_least_descending_by_the_greatest_and_absent_last(store: Store) -> None:
    put(store, "both", NumberEntry("n", 1), NumberEntry("n", 9))
    put(store, "mid", NumberEntry("n", 5))
    put(store, "none")
    put(store, "same", NumberEntry("n", 5))
    assert ids(store, EVERYTHING, SortKey("n")) == ["both", "mid", "same", "none"]
    assert ids(store, EVERYTHING, SortKey("n", descending=True)) == ["both", "mid", "same", "none"]
    assert ids(store, EVERYTHING, SortKey("n"), SortKey("_lastUpdated", descending=True)) == [
        "both",
        "same",
        "mid",
        "none",
    ]
    assert ids(store, EVERYTHING, SortKey("unheard-of")) == ["both", "mid", "none", "same"]


def test_each_type_of_value_sorts(store: Store) -> None:
    put(store, "a", TokenEntry("t", None, "z"), StringEntry("s", "zoe", "Zoe"), DateEntry("d", 9, 10))
    put(store, "b", TokenEntry("t", "http://s", "y"), StringEntry("s", "ann", "Ann"), DateEntry("d", 5, 20))
    for param in ("t", "s", "d"):
        assert ids(store, EVERYTHING, SortKey(param)) == ["b", "a"]
        assert ids(store, EVERYTHING, SortKey(param, descending=True)) == ["a", "b"]


def pages(store: Store, query: Query, between: Callable[[int], None] = lambda _: None) -> list[Row]:
    found: list[Row] = []
    step = query
    while page := store.read(lambda s, step=step: s.search(step)):
        found += page
        assert {type(value) for row in page for value in row.position} <= {str, int, float, type(None)}
        step = dataclasses.replace(query, after=page[-1].position)
        between(len(found))
    return found


@pytest.mark.parametrize(
    "sort",
    [(), (SortKey("_lastUpdated"),), (SortKey("_id"),), (SortKey("n"), SortKey("s", descending=True)), (SortKey("d"),)],
    ids=str,
)
def test_paging_neither_skips_nor_repeats_what_did_not_change(store: Store, sort: tuple[SortKey, ...]) -> None:
    for number in range(20):
        entries: list[Entry] = [TokenEntry("t", None, "c")]
        if number % 3:
            entries.append(NumberEntry("n", number % 4))
        if number % 2:
            entries.append(StringEntry("s", str(number % 5), ""))
            entries.append(DateEntry("d", 2**50 + number % 5, END))
        put(store, f"r{number:02}", *entries)

    changed = {f"r{n:02}" for n in range(4)}

    def disturb(seen: int) -> None:
        if seen <= 4:
            store.write(lambda unit: put_again(unit, f"r{seen % 4:02}"))
        if seen <= 12:
            put(store, f"new{seen:02}", TokenEntry("t", None, "c"), NumberEntry("n", seen % 4))

    def put_again(unit: UnitOfWork, identity: str) -> None:
        current = unit.current("Task", identity)
        assert current is not None
        version = current.version + 1
        unit.put("Task", identity, version, b"{}", (TokenEntry("t", None, "c"),), "PUT")

    found = [row.version.id for row in pages(store, Query("Task", TokenIs("t", None, "c"), sort, limit=3), disturb)]
    steady = [identity for identity in found if identity.startswith("r") and identity not in changed]
    assert sorted(steady) == [f"r{n:02}" for n in range(4, 20)]


def test_nothing_is_cut_off_and_counting_stops_where_it_is_told(store: Store, share: int) -> None:
    total = 1234 // share
    store.write(lambda unit: [unit.put("Task", str(n), 1, b"{}", (), "POST") for n in range(total)])
    assert len(ids(store, EVERYTHING)) == total
    assert store.read(lambda s: s.count(Query("Task"))) == total
    assert store.read(lambda s: s.count(Query("Task", limit=5, after=(7,)))) == total
    assert store.read(lambda s: s.count(Query("Task"), 100)) == 100
    assert store.read(lambda s: s.count(Query("Task", NOTHING), 100)) == 0


def test_long_lists_of_alternatives_are_answered(store: Store) -> None:
    for number in range(40):
        put(store, str(number), TokenEntry("t", "http://s", str(number)), DateEntry("d", number, number + 1))
    many = Or(tuple(TokenIs("t", "http://s", str(n)) for n in range(3000)))
    assert len(ids(store, many)) == 40
    assert len(ids(store, many, SortKey("_lastUpdated"))) == 40
    mixed = Or(tuple(And((TokenIs("t", "http://s", str(n)), TokenIs("t", None, str(n)))) for n in range(400)))
    assert len(ids(store, And((mixed, Or(many.parts[:30]))))) == 30


def test_near_gives_the_distance_and_is_sorted_by_it(store: Store) -> None:
    places = {"ghent": (51.0543, 3.7174), "aalst": (50.9378, 4.0403), "brussels": (50.8467, 4.3525)}
    for name, (latitude, longitude) in places.items():
        put(store, name, PositionEntry("near", latitude, longitude), TokenEntry("t", None, "c"))
    put(store, "both", PositionEntry("near", 51.0, 3.7), PositionEntry("near", 50.0, 5.0))
    here = (51.05, 3.72)
    query = Query("Task", Near("near", *here, 60_000), limit=2)
    found = pages(store, query)
    assert [row.version.id for row in found] == ["ghent", "both", "aalst", "brussels"]
    assert found[0].distance == pytest.approx(distance(*here, *places["ghent"]), abs=1e-6)
    assert found[1].distance == pytest.approx(distance(*here, 51.0, 3.7), abs=1e-6)
    by_id = store.read(lambda s: s.search(Query("Task", query.where, (SortKey("_id"),))))
    assert [row.version.id for row in by_id] == ["aalst", "both", "brussels", "ghent"]
    assert [row.distance for row in by_id if row.version.id == "ghent"] == [found[0].distance]
    assert all(row.distance is None for row in store.read(lambda s: s.search(Query("Task", TokenIs("t", None, "c")))))


def test_referrers_are_current_resources_that_refer_by_any_parameter(store: Store) -> None:
    store.write(lambda unit: put_task(unit, "1", owner="Organization/o1"))
    store.write(lambda unit: put_task(unit, "2", owner="Organization/o1"))
    store.write(lambda unit: put_task(unit, "3", owner="Organization/o1"))
    store.write(lambda unit: unit.delete("Task", "2", 2))
    store.write(lambda unit: put_task(unit, "3", owner="Organization/o2"))
    assert store.read(lambda s: s.referrers("Organization/o1", 10)) == ["Task/1"]
    assert store.read(lambda s: s.referrers("Organization/o9", 10)) == []
    assert ids(store, RefersTo("owner", "Organization/o2")) == ["3"]


def test_a_search_inside_a_unit_sees_what_the_unit_did(store: Store) -> None:
    put(store, "old", TokenEntry("t", None, "c"))

    def work(unit: UnitOfWork) -> list[str]:
        unit.put("Task", "new", 1, b"{}", (TokenEntry("t", None, "c"), TokenEntry("u", None, "c")), "POST")
        now = unit.last_updated * 1000
        since = And((TokenIs("t", None, "c"), LastUpdated(Prefix.GE, now, now + 1000)))
        return [
            *(row.version.id for row in unit.search(Query("Task", TokenIs("t", None, "c")))),
            *(row.version.id for row in unit.search(Query("Task", TokenIs("u", None, "c")))),
            *(row.version.id for row in unit.search(Query("Task", since))),
        ]

    assert store.write(work) == ["new", "old", "new", "new"]


def test_what_would_take_too_long_is_refused_and_not_cut_off(open_store: Callable[..., Store], share: int) -> None:
    store = open_store(query_seconds=0.0)
    store.write(lambda unit: [put_task(unit, str(n), note="n" * 50) for n in range(3000 // share)])
    costly = StringIs("note", TextMode.CONTAINS, "nx")
    for ask in (lambda s: s.count(Query("Task", costly)), lambda s: s.search(Query("Task", costly))):
        with pytest.raises(TooCostly, match="Add a parameter that narrows it"):
            store.read(ask)
        with pytest.raises(TooCostly):
            store.write(ask)
    assert store.read(lambda s: s.last_sequence()) == 3000 // share


def test_the_nearest_page_is_the_same_in_any_circle(store: Store, share: int) -> None:
    """Many places, some at one distance, some with two positions: pages of any size are parts of one order."""

    def work(unit: UnitOfWork) -> None:
        for number in range(150):
            east = 0.0001 * (number % 75) * (-1 if number >= 75 else 1)
            entries: list[Entry] = [PositionEntry("near", 51.0, 4.0 + east)]
            if number % 10 == 0:
                entries.append(PositionEntry("near", 51.05, 4.0))
            unit.put("Task", f"p{number:03}", 1, b"{}", entries, "POST")

    store.write(work)
    for metres in (50.0, 600.0, 20_000.0):
        where = Near("near", 51.0, 4.0, metres)
        whole = [row.version.id for row in pages(store, Query("Task", where, limit=1_000))]
        places = {
            f"p{n:03}": distance(51.0, 4.0, 51.0, 4.0 + 0.0001 * (n % 75) * (-1 if n >= 75 else 1)) for n in range(150)
        }
        assert whole == sorted((i for i, far in places.items() if far <= metres), key=lambda i: (places[i], i))
        for limit in (1, 7, 20)[share > 1 :]:
            assert [row.version.id for row in pages(store, Query("Task", where, limit=limit))] == whole
