"""Sorting by a parameter without sorting what matches: the index of the parameter is walked in its order.

The order ends in the id, which that index does not have. So a stretch of it is taken at a time: the values from one up to
another, with all that have them, are put in order; a single value that very many share is read in the order of ids.
Whoever has no value comes last, in the order of ids too. A stretch never holds what a stretch before it held: a resource
with several values stands where the least is (descending: the greatest), and `order.beyond` drops it elsewhere.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from fhir_server.search.query import Query
from fhir_server.store.port import Row
from fhir_server.store.sqlite import order
from fhir_server.store.sqlite.conditions import Scope
from fhir_server.store.sqlite.drivers import Driver, Rank
from fhir_server.store.sqlite.names import Execute
from fhir_server.store.sqlite.sql import TRUE, Sql, both

_LEAST = 100
"""Rows of the index in the first stretch; each further one has twice as many as the one before."""
_LAST_ID = chr(0x10FFFF)
"""Comes after every id."""

Value = str | float | int


class Source(NamedTuple):
    """The index that has the order: table, column, number of the parameter."""

    table: str
    column: str
    p: int
    descending: bool

    def rows(self, alias: str, start: Value | None, end: Value | None) -> Sql:
        """Return what follows FROM: the rows from a value on, up to another that is not included; None is open."""
        on, up = ("<=", ">") if self.descending else (">=", "<")
        pieces = [Sql(f"{alias}.p = ?", (self.p,))]
        if self.table == "eq":
            pieces.append(Sql(f"{alias}.v > ''"))  # no value to sort by
        if start is not None:
            pieces.append(Sql(f"{alias}.{self.column} {on} ?", (start,)))
        if end is not None:
            pieces.append(Sql(f"{alias}.{self.column} {up} ?", (end,)))
        where = both(pieces)
        return Sql(f"{self.table} AS {alias} WHERE {where}", where.values)

    def at(self, execute: Execute, start: Value | None, offset: int) -> Value | None:
        """Return the value that many rows behind the first from `start` on; None when there are not so many."""
        found = self.rows("a", start, None)
        direction = "DESC" if self.descending else "ASC"
        text = f"SELECT a.{self.column} FROM {found} ORDER BY a.{self.column} {direction} LIMIT 1 OFFSET ?"
        row = execute(text, (*found.values, offset)).fetchone()
        value: Value | None = None if row is None else row[0]
        return value

    def behind(self, execute: Execute, value: Value) -> Value | None:
        """Return the value that comes next; None when there is none."""
        direction, function = ("<", "max") if self.descending else (">", "min")
        text = (
            f"SELECT {function}(a.{self.column}) FROM {self.table} AS a WHERE a.p = ? AND a.{self.column} {direction} ?"
        )
        found: Value | None = execute(text, (self.p, value)).fetchone()[0]
        return found or None if self.table == "eq" else found

    def driver(self, start: Value | None, end: Value | None) -> Driver:
        """Return the driver of one stretch."""
        found = self.rows("x", start, end)
        return Driver(Rank.RANGE, (Sql(f"(SELECT x.seq FROM {found}) AS d WHERE 1", found.values),))

    def has(self, value: Value, seq: str) -> Sql:
        """Return the condition that a version has this value."""
        source = "eq AS x" if self.table == "eq" else f"{self.table} AS x INDEXED BY {self.table}_seq"
        return Sql(
            f"EXISTS (SELECT 1 FROM {source} WHERE x.p = ? AND x.seq = {seq} AND x.{self.column} = ?)", (self.p, value)
        )


def sources_of(query: Query, scope: Scope) -> list[Source] | None:
    """Return the indexes that have the values to sort by, none when no resource has one; None when no index can be walked."""
    if len(query.sort) != 1:
        return None
    key = query.sort[0]
    found = [
        Source(table, column, p, key.descending)
        for kind, (table, column) in order.TABLES.items()
        if (p := scope.number(key.param, kind)) is not None
    ]
    return found if len(found) <= 1 and all(source.table != "ref" for source in found) else None


Stretch = Callable[[Query, Driver], list[Row]]
"""Gives the page of what matches and is in a stretch."""
ById = Callable[[Query, Sql, Value | None], list[Row]]
"""Gives the page of what matches, satisfies a condition and has this sort value, in the order of ids."""


class Bounds(NamedTuple):
    """When a value is `shared` by more than so many it is read by id; after `most` rows of the index it is given up."""

    shared: int
    most: int


def page(
    execute: Execute, query: Query, source: Source, bounds: Bounds, ways: tuple[Stretch, ById]
) -> list[Row] | None:
    """Return the page of a query; None when it is given up."""
    stretch, by_id = ways
    rows: list[Row] = []
    position = query.after
    size, read = max(_LEAST, 2 * query.limit), 0
    while len(rows) < query.limit:
        rest = replace(query, after=position, limit=query.limit - len(rows))
        if position and position[0] is None:
            return rows + by_id(rest, TRUE, None)
        start = source.at(execute, position[0] if position else None, 0)
        if start is None:
            position = (None, "")
            continue
        if read > bounds.most:
            return None
        end = source.at(execute, start, size)
        if end == start and source.at(execute, start, bounds.shared) != start:
            end = source.behind(execute, start)
        if end == start:
            own = rest if position and position[0] == start else replace(rest, after=())
            rows += by_id(own, source.has(start, "d.seq"), start)
            position = (start, _LAST_ID)
        else:
            rows += stretch(rest, source.driver(start, end))
            position = (None, "") if end is None else (end, "")
        read, size = read + size, 2 * size
    return rows
