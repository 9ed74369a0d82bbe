"""Pages of includes: when more belong to a page of matches than fit on it, the `next` link leads to them first.

Such a link holds the sequence numbers of the matches, so that it goes on with the includes of these very versions
whatever was written since, and the place where the includes ended.
"""

from typing import NamedTuple

from fhir_server.interactions.context import Engine
from fhir_server.interactions.search_includes import Place
from fhir_server.model.errors import Malformed
from fhir_server.search.page import Position
from fhir_server.store.port import Snapshot, Version

_MARK = "i."
"""What such a cursor begins with; no other has a full stop in it."""
_PURPOSE = b" includes"


class Remainder(NamedTuple):
    """What an include cursor says: where to go on, with the includes of which matches, and what comes after them."""

    place: Place
    sequences: tuple[int, ...]
    following: Position
    """The position of the last match; () when no matches follow."""


def is_remainder(cursor: str | None) -> bool:
    """Tell an include cursor from that of a page of matches."""
    return cursor is not None and cursor.startswith(_MARK)


def encoded(engine: Engine, mark: bytes, remainder: Remainder) -> str:
    """Return the cursor."""
    place, sequences, following = remainder
    values = (*place, len(sequences), *_steps(sequences), *following)
    return _MARK + engine.cursors.encode(mark + _PURPOSE, values)


def decoded(engine: Engine, mark: bytes, cursor: str) -> Remainder:
    """Return what a cursor says. Raises Malformed for one that this server did not write for this search."""
    wave, source, key, count, *rest = engine.cursors.decode(cursor.removeprefix(_MARK), mark + _PURPOSE)
    sequences, at = [], 0
    for step in rest[: int(count or 0)]:
        at += int(step or 0)
        sequences.append(at)
    return Remainder(Place(int(wave or 0), str(source), str(key)), tuple(sequences), tuple(rest[int(count or 0) :]))


def matches_of(snapshot: Snapshot, sequences: tuple[int, ...]) -> list[Version]:
    """Return the matches of the page, as they were on it."""
    found = [version for one in sequences for version in snapshot.changes(one - 1, 1) if version.sequence == one]
    if len(found) != len(sequences):
        raise Malformed(
            "Search parameter '_cursor' names changes that are not in this store. Start the search again.",
            key="bad-cursor",
            code="value",
        )
    return found


def _steps(sequences: tuple[int, ...]) -> list[int]:
    """Write numbers that lie close together in few digits."""
    return [one - before for one, before in zip(sequences, (0, *sequences), strict=False)]
