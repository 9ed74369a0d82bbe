"""The social map comes in by command, comes again without doubling, and says row by row what is wrong."""

import gzip
from pathlib import Path

import pytest

from tests.http.directory_region import HEADER, Region, run

AREAS = "NIS;naam;postcodes\n23088;Vilvoorde;1800\n23047;Machelen;1830, 1831\n"
HSDS = Path(__file__).parents[3] / "shared" / "data" / "openreferral-hsds-native"


@pytest.fixture
def region(tmp_path: Path) -> Region:
    region = Region(tmp_path)
    result = region.bring_file("areas.csv", AREAS.encode(), "areas")
    assert result.exit_code == 0, result.output
    return region


def row(service: str = "Budgethulp", number: str = "b1", **other: str) -> list[str]:
    cells = {"organisatie": "CAW", "dienst": service, "dienst id": number, "noden": "debt", "soort aanbod": "debt-help"}
    cells |= {"straat en nummer": "Markt 1", "gemeente": "Vilvoorde", "werkingsgebied": "1800; 23047; Machelen"} | other
    return [cells.get(name, "") for name in HEADER]


def test_services_come_with_their_organisation_site_codes_and_areas(region: Region) -> None:
    result = region.bring([row(), row("Opvoedwinkel", "b2", noden="Opvoeding; Werk", **{"leeftijd van": "18"})])
    assert result.exit_code == 0, result.output
    assert "created 2 HealthcareService, 1 Location, 1 Organization" in result.output
    services = region.stored("HealthcareService")
    first, second = services["zone-service-b1"], services["zone-service-b2"]
    assert first["category"][0]["coding"][0]["code"] == "debt-help"
    assert [area["reference"] for area in first["coverageArea"]] == ["Location/zone-area-23088"] + [
        "Location/zone-area-23047"
    ] * 2
    assert first["providedBy"] == second["providedBy"]
    assert first["providedBy"]["reference"].split("/")[1] in region.stored("Organization")
    assert first["location"][0]["reference"].split("/")[1] in region.stored("Location")


def test_importing_again_changes_what_changed_and_marks_what_vanished(region: Region) -> None:
    assert region.bring([row(), row("Weg", "b2")]).exit_code == 0
    again = region.bring([row(), row("Weg", "b2")])
    assert "unchanged 2 HealthcareService, 1 Location, 1 Organization" in again.output
    assert region.stored("HealthcareService")["zone-service-b1"]["meta"]["versionId"] == "1"
    changed = region.bring([row("Budgethulp Plus")])
    assert "updated 1 HealthcareService" in changed.output
    assert "inactive HealthcareService/zone-service-b2" in changed.output
    services = region.stored("HealthcareService")
    assert (services["zone-service-b1"]["name"], services["zone-service-b2"]["active"]) == ("Budgethulp Plus", False)
    assert region.stored("Location")["zone-area-23088"]["status"] == "active"  # another mapping brought it
    back = region.bring([row("Budgethulp Plus"), row("Weg", "b2")])
    assert "updated 1 HealthcareService" in back.output
    assert region.stored("HealthcareService")["zone-service-b2"]["active"] is True


def test_a_refused_row_is_named_and_nothing_vanishes_because_of_it(region: Region) -> None:
    assert region.bring([row(), row("Twee", "b2")]).exit_code == 0
    result = region.bring([row(), row("", "b2")])
    assert result.exit_code == 1
    assert "error row 3: service: There is no value for name" in result.output
    assert "nothing was marked inactive" in result.output
    assert region.stored("HealthcareService")["zone-service-b2"]["active"] is True


def test_a_service_for_unknown_areas_is_refused_and_not_offered_everywhere(region: Region) -> None:
    result = region.bring([row(werkingsgebied="9999"), row("Twee", "b2", werkingsgebied="")])
    assert result.exit_code == 1
    assert "error row 2: coverageArea: Nothing of '9999' can be used for coverageArea" in result.output
    found = region.stored("HealthcareService")
    assert list(found) == ["zone-service-b2"]  # an empty cell is how a spreadsheet says: everywhere
    assert "coverageArea" not in found["zone-service-b2"]


def test_what_a_row_says_wrong_is_told_with_its_column(region: Region) -> None:
    wrong = row(werkingsgebied="23088;9999", **{"leeftijd van": "-1"})
    result = region.bring([wrong, row("Twee", "b2", noden="geluk")])
    assert result.exit_code == 0
    for said in (
        "warning row 2: areas: '9999' is no NIS code",
        "warning row 2: ageFrom: -1 is not between 0 and 130",
        "warning row 3: needs: 'geluk'",
    ):
        assert said in result.output
    assert "extension" not in region.stored("HealthcareService")["zone-service-b1"]


