"""history of a resource, a type or the system (R4 http.html#history)."""

from typing import NamedTuple
from urllib.parse import urlencode

from fhir_server.access.guarded import GuardedSnapshot
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.request import Kind, Parameters, Place, Request, Result
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import encode
from fhir_server.model.errors import Malformed, NotFound
from fhir_server.model.temporal import parse_temporal
from fhir_server.search.page import fingerprint_of
from fhir_server.store.port import HistoryScope, Snapshot, Version

_STATUS = {"POST": "201 Created", "PUT": "200 OK", "PATCH": "200 OK", "DELETE": "204 No Content"}


class _Asked(NamedTuple):
    page: int
    since_ms: int | None
    at: tuple[int, int] | None
    before: int | None


def history(engine: Engine, request: Request, place: Place) -> Operation:
    """Return versions, newest first, a page at a time; each page states where the next one starts."""
    scope = HistoryScope(place.type or None, place.id or None)
    mark = fingerprint_of(request.base, f"{request.path} history", request.query)
    asked = _parse(engine, request.query, mark)

    def work(snapshot: Snapshot) -> Result:
        if scope.id is not None and snapshot.current(scope.type or "", scope.id) is None:
            raise NotFound(f"There is no {scope.type}/{scope.id} here.")
        versions = snapshot.history(
            scope, before=asked.before, since_ms=asked.since_ms, at=asked.at, limit=asked.page + 1
        )
        # behind a guard only the versions of one resource are few enough to be counted one by one
        countable = asked.at is None and (scope.id is not None or not isinstance(snapshot, GuardedSnapshot))
        total = snapshot.history_total(scope, since_ms=asked.since_ms) if countable else None
        more = len(versions) > asked.page
        versions = versions[: asked.page]
        links = [_link("self", _url(request))]
        if more and versions:
            cursor = engine.cursors.encode(mark, (versions[-1].sequence,))
            following = (*_without(request.query, "_cursor"), ("_cursor", cursor))
            links.append(_link("next", _url(request, following)))
        return Result(Kind.OK, _bundle(request.base, versions, links, total))

    return Reading(work)


def _parse(engine: Engine, query: Parameters, mark: bytes) -> _Asked:
    count, since, at, before = engine.limits.default_count, None, None, None
    for name, value in query:
        if name == "_count":
            if not value.isdecimal() or int(value) == 0:
                raise Malformed(f"_count={value!r} is not a positive whole number.", key="search-bad-count")
            count = min(int(value), engine.limits.max_count)
        elif name in ("_since", "_at"):
            try:
                interval = parse_temporal(value)
            except ValueError as error:
                raise Malformed(
                    f"{name}={value!r} is not a date or instant. (A '+' in a URL must be sent as %2B.)",
                    key="search-bad-date",
                ) from error
            if name == "_since":
                since = -(-interval.lo // 1000)
            else:
                at = (interval.lo // 1000, -(-interval.hi // 1000))
        elif name == "_cursor":
            (position,) = engine.cursors.decode(value, mark)
            before = int(position or 0)
        else:
            raise Malformed(
                f"The parameter {name!r} means nothing on history; _count, _since and _at do.", key="unknown-parameter"
            )
    return _Asked(count, since, at, before)


def _without(query: Parameters, *names: str) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in query if pair[0] not in names)


def _url(request: Request, query: Parameters | None = None) -> str:
    parameters = request.query if query is None else query
    return f"{request.base}/{request.path}" + (f"?{urlencode(parameters)}" if parameters else "")


def _link(relation: str, url: str) -> bytes:
    return encode({"relation": relation, "url": url})


def _bundle(base: str, versions: list[Version], links: list[bytes], total: int | None) -> bytes:
    stated = b"" if total is None else b',"total":%d' % total
    entries = b",".join(_entry(base, version) for version in versions)
    listed = b',"entry":[%s]' % entries if entries else b""
    return b'{"resourceType":"Bundle","type":"history"%s,"link":[%s]%s}' % (stated, b",".join(links), listed)


def _entry(base: str, version: Version) -> bytes:
    url = f"{version.type}/{version.id}"
    method = version.method
    status = "201 Created" if method == "PUT" and version.version == 1 else _STATUS[method]
    body = b"" if version.body is None else b',"resource":' + version.body
    told = {
        "request": {"method": method, "url": version.type if method == "POST" else url},
        "response": {
            "status": status,
            "etag": f'W/"{version.version}"',
            "lastModified": render_instant(version.last_updated),
        },
    }
    return b'{"fullUrl":%s%s,%s}' % (encode(f"{base}/{url}"), body, encode(told)[1:-1])
