"""Ranges of numbers behave as the sets that they stand for; a numbered hierarchy as the graph that it came from."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.terminology import spans
from fhir_server.terminology.releases import hierarchy
from fhir_server.terminology.releases.gathering import Gathering

NUMBERS = st.frozensets(st.integers(0, 30))


def as_set(found: spans.Spans) -> set[int]:
    assert all(low <= high for low, high in found)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(found)), "ranges touch or are not in order"
    return {number for low, high in found for number in range(low, high + 1)}


@given(NUMBERS, NUMBERS)
def test_spans_are_sets(one: frozenset[int], other: frozenset[int]) -> None:
    a, b = spans.of_numbers(one), spans.of_numbers(other)
    assert as_set(a) == one
    assert as_set(spans.union(a, b)) == one | other
    assert as_set(spans.intersection(a, b)) == one & other
    assert as_set(spans.difference(a, b)) == one - other
    assert spans.size(a) == len(one)
    assert [number for number in range(32) if spans.has(a, number)] == sorted(one)
    assert spans.unpack(spans.pack(a)) == a


@given(st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24)), max_size=60))
@settings(max_examples=150)
def test_the_reach_of_a_number_is_all_that_is_below_it(links: list[tuple[int, int]]) -> None:
    below: dict[int, set[int]] = {place: set() for place in range(25)}
    with Gathering() as gathering:
        for place in range(25):
            gathering.add(f"c{place}", 0)
        for a, b in links:
            if a != b:
                gathering.link(max(a, b), min(a, b))
                below[min(a, b)].add(max(a, b))
        tree = hierarchy.number(gathering)
    for place in reversed(range(25)):
        below[place] |= {deeper for child in below[place] for deeper in below[child]}
    assert sorted(tree.order) == list(range(25))
    for place in range(25):
        assert as_set(tree.reach(place)) == {tree.number[one] for one in below[place]}
