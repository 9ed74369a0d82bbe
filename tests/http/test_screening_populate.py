"""$populate over HTTP, and which questionnaire fits by plain search."""

from typing import Any

import httpx
import pytest

BASE = "https://w3id.org/social-referral"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
POPULATE = "Questionnaire/$populate"


def item(link_id: str, type_: str, **more: Any) -> dict[str, Any]:
    return {"linkId": link_id, "type": type_, **more}


def initial(expression: str, language: str = "text/fhirpath") -> list[dict[str, Any]]:
    return [{"url": f"{SDC}initialExpression", "valueExpression": {"language": language, "expression": expression}}]


def parameters(subject: str, *items: dict[str, Any], **flags: Any) -> dict[str, Any]:
    launch = {"url": f"{SDC}launchContext", "extension": [{"url": "name", "valueCoding": {"code": "user"}}]}
    asked = {"resourceType": "Questionnaire", "status": "active", "extension": [launch], "item": list(items)}
    given = [
        {"name": "questionnaire", "resource": asked},
        {"name": "subject", "valueReference": {"reference": subject}},
    ]
    return {"resourceType": "Parameters", "parameter": [*given, *flags.get("more", [])]}


def outputs(answer: httpx.Response) -> tuple[dict[str, Any], list[str]]:
    """Return the answers by linkId, and the texts of the issues."""
    assert answer.status_code == 200, answer.text
    by_name = {one["name"]: one["resource"] for one in answer.json()["parameter"]}
    assert by_name["response"]["status"] == "in-progress"
    found: dict[str, Any] = {}
    waiting = list(by_name["response"].get("item", []))
    while waiting:
        one = waiting.pop(0)
        waiting += one.get("item", [])
        if "answer" in one:
            found[one["linkId"]] = [next(iter(answer.values())) for answer in one["answer"]]
    return found, [one["diagnostics"] for one in by_name.get("issues", {}).get("issue", [])]


@pytest.fixture
def person(client: httpx.Client) -> str:
    made = {"resourceType": "Patient", "name": [{"given": ["Ann", "Mia"], "family": "Smet"}], "birthDate": "1950-02-03"}
    return f"Patient/{client.post('Patient', json=made).json()['id']}"


def test_items_are_filled_from_the_person_the_caller_and_fixed_values(client: httpx.Client, person: str) -> None:
    user = {"resourceType": "Practitioner", "name": [{"family": "Bea"}]}
    context = {
        "name": "context",
        "part": [{"name": "name", "valueCode": "user"}, {"name": "content", "resource": user}],
    }
    options = [{"valueCoding": {"system": "urn:s", "code": code}} for code in ("a", "b")]
    body = parameters(
        person,
        item("names", "string", repeats=True, extension=initial("%patient.name.given")),
        item("name", "string", extension=initial("%patient.name.given")),
        item("born", "date", extension=initial("%patient.birthDate")),
        item("who", "string", extension=initial("%user.name.family")),
        item("chosen", "choice", answerOption=options, extension=initial("'b'")),
        item("fixed", "integer", initial=[{"valueInteger": 4}]),
        item("shown", "string", extension=initial("'x'"), enableWhen=[
            {"question": "fixed", "operator": ">", "answerInteger": 9}
        ]),
        more=[context],
    )  # fmt: skip
    found, issues = outputs(client.post(POPULATE, json=body))
    assert found == {
        "names": ["Ann", "Mia"], "name": ["Ann"], "born": ["1950-02-03"], "who": ["Bea"],
        "chosen": [{"system": "urn:s", "code": "b"}], "fixed": [4],
    }  # fmt: skip
    assert [one for one in issues if "'name'" in one]


def test_what_cannot_be_populated_is_told_and_the_rest_goes_on(client: httpx.Client, person: str) -> None:
    body = parameters(
        person,
        item("query", "string", extension=initial("Observation?code=x", "application/x-fhir-query")),
        item("broken", "string", extension=initial("nosuch()")),
        item("number", "integer", extension=initial("'four'")),
        item("good", "string", extension=initial("%patient.name.family")),
    )
    found, issues = outputs(client.post(POPULATE, json=body))
    assert found == {"good": ["Smet"]}
    assert len(issues) == 4  # three items, and the user whom nobody named
    assert "%user" in issues[0]
    _, issues = outputs(client.post(POPULATE, json=parameters("Patient/nobody", item("a", "string"))))
    assert any("Patient/nobody" in one for one in issues)


