"""$refer with answers: stored and extracted in its transaction; the recipient reads the need of its referral, and no answer."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import FHIR_JSON, RunningServer

EXAMPLES = Path(__file__).parents[2] / "examples"
PROFILE = "https://w3id.org/social-referral/StructureDefinition/"
NEED = "https://w3id.org/social-referral/CodeSystem/social-need"
PRACTICE, HELPER = "org-praktijk-bea", "org-gezinskompas"
MADE = ("Patient", "Consent", "ServiceRequest", "Task", "QuestionnaireResponse", "Observation", "Condition",
        "RiskAssessment", "Provenance")  # fmt: skip
Asking = Callable[[str], httpx.Client]


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """A region under access control; each organisation asks with the rights of its own."""
    server = RunningServer(
        {"store": f"sqlite:///{tmp_path_factory.mktemp('answers') / 'fhir.sqlite'}", "enforce_access": True}
    )
    open_clients: dict[str, httpx.Client] = {}

    def client(organization: str) -> httpx.Client:
        headers = {"Content-Type": FHIR_JSON, "X-Dev-Roles": "operator"}
        if organization:
            role = "referrer" if organization == PRACTICE else "recipient"
            headers |= {"X-Dev-Organization": f"Organization/{organization}", "X-Dev-Roles": role}
        return open_clients.setdefault(organization, httpx.Client(base_url=server.base, headers=headers, timeout=60))

    for path in sorted((EXAMPLES / "region").glob("*.json")):
        assert client("").post("/", content=path.read_bytes()).status_code == 200
    yield client
    for one in open_clients.values():
        one.close()
    server.stop()


@pytest.fixture
def gp(asking: Asking) -> httpx.Client:
    return asking(PRACTICE)


def answered(name: str) -> dict[str, Any]:
    """Return answers of the screening story as a vendor's form sends them: about nobody yet."""
    sent: dict[str, Any] = json.loads((EXAMPLES / "screening" / name).read_bytes())
    return {
        key: value
        for key, value in sent.items()
        if key not in ("id", "identifier", "subject", "author", "source", "authored", "meta")
    }


def sent(
    person: str, *responses: dict[str, Any], needs: tuple[str, ...] = ("parenting",), **more: Any
) -> dict[str, Any]:
    digits = "".join(str(ord(letter) % 10) for letter in person.lower())[:8].ljust(8, "7")
    listed = [
        *([] if "subject" in more else [("name", {"valueString": person}), ("phone", {"valueString": f"+32 470 {digits}"})]),
        ("city", {"valueString": "Vilvoorde"}),
        ("reason", {"valueString": "Looks for support with his child"}),
        *(("need", {"valueString": need}) for need in needs),
        ("recipient", {"valueReference": {"reference": "HealthcareService/svc-opvoedingssteun"}}),
        *((name, value) for name, value in more.items()),
        *([] if "consent-pending" in more else [("consent-way", {"valueCode": "spoken"})]),
        *(("response", {"resource": one}) for one in responses),
    ]  # fmt: skip
    return {"resourceType": "Parameters", "parameter": [{"name": name, **value} for name, value in listed]}


def at(body: dict[str, Any], name: str) -> str:
    index = next(i for i, one in enumerate(body["parameter"]) if one["name"] == name)
    return f"Parameters.parameter[{index}]"


def request_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return next(one["resource"] for one in answer.json()["parameter"] if one["name"] == "request")


