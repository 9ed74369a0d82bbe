"""Sorting: the values of each key, the order of rows, and what lies beyond the last row that was seen.

A resource with several values is sorted by the least of them, descending by the greatest; one without a value comes last
either way. The order ends in something without ties: the sequence for `_lastUpdated`, else the id, ascending.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from fhir_server.search.query import Query
from fhir_server.store.mongo.link import Document
from fhir_server.store.mongo.near import nears

Position = tuple[str | int | float | None, ...]


class Key(NamedTuple):
    """One key of the order; a `unique` one has a value in every row and no ties."""

    value: Any
    descending: bool
    unique: bool = False


def by_sequence(query: Query) -> bool:
    """Whether the order is that of the sequence: asked for, or left open by a search without `Near`."""
    if query.sort:
        return query.sort[0].param == "_lastUpdated"
    return not any(True for _ in nears(query.where))


def by_distance(query: Query) -> bool:
    """Whether the order is that of the distance: left open by a search with `Near`."""
    return not query.sort and not by_sequence(query)


def keys(query: Query) -> list[Key]:
    """Return the keys of an order that is neither that of the sequence nor that of the distance."""
    found: list[Key] = []
    for key in query.sort:
        if key.param in ("_id", "_lastUpdated"):
            found.append(Key("$i" if key.param == "_id" else "$s", key.descending, unique=True))
            return found
        values = f"$o.{key.param}"
        end: Document = {"$arrayElemAt": [values, -1 if key.descending else 0]}
        found.append(Key({"$ifNull": [end, None]}, key.descending))
    found.append(Key("$i", descending=False, unique=True))
    return found


def stages(order: Sequence[Key], after: Position, limit: int, also: Document) -> list[Document]:
    """Return the stages that give each match its values (`k0`, `k1`, …), and then the page; `also` are more fields."""
    shown: Document = {"s": 1, **also}
    by: Document = {}
    for place, key in enumerate(order):
        shown[f"k{place}"] = key.value
        if not key.unique:
            by[f"n{place}"] = 1
        by[f"k{place}"] = -1 if key.descending else 1
    absent = {f"n{p}": {"$eq": [f"$k{p}", None]} for p, key in enumerate(order) if not key.unique}
    found: list[Document] = [{"$project": shown}]
    if absent:
        found.append({"$addFields": absent})
    if after:
        found.append({"$match": {"$expr": _beyond(order, after)}})
    return [*found, {"$sort": by}, {"$limit": limit}]


def _beyond(order: Sequence[Key], after: Position) -> Document:
    """Return the condition that a row comes after a position, on values of any type."""
    alternatives: list[Document] = []
    equal: list[Document] = []
    for place, (key, last) in enumerate(zip(order, after, strict=True)):
        name = f"$k{place}"
        if last is not None:
            passed: Document = {"$lt" if key.descending else "$gt": [name, {"$literal": last}]}
            if not key.unique:
                missing = {"$eq": [name, None]}
                passed = {"$or": [missing, passed]}
            alternatives.append({"$and": [*equal, passed]})
        equal = [*equal, {"$eq": [name, {"$literal": last}]}]
    return {"$or": alternatives}
