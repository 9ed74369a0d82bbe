"""Reading a search on behalf of a request: the one place where what must be looked up before it can run is wired.

Most parameters mean what they say. Some mean more: a value set or a code with those below it (`:in`, `:not-in`, `:below`,
`:above`) means codes that terminology knows, a resource with those above or below it means others of its hierarchy. Both are
looked up as of the snapshot that the search then runs on, as whoever looks through it sees them. So a search that
`needs_lookup` is read inside its snapshot, with the `Lookups` of it; any other is read before, with `NO_LOOKUPS`.

Searches of every kind and the conditions of conditional interactions read by `read_search`; what judges one resource by
itself (the feed, subscriptions, topics, scopes) reads by `search.alone`, where nothing can be looked up. A new kind of look-up
is added to `Lookups` and `needs_lookup`, and refused in `search.alone`.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from fhir_server.interactions.context import Engine
from fhir_server.interactions.request import Parameters, Request
from fhir_server.interactions.search_hierarchies import Follower
from fhir_server.interactions.stored_terminology import expander
from fhir_server.search.overdue import CODE as OVERDUE
from fhir_server.search.parameters import Registry
from fhir_server.search.parse import parse_search
from fhir_server.search.request import Expand, Follow, SearchLimits, SearchRequest
from fhir_server.search.units import UCUM, at_hand
from fhir_server.store.port import Snapshot

_LOOKED_UP: Final = frozenset({"in", "not-in", "below", "above"})
_APPROXIMATE: Final = re.compile(r"(?:^|[,$\s])ap")
"""A value, or one of a list or a composite, that may be compared with `ap`: a date is so by its distance from the present."""
_REMEMBERED_LENGTH: Final = 1000
"""Characters in the values of a search that is worth remembering."""


class Lookups(NamedTuple):
    """What reading one search may ask, as of one snapshot; None where it can ask nothing."""

    expand: Expand | None
    follow: Follow | None


NO_LOOKUPS: Final = Lookups(None, None)


def needs_lookup(parameters: Iterable[tuple[str, str]]) -> bool:
    """Tell whether reading a search may look something up, or load the library of units: it is read in a thread then."""
    return any(
        name == "_filter"
        or (":" in name and name.rpartition(":")[2] in _LOOKED_UP)
        or (UCUM in value and not at_hand(value))
        for name, value in parameters
    )


def lookups_on(engine: Engine, snapshot: Snapshot, base: str) -> Lookups:
    """Return what one search may ask of a snapshot; the hierarchies that it follows share one bound."""
    return Lookups(expander(engine.terminology, snapshot, base), Follower(engine.extractor, snapshot))


def read_search(
    engine: Engine,
    request: Request,
    resource_type: str,
    parameters: Parameters,
    lookups: Lookups = NO_LOOKUPS,
    *,
    strict: bool | None = None,
    often: bool = False,
) -> SearchRequest:
    """Read a search on one type, strictly or not as the request prefers where `strict` does not say.

    `often` says that the same may be asked again and again, as an idle poller does: it is remembered, unless what it means
    was looked up or depends on the present. Raises what `search.parse.parse_search` raises.
    """
    strict = request.strict if strict is None else strict
    limits = SearchLimits(count=engine.limits.max_count)
    same = often and lookups is NO_LOOKUPS and not _depends_on_now(parameters)
    if same and sum(len(value) for _, value in parameters) < _REMEMBERED_LENGTH:
        return _remembered(engine.registry, resource_type, parameters, strict, request.base, limits)
    now_us = engine.clock.now_ms() * 1_000
    return _read(engine.registry, resource_type, parameters, strict, request.base, limits, lookups, now_us)


def _depends_on_now(parameters: Parameters) -> bool:
    return any(("ap" in value and _APPROXIMATE.search(value)) or OVERDUE in name for name, value in parameters)


def _read(
    registry: Registry,
    resource_type: str,
    parameters: Parameters,
    strict: bool,
    base: str,
    limits: SearchLimits,
    lookups: Lookups = NO_LOOKUPS,
    now_us: int = 0,
) -> SearchRequest:
    return parse_search(
        registry,
        resource_type,
        parameters,
        strict=strict,
        own_base=base,
        limits=limits,
        expand=lookups.expand,
        follow=lookups.follow,
        now_us=now_us,
    )


_remembered = lru_cache(maxsize=1024)(_read)
"""Of searches whose meaning does not depend on the present."""
