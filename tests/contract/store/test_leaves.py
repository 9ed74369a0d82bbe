"""Each kind of node against each kind of value, exhaustively over small domains: a store agrees with `search.match`.

One resource per value (and one with none), every question once. Trees of nodes are left to random data.
"""

from itertools import product
from typing import NamedTuple

import pytest

from fhir_server.search import query as q
from fhir_server.search.match import Alone, matches
from fhir_server.search.query import And, Node, Prefix, TextMode
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
    StringEntry,
    TokenEntry,
    UriEntry,
)
from fhir_server.store.port import Store, UnitOfWork
from tests.contract.store.staged import ids

P = "p"
SYSTEMS = ("", "http://s", "http://s/t", "http://s/")
CODES = ("", "a", "b", "A", "a b", "ab")
ASKED_SYSTEMS = (None, *SYSTEMS, "http")
ASKED_CODES = (None, *CODES[1:])
TEXTS = (
    "",
    "Ann",
    "ann",
    "Änn",
    "Ann Bo",
    "Bo Ann",
    "Zoë",
    "an\U0010ffff",
    "an\U0010ffffx",
    "ao",
    "Дана",
    "\ud7ff",
    "\ue000",
)
URIS = (
    "http://x",
    "http://x/",
    "http://x/y",
    "http://x/y/z",
    "http://xy",
    "urn:z",
    "/",
    "http://x?a",
    "http://x/ÿ",
    "",
)
INTERVALS = [(lo, lo + width) for lo in range(4) for width in (1, 2, 3)] + [(-(2**62), 2), (1, 2**62)]
POINTS = (-1.5, -0.5, 0.0, 0.5, 1.0, 1.5, 2.5)
UNITS = (
    ("", "", ""),
    ("http://u", "mg", "milligram"),
    ("http://u", "g", "mg"),
    ("", "mg", "mg"),
    ("http://v", "mg", ""),
)
PLACES = (
    (0.0, 0.0),
    (0.0, 179.99),
    (0.0, -179.99),
    (51.0, 3.7),
    (51.05, 3.72),
    (89.99, 10.0),
    (89.99, -170.0),
    (-90.0, 0.0),
)
RADII = (0.0, 1.0, 2_500.0, 6_000.0, 1_000_000.0, 3e7)


class Leaf(NamedTuple):
    """The values of one kind, and the questions to ask of them."""

    entries: list[Entry]
    nodes: list[Node]


def _tokens() -> Leaf:
    values: list[Entry] = [TokenEntry(P, s, c) for s, c in product((None, *SYSTEMS), CODES)]
    values += [TokenEntry(P, "http://s", "v", "", s, c) for s, c in product(SYSTEMS, CODES)]
    values += [TokenEntry(P, "http://s", "", text) for text in TEXTS]
    nodes: list[Node] = [q.TokenIs(P, s, c) for s, c in product(ASKED_SYSTEMS, ASKED_CODES)]
    nodes += [q.OfType(P, s, c, v) for s, c, v in product(SYSTEMS, CODES[1:], ("v", "w"))]
    nodes += [q.TokenText(P, normalise(text)) for text in TEXTS]
    return Leaf(values, nodes)


def _references() -> Leaf:
    targets = ("Task/1", "Task/10", "Patient/1", "http://x/Task/1", "http://x/canonical")
    kinds = ("", "Task", "Patient")
    values: list[Entry] = [ReferenceEntry(P, target, version) for target, version in product(targets, ("", "1", "2"))]
    values += [ReferenceEntry(P, "", "", s, v, kind) for s, v, kind in product(SYSTEMS, CODES, kinds)]
    values += [ReferenceEntry(P, "Task/1", "", "http://s", "a", "Task")]
    nodes: list[Node] = [q.RefersTo(P, target, version) for target, version in product(targets, ("", "1", "2"))]
    nodes += [q.RefersToIdentifier(P, s, v, kind) for s, v, kind in product(ASKED_SYSTEMS, ASKED_CODES, kinds)]
    return Leaf(values, nodes)


