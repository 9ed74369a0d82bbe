"""Search parameters added as files: every type of parameter is indexed, and what cannot be offered is refused at the start."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from fhir_server.app import build_engine
from fhir_server.cli import main
from fhir_server.interactions.reindexing import reindex
from fhir_server.settings import Settings

URL = "https://example.org/fhir/SearchParameter"
UCUM = "http://unitsofmeasure.org"


def parameter(code: str, base: str, kind: str, expression: str, **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter", "id": f"{base}-{code}", "url": f"{URL}/{base}-{code}", "version": "1.0.0",
        "name": code.replace("-", "_"), "status": "active", "description": f"Finds {base} by {code}.", "code": code,
        "base": [base], "type": kind, "expression": expression, **members,
    }  # fmt: skip


PARAMETERS = [
    parameter(
        "dose", "MedicationRequest", "quantity", "MedicationRequest.dosageInstruction.doseAndRate.dose.as(Quantity)"
    ),
    parameter("around", "Location", "special", "Location.position"),
    parameter("sequence", "MedicationRequest", "number", "MedicationRequest.dosageInstruction.sequence"),
    parameter("note-time", "MedicationRequest", "date", "MedicationRequest.note.time"),
    parameter("nickname", "Patient", "string", "Patient.name.where(use = 'nickname').given"),
    parameter("relation", "Patient", "token", "Patient.contact.relationship"),
    parameter("contact-of", "Patient", "reference", "Patient.contact.organization", target=["Organization"]),
    parameter("photo", "Patient", "uri", "Patient.photo.url"),
    parameter(
        "relation-contact",
        "Patient",
        "composite",
        "Patient.contact",
        component=[
            {"definition": f"{URL}/Patient-relation", "expression": "relationship"},
            {"definition": f"{URL}/Patient-contact-of", "expression": "organization"},
        ],
    ),
]
PATIENT = {
    "resourceType": "Patient", "id": "custom",
    "name": [{"use": "nickname", "given": ["Zoë"]}, {"use": "official", "given": ["Johanna"]}],
    "photo": [{"url": "http://example.org/photo.jpg"}],
    "contact": [
        {"relationship": [{"coding": [{"code": "E"}]}], "organization": {"reference": "Organization/one"}},
        {"relationship": [{"coding": [{"code": "C"}]}], "organization": {"reference": "Organization/two"}},
    ],
}  # fmt: skip
REQUEST = {
    "resourceType": "MedicationRequest", "id": "custom", "status": "active", "intent": "order",
    "medicationCodeableConcept": {"text": "x"}, "subject": {"reference": "Patient/custom"},
    "note": [{"time": "2026-02-03T10:00:00Z", "text": "x"}],
    "dosageInstruction": [
        {"sequence": 3, "doseAndRate": [{"doseQuantity": {"value": 500, "unit": "mg", "system": UCUM, "code": "mg"}}]}
    ],
}  # fmt: skip
PLACE = {"resourceType": "Location", "id": "custom", "position": {"latitude": 51.05, "longitude": 3.72}}
FOUND = [
    ("MedicationRequest?dose=0.5|http://unitsofmeasure.org|g", True),
    ("MedicationRequest?dose=gt500", False),
    ("MedicationRequest?sequence=3", True),
    ("MedicationRequest?note-time=2026-02", True),
    ("Location?around=51.05|3.72|1|km", True),
    ("Location?around=50|4|1|km", False),
    ("Patient?nickname=zoe", True),
    ("Patient?nickname=johanna", False),
    ("Patient?relation=E", True),
    ("Patient?contact-of=Organization/two", True),
    ("Patient?photo=http://example.org/photo.jpg", True),
    ("Patient?relation-contact=E$Organization/one", True),
    ("Patient?relation-contact=E$Organization/two", False),
]


def add(root: Path, resource: dict[str, Any]) -> None:
    file = root / "profiles" / "search-parameters" / f"SearchParameter-{resource['id']}.json"
    file.write_text(json.dumps(resource), encoding="utf-8")


def test_parameters_of_every_type_find_what_was_stored_before_them(
    fresh_server: Any, copied_root: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"store": f"sqlite:///{tmp_path / 'shared.sqlite'}", "artifact_root": str(copied_root)}
    before = fresh_server(**settings, publish_artifacts=False)
    for resource in (PATIENT, REQUEST, PLACE):
        made = httpx.put(f"{before.base}/{resource['resourceType']}/custom", json=resource)
        assert made.status_code == 201, made.text
    before.stop()
    for one in PARAMETERS:
        add(copied_root, one)
    server = fresh_server(**settings, publish_artifacts=False)
    for query, _ in FOUND:
        assert httpx.get(f"{server.base}/{query}").json()["total"] == 0, "not indexed yet"
    engine = build_engine(Settings(**settings, base_url=server.base))
    progress, _ = reindex(engine)
    engine.store.close()
    assert progress.done == 3
    for query, found in FOUND:
        assert httpx.get(f"{server.base}/{query}").json()["total"] == found, query


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"expression": "Patient.nmae.given"}, ["'nickname'", "Patient has no element 'nmae'"]),
        ({"expression": "Patient.name.given.first()"}, ["'nickname'", "outside the offered FHIRPath", "first"]),
        ({"expression": "Patient.name.where(use = "}, ["'nickname'", "outside the offered FHIRPath"]),
        ({"base": ["Patiënt"]}, ["Patient-nickname", "'Patiënt' is not a resource type"]),
        (
            {"type": "composite", "component": [{"definition": "urn:nobody", "expression": "given"}]},
            ["Patient-nickname", "urn:nobody is not a known parameter"],
        ),
    ],
)
def test_a_parameter_that_cannot_be_offered_stops_the_start_by_name(
    copied_root: Path, tmp_path: Path, changed: dict[str, Any], told: list[str]
) -> None:
    add(copied_root, parameter("nickname", "Patient", "string", "Patient.name.given") | changed)
    with pytest.raises(ValueError, match="nickname") as refusal:
        build_engine(Settings(store=f"sqlite:///{tmp_path / 'x.sqlite'}", artifact_root=str(copied_root)))
    assert all(text in str(refusal.value) for text in told), str(refusal.value)
    result = CliRunner().invoke(main, ["check", "--root", str(copied_root)])
    assert result.exit_code != 0
