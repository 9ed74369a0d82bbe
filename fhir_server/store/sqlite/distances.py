"""The distance of a match: to the nearest of its positions, or of those at the end of the chain that asked about them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from fhir_server.search import query as q
from fhir_server.search.query import Chain, Near, Node
from fhir_server.store.sqlite.conditions import Conditions, Scope
from fhir_server.store.sqlite.sql import Sql, begins


class Asked(NamedTuple):
    """A `Near`, and the chain of references that leads to it."""

    links: tuple[Chain, ...]
    near: Near


def nears(node: Node, links: tuple[Chain, ...] = ()) -> Iterator[Asked]:
    """Yield each `Near` by which a match can be measured; one below `Not` or `_has` is none."""
    match node:
        case q.Near():
            yield Asked(links, node)
        case q.And(parts) | q.Or(parts):
            for part in parts:
                yield from nears(part, links)
        case q.Chain(_, _, part):
            yield from nears(part, (*links, node))
        case _:
            return


def metres(asked: Asked, scope: Scope, conditions: Conditions, seq: str) -> Sql | None:
    """Return a select of the least distance as `x`; None when nothing was ever indexed that could have one."""
    tables: list[str] = []
    wanted: list[str] = []
    values: list[Any] = []
    for link in asked.links:
        target = scope.of(link.target)
        p, type_number = scope.number(link.param, "r"), target.type_number()
        if p is None or type_number is None:
            return None
        r, h = conditions.alias(), conditions.alias()
        start = f"{link.target}/"
        named = begins(f"{r}.target", start)
        tables += [f"ref AS {r} INDEXED BY ref_seq", f"head AS {h}"]
        wanted.append(
            f"{r}.seq = {seq} AND {r}.p = ? AND {named} AND {h}.type = ? AND {h}.id = substr({r}.target, ?) AND {h}.live"
        )
        values += [p, *named.values, type_number, len(start) + 1]
        scope, seq = target, f"{h}.seq"
    p = scope.number(asked.near.param, "g")
    if p is None:
        return None
    a = conditions.alias()
    source = " CROSS JOIN ".join([*tables, f"geo AS {a} INDEXED BY geo_seq"])
    where = " AND ".join([*wanted, f"{a}.seq = {seq} AND {a}.p = ?"])
    point = (asked.near.latitude, asked.near.longitude)
    return Sql(
        f"SELECT min(metres(?, ?, {a}.lat, {a}.lon)) AS x FROM {source} WHERE {where}",
        (*point, *values, p),
    )
