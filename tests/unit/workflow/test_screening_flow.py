"""enableWhen: every operator on every type, any and all, disabled questions, groups that repeat, and circles."""

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.model.errors import RuleViolated, TooCostly
from fhir_server.workflow.screening_flow import Flow, read_given
from fhir_server.workflow.screening_form import MOST_ITEMS, Form, read_form

YES = {"system": "urn:s", "code": "y"}


def form(*items: dict[str, Any]) -> Form:
    return read_form({"resourceType": "Questionnaire", "status": "draft", "item": list(items)})


def item(link_id: str, type_: str = "string", **more: Any) -> dict[str, Any]:
    return {"linkId": link_id, "type": type_, **more}


def when(question: str, operator: str, **answer: Any) -> dict[str, Any]:
    return {"question": question, "operator": operator, **answer}


def is_open(asked: Form, link_id: str, *items: dict[str, Any]) -> bool:
    root = read_given(asked, {"item": list(items)})
    return Flow(asked, root).enabled(asked.questions[link_id], root)


def given(link_id: str, *answers: dict[str, Any]) -> dict[str, Any]:
    return {"linkId": link_id, "answer": list(answers)}


@pytest.mark.parametrize(
    ("type_", "operator", "asked", "said", "holds"),
    [
        ("boolean", "=", {"answerBoolean": True}, {"valueBoolean": True}, True),
        ("boolean", "=", {"answerBoolean": True}, {"valueBoolean": False}, False),
        ("boolean", "!=", {"answerBoolean": True}, {"valueBoolean": False}, True),
        ("integer", ">", {"answerInteger": 5}, {"valueInteger": 6}, True),
        ("integer", ">", {"answerInteger": 5}, {"valueInteger": 5}, False),
        ("integer", ">=", {"answerInteger": 5}, {"valueInteger": 5}, True),
        ("decimal", "<", {"answerDecimal": Decimal("1.5")}, {"valueDecimal": Decimal("1.4")}, True),
        ("decimal", "<=", {"answerDecimal": Decimal("1.50")}, {"valueDecimal": Decimal("1.5")}, True),
        ("decimal", "=", {"answerDecimal": Decimal("2.0")}, {"valueDecimal": 2}, True),
        ("date", "<", {"answerDate": "2026-05-01"}, {"valueDate": "2026-04-30"}, True),
        ("date", ">=", {"answerDate": "2026-05"}, {"valueDate": "2026-04-30"}, False),
        ("dateTime", ">", {"answerDateTime": "2026-05-01T10:00:00Z"}, {"valueDateTime": "2026-05-01T11:30:00+01:00"}, True),
        ("time", "<", {"answerTime": "12:00:00"}, {"valueTime": "09:30:00"}, True),
        ("string", "=", {"answerString": "a"}, {"valueString": "a"}, True),
        ("choice", "=", {"answerCoding": YES}, {"valueCoding": {**YES, "display": "Ja"}}, True),
        ("choice", "=", {"answerCoding": YES}, {"valueCoding": {"system": "urn:other", "code": "y"}}, False),
        ("choice", "=", {"answerCoding": {"code": "y"}}, {"valueCoding": YES}, True),
        ("choice", ">", {"answerCoding": YES}, {"valueCoding": YES}, False),
        ("quantity", ">", {"answerQuantity": {"value": 1, "code": "kg"}}, {"valueQuantity": {"value": 2, "code": "kg"}}, True),
        ("quantity", ">", {"answerQuantity": {"value": 1, "code": "kg"}}, {"valueQuantity": {"value": 2, "code": "g"}}, False),
        ("quantity", "=", {"answerQuantity": {"value": 2, "unit": "kg"}}, {"valueQuantity": {"value": 2, "unit": "kg"}}, True),
        ("reference", "=", {"answerReference": {"reference": "A/1"}}, {"valueReference": {"reference": "A/1"}}, True),
    ],
)  # fmt: skip
def test_each_operator_compares_answers_of_each_type(
    type_: str, operator: str, asked: dict[str, Any], said: dict[str, Any], holds: bool
) -> None:
    options = {"answerOption": []} if type_ == "choice" else {}
    both = form(item("a", type_, **options), item("b", enableWhen=[when("a", operator, **asked)]))
    assert is_open(both, "b", given("a", said)) is holds


def test_exists_asks_for_an_answer_or_for_none() -> None:
    some = form(item("a"), item("b", enableWhen=[when("a", "exists", answerBoolean=True)]))
    none = form(item("a"), item("b", enableWhen=[when("a", "exists", answerBoolean=False)]))
    assert is_open(some, "b", given("a", {"valueString": "x"}))
    assert not is_open(some, "b")
    assert is_open(none, "b")
    assert not is_open(none, "b", given("a", {"valueString": "x"}))


