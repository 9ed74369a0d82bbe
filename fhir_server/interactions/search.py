"""search by GET and by POST _search (R4 http.html#search)."""

from collections.abc import Sequence
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


def search_by_post(engine: Engine, request: Request, place: Place) -> Operation:
    """Search with the parameters of the form body, after those of the URL."""
    try:
        form = parse_qsl(
            (request.body or b"").decode(), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS
        )
    except ValueError as error:
        raise Malformed(f"The form is not UTF-8 or has more than {_FIELDS} fields.", key="bad-query") from error
    form = [pair for pair in form if pair[0] not in ("_format", "_pretty")]
    return _search(engine, request, place, (*request.query, *form))


def search(engine: Engine, request: Request, place: Place) -> Operation:
    """Search the current resources of one type."""
    return _search(engine, request, place, request.query)


def _search(engine: Engine, request: Request, place: Place, parameters: Parameters) -> Operation:
    limits = SearchLimits(count=engine.limits.max_count)
    asked = parse_search(
        engine.registry, place.type, parameters, strict=request.strict, own_base=request.base, limits=limits
    )
    page = asked.count if asked.count is not None else engine.limits.default_count
    mark = fingerprint_of(request.base, place.type, asked.used)
    after = engine.cursors.decode(asked.cursor, mark) if asked.cursor else ()
    only_count = page == 0 or asked.summary == "count"
    query = Query(place.type, asked.where, asked.sort, page + 1, tuple(after))

    def work(snapshot: Snapshot) -> Result:
        if only_count:
            counted = snapshot.count(query)
            return Result(Kind.OK, searchset((), [Link("self", _url(request, place, asked.used))], total=counted))
        rows = snapshot.search(query)
        more = len(rows) > page
        rows = rows[:page]
        total = _total(snapshot, asked, query, rows, more=more)
        links = [Link("self", _url(request, place, asked.used))]
        if more:
            cursor = engine.cursors.encode(mark, rows[-1].position)
            following = tuple(pair for pair in asked.used if pair[0] != "_cursor")
            links.append(Link("next", _url(request, place, (*following, ("_cursor", cursor)))))
        found = included(engine, snapshot, asked, rows)
        issues = [*_ignored(asked), *found.issues]
        entries = _entries(request, asked, rows, found.versions)
        if issues:
            entries.append(SearchEntry("", encode(operation_outcome(issues)), "outcome"))
        return Result(Kind.OK, searchset(entries, links, total=total))

    return Reading(work)


def _total(snapshot: Snapshot, asked: SearchRequest, query: Query, rows: Sequence[Row], *, more: bool) -> int | None:
    """Return the total when it was asked for, or when the first page holds everything."""
    if asked.total in ("accurate", "estimate"):
        return snapshot.count(query)
    return len(rows) if asked.total is None and not more and not query.after else None


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


def _url(request: Request, place: Place, parameters: Parameters) -> str:
    return f"{request.base}/{place.type}" + (f"?{urlencode(parameters)}" if parameters else "")
