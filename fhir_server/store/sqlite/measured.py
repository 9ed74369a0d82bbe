"""A page in the order of distance, measured here: the positions are read, and bodies only of what is on the page.

Ties end in the id, so what shares the distance of the last row is read with it. A function called from SQLite for each
position, and a look-up of each id, would take three times as long.
"""

from collections.abc import Callable, Iterator
from math import inf
from operator import itemgetter
from typing import Any, NamedTuple

from fhir_server.search.match import distance
from fhir_server.search.query import Near, Query
from fhir_server.store.port import Row, Version
from fhir_server.store.sqlite.drivers import positions
from fhir_server.store.sqlite.names import Execute
from fhir_server.store.sqlite.sql import Sql

_MOST_TIES = 4
"""So many pages that share one distance are better sorted in SQLite, without their bodies."""
_far = itemgetter(1)
_position = itemgetter(1)
_new: Callable[..., Any] = tuple.__new__


class Measured(NamedTuple):
    """A statement for the positions in a circle, and what is asked of each match beside (`d.seq`)."""

    circle: Near
    positions: Sql
    rest: Sql

    @classmethod
    def of(cls, circle: Near, p: int, rest: Sql) -> "Measured":
        """Return what reads a circle; `p` is the number of its parameter."""
        found = positions(circle, p, "a")
        return cls(circle, Sql(f"SELECT a.seq, a.lat, a.lon FROM {found}", found.values), rest)

    def page(self, execute: Execute, query: Query) -> list[Row] | None:
        """Return the page of a query; None when too many lie at one distance."""
        found = self._nearest(execute, query.after[0] if query.after else None)
        rows: list[Row] = []
        for some in _stretches(found, query.limit):
            if len(some) > _MOST_TIES * max(query.limit, len(rows) + 1):
                return None
            rows += self._rows(execute, query, dict(some))
            if len(rows) >= query.limit:
                return rows[: query.limit]
        return rows

    def _nearest(self, execute: Execute, least: object) -> list[tuple[int, float]]:
        """Return sequence numbers and metres, the nearest first; each once."""
        _, latitude, longitude, most = (
            self.circle.param,
            self.circle.latitude,
            self.circle.longitude,
            self.circle.metres,
        )
        found: dict[int, float] = {}
        for seq, north, east in execute(*self.positions):
            metres = distance(latitude, longitude, north, east)
            if metres <= most and metres < found.get(seq, inf):
                found[seq] = metres
        if isinstance(least, float | int):
            found = {seq: metres for seq, metres in found.items() if metres >= least}
        return sorted(found.items(), key=_far)

    def _rows(self, execute: Execute, query: Query, metres: dict[int, float]) -> list[Row]:
        text = (
            "SELECT v.seq, v.id, v.vid, v.lu, v.method, v.body FROM (SELECT value AS seq FROM json_each(?)) AS d "
            f"CROSS JOIN version AS v ON v.seq = d.seq WHERE {self.rest}"
        )
        listed = f"[{','.join(map(str, metres))}]"
        kind, rows = query.type, []
        for seq, identity, vid, lu, method, body in execute(text, (listed, *self.rest.values)):
            far = metres[seq]
            version = _new(Version, (seq, kind, identity, vid, lu, method, body))
            rows.append(_new(Row, (version, (far, identity), far)))
        if query.after:
            rows = [row for row in rows if row.position > query.after]
        rows.sort(key=_position)
        return rows


def _stretches(found: list[tuple[int, float]], size: int) -> Iterator[list[tuple[int, float]]]:
    """Cut a list into parts, each larger than the one before, none between two that share a distance."""
    start = 0
    while start < len(found):
        end = min(start + size, len(found))
        while end < len(found) and found[end][1] == found[end - 1][1]:
            end += 1
        yield found[start:end]
        start, size = end, 2 * size
