"""$extract over HTTP: answers become needs, scores, a risk class and a task, once; changed answers change them."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import FHIR_JSON

BASE = "https://w3id.org/social-referral"
EXAMPLES = Path(__file__).parents[2] / "examples"
STORE = "QuestionnaireResponse/$extract?store=true"


def example(name: str) -> Any:
    return json.loads((EXAMPLES / "screening" / name).read_bytes())


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that holds the region and the person, and Erdan's answers as they are amended in the story."""
    from tests.conftest import RunningServer

    running = RunningServer({"store": f"sqlite:///{tmp_path_factory.mktemp('screening') / 'fhir.sqlite'}"})
    with httpx.Client(base_url=running.base, headers={"Content-Type": FHIR_JSON}, timeout=30) as http:
        for file in [*sorted((EXAMPLES / "region").glob("*.json")), EXAMPLES / "screening/01-person.json"]:
            answer = http.post("", json=json.loads(file.read_bytes()), headers={"X-Dev-Roles": "operator"})
            assert answer.status_code == 200, answer.text
        yield http
    running.stop()


def found(http: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = http.get(query)
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def code(resource: dict[str, Any], name: str = "code") -> str:
    return str(resource[name]["coding"][0]["code"])


def needs(http: httpx.Client) -> dict[str, str]:
    return {code(one): code(one, "verificationStatus") for one in found(http, "Condition?patient=erdan")}


def carried_out(http: httpx.Client, name: str) -> list[str]:
    answer = http.post(STORE, json=example(name))
    assert answer.status_code == 200, answer.text
    return [entry["response"]["status"][:3] for entry in answer.json().get("entry", [])]


def test_the_story_runs_from_questions_to_needs_to_services(case: httpx.Client) -> None:
    assert set(carried_out(case, "02-needs.json")) == {"201"}
    assert needs(case) == dict.fromkeys(("employment", "parenting", "family-relations"), "unconfirmed")
    findings = found(case, "Observation?patient=erdan&category=social-history&_count=100")
    assert len(findings) == 8 + 1 + 4 + 1  # a question for each domain and the other need, four needs, what helps
    work = next(one for one in found(case, "Condition?patient=erdan") if code(one) == "employment")
    evidence = [one["reference"] for one in work["evidence"][0]["detail"]]
    assert [one.split("/")[0] for one in evidence] == ["Observation", "QuestionnaireResponse"]
    assert work["code"]["text"] == "Sinds de zomer vind ik geen werk."
    said = case.get(evidence[0]).json()
    assert (code(said), said["valueCodeableConcept"]["coding"][0]["code"]) == ("economic-stability", "employment")
    assert carried_out(case, "02-needs.json") == []

    assert set(carried_out(case, "03-vulnerability.json")) == {"201"}
    (risk,) = found(case, "RiskAssessment?patient=erdan")
    assert code(risk["prediction"][0], "qualitativeRisk") == "vulnerable"
    assert code(risk, "method") == "risk-by-dimensions-1"
    scores = found(case, "Observation?patient=erdan&category=survey")
    assert {code(one): one["valueQuantity"]["value"] for one in scores} == {
        "physical-strain": 1, "psychological-strain": 4, "socio-economic-strain": 3, "cognitive-strain": 0,
        "vulnerable-dimensions": 2,
    }  # fmt: skip
    assert {one["reference"] for one in risk["basis"]} >= {f"Observation/{one['id']}" for one in scores}
    (task,) = found(case, "Task?patient=erdan&due=sa2027-05-19")
    assert task["restriction"]["period"]["start"] == "2027-05-20"
    assert task["focus"]["reference"] == f"RiskAssessment/{risk['id']}"

    assert carried_out(case, "04-needs-amended.json").count("201") == 1  # the new need; its finding was there
    assert needs(case)["family-relations"] == "entered-in-error"
    assert needs(case)["stress"] == "unconfirmed"
    assert carried_out(case, "04-needs-amended.json") == []

    answer = case.post("HealthcareService/$suggest?postal-code=1800&age=22&language=nl", json=example("02-needs.json"))
    assert answer.status_code == 200, answer.text
    assert {"svc-opvoedingssteun", "svc-jongeren-werk"} <= {
        entry["resource"]["id"] for entry in answer.json()["entry"] if entry["search"]["mode"] == "match"
    }


def answered(name: str, patient: str, **more: Any) -> dict[str, Any]:
    """Return answers of the story as another person gives them."""
    made = {key: value for key, value in example(name).items() if key not in ("id", "source", "author")}
    return {**made, "subject": {"reference": patient}, **more}


def person(http: httpx.Client, **headers: str) -> str:
    made = http.post("Patient", json={"resourceType": "Patient", "active": True}, headers=headers)
    assert made.status_code == 201, made.text
    return f"Patient/{made.json()['id']}"


def total(http: httpx.Client, query: str) -> int:
    return int(http.get(f"{query}&_summary=count").json()["total"])


def test_the_bundle_that_is_returned_can_be_posted_and_again(case: httpx.Client) -> None:
    patient = person(case)
    stored = case.post("QuestionnaireResponse", json=answered("02-needs.json", patient)).json()
    url = f"QuestionnaireResponse/{stored['id']}/$extract"
    bundle = case.get(url).json()
    assert total(case, f"Condition?patient={patient}") == 0
    for _ in range(2):
        answer = case.post("", json=bundle)
        assert answer.status_code == 200, answer.text
        assert total(case, f"Condition?patient={patient}") == 3
        assert total(case, f"Provenance?entity={url.rpartition('/')[0]}") == 1
    assert case.get(url).json() == {"resourceType": "Bundle", "type": "transaction"}


def test_a_need_that_was_worked_on_keeps_what_people_decided(case: httpx.Client) -> None:
    patient = person(case)
    sent = answered("02-needs.json", patient)
    assert case.post(STORE, json=sent).status_code == 200
    need = next(one for one in found(case, f"Condition?patient={patient}") if code(one) == "employment")
    need["clinicalStatus"]["coding"][0]["code"] = "resolved"
    need["verificationStatus"]["coding"][0]["code"] = "confirmed"
    assert case.put(f"Condition/{need['id']}", json=need).status_code == 200
    sent["item"][0]["item"][3]["answer"][0]["valueString"] = "Ik werk weer."
    sent["status"] = "amended"
    assert case.post(STORE, json=sent).status_code == 200
    after = case.get(f"Condition/{need['id']}").json()
    assert (code(after, "clinicalStatus"), code(after, "verificationStatus")) == ("resolved", "confirmed")
    assert after["code"]["text"] == "Ik werk weer."


def test_eight_clients_at_once_extract_once(case: httpx.Client) -> None:
    patient = person(case)
    stored = case.post("QuestionnaireResponse", json=answered("03-vulnerability.json", patient)).json()
    url = f"QuestionnaireResponse/{stored['id']}/$extract?store=true"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: case.post(url).status_code, range(8)))
    assert set(answers) == {200}
    assert [total(case, f"{kind}?patient={patient}") for kind in ("Observation", "RiskAssessment", "Task")] == [5, 1, 1]


