"""Referential integrity, where the setting asks for it."""

from typing import Any

import httpx

BODY = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}


def test_enforced_references_must_be_stored(fresh_server: Any, refused: Any) -> None:
    base = fresh_server(references="enforce", publish_artifacts=False).base
    with httpx.Client(base_url=base, headers={"Content-Type": "application/fhir+json"}) as client:
        dangling = {**BODY, "subject": {"reference": "Patient/none"}, "focus": [{"reference": f"{base}/Group/none"}]}
        response = client.post("/Observation", json=dangling)
        refused(response, 409, "reference-not-stored")
        expressions = [issue["expression"][0] for issue in response.json()["issue"]]
        assert expressions == ["Observation.subject.reference", "Observation.focus[0].reference"]
        person = client.post("/Patient", json={"resourceType": "Patient"}).json()["id"]
        elsewhere = {"reference": "https://elsewhere.example/fhir/Group/1"}
        kept = {**BODY, "subject": {"reference": f"Patient/{person}"}, "focus": [elsewhere]}
        assert client.post("/Observation", json=kept).status_code == 201
        issue = refused(client.delete(f"/Patient/{person}"), 409, "still-referenced")
        assert "Observation/" in issue["diagnostics"]


def test_by_default_systems_load_in_any_order(client: httpx.Client) -> None:
    assert client.post("/Observation", json={**BODY, "subject": {"reference": "Patient/later"}}).status_code == 201
