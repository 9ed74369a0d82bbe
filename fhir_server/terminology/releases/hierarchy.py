"""Numbers for the concepts of a release, such that what is below a concept is a few ranges of numbers.

The hierarchy may have several parents for a child. A spanning tree is taken from it (of several parents the deepest) and
numbered depth first: what is below a concept within the tree is one range. What it reaches besides, by the links that are
not in the tree, are more ranges, which are merged from the leaves up (Agrawal, Borgida and Jagadish, 1989).
"""

from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from typing import Final, NamedTuple

from fhir_server.terminology.releases.gathering import INACTIVE, Gathering
from fhir_server.terminology.releases.problem import ReleaseError
from fhir_server.terminology.spans import Spans, difference, merged

_MOST_RANGES: Final = 20_000_000
"""Ranges that are looked at while they are merged: some twenty seconds of work, and at most 160 MB."""
_NOWHERE: Final = 0xFFFFFFFF
_SHOWN: Final = 10
"""Codes of a cycle that a message shows."""


class Links(NamedTuple):
    """For each place, the places that it is linked to: `ends[starts[p]:starts[p + 1]]`."""

    starts: "array[int]"
    ends: "array[int]"

    def of(self, place: int) -> "array[int]":
        """Return what a place is linked to."""
        return self.ends[self.starts[place] : self.starts[place + 1]]


class Hierarchy(NamedTuple):
    """The numbered concepts. `order` has the place of each number, `number` the number of each place."""

    order: "array[int]"
    number: "array[int]"
    last: "array[int]"
    """By place: the highest number below it in the tree; its own where there is none."""
    parents: Links
    beside: "dict[int, array[int]]"
    """By place: the ranges below it that are outside its tree, low and high in turn; places without any are left out."""

    def reach(self, place: int) -> Spans:
        """Return the numbers of all that is below a place."""
        low, high = self.number[place] + 1, self.last[place]
        beside = tuple(_ranges(self.beside.get(place, ())))
        return merged((*beside, (low, high))) if low <= high else beside


def number(gathering: Gathering) -> Hierarchy:
    """Number the concepts of a release; raises ReleaseError for one that is above itself."""
    count = len(gathering)
    parents = _links(count, gathering.children, gathering.parents)
    children = _links(count, gathering.parents, gathering.children)
    sorted_down, depth = _top_down(gathering, parents, children)
    tree = array("I", (_deepest(parents.of(place), depth) for place in range(count)))
    branches = _links(count, *_pairs(tree))
    roots = [place for place in range(count) if tree[place] == _NOWHERE]
    roots.sort(key=lambda place: gathering.flags[place] & INACTIVE)  # the inactive together: fewer ranges
    order, numbers, last = _depth_first(count, roots, branches)
    beside = _beside(sorted_down, children, tree, numbers, last)
    return Hierarchy(order, numbers, last, parents, beside)


def _links(count: int, froms: Sequence[int], tos: Sequence[int]) -> Links:
    """Group links by where they start; the order of those of one place is kept."""
    sizes = array("I", bytes(4 * (count + 1)))
    for place in froms:
        sizes[place + 1] += 1
    starts = array("I", accumulate(sizes))
    at, ends = array("I", starts), array("I", bytes(4 * len(froms)))
    for place, other in zip(froms, tos, strict=True):
        ends[at[place]] = other
        at[place] += 1
    return Links(starts, ends)


def _pairs(tree: Sequence[int]) -> "tuple[array[int], array[int]]":
    below = [place for place, parent in enumerate(tree) if parent != _NOWHERE]
    return array("I", (tree[place] for place in below)), array("I", below)


def _top_down(gathering: Gathering, parents: Links, children: Links) -> "tuple[array[int], array[int]]":
    """Return the places with every parent before its children, and how deep each is."""
    count = len(gathering)
    missing = array("I", (parents.starts[place + 1] - parents.starts[place] for place in range(count)))
    depth = array("I", bytes(4 * count))
    found = array("I", (place for place in range(count) if not missing[place]))
    for place in found:  # it grows while it is read
        below = depth[place] + 1
        for child in children.of(place):
            missing[child] -= 1
            depth[child] = max(depth[child], below)
            if not missing[child]:
                found.append(child)
    if len(found) < count:
        raise ReleaseError(f"the hierarchy goes round in a circle: {_circle(gathering, parents, missing)}.")
    return found, depth


def _circle(gathering: Gathering, parents: Links, missing: Sequence[int]) -> str:
    """Walk up from a concept that was never reached until one comes again."""
    place = next(place for place, left in enumerate(missing) if left)
    walked: dict[int, None] = {}
    while place not in walked:
        walked[place] = None
        place = next(parent for parent in parents.of(place) if missing[parent])
    path = list(walked)
    path = path[path.index(place) :]
    codes = gathering.codes()
    shown = [codes[one] for one in path[:_SHOWN]]
    more = ["…"] if len(path) > _SHOWN else []
    return " is below ".join([*shown, *more, codes[place]])


def _deepest(parents: Sequence[int], depth: Sequence[int]) -> int:
    return max(parents, key=depth.__getitem__) if len(parents) else _NOWHERE


def _depth_first(count: int, roots: Sequence[int], branches: Links) -> "tuple[array[int], array[int], array[int]]":
    """Number the tree; return places by number, numbers by place, and the last number below each place."""
    order, numbers = array("I"), array("I", bytes(4 * count))
    waiting = list(reversed(roots))
    while waiting:
        place = waiting.pop()
        numbers[place] = len(order)
        order.append(place)
        waiting.extend(reversed(branches.of(place)))
    last = array("I", numbers)
    for place in reversed(order):
        below = branches.of(place)
        if len(below):
            last[place] = last[below[-1]]
    return order, numbers, last


def _beside(
    sorted_down: Sequence[int], children: Links, tree: Sequence[int], numbers: Sequence[int], last: Sequence[int]
) -> "dict[int, array[int]]":
    """Return what is below each place outside its tree."""
    found: dict[int, array[int]] = {}
    work = 0
    for place in reversed(sorted_down):
        ranges: list[tuple[int, int]] = []
        for child in children.of(place):
            if tree[child] != place:
                ranges.append((numbers[child], last[child]))
            if child in found:
                ranges += _ranges(found[child])
        low, high = numbers[place], last[place]
        outside = [one for one in ranges if not low <= one[0] <= high]  # a range is whole subtrees: in it or not
        if outside:
            found[place] = _flat(difference(merged(outside), ((low, high),)))  # a merged one may run into the tree
            work += len(ranges)
            if work > _MOST_RANGES:
                raise ReleaseError("too many of its concepts have several parents in distant places to be indexed.")
    return found


def _flat(spans: Spans) -> "array[int]":
    return array("I", chain.from_iterable(spans))


def _ranges(flat: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip(flat[::2], flat[1::2], strict=True)