def test_a_profile_that_a_row_breaks_refuses_it(region: Region) -> None:
    raw = b"organisation,enterprise number,service\nCAW,12345,Dienst\nOther,0710020006,Dienst\n"
    result = region.bring_file("x.csv", raw, "spreadsheet")
    assert result.exit_code == 1
    assert "error row 2: Organization" in result.output
    assert len(region.stored("HealthcareService")) == 1


def test_a_dry_run_stores_nothing_and_a_partial_file_keeps_the_rest(region: Region) -> None:
    assert "would be created 1 HealthcareService" in region.bring([row()], "--dry-run").output
    assert region.stored("HealthcareService") == {}
    region.bring([row(), row("Twee", "b2")])
    assert "marked 0 inactive" in region.bring([row()], "--keep-vanished").output


def test_scripts_and_formulas_in_cells_stay_text(region: Region) -> None:
    evil = "<script>alert(1)</script>"
    assert region.bring([row(evil, "b1", organisatie="=cmd|' /C calc'!A0")]).exit_code == 0
    assert region.stored("HealthcareService")["zone-service-b1"]["name"] == evil


def test_a_broken_file_or_a_wrong_option_is_one_clear_line(region: Region) -> None:
    latin = region.bring_file("l.csv", "organisation,service\nCafé,x\n".encode("latin-1"), "spreadsheet")
    assert latin.exit_code == 1
    assert "--encoding latin-1" in latin.output
    assert (
        region.bring_file(
            "l.csv", "organisation,service\nCafé,x\n".encode("latin-1"), "spreadsheet", "--encoding", "latin-1"
        ).exit_code
        == 0
    )
    for mapping, source in (("nope", "zone"), ("areas", "Zone!")):
        wrong = run("directory", "import", str(region.folder / "areas.csv"), "--mapping", mapping, "--source", source)
        assert wrong.exit_code == 2, wrong.output


def test_a_file_that_breaks_off_leaves_nothing_behind_and_an_empty_one_ends_nothing(region: Region) -> None:
    assert region.bring([row()]).exit_code == 0
    many = "".join(f"CAW,Dienst {number}\n" for number in range(120))
    for raw, said in (
        (f'organisatie,dienst\n{many}CAW,"open\n', "line 122"),
        ("organisatie,dienst\n", "holds nothing"),
        ("<Bundle/>", "is XML"),
    ):
        name = "x.xml" if raw.startswith("<") else "x.csv"
        result = region.bring_file(name, raw.encode(), "spreadsheet")
        assert result.exit_code == 1
        assert said in result.output
        assert "inactive" not in result.output
        services = region.stored("HealthcareService")
        assert {name: one["active"] for name, one in services.items()} == {"zone-service-b1": True}


def test_a_packed_file_is_the_same_source(region: Region) -> None:
    text = b"organisatie,dienst,dienst id\nCAW,Budgethulp,b1\n"
    assert "created 1 HealthcareService" in region.bring_file("a.csv", text, "spreadsheet").output
    assert "unchanged 1 HealthcareService" in region.bring_file("a.csv.gz", gzip.compress(text), "spreadsheet").output


def test_the_template_of_each_language_can_be_imported(region: Region) -> None:
    for language in "0123":
        text = run("directory", "template", "spreadsheet", "--language", language).stdout
        result = region.bring_file("t.csv", text.encode(), "spreadsheet")
        assert result.exit_code == 0, result.output
        assert "refused 0" in result.output
    assert "hsds-3" in run("directory", "mappings").stdout


@pytest.mark.skipif(not HSDS.is_dir(), reason="the published HSDS examples are not on this machine")
def test_published_hsds_examples_come_in_and_both_forms_say_the_same(region: Region) -> None:
    for name, mapping, what in (
        ("service_full", "hsds-3", "created"),
        ("organization_full", "hsds-3-organization", "unchanged"),
    ):
        result = region.bring_file(f"{name}.json", (HSDS / f"{name}.json").read_bytes(), mapping)
        assert result.exit_code == 0, result.output
        assert f"{what} 1 HealthcareService, 1 Location, 1 Organization" in result.output
        assert "latitude: 100 is not between -90 and 90" in result.output
        assert "warning record 1: coverageArea: None is known here; what they are called is kept." in result.output
