"""Which contact point is nearest to a person."""

from typing import Any

import pytest

from fhir_server.model.resource import Resource
from fhir_server.workflow.codes import NIS_CODE
from fhir_server.workflow.links import Links
from fhir_server.workflow.routing import Area, areas_of, contact_point, distance
from tests.unit.workflow.region import CONTACT, NOW, Region, contact_service, location, ref

VILVOORDE = {"postalCode": "1800", "city": "Vilvoorde", "country": "BE"}


def nearest(region: Region, *addresses: dict[str, Any]) -> str:
    patient = {"resourceType": "Patient", "id": "erdan", "address": list(addresses)}
    found = contact_point(patient, Links(region, "", bool), NOW)
    return found["id"] if found else ""


def nis_location(loc_id: str, code: str, **address: str) -> Resource:
    return {**location(loc_id, **address), "identifier": [{"system": NIS_CODE, "value": code}]}


@pytest.mark.parametrize(
    ("home", "place", "expected"),
    [
        (Area("be", "1800", "", "vilvoorde"), location("x", postal="1800"), 0),
        (Area("", "1800", "", ""), location("x", postal="18 00"), 0),
        (Area("be", "1800", "", "vilvoorde"), location("x", postal="1830", city="Vilvoorde"), 99),
        (Area("nl", "1800", "", ""), location("x", postal="1800"), 99),
        (Area("nl", "3431AB", "", "nieuwegein"), location("x", postal="3431 ab", country="NL"), 0),
        (Area("nl", "3431AB", "", "nieuwegein"), location("x", postal="3431", country="NL"), 1),
        (Area("nl", "3431AB", "", "nieuwegein"), location("x", postal="3432", country="NL"), 99),
        (Area("be", "", "", "vilvoorde"), location("x", city="VILVOORDE "), 2),
        (Area("be", "", "", "vilvoorde"), location("x", city="Mechelen"), 99),
        (Area("be", "", "23088", ""), nis_location("x", "23088"), 0),
        (Area("be", "1800", "23088", ""), nis_location("x", "23088", postal="1802"), 0),
        (Area("be", "", "12025", "vilvoorde"), nis_location("x", "23088", city="Vilvoorde"), 99),
        (Area("be", "", "", ""), location("x"), 99),
        (Area("be", "1800", "", ""), {"resourceType": "Location", "id": "leeg"}, 99),
    ],
)
def test_a_location_covers_an_address_by_code_before_name(home: Area, place: Resource, expected: int) -> None:
    assert distance(home, place) == expected


def test_a_municipality_inside_the_covered_zone_counts() -> None:
    assert nearest(Region(), VILVOORDE) == "onthaal"


def test_a_contact_point_of_the_municipality_itself_comes_before_that_of_the_zone() -> None:
    region = Region(contact_service("zz-stad", CONTACT, "Location/vilvoorde"))
    assert nearest(region, VILVOORDE) == "zz-stad"


def test_equally_near_contact_points_are_taken_by_id() -> None:
    region = Region(
        contact_service("b", CONTACT, "Location/vilvoorde"), contact_service("a", CONTACT, "Location/vilvoorde")
    )
    assert nearest(region, VILVOORDE) == "a"


@pytest.mark.parametrize(
    "addresses",
    [
        [],
        [{"postalCode": "2800", "city": "Mechelen", "country": "BE"}],
        [{**VILVOORDE, "use": "old"}],
        [{**VILVOORDE, "use": "billing"}],
        [{**VILVOORDE, "period": {"end": "2026-10-31"}}],
        [{**VILVOORDE, "period": {"start": "2026-12-01"}}],
        [{**VILVOORDE, "country": "NL"}],
        [{}],
    ],
)
def test_no_current_address_in_a_covered_area_means_no_contact_point(addresses: list[dict[str, Any]]) -> None:
    assert nearest(Region(), *addresses) == ""


def test_a_person_who_moved_is_sent_to_where_he_lives_now() -> None:
    mechelen = location("mechelen", postal="2800", city="Mechelen")
    region = Region(mechelen, contact_service("onthaal-mechelen", CONTACT, "Location/mechelen"))
    moved = {"postalCode": "2800", "country": "BE", "period": {"start": "2026-11-01"}}
    assert nearest(region, {**VILVOORDE, "period": {"end": "2026-10-31"}}, moved) == "onthaal-mechelen"


def test_a_municipality_code_may_stand_in_an_extension_of_the_address() -> None:
    region = Region(
        nis_location("machelen", "23047"), contact_service("onthaal-machelen", CONTACT, "Location/machelen")
    )
    for value in (
        {"valueCoding": {"system": NIS_CODE, "code": "23047"}},
        {"valueIdentifier": {"system": NIS_CODE, "value": "23047"}},
    ):
        assert nearest(region, {"extension": [{"url": "urn:municipality", **value}]}) == "onthaal-machelen"


def test_closed_services_and_missing_or_circular_areas_do_no_harm() -> None:
    loop = {**location("zone-zenne"), "partOf": ref("Location/zone-zenne")}
    region = Region(loop, contact_service("dicht", CONTACT, "Location/vilvoorde", "Location/weg"))
    region.record["HealthcareService/dicht"]["active"] = False
    assert nearest(region, VILVOORDE) == "onthaal"


def test_a_home_comes_before_a_temporary_address() -> None:
    patient = {"address": [{"use": "temp", "postalCode": "1000"}, {"use": "home", "postalCode": "1800"}]}
    assert [area.postal for area in areas_of(patient, NOW)] == ["1800", "1000"]


def test_a_name_settles_it_when_only_one_side_has_a_municipality_code() -> None:
    assert distance(Area("be", "", "", "vilvoorde"), nis_location("x", "23088", city="Vilvoorde")) == 2
    assert distance(Area("be", "", "23088", "vilvoorde"), location("x", city="Vilvoorde")) == 2
