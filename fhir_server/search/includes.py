"""What `_include` and `_revinclude` add to a page (R4 search.html#include)."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from fhir_server.search.parameters import Registry
from fhir_server.search.query import And, IdIs, Node, Or, Query, RefersTo, SortKey, TextMode, TokenIs, UriIs
from fhir_server.search.request import WILDCARD, Include
from fhir_server.search.values import Entry, ReferenceEntry

BY_ID = (SortKey("_id"),)
_VERSION = re.compile(r"[1-9]\d{0,17}", re.ASCII).fullmatch


Target: TypeAlias = tuple[str, str]
"""`Type/id` or the URL of a canonical, and the version that the reference names, "" for none."""


def include_targets(include: Include, resource_type: str, entries: Sequence[Entry]) -> list[Target]:
    """Return what a resource of the page includes, each once, in order.

    References to other servers are left out: this server cannot give what they name. A canonical is returned as its
    URL, to be found by `url`; `canonical_queries` says where.
    """
    param, kept = include.param, include.target
    if include.source not in (resource_type, WILDCARD):
        return []
    found: dict[Target, None] = {}
    for entry in entries:
        if type(entry) is not ReferenceEntry:
            continue
        code, target, version, _, _, kind = entry
        if target and param in (code, WILDCARD) and (not kept or not kind or kept == kind):
            found[target, version] = None
    return [pair for pair in found if is_local(pair[0]) or not _is_rest_url(pair[0], entries)]


@lru_cache(maxsize=256)
def part_reader(names: tuple[str, ...]) -> Callable[[bytes], dict[str, Any]]:
    """Return what reads only these members of a stored resource: to skip the others takes a third of the time."""
    places = [f"m{number}" for number in range(len(names))]
    shape = msgspec.defstruct(
        "Part", [(place, Any, msgspec.UNSET) for place in places], rename=dict(zip(places, names, strict=True))
    )
    decode = msgspec.json.Decoder(shape).decode

    pairs = tuple(zip(names, places, strict=True))
    unset = msgspec.UNSET

    def read(body: bytes) -> dict[str, Any]:
        part = decode(body)
        return {name: value for name, place in pairs if (value := getattr(part, place)) is not unset}

    return read


def is_local(target: str) -> bool:
    """Tell `Type/id` from a URL."""
    return "://" not in target and not target.startswith("urn:") and target.count("/") == 1


def _is_rest_url(target: str, entries: Sequence[Entry]) -> bool:
    """An absolute URL of a resource elsewhere has a known type; a canonical has none."""
    return any(isinstance(entry, ReferenceEntry) and entry.target == target and entry.target_type for entry in entries)


def id_queries(registry: Registry, targets: Iterable[str], limit: int) -> Iterator[Query]:
    """Yield the queries that give the resources with these names (`Type/id`), in the order of the names, all of them."""
    of_type: dict[str, list[str]] = {}
    for target in sorted(targets):
        kind, _, identity = target.partition("/")
        of_type.setdefault(kind, []).append(identity)
    for kind, ids in of_type.items():
        if kind in registry.types:
            for start in range(0, len(ids), limit):
                part = tuple(ids[start : start + limit])
                yield Query(kind, IdIs(part), BY_ID, len(part))


def version_number(version: str) -> int:
    """Return the number of a version as this server gives them; 0, which none has, for any other text."""
    return int(version) if _VERSION(version) else 0


def canonical_queries(registry: Registry, include: Include, canonicals: Sequence[Target], limit: int) -> list[Query]:
    """Return the queries that find the resources with these canonical URLs: one for each type that can be meant.

    A version that a canonical names is the one that the resource states of itself (R4 search.html#versions).
    """
    parameter = registry.of(include.source).get(include.param)
    possible = (include.target,) if include.target else registry.targets(parameter) if parameter else ()
    return [
        Query(
            kind,
            Or(tuple(_canonical(url, version if "version" in known else "") for url, version in canonicals)),
            BY_ID,
            limit,
        )
        for kind in possible
        if "url" in (known := registry.of(kind))
    ]


def _canonical(url: str, version: str) -> Node:
    named = UriIs("url", TextMode.EXACT, url)
    return And((named, TokenIs("version", None, version.casefold()))) if version else named


def reverse_queries(
    registry: Registry, revinclude: Include, page: Mapping[str, Iterable[str]], limit: int
) -> list[Query]:
    """Return the queries that find what refers to a page: one for each source type.

    `page` is type → targets (`Type/id`). Ask each with one more than what is left of the bound on includes, so that
    reaching the bound shows.
    """
    sources = registry.types if revinclude.source == WILDCARD else (revinclude.source,)
    queries = []
    for source in sources:
        parts = []
        for code, parameter in registry.of(source).items():
            if parameter.type != "reference" or revinclude.param not in (code, WILDCARD):
                continue
            possible = registry.targets(parameter)
            for kind, targets in page.items():
                if kind in possible and revinclude.target in ("", kind):
                    parts += [RefersTo(code, target) for target in targets]
        if parts:
            queries.append(Query(source, Or(tuple(parts)), BY_ID, limit))
    return queries
