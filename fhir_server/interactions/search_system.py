"""search over several types at once: `GET [base]?_type=…` and `POST [base]/_search` (R4 http.html#search).

Every parameter must exist on every type that is searched. Matches are ordered by `_lastUpdated`, the one order that all
types share; a page is merged from one page of each type, so the cursor is a place in the common sequence of changes.
"""

from collections.abc import Sequence

from fhir_server.artifacts import r4
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.request import Kind, Parameters, Place, Request, Result
from fhir_server.interactions.search import Page, form_of, render_page
from fhir_server.model.errors import Malformed
from fhir_server.search.page import fingerprint_of
from fhir_server.search.parse import parse_search
from fhir_server.search.query import Query, SortKey
from fhir_server.search.request import SearchLimits, SearchRequest
from fhir_server.store.port import Row, Snapshot

_ORDERS = ((), (SortKey("_lastUpdated"),), (SortKey("_lastUpdated", descending=True),))


def search_system(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # the shape of every handler
    """Search several types, all of them without `_type`."""
    return _search(engine, request, request.query)


def search_system_by_post(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # idem
    """Search several types with the parameters of a form."""
    return _search(engine, request, (*request.query, *form_of(request)))


def _search(engine: Engine, request: Request, parameters: Parameters) -> Operation:
    types = _types(parameters)
    rest = tuple(pair for pair in parameters if pair[0] != "_type")
    limits = SearchLimits(count=engine.limits.max_count)
    each = [
        parse_search(engine.registry, kind, rest, strict=request.strict, own_base=request.base, limits=limits)
        for kind in types
    ]
    asked = each[0]
    if asked.sort not in _ORDERS:
        raise Malformed(
            "A search over several types can be sorted by _lastUpdated only. Search one type to sort by another "
            "parameter.",
            key="search-bad-sort",
        )
    used = (*(pair for pair in parameters if pair[0] == "_type"), *asked.used)
    mark = fingerprint_of(request.base, "", used)
    after = engine.cursors.decode(asked.cursor, mark) if asked.cursor else ()
    size = asked.count if asked.count is not None else engine.limits.default_count
    queries = [Query(one.resource_type, one.where, asked.sort, size + 1, tuple(after)) for one in each]

    def work(snapshot: Snapshot) -> Result:
        counting = size == 0 or asked.summary == "count"
        rows = [] if counting else _merged(snapshot, queries, asked)
        total = None
        if counting or asked.total in ("accurate", "estimate"):
            total = sum(snapshot.count(query) for query in queries)
        page = Page(rows[:size], len(rows) > size, total, first=not after)
        return Result(Kind.OK, render_page(engine, request, snapshot, asked, page, (mark, used, "")))

    return Reading(work, heavy=len(types) > 8)  # noqa: PLR2004  # a handful of bounded plans is bounded


def _types(parameters: Parameters) -> Sequence[str]:
    named = [name.strip() for key, value in parameters if key == "_type" for name in value.split(",") if name.strip()]
    for name in named:
        if name not in r4.resource_types():
            raise Malformed(f"_type names {name[:80]!r}, which is not an R4 resource type.", key="unknown-type")
    return tuple(dict.fromkeys(named)) or tuple(sorted(r4.resource_types()))


def _merged(snapshot: Snapshot, queries: Sequence[Query], asked: SearchRequest) -> list[Row]:
    rows = [row for query in queries for row in snapshot.search(query)]
    ascending = bool(asked.sort) and not asked.sort[0].descending
    return sorted(rows, key=lambda row: row.version.sequence, reverse=not ascending)
