"""The response that a filled-in form is: items where the questionnaire has them, values of their type, nothing that is hidden."""

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.http.pages.questions import answers_in, asked, response_of
from fhir_server.http.pages.visit import Form

CODING = {"system": "urn:x", "code": "a", "display": "A"}
FORM: dict[str, Any] = {
    "url": "https://example.org/Questionnaire/form",
    "version": "2",
    "item": [
        {"linkId": "intro", "type": "display", "text": "Hello"},
        {"linkId": "group", "type": "group", "item": [
            {"linkId": "yes", "type": "boolean", "item": [{"linkId": "since", "type": "date"}]},
            {"linkId": "how-often", "type": "integer", "enableWhen": [{"question": "yes", "operator": "=", "answerBoolean": True}]},
            {"linkId": "why", "type": "text", "enableWhen": [{"question": "how-often", "operator": "exists", "answerBoolean": True}]},
        ]},
        {"linkId": "weight", "type": "decimal"},
        {"linkId": "pick", "type": "choice", "repeats": True, "answerOption": [
            {"valueCoding": CODING | {"extension": [{"url": "urn:e", "valueInteger": 1}]}}, {"valueCoding": {"system": "urn:x", "code": "b"}},
        ]},
        {"linkId": "size", "type": "choice", "answerOption": [{"valueInteger": 1}, {"valueInteger": 2}]},
        {"linkId": "sum", "type": "integer", "extension": [
            {"url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression"}]},
        {"linkId": "empty", "type": "group", "item": [{"linkId": "never", "type": "string"}]},
        {"linkId": "photo", "type": "attachment"},
    ],
}  # fmt: skip


def filled(*pairs: tuple[str, str]) -> dict[str, Any]:
    answers = answers_in(Form(pairs))
    shown = {one.id for one in asked(FORM["item"], answers, "en", complete=True)}
    return response_of(FORM, answers, shown)


def test_each_answer_has_its_type_and_stands_in_its_place() -> None:
    response = filled(
        ("pick", "urn:x|b"), ("pick", "urn:x|a"), ("weight", "70,50"), ("size", "2"), ("yes", "true"), ("since", "2026-01-02"),
        ("how-often", "3"), ("why", " first\r\nsecond "), ("sum", "9"), ("photo", "x"), ("csrf", "y"),
    )  # fmt: skip
    assert response["questionnaire"] == "https://example.org/Questionnaire/form|2"
    assert response["status"] == "completed"
    assert response["item"] == [
        {"linkId": "group", "item": [
            {"linkId": "yes", "answer": [{"valueBoolean": True, "item": [{"linkId": "since", "answer": [{"valueDate": "2026-01-02"}]}]}]},
            {"linkId": "how-often", "answer": [{"valueInteger": 3}]},
            {"linkId": "why", "answer": [{"valueString": "first\nsecond"}]},
        ]},
        {"linkId": "weight", "answer": [{"valueDecimal": Decimal("70.50")}]},
        {"linkId": "pick", "answer": [{"valueCoding": {"system": "urn:x", "code": "b"}}, {"valueCoding": CODING}]},
        {"linkId": "size", "answer": [{"valueInteger": 2}]},
    ]  # fmt: skip


def test_what_is_hidden_counts_for_nothing_not_even_in_a_condition() -> None:
    response = filled(("yes", "false"), ("how-often", "3"), ("why", "because"))
    assert response["item"] == [{"linkId": "group", "item": [{"linkId": "yes", "answer": [{"valueBoolean": False}]}]}]


def test_no_answer_at_all_is_a_response_without_items() -> None:
    assert "item" not in filled(("weight", "  "))


@pytest.mark.parametrize(
    ("name", "text"),
    [("yes", "maybe"), ("since", "2026-02-30"), ("how-often", "1.5"), ("how-often", "NaN"), ("weight", "heavy"),
     ("pick", "urn:x|z"), ("size", "3")],
)  # fmt: skip
def test_an_answer_that_cannot_be_is_marked(name: str, text: str) -> None:
    answers = answers_in(Form((("yes", "true"), (name, text)) if name != "yes" else ((name, text),)))
    wrong = [one.id for one in asked(FORM["item"], answers, "en", complete=True) if one.wrong]
    assert wrong == [name]
