"""The nearest come first and exact, however the circle lies: across the date line, at a pole, around many at one place."""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.model.clock import SystemClock
from fhir_server.search.match import distance
from fhir_server.search.query import And, Chain, Near, Node, Query, TokenIs
from fhir_server.search.values import PositionEntry, ReferenceEntry, TokenEntry
from fhir_server.store.port import UnitOfWork
from fhir_server.store.sqlite import SqliteStore
from fhir_server.store.sqlite.cells import boxes, cell, cover

Place = tuple[float, float]
CENTRES: dict[str, Place] = {
    "town": (50.93, 4.04),
    "date line": (-17.5, 179.98),
    "north pole": (89.98, 12.0),
    "south pole": (-90.0, 0.0),
    "origin": (0.0, 0.0),
}
RADII = (200.0, 20_000.0, 3_000_000.0, 20_100_000.0)
ACTIVE = TokenIs("status", None, "active")


def _places() -> dict[str, list[Place]]:
    chosen = random.Random(5)
    found: dict[str, list[Place]] = {}
    for latitude, longitude in CENTRES.values():
        for turn in range(90):
            reach = (0.002, 0.1, 5.0)[turn % 3]
            beside = max(-90.0, min(90.0, latitude + chosen.uniform(-reach, reach)))
            around = (longitude + chosen.uniform(-reach, reach) * (1 if abs(latitude) < 80 else 36) + 180) % 360 - 180
            found[f"p{len(found):03}"] = [(beside, around)]
    found["many"] = [(50.0, 4.0), (50.93, 4.041), (-17.5, -179.99)]
    for name in ("edge-b", "edge-a", "edge-c"):
        found[name] = [(-17.5, -180.0 if name == "edge-a" else 180.0)]
    return found


PLACES = _places()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    path: Path = tmp_path_factory.mktemp("near") / "store.db"
    opened = SqliteStore(path, SystemClock(), synchronous="NORMAL")

    def work(unit: UnitOfWork) -> None:
        for number, (name, positions) in enumerate(PLACES.items()):
            entries = [PositionEntry("near", *position) for position in positions]
            state = TokenEntry("status", None, ("active", "inactive")[number % 2])
            unit.put("Location", name, 1, b"{}", (*entries, state), "POST")
            links = [ReferenceEntry("location", f"Location/{one}") for one in (name, "p000")[: 1 + number % 2]]
            unit.put("HealthcareService", name, 1, b"{}", (*links, state), "POST")

    opened.write(work)
    yield opened
    opened.close()


def expected(centre: Place, metres: float, *, active: bool = False) -> list[tuple[float, str]]:
    found = []
    for number, (name, positions) in enumerate(PLACES.items()):
        least = min(distance(*centre, *position) for position in positions)
        if least <= metres and not (active and number % 2):
            found.append((least, name))
    return sorted(found)


def paged(store: SqliteStore, resource_type: str, where: Node, size: int) -> list[tuple[float | None, str]]:
    rows: list[tuple[float | None, str]] = []
    query = Query(resource_type, where, (), size)
    while True:
        page = store.read(lambda snapshot, query=query: snapshot.search(query))  # type: ignore[misc]  # bound at once
        rows += [(row.distance, row.version.id) for row in page]
        if len(page) < size:
            return rows
        query = Query(resource_type, where, (), size, page[-1].position)


@pytest.mark.parametrize("size", [7, 1000])
@pytest.mark.parametrize("name", CENTRES)
def test_pages_of_the_nearest_are_those_of_the_distance(store: SqliteStore, name: str, size: int) -> None:
    for metres in RADII:
        circle = Near("near", *CENTRES[name], metres)
        assert paged(store, "Location", circle, size) == expected(CENTRES[name], metres)
        narrowed = paged(store, "Location", And((circle, ACTIVE)), size)
        assert narrowed == expected(CENTRES[name], metres, active=True)


@pytest.mark.parametrize("name", CENTRES)
def test_what_is_linked_to_a_place_is_as_near_as_the_nearest_of_its_places(store: SqliteStore, name: str) -> None:
    centre, metres = CENTRES[name], 6_000_000.0
    own = {one: far for far, one in expected(centre, 1e9)}
    want = [(min(own[one], own["p000"]) if number % 2 else own[one], one) for number, one in enumerate(PLACES)]
    found = paged(store, "HealthcareService", Chain("location", "Location", Near("near", *centre, metres)), 9)
    assert found == sorted(row for row in want if row[0] <= metres)


def test_a_cover_holds_every_position_of_its_circle() -> None:
    chosen = random.Random(9)
    for _ in range(4000):
        latitude, longitude = chosen.choice([*CENTRES.values(), (chosen.uniform(-90, 90), chosen.uniform(-180, 180))])
        circle = Near("near", latitude, longitude, 10 ** chosen.uniform(0, 7.3))
        reach = circle.metres / 111_000
        place = (
            max(-90.0, min(90.0, latitude + chosen.uniform(-reach, reach))),
            chosen.choice(
                [
                    chosen.uniform(-180, 180),
                    (longitude + chosen.uniform(-reach, reach) + 180) % 360 - 180,
                    180.0,
                    -180.0,
                ]
            ),
        )
        if distance(latitude, longitude, *place) <= circle.metres:
            assert any(first <= cell(*place) <= last for first, last in cover(circle)), (circle, place)
            assert any(box.south <= place[0] <= box.north and box.west <= place[1] <= box.east for box in boxes(circle))


def test_a_cover_is_a_few_ranges_at_any_scale() -> None:
    for metres in (0.0, 1.0, 1e3, 1e4, 1e6, 2e7):
        for latitude, longitude in CENTRES.values():
            ranges = cover(Near("near", latitude, longitude, metres))
            assert len(ranges) <= 32
            assert all(one[1] < other[0] for one, other in itertools.pairwise(ranges))
