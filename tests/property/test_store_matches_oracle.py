"""Whatever is stored and asked: a store finds exactly the resources that `search.match` says satisfy the query."""

import os
import secrets
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.model.clock import SystemClock
from fhir_server.search import query as q
from fhir_server.search.match import matches
from fhir_server.search.query import Node, Prefix, Query, SortKey, TextMode
from fhir_server.search.text import normalise
from fhir_server.search.values import (
    BaseQuantityEntry,
    CompositeEntry,
    DateEntry,
    Entry,
    NumberEntry,
    PositionEntry,
    QuantityEntry,
    ReferenceEntry,
    SimpleEntry,
    StringEntry,
    TextEntry,
    TokenEntry,
    UriEntry,
)
from fhir_server.store.mongo import MongoStore
from fhir_server.store.port import Snapshot, Store, UnitOfWork
from fhir_server.store.sqlite import SqliteStore
from tests.contract.store.mongo_server import NAMED, database_url, running

TYPES = ("Task", "Patient")
IDS = ("1", "2", "3", "a-b.c")
PARAMS = ("p", "r")
SYSTEMS = ("", "http://s", "http://s/t")
CODES = ("a", "b", "a b", "A")
TEXTS = ("Ann", "ann b", "Änn", "Bob", "an\U0010ffff", "")
URIS = ("http://x", "http://x/", "http://x/y", "http://xy", "urn:z", "http://x|1", "http://x|1|2", "http://x|2")
WORDS = ("a", "ab", "b1", "é字", "дана", "\U0001d7d8x")
TARGETS = ("Task/1", "Task/2", "Patient/1", "Patient/2", "Patient/3", "http://x/y")
VERSIONS = ("", "1", "2")
PREFIXES = tuple(Prefix)
DEGREES = (0.0, 0.01, 51.0, 51.05, -89.99, 89.99)
LONGITUDES = (0.0, 0.02, 3.7, 179.99, -179.99)

params = st.sampled_from(PARAMS)
codes = st.sampled_from(CODES)
systems = st.sampled_from(SYSTEMS)
small = st.integers(0, 6)
points = st.sampled_from((-1.5, 0.0, 1.0, 1.5, 2.0))


def _interval(bounds: tuple[int, int]) -> tuple[int, int]:
    return (bounds[0], bounds[0] + bounds[1])


intervals = st.tuples(small, st.integers(1, 4)).map(_interval)


def simple_entries(param: st.SearchStrategy[str]) -> st.SearchStrategy[SimpleEntry]:
    blank = st.just("")
    return st.one_of(
        st.builds(TokenEntry, param, st.one_of(st.none(), systems), st.one_of(codes, blank), st.sampled_from(TEXTS), systems, st.one_of(codes, blank)),
        st.builds(ReferenceEntry, param, st.sampled_from(TARGETS), st.sampled_from(VERSIONS)),
        st.builds(ReferenceEntry, param, blank, blank, systems, st.one_of(codes, blank), st.sampled_from(("", *TYPES))),
        st.builds(ReferenceEntry, param, st.sampled_from(TARGETS), st.sampled_from(VERSIONS), systems, codes, st.sampled_from(("", *TYPES))),
        st.sampled_from(TEXTS).flatmap(lambda text: st.builds(StringEntry, param, st.just(normalise(text)), st.just(text))),
        st.builds(UriEntry, param, st.sampled_from(URIS)),
        st.builds(lambda p, i: DateEntry(p, *i), param, intervals),
        st.builds(NumberEntry, param, points),
        st.builds(QuantityEntry, param, points, systems, st.one_of(codes, blank), codes),
        st.builds(BaseQuantityEntry, param, points, st.sampled_from(("kg", "m"))),
        st.builds(PositionEntry, param, st.sampled_from(DEGREES), st.sampled_from(LONGITUDES)),
    )  # fmt: skip


def unequal_nodes(param: st.SearchStrategy[str]) -> st.SearchStrategy[Node]:
    """What asks for a value that is none of one or two others, of one kind."""
    any_system = st.one_of(st.none(), systems)
    blank = st.just("")
    alike: tuple[st.SearchStrategy[q.Equality], ...] = (
        st.builds(q.TokenIs, blank, any_system, st.one_of(st.none(), codes)),
        st.builds(q.RefersTo, blank, st.sampled_from(TARGETS), st.sampled_from(VERSIONS)),
        st.builds(q.RefersToIdentifier, blank, any_system, st.one_of(st.none(), codes), st.sampled_from(("", *TYPES))),
        st.builds(q.StringIs, blank, st.just(TextMode.WHOLE), st.sampled_from(TEXTS).map(normalise)),
        st.builds(q.StringIs, blank, st.just(TextMode.EXACT), st.sampled_from(TEXTS)),
        st.builds(q.UriIs, blank, st.just(TextMode.EXACT), st.sampled_from(URIS)),
    )
    values = st.one_of(*(st.lists(one, min_size=1, max_size=2).map(tuple) for one in alike))
    return st.builds(q.Unequal, param, values)


