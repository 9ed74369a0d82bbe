"""Boundaries of areas: GeoJSON polygons (RFC 7946), read into what tells whether a position lies within them.

Positions are degrees of WGS 84. GeoJSON writes longitude first; the functions here take latitude first, as FHIR does.
An edge is a straight line in longitude and latitude. A ring that jumps by more than 180 degrees crosses the
antimeridian: it is unwrapped, so that its longitudes may pass 180.
"""

from array import array
from binascii import Error, a2b_base64
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from math import hypot, inf
from operator import mul
from typing import Any, Final, NamedTuple

import msgspec

BOUNDARY: Final = "http://hl7.org/fhir/StructureDefinition/location-boundary-geojson"
"""R4's extension of a Location that holds a boundary as an Attachment."""
CONTENT_TYPES: Final = ("application/geo+json", "application/vnd.geo+json", "application/json")
MAX_POINTS: Final = 20_000
"""Positions in all rings of one boundary; a municipality with every bend has some thousands."""
EDGE: Final = 1e-9
"""Degrees, a tenth of a millimetre: who stands this near to an edge stands on it."""
_LEAST: Final = 4
"""Positions of a ring, the last being the first."""
_NO_AREA: Final = 1e-12
"""Square degrees, a hundredth of a square metre: what encloses less encloses nothing."""
_LONGITUDE_LATITUDE: Final = 2
_HALF, _TURN = 180.0, 360.0
_BANDS: Final = 512
_A_BAND: Final = 8
"""Edges that a band should have at least, for bands to pay."""
_WGS_84: Final = ("CRS84", "EPSG:4326", "EPSG::4326")


class BoundaryUnreadable(ValueError):
    """A boundary that cannot be read: `fault` names its text, `values` fill it in, `member` is that of the Attachment."""

    def __init__(self, fault: str, member: str = ".data", **values: str) -> None:
        super().__init__(fault)
        self.fault = fault
        self.member = member
        self.values: Mapping[str, str] = values


class Box(NamedTuple):
    """The smallest rectangle around a ring; `west` and `east` may lie beyond ±180 where the ring was unwrapped."""

    west: float
    south: float
    east: float
    north: float


