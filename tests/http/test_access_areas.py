"""A link worker sees the referrals of its area: where the person lived is noted when the referral is written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.access.principal import Principal
from fhir_server.app import build_engine
from fhir_server.settings import Settings
from tests.property.access_world import CALLERS, TAG, World

NIS = "https://w3id.org/social-referral/NamingSystem/nis"
SERVED = "https://w3id.org/social-referral/StructureDefinition/served-area"
EXAMPLE = Path(__file__).parents[2] / "examples" / "erdan" / "01-referral-bundle.json"


def area(identity: str, nis: str, postal: str, city: str, part_of: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "Location", "id": identity, "status": "active", "name": city,
        "physicalType": {"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/location-physical-type", "code": "area"}]},
        "address": {"city": city, "country": "BE", **({"postalCode": postal} if postal else {})},
    }  # fmt: skip
    if nis:
        made["identifier"] = [{"system": NIS, "value": nis}]
    return made | ({"partOf": {"reference": f"Location/{part_of}"}} if part_of else {})


def role(identity: str, organization: str, *areas: str) -> dict[str, Any]:
    extension = [{"url": SERVED, "valueReference": {"reference": f"Location/{one}"}} for one in areas]
    made = {"resourceType": "PractitionerRole", "id": identity, "active": True}
    return {**made, "organization": {"reference": organization}, **({"extension": extension} if areas else {})}


def bare(expected: int, answer: Any) -> Any:
    assert answer.status == expected, answer.body
    return json.loads(answer.body)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    settings = Settings(store=f"sqlite:///{tmp_path / 'fhir.sqlite'}", enforce_access=True, publish_artifacts=False)
    made = World(build_engine(settings))
    for name, areas in (("zone", ["zone"]), ("vilvoorde", ["vilvoorde"]), ("zemst", ["zemst"]), ("said", [])):
        organization = f"Organization/{name}"
        monkeypatch.setitem(
            CALLERS,
            name,
            Principal(organization, frozenset({"link-worker"}), areas=frozenset(f"Location/{one}" for one in areas)),
        )
    for name in ("gp", "zone", "said", "cbo"):
        given = {"resourceType": "Organization", "id": name, "name": name, "active": True}
        made.ask("operator", "PUT", f"Organization/{name}", given)
    for one in (
        area("zone", "", "", "Brede Zenne"),
        area("vilvoorde", "23088", "1800", "Vilvoorde", "zone"),
        area("zemst", "12040", "1980", "Zemst", "zone"),
    ):
        bare(201, made.ask("operator", "PUT", f"Location/{one['id']}", one))
    yield made
    made.close()


def refer(world: World, **address: str) -> str:
    """Send a referral without an addressee for a person at an address; return the id of the Task in the pool."""
    bundle = json.loads(EXAMPLE.read_text())
    entries = []
    for entry in bundle["entry"]:
        resource = entry["resource"]
        kind = resource["resourceType"]
        if kind == "Observation":
            continue
        for member in ("id", "generalPractitioner", "performer" if kind != "Consent" else "id"):
            resource.pop(member, None)
        if kind == "Patient":
            resource["address"] = [{"use": "home", "country": "BE", **address}] if address else []
            if not address:
                del resource["address"]
        elif kind == "Consent":
            resource["organization"] = [{"reference": "Organization/gp"}]
            resource["provision"]["actor"] = resource["provision"]["actor"][:1]
            resource["provision"]["actor"][0]["reference"] = {"reference": "Organization/zone"}
        elif kind == "ServiceRequest":
            resource["requester"] = {"reference": "Organization/gp"}
            resource["supportingInfo"] = [one for one in resource["supportingInfo"] if "607b9684" in one["reference"]]
        else:
            for member in ("recorder", "asserter", "evidence"):
                resource.pop(member, None)
        entries.append({**entry, "request": {"method": "POST", "url": kind}})
    bare(200, world.ask("gp", "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    found = bare(200, world.ask("gp", "GET", "Task?status=requested&_sort=-_lastUpdated&_count=1"))
    assert "owner" not in found["entry"][0]["resource"]
    return str(found["entry"][0]["resource"]["id"])


def seers(world: World, task: str) -> set[str]:
    return {
        caller
        for caller in ("zone", "vilvoorde", "zemst", "said")
        if world.ask(caller, "GET", f"Task/{task}").status == 200
        and world.ask(caller, "GET", f"Task?_id={task}").total == 1
    }


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ({"postalCode": "1800", "city": "Vilvoorde"}, {"zone", "vilvoorde"}),
        ({"postalCode": "1980"}, {"zone", "zemst"}),
        ({"city": "vilvoorde"}, {"zone", "vilvoorde"}),
        ({"postalCode": "9000", "city": "Gent"}, {"zone", "vilvoorde", "zemst", "said"}),
        ({}, {"zone", "vilvoorde", "zemst", "said"}),
    ],
)
def test_a_task_in_the_pool_is_seen_by_the_link_workers_of_the_area(
    world: World, address: dict[str, str], expected: set[str]
) -> None:
    assert seers(world, refer(world, **address)) == expected


def test_who_moves_away_stays_with_the_link_worker_who_knows_the_case(world: World) -> None:
    task = refer(world, postalCode="1800")
    patient = bare(200, world.ask("gp", "GET", "Patient?_count=1"))["entry"][0]["resource"]
    patient["address"] = [{"use": "home", "postalCode": "1980", "country": "BE"}]
    bare(200, world.ask("gp", "PUT", f"Patient/{patient['id']}", patient))
    change = [{"op": "add", "path": "/note", "value": [{"text": "moved"}]}]
    answer = world.ask(
        "gp", "PATCH", f"Task/{task}", change, content_type="application/json-patch+json", if_match='W/"1"'
    )
    assert answer.status == 200, answer.body
    assert seers(world, task) == {"zone", "vilvoorde"}


def test_a_role_serves_the_areas_that_an_operator_says_and_no_others(world: World) -> None:
    task = refer(world, postalCode="1800")
    made = bare(201, world.ask("operator", "PUT", "PractitionerRole/an", role("an", "Organization/said", "zemst")))
    assert {"system": TAG + "serves", "code": "Location/zemst"} in made["meta"]["tag"]
    assert "said" not in seers(world, task)
    widened = role("an", "Organization/said", "zemst", "vilvoorde")
    bare(200, world.ask("said", "PUT", "PractitionerRole/an", widened))
    assert "said" not in seers(world, task)
    bare(201, world.ask("said", "POST", "PractitionerRole", role("", "Organization/said", "vilvoorde") | {"id": "x"}))
    assert "said" not in seers(world, task)
    bare(200, world.ask("operator", "PUT", "PractitionerRole/an", widened | {"language": "nl"}))
    assert "said" in seers(world, task)
    bare(200, world.ask("operator", "PUT", "PractitionerRole/an", widened | {"active": False}))
    assert "said" not in seers(world, task)


def test_a_link_worker_claims_what_it_sees_and_nothing_else(world: World) -> None:
    task = refer(world, postalCode="1800")
    claim = [{"op": "add", "path": "/owner", "value": {"reference": "Organization/zone"}}]
    kind = {"content_type": "application/json-patch+json", "if_match": 'W/"1"'}
    assert world.ask("zemst", "PATCH", f"Task/{task}", claim, **kind).status == 404
    assert world.ask("zone", "PATCH", f"Task/{task}", claim, **kind).status == 200
    assert seers(world, task) == {"zone"}
