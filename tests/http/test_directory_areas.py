"""Areas come in with their boundary, services with the polygon that they serve, and a shape that is none is said."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from tests.http.directory_region import Region

BOUNDARY = "http://hl7.org/fhir/StructureDefinition/location-boundary-geojson"
SQUARE = {"type": "Polygon", "coordinates": [[[4.4, 50.9], [4.5, 50.9], [4.5, 51.0], [4.4, 50.9]]]}
OPEN = {"type": "Polygon", "coordinates": [[[4.4, 50.9], [4.5, 50.9], [4.5, 51.0], [4.4, 50.8]]]}


@pytest.fixture
def region(tmp_path: Path) -> Region:
    return Region(tmp_path)


def boundary(location: dict[str, Any]) -> Any:
    (found,) = [one["valueAttachment"] for one in location["extension"] if one["url"] == BOUNDARY]
    assert found["contentType"] == "application/geo+json"
    return json.loads(b64decode(found["data"]))


def collection(*features: tuple[dict[str, Any], Any], **more: Any) -> bytes:
    listed = [{"type": "Feature", "properties": said, "geometry": shape} for said, shape in features]
    return json.dumps({"type": "FeatureCollection", "features": listed, **more}).encode()


def test_municipalities_come_from_geojson_with_their_boundary(region: Region) -> None:
    raw = collection(
        ({"cd_munty_refnis": 23088, "tx_munty_descr_nl": "Vilvoorde", "postcodes": ["1800"], "km2": 21.5}, SQUARE),
        ({"NISCode": "23047", "naam": "Machelen"}, OPEN),
        ({"naam": "Nergens"}, SQUARE),
    )
    result = region.bring_file("areas.geojson", raw, "areas")
    assert result.exit_code == 1
    assert "warning features[1]: boundary: The boundary" in result.output
    assert "coordinates[0] ends elsewhere than it begins" in result.output
    assert "error features[2]: area: Nothing says what the source calls this area." in result.output
    areas = region.stored("Location")
    assert boundary(areas["zone-area-23088"]) == SQUARE
    assert [one["value"] for one in areas["zone-area-23088"]["identifier"]] == ["23088", "BE-1800"]
    assert "extension" not in areas["zone-area-23047"]
    again = region.bring_file("areas.geojson", raw, "areas")
    assert "unchanged 2 Location" in again.output


def test_coordinates_of_another_system_and_files_that_are_no_features_are_refused(region: Region) -> None:
    lambert = {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::31370"}}}
    result = region.bring_file("a.geojson", collection(({"NIS": "23088", "name": "Vilvoorde"}, SQUARE), **lambert), "areas")  # fmt: skip
    assert "EPSG::31370" in result.output
    assert "extension" not in region.stored("Location")["zone-area-23088"]
    for raw, said in (
        (b"{", "not JSON"), (b'{"type": "Feature"}', "no list of features"),
        (collection(({"code": "23088"}, SQUARE)), "no property for 'NIS code'"),
    ):  # fmt: skip
        wrong = region.bring_file("a.geojson", raw, "areas")
        assert wrong.exit_code == 1
        assert said in wrong.output


def test_a_table_of_areas_may_have_a_column_with_the_boundary(region: Region) -> None:
    cell = json.dumps(SQUARE).replace('"', '""')
    result = region.bring_file(
        "a.csv", f'NIS,naam,grens\n23088,Vilvoorde,"{cell}"\n23047,Machelen,\n'.encode(), "areas"
    )
    assert result.exit_code == 0, result.output
    assert "warning" not in result.output
    areas = region.stored("Location")
    assert boundary(areas["zone-area-23088"]) == SQUARE
    assert "extension" not in areas["zone-area-23047"]


def service(*areas: dict[str, Any]) -> dict[str, Any]:
    return {"id": "s", "name": "Kamp", "service_areas": list(areas)}


def test_a_served_polygon_becomes_an_area_and_both_forms_of_hsds_say_the_same(region: Region) -> None:
    assert region.bring_file("areas.csv", b"NIS,naam\n23088,Vilvoorde\n", "areas").exit_code == 0
    areas = (
        {"id": "a", "name": "Vilvoorde", "extent": json.dumps(SQUARE), "extent_type": "geojson"},
        {"id": "b", "description": "De wijk", "extent": {"type": "Feature", "properties": {}, "geometry": SQUARE}, "extent_type": "GeoJSON"},
        {"id": "c", "name": "De haven", "extent": "<kml/>", "extent_type": "kml"},
        {"id": "d", "name": "Ergens", "extent": json.dumps(OPEN), "extent_type": "geojson"},
    )  # fmt: skip
    one = {**service(*areas), "organization": {"id": "o", "name": "CAW"}}
    result = region.bring_file("s.json", json.dumps(one).encode(), "hsds-3")
    assert result.exit_code == 0, result.output
    assert "created 1 HealthcareService, 2 Location, 1 Organization" in result.output
    assert "'kml' is none of: geojson" in result.output
    assert result.output.count("warning") == 2
    stored = region.stored("Location")
    assert boundary(stored["zone-area-a"]) == SQUARE
    assert boundary(stored["zone-area-b"])["geometry"] == SQUARE
    covered = [one["reference"] for one in region.stored("HealthcareService")["zone-service-s"]["coverageArea"]]
    assert covered == ["Location/zone-area-a", "Location/zone-area-b", "Location/zone-area-23088"]
    nested = {"id": "o", "name": "CAW", "services": [service(*areas)]}
    other = region.bring_file("o.json", json.dumps(nested).encode(), "hsds-3-organization")
    assert "unchanged 1 HealthcareService, 2 Location, 1 Organization" in other.output


def test_a_season_of_a_spreadsheet_and_of_hsds_is_stored_as_the_profile_asks(region: Region) -> None:
    rows = "organisatie,dienst,dienst id,begin seizoen,einde seizoen,seizoen\nCAW,Kamp,k,1/7,31 augustus,Zomer\n"
    assert region.bring_file("o.csv", rows.encode(), "spreadsheet").exit_code == 0
    schedule = {"valid_from": "2026-11-01", "valid_to": "2027-03-31", "byday": "MO", "opens_at": "20:00"}
    winter = {"id": "w", "name": "Winteropvang", "organization": {"id": "o", "name": "CAW"}, "schedules": [schedule]}
    assert region.bring_file("s.json", json.dumps(winter).encode(), "hsds-3").exit_code == 0
    stored = region.stored("HealthcareService")
    seasons = {
        key: [part["valueString"] for one in service["extension"] for part in one["extension"]]
        for key, service in stored.items()
    }
    assert seasons == {"zone-service-k": ["07-01", "08-31", "Zomer"], "zone-service-w": ["11-01", "03-31"]}
