"""The directory of another FHIR server comes in, comes again without doubling, and nothing of a record comes in half."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.http.directory_region import Region, run

DATA = Path(__file__).parents[3] / "shared" / "data"
BASE = "https://hub.example/fhir"
NIS = "https://w3id.org/social-referral/NamingSystem/nis"


def entry(kind: str, key: str, **more: Any) -> dict[str, Any]:
    return {"fullUrl": f"{BASE}/{kind}/{key}", "resource": {"resourceType": kind, "id": key, **more}}


def offer(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": list(entries)}).encode()


CAW = entry("Organization", "caw", name="CAW", endpoint=[{"reference": "Endpoint/e"}])
ENDPOINT = entry(
    "Endpoint", "e", status="active", payloadType=[{"text": "any"}], address="https://caw.example/fhir",
    connectionType={"system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "code": "hl7-fhir-rest"},
    managingOrganization={"reference": "Organization/caw"},
)  # fmt: skip
AREA = entry("Location", "vilvoorde", name="Vilvoorde", identifier=[{"system": NIS, "value": "23088"}])
SERVICE = entry(
    "HealthcareService", "debt", name="Budgethulp", providedBy={"reference": f"{BASE}/Organization/caw"},
    coverageArea=[{"reference": "Location/vilvoorde"}],
)  # fmt: skip


@pytest.fixture
def region(tmp_path: Path) -> Region:
    return Region(tmp_path)


def test_a_bundle_comes_in_once_and_what_vanished_from_it_becomes_inactive(region: Region) -> None:
    whole = offer(SERVICE, CAW, ENDPOINT, AREA)
    first = region.bring_file("b.json", whole, "fhir")
    assert first.exit_code == 0, first.output
    assert "created 1 Endpoint, 1 HealthcareService, 1 Location, 1 Organization" in first.output
    again = region.bring_file("b.json", whole, "fhir")
    assert "unchanged 1 Endpoint, 1 HealthcareService, 1 Location, 1 Organization" in again.output
    service = region.stored("HealthcareService")["zone-service-debt"]
    assert service["meta"]["versionId"] == "1"
    assert service["providedBy"]["reference"] == "Organization/zone-organization-caw"
    less = region.bring_file("b.json", offer({**CAW, "resource": {**CAW["resource"], "endpoint": []}}), "fhir")
    assert less.exit_code == 1  # an empty list is no R4, and what is refused makes nothing vanish
    assert "nothing was marked inactive" in less.output
    alone = {name: value for name, value in CAW["resource"].items() if name != "endpoint"}
    less = region.bring_file("b.json", offer({**CAW, "resource": alone}), "fhir")
    assert less.exit_code == 0, less.output
    assert "marked 3 inactive" in less.output
    states = [
        region.stored("HealthcareService")["zone-service-debt"]["active"],
        region.stored("Location")["zone-site-vilvoorde"]["status"],
        region.stored("Endpoint")["zone-endpoint-e"]["status"],
    ]
    assert states == [False, "inactive", "off"]


def test_a_refused_entry_takes_what_relies_on_it_along_and_nothing_else(region: Region) -> None:
    broken = {**ENDPOINT, "resource": {**ENDPOINT["resource"], "status": "banana"}}
    other = entry("Organization", "ocmw", name="OCMW")
    seat = entry("Location", "seat", name="Markt", address={"city": "Vilvoorde"}, managingOrganization={"reference": "Organization/caw"})  # fmt: skip
    result = region.bring_file("b.json", offer(SERVICE, CAW, broken, AREA, other, seat), "fhir")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert [line.split(":")[0] for line in lines[:4]] == [
        "error Bundle.entry[0]",
        "error Bundle.entry[1]",
        "error Bundle.entry[2]",
        "warning Bundle.entry[5]",
    ]
    assert "'https://hub.example/fhir/Organization/caw' was refused" in lines[0]
    assert "refer to each other" in lines[1]
    assert "Endpoint.status" in lines[2]
    assert set(region.stored("Organization")) == {"zone-organization-ocmw"}
    assert "managingOrganization" not in region.stored("Location")["zone-site-seat"]


@pytest.mark.parametrize("references", ["enforce", "ignore"])
def test_a_record_whose_organisation_is_nowhere_is_refused_and_the_others_are_taken(
    region: Region, monkeypatch: pytest.MonkeyPatch, references: str
) -> None:
    monkeypatch.setenv("FHIR_REFERENCES", references)
    records = [
        {"id": "s1", "name": "Een", "organization": {"id": "o1", "name": "CAW"}},
        {"id": "s2", "name": "Twee", "organization_id": "gone"},
    ]
    result = region.bring_file("s.json", json.dumps(records).encode(), "hsds-3")
    assert result.exit_code == 1
    assert "error record 2: organization: 'gone' is in no organization of the source" in result.output
    assert set(region.stored("HealthcareService")) == {"zone-service-s1"}
    assert region.bring_file("b.json", offer(SERVICE, CAW, ENDPOINT, AREA), "fhir").exit_code == 0


def test_what_this_server_exports_can_be_imported_elsewhere_and_a_dry_run_stores_nothing(region: Region) -> None:
    assert region.bring_file("b.json", offer(SERVICE, CAW, ENDPOINT, AREA), "fhir").exit_code == 0
    region.stored("HealthcareService")
    elsewhere = str(region.folder / "other.sqlite")
    bring = ["directory", "import", str(region.folder / "out-1"), "--mapping", "fhir", "--source", "copy"]
    for options, verb in ((["--dry-run"], "would be created"), ([], "created"), ([], "unchanged")):
        result = run(*bring, "--to", elsewhere, *options)
        assert result.exit_code == 0, result.output
        assert f"\n{verb} 1 Endpoint, 1 HealthcareService, 1 Location, 1 Organization" in f"\n{result.output}"


@pytest.mark.skipif(not (DATA / "hl7-be-core").is_dir(), reason="the published examples are not on this machine")
def test_published_belgian_and_gravity_examples_come_in_whole(region: Region) -> None:
    names = ("hl7-be-core/Organization-organization1", "hl7-be-core/Location-mammographicUnit",
             "gravity-ri-seed/HealthcareService-SDOHCC-HealthcareServiceTelecomAppointmentExample")  # fmt: skip
    hospital, unit, phone = (json.loads((DATA / f"{name}.json").read_bytes()) for name in names)
    fault = region.bring_file("b.json", json.dumps(phone).encode(), "fhir")
    assert "error the resource: HealthcareService: HealthcareService.providedBy is absent" in fault.output
    phone["providedBy"] = {"reference": "Organization/organization1"}
    listed = "\n".join(json.dumps(one) for one in (phone, hospital, unit))
    result = region.bring_file("b.ndjson", listed.encode(), "fhir")
    assert result.exit_code == 0, result.output
    assert "created 1 HealthcareService, 1 Location, 1 Organization" in result.output
    stored = region.stored("Organization")["zone-organization-organization1"]
    assert stored["identifier"] == hospital["identifier"]
    assert set(hospital["meta"]["profile"]) < set(stored["meta"]["profile"])
    (service,) = region.stored("HealthcareService").values()
    assert service["telecom"] == phone["telecom"]
    assert service["text"] == phone["text"]


def test_what_was_refused_is_not_lost_among_many_warnings_and_an_archive_reads_as_a_folder(region: Region) -> None:
    roles = "\n".join(json.dumps({"resourceType": "PractitionerRole", "id": str(number)}) for number in range(250))
    export = io.BytesIO()
    with zipfile.ZipFile(export, "w") as archive:
        archive.writestr("PractitionerRole.ndjson", roles)
        archive.writestr("Organization.ndjson", json.dumps(CAW["resource"]) + "\n{")
        archive.writestr("About.md", "An export.")
    result = region.bring_file("export.zip", export.getvalue(), "fhir")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0].startswith("error Organization.ndjson line 2: The line is not JSON")
    assert any(line.startswith("warning About.md: The file is left out") for line in lines)
    assert "… and 53 more remarks" in lines
    assert "created 1 Organization" in lines


def test_a_need_that_is_not_known_is_told_with_the_nearest_that_is(region: Region) -> None:
    system = "https://w3id.org/social-referral/CodeSystem/social-need"
    needs = [{"coding": [{"system": system, "code": code}]} for code in ("debt", "social-connections")]
    service = {**SERVICE, "resource": {**SERVICE["resource"], "type": needs}}
    result = region.bring_file("b.json", offer(service, CAW, ENDPOINT, AREA), "fhir")
    assert result.exit_code == 0, result.output
    assert "warning Bundle.entry[0]: HealthcareService.type[1]: 'social-connections' is no need" in result.output
    assert "Did you mean social-connection?" in result.output
    assert "type[0]" not in result.output
