"""A response is held against its questionnaire: each fault is told once, at its element."""

import time
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.model.errors import TooCostly
from fhir_server.workflow.screening_answers import check_answers
from fhir_server.workflow.screening_form import HL7, MOST_ITEMS, Form, read_form

QR = "QuestionnaireResponse"
RED = {"system": "urn:s", "code": "red"}


def item(link_id: str, type_: str = "string", **more: Any) -> dict[str, Any]:
    return {"linkId": link_id, "type": type_, **more}


def given(link_id: str, *answers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"linkId": link_id, **({"answer": list(answers)} if answers else {}), **more}


def form(*items: dict[str, Any], **more: Any) -> Form:
    return read_form({"resourceType": "Questionnaire", "status": "draft", "item": list(items), **more})


def faults(asked: Form, *items: dict[str, Any], status: str = "completed", **more: Any) -> list[tuple[str, str, str]]:
    response = {"resourceType": QR, "status": status, "item": list(items), **more}
    found = check_answers(asked, response, lambda value_set, coding: {"urn:vs": coding["code"] == "red"}.get(value_set))
    return [(one.key, one.expression, one.severity) for one in found]


def test_a_right_response_has_no_fault() -> None:
    asked = form(
        item("g", "group", item=[item("a", "integer", required=True), item("b", "decimal")]), item("c", "display")
    )
    assert (
        faults(asked, {"linkId": "g", "item": [given("a", {"valueInteger": 1}), given("b", {"valueDecimal": 2})]}) == []
    )


def test_unknown_misplaced_and_disordered_items_are_told_at_their_place() -> None:
    asked = form(item("a"), item("b"), item("g", "group", item=[item("inner")]))
    assert faults(asked, given("b", {"valueString": "x"}), given("a", {"valueString": "x"})) == [
        ("response-order", f"{QR}.item[1]", "error")
    ]
    assert faults(asked, given("aa", {"valueString": "x"})) == [
        ("response-unknown-item", f"{QR}.item[0].linkId", "error")
    ]
    assert faults(asked, given("inner", {"valueString": "x"})) == [
        ("response-misplaced-item", f"{QR}.item[0].linkId", "error")
    ]
    nested = given("a", {"valueString": "x"}, item=[given("b", {"valueString": "x"})])
    assert ("response-misplaced-item", f"{QR}.item[0].item", "error") in faults(asked, nested)


def test_an_unknown_item_is_told_with_what_is_near() -> None:
    found = check_answers(form(item("colour")), {"item": [given("color", {"valueString": "x"})]}, lambda *_: None)
    assert "Did you mean 'colour'?" in found[0].diagnostics


def test_required_questions_are_asked_while_they_are_enabled() -> None:
    condition = [{"question": "a", "operator": "=", "answerBoolean": True}]
    asked = form(item("a", "boolean", required=True), item("b", required=True, enableWhen=condition))
    assert faults(asked) == [("response-incomplete", QR, "error")]
    assert faults(asked, given("a", {"valueBoolean": False})) == []
    assert faults(asked, given("a", {"valueBoolean": True})) == [("response-incomplete", QR, "error")]
    assert faults(asked, given("a", {"valueBoolean": True}), given("b")) == [
        ("response-incomplete", f"{QR}.item[1]", "error")
    ]
    stale = faults(asked, given("a", {"valueBoolean": False}), given("b", {"valueString": "x"}))
    assert stale == [("response-not-enabled", f"{QR}.item[1]", "error")]


def test_what_is_missing_from_an_unfinished_response_is_a_warning() -> None:
    asked = form(item("a", required=True), item("g", "group", item=[item("b", required=True)]))
    assert faults(asked, status="in-progress") == [("response-incomplete", QR, "warning")] * 2
    assert faults(asked, given("a", {"valueInteger": 1}), status="in-progress")[0] == (
        "answer-type", f"{QR}.item[0].answer[0].value", "error",
    )  # fmt: skip


def test_what_is_required_in_a_group_that_is_absent_is_missed() -> None:
    inner = item("g", "group", item=[item("a", required=True)])
    assert faults(form(inner)) == [("response-incomplete", QR, "error")]
    assert faults(form({**inner, "required": True})) == [("response-incomplete", QR, "error")]
    assert faults(form({**inner, "repeats": True})) == []


def test_what_does_not_repeat_stands_once() -> None:
    one, two = {"valueString": "x"}, {"valueString": "y"}
    assert faults(form(item("a")), given("a", one, two)) == [("response-too-many", f"{QR}.item[0].answer[1]", "error")]
    assert faults(form(item("a")), given("a", one), given("a", two)) == [
        ("response-too-many", f"{QR}.item[1]", "error")
    ]
    assert faults(form(item("a", repeats=True)), given("a", one, two)) == []
    group = item("g", "group", item=[item("a")])
    twice = [{"linkId": "g", "item": [given("a", one)]}] * 2
    assert faults(form(group), *twice) == [("response-too-many", f"{QR}.item[1]", "error")]
    assert faults(form({**group, "repeats": True}), *twice) == []
    limit = [{"url": HL7 + "questionnaire-maxOccurs", "valueInteger": 1}]
    assert faults(form(item("a", repeats=True, extension=limit)), given("a", one, two)) == [
        ("response-too-many", f"{QR}.item[0]", "error")
    ]


