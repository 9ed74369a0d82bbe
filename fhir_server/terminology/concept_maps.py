"""Translation by ConceptMaps, both directions (R4 conceptmap.html)."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from fhir_server.model.resource import Resource

_REVERSED = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}
_NO_MATCH = frozenset({"unmatched", "disjoint"})


class Match(NamedTuple):
    """One translation: `equivalence` says how the target relates to the source (R4 concept-map-equivalence)."""

    equivalence: str
    system: str
    code: str
    display: str
    map: str


class _Row(NamedTuple):
    """One mapping of one code; `scope` holds the canonicals that a caller may name as its target."""

    match: Match
    scope: frozenset[str]


class Translations:
    """All mappings of some ConceptMaps, indexed by source code and, for the way back, by target code."""

    __slots__ = ("_fallbacks", "_forward", "_reverse")

    def __init__(self, maps: Iterable[Resource]) -> None:
        forward: dict[tuple[str, str], list[_Row]] = {}
        reverse: dict[tuple[str, str], list[_Row]] = {}
        fallbacks: list[tuple[str, _Row]] = []
        for resource in maps:
            for group in resource.get("group", ()):
                fallbacks.extend(_fallback(resource, group))
                for source, match in _mappings(resource, group):
                    forward.setdefault((group["source"], source["code"]), []).append(
                        _Row(match, _scope(resource, group))
                    )
                    if match.equivalence not in _NO_MATCH:
                        back = Match(
                            _REVERSED.get(match.equivalence, match.equivalence),
                            group["source"],
                            source["code"],
                            source.get("display", ""),
                            match.map,
                        )
                        row = _Row(back, _scope_back(resource, group))
                        reverse.setdefault((match.system, match.code), []).append(row)
        self._forward: Mapping[tuple[str, str], list[_Row]] = MappingProxyType(forward)
        self._reverse: Mapping[tuple[str, str], list[_Row]] = MappingProxyType(reverse)
        self._fallbacks = tuple(fallbacks)

    def find(self, system: str, code: str, target: str, concept_map: str, *, reverse: bool) -> tuple[Match, ...]:
        """Return the mappings of a code; `target` (system or value set) and `concept_map` narrow when not ""."""
        rows = (self._reverse if reverse else self._forward).get((system, code), [])
        if not rows and not reverse:
            rows = [row for source, row in self._fallbacks if source == system]
        return tuple(
            row.match
            for row in rows
            if (not target or target in row.scope) and (not concept_map or concept_map == row.match.map)
        )


def _mappings(resource: Resource, group: Resource) -> Iterator[tuple[Resource, Match]]:
    for element in group.get("element", ()):
        for target in element.get("target", ()):
            system, code, display = group.get("target", ""), target.get("code", ""), target.get("display", "")
            yield element, Match(target["equivalence"], system, code, display, resource["url"])


def _fallback(resource: Resource, group: Resource) -> Iterator[tuple[str, _Row]]:
    unmapped = group.get("unmapped", {})
    if unmapped.get("mode") == "fixed":
        display = unmapped.get("display", "")
        match = Match("inexact", group.get("target", ""), unmapped["code"], display, resource["url"])
        yield group["source"], _Row(match, _scope(resource, group))


def _scope(resource: Resource, group: Resource) -> frozenset[str]:
    named = (group.get("target"), resource.get("targetUri"), resource.get("targetCanonical"))
    return frozenset(name for name in named if name)


def _scope_back(resource: Resource, group: Resource) -> frozenset[str]:
    named = (group.get("source"), resource.get("sourceUri"), resource.get("sourceCanonical"))
    return frozenset(name for name in named if name)
