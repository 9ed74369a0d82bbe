"""Hierarchies of resources, followed on every store: all that is above or below, in circles too, and never cut off."""

import random
from collections.abc import Iterable

import pytest

from fhir_server.interactions.search_hierarchies import MOST_LEVELS, Follower
from fhir_server.model.codec import encode
from fhir_server.model.errors import TooCostly
from fhir_server.search.extract import Extractor
from fhir_server.search.parameters import Registry
from fhir_server.search.query import And, Not, Or, RefersTo, TokenIs
from fhir_server.search.request import Lineage, Link
from fhir_server.search.values import ReferenceEntry, TokenEntry
from fhir_server.store.port import Snapshot, Store, UnitOfWork
from tests.contract.store.staged import ids

EXTRACTOR = Extractor(Registry.load())
PARTS = Link("CarePlan", "part-of")
LINEAGES: tuple[Lineage, ...] = ("above", "below")


def plan(unit: UnitOfWork, identity: str, wholes: Iterable[str]) -> None:
    body = {"resourceType": "CarePlan", "id": identity, "partOf": [{"reference": f"CarePlan/{one}"} for one in wholes]}
    current = unit.current("CarePlan", identity)
    version = current.version + 1 if current else 1
    unit.put("CarePlan", identity, version, encode(body), EXTRACTOR.extract(body), "PUT")


def follow(store: Store, lineage: Lineage, *starts: str, **bounds: int) -> set[str]:
    named = tuple(f"CarePlan/{one}" for one in starts)
    found = store.read(lambda s: Follower(EXTRACTOR, s, **bounds)(lineage, PARTS, named))
    assert len(found) == len(set(found)), "each once"
    return {one.removeprefix("CarePlan/") for one in found}


def reached(links: dict[str, set[str]], starts: Iterable[str]) -> set[str]:
    """What can be reached, one resource at a time."""
    found: set[str] = set()
    left = list(starts)
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += links.get(one, set())
    return found


def test_any_graph_is_followed_as_far_as_it_goes(store: Store, share: int) -> None:
    """Twelve plans with any links: trees, several wholes, circles, plans that are deleted or were never there."""
    chance = random.Random(7)
    names = [f"c{number}" for number in range(12)]
    for _ in range(24 // share):
        wholes = {one: set(chance.sample(names, chance.choice((0, 1, 1, 1, 2, 3)))) for one in names[:-1]}
        gone = chance.choice(names[:-1])

        def work(unit: UnitOfWork, wholes: dict[str, set[str]] = wholes, gone: str = gone) -> None:
            for one, above in wholes.items():
                plan(unit, one, sorted(above))
            current = unit.current("CarePlan", gone)
            assert current is not None
            unit.delete("CarePlan", gone, current.version + 1)

        store.write(work)
        del wholes[gone]
        parts = {one: {part for part, above in wholes.items() if one in above} for one in names}
        for start in names:
            assert follow(store, "above", start) == reached(wholes, [start])
            assert follow(store, "below", start) == reached(parts, [start])
        assert follow(store, "below", *names[:2]) == reached(parts, names[:2])


def test_a_hierarchy_of_the_most_levels_is_followed_and_a_deeper_one_refused(store: Store) -> None:
    def work(unit: UnitOfWork) -> None:
        for level in range(MOST_LEVELS + 2):
            plan(unit, f"l{level}", [f"l{level - 1}"] if level else [])

    store.write(work)
    assert len(follow(store, "below", "l1")) == MOST_LEVELS + 1
    assert len(follow(store, "above", f"l{MOST_LEVELS}")) == MOST_LEVELS + 1
    for lineage, start in (("below", "l0"), ("above", f"l{MOST_LEVELS + 1}")):
        with pytest.raises(TooCostly, match=f"more than {MOST_LEVELS} levels :{lineage} what is named"):
            follow(store, "above" if lineage == "above" else "below", start)


def test_as_many_as_the_bound_are_found_and_one_more_is_refused(store: Store) -> None:
    def work(unit: UnitOfWork) -> None:
        for number in range(9):
            plan(unit, f"n{number}", ["root"] if number < 5 else ["n0", "n1"])

    store.write(work)
    assert len(follow(store, "below", "root", members=10)) == 10
    with pytest.raises(TooCostly, match="more than 9 resources"):
        follow(store, "below", "root", members=9)
    assert follow(store, "above", "n8", members=4) == {"n8", "n0", "n1", "root"}
    with pytest.raises(TooCostly, match="more than 3 resources"):
        follow(store, "above", "n8", members=3)


def test_the_hierarchies_of_one_search_share_the_bound_and_the_same_is_followed_once(store: Store) -> None:
    def work(unit: UnitOfWork) -> None:
        for number in range(6):
            plan(unit, f"p{number}", ["a" if number < 3 else "b"])

    store.write(work)

    def several(*starts: str) -> int:
        def ask(snapshot: Snapshot) -> int:
            one = Follower(EXTRACTOR, snapshot, members=7)
            return sum(len(one("below", PARTS, (f"CarePlan/{start}",))) for start in starts)

        return store.read(ask)

    assert several("a", "a", "a") == 12
    with pytest.raises(TooCostly):
        several("a", "b")


@pytest.mark.parametrize(
    "odd", ["https://x.example.org/é\"'\\,[]", "https://x.example.org/\0b", "\U0010ffff"], ids=ascii
)
def test_a_long_list_of_references_finds_exactly_those(store: Store, odd: str) -> None:
    """As what drives a search and as what is asked of each candidate; what is like one of the list is not of it."""
    targets = ["CarePlan/x", odd, odd[:-1], "CarePlan/y", f"{odd}b"]

    def work(unit: UnitOfWork) -> None:
        for number, target in enumerate(targets):
            entries = (ReferenceEntry("based-on", target), TokenEntry("status", None, "active"))
            unit.put("CarePlan", str(number), 1, b"{}", entries, "POST")

    store.write(work)
    listed = Or(tuple(RefersTo("based-on", f"CarePlan/none-{number}") for number in range(1_500)))
    long = Or((*listed.parts, RefersTo("based-on", "CarePlan/y"), RefersTo("based-on", odd)))
    for where in (long, And((TokenIs("status", None, "active"), long)), Not(Not(long))):
        assert sorted(ids(store, where, resource_type="CarePlan")) == ["1", "3"]
    assert sorted(ids(store, Not(long), resource_type="CarePlan")) == ["0", "2", "4"]
    assert ids(store, listed, resource_type="CarePlan") == []


def test_a_unit_of_work_follows_what_it_wrote(store: Store) -> None:
    def work(unit: UnitOfWork) -> list[str]:
        plan(unit, "new", ["old"])
        return sorted(Follower(EXTRACTOR, unit)("below", PARTS, ("CarePlan/old",)))

    assert store.write(work) == ["CarePlan/new", "CarePlan/old"]