def test_newer_answers_complete_the_task_to_ask_again(case: httpx.Client) -> None:
    patient = person(case)
    first = answered("03-vulnerability.json", patient)
    later = answered("03-vulnerability.json", patient, authored="2027-05-21T10:00:00+02:00")
    for sent in (first, later, first):
        assert case.post(STORE, json=sent).status_code == 200
        tasks = {one["authoredOn"][:4]: one for one in found(case, f"Task?patient={patient}")}
        assert tasks["2026"]["status"] == ("requested" if len(tasks) == 1 else "completed")
    assert tasks["2027"]["status"] == "requested"
    response = case.get(tasks["2026"]["output"][0]["valueReference"]["reference"]).json()
    assert response["authored"] == later["authored"]
    assert tasks["2026"]["meta"]["versionId"] == "2"


def test_a_refused_extraction_leaves_nothing_behind(case: httpx.Client, refused: Any) -> None:
    patient = person(case)
    sent = answered("03-vulnerability.json", patient)
    sent["item"][0]["item"][0]["answer"][0]["valueCoding"]["code"] = "seldom"
    refused(case.post(STORE, json=sent), 422, "answer-not-an-option")
    assert total(case, f"QuestionnaireResponse?patient={patient}") == 0


def test_answers_of_another_organisation_are_not_seen(fresh_server: Any, refused: Any) -> None:
    running = fresh_server(enforce_access=True)
    with httpx.Client(base_url=running.base, headers={"Content-Type": FHIR_JSON}, timeout=30) as http:
        own = {"X-Dev-Organization": "Organization/practice", "X-Dev-Roles": "referrer"}
        other = {"X-Dev-Organization": "Organization/other", "X-Dev-Roles": "referrer"}
        sent = answered("03-vulnerability.json", person(http, **own))
        stored = http.post("QuestionnaireResponse", json=sent, headers=own)
        assert stored.status_code == 201, stored.text
        url = f"QuestionnaireResponse/{stored.json()['id']}/$extract"
        refused(http.post(f"{url}?store=true", headers=other), 404)
        refused(http.get(url, headers=other), 404)
        answer = http.post(f"{url}?store=true", headers=own)
        assert answer.status_code == 200, answer.text
        assert {one["response"]["status"][:3] for one in answer.json()["entry"]} == {"201"}
        assert http.post(f"{url}?store=true", headers=own).json() == {
            "resourceType": "Bundle",
            "type": "transaction-response",
        }
        assert http.get("RiskAssessment", headers=other).json()["total"] == 0
        assert http.get("RiskAssessment", headers=own).json()["total"] == 1
