"""Hierarchies of resources for `:above` and `:below` (R4 search.html#recursive), as of the snapshot that is searched.

They are followed level by level, on the snapshot as the caller sees it: what is hidden leads nowhere, and each level is one
search by an index. A resource counts once, so what goes round in a circle ends. Nothing is cut off: a hierarchy beyond the
bounds is refused.
"""

from collections.abc import Callable, Sequence
from typing import Final

from fhir_server.model.errors import TooCostly
from fhir_server.search.extract import Extractor
from fhir_server.search.includes import BY_ID, is_local, part_reader
from fhir_server.search.query import IdIs, Or, Query, RefersTo
from fhir_server.search.request import Lineage, Link
from fhir_server.search.values import ReferenceEntry
from fhir_server.store.port import Snapshot

MOST_LEVELS: Final = 32
"""Levels above or below what is named."""
MOST_MEMBERS: Final = 10_000
"""References that the hierarchies of one search may come to."""


class Follower:
    """Follows the hierarchies of one search (`search.request.Follow`)."""

    def __init__(
        self, extractor: Extractor, snapshot: Snapshot, levels: int = MOST_LEVELS, members: int = MOST_MEMBERS
    ) -> None:
        """Take the snapshot of the caller, and the bounds."""
        self._extractor, self._snapshot = extractor, snapshot
        self._levels, self._members = levels, members
        self._left = members
        self._found: dict[tuple[Lineage, Link, tuple[str, ...]], tuple[str, ...]] = {}

    def __call__(self, lineage: Lineage, link: Link, starts: tuple[str, ...]) -> Sequence[str]:
        """Return what some references name, and all above or below it. Raises TooCostly for too many or too deep."""
        asked = (lineage, link, starts)
        found = self._found.get(asked)  # a chain through several types asks for each, a search of several types too
        if found is None:
            found = self._found[asked] = self._follow(lineage, link, starts)
            self._left -= len(found)
        return found

    def _follow(self, lineage: Lineage, link: Link, starts: tuple[str, ...]) -> tuple[str, ...]:
        step: Callable[[Link, Sequence[str]], list[str]] = self._parts if lineage == "below" else self._wholes
        found = dict.fromkeys(starts)
        wave: list[str] = list(found)
        depth = 0
        while wave:
            wave = [one for one in step(link, wave) if one not in found]
            found.update(dict.fromkeys(wave))
            if len(found) > self._left:
                raise _too_many(lineage, link, self._members)
            if wave and depth == self._levels:
                raise _too_deep(lineage, link, self._levels)
            depth += 1
        return tuple(found)

    def _parts(self, link: Link, wave: Sequence[str]) -> list[str]:
        """Return what names one of the wave as what it is part of; all of it counts, so one too many is enough."""
        where = tuple(RefersTo(link.param, one) for one in wave)
        query = Query(link.type, where[0] if len(where) == 1 else Or(where), sort=BY_ID, limit=self._left + 1)
        return [f"{link.type}/{row.version.id}" for row in self._snapshot.search(query)]

    def _wholes(self, link: Link, wave: Sequence[str]) -> list[str]:
        """Return what the wave names as what it is part of; what is elsewhere names nothing that is known here."""
        ids = tuple(one.partition("/")[2] for one in wave if is_local(one))
        rows = self._snapshot.search(Query(link.type, IdIs(ids), sort=BY_ID, limit=len(ids))) if ids else []
        read = part_reader(self._extractor.members(link.type, link.param))
        found: dict[str, None] = {}
        for row in rows:
            resource = read(row.version.body or b"{}") | {"resourceType": link.type}
            for entry in self._extractor.references(resource, link.param):
                if isinstance(entry, ReferenceEntry) and entry.target:
                    found[entry.target] = None
        return list(found)


def _too_many(lineage: Lineage, link: Link, most: int) -> TooCostly:
    return TooCostly(
        f"The hierarchies of this search (:{lineage}, here of {link.type} by {link.param!r}) come to more than {most:,} "
        "resources. Name what is lower in the hierarchy, fewer at a time, or ask for one level by a chain.",
        key="search-too-costly",
    )


def _too_deep(lineage: Lineage, link: Link, most: int) -> TooCostly:
    return TooCostly(
        f"The hierarchy of {link.type} by {link.param!r} goes on for more than {most} levels :{lineage} what is named. "
        "Name what is nearer, or correct the hierarchy.",
        key="search-too-costly",
    )
