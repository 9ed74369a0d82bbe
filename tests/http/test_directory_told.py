"""A second country imports like the first, and what an import would else keep to itself is told with its rows."""

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import RunningServer
from tests.http.directory_region import Region

DUTCH = "gemeentecode;naam;postcodes\nGM9344;Waterdorp;1234 AB, 1235CD\ngm9345;Zandstad;NL-1240\n"
HEAD = "organisatie;dienst;dienst id;noden;soort aanbod;werkingsgebied;kanalen;laatst nagekeken\n"


@pytest.fixture
def region(tmp_path: Path) -> Region:
    region = Region(tmp_path)
    result = region.bring_file("areas.csv", DUTCH.encode(), "areas")
    assert result.exit_code == 0, result.output
    assert "warning" not in result.output
    return region


def test_dutch_municipalities_and_postal_codes_import_and_are_found(region: Region) -> None:
    areas = region.stored("Location")
    first = areas["zone-area-gm9344"]
    assert [one["value"] for one in first["identifier"]] == ["GM9344", "NL-1234", "NL-1235"]
    assert first["identifier"][0]["system"].endswith("/NamingSystem/cbs-municipality")
    assert first["address"]["country"] == "NL"
    rows = (
        "Welzijn;Aanmeldpunt;a;;contact-point;GM9344;on-site;\n"
        'Welzijn;Budgethulp;b;debt;debt-help;"1235 XY; Zandstad";on-site;\n'
        "Welzijn;Buurtmaaltijd;c;social-connection;;1234;on-site;\n"
    )
    result = region.bring_file("offer.csv", (HEAD + rows).encode(), "spreadsheet")
    assert result.exit_code == 0, result.output
    assert "warning" not in result.output, result.output
    services = region.stored("HealthcareService")
    covered = {name: [one["reference"] for one in service["coverageArea"]] for name, service in services.items()}
    assert covered == {
        "zone-service-a": ["Location/zone-area-gm9344"],
        "zone-service-b": ["Location/zone-area-gm9344", "Location/zone-area-gm9345"],
        "zone-service-c": ["Location/zone-area-gm9344"],
    }
    server = RunningServer({"store": f"sqlite:///{region.store}", "publish_artifacts": False})
    try:
        headers = {"X-Dev-Organization": "Organization/gp", "Content-Type": "application/fhir+json"}
        with httpx.Client(base_url=server.base, headers=headers, timeout=30) as http:
            for place in (
                {"nis": "GM9344"},
                {"postal-code": "1235 AB"},
                {"postal-code": "1235ab"},
                {"city": "Waterdorp"},
            ):
                found = http.get("/HealthcareService/$suggest", params={"need": "debt", **place})
                assert found.status_code == 200, found.text
                assert found.json()["entry"][0]["resource"]["id"] == "zone-service-b", place
            _refers(http)
    finally:
        server.stop()


def _refers(http: httpx.Client) -> None:
    """A person with a Dutch postal code goes to the contact point of the municipality."""
    gp = {"resourceType": "Organization", "name": "Huisarts"}
    assert http.put("/Organization/gp", json={**gp, "id": "gp"}, headers={"X-Dev-Roles": "operator"}).status_code == 201
    given: dict[str, Any] = {
        "name": {"valueString": "Piet Waterman"},
        "phone": {"valueString": "06 12345678"},
        "postal-code": {"valueString": "1234 zz"},
        "reason": {"valueString": "Zoekt gezelschap"},
        "consent-way": {"valueCode": "spoken"},
    }
    body = {"resourceType": "Parameters", "parameter": [{"name": name, **one} for name, one in given.items()]}
    answer = http.post("/$refer", json=body)
    assert answer.status_code == 200, answer.text
    tasks = [one["resource"] for one in answer.json()["parameter"] if one["name"] == "task"]
    named = json.dumps(tasks[0]["input"])
    assert "HealthcareService/zone-service-a" in named
    assert "outcome" not in [one["name"] for one in answer.json()["parameter"]]


