"""The nearest first: a page in the order of distance is looked for in small circles before the one that was asked.

Whatever lies in a smaller circle is nearer than all outside it, so a page that is filled from there is the page.
"""

from collections.abc import Iterator
from dataclasses import replace

from fhir_server.search.query import And, Near, Node, Query
from fhir_server.store.sqlite.distances import nears

_PARTS = (1 / 64, 1 / 16, 1 / 4)
"""Of the radius; each circle has 16 times the area of the one before."""


def widening(query: Query) -> Iterator[Query]:
    """Yield the query in growing circles, itself at last; only itself where the order is another or no circle is alone."""
    parts = query.where.parts if isinstance(query.where, And) else (query.where,)
    circles = [part for part in parts if isinstance(part, Near)]
    if not query.sort and len(circles) == 1 and len(list(nears(query.where))) == 1:
        seen = query.after[0] if query.after else 0.0
        for part in _PARTS:
            metres = circles[0].metres * part
            if isinstance(seen, float) and seen < metres:
                yield replace(query, where=_within(parts, circles[0], metres))
    yield query


def _within(parts: tuple[Node, ...], circle: Near, metres: float) -> Node:
    return And(tuple(replace(circle, metres=metres) if part is circle else part for part in parts))
