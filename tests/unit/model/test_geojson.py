"""A boundary contains what lies within its rings, wherever on the globe they are; what is no boundary is refused."""

import json
from base64 import b64encode
from math import cos, sin, tau
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.model.geojson import CONTENT_TYPES, MAX_POINTS, Boundary, BoundaryUnreadable, read_boundary

Point = tuple[float, float]
"""Longitude and latitude, as in GeoJSON."""
SQUARE = [[4.0, 50.0], [5.0, 50.0], [5.0, 51.0], [4.0, 51.0], [4.0, 50.0]]
HOLE = [[4.4, 50.4], [4.6, 50.4], [4.6, 50.6], [4.4, 50.6], [4.4, 50.4]]
GRID = st.integers(-1000, 1000).map(lambda number: number / 16)


def attachment(document: Any, kind: str = CONTENT_TYPES[0]) -> dict[str, Any]:
    return {"contentType": kind, "data": b64encode(json.dumps(document).encode()).decode()}


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def boundary(document: Any) -> Boundary:
    return read_boundary(attachment(document))


def closed(points: list[Point]) -> list[list[float]]:
    return [list(one) for one in (*points, points[0])]


def around(longitude: float) -> float:
    """Bring a longitude between -180 and 180."""
    return (longitude + 180) % 360 - 180


@st.composite
def convex(draw: st.DrawFn) -> list[Point]:
    """Draw a convex polygon, counterclockwise: corners on an ellipse, with numbers that a double holds."""
    corners = draw(st.lists(st.integers(0, 359), min_size=3, max_size=90, unique=True).map(sorted))
    wide, high = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    points = [(round(wide * cos(tau * one / 360), 3), round(high * sin(tau * one / 360), 3)) for one in corners]
    return points if area(points) > 0.01 else [(-wide, -high), (wide, -high), (0, high)]


def area(points: list[Point]) -> float:
    pairs = zip(points, [*points[1:], points[0]], strict=True)
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs) / 2


def left_of_all(points: list[Point], at: Point) -> float:
    """Return the smallest distance of a position to the left of the edges of a convex polygon, negative outside."""
    distances = []
    for (x1, y1), (x2, y2) in zip(points, [*points[1:], points[0]], strict=True):
        if (length := ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5) > 0:
            distances.append(((x2 - x1) * (at[1] - y1) - (y2 - y1) * (at[0] - x1)) / length)
    return min(distances)


@given(convex(), GRID, GRID)
def test_a_convex_polygon_contains_what_lies_left_of_all_its_edges(points: list[Point], x: float, y: float) -> None:
    depth = left_of_all(points, (x, y))
    if abs(depth) > 0.01:  # corners are rounded, so that near an edge the polygon may bend inwards
        assert boundary(polygon(closed(points))).contains(y, x) == (depth > 0)


@given(convex(), GRID, GRID, st.integers(-179, 179), st.integers(-40, 40), st.integers(0, 89), st.booleans())
def test_it_matters_neither_where_on_the_globe_nor_where_a_ring_begins_nor_which_way_it_goes(
    points: list[Point], x: float, y: float, east: int, north: int, first: int, back: bool
) -> None:
    inside = boundary(polygon(closed(points))).contains(y, x)
    start = first % len(points)
    moved = [(around(one[0] + east), one[1] + north) for one in (*points[start:], *points[:start])]
    if back:
        moved.reverse()
    if abs(left_of_all(points, (x, y))) > 0.01:
        assert boundary(polygon(closed(moved))).contains(y + north, around(x + east)) == inside


@given(convex(), st.data())
def test_corners_and_the_middles_of_edges_are_inside(points: list[Point], data: st.DataObject) -> None:
    found = boundary(polygon(closed(points)))
    place = data.draw(st.integers(0, len(points) - 1))
    (x1, y1), (x2, y2) = points[place], points[(place + 1) % len(points)]
    assert found.contains(y1, x1)
    assert found.contains((y1 + y2) / 2, (x1 + x2) / 2)


