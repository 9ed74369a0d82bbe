"""Definition-based extraction over HTTP: a vendor's questionnaire becomes resources, once; changed answers change them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import FHIR_JSON, RunningServer, served
from tests.contract.store.mongo_server import database_url, running
from tests.unit.workflow.defining import PATIENT, PROFILE, R4, answers, form, item, makes, profile, said, states

EXAMPLES = Path(__file__).parents[2] / "examples"
EXTRACT = "QuestionnaireResponse/$extract"
OPERATOR = {"X-Dev-Roles": "operator"}
OWN = "https://w3id.org/social-referral/StructureDefinition/"


def example(name: str) -> Any:
    return json.loads((EXAMPLES / "screening" / name).read_bytes())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with served(tmp_path_factory.mktemp("defined")) as http:
        http.headers["Content-Type"] = FHIR_JSON
        yield http


@pytest.fixture
def case(shared: httpx.Client) -> Iterator[httpx.Client]:
    """A server that holds nothing; what a test puts there goes when it ends."""
    yield shared
    types = {one["resourceType"] for one in found(shared, "?_count=1000")}
    entries = [{"request": {"method": "DELETE", "url": f"{one}?_lastUpdated=gt2000"}} for one in sorted(types)]
    shared.post("", json={"resourceType": "Bundle", "type": "batch", "entry": entries}, headers=OPERATOR)
    assert found(shared, "?_count=1000") == []


def found(http: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = http.get(query)
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def extract(
    http: httpx.Client, questionnaire: Any, response: Any, *, store: bool = True, headers: dict[str, str] | None = None
) -> httpx.Response:
    given = [
        {"name": "questionnaire", "resource": questionnaire},
        {"name": "questionnaire-response", "resource": response},
    ]
    body = {"resourceType": "Parameters", "parameter": [*given, {"name": "store", "valueBoolean": store}]}
    return http.post(EXTRACT, json=body, headers=headers)


def stored(answer: httpx.Response) -> list[str]:
    """Return what was written, as `201 Patient`."""
    assert answer.status_code == 200, answer.text
    return [
        f"{one['response']['status'][:3]} {one['resource']['resourceType']}" for one in answer.json().get("entry", [])
    ]


def errors(http: httpx.Client, questionnaire: Any) -> list[dict[str, Any]]:
    """Return the errors that $validate tells of a questionnaire."""
    answer = http.post("Questionnaire/$validate", json=questionnaire)
    assert answer.status_code == 200, answer.text
    return [one for one in answer.json()["issue"] if one["severity"] == "error"]


def play(http: httpx.Client) -> None:
    """Play the example: the questionnaire is stored, answered, answered again, and amended."""
    asked, sent = example("05-intake-questionnaire.json"), example("06-intake-answers.json")
    people = [
        {"resourceType": "Patient", "id": "erdan"},
        {"resourceType": "PractitionerRole", "id": "role-bea"},
    ]
    for one in people:
        assert http.put(f"{one['resourceType']}/{one['id']}", json=one, headers=OPERATOR).status_code == 201
    assert http.post("Questionnaire", json=asked, headers=OPERATOR).status_code == 201
    written = stored(http.post(f"{EXTRACT}?store=true", json=sent))
    assert sorted(written) == sorted([
        "201 QuestionnaireResponse", *["201 RelatedPerson"] * 2, "201 Observation", *["201 Condition"] * 2, "201 Provenance",
    ])  # fmt: skip
    assert stored(http.post(f"{EXTRACT}?store=true", json=sent)) == []

    names = {one["name"][0]["text"]: one for one in found(http, "RelatedPerson?patient=erdan")}
    assert names["Rik"]["telecom"] == [
        {"value": "02 555 01 23", "system": "phone", "use": "home"},
        {"value": "rik@buur.example.org", "system": "email"},
    ]
    assert names["Lale Demir"]["name"] == [{"text": "Lale Demir", "given": ["Lale"], "family": "Demir"}]
    (size,) = found(http, "Observation?patient=erdan")
    assert (size["valueInteger"], size["meta"]["profile"]) == (2, [f"{OWN}need-observation"])
    assert size["category"][0]["coding"][0]["code"] == "social-history"  # the profile says so, no answer does
    needs = {one["code"]["coding"][0]["code"]: one for one in found(http, "Condition?patient=erdan")}
    assert needs["social-connection"]["code"]["text"] == "Ik ken hier bijna niemand."
    assert {one["meta"]["profile"][0] for one in needs.values()} == {f"{OWN}social-need"}
    (provenance,) = found(http, "Provenance")
    made = [*names.values(), size, *needs.values()]
    assert {one["reference"] for one in provenance["target"]} == {f"{one['resourceType']}/{one['id']}" for one in made}

    confirmed = {
        **needs["social-connection"],
        "verificationStatus": needs["stress"]["verificationStatus"] | {"text": "x"},
    }
    assert http.put(f"Condition/{confirmed['id']}", json=confirmed).status_code == 200
    rik = {**names["Rik"], "address": [{"city": "Vilvoorde"}]}
    assert http.put(f"RelatedPerson/{rik['id']}", json=rik).status_code == 200
    sent["status"] = "amended"
    sent["item"][1]["item"][2]["answer"][0]["valueString"] = "02 555 99 99"
    sent["item"][2]["answer"][0]["valueInteger"] = 3
    sent["item"][3]["answer"].pop()
    assert "201 RelatedPerson" not in stored(http.post(f"{EXTRACT}?store=true", json=sent))
    (size,) = found(http, "Observation?patient=erdan")
    assert (size["valueInteger"], size["status"]) == (3, "amended")
    after = {one["code"]["coding"][0]["code"]: one for one in found(http, "Condition?patient=erdan")}
    assert after["stress"]["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert after["social-connection"] == http.get(f"Condition/{confirmed['id']}/_history/2").json()
    changed = http.get(f"RelatedPerson/{rik['id']}").json()
    assert (changed["telecom"][0]["value"], changed["address"]) == ("02 555 99 99", rik["address"])
    assert stored(http.post(f"{EXTRACT}?store=true", json=sent)) == []


def test_a_vendors_questionnaire_is_extracted_once_and_amended(case: httpx.Client) -> None:
    play(case)


def test_it_is_the_same_on_mongodb() -> None:
    with running() as database:
        server = RunningServer({
            "store": database_url(database.url, "defined"),
            "publish_artifacts": False,
            "cursor_key": "ab" * 32,
            "master_key": "cd" * 32,
        })  # fmt: skip
        try:
            with httpx.Client(base_url=server.base, headers={"Content-Type": FHIR_JSON}, timeout=60) as http:
                play(http)
        finally:
            server.stop()


def test_the_bundle_that_is_returned_can_be_posted_and_again(case: httpx.Client) -> None:
    note = f"{R4}Observation#Observation."
    asked = form(
        item("n", "string", PATIENT + "name.text"),
        item("w", "string", note + "value[x]:valueString", makes(R4 + "Observation"), states(note + "status", valueCode="final"),
             states(note + "code.text", valueString="w"), states(note + "derivedFrom.reference", "'QuestionnaireResponse/' + %resource.id")),
        extension=(makes(R4 + "Patient"),),
    )  # fmt: skip
    sent = answers(said("n", "A"), said("w", "B"), authored="2026-11-20")
    answer = extract(case, asked, sent, store=False)
    assert answer.status_code == 200, answer.text
    assert [one["request"]["method"] for one in answer.json()["entry"]] == ["POST"] * 4
    for _ in range(2):
        assert case.post("", json=answer.json()).status_code == 200
        assert [case.get(f"{kind}?_summary=count").json()["total"] for kind in ("Patient", "Observation")] == [1, 1]
    (said_so,) = found(case, "Observation")
    (response,) = found(case, "QuestionnaireResponse")
    assert said_so["derivedFrom"] == [{"reference": f"QuestionnaireResponse/{response['id']}"}]
    assert stored(extract(case, asked, response)) == []


def test_a_profile_that_a_vendor_stores_is_followed(case: httpx.Client, refused: Any) -> None:
    own = profile(
        "person", "Patient", {"id": "Patient.name", "slicing": {"discriminator": [{"type": "value", "path": "use"}], "rules": "open"}},
        {"id": "Patient.name:official", "sliceName": "official"}, {"id": "Patient.name:official.use", "min": 1, "fixedCode": "official"},
    )  # fmt: skip
    asked = form(
        item("f", "string", f"{PROFILE}person#Patient.name:official.family"), extension=(makes(PROFILE + "person"),)
    )
    (told,) = errors(case, asked)
    assert told["details"]["coding"][0]["code"] == "form-definition"
    assert told["expression"] == ["Questionnaire.extension[0]"]
    refused(extract(case, asked, answers(said("f", "P"))), 422, "form-definition")
    assert case.post("StructureDefinition", json=own, headers=OPERATOR).status_code == 201
    assert errors(case, asked) == []
    assert "201 Patient" in stored(extract(case, asked, answers(said("f", "P"))))
    (made,) = found(case, "Patient")
    assert made["name"] == [{"family": "P", "use": "official"}]
    assert made["meta"]["profile"] == [PROFILE + "person"]


def test_a_resource_is_updated_by_its_id_and_keeps_what_was_not_asked(case: httpx.Client, refused: Any) -> None:
    asked = form(
        item("id", "string", PATIENT + "id"), item("born", "date", PATIENT + "birthDate"), item("v", "string"),
        extension=(makes(R4 + "Patient", ifMatch="%resource.item.where(linkId = 'v').answer.value"),),
    )  # fmt: skip
    known = case.post("Patient", json={"resourceType": "Patient", "name": [{"text": "A"}], "gender": "male"}).json()
    sent = answers(said("id", known["id"]), said("born", ("valueDate", "1980-01-01")), said("v", "7"))
    refused(extract(case, asked, sent), 412)
    sent["item"][2]["answer"][0]["valueString"] = known["meta"]["versionId"]
    assert "200 Patient" in stored(extract(case, asked, sent))
    after = case.get(f"Patient/{known['id']}").json()
    assert (after["birthDate"], after["gender"], after["name"]) == ("1980-01-01", "male", [{"text": "A"}])
    assert "identifier" not in after
    assert stored(extract(case, asked, sent)) == []
    sent["item"][0]["answer"][0]["valueString"] = "nobody"
    issue = refused(extract(case, asked, sent), 422, "extract-unknown-id")
    assert issue["expression"] == ["Questionnaire.extension[0]"]


def test_who_is_known_by_the_condition_of_a_creation_is_left_alone(case: httpx.Client) -> None:
    related = R4 + "RelatedPerson"
    asked = form(
        item("p", "group", "", makes(R4 + "Patient", fullUrl="%who", ifNoneExist="'identifier=urn:n|' + item.answer.value.first()"),
             below=[item("n", "string", PATIENT + "identifier.value", states(PATIENT + "identifier.system", valueUri="urn:n"))]),
        item("c", "string", f"{related}#RelatedPerson.name.text", makes(related), states(f"{related}#RelatedPerson.patient.reference", "%who")),
        extension=({"url": makes("")["url"].replace("definitionExtract", "extractAllocateId"), "valueString": "who"},),
    )  # fmt: skip
    body = {"resourceType": "Patient", "identifier": [{"system": "urn:n", "value": "1"}], "gender": "female"}
    known = case.post("Patient", json=body).json()
    sent = answers(said("p", below=(said("n", "1"),)), said("c", "B"))
    assert sorted(stored(extract(case, asked, sent))) == [
        "201 Provenance",
        "201 QuestionnaireResponse",
        "201 RelatedPerson",
    ]
    assert [one["id"] for one in found(case, "Patient")] == [known["id"]]
    (near,) = found(case, "RelatedPerson")
    assert near["patient"]["reference"] == f"Patient/{known['id']}"
    assert stored(extract(case, asked, sent)) == []
    assert case.get(f"Patient/{known['id']}").json()["meta"]["versionId"] == "1"
    stranger = answers(said("p", below=(said("n", "2"),)), said("c", "C"), id="r2")
    assert "201 Patient" in stored(extract(case, asked, stranger))
    assert stored(extract(case, asked, stranger)) == []


def test_an_answer_that_does_not_fit_is_refused_and_nothing_is_stored(case: httpx.Client, refused: Any) -> None:
    asked = form(
        item("n", "string", PATIENT + "name.text"),
        item("b", "string", PATIENT + "birthDate"),
        extension=(makes(R4 + "Patient"),),
    )
    issue = refused(extract(case, asked, answers(said("n", "A"), said("b", "long ago"))), 422, "extract-type")
    assert issue["expression"] == ["QuestionnaireResponse.item[1].answer[0].value"]
    assert "it takes date" in issue["diagnostics"]
    assert found(case, "QuestionnaireResponse") == []
    reading = form(item("n"), extension=(makes(R4 + "Patient", ifNoneMatch="'*'"),))
    assert (
        refused(extract(case, reading, answers(said("n", "A"))), 422, "form-extraction-kind")["code"] == "not-supported"
    )


def test_what_is_made_belongs_to_who_extracted(fresh_server: Any, refused: Any) -> None:
    server = fresh_server(enforce_access=True, publish_artifacts=False)
    own = {"X-Dev-Organization": "Organization/practice", "X-Dev-Roles": "referrer"}
    other = {"X-Dev-Organization": "Organization/other", "X-Dev-Roles": "referrer"}
    with httpx.Client(base_url=server.base, headers={"Content-Type": FHIR_JSON}, timeout=30) as http:
        patient = http.post("Patient", json={"resourceType": "Patient", "active": True}, headers=own).json()
        told = example("05-intake-questionnaire.json")["item"][2]
        asked = form(told)
        coding = told["answerOption"][0]["valueCoding"]
        sent = answers(
            said("worry", ("valueCoding", coding)),
            subject={"reference": f"Patient/{patient['id']}"},
            authored="2026-11-20",
        )
        assert "201 Condition" in stored(extract(http, asked, sent, headers=own))
        assert http.get("Condition", headers=own).json()["total"] == 1
        assert http.get("Condition", headers=other).json()["total"] == 0
        update = form(
            item("id", "string", PATIENT + "id"),
            item("n", "string", PATIENT + "name.text"),
            extension=(makes(R4 + "Patient"),),
        )
        theirs = answers(said("id", patient["id"]), said("n", "X"), id="r2")
        refused(extract(http, update, theirs, headers=other), 422, "extract-unknown-id")


def test_needs_by_definition_count_when_services_are_suggested(case: httpx.Client) -> None:
    asked, sent = example("05-intake-questionnaire.json"), example("06-intake-answers.json")
    assert case.post("Questionnaire", json=asked, headers=OPERATOR).status_code == 201
    service = {
        "resourceType": "HealthcareService", "active": True, "name": "Buurttafel",
        "type": [{"coding": [sent["item"][3]["answer"][0]["valueCoding"]]}],
    }  # fmt: skip
    assert case.post("HealthcareService", json=service, headers=OPERATOR).status_code == 201
    answer = case.post("HealthcareService/$suggest", json={**sent, "status": "in-progress"})
    assert answer.status_code == 200, answer.text
    assert [one["resource"]["name"] for one in answer.json()["entry"]] == ["Buurttafel"]
