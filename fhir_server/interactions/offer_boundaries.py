"""The boundaries of areas as `$suggest` needs them: in which of them a position lies.

Each is kept once, per Location, under the cells of a coarse grid; what is as large as a country is looked at always.
Sets are replaced, never changed, so that they can be read while the directory takes in a change.
"""

from collections.abc import Iterable
from math import floor
from typing import Final

from fhir_server.model.geojson import BOUNDARY, EDGE, Boundary, BoundaryUnreadable, Ring, read_boundary
from fhir_server.model.resource import Resource
from fhir_server.validation.wording import say

_PER_DEGREE: Final = 10
"""Cells a degree: 11 km from south to north."""
_ROUND: Final = 360 * _PER_DEGREE
_MOST_CELLS: Final = 4096
_NOBODY: Final[frozenset[str]] = frozenset()

Cell = tuple[int, int]


class Boundaries:
    """The boundaries of all areas of a directory."""

    def __init__(self) -> None:
        self._known: dict[str, Boundary] = {}
        self._cells: dict[Cell, frozenset[str]] = {}
        self._wide: frozenset[str] = _NOBODY
        self._unread: dict[str, str] = {}
        self._middles: dict[str, tuple[float, float]] = {}

    def put(self, name: str, location: Resource) -> None:
        """Take in the boundary of a Location, if it has one, in place of what it had."""
        self.drop(name)
        polygons: list[tuple[Ring, ...]] = []
        for one in location.get("extension", ()):
            if one.get("url") != BOUNDARY:
                continue
            try:
                polygons += read_boundary(one.get("valueAttachment", {})).polygons
            except BoundaryUnreadable as error:
                self._unread[name] = say("boundary", reason=say(error.fault, **error.values))
        if polygons:
            boundary = self._known[name] = Boundary(tuple(polygons))
            self._lay(name, _cells_of(boundary))
            if "position" not in location:
                self._middles[name] = boundary.middle()

    def drop(self, name: str) -> None:
        """Forget the boundary of a Location."""
        self._unread.pop(name, None)
        self._middles.pop(name, None)
        boundary = self._known.pop(name, None)
        if boundary is None:
            return
        self._wide -= {name}
        for cell in _cells_of(boundary) or ():
            left = self._cells[cell] - {name}
            if left:
                self._cells[cell] = left
            else:
                del self._cells[cell]

    def at(self, position: tuple[float, float]) -> list[str]:
        """Return the ids of the areas that a position (latitude, longitude) lies in; each boundary is asked once."""
        latitude, longitude = position
        near = self._cells.get(_cell(latitude, longitude), _NOBODY) | self._wide
        known = [(name, self._known.get(name)) for name in near]
        return [name for name, boundary in known if boundary is not None and boundary.contains(latitude, longitude)]

    def middle(self, name: str) -> tuple[float, float] | None:
        """Return the middle of a boundary (latitude, longitude), None where the area has a position of its own, or neither."""
        return self._middles.get(name)

    def unread(self) -> tuple[tuple[str, str], ...]:
        """Return the ids of the Locations whose boundary cannot be read, and why."""
        return tuple(self._unread.items())

    def _lay(self, name: str, cells: Iterable[Cell] | None) -> None:
        if cells is None:
            self._wide |= {name}
            return
        for cell in cells:
            self._cells[cell] = self._cells.get(cell, _NOBODY) | {name}


def _cell(latitude: float, longitude: float) -> Cell:
    return floor(latitude * _PER_DEGREE), floor(longitude * _PER_DEGREE) % _ROUND


def _cells_of(boundary: Boundary) -> set[Cell] | None:
    """Return the cells that a boundary may reach into, None when they are too many."""
    found: set[Cell] = set()
    for outer, *_ in boundary.polygons:
        west, south, east, north = outer.box
        rows = range(floor((south - EDGE) * _PER_DEGREE), floor((north + EDGE) * _PER_DEGREE) + 1)
        columns = range(floor((west - EDGE) * _PER_DEGREE), floor((east + EDGE) * _PER_DEGREE) + 1)
        if len(rows) * len(columns) > _MOST_CELLS:
            return None
        found.update((row, column % _ROUND) for row in rows for column in columns)
        if len(found) > _MOST_CELLS:
            return None
    return found
