"""The stages that select: one `$match` for each part of a query, what an index answers best first.

MongoDB makes one filter of them, and its planner takes an index for it; the first stage has one in any case. A stage whose
keys name the type already does without the type, so that no plan walks the whole type in order instead.
"""

from collections.abc import Callable

from fhir_server.search.query import And, Node
from fhir_server.store.mongo.link import Document
from fhir_server.store.mongo.pieces import FALSE, TRUE

_EXACT = ("_id", "k", "w")
_OTHERS = 1_000_000


def parts_of(node: Node) -> tuple[Node, ...]:
    """Return the parts that all must hold."""
    if isinstance(node, And):
        return tuple(inner for part in node.parts for inner in parts_of(part))
    return (node,)


def matching(resource_type: str, node: Node, holds: Callable[[Node], Document]) -> list[Document] | None:
    """Return the stages for the resources of a type that satisfy a node; None when none can."""
    filters: list[Document] = []
    for part in parts_of(node):
        one = holds(part)
        for piece in one["$and"] if set(one) == {"$and"} else (one,):
            if piece == FALSE:
                return None
            if piece != TRUE and piece not in filters:
                filters.append(piece)
    filters.sort(key=_rank)
    if not filters or _rank(filters[0]) >= _OTHERS:
        filters.insert(0, {"t": resource_type})
    return [{"$match": one} for one in filters]


def _rank(one: Document) -> int:
    """How promising a filter is: ids, references, single keys, lists by their length; the rest as it comes."""
    if len(one) != 1:
        return _OTHERS
    ((field, value),) = one.items()
    if field not in _EXACT:
        return _OTHERS
    if field == "_id":
        return 0
    if isinstance(value, str):
        return 1 if ".r " in value else 2
    return 2 + len(value["$in"]) if "$in" in value else _OTHERS
