"""Chains that end in a contained resource (R4 search.html#contained: a chained condition is evaluated inside them).

A resource is indexed with the entries of what it contains and refers to: `owner#Organization.name` is the `name` of the
contained Organization that `owner` refers to. A chain therefore asks both: the resources referred to, and these entries.
What is contained refers to others that are contained beside it; that is followed once.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from fhir_server.model.resource import Resource
from fhir_server.search import query as q
from fhir_server.search.beside import inside
from fhir_server.search.emit import Entries
from fhir_server.search.query import NOTHING, Node
from fhir_server.search.values import Entry, ReferenceEntry, TextEntry, TokenEntry

DEEPEST = 2
"""Contained resources in a row that are followed: the one referred to, and one that it refers to."""

Fragments = Callable[[Resource], Iterable[tuple[str, str]]]
"""A resource → `(param, "#id")` for each reference to what is contained."""


class Contained:
    """Emits the entries of contained resources."""

    def __init__(
        self,
        entries: Callable[[Resource], Iterable[Entry]],
        fragments: Fragments,
        takes: Callable[[str, str, str], bool],
    ) -> None:
        """Take what a resource has by itself, its references, and whether (type, param) may refer to a third, a type."""
        self._entries, self._fragments, self._takes = entries, fragments, takes

    def emit(self, resource: Resource, out: Entries) -> None:
        """Append the entries of what a resource contains and refers to; odd content has none."""
        contained = resource.get("contained")
        if type(contained) is not list:
            return
        by_id = {f"#{one['id']}": one for one in contained if type(one) is dict and _named(one)}
        if by_id:
            self._follow(resource, "", by_id, set(), out)

    def _follow(
        self, resource: Resource, before: str, by_id: Mapping[str, Resource], seen: set[tuple[str, str]], out: Entries
    ) -> None:
        for param, fragment in self._fragments(resource):
            found = by_id.get(fragment)
            if found is None or found is resource:
                continue
            kind = found["resourceType"]
            name = inside(before + param, kind)
            if (name, fragment) in seen or not self._takes(resource["resourceType"], param, kind):
                continue
            seen.add((name, fragment))
            out.append(ReferenceEntry(before + param, "", target_type=kind))  # `param` is not missing
            out.append(TokenEntry(name, None, "#"))
            out.extend(_moved(entry, f"{name}.") for entry in self._entries(found) if _counts(entry))
            if name.count("#") < DEEPEST:
                self._follow(found, f"{name}.", by_id, seen, out)


def _named(one: dict[str, Any]) -> bool:
    return type(one.get("id")) is str and type(one.get("resourceType")) is str


def _counts(entry: Entry) -> bool:
    """Tell whether an entry is of a parameter of the contained resource itself."""
    return not isinstance(entry, TextEntry) and not entry.param.startswith("_")


def _moved(entry: Entry, before: str) -> Entry:
    moved: Entry = entry._replace(param=before + entry.param)
    return moved


def within(node: Node, param: str, resource_type: str) -> Node:
    """Return what asks of a contained resource that `param` refers to what `node` asks of a `resource_type`.

    NOTHING where a contained resource cannot satisfy it: it has no id of its own, no date of change and no referrers.
    """
    found = _asked(node, f"{inside(param, resource_type)}.")
    if found in (NOTHING, q.EVERYTHING):
        return found if found == NOTHING else _there(param, resource_type)
    return q.And((_there(param, resource_type), found)) if _holds_of_nobody(found) else found


def _there(param: str, resource_type: str) -> Node:
    return q.Missing(inside(param, resource_type), missing=False)


def _asked(node: Node, before: str) -> Node:
    match node:
        case q.And(parts):
            asked = [_asked(part, before) for part in parts]
            return NOTHING if NOTHING in asked else q.And(tuple(asked))
        case q.Or(parts):
            kept = tuple(part for part in (_asked(part, before) for part in parts) if part != NOTHING)
            return kept[0] if len(kept) == 1 else q.Or(kept)
        case q.Not(part):
            inner = _asked(part, before)
            return q.EVERYTHING if inner == NOTHING else q.Not(inner)
        case q.IdIs() | q.LastUpdated() | q.Has() | q.FullText():
            return NOTHING
        case _:
            name = before + node.param
            return NOTHING if name.count("#") > DEEPEST else replace(node, param=name)


def _holds_of_nobody(node: Node) -> bool:
    """Tell whether a node holds of a resource without any entry, and so needs to be told that there is one."""
    match node:
        case q.And(parts):
            return all(_holds_of_nobody(part) for part in parts)
        case q.Or(parts):
            return any(_holds_of_nobody(part) for part in parts)
        case q.Not(part):
            return not _holds_of_nobody(part)
        case q.Missing(_, missing):
            return missing
        case _:
            return False