def _texts() -> Leaf:
    values: list[Entry] = [StringEntry(P, normalise(text), text) for text in TEXTS]
    values += [UriEntry(P, uri) for uri in URIS]
    folded = {normalise(text) for text in TEXTS} | {"a", "n b", "an\U0010ffff", "\U0010ffff", "\ud7ff"}
    nodes: list[Node] = [q.StringIs(P, TextMode.EXACT, text) for text in TEXTS]
    nodes += [q.StringIs(P, mode, text) for mode, text in product((TextMode.STARTS, TextMode.CONTAINS), sorted(folded))]
    modes = (TextMode.EXACT, TextMode.BELOW, TextMode.ABOVE, TextMode.CONTAINS)
    nodes += [q.UriIs(P, mode, uri) for mode, uri in product(modes, (*URIS, "http://x/y/z/w", "x/y"))]
    return Leaf(values, nodes)


def _ordered() -> Leaf:
    values: list[Entry] = [DateEntry(P, lo, hi) for lo, hi in INTERVALS]
    values += [NumberEntry(P, point) for point in POINTS]
    values += [QuantityEntry(P, point, *unit) for point, unit in product(POINTS, UNITS)]
    nodes: list[Node] = [q.DateCompare(P, prefix, lo, hi) for prefix, (lo, hi) in product(Prefix, INTERVALS)]
    ranges = [(point, point - half, point + half) for point in POINTS for half in (0.0, 0.5, 1.0)]
    nodes += [q.NumberCompare(P, prefix, *around) for prefix, around in product(Prefix, ranges)]
    units = list(product((None, "", "http://u", "http://v"), ("", "mg", "g", "milligram")))
    nodes += [q.QuantityCompare(P, prefix, *r, *unit) for prefix, r, unit in product(Prefix, ranges[::4], units)]
    values += [BaseQuantityEntry(P, point, unit) for point, unit in product(POINTS, ("kg", "m"))]
    nodes += [
        q.BaseQuantityCompare(P, prefix, *r, unit) for prefix, r, unit in product(Prefix, ranges[::4], ("kg", "m"))
    ]
    return Leaf(values, nodes)


def _places() -> Leaf:
    values: list[Entry] = [PositionEntry(P, *place) for place in PLACES]
    return Leaf(values, [q.Near(P, *place, radius) for place, radius in product(PLACES, RADII)])


def _composites() -> Leaf:
    def pair(code: str, value: float) -> CompositeEntry:
        return CompositeEntry(P, ((TokenEntry("0", "http://s", code),), (NumberEntry("1", value),)))

    values: list[Entry] = [pair(code, value) for code, value in product("ab", (1.0, 2.0))]
    nodes: list[Node] = [
        q.CompositeIs(P, (q.TokenIs("0", None, code), q.NumberCompare("1", prefix, value, value - 0.5, value + 0.5)))
        for code, prefix, value in product("abc", Prefix, (1.0, 2.0))
    ]
    return Leaf(values, nodes)


LEAVES = {"tokens": _tokens, "references": _references, "texts": _texts, "ordered": _ordered, "places": _places, "composites": _composites}  # fmt: skip


@pytest.mark.parametrize("name", LEAVES)
def test_each_node_means_to_a_store_what_it_means_to_the_reference_interpreter(
    store: Store, name: str, share: int
) -> None:
    leaf = LEAVES[name]()
    worlds: dict[str, tuple[Entry, ...]] = {str(number): (entry,) for number, entry in enumerate(leaf.entries)}
    worlds |= {
        f"pair{n}": (first, second)
        for n, (first, second) in enumerate(zip(leaf.entries, leaf.entries[3:], strict=False))
    }
    worlds["none"] = ()

    def work(unit: UnitOfWork) -> None:
        for identity, entries in worlds.items():
            tagged = (*entries, TokenEntry("all", None, "x"))
            unit.put("Task", identity, 1, b"{}", tagged, "POST")

    store.write(work)
    wrong: list[object] = []
    for node in (
        *leaf.nodes[:: share - (share > 1)],
        q.Missing(P, True),
        q.Missing(P, False),
        q.Missing("never", True),
    ):
        expected = {i for i, entries in worlds.items() if matches(node, "Task", i, 0, entries, Alone())}
        # Alone, the node drives the plan; beside an equality that all share, it is probed.
        driven, probed = set(ids(store, node)), set(ids(store, And((q.TokenIs("all", None, "x"), node))))
        negated = set(ids(store, q.Not(node)))
        if not driven == probed == expected or negated != set(worlds) - expected:
            wrong.append((node, sorted(driven ^ expected), sorted(probed ^ expected)))
    assert wrong == []