@pytest.mark.parametrize("code", ["344", "GM12", "NL", "2308"])
def test_a_municipality_code_of_neither_country_is_refused(tmp_path: Path, code: str) -> None:
    result = Region(tmp_path).bring_file("areas.csv", f"NIS;naam\n{code};Dorp\n".encode(), "areas")
    assert result.exit_code == 1
    assert f"error row 2: nis: {code!r} is no municipality code" in result.output


def test_the_same_service_twice_is_told_with_both_rows(region: Region) -> None:
    rows = "CAW;Hulp;x;debt;debt-help;GM9344;;\nCAW;Anders;y;debt;debt-help;GM9344;;\n"
    again = "CAW;Hulp;x;debt;debt-help;GM9344;;\nCAW;Iets anders;y;debt;debt-help;GM9344;;\n"
    result = region.bring_file("offer.csv", (HEAD + rows + again).encode(), "spreadsheet")
    assert "warning row 4: HealthcareService/zone-service-x is the service of row 2 again" in result.output
    assert "warning row 5: HealthcareService/zone-service-y was described otherwise by row 3" in result.output
    assert "created 2 HealthcareService" in result.output


def test_no_area_and_a_check_that_is_still_to_come_are_told_by_row(region: Region) -> None:
    rows = (
        "CAW;Overal;a;debt;debt-help;;on-site;2099-01-01\n"
        "CAW;Hulplijn;b;debt;debt-help;;phone;2026-01-01\n"
        "CAW;Niets gezegd;c;debt;debt-help;;;\n"
    )
    result = region.bring_file("offer.csv", (HEAD + rows).encode(), "spreadsheet")
    assert result.exit_code == 0
    told = [
        line.split(":")[0] + " " + line.split(":")[1].strip()
        for line in result.output.splitlines()
        if "warning" in line
    ]
    assert told == [
        "warning row 2 HealthcareService.coverageArea",
        "warning row 2 HealthcareService.extension[1]",
        "warning row 4 HealthcareService.coverageArea",
    ]


def test_a_table_packed_within_a_zip_is_read(tmp_path: Path) -> None:
    tables = {
        "services.csv": "id,organization_id,name,status\ns1,o1,Taalles,active\n",
        "organizations.csv": "id,name\no1,Taalhuis\n",
        "languages.csv": "id,service_id,code,name\nl1,s1,ar,Arabisch\n",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in tables.items():
            archive.writestr(f"{name}.gz", gzip.compress(text.encode()))
    region = Region(tmp_path)
    result = region.bring_file("hsds.zip", packed.getvalue(), "hsds-3")
    assert "created 1 HealthcareService, 1 Organization" in result.output, result.output
    (service,) = region.stored("HealthcareService").values()
    assert service["communication"][0]["coding"][0]["code"] == "ar"


def test_languages_of_hsds_are_read_as_objects_and_as_texts(tmp_path: Path) -> None:
    languages = ["nl", "Gebarentaal", {"code": "ar", "name": "Arabisch"}, {"name": "Pools"}]
    record = {
        "id": "s1",
        "name": "Taalles",
        "status": "active",
        "languages": languages,
        "organization": {"id": "o1", "name": "Taalhuis"},
    }
    region = Region(tmp_path)
    result = region.bring_file(
        "services.json", json.dumps([record, {**record, "id": "s2", "languages": "nl, fr"}]).encode(), "hsds-3"
    )
    services = region.stored("HealthcareService")
    bcp = "urn:ietf:bcp:47"
    assert services["zone-service-s1"]["communication"] == [
        {"coding": [{"system": bcp, "code": "nl"}]},
        {"text": "Gebarentaal"},
        {"coding": [{"system": bcp, "code": "ar"}], "text": "Arabisch"},
        {"text": "Pools"},
    ]
    codes = [one["coding"][0]["code"] for one in services["zone-service-s2"]["communication"]]
    assert codes == ["nl", "fr"]
    assert "'Gebarentaal' is no language code" in result.output
