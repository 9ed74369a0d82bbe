"""The truth table of `search.compare` as filters: the same rows, on index keys and on milliseconds."""

from typing import assert_never

from fhir_server.search.compare import INSTANT_US
from fhir_server.search.query import BaseQuantityCompare, LastUpdated, NumberCompare, Prefix, QuantityCompare
from fhir_server.store.mongo.encode import integer, real
from fhir_server.store.mongo.link import Document
from fhir_server.store.mongo.pieces import FALSE, all_of, any_of, between, successor

_MILLISECOND = 1_000


class Dates:
    """The stored ranges of one parameter: keys of both ends, and the pairs in `d`."""

    def __init__(self, keys: str, pairs: str, low: str, high: str, param: str) -> None:
        """Take the fields of keys and pairs, what keys of the beginning and of the end begin with, and the parameter."""
        self._keys, self._pairs, self._low, self._high, self._param = keys, pairs, low, high, param

    def compared(self, prefix: Prefix, lo: int, hi: int) -> Document:
        """Any stored range stands in the relation `prefix` to `[lo, hi)`."""
        match prefix:
            case Prefix.EQ:
                return self._inside(lo, hi)
            case Prefix.NE:
                return any_of((self._begins_before(lo), self._ends_after(hi)))
            case Prefix.GT:
                return self._ends_after(hi)
            case Prefix.LT:
                return self._begins_before(lo)
            case Prefix.GE:
                return any_of((self._ends_after(hi), self._inside(lo, hi)))
            case Prefix.LE:
                return any_of((self._begins_before(lo), self._inside(lo, hi)))
            case Prefix.SA:
                return between(self._keys, gte=self._low + integer(hi), lt=successor(self._low))
            case Prefix.EB:
                return between(self._keys, gte=self._high, lte=self._high + integer(lo))
            case Prefix.AP:
                return all_of((self._begins_before(hi), self._pair({"l": {"$lt": hi}, "h": {"$gt": lo}})))
            case _:
                assert_never(prefix)

    def _begins_before(self, instant: int) -> Document:
        return between(self._keys, gte=self._low, lt=self._low + integer(instant))

    def _ends_after(self, instant: int) -> Document:
        return between(self._keys, gt=self._high + integer(instant), lt=successor(self._high))

    def _inside(self, lo: int, hi: int) -> Document:
        if lo > hi:
            return FALSE
        bounds = between(self._keys, gte=self._low + integer(lo), lte=self._low + integer(hi))
        return all_of((bounds, self._pair({"l": {"$gte": lo}, "h": {"$lte": hi}})))

    def _pair(self, ends: Document) -> Document:
        return {self._pairs: {"$elemMatch": {"p": self._param, **ends}}}


def number(node: NumberCompare | QuantityCompare | BaseQuantityCompare, keys: str, start: str) -> Document:
    """A stored number, whose keys begin with `start`, stands in the relation of the node to its value."""
    value, least, beyond = start + real(node.value), start, successor(start)
    match node.prefix:
        case Prefix.EQ | Prefix.AP:
            return between(keys, gte=start + real(node.lo), lt=start + real(node.hi))
        case Prefix.NE:
            below = between(keys, gte=least, lt=start + real(node.lo))
            return any_of((below, between(keys, gte=start + real(node.hi), lt=beyond)))
        case Prefix.GT | Prefix.SA:
            return between(keys, gt=value, lt=beyond)
        case Prefix.LT | Prefix.EB:
            return between(keys, gte=least, lt=value)
        case Prefix.GE:
            return between(keys, gte=value, lt=beyond)
        case Prefix.LE:
            return between(keys, gte=least, lte=value)
        case _:
            assert_never(node.prefix)


def last_updated(node: LastUpdated) -> Document:
    """`meta.lastUpdated`: a millisecond u is stored, which is the point `[1000 u, 1000 u + 1)` in microseconds; solved for u."""
    lo, hi = node.lo, node.hi
    before: Document = {"u": {"$lt": _up(lo)}}
    after: Document = {"u": {"$gt": (hi - INSTANT_US) // _MILLISECOND}}
    inside: Document = {"u": {"$gte": _up(lo), "$lte": (hi - INSTANT_US) // _MILLISECOND}}
    match node.prefix:
        case Prefix.EQ:
            return inside
        case Prefix.NE:
            return any_of((before, after))
        case Prefix.GT:
            return after
        case Prefix.LT:
            return before
        case Prefix.GE:
            return any_of((after, inside))
        case Prefix.LE:
            return any_of((before, inside))
        case Prefix.SA:
            return {"u": {"$gte": _up(hi)}}
        case Prefix.EB:
            return {"u": {"$lte": (lo - INSTANT_US) // _MILLISECOND}}
        case Prefix.AP:
            return {"u": {"$gt": (lo - INSTANT_US) // _MILLISECOND, "$lt": _up(hi)}}
        case _:
            assert_never(node.prefix)


def _up(micros: int) -> int:
    return -(-micros // _MILLISECOND)
