"""$changes: the cursor feed of all that changed, gapless, by the rights of the caller; with `wait` it holds the answer.

Each answer is a history Bundle, oldest change first, with a link `next` that always is where to go on. A client that
keeps the link with what it has stored sees every change at least once; the sequence number of each entry lets it drop
what it has seen before.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlencode

from fhir_server.artifacts import r4
from fhir_server.artifacts.source import BASE
from fhir_server.interactions.context import Engine
from fhir_server.interactions.feed import Feed, read_page
from fhir_server.interactions.feed_bundle import feed_bundle
from fhir_server.interactions.feed_waiting import ANY, keys_of
from fhir_server.interactions.operation import Operation, Patience, Reading
from fhir_server.interactions.request import Kind, Parameters, Place, Request, Result
from fhir_server.interactions.routing import Interaction
from fhir_server.model.errors import Gone, Malformed, NotSupported
from fhir_server.search.alone import NotAlone, alone, shapes_answer
from fhir_server.search.page import fingerprint_of
from fhir_server.search.query import Node
from fhir_server.store.port import Snapshot

DEFINITION: Final = f"{BASE}/OperationDefinition/changes"
LATEST: Final = "latest"
"""The cursor that begins with what comes after now."""
_OWN: Final = ("_type", "_count", "cursor", "wait")


class _Asked(NamedTuple):
    types: tuple[str, ...]
    filters: Parameters
    size: int
    cursor: str
    wait: float


def changes(engine: Engine, request: Request, place: Place) -> Operation:  # noqa: ARG001  # the shape of every handler
    """Return the next page of the feed. Raises Malformed for a cursor that is not one of this feed, Gone for one that is
    ahead of the store.
    """
    asked = _asked(engine, request.query)
    feed = Feed(_wheres(engine, request, asked))
    mark = fingerprint_of(request.base, "$changes", (("_type", ",".join(asked.types)), *asked.filters))
    begins = _position(engine, asked.cursor, mark)
    after = [] if begins is None else [begins]

    def work(snapshot: Snapshot) -> Result:
        newest = snapshot.last_sequence()
        if not after:
            after.append(newest)  # "latest" is when the client asked, however often it is looked
        if after[0] > newest:
            raise Gone(
                "This cursor is ahead of the store, which was restored from an older copy. Begin again without a cursor, and "
                "compare what you keep with what is told.",
                key="feed-cursor-ahead",
            )
        page = read_page(snapshot, engine.extractor, feed, after[0], asked.size)
        cursor = engine.cursors.encode(mark, (page.through,))
        body = feed_bundle(request.base, page, _url(request, asked.cursor), _url(request, cursor))
        return Result(Kind.OK, body, idle=page.through if not page.told and not page.more else -1)

    keys = [key for kind, where in feed.wheres.items() for key in keys_of(kind, where)] or [ANY]
    patience = Patience(asked.wait, tuple(keys)) if asked.wait else None
    return Reading(work, patience=patience)


def _asked(engine: Engine, query: Parameters) -> _Asked:
    own: dict[str, list[str]] = {}
    for name, value in query:
        if name in _OWN:
            own.setdefault(name, []).append(value)
    for name, values in own.items():
        if len(values) > 1:
            raise Malformed(f"$changes takes the parameter {name!r} once only.", key="operation-input")
    types = tuple(sorted({name.strip() for name in own.get("_type", [""])[0].split(",") if name.strip()}))
    for name in types:
        if name not in r4.resource_types():
            raise Malformed(f"_type names {name[:80]!r}, which is not an R4 resource type.", key="unknown-type")
    count = own.get("_count", [""])[0]
    if "_count" in own and (not count.isdecimal() or len(count) > 9 or int(count) == 0):  # noqa: PLR2004  # a number of entries
        raise Malformed(f"_count={count[:40]!r} is not a positive whole number.", key="search-bad-count")
    size = min(int(count), engine.limits.max_count) if count else engine.limits.default_count
    filters = tuple(pair for pair in query if pair[0] not in _OWN)
    return _Asked(types, filters, size, own.get("cursor", [""])[0], _wait(engine, own.get("wait", ["0"])[0]))


def _wait(engine: Engine, text: str) -> float:
    if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004  # seconds
        raise Malformed(
            f"wait={text[:40]!r} is not a whole number of seconds. At most {engine.limits.longest_wait:g} are waited.",
            key="feed-bad-wait",
        )
    if float(text) > engine.limits.longest_wait:
        raise Malformed(
            f"wait={text} is longer than this server holds an answer: ask for {engine.limits.longest_wait:g} seconds or less, "
            "and again when it comes back empty.",
            key="feed-bad-wait",
        )
    return float(text)


def _wheres(engine: Engine, request: Request, asked: _Asked) -> Mapping[str, Node]:
    if asked.filters and not asked.types:
        raise Malformed(
            "$changes filters one type or several: say which with _type, such as _type=Task.", key="feed-needs-type"
        )
    return {kind: _where(engine, request, kind, asked.filters) for kind in asked.types}


def _where(engine: Engine, request: Request, kind: str, filters: Parameters) -> Node:
    for name, _ in filters:
        if shapes_answer(name):
            raise NotSupported(
                f"The parameter {name[:80]!r} means nothing on $changes: it takes {', '.join(_OWN)} and search parameters.",
                key="unknown-parameter",
            )
    try:
        return alone(engine.registry, kind, filters, request.base)
    except NotAlone as error:
        raise NotSupported(
            f"$changes is filtered by what a resource says itself, as it tells changes of that resource only: {error}.",
            key="feed-filter",
        ) from error


def _position(engine: Engine, cursor: str, mark: bytes) -> int | None:
    """Return the sequence number to go on after, None for the newest."""
    if cursor == LATEST:
        return None
    if not cursor:
        return 0
    try:
        (position,) = engine.cursors.decode(cursor, mark)
    except Malformed as error:
        raise Malformed(
            "cursor is not one of this feed on this server: a cursor goes with its filters. Use the link next as it is, or "
            "begin again without cursor.",
            key="bad-cursor",
            code="value",
        ) from error
    return int(position or 0)


def _url(request: Request, cursor: str) -> str:
    parameters = [pair for pair in request.query if pair[0] != "cursor"]
    if cursor:
        parameters.append(("cursor", cursor))
    return f"{request.base}/$changes" + (f"?{urlencode(parameters)}" if parameters else "")


CHANGES: Final = (Interaction("GET", "$changes", "changes", "system", changes, DEFINITION),)
