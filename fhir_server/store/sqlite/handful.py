"""A handful of resources in the order of their ids: what a page refers to, and what refers to it, is asked for so.

One plain statement reads them and they are put in order here. To choose a plan, count, and sort in SQLite, which would
copy the bodies, takes longer than to read so few.
"""

from typing import Any, NamedTuple

from fhir_server.search.query import IdIs, Or, Query, RefersTo, SortKey
from fhir_server.store.sqlite.conditions import Scope
from fhir_server.store.sqlite.sql import among

MOST = 200
"""From so many on it pays to choose a plan."""
_BY_ID = (SortKey("_id"),)
_COLUMNS = "v.seq, v.id, v.vid, v.lu, v.method, v.body, NULL, v.id"


class Handful(NamedTuple):
    """A statement whose rows are all that matches, in any order, if they are fewer than `below`."""

    text: str
    values: tuple[Any, ...]
    below: int


def handful(query: Query, scope: Scope) -> Handful | None:
    """Return the statement for resources with given ids, or that refer to any of given ones; None for other queries."""
    if query.sort != _BY_ID or query.after:
        return None
    where = query.where
    if isinstance(where, IdIs):
        ids = where.ids
        if not 0 < len(ids) <= query.limit:
            return None
        named = among("d.id", ids)
        text = (
            f"SELECT {_COLUMNS} FROM head AS d CROSS JOIN version AS v ON v.seq = d.seq "
            f"WHERE d.type = ? AND {named} AND d.live"
        )
        return Handful(text, (scope.type_number(), *named.values), len(ids) + 1)
    if isinstance(where, Or):
        return _referring(where, query.limit, scope)
    return None


def _referring(where: Or, limit: int, scope: Scope) -> Handful | None:
    first = where.parts[0] if where.parts else None
    if not isinstance(first, RefersTo):
        return None
    param, targets = first.param, []
    for part in where.parts:
        if not isinstance(part, RefersTo) or part.version or part.param != param:
            return None
        targets.append(part.target)
    p = scope.number(param, "r")
    if p is None:
        return None
    most = min(limit, MOST)
    named = among("d.target", targets)
    text = (
        f"SELECT {_COLUMNS} FROM (SELECT DISTINCT d.seq AS seq FROM ref AS d WHERE d.p = ? AND {named} LIMIT ?) AS page "
        "CROSS JOIN version AS v ON v.seq = page.seq"
    )
    return Handful(text, (p, *named.values, most), most)
