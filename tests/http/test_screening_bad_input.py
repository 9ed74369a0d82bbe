"""Answers that cannot be used are refused with their place, and nothing is written."""

from typing import Any

import httpx
import pytest

BASE = "https://w3id.org/social-referral"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
QR = "QuestionnaireResponse"
ENDLESS = "%resource.repeat(item).select(%resource.repeat(item)).select(%resource.repeat(item)).count()"


def response(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    made = {
        "resourceType": QR,
        "questionnaire": f"{BASE}/Questionnaire/loneliness-screen",
        "status": "completed",
        "subject": {"reference": "Patient/somebody"},
        "authored": "2026-11-20",
    }
    return {**made, **({"item": list(items)} if items else {}), **more}


def often(name: str) -> dict[str, Any]:
    coding = {"system": f"{BASE}/CodeSystem/screening-answer", "code": "often"}
    return {"linkId": f"loneliness.{name}", "answer": [{"valueCoding": coding}]}


def lonely(**more: Any) -> dict[str, Any]:
    return response(*map(often, ("alone", "heart", "visit", "belong", "weekend")), **more)


def asked_by(questionnaire: dict[str, Any], answers: dict[str, Any]) -> dict[str, Any]:
    made = {"resourceType": "Questionnaire", "status": "active", **questionnaire}
    given = [{"name": "questionnaire", "resource": made}, {"name": "questionnaire-response", "resource": answers}]
    return {"resourceType": "Parameters", "parameter": given}


def calculated(expression: str) -> dict[str, Any]:
    value = {"language": "text/fhirpath", "expression": expression}
    extension = [{"url": f"{SDC}calculatedExpression", "valueExpression": value}]
    return {"linkId": "sum", "type": "integer", "readOnly": True, "extension": extension}


def test_an_unfinished_response_is_not_extracted(client: httpx.Client, refused: Any) -> None:
    answer = client.post(f"{QR}/$extract", json=response(often("alone"), status="in-progress"))
    assert refused(answer, 422, "extract-not-final")["expression"] == [f"{QR}.status"]


def test_a_half_answered_response_tells_each_question_that_is_missing(client: httpx.Client, refused: Any) -> None:
    answer = client.post(f"{QR}/$extract?store=true", json=response(often("alone")))
    refused(answer, 422, "response-incomplete")
    assert len(answer.json()["issue"]) == 4


def test_a_wrong_score_is_told_and_nothing_is_stored(client: httpx.Client, refused: Any) -> None:
    wrong = lonely(subject={"reference": "Patient/wrong-score"})
    wrong["item"].append({"linkId": "loneliness.sum", "answer": [{"valueDecimal": 9}]})
    answer = client.post(f"{QR}/$extract?store=true", json=wrong)
    assert refused(answer, 422, "response-score-differs")["expression"] == [f"{QR}.item[5].answer[0].value"]
    assert client.get("Observation?subject=Patient/wrong-score").json()["total"] == 0


def test_points_that_a_client_sends_along_count_for_nothing(client: httpx.Client) -> None:
    sent = lonely()
    points = [{"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueDecimal": 100}]
    sent["item"][0]["answer"][0]["valueCoding"]["extension"] = points
    bundle = client.post(f"{QR}/$extract", json=sent).json()
    scores = [one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == "Observation"]
    assert [one["valueQuantity"]["value"] for one in scores] == [6]
    assert scores[0]["interpretation"][0]["coding"][0]["code"] == "strongly-lonely"


def test_an_unknown_questionnaire_and_none_are_told(client: httpx.Client, refused: Any) -> None:
    answer = client.post(f"{QR}/$extract", json=lonely(questionnaire="urn:x"))
    assert refused(answer, 422, "unknown-questionnaire")["expression"] == [f"{QR}.questionnaire"]
    answer = client.post(f"{QR}/$extract", json=lonely(questionnaire=f"{BASE}/Questionnaire/loneliness-screen|9"))
    refused(answer, 422, "unknown-questionnaire")
    bare = lonely()
    del bare["questionnaire"]
    refused(client.post(f"{QR}/$extract", json=bare), 422, "unknown-questionnaire")


def test_ten_thousand_items_are_refused(client: httpx.Client, refused: Any) -> None:
    answer = client.post(f"{QR}/$extract", json=response(*[often("alone")] * 10_000))
    refused(answer, 400, "too-many-items")


def test_conditions_in_a_circle_are_refused(client: httpx.Client, refused: Any) -> None:
    def item(name: str, other: str) -> dict[str, Any]:
        condition = {"question": other, "operator": "exists", "answerBoolean": True}
        return {"linkId": name, "type": "string", "enableWhen": [condition]}

    circle = asked_by({"item": [item("a", "b"), item("b", "a")]}, response())
    answer = client.post(f"{QR}/$extract", json=circle)
    assert refused(answer, 422, "form-condition-circle")["expression"] == ["Questionnaire.item[0].enableWhen"]


@pytest.mark.parametrize(
    ("expression", "status", "key"),
    [
        (ENDLESS, 400, "form-expression-costly"),
        ("no.such(", 422, "form-expression"),
        ("nosuch()", 422, "form-expression"),
        ("'text'", 422, "form-expression"),
        ("%resource.item.where(linkId = 'sum').answer.value.first() | 1", 422, ""),
        ("iif(%resource.item.where(linkId = 'sum').exists(), %resource.item.where(linkId = 'sum').answer.value + 1, 1)",
         422, "form-calculation-circle"),
    ],
)  # fmt: skip
def test_an_expression_that_is_endless_or_wrong_is_told(
    client: httpx.Client, refused: Any, expression: str, status: int, key: str
) -> None:
    items = [{"linkId": f"q{number}", "type": "string"} for number in range(100)]
    answers = [{"linkId": f"q{number}", "answer": [{"valueString": "x"}]} for number in range(100)]
    body = asked_by({"item": [*items, calculated(expression)]}, response(*answers))
    answer = client.post(f"{QR}/$extract", json=body)
    if key:
        refused(answer, status, key)
    else:
        assert answer.status_code == 200, answer.text


def test_a_response_without_date_or_person_is_not_extracted(client: httpx.Client, refused: Any) -> None:
    answers = lonely()
    del answers["authored"]
    refused(client.post(f"{QR}/$extract", json=answers), 422, "extract-lacks")
    del answers["subject"]
    refused(client.post(f"{QR}/$extract", json=answers), 422, "response-subject")


@pytest.mark.parametrize("name", ["definitionExtract", "targetStructureMap"])
def test_a_way_of_extraction_that_is_not_offered_is_refused(client: httpx.Client, refused: Any, name: str) -> None:
    way = [{"url": f"{SDC}{name}", "valueCanonical": "urn:x"}]
    body = asked_by({"extension": way, "item": [{"linkId": "a", "type": "string"}]}, response())
    refused(client.post(f"{QR}/$extract", json=body), 422, "form-extraction-kind")


def test_the_request_itself_is_checked(client: httpx.Client, refused: Any) -> None:
    refused(client.post(f"{QR}/$extract"), 400, "operation-input")
    refused(client.get(f"{QR}/nobody/$extract"), 404)
    refused(client.get(f"{QR}/nobody/$extract?store=true"), 400, "operation-input")
    refused(client.get(f"{QR}/nobody/$extract?depth=1"), 400, "unknown-parameter")
    refused(client.post(f"{QR}/$extract", json={"resourceType": "Patient"}), 400, "wrong-resource-type")
    broken = lonely(status="finished")
    refused(client.post(f"{QR}/$extract", json=broken), 400)


def test_validate_tells_what_is_wrong_with_answers(client: httpx.Client) -> None:
    def told(answers: dict[str, Any]) -> list[tuple[str, str, str]]:
        answer = client.post(f"{QR}/$validate", json=answers)
        assert answer.status_code == 200, answer.text
        return [
            (one["severity"], one["details"]["coding"][0]["code"], one.get("expression", [""])[0])
            for one in answer.json()["issue"]
        ]

    assert [one for one in told(lonely()) if one[0] == "error"] == []
    wrong = response(often("alone"), {"linkId": "lonely", "answer": [{"valueInteger": 1}]}, status="in-progress")
    found = told(wrong)
    assert ("error", "response-unknown-item", f"{QR}.item[1].linkId") in found
    assert [one[:2] for one in found].count(("warning", "response-incomplete")) == 4
    assert ("warning", "unknown-questionnaire", f"{QR}.questionnaire") in told(lonely(questionnaire="urn:x"))
    assert any(key == "too-many-items" for _, key, _ in told(response(*[often("alone")] * 3_000)))


def test_validate_judges_a_stored_response_too_and_a_write_is_not_refused(client: httpx.Client) -> None:
    stored = client.post(QR, json=response(often("alone")))
    assert stored.status_code == 201
    issues = client.get(f"{QR}/{stored.json()['id']}/$validate").json()["issue"]
    assert "response-incomplete" in [one["details"]["coding"][0]["code"] for one in issues]


def test_a_wrong_kind_of_answer_is_told_and_not_what_cannot_be_calculated_of_it(
    client: httpx.Client, refused: Any
) -> None:
    score = calculated("%resource.item.where(linkId='mark').answer.value.sum()")
    made = {"url": "https://example.org/Questionnaire/marks", "item": [{"linkId": "mark", "type": "integer"}, score]}
    answers = response({"linkId": "mark", "answer": [{"valueString": "zeven"}]}, questionnaire=made["url"])
    asked = asked_by(made, answers)
    answer = client.post(f"{QR}/$extract", json=asked)
    assert refused(answer, 422, "answer-type")["expression"] == [f"{QR}.item[0].answer[0].value"]
    assert len(answer.json()["issue"]) == 1
    whole = {**answers, "questionnaire": "#marks", "contained": [{**asked["parameter"][0]["resource"], "id": "marks"}]}
    told = client.post(f"{QR}/$validate", json=whole).json()["issue"]
    errors = [one["expression"] for one in told if one["severity"] == "error"]
    assert errors == [[f"{QR}.item[0].answer[0].value"]]
    whole["contained"][0]["item"][1] = calculated("'zeven'.sum()")
    whole["item"][0]["answer"] = [{"valueInteger": 7}]
    told = client.post(f"{QR}/$validate", json=whole).json()["issue"]
    assert "form-expression" in [one["details"]["coding"][0]["code"] for one in told]