def found(http: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = http.get(query)
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", ())]


def counts(http: httpx.Client) -> dict[str, int]:
    return {kind: http.get(f"/{kind}", params={"_summary": "count"}).json()["total"] for kind in MADE}


def test_the_recipient_reads_the_need_and_nothing_of_the_answers(asking: Asking, gp: httpx.Client) -> None:
    request = request_of(
        gp.post("/$refer", json=sent("Erdan Answers", answered("02-needs.json"), answered("03-vulnerability.json")))
    )
    person = request["subject"]["reference"]
    responses = found(gp, f"/QuestionnaireResponse?subject={person}")
    assert len(responses) == 2
    for one in responses:
        assert one["subject"] == one["source"] == {"reference": person}
        assert one["author"] == {"reference": f"Organization/{PRACTICE}"}
        assert one["authored"] == request["authoredOn"]
    own = found(gp, f"/Observation?subject={person}&_count=100")
    assert len(own) == 14 + 5
    assert {one["derivedFrom"][0]["reference"] for one in own} == {
        f"QuestionnaireResponse/{one['id']}" for one in responses
    }
    assert len(found(gp, f"/Condition?subject={person}")) == 3
    assert len(found(gp, f"/RiskAssessment?subject={person}")) == 1
    (reason,) = request["reasonReference"]
    need = gp.get(f"/{reason['reference']}").json()
    assert need["meta"]["profile"] == [f"{PROFILE}need-observation"]
    assert need["valueCodeableConcept"]["coding"][0]["code"] == "parenting"

    helper = asking(HELPER)
    (task,) = found(helper, f"/Task?focus=ServiceRequest/{request['id']}")
    assert helper.get(f"/Observation/{need['id']}").status_code == 404  # not before it is accepted
    accepting = [{"op": "add", "path": "/status", "value": "accepted"}]
    accepted = helper.patch(
        f"/Task/{task['id']}", content=json.dumps(accepting),
        headers={"Content-Type": "application/json-patch+json", "If-Match": f'W/"{task["meta"]["versionId"]}"'},
    )  # fmt: skip
    assert accepted.status_code == 200, accepted.text
    assert [one["id"] for one in found(helper, f"/Observation?subject={person}")] == [need["id"]]
    assert helper.get(f"/Observation/{need['id']}").status_code == 200
    assert helper.get(f"/{person}").status_code == 200
    hidden = [f"Observation/{one['id']}" for one in own if one["id"] != need["id"]]
    hidden += [f"QuestionnaireResponse/{one['id']}" for one in responses]
    about = [f"/{kind}?patient={person}" for kind in ("Condition", "RiskAssessment")]
    about += [f"/Provenance?entity=QuestionnaireResponse/{one['id']}" for one in responses]
    hidden += [f"{one['resourceType']}/{one['id']}" for query in about for one in found(gp, query)]
    assert len(hidden) == 18 + 2 + 3 + 1 + 2
    assert {helper.get(f"/{one}").status_code for one in hidden} == {404}
    for query in (
        f"/QuestionnaireResponse?subject={person}", f"/Condition?subject={person}", f"/RiskAssessment?subject={person}",
        f"/Task?patient={person}&code=re-evaluation", "/Provenance", f"/Observation?subject={person}&category=survey",
    ):  # fmt: skip
        assert found(helper, query) == [], query
    everything = json.dumps(found(helper, f"/{person}/$everything?_count=100"))
    for words in ("Sinds de zomer", '"QuestionnaireResponse"', "strain"):
        assert words not in everything


def test_answers_are_extracted_once_however_often(gp: httpx.Client) -> None:
    vendor = answered("02-needs.json") | {"identifier": {"system": "urn:epd", "value": "once"}}
    own: Any = {"identifier": {"valueIdentifier": {"system": "urn:epd", "value": "twice"}}}
    request = request_of(gp.post("/$refer", json=sent("Once Only", vendor, **own)))
    before = counts(gp)
    assert request_of(gp.post("/$refer", json=sent("Once Only", vendor, **own)))["id"] == request["id"]
    assert counts(gp) == before
    (response,) = found(gp, "/QuestionnaireResponse?identifier=urn:epd|once")
    again = gp.post(f"/QuestionnaireResponse/{response['id']}/$extract", json={"resourceType": "Parameters"})
    assert "entry" not in again.json(), again.text
    other = sent("Once Only", vendor, needs=("employment",), subject={"valueReference": request["subject"]})
    onward = request_of(gp.post("/$refer", json=other))
    assert counts(gp) == before | {kind: before[kind] + 1 for kind in ("ServiceRequest", "Consent", "Task")}
    assert onward["reasonReference"] != request["reasonReference"]


def test_the_same_answers_of_two_people_are_two(gp: httpx.Client) -> None:
    same = answered("02-needs.json") | {"authored": "2026-11-20"}
    first, second = (request_of(gp.post("/$refer", json=sent(name, same))) for name in ("Ann First", "Bob Second"))
    assert first["subject"] != second["subject"]
    assert first["reasonReference"] != second["reasonReference"]
    for request in (first, second):
        need = gp.get(f"/{request['reasonReference'][0]['reference']}").json()
        assert need["subject"] == request["subject"]


def test_a_need_that_repeats_words_of_the_person_is_told_by_its_code_alone(gp: httpx.Client) -> None:
    scan: dict[str, Any] = {
        "resourceType": "QuestionnaireResponse", "status": "completed",
        "questionnaire": "https://w3id.org/social-referral/Questionnaire/quick-scan",
        "item": [{"linkId": name, "item": [{"linkId": f"{name}.mark", "answer": [{"valueInteger": 3 if name == "money" else 8}]}]}
                 for name in ("body", "mind", "daily-life", "network", "money")],
    }  # fmt: skip
    chosen = {"valueCoding": {"system": NEED, "code": "financial-insecurity"}}
    scan["item"][4]["item"].append({"linkId": "money.needs", "answer": [chosen]})
    request = request_of(gp.post("/$refer", json=sent("Coded Need", scan, needs=())))
    assert request["code"]["coding"][0]["code"] == "financial-insecurity"
    (told,) = request["reasonReference"]
    assert told["reference"].startswith("Condition/")
    worded = sent("Worded Need", answered("02-needs.json"), needs=("family-relations", "debt"))
    (told,) = request_of(gp.post("/$refer", json=worded))["reasonReference"]
    assert told["reference"].startswith("Observation/")


def _unfinished(response: dict[str, Any]) -> tuple[str, str, str]:
    response["status"] = "in-progress"
    return "extract-not-final", "response", ".resource.status"


def _half(response: dict[str, Any]) -> tuple[str, str, str]:
    response["item"][0]["item"] = response["item"][0]["item"][1:]
    return "response-incomplete", "response", ".resource.item[0]"


def _unknown(response: dict[str, Any]) -> tuple[str, str, str]:
    response["questionnaire"] = "https://example.org/none"
    return "unknown-questionnaire", "response", ".resource.questionnaire"


def _of_another(response: dict[str, Any]) -> tuple[str, str, str]:
    response["subject"] = {"reference": "Patient/somebody"}
    return "refer-response", "response", ".resource.subject"


def _of_nobody(response: dict[str, Any]) -> tuple[str, str, str]:
    response["subject"] = {"display": "Somebody"}
    return "refer-response", "response", ".resource.subject"


@pytest.mark.parametrize("spoil", [_unfinished, _half, _unknown, _of_another, _of_nobody])
def test_answers_that_are_not_whole_or_not_of_the_person_stop_the_referral(
    spoil: Any, gp: httpx.Client, refused: Any
) -> None:
    response = answered("02-needs.json")
    key, parameter, element = spoil(response)
    before, body = counts(gp), sent("Half Answer", response)
    issue = refused(gp.post("/$refer", json=body), 422, key)
    assert issue["expression"][0].startswith(at(body, parameter) + element)
    assert counts(gp) == before


def test_a_stored_response_of_somebody_else_is_not_taken_over(gp: httpx.Client, refused: Any) -> None:
    vendor = answered("02-needs.json") | {"identifier": {"system": "urn:epd", "value": "placeholder"}}
    request_of(gp.post("/$refer", json=sent("Carla Before", vendor)))
    before, body = counts(gp), sent("Dirk After", vendor)
    issue = refused(gp.post("/$refer", json=body), 422, "refer-response")
    assert issue["expression"] == [f"{at(body, 'response')}.resource.identifier"]
    assert counts(gp) == before


def test_what_cannot_go_together_is_refused_and_named(gp: httpx.Client, refused: Any) -> None:
    before, response = counts(gp), answered("02-needs.json") | {"identifier": {"system": "urn:epd", "value": "same"}}
    body = sent("Twice Sent", response, response)
    second = f"Parameters.parameter[{len(body['parameter']) - 1}].resource"
    assert refused(gp.post("/$refer", json=body), 422, "refer-response")["expression"] == [second]
    pending: Any = {"consent-pending": {"valueBoolean": True}}
    signal = sent("Not Asked", response, **pending)
    issue = refused(gp.post("/$refer", json=signal), 400, "refer-input")
    assert issue["expression"] == [f"{at(signal, 'response')}.resource"]
    several = refused(gp.post("/$refer", json=sent("Several Needs", response, needs=())), 400, "refer-input")
    assert "employment, parenting, family-relations" in several["diagnostics"]
    many = [{**response, "identifier": {"system": "urn:epd", "value": str(number)}} for number in range(6)]
    assert "5 at most" in refused(gp.post("/$refer", json=sent("Too Many", *many)), 400, "refer-input")["diagnostics"]
    bundle = sent("In Bundle", response)
    bundle["parameter"] = [
        {"name": "bundle", "resource": {"resourceType": "Bundle", "type": "transaction"}},
        *bundle["parameter"][-1:],
    ]
    assert refused(gp.post("/$refer", json=bundle), 400, "refer-input")["expression"] == [
        "Parameters.parameter[1].resource"
    ]
    assert counts(gp) == before
