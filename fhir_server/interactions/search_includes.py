"""`_include` and `_revinclude` (R4 search.html#include): what a page of matches brings along.

Waves: the first follows the matches; each further one follows what the last one brought, for `:iterate` only. A resource
appears once, so cycles end. What does not fit under the limit follows on pages of its own, by the `next` link: a `Place`
tells where one ended, in an order that does not change while others write.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from fhir_server.interactions.context import Engine
from fhir_server.model.codec import decode_stored
from fhir_server.model.issue import Issue
from fhir_server.search.includes import canonical_queries, id_queries, include_targets, is_local, reverse_queries
from fhir_server.search.query import Query
from fhir_server.search.request import WILDCARD, Include, SearchRequest
from fhir_server.store.port import Snapshot, Version

_BATCH = 1000
"""Rows that one search of includes gives at a time."""


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
        for source, version in _wave(engine, snapshot, asked, wave, first=number == 0):
            key = _key(version)
            if key in seen:
                continue
            place = Place(number, source, key)
            if place > after:
                if len(found) >= engine.limits.max_includes:
                    return Included(found, last)
                found.append(version)
                last = place
            seen.add(key)
            brought.append(version)
        wave, number = brought, number + 1
    return Included(found)


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
) -> Iterator[tuple[str, Version]]:
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
) -> Iterator[tuple[str, Version]]:
    """Yield what the wave refers to: resources of this server by id, definitions by their canonical URL."""
    local: set[str] = set()
    canonicals: dict[Include, dict[str, None]] = {}
    for version in wave:
        wanted = [include for include in includes if include.source in (version.type, WILDCARD)]
        if not wanted or version.body is None:
            continue
        resource = decode_stored(version.body)
        for include in wanted:
            entries = engine.extractor.references(resource, include.param)
            for target in include_targets(include, version.type, entries):
                if is_local(target):
                    local.add(target)
                else:
                    canonicals.setdefault(include, {})[target] = None
    for query in id_queries(engine.registry, local, _BATCH):
        for row in snapshot.search(query):
            yield "a", row.version
    for number, include in enumerate(includes):
        if include in canonicals:
            queries = canonical_queries(engine.registry, include, tuple(canonicals[include]), _BATCH)
            yield from _found(snapshot, f"b{number:03}", queries)


def _found(snapshot: Snapshot, source: str, queries: Sequence[Query]) -> Iterator[tuple[str, Version]]:
    for query in sorted(queries, key=lambda one: one.type):
        step = query
        while rows := snapshot.search(step):
            for row in rows:
                yield f"{source}{query.type}", row.version
            if len(rows) < query.limit:
                break
            step = replace(step, after=rows[-1].position)
