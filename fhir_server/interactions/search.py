"""search on one type, by GET and by POST _search (R4 http.html#search)."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl, quote_plus

from fhir_server.interactions.conditional_search import seal_of, unchanged
from fhir_server.interactions.context import Engine
from fhir_server.interactions.include_pages import Remainder, decoded, encoded, is_remainder, matches_of
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.request import Kind, Parameters, Place, Request, Result
from fhir_server.interactions.search_explain import explained, wants_explanation
from fhir_server.interactions.search_includes import Included, included, incomplete
from fhir_server.interactions.search_lookups import NO_LOOKUPS, Lookups, lookups_on, needs_lookup, read_search
from fhir_server.interactions.subset import Subset, subset_of
from fhir_server.model.codec import encode
from fhir_server.model.errors import Malformed
from fhir_server.model.issue import Issue, operation_outcome
from fhir_server.search.bundle import Link, Mode, SearchEntry, searchset
from fhir_server.search.page import Position, fingerprint_of
from fhir_server.search.query import EVERYTHING, And, Node, Query
from fhir_server.search.request import SearchRequest
from fhir_server.store.port import Row, Snapshot, Version

_FIELDS = 1000


class Page(NamedTuple):
    """What a search found: a page of rows, whether there are more, and the total where it was counted."""

    rows: Sequence[Row]
    more: bool
    total: int | None = None
    first: bool = True


class Target(NamedTuple):
    """One type to search, and where: `within` always holds there, `path` is the place below the base ("": the type)."""

    type: str
    within: Node = EVERYTHING
    path: str = ""


def search(engine: Engine, request: Request, place: Place) -> Operation:
    """Search the current resources of one type."""
    return search_type(engine, request, Target(place.type), request.query)


def search_by_post(engine: Engine, request: Request, place: Place) -> Operation:
    """Search with the parameters of the form body, after those of the URL."""
    return search_type(engine, request, Target(place.type), (*request.query, *form_of(request)))


def form_of(request: Request) -> Parameters:
    """Read the form of a POST _search. Raises Malformed when it is not one."""
    try:
        form = parse_qsl(
            (request.body or b"").decode(), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS
        )
    except ValueError as error:
        raise Malformed(f"The form is not UTF-8 or has more than {_FIELDS} fields.", key="bad-query") from error
    return tuple(pair for pair in form if pair[0] not in ("_format", "_pretty"))


def search_type(engine: Engine, request: Request, target: Target, parameters: Parameters) -> Operation:
    """Search one type at its place: all of it, or what a compartment holds of it."""
    if needs_lookup(parameters):

        def read_and_work(snapshot: Snapshot) -> Result:
            lookups = lookups_on(engine, snapshot, request.base)
            return _prepared(engine, request, target, parameters, lookups)[0](snapshot)

        return Reading(read_and_work, heavy=True)
    work, once = _prepared(engine, request, target, parameters)
    return Reading(work, once=once)


def _prepared(
    engine: Engine, request: Request, target: Target, parameters: Parameters, lookups: Lookups = NO_LOOKUPS
) -> tuple[Callable[[Snapshot], Result], bool]:
    """Return the work of a search, and whether it asks the snapshot for one thing only."""
    explaining, parameters = wants_explanation(engine, parameters)
    asked = read_search(engine, request, target.type, parameters, lookups, often=True)
    size = asked.count if asked.count is not None else engine.limits.default_count
    path = target.path or target.type
    mark = fingerprint_of(request.base, path, asked.used)
    if is_remainder(asked.cursor):
        identity = (mark, asked.used, path)
        return lambda snapshot: render_remainder(engine, request, snapshot, asked, identity), False
    after = engine.cursors.decode(asked.cursor, mark) if asked.cursor else ()
    query = Query(target.type, both(target.within, asked.where), asked.sort, size + 1, tuple(after))

    def work(snapshot: Snapshot) -> Result:
        if explaining:
            return explained(snapshot, query)
        counting = size == 0 or asked.summary == "count"
        rows = [] if counting else snapshot.search(query)
        total = snapshot.count(query) if counting or asked.total in ("accurate", "estimate") else None
        page = Page(rows[:size], len(rows) > size, total, first=not after)
        return render_page(engine, request, snapshot, asked, page, (mark, asked.used, path))

    return work, not (asked.includes or asked.revincludes or asked.total in ("accurate", "estimate"))


def both(within: Node, where: Node) -> Node:
    """Return the condition that both hold."""
    return where if within == EVERYTHING else within if where == EVERYTHING else And((within, where))


def render_page(
    engine: Engine,
    request: Request,
    snapshot: Snapshot,
    asked: SearchRequest,
    page: Page,
    identity: tuple[bytes, Parameters, str],
) -> Result:
    """Render a page with its includes and links; `identity` is the cursor mark, what ran, and the path below the base.

    A first page that holds everything states the total without counting.
    """
    mark, used, path = identity
    total = page.total
    if total is None and asked.total is None and page.first and not page.more:
        total = len(page.rows)
    versions = [row.version for row in page.rows]
    found = included(engine, snapshot, asked, versions)
    following = page.rows[-1].position if page.more else ()
    cursor = _following(engine, mark, versions, found, following)
    return _rendered(engine, request, asked, page.rows, (found, cursor), (used, path), total)


def render_remainder(
    engine: Engine, request: Request, snapshot: Snapshot, asked: SearchRequest, identity: tuple[bytes, Parameters, str]
) -> Result:
    """Render a page of the includes that did not fit on the page of their matches; what `_cursor` says decides."""
    mark, used, path = identity
    place, sequences, following = decoded(engine, mark, asked.cursor or "")
    versions = matches_of(snapshot, sequences)
    found = included(engine, snapshot, asked, versions, place)
    cursor = _following(engine, mark, versions, found, following)
    return _rendered(engine, request, asked, (), (found, cursor), (used, path), None)


def _following(engine: Engine, mark: bytes, matches: Sequence[Version], found: Included, following: Position) -> str:
    """Return the cursor of the page after this one, "" when it is the last: includes first, then further matches."""
    if found.end is not None:
        sequences = tuple(version.sequence for version in matches)
        return encoded(engine, mark, Remainder(found.end, sequences, following))
    return engine.cursors.encode(mark, following) if following else ""


def _rendered(
    engine: Engine,
    request: Request,
    asked: SearchRequest,
    rows: Sequence[Row],
    others: tuple[Included, str],
    place: tuple[Parameters, str],
    total: int | None,
) -> Result:
    (found, cursor), (used, path) = others, place
    seal = seal_of(request, (used, path, cursor), rows, found.versions, total)
    if unchanged(request, seal):
        return Result(Kind.NOT_MODIFIED, tag=seal.tag, modified=seal.modified)
    links = [Link("self", _url(request, path, used))]
    if cursor:
        following = tuple(pair for pair in used if pair[0] != "_cursor")
        links.append(Link("next", _url(request, path, (*following, ("_cursor", cursor)))))
    entries = _entries(request, asked, rows, found.versions)
    issues = _ignored(asked)
    if found.end is not None:
        issues.append(incomplete(engine.limits.max_includes))
    if issues:
        entries.append(SearchEntry("", encode(operation_outcome(issues)), "outcome"))
    shown = [*(row.version for row in rows), *found.versions]
    return Result(Kind.OK, searchset(entries, links, total=total), tag=seal.tag, modified=seal.modified, shown=shown)


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
    entries = [_entry(base, version, subset, "match", distance) for version, _, distance in rows]
    subset = subset_of(asked.summary or "", ())  # R4 search.html#elements: _elements is not for included resources
    entries.extend([_entry(base, version, subset, "include", None) for version in others])
    return entries


def _entry(base: str, version: Version, subset: Subset | None, mode: Mode, distance: float | None) -> SearchEntry:
    _, kind, identity, _, _, _, body = version
    body = body or b""
    return SearchEntry(f"{base}/{kind}/{identity}", body if subset is None else subset.apply(body), mode, distance)


def _url(request: Request, path: str, parameters: Parameters) -> str:
    place = f"{request.base}/{path}" if path else request.base
    if not parameters:
        return place
    return place + "?" + "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in parameters])


_quoted = lru_cache(maxsize=4096)(quote_plus)
"""Pollers ask the same again and again."""
