"""`_explain` tells how a search runs, where a setting allows it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest


@pytest.fixture(scope="module")
def explaining(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    from tests.conftest import RunningServer

    server = RunningServer({"store": f"sqlite:///{tmp_path_factory.mktemp('explain') / 'x.sqlite'}", "explain": True})
    with httpx.Client(base_url=server.base, timeout=30) as client:
        for number in range(60):
            for resource in _resources(number):
                answer = client.put(f"/{resource['resourceType']}/{resource['id']}", json=resource)
                assert answer.status_code == 201, answer.text
        yield client
    server.stop()


def _resources(number: int) -> list[dict[str, Any]]:
    patient = {"reference": f"Patient/p{number}"}
    return [
        {"resourceType": "Patient", "id": f"p{number}", "name": [{"family": f"Naam{number}"}], "birthDate": "1990-01-01"},
        {
            "resourceType": "Task", "id": f"t{number}", "status": "requested", "intent": "order", "for": patient,
            "owner": {"reference": f"Organization/o{number % 3}"}, "authoredOn": "2026-01-02T10:00:00Z",
        },
        {
            "resourceType": "ServiceRequest", "id": f"s{number}", "status": "active", "intent": "order",
            "subject": patient, "occurrenceDateTime": "2026-01-02",
        },
        {"resourceType": "Location", "id": f"l{number}", "position": {"latitude": 50 + number / 60, "longitude": 4.0}},
        {"resourceType": "HealthcareService", "id": f"h{number}", "location": [{"reference": f"Location/l{number}"}]},
    ]  # fmt: skip


def asked(client: httpx.Client, resource_type: str, parameters: dict[str, str]) -> dict[str, list[Any]]:
    answer = client.get(f"/{resource_type}", params=parameters | {"_explain": "true"})
    assert answer.status_code == 200, answer.text
    found: dict[str, list[Any]] = {}
    for part in answer.json()["parameter"]:
        value = next(value for name, value in part.items() if name != "name")
        found.setdefault(part["name"], []).append(value)
    return found


def test_an_explanation_tells_tree_statement_index_and_rows(explaining: httpx.Client) -> None:
    found = asked(explaining, "Task", {"owner": "Organization/o1", "status": "requested", "_count": "5"})
    assert "RefersTo(param='owner', target='Organization/o1'" in found["tree"][0]
    assert found["statement"][0].startswith("SELECT")
    assert "Organization/o1" not in found["statement"][0]
    assert any("eq" in name for name in found["index"])
    assert found["rows"] == [6]  # one more than the page, to know whether there is a next one
    assert found["candidates"] == [6]
    assert found["milliseconds"][0] < 1000


def test_a_page_among_many_reads_no_more_than_it_shows(explaining: httpx.Client) -> None:
    assert asked(explaining, "Task", {"status": "requested", "_count": "10"})["candidates"] == [11]
    assert asked(explaining, "Patient", {"_id": "p3"})["candidates"] == [1]
    assert asked(explaining, "Patient", {"_content": "naam7"})["candidates"] == [1]


def test_an_explanation_is_a_setting(client: httpx.Client, explaining: httpx.Client, refused: Any) -> None:
    refused(client.get("/Task?_explain=true"), 400, "search-explain-off")
    refused(explaining.get("/Task?_explain=perhaps"), 400, "search-bad-boolean")
    assert explaining.get("/Task?_explain=false&_count=1").json()["resourceType"] == "Bundle"