def composite_entries() -> st.SearchStrategy[CompositeEntry]:
    parts = [st.lists(simple_entries(st.just(str(place))), max_size=2).map(tuple) for place in (0, 1)]
    return st.builds(CompositeEntry, st.just("pair"), st.one_of(st.tuples(*parts), st.just(())))


def value_nodes(param: st.SearchStrategy[str]) -> st.SearchStrategy[Node]:
    any_system = st.one_of(st.none(), systems)
    prefix = st.sampled_from(PREFIXES)
    texts = st.sampled_from(("a", "an", "ann", "b", "", "an\U0010ffff"))
    exact = st.builds(q.StringIs, param, st.just(TextMode.EXACT), st.sampled_from(TEXTS))
    folded = st.builds(q.StringIs, param, st.sampled_from((TextMode.STARTS, TextMode.CONTAINS, TextMode.WHOLE)), texts)
    modes = st.sampled_from((TextMode.EXACT, TextMode.BELOW, TextMode.ABOVE, TextMode.CONTAINS))
    return st.one_of(
        st.builds(q.TokenIs, param, any_system, st.one_of(st.none(), codes)),
        st.builds(q.TokenText, param, texts),
        st.builds(q.OfType, param, systems, codes, codes),
        st.builds(q.RefersTo, param, st.sampled_from(TARGETS), st.sampled_from(VERSIONS)),
        st.builds(q.RefersToIdentifier, param, any_system, st.one_of(st.none(), codes), st.sampled_from(("", *TYPES))),
        exact,
        folded,
        st.builds(q.UriIs, param, modes, st.sampled_from((*URIS, "http://x/y/z", "x"))),
        st.builds(lambda p, c, i: q.DateCompare(p, c, *i), param, prefix, intervals),
        st.builds(lambda p, c, v: q.NumberCompare(p, c, v, v - 0.5, v + 0.5), param, prefix, points),
        st.builds(lambda p, c, v, s, u: q.QuantityCompare(p, c, v, v - 0.5, v + 0.5, s, u), param, prefix, points, any_system, st.one_of(codes, st.just(""))),
        st.builds(lambda p, c, v, u: q.BaseQuantityCompare(p, c, v, v - 0.5, v + 0.5, u), param, prefix, points, st.sampled_from(("kg", "m"))),
        st.builds(q.Near, param, st.sampled_from(DEGREES), st.sampled_from(LONGITUDES), st.sampled_from((0.0, 1500.0, 6000.0, 2e7))),
    )  # fmt: skip


phrases = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(" ".join), max_size=2).map(tuple)


