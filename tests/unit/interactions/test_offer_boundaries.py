"""The areas that a position lies in are found by a grid: those that a look at every boundary finds."""

import json
from base64 import b64encode
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.interactions.offer_boundaries import Boundaries
from fhir_server.model.geojson import BOUNDARY, read_boundary

Box = tuple[float, float, float, float]
"""West, south, width and height in degrees."""
BOXES = st.tuples(
    st.integers(-180, 179), st.integers(-90, 60), st.sampled_from([0.01, 0.5, 7.0, 170.0]), st.sampled_from([0.01, 0.5, 7.0, 29.5])
)  # fmt: skip


def around(longitude: float) -> float:
    return (longitude + 180) % 360 - 180


def attachment(box: Box) -> dict[str, Any]:
    west, south, wide, high = box
    east = around(west + wide)
    ring = [[west, south], [east, south], [east, south + high], [west, south + high], [west, south]]
    data = b64encode(json.dumps({"type": "Polygon", "coordinates": [ring]}).encode()).decode()
    return {"contentType": "application/geo+json", "data": data}


def location(*held: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Location", "extension": [{"url": BOUNDARY, "valueAttachment": one} for one in held]}


@given(st.lists(BOXES, max_size=6), st.data())
def test_the_grid_finds_what_a_look_at_every_boundary_finds(boxes: list[Box], data: st.DataObject) -> None:
    known = Boundaries()
    for number, box in enumerate(boxes):
        known.put(f"a{number}", location(attachment(box)))
    near = st.sampled_from(boxes).map(lambda box: (box[1] + box[3] / 2, around(box[0] + box[2])))
    anywhere = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
    position = data.draw(near | anywhere if boxes else anywhere)
    wanted = {f"a{number}" for number, box in enumerate(boxes) if read_boundary(attachment(box)).contains(*position)}
    assert set(known.at(position)) == wanted


def test_a_boundary_that_changes_or_goes_is_no_longer_found_where_it_was() -> None:
    known = Boundaries()
    known.put("x", location(attachment((4.0, 50.0, 0.5, 0.5))))
    assert known.at((50.2, 4.2)) == ["x"]
    known.put("x", location(attachment((6.0, 50.0, 0.5, 0.5)), attachment((0.0, -80.0, 100.0, 100.0))))
    assert [known.at(one) for one in ((50.2, 4.2), (50.2, 6.2), (0.0, 50.0))] == [[], ["x"], ["x"]]
    known.put("x", location())
    assert [known.at(one) for one in ((50.2, 6.2), (0.0, 50.0))] == [[], []]
    known.drop("never there")


def test_what_cannot_be_read_is_told_and_what_can_be_still_counts() -> None:
    known = Boundaries()
    known.put("x", location(attachment((4.0, 50.0, 0.5, 0.5)), {"contentType": "text/plain", "data": "eHl6"}))
    known.put("y", {"extension": [{"url": BOUNDARY, "valueString": "here"}, {"url": "http://example.org/other"}]})
    assert known.at((50.2, 4.2)) == ["x"]
    said = dict(known.unread())
    assert said["x"] == "The boundary cannot be read: its contentType is text/plain. Send application/geo+json."
    assert said["y"].startswith("The boundary cannot be read: it has no data.")
    known.put("x", location())
    known.drop("y")
    assert known.unread() == ()


def test_areas_that_went_leave_nothing_behind() -> None:
    """A directory takes in changes for as long as a server runs: what it forgot must not grow."""
    known = Boundaries()
    small, other, wide = (4.0, 50.0, 0.5, 0.5), (4.2, 50.2, 0.5, 0.5), (0.0, -80.0, 100.0, 100.0)
    known.put("stays", location(attachment(other)))
    before = {name: dict(held) if isinstance(held, dict) else held for name, held in vars(known).items()}
    for box in (small, wide, other):
        known.put("goes", location(attachment(box)))
    known.put("far", location(attachment(wide)))
    for name in ("goes", "far"):
        known.drop(name)
        assert known.middle(name) is None
    assert vars(known) == before
    assert known.at((50.4, 4.4)) == ["stays"]
    known.drop("stays")
    assert vars(known) == vars(Boundaries())
