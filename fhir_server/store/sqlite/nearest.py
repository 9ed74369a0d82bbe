"""The nearest first: a page in the order of distance is looked for in small circles before the one that was asked.

Whatever lies in a smaller circle is nearer than all outside it, so a page that is filled from there is the page.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil, log, pi

from fhir_server.search.query import And, Chain, Near, Node, Query
from fhir_server.store.sqlite.distances import nears

About = Callable[[Near, int], int]
"""Counts the positions in the box about a circle, up to a limit."""

_HALVINGS = 6
"""The smallest circle has this part of the radius: 1/2^6."""
_FIRST = 3
"""Where the density is measured: an eighth of the radius."""
_CORNERS = 4 / pi
"""A box that a circle just fits into has so many times its area."""


def widening(query: Query, about: About) -> Iterator[Query]:
    """Yield the query in growing circles, itself at last; only itself where the order is another or no circle is alone."""
    part = None if query.sort else alone(query.where)
    if part is not None:
        circle = _end(part)
        seen = query.after[0] if query.after else 0.0
        halvings = _HALVINGS
        if part is circle and not query.after:  # through a chain, many matches may share a position
            halvings = _promising(circle, query.limit, about)
        while halvings > 0:
            metres = circle.metres / 2**halvings
            if isinstance(seen, float) and seen < metres:
                yield replace(query, where=_within(query.where, part, metres))
            halvings -= 1 if part is circle else 2
    yield query


def _promising(circle: Near, limit: int, about: About) -> int:
    """Return by how many halvings of the radius a circle is expected that just fills a page."""
    wanted = max(1, round(limit * _CORNERS))
    number = about(replace(circle, metres=circle.metres / 2**_FIRST), wanted << 2 * (_HALVINGS - _FIRST))
    if number >= wanted:
        return _FIRST + int(log(number / wanted, 4))
    return max(0, _FIRST - ceil(log(wanted / max(1, number), 4)))


def alone(where: Node) -> Near | Chain | None:
    """Return the only part of a query that asks for a distance: a circle, or a chain of references to just a circle.

    None when there are several, or when a distance is asked beside other things of the same linked resource: a match is
    measured to the nearest of all its positions, which need not be the one that satisfied those.
    """
    if len(list(nears(where))) != 1:
        return None
    parts = where.parts if isinstance(where, And) else (where,)
    for part in parts:
        end = part
        while isinstance(end, Chain):
            end = end.part
        if isinstance(end, Near) and isinstance(part, Near | Chain):
            return part
    return None


def _end(part: Node) -> Near:
    while isinstance(part, Chain):
        part = part.part
    if not isinstance(part, Near):
        raise TypeError("a chain that `alone` gave ends in a circle")
    return part


def _within(where: Node, part: Node, metres: float) -> Node:
    if where is not part and isinstance(where, And):
        return And(tuple(_within(one, part, metres) if one is part else one for one in where.parts))
    if isinstance(where, Chain):
        return replace(where, part=_within(where.part, where.part, metres))
    return replace(where, metres=metres) if isinstance(where, Near) else where
