"""The files of examples/erdan that begin with questions: from answers to needs, suggestions and a referral in one call."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
JSON_PATCH = "application/json-patch+json"
SUGGEST = "/HealthcareService/$suggest?postal-code=1800&age=22"


def example(name: str) -> Any:
    return json.loads((EXAMPLES / name).read_text(encoding="utf-8"))


def resources(bundle: Any, resource_type: str) -> list[dict[str, Any]]:
    found = [entry["resource"] for entry in bundle.get("entry", ()) if "resource" in entry]
    return [one for one in found if one["resourceType"] == resource_type]


@pytest.fixture
def practice(fresh_server: Any) -> Iterator[httpx.Client]:
    """The practice's system, on a server with the region and with Erdan's answers."""
    base = fresh_server().base
    with httpx.Client(base_url=base, headers={"X-Dev-Roles": "operator"}, timeout=60) as operator:
        for path in sorted((EXAMPLES / "region").glob("*.json")):
            assert operator.post("/", json=json.loads(path.read_text(encoding="utf-8"))).status_code == 200
    headers = {"Content-Type": "application/fhir+json", "X-Dev-Organization": "Organization/org-praktijk-bea"}
    with httpx.Client(base_url=base, headers=headers, timeout=60) as http:
        (person,) = resources(example("erdan/00-record.json"), "Patient")
        assert http.put("/Patient/erdan", json=person).status_code == 201
        extracted = http.post("/QuestionnaireResponse/$extract?store=true", json=example("erdan/00-answers.json"))
        assert extracted.status_code == 200, extracted.text
        yield http


def test_the_answers_are_in_order_and_give_the_two_needs(practice: httpx.Client) -> None:
    judged = practice.post("/QuestionnaireResponse/$validate", json=example("erdan/00-answers.json")).json()
    assert [issue for issue in judged["issue"] if issue["severity"] in ("error", "fatal")] == []
    needs = resources(practice.get("/Condition?patient=Patient/erdan").json(), "Condition")
    assert sorted(one["code"]["coding"][0]["code"] for one in needs) == ["employment", "parenting"]


def test_what_they_chose_is_suggested_and_the_consent_names_who_provides_it(practice: httpx.Client) -> None:
    suggested = practice.post(SUGGEST, json=example("erdan/00-answers.json")).json()
    providers = {
        f"HealthcareService/{one['id']}": one["providedBy"]["reference"]
        for one in resources(suggested, "HealthcareService")
    }
    bundle = example("erdan/01-refer.json")
    (request,), (consent,) = resources(bundle, "ServiceRequest"), resources(bundle, "Consent")
    named = {actor["reference"]["reference"] for actor in consent["provision"]["actor"]}
    assert {providers[performer["reference"]] for performer in request["performer"]} == named


def test_the_referral_rests_on_the_needs_that_were_made(practice: httpx.Client) -> None:
    sent = practice.post("/$refer", json=example("erdan/01-refer.json"))
    assert sent.status_code == 200, sent.text
    needs = resources(practice.get("/Condition?patient=Patient/erdan").json(), "Condition")
    request = practice.get("/ServiceRequest/erdan-referral").json()
    reasons = {one["reference"] for one in request["reasonReference"]}
    assert reasons == {f"Condition/{one['id']}" for one in needs}


def test_sent_again_nothing_is_made_twice(practice: httpx.Client) -> None:
    first = practice.post("/$refer", json=example("erdan/01-refer.json"))
    before = practice.get("/Task?focus=ServiceRequest/erdan-referral").json()
    again = practice.post("/$refer", json=example("erdan/01-refer.json"))
    assert again.status_code == 200, again.text
    (outcome,) = [one["resource"] for one in again.json()["parameter"] if one["name"] == "outcome"]
    assert [issue["details"]["coding"][0]["code"] for issue in outcome["issue"]] == ["referral-known"]
    after = practice.get("/Task?focus=ServiceRequest/erdan-referral").json()
    assert [one["id"] for one in resources(after, "Task")] == [one["id"] for one in resources(before, "Task")]
    assert again.json()["parameter"][0] == first.json()["parameter"][0], "the number stays"


def test_without_the_needs_the_referral_is_refused_whole(practice: httpx.Client) -> None:
    """Its reasons are the needs by their codes: none is there."""
    for one in resources(practice.get("/Condition?patient=Patient/erdan").json(), "Condition"):
        assert practice.delete(f"/Condition/{one['id']}").status_code in (200, 204)
    answer = practice.post("/$refer", json=example("erdan/01-refer.json"))
    assert answer.status_code == 400, answer.text
    keys = [issue["details"]["coding"][0]["code"] for issue in answer.json()["issue"]]
    assert keys == ["conditional-reference"] * 2
    assert practice.get("/Consent/erdan-consent").status_code == 404