@given(convex(), GRID, GRID)
def test_a_hole_takes_away_what_it_contains_but_not_its_edge(points: list[Point], x: float, y: float) -> None:
    middle_x, middle_y = (sum(one[axis] for one in points) / len(points) for axis in (0, 1))
    half = closed([((one[0] + middle_x) / 2, (one[1] + middle_y) / 2) for one in points])
    whole, hole = closed(points), boundary(polygon(half))
    found = boundary(polygon(whole, half))
    if abs(left_of_all(points, (x * 2 - middle_x, y * 2 - middle_y))) > 0.01:
        assert found.contains(y, x) == (boundary(polygon(whole)).contains(y, x) and not hole.contains(y, x))
    assert found.contains(half[0][1], half[0][0])


@given(convex(), st.integers(-179, 179))
def test_the_middle_of_an_area_lies_in_it(points: list[Point], east: int) -> None:
    found = boundary(polygon(closed([(around(x + east), y) for x, y in points])))
    latitude, longitude = found.middle()
    assert -180 <= longitude <= 180
    assert found.contains(latitude, longitude)


def test_the_middle_of_a_horseshoe_is_a_corner_and_that_of_islands_is_on_the_largest() -> None:
    horseshoe = [[0, 0], [4, 0], [4, 4], [3, 4], [3, 1], [1, 1], [1, 4], [0, 4], [0, 0]]
    assert boundary(polygon(horseshoe)).middle() in ((1, 1), (1, 3))
    small = [[9, 9], [10, 9], [10, 10], [9, 9]]
    assert boundary({"type": "MultiPolygon", "coordinates": [[small], [SQUARE]]}).middle() == (50.5, 4.5)


@pytest.mark.parametrize(("latitude", "longitude", "inside"), [
    (0.0, 179.0, True), (0.0, -179.0, True), (0.0, 180.0, True), (0.0, -180.0, True), (0.0, 177.9, False), (0.0, 178.5, True),
    (0.0, 0.0, False), (0.0, -177.9, False), (2.0, -178.0, True),
])  # fmt: skip
def test_a_ring_over_the_antimeridian_is_one_area(latitude: float, longitude: float, *, inside: bool) -> None:
    ring = [[178, -2], [-178, -2], [-178, 2], [178, 2], [178, -2]]
    assert boundary(polygon(ring)).contains(latitude, longitude) == inside
    cut = (
        [[[178, -2], [180, -2], [180, 2], [178, 2], [178, -2]]],
        [[[-180, -2], [-178, -2], [-178, 2], [-180, 2], [-180, -2]]],
    )
    assert boundary({"type": "MultiPolygon", "coordinates": cut}).contains(latitude, longitude) == inside


def test_a_hole_beyond_the_antimeridian_is_in_its_area() -> None:
    ring = [[170, -9], [-170, -9], [-170, 9], [170, 9], [170, -9]]
    hole = [[-176, -1], [-174, -1], [-174, 1], [-176, 1], [-176, -1]]
    found = boundary(polygon(ring, hole))
    assert found.contains(0, -177)
    assert not found.contains(0, -175)


