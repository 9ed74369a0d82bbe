"""Scores, templates, terms, and what becomes of resources that an earlier extraction made."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.model.errors import RuleViolated
from fhir_server.workflow.screening_bundle import extracted
from fhir_server.workflow.screening_form import HL7, SDC, Form, read_form
from fhir_server.workflow.screening_kept import renewed, resolved, retired
from fhir_server.workflow.screening_risk import due_date
from fhir_server.workflow.screening_scores import calculated, differing
from fhir_server.workflow.wording import PLAIN

VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
META = {"versionId": "3", "lastUpdated": "2026-11-20T10:00:00.000Z"}


def verified(code: str) -> dict[str, Any]:
    return {"coding": [{"system": VERIFICATION, "code": code}]}


def need(**more: Any) -> dict[str, Any]:
    made = {
        "resourceType": "Condition", "clinicalStatus": {"coding": [{"code": "active"}]}, "code": {"text": "work"},
        "verificationStatus": verified("unconfirmed"), "category": [{"text": "money"}],
    }  # fmt: skip
    return {**made, **more}


def finding(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "valueInteger": 1, **more}


def form(*items: dict[str, Any], **more: Any) -> Form:
    return read_form({"resourceType": "Questionnaire", "status": "draft", "item": list(items), **more})


def sum_of(expression: str, link_id: str = "sum", type_: str = "decimal", **more: Any) -> dict[str, Any]:
    value = {"language": "text/fhirpath", "expression": expression}
    extension = [{"url": f"{SDC}calculatedExpression", "valueExpression": value}]
    return {"linkId": link_id, "type": type_, "extension": extension, **more}


def given(link_id: str, *answers: dict[str, Any]) -> dict[str, Any]:
    return {"linkId": link_id, "answer": list(answers)}


def test_an_unchanged_observation_is_left_alone_and_a_changed_one_is_amended() -> None:
    before = finding(id="1", meta=META)
    assert renewed(finding(), before) is None
    after = renewed(finding(valueInteger=2), before)
    assert after is not None
    assert (after["status"], after["valueInteger"], after["id"]) == ("amended", 2, "1")
    assert renewed(finding(valueInteger=2), after) is None


def test_an_observation_whose_answer_came_back_is_amended() -> None:
    gone = retired(finding(id="1", meta=META), PLAIN)
    assert gone is not None
    assert gone["status"] == "entered-in-error"
    assert retired(gone, PLAIN) is None
    back = renewed(finding(), gone)
    assert back is not None
    assert back["status"] == "amended"


def test_what_people_decided_of_a_need_stays() -> None:
    resolved_need = need(id="1", meta=META, clinicalStatus={"coding": [{"code": "resolved"}]},
                         verificationStatus=verified("confirmed"), note=[{"text": "done"}])  # fmt: skip
    assert renewed(need(), resolved_need) is None
    after = renewed(need(code={"text": "other"}), resolved_need)
    assert after is not None
    assert after["clinicalStatus"]["coding"][0]["code"] == "resolved"
    assert after["verificationStatus"] == verified("confirmed")
    assert (after["note"], after["code"]) == ([{"text": "done"}], {"text": "other"})


def test_a_need_without_its_answer_is_entered_in_error_and_comes_back() -> None:
    gone = retired(need(id="1", meta=META), PLAIN)
    assert gone is not None
    assert gone["verificationStatus"] == verified("entered-in-error")
    assert "clinicalStatus" not in gone
    assert retired(gone, PLAIN) is None
    back = renewed(need(), gone)
    assert back is not None
    assert back["verificationStatus"] == verified("unconfirmed")
    assert "clinicalStatus" in back


def test_a_task_that_somebody_began_is_left_alone() -> None:
    fresh = {"resourceType": "Task", "status": "requested", "restriction": {"period": {"start": "2027-01-01"}}}
    before = {**fresh, "id": "1", "meta": META, "restriction": {"period": {"start": "2026-12-01"}}}
    after = renewed(fresh, before)
    assert after is not None
    assert after["restriction"] == fresh["restriction"]
    assert renewed(fresh, {**before, "status": "in-progress"}) is None
    cancelled = retired(before, PLAIN)
    assert cancelled is not None
    assert (cancelled["status"], bool(cancelled["statusReason"]["text"])) == ("cancelled", True)
    assert retired({**before, "status": "completed"}, PLAIN) is None


def test_references_by_urn_become_literal_where_they_are_known() -> None:
    element = {"basis": [{"reference": "urn:uuid:1"}, {"reference": "urn:uuid:2"}]}
    assert resolved(element, {"urn:uuid:1": "Observation/1"}) == {
        "basis": [{"reference": "Observation/1"}, {"reference": "urn:uuid:2"}]
    }


@pytest.mark.parametrize(
    ("authored", "value", "code", "due"),
    [
        ("2026-11-20T10:00:00Z", 6, "mo", date(2027, 5, 20)),
        ("2026-08-31", 6, "mo", date(2027, 2, 28)),
        ("2028-02-29", 1, "a", date(2029, 2, 28)),
        ("2026-12-15", 2, "wk", date(2026, 12, 29)),
        ("2026-12-15", 1, "d", date(2026, 12, 16)),
        ("2026-12", 1, "d", None),
        ("2026-12-15", Decimal("1.5"), "mo", None),
        ("2026-12-15", 1, "h", None),
    ],
)
def test_a_term_ends_on_the_same_day_of_a_later_month(authored: str, value: Any, code: str, due: date | None) -> None:
    assert due_date(authored, {"value": value, "code": code}) == due


def test_scores_rest_on_scores_and_on_variables() -> None:
    variable = [{"url": HL7 + "variable", "valueExpression": {
        "name": "all", "language": "text/fhirpath", "expression": "%resource.item.where(linkId.startsWith('q')).answer.value",
    }}]  # fmt: skip
    asked = form(
        {"linkId": "q1", "type": "integer"}, {"linkId": "q2", "type": "integer"},
        sum_of("%resource.item.where(linkId = 'sum').answer.value * 2", "double", "integer"), sum_of("%all.sum()"),
        extension=variable,
    )  # fmt: skip
    sent = {"item": [given("q1", {"valueInteger": 2}), given("q2", {"valueInteger": 3})]}
    right = calculated(asked, sent)
    assert [(one["linkId"], one["answer"][0]) for one in right["item"][2:]] == [
        ("double", {"valueInteger": 10}), ("sum", {"valueDecimal": 5}),
    ]  # fmt: skip
    assert len(sent["item"]) == 2  # what was sent stays as it is
    assert list(differing(asked, right, right)) == []


def test_a_score_that_was_sent_and_has_no_value_differs() -> None:
    asked = form({"linkId": "q", "type": "integer"}, sum_of("%resource.item.where(linkId = 'q').answer.value"))
    sent = {"item": [given("sum", {"valueDecimal": 1})]}
    right = calculated(asked, sent)
    assert "item" not in right
    assert [(one.key, one.expression) for one in differing(asked, sent, right)] == [
        ("response-score-differs", "QuestionnaireResponse.item[0].answer[0].value")
    ]


def test_rounding_is_half_up_and_only_for_numbers() -> None:
    asked = form({"linkId": "q", "type": "decimal"}, sum_of("%resource.item.where(linkId = 'q').answer.value.round(1)"))
    right = calculated(asked, {"item": [given("q", {"valueDecimal": Decimal("2.25")})]})
    assert right["item"][1]["answer"] == [{"valueDecimal": Decimal("2.3")}]
    with pytest.raises(RuleViolated):
        calculated(form(sum_of("'x'.sum()")), {})


def template(**more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    contained = {"resourceType": "Goal", "id": "goal", "lifecycleStatus": "proposed", **more}
    parts = [{"url": "template", "valueReference": {"reference": "#goal"}}]
    return contained, {"url": f"{SDC}templateExtract", "extension": parts}


def value_of(expression: str) -> dict[str, Any]:
    return {"extension": [{"url": f"{SDC}templateExtractValue", "valueString": expression}]}


def test_a_template_is_filled_repeated_and_loses_what_finds_nothing() -> None:
    notes = {
        "extension": [{"url": f"{SDC}templateExtractContext", "valueString": "answer"}],
        "_text": value_of("value"),
    }
    contained, extension = template(
        description={"_text": value_of("answer.value.first()")}, subject=value_of("%resource.subject"),
        note=[notes], _startDate=value_of("%resource.nothing"), target=[{"_dueDate": value_of("%resource.nothing")}],
    )  # fmt: skip
    asked = form({"linkId": "q", "type": "string", "repeats": True, "extension": [extension]}, contained=[contained])
    response = {
        "resourceType": "QuestionnaireResponse", "status": "completed", "authored": "2026-11-20",
        "subject": {"reference": "Patient/1"}, "item": [given("q", {"valueString": "a"}, {"valueString": "b"})],
    }  # fmt: skip
    (goal,) = extracted(asked, response, "basis", "QuestionnaireResponse/1")[1]
    assert {name: part for name, part in goal.resource.items() if name != "identifier"} == {
        "resourceType": "Goal", "lifecycleStatus": "proposed", "description": {"text": "a"},
        "subject": {"reference": "Patient/1"}, "note": [{"text": "a"}, {"text": "b"}],
    }  # fmt: skip
    assert goal.resource["identifier"] == [{"system": "urn:ietf:rfc:3986", "value": goal.urn}]


def test_a_template_that_is_not_there_is_told() -> None:
    _, extension = template()
    asked = form({"linkId": "q", "type": "string", "extension": [extension]})
    response = {"authored": "2026", "subject": {}, "item": [given("q", {"valueString": "a"})]}
    with pytest.raises(RuleViolated) as refusal:
        extracted(asked, response, "basis", "QuestionnaireResponse/1")
    assert (refusal.value.issues[0].key, refusal.value.issues[0].expression) == (
        "form-template", "Questionnaire.item[0].extension",
    )  # fmt: skip


def test_one_of_several_answers_keeps_its_identity_when_others_go() -> None:
    code = {"system": "urn:s", "code": "need", "extension": [{"url": f"{SDC}observationExtract", "valueBoolean": True}]}
    asked = form({"linkId": "q", "type": "choice", "repeats": True, "code": [code], "answerOption": []})
    response = {"authored": "2026", "subject": {"reference": "Patient/1"}}

    def urns(*codes: str) -> list[str]:
        item = given("q", *({"valueCoding": {"code": one}} for one in codes))
        return [one.urn for one in extracted(asked, {**response, "item": [item]}, "b", "QuestionnaireResponse/1")[1]]

    first, second = urns("a", "b")
    assert urns("b") == [second]
    assert urns("c", "a")[1] == first
