"""Every access and change is an AuditEvent, found by an auditor and by the person it is about."""

import base64
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fhir_server.validation.pipeline import Validator
from tests.conftest import FHIR_JSON, served

NURSE = {"X-Dev-Organization": "Organization/gp-1", "X-Dev-Roles": "referrer", "X-Request-Id": "req-7"}
PATIENT = {"resourceType": "Patient", "id": "au1", "name": [{"family": "Vandamme"}]}
OBSERVATION = {
    "resourceType": "Observation",
    "id": "ob1",
    "status": "final",
    "code": {"text": "x"},
    "subject": {"reference": "Patient/au1"},
}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with served(tmp_path_factory.mktemp("audit"), audit_reads="batched") as client:
        client.headers.update({"Accept": FHIR_JSON, "Content-Type": FHIR_JSON})
        for resource in (PATIENT, OBSERVATION):
            place = f"/{resource['resourceType']}/{resource['id']}"
            assert client.put(place, json=resource, headers=NURSE).status_code == 201
        yield client


def trail(client: httpx.Client, **query: str) -> list[dict[str, Any]]:
    """All pages of a search of the trail."""
    found: list[dict[str, Any]] = []
    response = client.get("/AuditEvent", params=query)
    while True:
        assert response.status_code == 200, response.text
        page = response.json()
        found += [entry["resource"] for entry in page.get("entry", [])]
        following = [link["url"] for link in page["link"] if link["relation"] == "next"]
        if not following:
            return found
        response = client.get(following[0])


def written(client: httpx.Client, count: int, **query: str) -> list[dict[str, Any]]:
    """What a search of the trail gives once the window of reads has passed."""
    until = time.monotonic() + 5
    while len(found := trail(client, **query)) < count and time.monotonic() < until:
        time.sleep(0.05)
    return found


def does(event: dict[str, Any]) -> tuple[str, str, str]:
    return event["subtype"][0]["code"], event["action"], event["outcome"]


def references(event: dict[str, Any]) -> list[str]:
    return [one["what"]["reference"] for one in event["entity"] if "reference" in one.get("what", {})]


def test_a_change_says_who_what_for_whom_and_why(audited: httpx.Client) -> None:
    (event,) = trail(audited, entity="Observation/ob1", action="U")
    assert does(event) == ("update", "U", "0")
    assert references(event) == ["Observation/ob1/_history/1", "Patient/au1"]
    agent, organisation = event["agent"]
    assert agent["requestor"] is True
    assert agent["role"] == [{"text": "referrer"}]
    assert organisation == {"who": {"reference": "Organization/gp-1"}, "requestor": False}
    assert "req-7" in [
        one["what"]["identifier"]["value"] for one in event["entity"] if "identifier" in one.get("what", {})
    ]
    assert Validator.load().validate(event) == []


def test_reads_are_in_the_trail_within_a_moment(audited: httpx.Client) -> None:
    headers = {**NURSE, "X-Dev-Organization": "Organization/reader"}
    audited.get("/Observation/ob1", headers=headers)
    audited.get("/Observation/ob1", headers={**headers, "If-None-Match": 'W/"1"'})
    audited.get("/Observation/ob1/_history/1", headers=headers)
    audited.get("/Patient?family=Vandamme", headers=headers)
    audited.get("/Observation?_elements=status", headers=headers)
    audited.get("/Observation?status=amended", headers=headers)
    found = written(audited, 6, agent="Organization/reader")
    assert [does(event)[:2] for event in found] == [
        ("read", "R"), ("read", "R"), ("vread", "R"), ("search-type", "E"), ("search-type", "E"), ("search-type", "E"),
    ]  # fmt: skip
    about = [references(event) for event in found]
    assert about[:3] == [["Observation/ob1/_history/1", "Patient/au1"]] * 3
    assert about[3] == ["Patient/au1/_history/1", "Patient/au1"]
    assert about[4] == ["Observation/ob1/_history/1", "Patient/au1"], "whom it is about, though that was left out"
    assert about[5] == []
    queries = [one["query"] for event in found for one in event["entity"] if "query" in one]
    assert [base64.b64decode(query).decode() for query in queries] == [
        "GET Patient?family=Vandamme",
        "GET Observation?_elements=status",
        "GET Observation?status=amended",
    ]
    validator = Validator.load()
    assert [validator.validate(event) for event in found] == [[]] * 6


