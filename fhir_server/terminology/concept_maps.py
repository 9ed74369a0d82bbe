"""Translation by ConceptMaps, both directions (R4 conceptmap.html)."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fhir_server.model.resource import Resource

_REVERSED = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}
NO_MATCH = frozenset({"unmatched", "disjoint"})
"""Equivalences that say that there is no translation."""


class Match(NamedTuple):
    """One translation: `equivalence` says how the target relates to the source (R4 concept-map-equivalence).

    `map` is the URL of the concept map; `products` are the elements `product` of the mapping.
    """

    equivalence: str
    system: str
    code: str
    display: str
    map: str
    products: tuple[Mapping[str, Any], ...] = ()


class Group(NamedTuple):
    """The mappings of one group: `source` and `target` are code systems; `scope` the value sets of the whole map."""

    source: str
    target: str
    forward: Mapping[str, tuple[Match, ...]]
    reverse: Mapping[str, tuple[Match, ...]]
    unmapped: Mapping[str, Any]


class MapIndex:
    """A ConceptMap, ready to be asked in both directions. Immutable after construction."""

    __slots__ = ("groups", "source_value_set", "sources", "target_value_set", "targets", "url", "version")

    def __init__(self, resource: Resource) -> None:
        """Index a ConceptMap. A mapping that depends on other elements (`dependsOn`) is left out: it may not hold."""
        self.url: str = resource.get("url", "")
        self.version: str = resource.get("version", "")
        self.source_value_set: str = _plain(resource.get("sourceCanonical") or resource.get("sourceUri"))
        self.target_value_set: str = _plain(resource.get("targetCanonical") or resource.get("targetUri"))
        self.groups = tuple(_group(self.url, group) for group in resource.get("group", ()))
        self.sources = frozenset(group.source for group in self.groups)
        self.targets = frozenset(group.target for group in self.groups)

    def between(self, source: str, target: str, *, reverse: bool) -> bool:
        """Tell whether the map leads from and to these, each the URL of a code system or value set, "" for any."""
        froms, tos = {*self.sources, self.source_value_set}, {*self.targets, self.target_value_set}
        if reverse:
            froms, tos = tos, froms
        return (not source or _plain(source) in froms) and (not target or _plain(target) in tos)

    def find(self, system: str, code: str, *, reverse: bool) -> Iterator[Match]:
        """Yield the mappings of a code that the map states."""
        for group in self.groups:
            if system == (group.target if reverse else group.source):
                yield from (group.reverse if reverse else group.forward).get(code, ())

    def leftovers(self, system: str, code: str) -> Iterator[Group]:
        """Yield the groups that say what to do with a code for which they have no mapping."""
        for group in self.groups:
            if group.source == system and group.unmapped and code not in group.forward:
                yield group


def _group(url: str, group: Resource) -> Group:
    source, target = _plain(group.get("source")), _plain(group.get("target"))
    forward: dict[str, list[Match]] = {}
    reverse: dict[str, list[Match]] = {}
    for element in group.get("element", ()):
        known = forward.setdefault(element.get("code", ""), [])
        for one in element.get("target", ()):
            if "dependsOn" in one:
                continue
            products = tuple(one.get("product", ()))
            match = Match(one["equivalence"], target, one.get("code", ""), one.get("display", ""), url, products)
            known.append(match)
            if match.equivalence not in NO_MATCH and match.code and "code" in element:
                turned = _REVERSED.get(match.equivalence, match.equivalence)
                back = Match(turned, source, element["code"], element.get("display", ""), url)
                reverse.setdefault(match.code, []).append(back)
    return Group(source, target, _frozen(forward), _frozen(reverse), group.get("unmapped", {}))


def _frozen(matches: dict[str, list[Match]]) -> dict[str, tuple[Match, ...]]:
    return {code: tuple(found) for code, found in matches.items()}


def _plain(canonical: str | None) -> str:
    """Return a canonical without its version."""
    return (canonical or "").partition("|")[0]