def test_an_earlier_observation_counts_within_its_period_only(client: httpx.Client, person: str) -> None:
    code = {"system": "urn:s", "code": person.partition("/")[2]}
    for value, day, status in (
        (3, "2020-01-01", "final"),
        (7, "2026-11-01", "final"),
        (9, "2026-11-02", "entered-in-error"),
    ):
        made = {
            "resourceType": "Observation", "status": status, "code": {"coding": [code]},
            "subject": {"reference": person}, "effectiveDateTime": day, "valueQuantity": {"value": value},
        }  # fmt: skip
        assert client.post("Observation", json=made).status_code == 201

    def asked(months: int) -> dict[str, Any]:
        term = {"value": months, "system": "http://unitsofmeasure.org", "code": "mo"}
        extension = [{"url": f"{SDC}observationLinkPeriod", "valueDuration": term}]
        return parameters(person, item("mark", "integer", code=[code], extension=extension))

    assert outputs(client.post(POPULATE, json=asked(1200)))[0] == {"mark": [7]}
    far = asked(0)
    assert outputs(client.post(POPULATE, json=far))[0] == {}


def test_the_answers_of_the_last_time_are_taken_over_when_asked_for(client: httpx.Client, person: str) -> None:
    def marks(value: int) -> dict[str, Any]:
        names = ("life-as-a-whole", "health", "mood", "contacts", "day", "home")
        return {
            "linkId": "marks",
            "item": [{"linkId": f"quality-{one}", "answer": [{"valueInteger": value}]} for one in names],
        }

    for value, day in ((3, "2026-01-01"), (6, "2026-06-01")):
        made = {
            "resourceType": "QuestionnaireResponse", "status": "completed", "authored": day, "item": [marks(value)],
            "questionnaire": f"{BASE}/Questionnaire/quality-of-life|0.1.0", "subject": {"reference": person},
        }  # fmt: skip
        assert client.post("QuestionnaireResponse", json=made).status_code == 201
    query = f"Questionnaire/quality-of-life/$populate?subject-id={person}"
    assert outputs(client.get(query)) == ({}, [])
    answer = client.get(f"{query}&previous=true", headers={"Accept-Language": "de-BE"})
    found, issues = outputs(answer)
    assert issues == []
    assert found["quality-mood"] == [6]
    assert float(found["mean"][0]) == 6
    response = answer.json()["parameter"][0]["resource"]
    assert response["language"] == "de"
    assert response["item"][0]["item"][2]["text"] == "Und Ihrer Stimmung (0 bis 10)?"
    assert outputs(client.get(f"Questionnaire/loneliness-screen/$populate?subject-id={person}&previous=true"))[1] != []


def test_a_request_that_names_no_person_or_no_questionnaire_is_refused(client: httpx.Client, refused: Any) -> None:
    refused(client.get("Questionnaire/quick-scan/$populate"), 400, "operation-input")
    refused(client.get(f"{POPULATE}?subject-id=Patient/1"), 400, "operation-input")
    refused(client.get("Questionnaire/quick-scan/$populate?subject-id=nobody"), 400, "operation-input")
    refused(client.get(f"{POPULATE}?canonical=urn:x&subject-id=Patient/1"), 404, "unknown-questionnaire")
    refused(client.get("Questionnaire/nothing/$populate?subject-id=Patient/1"), 404)


def test_search_finds_the_questionnaire_that_fits(client: httpx.Client) -> None:
    kind = {"system": f"{BASE}/CodeSystem/use-context", "code": "area"}
    area = {"coding": [{"system": f"{BASE}/NamingSystem/nis", "code": "23088"}]}
    own = {
        "resourceType": "Questionnaire", "status": "active", "url": "urn:uuid:0c1c9d2e-8f4e-4f07-a1fb-0c43d6a2b0aa",
        "useContext": [{"code": kind, "valueCodeableConcept": area}], "item": [item("a", "string")],
    }  # fmt: skip
    made = client.post("Questionnaire", json=own).json()["id"]

    def ids(query: str) -> set[str]:
        return {
            one["resource"]["id"] for one in client.get(f"Questionnaire?status=active&{query}").json().get("entry", [])
        }

    assert ids("context-type-value=area$23088") == {made}
    assert ids("context-type-value=user$volunteer") == {"loneliness-screen", "quality-of-life"}
    assert {"psychosocial-needs", "vulnerability-screen"} <= ids("context-type-value=venue$health-practice")
    assert "quick-scan" not in ids("context-type-value=venue$health-practice")
    assert "quick-scan" in ids("context-type-quantity=age$ge12")