def test_a_group_and_a_display_have_no_answer() -> None:
    for type_ in ("group", "display"):
        assert faults(form(item("g", type_)), given("g", {"valueString": "x"})) == [
            ("response-answered-group", f"{QR}.item[0].answer", "error")
        ]


@pytest.mark.parametrize(
    ("question", "answer", "key"),
    [
        (item("a", "boolean"), {"valueString": "x"}, "answer-type"),
        (item("a", "decimal"), {"valueInteger": 1}, ""),
        (item("a", "integer"), {"valueDecimal": Decimal(1)}, "answer-type"),
        (item("a", "url"), {"valueUri": "urn:x"}, ""),
        (item("a", "choice", answerOption=[{"valueCoding": RED}]), {"valueCoding": {**RED, "display": "Rood"}}, ""),
        (item("a", "choice", answerOption=[{"valueCoding": RED}]), {"valueCoding": {**RED, "code": "blue"}},
         "answer-not-an-option"),
        (item("a", "choice", answerOption=[{"valueInteger": 1}]), {"valueInteger": 1}, ""),
        (item("a", "choice", answerOption=[{"valueCoding": RED}]), {"valueString": "x"}, "answer-not-an-option"),
        (item("a", "open-choice", answerOption=[{"valueCoding": RED}]), {"valueString": "x"}, ""),
        (item("a", "choice", answerValueSet="urn:vs"), {"valueCoding": RED}, ""),
        (item("a", "choice", answerValueSet="urn:vs"), {"valueCoding": {"code": "blue"}}, "answer-not-an-option"),
        (item("a", "choice", answerValueSet="urn:other"), {"valueCoding": RED}, "answer-not-checked"),
        (item("a", maxLength=3), {"valueString": "long"}, "answer-out-of-bounds"),
        (item("a", extension=[{"url": HL7 + "minLength", "valueInteger": 9}]), {"valueString": "x"}, "answer-out-of-bounds"),
        (item("a", "integer", extension=[{"url": HL7 + "minValue", "valueInteger": 0}]), {"valueInteger": -1},
         "answer-out-of-bounds"),
        (item("a", "integer", extension=[{"url": HL7 + "maxValue", "valueInteger": 10}]), {"valueInteger": 10}, ""),
        (item("a", "date", extension=[{"url": HL7 + "maxValue", "valueDate": "2026-01-01"}]), {"valueDate": "2026-01-02"},
         "answer-out-of-bounds"),
        (item("a", "time", extension=[{"url": HL7 + "minValue", "valueTime": "08:00:00"}]), {"valueTime": "07:00:00"},
         "answer-out-of-bounds"),
        (item("a", "decimal", extension=[{"url": HL7 + "maxDecimalPlaces", "valueInteger": 1}]),
         {"valueDecimal": Decimal("1.25")}, "answer-out-of-bounds"),
    ],
)  # fmt: skip
def test_each_answer_is_of_the_type_the_options_and_the_bounds_of_its_question(
    question: dict[str, Any], answer: dict[str, Any], key: str
) -> None:
    found = faults(form(question), given("a", answer))
    assert [one[:2] for one in found] == ([(key, f"{QR}.item[0].answer[0].value")] if key else [])


def test_the_subject_is_of_the_kind_that_the_questionnaire_is_about() -> None:
    asked = form(item("a"), subjectType=["Patient"])
    assert faults(asked) == [("response-subject", QR, "error")]
    assert faults(asked, subject={"reference": "Patient/1"}) == []
    assert faults(asked, subject={"reference": "urn:uuid:1"}) == []
    assert faults(asked, subject={"reference": "http://x.org/fhir/Group/1"}) == [
        ("response-subject", f"{QR}.subject", "error")
    ]


def test_a_response_of_too_many_items_is_refused_before_it_is_read() -> None:
    with pytest.raises(TooCostly):
        faults(form(item("a")), *(given("a", {"valueString": "x"}) for _ in range(MOST_ITEMS + 1)))


def test_looking_for_what_is_near_ends_when_it_becomes_long() -> None:
    asked = form(*(item(f"question-number-{number}") for number in range(MOST_ITEMS)))
    strange = [given(f"question-nmber-{number}") for number in range(MOST_ITEMS)]
    start = time.monotonic()
    found = check_answers(asked, {"item": strange}, lambda *_: None)
    assert time.monotonic() - start < 10
    hints = ["Did you mean" in one.diagnostics for one in found]
    assert len(hints) == MOST_ITEMS
    assert hints[:2] == [True, True]
    assert sum(hints) < 10