def test_features_and_collections_are_read_with_all_their_polygons() -> None:
    feature = {"type": "Feature", "properties": None, "geometry": polygon(SQUARE, HOLE)}
    far = {
        "type": "Feature",
        "geometry": {"type": "MultiPolygon", "coordinates": [[[[0, 0, 9.5], [1, 0, 9.5], [1, 1, 9.5], [0, 0, 9.5]]]]},
    }
    found = boundary({"type": "FeatureCollection", "features": [feature, far]})
    inside = [found.contains(*one) for one in ((50.1, 4.1), (50.5, 4.5), (50.4, 4.5), (0.2, 0.8), (0.8, 0.2))]
    assert inside == [True, False, True, True, False]
    old = {**polygon(SQUARE), "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}}
    assert boundary(old).contains(50.5, 4.5)


def test_many_bends_are_counted_right_and_too_many_refused() -> None:
    count = MAX_POINTS - 1
    ring = [[4 + cos(tau * one / count), 50 + sin(tau * one / count)] for one in range(count)]
    found = boundary(polygon([*ring, ring[0]]))
    for east, inside in ((3.001, True), (2.999, False), (4.999, True), (5.001, False)):
        assert found.contains(50.0, east) == inside
    with pytest.raises(BoundaryUnreadable) as refused:
        boundary(polygon([*ring, ring[0], ring[0]]))
    assert refused.value.fault == "boundary.points"


@pytest.mark.parametrize(("document", "fault", "place"), [
    ({"type": "Point", "coordinates": [4, 50]}, "kind", "type"), ([], "kind", "type"), ({"type": "Feature", "geometry": None}, "kind", "geometry.type"),
    ({"type": "Feature", "geometry": {"type": "Feature", "geometry": polygon(SQUARE)}}, "kind", "geometry.type"),
    ({"type": "FeatureCollection", "features": [polygon(SQUARE)]}, "kind", "features[0].type"), ({"type": "FeatureCollection", "features": []}, "none", None),
    ({"type": ["Polygon"]}, "kind", "type"), ({"type": "FeatureCollection"}, "list", "features"), ({"type": "Polygon"}, "list", "coordinates"),
    ({"type": "MultiPolygon", "coordinates": [7]}, "list", "coordinates[0]"), (polygon(), "empty", "coordinates"),
    (polygon(SQUARE[:3]), "ring", "coordinates[0]"), (polygon(SQUARE, 5), "ring", "coordinates[1]"), (polygon(SQUARE[:4]), "open", "coordinates[0]"),
    (polygon([[4, 50], [5, 50], [5, 91], [4, 50]]), "position", "coordinates[0][2]"), (polygon([[4, 50], [5], [5, 5], [4, 50]]), "position", "coordinates[0][1]"),
    (polygon([["4", 50], [5, 5], [5, 5], ["4", 50]]), "position", "coordinates[0][0]"), (polygon([[True, 50], [5, 5], [5, 5], [4, 5]]), "position", "coordinates[0][0]"),
    (polygon([[10**400, 5]] * 4), "position", "coordinates[0][0]"), (polygon([[4, 5, 10**400]] * 4), "position", "coordinates[0][0]"), (polygon([[0, 0], [1, 1], [2, 2], [0, 0]]), "empty", "coordinates"),
    (polygon([[0, 0], [120, 0], [-120, 0], [0, 0]]), "pole", "coordinates[0]"),
    ({**polygon(SQUARE), "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::31370"}}}, "crs", None), ({**polygon(SQUARE), "crs": 4326}, "crs", None),
    ({"type": "MultiPolygon", "coordinates": [[SQUARE], [SQUARE, [[1, 1]]]]}, "ring", "coordinates[1][1]"),
])  # fmt: skip
def test_what_is_no_boundary_is_refused_with_its_place(document: Any, fault: str, place: str | None) -> None:
    with pytest.raises(BoundaryUnreadable) as refused:
        boundary(document)
    assert refused.value.fault == f"boundary.{fault}"
    assert refused.value.values.get("place") == place


@pytest.mark.parametrize(("sent", "fault", "member"), [
    ({"url": "https://example.org/x.geojson"}, "no-data", ""), ({"data": "e30="}, "no-content-type", ""),
    (attachment(polygon(SQUARE), "image/png"), "content-type", ".contentType"),
    ({"contentType": CONTENT_TYPES[0], "data": "ab?c"}, "base64", ".data"), ({"contentType": CONTENT_TYPES[0], "data": "eyI="}, "json", ".data"),
    ({"contentType": CONTENT_TYPES[0], "data": b64encode(b'{"type":"\xff"}').decode()}, "json", ".data"),
    ({"contentType": CONTENT_TYPES[0], "data": b64encode(b"[" * 50_000).decode()}, "json", ".data"),
])  # fmt: skip
def test_an_attachment_without_geojson_is_refused(sent: dict[str, Any], fault: str, member: str) -> None:
    with pytest.raises(BoundaryUnreadable) as refused:
        read_boundary(sent)
    assert (refused.value.fault, refused.value.member) == (f"boundary.{fault}", member)


def test_whitespace_a_byte_order_mark_and_parameters_do_no_harm() -> None:
    raw = b64encode(b"\xef\xbb\xbf" + json.dumps(polygon(SQUARE)).encode()).decode()
    spaced = {"contentType": "application/geo+json; charset=utf-8", "data": f"{raw[:8]}\n {raw[8:]}"}
    assert read_boundary(spaced).contains(50.5, 4.5)
