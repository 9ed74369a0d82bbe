"""The cursor feed: what changed after a place in the sequence of changes, as one caller may be told.

Every version has its sequence number; a page tells those after the place of its cursor, oldest first, and ends at a place
of its own, from which the next one goes on. What a caller could see and no longer can is told without its content, and so
is what no longer matches the filters: who keeps a copy must hear of both.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from fhir_server.access.guarded import GuardedSnapshot
from fhir_server.model.codec import decode_stored
from fhir_server.search.extract import Extractor
from fhir_server.search.match import Alone, matches
from fhir_server.search.query import EVERYTHING, Node
from fhir_server.store.port import Snapshot, Version

_LOOKED_AT: Final = 1_000
"""Changes that one page looks at; what lies further is for the next page."""
_AT_A_TIME: Final = 100
_ALONE: Final = Alone()


class Kind(StrEnum):
    """What is told of a change."""

    CHANGED = "changed"
    DELETED = "deleted"
    HIDDEN = "hidden"
    """The caller could see the resource before this change, and no longer can."""
    LEFT = "left"
    """The caller can see the resource, but it no longer matches the filters."""


class Told(NamedTuple):
    """One change as it is told; only CHANGED may show the body."""

    version: Version
    kind: Kind


class Feed(NamedTuple):
    """What is asked: type → condition. Without types all changes are told."""

    wheres: Mapping[str, Node]

    def where(self, resource_type: str) -> Node:
        """Return the condition on the resources of a type."""
        return self.wheres.get(resource_type, EVERYTHING)


class Page(NamedTuple):
    """A page of the feed."""

    told: tuple[Told, ...]
    through: int
    """Everything up to this sequence number has been looked at."""
    more: bool
    """Whether there is more to look at now."""


def read_page(snapshot: Snapshot, extractor: Extractor, feed: Feed, after: int, size: int) -> Page:
    """Return up to `size` changes after a sequence number, as whoever looks through the snapshot may be told them."""
    reader = _Reader(snapshot, extractor, feed)
    types = tuple(feed.wheres)
    told: list[Told] = []
    looked = 0
    while looked < _LOOKED_AT:
        newest = snapshot.last_sequence()
        step = reader.changes(after, _AT_A_TIME, types)
        for number, version in enumerate(step, 1):
            kind = reader.kind_of(version)
            after = version.sequence
            if kind is not None:
                told.append(Told(version, kind))
                if len(told) == size:
                    return Page(tuple(told), after, more=number < len(step) or len(step) == _AT_A_TIME)
        looked += len(step)
        if len(step) < _AT_A_TIME:
            return Page(tuple(told), max(after, newest), more=False)
    return Page(tuple(told), after, more=True)


class _Reader:
    """Decides for one page."""

    def __init__(self, snapshot: Snapshot, extractor: Extractor, feed: Feed) -> None:
        self._snapshot = snapshot
        self._guarded = snapshot if isinstance(snapshot, GuardedSnapshot) else None
        self._extractor = extractor
        self._feed = feed
        self._seen: dict[str, bool] = {}

    def changes(self, after: int, limit: int, types: Sequence[str]) -> list[Version]:
        """Return changes, those that the caller does not see too."""
        if self._guarded is not None:
            return self._guarded.changes_beneath(after, limit, types)
        return self._snapshot.changes(after, limit, types)

    def kind_of(self, version: Version) -> Kind | None:
        """Return what is told of a change, None for nothing."""
        if version.body is None and version.method != "DELETE":
            return None  # erased since; its deletion comes later in the feed
        before = self._before(version)
        if version.method == "DELETE" and version.body is None:
            erased = before is not None and before.body is None and before.method != "DELETE"
            # nobody can tell any more who had seen it: whoever may hold a copy hears that it is gone
            return Kind.DELETED if erased or self._was_told(before) else None
        seen = self._sees(version)
        if seen and self._matches(version):
            return Kind.CHANGED
        if not self._was_told(before):
            return None
        return Kind.LEFT if seen else Kind.HIDDEN

    def _before(self, version: Version) -> Version | None:
        """Return the version before, where it can matter."""
        if version.version == 1 or (self._guarded is None and version.body is not None and self._takes_all(version)):
            return None
        if self._guarded is not None:
            return self._guarded.version_beneath(version.type, version.id, version.version - 1)
        return self._snapshot.version(version.type, version.id, version.version - 1)

    def _was_told(self, before: Version | None) -> bool:
        """Tell whether the caller saw a version among what it asks for."""
        if before is None or before.body is None:
            return False
        return (self._guarded is None or self._guarded.saw(before)) and self._matches(before)

    def _sees(self, version: Version) -> bool:
        return self._guarded is None or self._guarded.sees_then(version, self._seen)

    def _takes_all(self, version: Version) -> bool:
        return self._feed.where(version.type) == EVERYTHING

    def _matches(self, version: Version) -> bool:
        if self._takes_all(version):
            return True
        where = self._feed.where(version.type)
        entries = self._extractor.extract(decode_stored(version.body or b"null"))
        return matches(where, version.type, version.id, version.last_updated * 1_000, entries, _ALONE)