class Ring:
    """One closed ring. Its edges are laid into bands of latitude at the first question that comes near it."""

    __slots__ = ("_bands", "_x", "_y", "box")

    def __init__(self, x: Sequence[float], y: Sequence[float]) -> None:
        """Take longitudes and latitudes, with those of the first position again at the end."""
        self._x, self._y = array("d", x), array("d", y)
        self._bands: tuple[array[float], ...] = ()
        self.box = Box(min(x), min(y), max(x), max(y))

    def side(self, latitude: float, longitude: float) -> int:
        """Return 1 for a position inside, 0 on an edge, -1 outside."""
        west, south, east, north = self.box
        if not south - EDGE <= latitude <= north + EDGE:
            return -1
        sides = (
            self._side(turned, latitude)
            for turned in (longitude, longitude + _TURN, longitude - _TURN)
            if west - EDGE <= turned <= east + EDGE
        )
        return max(sides, default=-1)

    def area(self) -> float:
        """Return what it encloses in square degrees (the shoelace formula, from its first position)."""
        x = [one - self._x[0] for one in self._x]
        y = [one - self._y[0] for one in self._y]
        twice: float = sum(map(mul, x, y[1:])) - sum(map(mul, x[1:], y))
        return abs(twice) / 2

    def middle(self) -> tuple[float, float]:
        """Return latitude and longitude of the middle of its box, or of the corner nearest to it where that is outside."""
        west, south, east, north = self.box
        x, y = (west + east) / 2, (south + north) / 2
        if self._side(x, y) < 0:
            x, y = min(zip(self._x, self._y, strict=True), key=lambda one: hypot(one[0] - x, one[1] - y))
        return y, (x + _HALF) % _TURN - _HALF

    def _side(self, x: float, y: float) -> int:
        inside = -1
        for x1, y1, x2, y2 in self._near(y):
            dx, dy = x2 - x1, y2 - y1
            if (
                (x1 - EDGE <= x <= x2 + EDGE or x2 - EDGE <= x <= x1 + EDGE)
                and (y1 - EDGE <= y <= y2 + EDGE or y2 - EDGE <= y <= y1 + EDGE)
                and abs(dx * (y - y1) - dy * (x - x1)) <= EDGE * hypot(dx, dy)
            ):
                return 0
            if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * dx / dy:
                inside = -inside
        return inside

    def _near(self, y: float) -> Iterator[tuple[float, float, float, float]]:
        """Return the edges that come to a latitude, with others."""
        bands = self._bands or self._banded()
        height = self.box.north - self.box.south or 1.0
        place = int((y - self.box.south) / height * len(bands))
        numbers = iter(bands[max(0, min(len(bands) - 1, place))])
        return zip(numbers, numbers, numbers, numbers, strict=True)

    def _banded(self) -> "tuple[array[float], ...]":
        """Lay the edges into bands, each into all that it comes near to; two threads that do so at once make the same."""
        count = max(1, min(_BANDS, len(self._x) // _A_BAND))
        bands = tuple(array("d") for _ in range(count))
        south = self.box.south
        scale = count / (self.box.north - south or 1.0)
        for edge in zip(self._x, self._y, self._x[1:], self._y[1:], strict=False):
            _, y1, _, y2 = edge
            low, high = (y1, y2) if y1 < y2 else (y2, y1)
            first = max(0, int((low - south - 2 * EDGE) * scale))
            last = min(count - 1, int((high - south + 2 * EDGE) * scale))
            for band in range(min(first, count - 1), last + 1):
                bands[band].extend(edge)
        self._bands = bands
        return bands


class Boundary(NamedTuple):
    """Polygons, each an outer ring and the rings of its holes. The edge of a hole is not in the hole."""

    polygons: tuple[tuple[Ring, ...], ...]

    def contains(self, latitude: float, longitude: float) -> bool:
        """Tell whether a position lies in one of the polygons or on an edge."""
        return any(
            outer.side(latitude, longitude) >= 0 and all(hole.side(latitude, longitude) <= 0 for hole in holes)
            for outer, *holes in self.polygons
        )

    def middle(self) -> tuple[float, float]:
        """Return latitude and longitude of a position in the middle of the largest polygon; a hole does not count."""
        return max((outer for outer, *_ in self.polygons), key=Ring.area).middle()


def read_boundary(attachment: Mapping[str, Any]) -> Boundary:
    """Read a Polygon, a MultiPolygon, or a Feature or FeatureCollection of these. Raises BoundaryUnreadable."""
    data = attachment.get("data")
    if type(data) is not str:
        raise BoundaryUnreadable("boundary.no-data", "")
    kind = str(attachment.get("contentType", ""))
    if not kind:
        raise BoundaryUnreadable("boundary.no-content-type", "", wanted=CONTENT_TYPES[0])
    if kind.partition(";")[0].strip().lower() not in CONTENT_TYPES:
        raise BoundaryUnreadable("boundary.content-type", ".contentType", found=kind[:60], wanted=CONTENT_TYPES[0])
    try:
        raw = a2b_base64("".join(data.split()), strict_mode=True)
    except (ValueError, Error):
        raise BoundaryUnreadable("boundary.base64") from None
    try:
        document = msgspec.json.decode(raw.removeprefix(BOM_UTF8))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise BoundaryUnreadable("boundary.json") from None
    found: list[tuple[Ring, ...]] = []
    left = MAX_POINTS
    for place, coordinates in _polygons(document, ""):
        left -= sum(len(one) for one in coordinates if type(one) is list)
        if left < 0:
            raise BoundaryUnreadable("boundary.points", limit=str(MAX_POINTS))
        found.append(_polygon(coordinates, place))
    if not found:
        raise BoundaryUnreadable("boundary.none")
    return Boundary(tuple(found))


def _polygons(value: Any, place: str, allowed: frozenset[str] = frozenset()) -> Iterator[tuple[str, list[Any]]]:
    """Yield the coordinates of each polygon, with their place; `allowed` are the types that may stand here, all if empty."""
    here = value if type(value) is dict else {}
    kind = here.get("type")
    if here.get("crs") is not None:
        _check_crs(here["crs"])
    if allowed and kind not in allowed:
        kind = None
    match kind:
        case "Polygon":
            yield f"{place}coordinates", _listed(here, "coordinates", place)
        case "MultiPolygon":
            for index, one in enumerate(_listed(here, "coordinates", place)):
                if type(one) is not list:
                    raise BoundaryUnreadable("boundary.list", place=f"{place}coordinates[{index}]")
                yield f"{place}coordinates[{index}]", one
        case "Feature":
            yield from _polygons(here.get("geometry"), f"{place}geometry.", frozenset({"Polygon", "MultiPolygon"}))
        case "FeatureCollection":
            for index, one in enumerate(_listed(here, "features", place)):
                yield from _polygons(one, f"{place}features[{index}].", frozenset({"Feature"}))
        case _:
            found = here.get("type") if type(here.get("type")) is str else "null"
            raise BoundaryUnreadable("boundary.kind", place=f"{place}type", found=str(found)[:40])


def _listed(value: dict[str, Any], name: str, place: str) -> list[Any]:
    listed = value.get(name)
    if type(listed) is not list:
        raise BoundaryUnreadable("boundary.list", place=place + name)
    return listed


def _check_crs(crs: Any) -> None:
    """Refuse a coordinate system of another kind (GeoJSON of 2008): its numbers would be misread."""
    properties = crs.get("properties") if type(crs) is dict else None
    name = str(properties.get("name", "")) if type(properties) is dict else ""
    if not name.endswith(_WGS_84):
        raise BoundaryUnreadable("boundary.crs", found=name[:60])


def _polygon(coordinates: list[Any], place: str) -> tuple[Ring, ...]:
    rings = tuple(_ring(one, f"{place}[{index}]") for index, one in enumerate(coordinates))
    if not rings or rings[0].area() <= _NO_AREA:
        raise BoundaryUnreadable("boundary.empty", place=place)
    return rings


def _ring(value: Any, place: str) -> Ring:
    if type(value) is not list or len(value) < _LEAST:
        raise BoundaryUnreadable("boundary.ring", place=place)
    points = _positions(value, place)
    x, y = [one[0] for one in points], [one[1] for one in points]
    if (x[0], y[0]) != (x[-1], y[-1]):
        raise BoundaryUnreadable("boundary.open", place=place)
    if max(x) - min(x) > _HALF:
        x = _unwrapped(x)
        if x[0] != x[-1]:
            raise BoundaryUnreadable("boundary.pole", place=place)
    return Ring(x, y)


def _positions(value: list[Any], place: str) -> list[list[float]]:
    """Return the positions of a ring; in one go, and one by one only to find which is none."""
    points: list[list[float]] = []
    with suppress(msgspec.ValidationError, OverflowError):
        points = msgspec.convert(value, list[list[float]])
    if not points or any(
        len(one) < _LONGITUDE_LATITUDE or not (-_HALF <= one[0] <= _HALF and -_HALF / 2 <= one[1] <= _HALF / 2)
        for one in points
    ):
        wrong = next((index for index, one in enumerate(value) if not _is_position(one)), 0)
        raise BoundaryUnreadable("boundary.position", place=f"{place}[{wrong}]")
    return points


def _is_position(value: Any) -> bool:
    return (
        type(value) is list
        and len(value) >= _LONGITUDE_LATITUDE
        and all(type(one) in (int, float) and abs(one) < inf for one in value)
        and abs(value[0]) <= _HALF
        and abs(value[1]) <= _HALF / 2
    )


def _unwrapped(longitudes: list[float]) -> list[float]:
    turned, before, found = 0.0, longitudes[0], []
    for one in longitudes:
        if abs(one - before) > _HALF:
            turned += -_TURN if one > before else _TURN
        before = one
        found.append(one + turned)
    return found
