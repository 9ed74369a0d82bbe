"""The inbox of an organisation: what is new, overdue, running, waiting for anybody, to be done later, and closed."""

from typing import Final, NamedTuple

from fastapi import Response

from fhir_server.http.pages.tasks import Line, lines, own_references, section_query
from fhir_server.http.pages.visit import Visit
from fhir_server.http.pages.words import Labels, labels
from fhir_server.model.errors import Forbidden, NotFound

SECTIONS: Final = ("new", "overdue", "running", "pool", "later", "closed")
_FEW, _MANY = 10, 50


class Section(NamedTuple):
    """One list of the inbox."""

    name: str
    lines: list[Line]
    total: int
    following: str


async def overview(visit: Visit) -> Response:
    """Show the beginning of every section."""
    known = labels(await visit.fhir.choices("business-status"))
    found = [await _section(visit, name, known, _FEW, "") for name in SECTIONS if _has(visit, name)]
    return await visit.page("inbox.html", sections=found, whole=False)


async def section(visit: Visit) -> Response:
    """Show one section, page by page."""
    name = visit.path("section")
    if name not in SECTIONS or not _has(visit, name):
        raise NotFound(f"There is no list {name[:40]!r} in an inbox.")
    known = labels(await visit.fhir.choices("business-status"))
    found = await _section(visit, name, known, _MANY, visit.query.one("after", 8000))
    return await visit.page("inbox.html", sections=[found], whole=True)


def _has(visit: Visit, name: str) -> bool:
    """The pool is for who may claim from it."""
    return name != "pool" or visit.receives


async def _section(visit: Visit, name: str, known: Labels, count: int, after: str) -> Section:
    if not visit.organization:
        raise Forbidden("An inbox belongs to an organisation; this account has none.", key="access-role")
    now = visit.site.engine.clock.now_ms()
    query = (
        *section_query(name, await own_references(visit.fhir), now),
        ("_count", str(count)),
        ("_total", "accurate"),
    )
    found = await visit.fhir.search("Task", *query, *((("_cursor", after),) if after else ()))
    return Section(name, await lines(found.matches, visit.fhir, known, now), found.total or 0, found.following)
