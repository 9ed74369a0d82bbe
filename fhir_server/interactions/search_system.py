"""search over several types at once: `GET [base]?_type=…` and `POST [base]/_search` (R4 http.html#search).

Every parameter must exist on every type that is searched. Matches are ordered by `_lastUpdated`, the one order that all
types share; a page is merged from one page of each type, so the cursor is a place in the common sequence of changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from fhir_server.artifacts import r4
from fhir_server.interactions.context import Engine
from fhir_server.interactions.include_pages import is_remainder
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.request import Parameters, Place, Request, Result
from fhir_server.interactions.search import Page, both, form_of, render_page, render_remainder
from fhir_server.interactions.search_lookups import NO_LOOKUPS, Lookups, lookups_on, needs_lookup, read_search
from fhir_server.model.errors import Malformed
from fhir_server.search.page import fingerprint_of
from fhir_server.search.query import EVERYTHING, Node, Query, SortKey
from fhir_server.search.request import SearchRequest
from fhir_server.store.port import Row, Snapshot

_HANDFUL = 8
"""Types of which the plans are bounded together, and are worth remembering."""
_ORDERS = ((), (SortKey("_lastUpdated"),), (SortKey("_lastUpdated", descending=True),))


class TypeScope(NamedTuple):
    """Where several types are searched: on the whole server, or within one compartment."""

    path: str = ""
    """The place below the base, for links."""
    types: tuple[str, ...] = ()
    """The types that there are, () for all."""
    within: Callable[[str], Node] = lambda _: EVERYTHING
    """Type → what holds for its resources there."""


_SERVER = TypeScope()


def search_system(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # the shape of every handler
    """Search several types, all of them without `_type`."""
    return search_types(engine, request, _SERVER, request.query)


def search_system_by_post(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # idem
    """Search several types with the parameters of a form."""
    return search_types(engine, request, _SERVER, (*request.query, *form_of(request)))


def search_types(engine: Engine, request: Request, scope: TypeScope, parameters: Parameters) -> Operation:
    """Search the types of a scope that `_type` names, all of them without it."""
    types = _types(parameters, scope)
    heavy = len(types) > _HANDFUL
    if needs_lookup(parameters):

        def read_and_work(snapshot: Snapshot) -> Result:
            lookups = lookups_on(engine, snapshot, request.base)
            return _prepared(engine, request, scope._replace(types=types), parameters, lookups)(snapshot)

        return Reading(read_and_work, heavy=True)
    return Reading(_prepared(engine, request, scope._replace(types=types), parameters), heavy=heavy)


def _prepared(
    engine: Engine, request: Request, scope: TypeScope, parameters: Parameters, lookups: Lookups = NO_LOOKUPS
) -> Callable[[Snapshot], Result]:
    each = _asked(engine, request, scope, parameters, lookups)
    asked = each[0]
    if asked.sort not in _ORDERS:
        raise Malformed(
            "A search over several types can be sorted by _lastUpdated only. Search one type to sort by another "
            "parameter.",
            key="search-bad-sort",
        )
    used = (*(pair for pair in parameters if pair[0] == "_type"), *asked.used)
    mark = fingerprint_of(request.base, scope.path, used)
    if is_remainder(asked.cursor):
        identity = (mark, used, scope.path)
        return lambda snapshot: render_remainder(engine, request, snapshot, asked, identity)
    after = engine.cursors.decode(asked.cursor, mark) if asked.cursor else ()
    size = asked.count if asked.count is not None else engine.limits.default_count
    queries = [
        Query(one.resource_type, both(scope.within(one.resource_type), one.where), asked.sort, size + 1, tuple(after))
        for one in each
    ]

    def work(snapshot: Snapshot) -> Result:
        counting = size == 0 or asked.summary == "count"
        rows = [] if counting else _merged(snapshot, queries, asked)
        total = None
        if counting or asked.total in ("accurate", "estimate"):
            total = sum(snapshot.count(query) for query in queries)
        page = Page(rows[:size], len(rows) > size, total, first=not after)
        return render_page(engine, request, snapshot, asked, page, (mark, used, scope.path))

    return work


def _asked(
    engine: Engine, request: Request, scope: TypeScope, parameters: Parameters, lookups: Lookups
) -> list[SearchRequest]:
    """Read the search once for each type; in lenient handling, what one type does not know is ignored for all of them."""

    def read(sent: Parameters) -> list[SearchRequest]:
        often = len(scope.types) <= _HANDFUL
        return [read_search(engine, request, kind, sent, lookups, often=often) for kind in scope.types]

    rest = tuple(pair for pair in parameters if pair[0] != "_type")
    each = read(rest)
    ignored = tuple(dict.fromkeys(name for one in each for name in one.ignored))
    if any(set(one.ignored) != set(ignored) for one in each):
        each = [replace(one, ignored=ignored) for one in read(tuple(pair for pair in rest if pair[0] not in ignored))]
    return each


def _types(parameters: Parameters, scope: TypeScope) -> tuple[str, ...]:
    named = [name.strip() for key, value in parameters if key == "_type" for name in value.split(",") if name.strip()]
    for name in named:
        if name not in r4.resource_types():
            raise Malformed(f"_type names {name[:80]!r}, which is not an R4 resource type.", key="unknown-type")
        if scope.types and name not in scope.types:
            raise Malformed(
                f"_type names {name}, which is never in this compartment of R4; it holds {', '.join(scope.types)}.",
                key="not-in-compartment",
            )
    return tuple(dict.fromkeys(named)) or scope.types or tuple(sorted(r4.resource_types()))


def _merged(snapshot: Snapshot, queries: Sequence[Query], asked: SearchRequest) -> list[Row]:
    rows = [row for query in queries for row in snapshot.search(query)]
    ascending = bool(asked.sort) and not asked.sort[0].descending
    return sorted(rows, key=lambda row: row.version.sequence, reverse=not ascending)