def test_refusals_are_in_the_trail(audited: httpx.Client) -> None:
    headers = {**NURSE, "X-Dev-Organization": "Organization/curious"}
    assert audited.get("/Patient/nobody-here", headers=headers).status_code == 404
    conflict = audited.put("/Patient/au1", json=PATIENT, headers={**headers, "If-Match": 'W/"9"'})
    assert conflict.status_code == 412
    assert audited.get("/Nonsense/1", headers=headers).status_code == 404
    found = written(audited, 2, agent="Organization/curious")
    assert [does(event) for event in found] == [("read", "R", "4"), ("update", "U", "4")]
    assert [event["outcomeDesc"] for event in found] == ["HTTP 404", "HTTP 412"]
    assert trail(audited, agent="Organization/curious", outcome="0") == []


def test_a_transaction_tells_its_reads_and_an_update_without_change_what_it_showed(audited: httpx.Client) -> None:
    headers = {**NURSE, "X-Dev-Organization": "Organization/bundler"}
    entries = [
        {"request": {"method": "GET", "url": "Patient/au1"}},
        {
            "request": {"method": "PUT", "url": "Basic/b1"},
            "resource": {"resourceType": "Basic", "id": "b1", "code": {"text": "x"}},
        },
    ]
    for kind in ("transaction", "batch"):
        bundle = {"resourceType": "Bundle", "type": kind, "entry": entries}
        assert audited.post("/", json=bundle, headers=headers).status_code == 200
    found = written(audited, 4, agent="Organization/bundler")
    told = sorted((event["action"], references(event)[0]) for event in found)
    assert told == [
        ("E", "Patient/au1/_history/1"),
        ("R", "Basic/b1/_history/1"),
        ("R", "Patient/au1/_history/1"),
        ("U", "Basic/b1/_history/1"),
    ]


def test_the_directory_is_not_audited_unless_asked(audited: httpx.Client, fresh_server: Any) -> None:
    headers = {**NURSE, "X-Dev-Organization": "Organization/browser"}
    audited.get("/HealthcareService", headers=headers)
    audited.get("/metadata", headers=headers)
    audited.get("/Organization?_revinclude=Patient:organization", headers=headers)
    assert len(written(audited, 1, agent="Organization/browser")) == 1
    other = fresh_server(audit_directory=True, publish_artifacts=False, audit_reads="before-answer")
    with httpx.Client(base_url=other.base, timeout=30) as client:
        client.get("/HealthcareService", headers=headers)
        assert len(trail(client, agent="Organization/browser")) == 1, "before-answer: it is there at once"


def test_a_person_sees_what_is_about_them_and_others_nothing(audited: httpx.Client, refused: Any) -> None:
    refused(audited.get("/AuditEvent", headers={"X-Dev-Roles": "referrer"}), 403, "audit-only")
    assert audited.get("/AuditEvent", headers={"X-Dev-Roles": "auditor"}).status_code == 200
    event = trail(audited, patient="au1")[0]
    assert audited.get(f"/AuditEvent/{event['id']}").json() == event
    assert trail(audited, _id=event["id"]) == [event]
    refused(audited.get("/AuditEvent/999999-0"), 404)
    refused(audited.get("/AuditEvent/none"), 404)


def test_dates_and_pages(audited: httpx.Client, refused: Any) -> None:
    everything = trail(audited)
    assert trail(audited, date="ge2020-01-01", _count="1")[: len(everything)] == everything
    assert trail(audited, date="lt2020-01-01") == []
    moment = everything[1]["recorded"]
    assert everything[1] in trail(audited, date=moment)
    posted = audited.post(
        "/AuditEvent/_search",
        data={"patient": "Patient/au1", "_count": "1"},
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert len(posted.json()["entry"]) == 1
    refused(audited.get("/AuditEvent?site=x"), 400, "unknown-parameter")
    refused(audited.get("/AuditEvent?date=ap2020"), 400, "search-bad-date")
    refused(audited.get("/AuditEvent?date=soon"), 400, "search-bad-date")
    refused(audited.get("/AuditEvent?_count=0"), 400, "search-bad-count")


def test_nobody_writes_audit_events(audited: httpx.Client, refused: Any) -> None:
    body = {"resourceType": "AuditEvent", "id": "1-0"}
    refused(audited.post("/AuditEvent", json=body), 405)
    refused(audited.put("/AuditEvent/1-0", json=body), 405)
    refused(audited.delete("/AuditEvent/1-0"), 405)
    refused(audited.get("/AuditEvent/1-0/_history"), 404)
    (claim,) = [one for one in audited.get("/metadata").json()["rest"][0]["resource"] if one["type"] == "AuditEvent"]
    assert [one["code"] for one in claim["interaction"]] == ["search-type", "read"]
    assert [one["name"] for one in claim["searchParam"]] == [
        "_id", "action", "agent", "date", "entity", "outcome", "patient",
    ]  # fmt: skip
