"""`_include` and `_revinclude` (R4 search.html#include): what a page of matches brings along.

Rounds: the first follows the matches; each further round follows what the last one brought, for `:iterate` only. A
resource appears once, so cycles end. What does not fit under the limit is told in the answer, never left out silently.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fhir_server.interactions.context import Engine
from fhir_server.model.codec import decode
from fhir_server.model.issue import Issue
from fhir_server.search.includes import canonical_queries, include_targets, is_local, reverse_queries
from fhir_server.search.request import WILDCARD, Include, SearchRequest
from fhir_server.store.port import Row, Snapshot, Version


class Included(NamedTuple):
    """The resources that were brought along, in the order they were found, and what has to be told about them."""

    versions: list[Version]
    issues: list[Issue]


def included(engine: Engine, snapshot: Snapshot, asked: SearchRequest, rows: Sequence[Row]) -> Included:
    """Return what the includes of a search add to a page of matches."""
    found = Included([], [])
    if not asked.includes and not asked.revincludes:
        return found
    seen = {f"{row.version.type}/{row.version.id}" for row in rows}
    wave = [row.version for row in rows]
    first = True
    while wave:
        brought: list[Version] = []
        for version in _wave(engine, snapshot, asked, wave, first=first):
            key = f"{version.type}/{version.id}"
            if key in seen:
                continue
            if len(found.versions) >= engine.limits.max_includes:
                found.issues.append(_cut(engine.limits.max_includes))
                return found
            seen.add(key)
            brought.append(version)
            found.versions.append(version)
        wave, first = brought, False
    return found


def _wave(
    engine: Engine, snapshot: Snapshot, asked: SearchRequest, wave: Sequence[Version], *, first: bool
) -> Iterable[Version]:
    forward = [include for include in asked.includes if first or include.iterate]
    if forward:
        yield from _referred(engine, snapshot, forward, wave)
    limit = engine.limits.max_includes + 1
    page: dict[str, list[str]] = {}
    for version in wave:
        page.setdefault(version.type, []).append(f"{version.type}/{version.id}")
    for include in asked.revincludes:
        if first or include.iterate:
            for query in reverse_queries(engine.registry, include, page, limit):
                yield from (row.version for row in snapshot.search(query))


def _referred(
    engine: Engine, snapshot: Snapshot, includes: Sequence[Include], wave: Sequence[Version]
) -> Iterable[Version]:
    """Yield what the wave refers to: resources of this server by id, definitions by their canonical URL."""
    local: dict[str, None] = {}
    canonicals: dict[Include, dict[str, None]] = {}
    for version in wave:
        wanted = [include for include in includes if include.source in (version.type, WILDCARD)]
        if not wanted or version.body is None:
            continue
        entries = engine.extractor.extract(decode(version.body))
        for include in wanted:
            for target in include_targets(include, version.type, entries):
                (local if is_local(target) else canonicals.setdefault(include, {}))[target] = None
    for target in local:
        kind, _, resource_id = target.partition("/")
        current = snapshot.current(kind, resource_id)
        if current is not None and not current.deleted:
            yield current
    for include, urls in canonicals.items():
        for query in canonical_queries(engine.registry, include, tuple(urls), engine.limits.max_includes + 1):
            yield from (row.version for row in snapshot.search(query))


def _cut(limit: int) -> Issue:
    text = (
        f"Only the first {limit} included resources are here (setting max_includes). Ask for fewer matches per page with "
        "_count, or read the others by their references."
    )
    return Issue("includes-incomplete", "incomplete", text, severity="warning")
