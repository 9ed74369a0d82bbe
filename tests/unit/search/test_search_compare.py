"""The truth table of prefixes, against its own wording on small sets of ticks."""

from itertools import product

import pytest

from fhir_server.search.compare import compare, compare_number
from fhir_server.search.query import Prefix

TICKS = range(-3, 12)


def spelled_out(prefix: Prefix, stored: set[int], asked: set[int]) -> bool:
    """The right-hand column of R4 search.html#prefix, on sets."""
    above = {tick for tick in TICKS if tick > max(asked)}
    below = {tick for tick in TICKS if tick < min(asked)}
    match prefix:
        case Prefix.EQ:
            return stored <= asked
        case Prefix.NE:
            return not stored <= asked
        case Prefix.GT:
            return bool(above & stored)
        case Prefix.LT:
            return bool(below & stored)
        case Prefix.GE:
            return bool(above & stored) or stored <= asked
        case Prefix.LE:
            return bool(below & stored) or stored <= asked
        case Prefix.SA:
            return not asked & stored and stored <= above
        case Prefix.EB:
            return not asked & stored and stored <= below
        case Prefix.AP:
            return bool(asked & stored)


@pytest.mark.parametrize("prefix", list(Prefix))
def test_ranges_stand_as_the_specification_words_it(prefix: Prefix) -> None:
    for stored_lo, stored_size, lo, size in product(range(8), range(1, 4), range(8), range(1, 4)):
        stored, asked = set(range(stored_lo, stored_lo + stored_size)), set(range(lo, lo + size))
        expected = spelled_out(prefix, stored, asked)
        assert compare(prefix, stored_lo, stored_lo + stored_size, lo, lo + size) is expected


@pytest.mark.parametrize(
    ("prefix", "holds"),
    [
        (Prefix.EQ, {99.5, 99.9, 100.0}),
        (Prefix.NE, {99.4, 100.5, 101.0}),
        (Prefix.GT, {100.5, 101.0}),
        (Prefix.SA, {100.5, 101.0}),
        (Prefix.GE, {100.0, 100.5, 101.0}),
        (Prefix.LT, {99.4, 99.5, 99.9}),
        (Prefix.EB, {99.4, 99.5, 99.9}),
        (Prefix.LE, {99.4, 99.5, 99.9, 100.0}),
        (Prefix.AP, {99.5, 99.9, 100.0}),
    ],
)
def test_numbers_use_the_implicit_precision_only_where_r4_says(prefix: Prefix, holds: set[float]) -> None:
    stored = (99.4, 99.5, 99.9, 100.0, 100.5, 101.0)
    assert {value for value in stored if compare_number(prefix, value, 100.0, 99.5, 100.5)} == holds