def test_without_an_answer_only_unequal_holds() -> None:
    for operator, holds in (("=", False), ("!=", True), (">", False), ("<=", False)):
        both = form(item("a", "integer"), item("b", enableWhen=[when("a", operator, answerInteger=1)]))
        assert is_open(both, "b") is holds


def test_one_of_several_answers_is_enough_for_equal_and_one_too_many_for_unequal() -> None:
    answers = given("a", {"valueString": "x"}, {"valueString": "y"})
    equal = form(item("a", repeats=True), item("b", enableWhen=[when("a", "=", answerString="y")]))
    unequal = form(item("a", repeats=True), item("b", enableWhen=[when("a", "!=", answerString="y")]))
    assert is_open(equal, "b", answers)
    assert not is_open(unequal, "b", answers)


def test_any_and_all_join_conditions() -> None:
    conditions = [when("a", "=", answerString="x"), when("b", "=", answerString="y")]
    for behavior, holds in (("any", True), ("all", False)):
        asked = form(item("a"), item("b"), item("c", enableWhen=conditions, enableBehavior=behavior))
        assert is_open(asked, "c", given("a", {"valueString": "x"})) is holds


def test_an_answer_to_a_question_that_is_not_enabled_counts_as_none() -> None:
    asked = form(
        item("a", "boolean"),
        item("b", enableWhen=[when("a", "=", answerBoolean=True)]),
        item("c", enableWhen=[when("b", "exists", answerBoolean=True)]),
    )
    stale = given("b", {"valueString": "x"})
    assert is_open(asked, "c", given("a", {"valueBoolean": True}), stale)
    assert not is_open(asked, "c", given("a", {"valueBoolean": False}), stale)


def test_in_a_group_that_repeats_the_nearest_answer_counts() -> None:
    asked = form(
        item("child", "group", repeats=True, item=[
            item("young", "boolean"), item("care", enableWhen=[when("young", "=", answerBoolean=True)]),
        ]),
    )  # fmt: skip
    root = read_given(asked, {"item": [
        {"linkId": "child", "item": [given("young", {"valueBoolean": young})]} for young in (True, False)
    ]})  # fmt: skip
    flow = Flow(asked, root)
    assert [flow.enabled(asked.questions["care"], child) for child in root.below] == [True, False]


@pytest.mark.parametrize(
    "items",
    [
        [item("a", enableWhen=[when("a", "exists", answerBoolean=True)])],
        [item("a", enableWhen=[when("c", "exists", answerBoolean=True)]),
         item("b", enableWhen=[when("a", "exists", answerBoolean=True)]),
         item("c", enableWhen=[when("b", "exists", answerBoolean=True)])],
        [item("g", "group", enableWhen=[when("a", "exists", answerBoolean=True)], item=[item("a")])],
    ],
)  # fmt: skip
def test_conditions_in_a_circle_are_refused_with_their_place(items: list[dict[str, Any]]) -> None:
    with pytest.raises(RuleViolated) as refusal:
        form(*items)
    assert refusal.value.issues[0].key == "form-condition-circle"
    assert refusal.value.issues[0].expression == "Questionnaire.item[0].enableWhen"


def test_a_condition_on_an_unknown_question_and_a_link_id_used_twice_are_told_together() -> None:
    with pytest.raises(RuleViolated) as refusal:
        form(item("a"), item("a"), item("b", enableWhen=[when("z", "exists", answerBoolean=True)]))
    assert [(one.key, one.expression) for one in refusal.value.issues] == [
        ("form-link-id-twice", "Questionnaire.item[1].linkId"),
        ("form-condition-unknown", "Questionnaire.item[2].enableWhen[0].question"),
    ]


def test_a_questionnaire_of_too_many_items_is_refused() -> None:
    with pytest.raises(TooCostly) as refusal:
        form(*(item(str(number)) for number in range(MOST_ITEMS + 1)))
    assert refusal.value.issues[0].key == "too-many-items"


def test_a_long_chain_of_conditions_is_followed() -> None:
    chain = [item("0"), *(
        item(str(number), enableWhen=[when(str(number - 1), "exists", answerBoolean=True)]) for number in range(1, 300)
    )]  # fmt: skip
    asked = form(*chain)
    assert is_open(asked, "299", *(given(str(number), {"valueString": "x"}) for number in range(300)))
