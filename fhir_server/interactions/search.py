"""search on one type, by GET and by POST _search (R4 http.html#search)."""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.request import Kind, Parameters, Place, Request, Result
from fhir_server.interactions.search_includes import included
from fhir_server.interactions.subset import Subset, subset_of
from fhir_server.model.codec import encode
from fhir_server.model.errors import Malformed
from fhir_server.model.issue import Issue, operation_outcome
from fhir_server.search.bundle import Link, SearchEntry, searchset
from fhir_server.search.page import fingerprint_of
from fhir_server.search.parse import parse_search
from fhir_server.search.query import Query
from fhir_server.search.request import SearchLimits, SearchRequest
from fhir_server.store.port import Row, Snapshot, Version

_FIELDS = 1000


class Page(NamedTuple):
    """What a search found: a page of rows, whether there are more, and the total where it was counted."""

    rows: Sequence[Row]
    more: bool
    total: int | None = None
    first: bool = True


def search(engine: Engine, request: Request, place: Place) -> Operation:
    """Search the current resources of one type."""
    return _search(engine, request, place, request.query)


def search_by_post(engine: Engine, request: Request, place: Place) -> Operation:
    """Search with the parameters of the form body, after those of the URL."""
    return _search(engine, request, place, (*request.query, *form_of(request)))


def form_of(request: Request) -> Parameters:
    """Read the form of a POST _search. Raises Malformed when it is not one."""
    try:
        form = parse_qsl(
            (request.body or b"").decode(), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS
        )
    except ValueError as error:
        raise Malformed(f"The form is not UTF-8 or has more than {_FIELDS} fields.", key="bad-query") from error
    return tuple(pair for pair in form if pair[0] not in ("_format", "_pretty"))


def _search(engine: Engine, request: Request, place: Place, parameters: Parameters) -> Operation:
    limits = SearchLimits(count=engine.limits.max_count)
    asked = parse_search(
        engine.registry, place.type, parameters, strict=request.strict, own_base=request.base, limits=limits
    )
    size = asked.count if asked.count is not None else engine.limits.default_count
    mark = fingerprint_of(request.base, place.type, asked.used)
    after = engine.cursors.decode(asked.cursor, mark) if asked.cursor else ()
    query = Query(place.type, asked.where, asked.sort, size + 1, tuple(after))

    def work(snapshot: Snapshot) -> Result:
        counting = size == 0 or asked.summary == "count"
        rows = [] if counting else snapshot.search(query)
        total = snapshot.count(query) if counting or asked.total in ("accurate", "estimate") else None
        page = Page(rows[:size], len(rows) > size, total, first=not after)
        return Result(Kind.OK, render_page(engine, request, snapshot, asked, page, (mark, asked.used, place.type)))

    return Reading(work)


def render_page(
    engine: Engine,
    request: Request,
    snapshot: Snapshot,
    asked: SearchRequest,
    page: Page,
    identity: tuple[bytes, Parameters, str],
) -> bytes:
    """Render a page with its includes and links; `identity` is the cursor mark, what ran, and the path below the base.

    A first page that holds everything states the total without counting.
    """
    mark, used, path = identity
    links = [Link("self", _url(request, path, used))]
    if page.more:
        cursor = engine.cursors.encode(mark, page.rows[-1].position)
        following = tuple(pair for pair in used if pair[0] != "_cursor")
        links.append(Link("next", _url(request, path, (*following, ("_cursor", cursor)))))
    total = page.total
    if total is None and asked.total is None and page.first and not page.more:
        total = len(page.rows)
    found = included(engine, snapshot, asked, page.rows)
    entries = _entries(request, asked, page.rows, found.versions)
    if issues := [*_ignored(asked), *found.issues]:
        entries.append(SearchEntry("", encode(operation_outcome(issues)), "outcome"))
    return searchset(entries, links, total=total)


def _ignored(asked: SearchRequest) -> list[Issue]:
    return [
        Issue("search-ignored", "not-supported", f"The parameter {name!r} was ignored.", severity="warning")
        for name in asked.ignored
    ]


def _entries(
    request: Request, asked: SearchRequest, rows: Sequence[Row], others: Sequence[Version]
) -> list[SearchEntry]:
    subset = subset_of(asked.summary or "", asked.elements)
    base = request.base
    entries = [
        SearchEntry(_full_url(base, row.version), _body(row.version, subset), "match", row.distance) for row in rows
    ]
    entries.extend(SearchEntry(_full_url(base, version), _body(version, subset), "include") for version in others)
    return entries


def _full_url(base: str, version: Version) -> str:
    return f"{base}/{version.type}/{version.id}"


def _body(version: Version, subset: Subset | None) -> bytes:
    body = version.body or b""
    return body if subset is None else subset.apply(body)


def _url(request: Request, path: str, parameters: Parameters) -> str:
    place = f"{request.base}/{path}" if path else request.base
    return place + (f"?{urlencode(parameters)}" if parameters else "")