def nodes() -> st.SearchStrategy[Node]:
    leaves = st.one_of(
        value_nodes(params),
        st.builds(q.FullText, st.sampled_from(("_text", "_content")), phrases),
        st.builds(q.IdIs, st.lists(st.sampled_from(IDS), max_size=2).map(tuple)),
        st.builds(q.Missing, st.sampled_from((*PARAMS, "pair", "never")), st.booleans()),
        unequal_nodes(params),
        st.builds(lambda first, second: q.CompositeIs("pair", (first, second)), value_nodes(st.just("0")), st.one_of(value_nodes(st.just("1")), value_nodes(st.just("1")).map(q.Not), st.just(q.EVERYTHING))),
    )  # fmt: skip

    def grow(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        several = st.lists(children, max_size=3).map(tuple)
        return st.one_of(
            st.builds(q.And, several),
            st.builds(q.Or, several),
            st.builds(q.Not, children),
            st.builds(q.Chain, params, st.sampled_from(TYPES), children),
            st.builds(q.Has, st.sampled_from(TYPES), params, children),
        )

    return st.recursive(leaves, grow, max_leaves=5)


class Stored(NamedTuple):
    type: str
    id: str
    last_updated_us: int
    entries: Sequence[Entry]


class World:
    """The resources that are current, for the oracle."""

    def __init__(self, resources: Sequence[Stored]) -> None:
        self.resources = resources

    def resource(self, resource_type: str, resource_id: str) -> Stored | None:
        found = (r for r in self.resources if (r.type, r.id) == (resource_type, resource_id))
        return next(found, None)

    def referrers(self, resource_type: str, param: str, target: str) -> list[Stored]:
        return [
            r
            for r in self.resources
            if r.type == resource_type
            and any(isinstance(e, ReferenceEntry) and (e.param, e.target) == (param, target) for e in r.entries)
        ]

    def ids(self, node: Node, resource_type: str) -> set[str]:
        return {
            r.id
            for r in self.resources
            if r.type == resource_type and matches(node, r.type, r.id, r.last_updated_us, r.entries, self)
        }


def _with_texts(made: tuple[Sequence[Entry], list[str], list[str]]) -> list[Entry]:
    entries, *texts = made
    return [*entries] + [
        TextEntry(param, " ".join(words)) for param, words in zip(TEXT_PARAMS, texts, strict=True) if words
    ]


TEXT_PARAMS = ("_text", "_content")
some_words = st.lists(st.sampled_from(WORDS), max_size=4)
entries_of_one = st.tuples(
    st.lists(st.one_of(simple_entries(params), simple_entries(params), composite_entries()), max_size=5),
    some_words,
    some_words,
).map(_with_texts)
writes = st.tuples(st.sampled_from(TYPES), st.sampled_from(IDS), st.one_of(st.none(), entries_of_one, entries_of_one))


def apply(unit: UnitOfWork, world: dict[tuple[str, str], Stored], write: tuple[str, str, list[Entry] | None]) -> None:
    kind, identity, entries = write
    newest = unit.current(kind, identity)
    version = newest.version + 1 if newest else 1
    if entries is None:
        unit.delete(kind, identity, version)
        world.pop((kind, identity), None)
    else:
        made = unit.put(kind, identity, version, b"{}", entries, "PUT")
        world[kind, identity] = Stored(kind, identity, made.last_updated * 1000, entries)


MONGO_EXAMPLES = int(os.environ.get("FHIR_TEST_MONGO_EXAMPLES", "15"))
"""SecantusDB needs milliseconds for each question: few worlds here, as many as one likes by the variable."""


def test_a_store_finds_what_the_reference_interpreter_finds() -> None:
    """At least 5,000 times: a world, and a query tree asked of it in an order, in one page and in pages of one."""

    def open_store(folder: str) -> Store:
        return SqliteStore(Path(folder) / "s.db", SystemClock(), synchronous="NORMAL")

    assert compared(open_store, 200, 28) >= 5_000


def test_mongodb_finds_what_the_reference_interpreter_finds() -> None:
    with ExitStack() as stack:
        url = NAMED or stack.enter_context(running()).url

        def open_store(folder: str) -> Store:
            return MongoStore(
                database_url(url, f"oracle_{secrets.token_hex(8)}"),
                SystemClock(),
                busy_seconds=20.0,
                query_seconds=20.0,
            )

        assert compared(open_store, MONGO_EXAMPLES, 20) >= 20 * MONGO_EXAMPLES


def compared(open_store: Callable[[str], Store], examples: int, questions: int) -> int:
    """Compare a store with the oracle in so many worlds; return how many answers were compared."""
    number = 0

    @settings(
        max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )
    @given(
        st.lists(writes, min_size=1, max_size=8),
        st.lists(nodes(), min_size=questions, max_size=questions + 4),
        st.data(),
    )
    def compare(changes: list[tuple[str, str, list[Entry] | None]], asked: list[Node], data: st.DataObject) -> None:
        nonlocal number
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(folder)
            world: dict[tuple[str, str], Stored] = {}
            for change in changes:
                store.write(lambda unit, change=change: apply(unit, world, change))
            oracle = World(list(world.values()))
            try:
                for node in asked:
                    expected = oracle.ids(node, "Task")
                    store.read(lambda snapshot, node=node, expected=expected: check(snapshot, node, expected, data))
                    number += 1
            finally:
                store.close()

    compare()
    return number


def check(snapshot: Snapshot, node: Node, expected: set[str], data: st.DataObject) -> None:
    sort = data.draw(
        st.sampled_from(
            (
                (),
                (SortKey("_lastUpdated"),),
                (SortKey("_id", descending=True),),
                (SortKey("p"),),
                (SortKey("r", descending=True), SortKey("p"), SortKey("_lastUpdated", descending=True)),
            )
        )
    )
    rows = snapshot.search(Query("Task", node, sort, limit=100))
    found = [row.version.id for row in rows]
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert snapshot.count(Query("Task", node)) == len(expected)
    paged: list[str] = []
    after: tuple[str | int | float | None, ...] = ()
    while page := snapshot.search(Query("Task", node, sort, limit=1, after=after)):
        paged.append(page[0].version.id)
        after = page[0].position
        assert len(paged) <= len(expected)
    assert paged == found
