"""Sets of concept numbers as ranges. Numbers follow the hierarchy, so that what is below a concept is a few ranges.

A `Spans` is a tuple of (low, high), both included, ascending, with a gap between neighbours. All functions are linear in
the number of ranges, not of numbers.
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import TypeAlias

import msgspec

Spans: TypeAlias = tuple[tuple[int, int], ...]

EMPTY: Spans = ()
_BEYOND = 1 << 62
"""Above every number."""
_decoder = msgspec.json.Decoder(Spans)


def merged(ranges: Iterable[tuple[int, int]]) -> Spans:
    """Return ranges that may overlap, in any order, as Spans."""
    found: list[tuple[int, int]] = []
    low, high = -2, -2
    for next_low, next_high in sorted(ranges):
        if next_low <= high + 1:
            high = max(high, next_high)
            continue
        if high >= 0:
            found.append((low, high))
        low, high = next_low, next_high
    if high >= 0:
        found.append((low, high))
    return tuple(found)


def of_numbers(numbers: Iterable[int]) -> Spans:
    """Return single numbers as Spans."""
    return merged((number, number) for number in numbers)


def whole(count: int) -> Spans:
    """Return the Spans of the numbers below `count`."""
    return ((0, count - 1),) if count else EMPTY


def union(one: Spans, other: Spans) -> Spans:
    """Return the numbers that are in either."""
    return merged((*one, *other))


def intersection(one: Spans, other: Spans) -> Spans:
    """Return the numbers that are in both."""
    found: list[tuple[int, int]] = []
    a = b = 0
    while a < len(one) and b < len(other):
        low, high = max(one[a][0], other[b][0]), min(one[a][1], other[b][1])
        if low <= high:
            found.append((low, high))
        if one[a][1] < other[b][1]:
            a += 1
        else:
            b += 1
    return tuple(found)


def difference(one: Spans, other: Spans) -> Spans:
    """Return the numbers of `one` that are not in `other`."""
    if not one or not other:
        return one
    gaps: list[tuple[int, int]] = []
    start = 0
    for low, high in other:
        if start < low:
            gaps.append((start, low - 1))
        start = high + 1
    gaps.append((start, max(start, one[-1][1])))
    return intersection(one, tuple(gaps))


def size(spans: Spans) -> int:
    """Count the numbers."""
    return sum(high - low + 1 for low, high in spans)


def has(spans: Spans, number: int) -> bool:
    """Tell whether a number is in it."""
    at = bisect_right(spans, (number, _BEYOND)) - 1
    return at >= 0 and spans[at][0] <= number <= spans[at][1]


def pack(spans: Spans) -> bytes:
    """Return the bytes that `unpack` reads; b"" for no numbers."""
    return msgspec.json.encode(spans) if spans else b""


def unpack(packed: bytes) -> Spans:
    """Read what `pack` wrote."""
    return _decoder.decode(packed) if packed else EMPTY
