"""Every OperationOutcome follows Accept-Language, and says in which language it is."""

from typing import Any

import httpx

NL = {"Accept-Language": "nl-BE, nl;q=0.9"}
PROFILE = "https://w3id.org/social-referral/StructureDefinition"
TASK = {"resourceType": "Task", "status": "requested", "intent": "order"}


def said(response: httpx.Response) -> tuple[str, str]:
    body = response.json()
    assert body["resourceType"] == "OperationOutcome", body
    return response.headers["content-language"], body["issue"][0]["details"]["text"]


def test_a_write_that_is_refused_by_r4_or_by_a_profile_says_so_in_the_language_asked(client: httpx.Client) -> None:
    broken = {"resourceType": "Task", "intent": "order"}
    assert said(client.post("/Task", json=broken, headers=NL)) == (
        "nl",
        "Task.status is verplicht en ontbreekt. Voeg het toe.",
    )
    assert said(client.post("/Task", json=broken))[0] == "en"
    claims = {**TASK, "meta": {"profile": [f"{PROFILE}/referral-task"]}}
    language, text = said(client.post("/Task", json=claims, headers={"Accept-Language": "fr"}))
    assert (language, "le profil" in text.lower()) == ("fr", True)


def test_a_rule_of_the_workflow_speaks_it_too(client: httpx.Client) -> None:
    governed = {
        "resourceType": "ServiceRequest",
        "meta": {"profile": [f"{PROFILE}/social-referral"]},
        "status": "draft",
        "intent": "order",
        "category": [{"text": "a"}],
        "code": {"text": "a"},
        "subject": {"reference": "Patient/someone"},
        "authoredOn": "2026-11-16",
        "requester": {"reference": "Organization/someone"},
        "reasonCode": [{"text": "a"}],
    }
    acting = {"X-Dev-Organization": "Organization/other"}
    language, text = said(client.post("/ServiceRequest", json=governed, headers={**NL, **acting}))
    assert language == "nl"
    assert "Alleen de aanvrager mag een verwijzing maken." in text
    english, text = said(client.post("/ServiceRequest", json=governed, headers=acting))
    assert english == "en"
    assert "Only its requester may create a referral." in text


def test_the_answers_in_a_batch_speak_it_too(client: httpx.Client) -> None:
    entry: dict[str, Any] = {"resource": {"resourceType": "Task", "intent": "order"}, "request": {"method": "POST", "url": "Task"}}  # fmt: skip
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    answer = client.post("", json=batch, headers=NL).json()
    (issue,) = answer["entry"][0]["response"]["outcome"]["issue"]
    assert "verplicht" in issue["details"]["text"]
    refused = client.post("", json={**batch, "type": "transaction"}, headers=NL)
    assert said(refused)[0] == "nl"


def test_what_is_known_in_english_only_says_that_it_is_english(client: httpx.Client) -> None:
    assert said(client.get("/Patient/nobody", headers=NL))[0] == "en"
    assert client.post("/$validate", json=TASK, headers=NL).headers["content-language"] == "nl"
    assert "content-language" not in client.get("/Patient", headers=NL).headers
