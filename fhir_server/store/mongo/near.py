"""Circles on the earth: the band of latitude that holds one, the distance of a match, and smaller circles first."""

from collections.abc import Iterator
from dataclasses import replace
from math import degrees, pi
from typing import NamedTuple

from fhir_server.search.match import EARTH_METRES
from fhir_server.search.query import And, Chain, Near, Node, Or, Query

_SLACK = 1e-9
"""Degrees by which the band around a circle is widened against rounding."""
_PARTS = (1 / 64, 1 / 16, 1 / 4)
"""Of the radius; each circle has 16 times the area of the one before."""


class Measured(NamedTuple):
    """A `Near`, and the chain of references that leads to it."""

    links: tuple[Chain, ...]
    near: Near


def nears(node: Node, links: tuple[Chain, ...] = ()) -> Iterator[Measured]:
    """Yield each `Near` by which a match can be measured; one below `Not` or `_has` is none."""
    match node:
        case Near():
            yield Measured(links, node)
        case And(parts) | Or(parts):
            for part in parts:
                yield from nears(part, links)
        case Chain(_, _, part):
            yield from nears(part, (*links, node))
        case _:
            return


def band(node: Near) -> tuple[float, float]:
    """Return the latitudes between which the circle lies."""
    angle = degrees(min(pi, max(0.0, node.metres) / EARTH_METRES)) + _SLACK
    return node.latitude - angle, node.latitude + angle


def widening(query: Query) -> Iterator[Query]:
    """Yield the query in growing circles, itself at last: whatever lies in a smaller one is nearer than all outside it.

    Only itself, where the order is another or no circle is alone.
    """
    parts = query.where.parts if isinstance(query.where, And) else (query.where,)
    circles = [part for part in parts if isinstance(part, Near)]
    if not query.sort and len(circles) == 1 and len(list(nears(query.where))) == 1:
        seen = query.after[0] if query.after else 0.0
        for part in _PARTS:
            metres = circles[0].metres * part
            if isinstance(seen, float) and seen < metres:
                smaller = replace(circles[0], metres=metres)
                within = And(tuple(smaller if one is circles[0] else one for one in parts))
                yield replace(query, where=within)
    yield query
