"""`_include` and `_revinclude` (R4 search.html#include): what a page of matches brings along.

Waves: the first follows the matches; each further one follows what the last one brought, for `:iterate` only. A resource
appears once, so cycles end; a version that a reference names comes beside another of the same resource. What does not fit under the limit follows on pages of its own, by the `next` link: a `Place`
tells where one ended, in an order that does not change while others write.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple, TypeAlias

from fhir_server.interactions.context import Engine
from fhir_server.model.issue import Issue
from fhir_server.search.includes import (
    Target,
    canonical_queries,
    id_queries,
    include_targets,
    is_local,
    part_reader,
    reverse_queries,
    version_number,
)
from fhir_server.search.query import Query
from fhir_server.search.request import WILDCARD, Include, SearchRequest
from fhir_server.store.port import Snapshot, Version

_BATCH = 1000
"""Rows that one search of includes gives at a time."""
_NAMED = "a0"
"""What found a version that a reference names: after what is found by id (`a`), before what is found by URL (`b…`)."""


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
    seen = _Seen(matches)
    wave, number, last = list(matches), 0, after
    while wave:
        brought: list[Version] = []
        for source, versions in _wave(engine, snapshot, asked, wave, first=number == 0):
            fresh = seen.fresh(source, versions)
            brought += fresh
            if after is not START:
                fresh = [version for version in fresh if Place(number, source, _key(source, version)) > after]
            if not fresh:
                continue
            room = engine.limits.max_includes - len(found)
            found += fresh[:room]
            if room > 0:
                last = Place(number, source, _key(source, found[-1]))
            if len(fresh) > room:
                return Included(found, last)
        wave, number = brought, number + 1
    return Included(found)


class _Seen:
    """What is on the page: resources, each in one version, and other versions of them that are named."""

    def __init__(self, matches: Iterable[Version]) -> None:
        self._versions = {f"{version.type}/{version.id}": version.version for version in matches}
        self._named: set[tuple[str, int]] = set()

    def fresh(self, source: str, versions: Iterable[Version]) -> list[Version]:
        """Return the versions that are not there yet, each once, and keep them in mind."""
        found = []
        for version in versions:
            key, number = f"{version.type}/{version.id}", version.version
            there = self._versions.get(key)
            if (there is not None and (source != _NAMED or there == number)) or (key, number) in self._named:
                continue
            if source == _NAMED:
                self._named.add((key, number))
            else:
                self._versions[key] = number
            found.append(version)
        return found


def incomplete(limit: int) -> Issue:
    """Tell that more includes follow."""
    text = (
        f"Only {limit} included resources fit on a page (setting max_includes); the next link goes on with those that "
        "belong to these matches, and after them with further matches."
    )
    return Issue("includes-incomplete", "incomplete", text, severity="warning")


def _key(source: str, version: Version) -> str:
    """Return where a version stands in what its source brings."""
    name = f"{version.type}/{version.id}"
    return _named_key(name, version.version) if source == _NAMED else name


def _named_key(name: str, number: int) -> str:
    return f"{name}/{number:018}"


def _wave(
    engine: Engine, snapshot: Snapshot, asked: SearchRequest, wave: Sequence[Version], *, first: bool
) -> Iterator[Brought]:
    """Yield what a wave brings, with what found it: sources in order, and within each the resources by key."""
    forward = [include for include in asked.includes if first or include.iterate]
    if forward:
        yield from _referred(engine, snapshot, forward, wave)
    page: dict[str, list[str]] = {}
    for version in wave:
        page.setdefault(version.type, []).append(f"{version.type}/{version.id}")
    for number, include in enumerate(asked.revincludes):
        if first or include.iterate:
            queries = reverse_queries(engine.registry, include, page, _BATCH)
            yield from _found(snapshot, f"c{number:03}", queries)


def _referred(
    engine: Engine, snapshot: Snapshot, includes: Sequence[Include], wave: Sequence[Version]
) -> Iterator[Brought]:
    """Yield what the wave refers to: resources of this server by id or by version, definitions by their canonical URL."""
    extractor = engine.extractor
    local: set[str] = set()
    named: set[tuple[str, int]] = set()
    canonicals: dict[Include, dict[Target, None]] = {}
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
            for target, version_id in include_targets(include, kind, references(resource, include.param)):
                if not is_local(target):
                    canonicals.setdefault(include, {})[target, version_id] = None
                elif version_id:
                    named.add((target, version_number(version_id)))
                else:
                    local.add(target)
    for query in id_queries(engine.registry, local, _BATCH):
        yield "a", [row.version for row in snapshot.search(query)]
    for _, target, number in sorted((_named_key(target, number), target, number) for target, number in named):
        kind, _, identity = target.partition("/")
        found = snapshot.version(kind, identity, number)
        if found is not None and found.body is not None:
            yield _NAMED, [found]
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
