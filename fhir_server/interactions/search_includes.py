"""`_include` and `_revinclude` (R4 search.html#include): what a page of matches brings along.

Waves: the first follows the matches; each further one follows what the last one brought, for `:iterate` only. A resource
appears once, so cycles end. What does not fit under the limit follows on pages of its own, by the `next` link: a `Place`
tells where one ended, in an order that does not change while others write.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple, TypeAlias

from fhir_server.interactions.context import Engine
from fhir_server.model.issue import Issue
from fhir_server.search.includes import (
    canonical_queries,
    id_queries,
    include_targets,
    is_local,
    part_reader,
    reverse_queries,
)
from fhir_server.search.query import Query
from fhir_server.search.request import WILDCARD, Include, SearchRequest
from fhir_server.store.port import Snapshot, Version

_BATCH = 1000
"""Rows that one search of includes gives at a time."""


Brought: TypeAlias = tuple[str, list[Version]]
"""What found them, and resources in the order of their ids."""


class Place(NamedTuple):
    """Where an include stands: its wave, what found it, and `Type/id`; compared as a tuple."""

    wave: int
    source: str
    key: str


START = Place(-1, "", "")


class Included(NamedTuple):
    """The resources that were brought along, in order, and where the page of them ended, if more follow."""

    versions: list[Version]
    end: Place | None = None


def included(
    engine: Engine, snapshot: Snapshot, asked: SearchRequest, matches: Sequence[Version], after: Place = START
) -> Included:
    """Return what the includes of a search add to a page of matches, from a place on."""
    found: list[Version] = []
    if not asked.includes and not asked.revincludes:
        return Included(found)
    seen = {_key(version) for version in matches}
    wave, number, last = list(matches), 0, after
    while wave:
        brought: list[Version] = []
        for source, versions in _wave(engine, snapshot, asked, wave, first=number == 0):
            fresh = _unseen(versions, seen)
            brought += fresh
            if after is not START:
                fresh = [version for version in fresh if Place(number, source, _key(version)) > after]
            if not fresh:
                continue
            room = engine.limits.max_includes - len(found)
            found += fresh[:room]
            if room > 0:
                last = Place(number, source, _key(found[-1]))
            if len(fresh) > room:
                return Included(found, last)
        wave, number = brought, number + 1
    return Included(found)


def _unseen(versions: Iterable[Version], seen: set[str]) -> list[Version]:
    """Return the versions of resources that are not in `seen`, each once, and add these to it."""
    found = []
    for version in versions:
        key = f"{version.type}/{version.id}"
        if key not in seen:
            seen.add(key)
            found.append(version)
    return found


def incomplete(limit: int) -> Issue:
    """Tell that more includes follow."""
    text = (
        f"Only {limit} included resources fit on a page (setting max_includes); the next link goes on with those that "
        "belong to these matches, and after them with further matches."
    )
    return Issue("includes-incomplete", "incomplete", text, severity="warning")


def _key(version: Version) -> str:
    return f"{version.type}/{version.id}"


def _wave(
    engine: Engine, snapshot: Snapshot, asked: SearchRequest, wave: Sequence[Version], *, first: bool
) -> Iterator[Brought]:
    """Yield what a wave brings, with what found it: sources in order, and within each the resources by key."""
    forward = [include for include in asked.includes if first or include.iterate]
    if forward:
        yield from _referred(engine, snapshot, forward, wave)
    page: dict[str, list[str]] = {}
    for version in wave:
        page.setdefault(version.type, []).append(_key(version))
    for number, include in enumerate(asked.revincludes):
        if first or include.iterate:
            queries = reverse_queries(engine.registry, include, page, _BATCH)
            yield from _found(snapshot, f"c{number:03}", queries)


def _referred(
    engine: Engine, snapshot: Snapshot, includes: Sequence[Include], wave: Sequence[Version]
) -> Iterator[Brought]:
    """Yield what the wave refers to: resources of this server by id, definitions by their canonical URL."""
    extractor = engine.extractor
    local: set[str] = set()
    canonicals: dict[Include, dict[str, None]] = {}
    kinds = dict.fromkeys([version.type for version in wave])
    for include, kind in product(includes, kinds):
        if include.source not in (kind, WILDCARD):
            continue
        read, references = part_reader(extractor.members(kind, include.param)), extractor.references
        for version in wave:
            if version.type != kind or version.body is None:
                continue
            resource = read(version.body)
            resource["resourceType"] = kind
            for target in include_targets(include, kind, references(resource, include.param)):
                if is_local(target):
                    local.add(target)
                else:
                    canonicals.setdefault(include, {})[target] = None
    for query in id_queries(engine.registry, local, _BATCH):
        yield "a", [row.version for row in snapshot.search(query)]
    for number, include in enumerate(includes):
        if include in canonicals:
            queries = canonical_queries(engine.registry, include, tuple(canonicals[include]), _BATCH)
            yield from _found(snapshot, f"b{number:03}", queries)


def _found(snapshot: Snapshot, source: str, queries: Sequence[Query]) -> Iterator[Brought]:
    for query in sorted(queries, key=lambda one: one.type):
        step = query
        while rows := snapshot.search(step):
            yield f"{source}{query.type}", [row.version for row in rows]
            if len(rows) < query.limit:
                break
            step = replace(step, after=rows[-1].position)
