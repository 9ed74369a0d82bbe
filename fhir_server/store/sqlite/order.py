"""Sorting: the values of each key, the order of rows, and what lies beyond the last row that was seen.

A resource with several values is sorted by the least of them, descending by the greatest; one without a value comes last
either way. The order ends in something without ties: the sequence for `_lastUpdated`, else the id, ascending.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from fhir_server.search.query import Node, Query, SortKey
from fhir_server.store.sqlite.conditions import Conditions, Scope
from fhir_server.store.sqlite.distances import metres, nears
from fhir_server.store.sqlite.sql import FALSE, TRUE, Sql, joined

_ORDERED = {
    "d": ("dt", "lo"),
    "n": ("num", "v"),
    "q": ("qty", "v"),
    "r": ("ref", "target"),
    "s": ("str", "v"),
}
"""For each kind with a table of its own: the table, and what is compared. A date stands where its range begins."""

_EQUALITIES = ("c", "k", "u")
TABLES = _ORDERED | dict.fromkeys(_EQUALITIES, ("eq", "v"))
"""As above, with the kinds that lie in `eq`."""

_UNIQUE = ("_id", "_lastUpdated")
_NOTHING = Sql("NULL")


class Value(NamedTuple):
    """One key of the order; a `unique` one has a value in every row and no ties."""

    value: Sql
    descending: bool
    unique: bool = False


NEAREST = (Value(_NOTHING, descending=False), Value(_NOTHING, descending=False, unique=True))
"""The keys of the order by distance; their values are columns of the statement."""


def by_sequence(query: Query) -> bool:
    """Whether the order is that of the sequence: asked for, or left open by a search without `Near`."""
    if query.sort:
        return query.sort[0].param == "_lastUpdated"
    return not any(True for _ in nears(query.where))


def keys(query: Query, scope: Scope, conditions: Conditions, seq: str, identity: str) -> list[Value]:
    """Return the keys of an order that is not that of the sequence."""
    found: list[Value] = []
    for key in query.sort:
        if key.param in _UNIQUE:
            found.append(Value(Sql(identity if key.param == "_id" else seq), key.descending, unique=True))
            return found
        found.append(Value(_sort_value(key, scope, conditions, seq), key.descending))
    if not query.sort:
        found.append(Value(distance(query.where, scope, conditions, seq), descending=False))
    found.append(Value(Sql(identity), descending=False, unique=True))
    return found


def clause(values: Sequence[Value], named: Sequence[str]) -> str:
    """Return the terms of ORDER BY."""
    return ", ".join(
        f"{name} {'DESC' if value.descending else 'ASC'}{'' if value.unique else ' NULLS LAST'}"
        for value, name in zip(values, named, strict=True)
    )


def beyond(values: Sequence[Value], named: Sequence[str], after: Sequence[str | float | None]) -> Sql:
    """Return the condition that a row comes after a position."""
    if not after:
        return TRUE
    alternatives: list[Sql] = []
    equal = TRUE
    for value, name, last in zip(values, named, after, strict=True):
        later = FALSE
        if last is not None:
            passed = f"{name} {'<' if value.descending else '>'} ?"
            later = Sql(passed if value.unique else f"({passed} OR {name} IS NULL)", (last,))
        alternatives.append(Sql(f"({equal} AND {later})", equal.values + later.values))
        equal = Sql(f"{equal} AND {name} IS ?", (*equal.values, last))
    return joined(alternatives, "OR", FALSE)


def distance(where: Node, scope: Scope, conditions: Conditions, seq: str) -> Sql:
    """Return metres to the nearest position that a `Near` of the query asks about; NULL where there is none."""
    found = (metres(asked, scope, conditions, seq) for asked in nears(where))
    return _extreme("min", [piece for piece in found if piece is not None])


def _sort_value(key: SortKey, scope: Scope, conditions: Conditions, seq: str) -> Sql:
    function = "max" if key.descending else "min"
    pieces: list[Sql] = []
    for kind, (table, column) in _ORDERED.items():
        p = scope.number(key.param, kind)
        if p is not None:
            a = conditions.alias()
            source = f"{table} AS {a} INDEXED BY {table}_seq WHERE {a}.seq = {seq} AND {a}.p = ?"
            pieces.append(Sql(f"SELECT {function}({a}.{column}) AS x FROM {source}", (p,)))
    for kind in _EQUALITIES:
        p = scope.number(key.param, kind)
        if p is not None:
            a, b = conditions.alias(), conditions.alias()
            source = f"doc AS {a} CROSS JOIN json_each({a}.keys, ?) AS {b} WHERE {a}.seq = {seq} AND {b}.value <> ''"
            pieces.append(Sql(f"SELECT {function}({b}.value) AS x FROM {source}", (f'$."{p}"',)))
    return _extreme(function, pieces)


def _extreme(function: str, pieces: list[Sql]) -> Sql:
    if not pieces:
        return _NOTHING
    values: tuple[Any, ...] = tuple(value for piece in pieces for value in piece.values)
    if len(pieces) == 1:
        return Sql(f"({pieces[0]})", values)
    return Sql(f"(SELECT {function}(x) FROM ({' UNION ALL '.join(map(str, pieces))}))", values)
