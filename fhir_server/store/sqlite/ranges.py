"""The truth table of `search.compare` in SQL: the same rows, word for word."""

from typing import assert_never

from fhir_server.search.compare import INSTANT_US
from fhir_server.search.query import BaseQuantityCompare, LastUpdated, Near, NumberCompare, Prefix, QuantityCompare
from fhir_server.store.sqlite.cells import boxes
from fhir_server.store.sqlite.sql import FALSE, TRUE, Sql, both, joined

_MILLISECOND = 1_000
Bounds = tuple[int | None, int | None]
"""The first and the last millisecond, both included; None is open."""


def interval(prefix: Prefix, alias: str, lo: int, hi: int) -> Sql:
    """The stored range `alias.lo, alias.hi` stands in the relation `prefix` to `[lo, hi)`."""
    below, above = f"{alias}.lo < ?", f"{alias}.hi > ?"
    inside = f"({alias}.lo >= ? AND {alias}.lo <= ? AND {alias}.hi <= ?)"  # the second term lets an index stop
    match prefix:
        case Prefix.EQ:
            return Sql(inside, (lo, hi, hi))
        case Prefix.NE:
            return Sql(f"({below} OR {above})", (lo, hi))
        case Prefix.GT:
            return Sql(above, (hi,))
        case Prefix.LT:
            return Sql(below, (lo,))
        case Prefix.GE:
            return Sql(f"({above} OR {inside})", (hi, lo, hi, hi))
        case Prefix.LE:
            return Sql(f"({below} OR {inside})", (lo, lo, hi, hi))
        case Prefix.SA:
            return Sql(f"{alias}.lo >= ?", (hi,))
        case Prefix.EB:
            return Sql(f"({alias}.lo <= ? AND {alias}.hi <= ?)", (lo, lo))
        case Prefix.AP:
            return Sql(f"({below} AND {above})", (hi, lo))
        case _:
            assert_never(prefix)


def number(node: NumberCompare | QuantityCompare | BaseQuantityCompare, alias: str) -> Sql:
    """The stored number `alias.v` stands in the relation of the node to its value."""
    column = f"{alias}.v"
    match node.prefix:
        case Prefix.EQ | Prefix.AP:
            return Sql(f"({column} >= ? AND {column} < ?)", (node.lo, node.hi))
        case Prefix.NE:
            return Sql(f"({column} < ? OR {column} >= ?)", (node.lo, node.hi))
        case Prefix.GT | Prefix.SA:
            return Sql(f"{column} > ?", (node.value,))
        case Prefix.LT | Prefix.EB:
            return Sql(f"{column} < ?", (node.value,))
        case Prefix.GE:
            return Sql(f"{column} >= ?", (node.value,))
        case Prefix.LE:
            return Sql(f"{column} <= ?", (node.value,))
        case _:
            assert_never(node.prefix)


def unit(node: QuantityCompare, alias: str) -> Sql:
    """The unit of a stored quantity is the one that the node asks for."""
    if node.system is not None:
        system = Sql(f"{alias}.system = ?", (node.system,))
        return both((system, Sql(f"{alias}.code = ?", (node.code,)) if node.code else TRUE))
    return Sql(f"({alias}.code = ? OR {alias}.unit = ?)", (node.code, node.code)) if node.code else TRUE


def box(node: Near, alias: str) -> Sql:
    """The stored position lies in a box that surely holds the circle, or in one of two at the date line."""
    sides = f"({alias}.lat >= ? AND {alias}.lat <= ? AND {alias}.lon >= ? AND {alias}.lon <= ?)"
    return joined((Sql(sides, tuple(box)) for box in boxes(node)), "OR", FALSE)


def last_updated(node: LastUpdated, seq: str) -> Sql:
    """`meta.lastUpdated`, as bounds of the sequence number, which follows it."""
    return joined((_sequence(bounds, seq) for bounds in _milliseconds(node)), "OR", FALSE)


def _sequence(bounds: Bounds, seq: str) -> Sql:
    first, last = bounds
    newest = "ifnull((SELECT last_seq FROM commits WHERE lu {} ? ORDER BY lu DESC LIMIT 1), 0)"
    pieces = []
    if first is not None:
        pieces.append(Sql(f"{seq} > {newest.format('<')}", (first,)))
    if last is not None:
        pieces.append(Sql(f"{seq} <= {newest.format('<=')}", (last,)))
    return both(pieces)


def _milliseconds(node: LastUpdated) -> tuple[Bounds, ...]:
    """A millisecond t is stored, which is the point `[1000 t, 1000 t + 1)` in microseconds; solved for t."""
    lo, hi = node.lo, node.hi
    begins_in: Bounds = (_up(lo), (hi - INSTANT_US) // _MILLISECOND)
    begins_before: Bounds = (None, _up(lo) - 1)
    ends_after: Bounds = ((hi - INSTANT_US) // _MILLISECOND + 1, None)
    match node.prefix:
        case Prefix.EQ:
            return (begins_in,)
        case Prefix.NE:
            return (begins_before, ends_after)
        case Prefix.GT:
            return (ends_after,)
        case Prefix.LT:
            return (begins_before,)
        case Prefix.GE:
            return (ends_after, begins_in)
        case Prefix.LE:
            return (begins_before, begins_in)
        case Prefix.SA:
            return ((_up(hi), None),)
        case Prefix.EB:
            return ((None, (lo - INSTANT_US) // _MILLISECOND),)
        case Prefix.AP:
            return (((lo - INSTANT_US) // _MILLISECOND + 1, _up(hi) - 1),)
        case _:
            assert_never(node.prefix)


def _up(micros: int) -> int:
    return -(-micros // _MILLISECOND)
