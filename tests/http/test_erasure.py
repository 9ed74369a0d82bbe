"""Erasure and retention on a real store: the person is gone from every file and answer, the order and the audit stay."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from fhir_server.cli import main

NAME = "Zonderling"
PERSON = "Patient/e1"
RECORD: list[dict[str, Any]] = [
    {"resourceType": "Organization", "id": "org", "name": "Buurthuis"},
    {"resourceType": "Patient", "id": "e1", "name": [{"family": NAME}], "address": [{"postalCode": "9000", "city": "Gent"}]},
    {"resourceType": "Patient", "id": "e2", "name": [{"family": "Blijver"}]},
    {"resourceType": "ServiceRequest", "id": "sr", "status": "completed", "intent": "order", "subject": {"reference": PERSON}, "category": [{"coding": [{"system": "http://example.org/need", "code": "food"}]}], "note": [{"text": f"voor {NAME}"}]},
    {"resourceType": "Task", "id": "t", "status": "accepted", "intent": "order", "for": {"reference": PERSON}, "focus": {"reference": "ServiceRequest/sr"}, "owner": {"reference": "Organization/org"}, "authoredOn": "2026-03-04", "description": f"bel {NAME}"},
    {"resourceType": "Task", "id": "sub", "status": "completed", "intent": "order", "partOf": [{"reference": "Task/t"}], "description": f"ook voor {NAME}"},
    {"resourceType": "Binary", "id": "bin", "contentType": "text/plain", "data": "Wm9uZGVybGluZw=="},
    {"resourceType": "DocumentReference", "id": "doc", "status": "current", "subject": {"reference": PERSON}, "content": [{"attachment": {"url": "Binary/bin"}}]},
    {"resourceType": "Observation", "id": "old", "status": "final", "code": {"text": "x"}, "subject": {"reference": PERSON}},
    {"resourceType": "Observation", "id": "other", "status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/e2"}},
    {"resourceType": "Group", "id": "both", "type": "person", "actual": True, "member": [{"entity": {"reference": PERSON}}, {"entity": {"reference": "Patient/e2"}}]},
]  # fmt: skip
GONE = (
    "Patient/e1",
    "ServiceRequest/sr",
    "Task/t",
    "Task/sub",
    "Binary/bin",
    "DocumentReference/doc",
    "Observation/old",
)


def run(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"FHIR_STORE": f"sqlite:///{path}"})


@pytest.fixture
def server(fresh_server: Any, tmp_path: Path) -> Any:
    return fresh_server(store=f"sqlite:///{tmp_path / 'e.sqlite'}", publish_artifacts=False)


@pytest.fixture
def client(server: Any) -> Any:
    headers = {"Content-Type": "application/fhir+json"}
    with httpx.Client(base_url=server.base, headers=headers, timeout=30) as http:
        for resource in RECORD:
            response = http.put(f"/{resource['resourceType']}/{resource['id']}", json=resource)
            assert response.status_code == 201, response.text
        task = http.get("/Task/t").json()
        assert (
            http.put("/Task/t", json={**task, "status": "completed"}, headers={"If-Match": 'W/"1"'}).status_code == 200
        )
        assert http.delete("/Observation/old").status_code == 204
        yield http


def test_a_dry_run_lists_and_changes_nothing(client: httpx.Client, tmp_path: Path) -> None:
    done = run(tmp_path / "e.sqlite", "erase", PERSON, "--reason", "asked")
    assert done.exit_code == 0, done.output
    assert sorted(line.split()[1] for line in done.output.splitlines() if line.startswith("  erase")) == sorted(GONE)
    assert "keep   Group/both" in done.output
    assert client.get(f"/{PERSON}").status_code == 200
    assert run(tmp_path / "e.sqlite", "erase", "Patient/none", "--reason", "asked").exit_code == 1
    assert run(tmp_path / "e.sqlite", "erase", "Task/t", "--reason", "asked").exit_code == 2


def test_what_is_erased_is_gone_everywhere(client: httpx.Client, server: Any, tmp_path: Path) -> None:
    path = tmp_path / "e.sqlite"
    before = client.get("/_history?_count=100").json()["total"]
    done = run(path, "erase", PERSON, "--reason", "asked by letter", "--yes")
    assert done.exit_code == 0, done.output
    assert "erased 8 versions of 7 resources" in done.output
    for what in GONE:
        assert client.get(f"/{what}").status_code == 410, what
        assert client.get(f"/{what}/_history/1").status_code == 410, what
    for what in ("Patient/e2", "Observation/other", "Group/both", "Organization/org"):
        assert client.get(f"/{what}").status_code == 200
    assert NAME not in client.get("/_history?_count=100").text
    assert client.get("/_history?_count=100").json()["total"] == before + len(GONE) - 1, "changes are counted as before"
    assert client.get(f"/Patient?family={NAME}").json().get("entry", []) == []
    (event,) = [
        one["resource"]
        for one in client.get(
            "/AuditEvent", params={"patient": "e1", "action": "D", "agent": "fhir-server command"}
        ).json()["entry"]
    ]
    assert event["purposeOfEvent"][0]["text"] == "asked by letter"
    verified = run(path, "audit", "verify")
    assert verified.exit_code == 0, verified.output
    (kept,) = [
        one for one in map(json.loads, run(path, "retention", "statistics").stdout.splitlines()) if "owner" in one
    ]
    assert kept == {
        "status": "completed", "states": ["accepted", "completed"], "category": ["http://example.org/need|food"],
        "owner": "Organization/org", "area": "9000", "authored": "2026-03",
    }  # fmt: skip
    again = run(path, "erase", PERSON, "--reason", "asked", "--yes")
    assert "erased 0 versions" in again.output
    server.stop()
    with sqlite3.connect(path) as file:
        file.execute("VACUUM")
    file.close()
    assert NAME.encode() not in path.read_bytes()


def test_retention_takes_what_is_due(client: httpx.Client, tmp_path: Path) -> None:
    path = tmp_path / "e.sqlite"
    assert "0 persons, 0 resources, 0 audit records" in run(path, "retention", "run").output
    periods = {
        "persons": {"days": 0, "open": {"Observation": ["final"]}},
        "resources": [{"type": "Task", "parameter": "status", "states": ["completed"], "days": 0}],
        "audit": {"days": 3650},
    }
    policy = tmp_path / "periods.json"
    policy.write_text(json.dumps(periods))
    told = run(path, "retention", "run", "--policy", str(policy))
    assert "1 persons, 2 resources, 0 audit records" in told.output
    done = run(path, "retention", "run", "--policy", str(policy), "--yes")
    assert done.exit_code == 0, done.output
    assert client.get(f"/{PERSON}").status_code == 410
    assert client.get("/Patient/e2").status_code == 200, "something of this person is open"
    policy.write_text('{"persons": {}}')
    refused = run(path, "retention", "run", "--policy", str(policy))
    assert refused.exit_code == 1
    assert "cannot be used" in refused.output
