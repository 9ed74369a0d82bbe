"""What a rule of the workflow says is known in every language."""

import ast
import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from fhir_server.model.issue import Issue
from fhir_server.validation.phrases import LONGEST, _content, rephrased
from fhir_server.validation.wording import outcome_in
from fhir_server.workflow.keys import RULES

ROOT = Path(__file__).parents[3]
WORKFLOW = ROOT / "fhir_server/workflow"
ISSUE_KEYS = {
    one["code"]
    for one in json.loads((ROOT / "terminology/code-systems/CodeSystem-issue-key.json").read_bytes())["concept"]
}
LISTED = [(key, said) for key, listed in _content()["phrases"].items() for said in listed]


def texts(node: ast.expr, function: ast.AST) -> Iterator[str]:
    """Yield what an expression can say, with "x" for each value that only a running rule knows."""
    match node:
        case ast.Constant(str(value)):
            yield value
        case ast.JoinedStr(values):
            parts = [tuple(texts(value, function)) for value in values]
            yield from map("".join, product(*parts))
        case ast.FormattedValue(ast.IfExp(_, ast.Constant(str(one)), ast.Constant(str(other)))):
            yield from (one, other)
        case ast.FormattedValue():
            yield "x"
        case ast.Name(name):
            for each in ast.walk(function):
                if isinstance(each, ast.Assign) and getattr(each.targets[0], "id", "") == name:
                    yield from texts(each.value, function)
        case _:
            return


def said_by_rules() -> Iterator[tuple[str, str]]:
    for path in sorted(WORKFLOW.glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("violation", "refusal"):
                    key = call.args[0].value if isinstance(call.args[0], ast.Constant) else ""
                    yield from ((str(key), text) for text in texts(call.args[1], function))


@pytest.mark.parametrize("language", ["nl", "fr"])
def test_each_text_of_a_rule_has_its_phrase(language: str) -> None:
    found = set(said_by_rules())
    assert len(found) > 20
    missing = [
        (key, text)
        for key, text in found
        if all(rephrased(one, text, language) is None for one in ([key] if key else RULES))
    ]
    assert missing == [], "add them to fhir_server/validation/messages/phrases.json"


@pytest.mark.parametrize(("key", "said"), LISTED)
def test_a_phrase_has_the_same_holes_in_each_language(key: str, said: dict[str, str]) -> None:
    assert set(said) == {"en", "nl", "fr"}
    holes = [sorted(set(re.findall(r"{\w+}", text))) for text in said.values()]
    assert holes[0] == holes[1] == holes[2], key
    assert not key or key == "list" or key in {*RULES, *ISSUE_KEYS, "if-match-required"}


def test_parts_lists_and_actors_of_a_phrase_are_said_too() -> None:
    text = (
        "A referral leaves only with an active Consent of Patient/p. None of the Consents found permits it: Consent/a: its "
        "status is draft, not active; Consent/b: it denies. Record an active Consent (scope patient-privacy, this patient, "
        "a period that covers today) in the store or in the same Bundle and name it in ServiceRequest.supportingInfo."
    )
    assert "Consent/a: de status is draft, niet active; Consent/b: ze weigert." in str(
        rephrased("consent-missing", text, "nl")
    )
    moved = "A Task does not go from draft to completed. From draft, the owner and requester may set it to {}."
    for legal, dutch in (("requested or cancelled", "requested of cancelled"), ("nothing else", "niets anders")):
        assert str(rephrased("task-transition", moved.format(legal), "nl")).endswith(
            f"Vanuit draft mag de eigenaar en aanvrager er dit van maken: {dutch}."
        )
    other = "A Task does not go from draft to completed. From open, the owner may set it to x."
    assert rephrased("task-transition", other, "nl") is None


def test_a_text_that_quotes_without_end_is_not_searched() -> None:
    assert rephrased("task-transition", "A " + "x" * LONGEST, "nl") is None


def test_the_language_of_an_outcome_is_what_its_texts_are_in() -> None:
    known = Issue("task-claim", "business-rule", "This Task is in the pool; your version of it has no owner. Take it by setting owner to Organization/a, or leave it for others.")  # fmt: skip
    plain = Issue("x", "invalid", "As it is.")
    assert outcome_in([known], "nl")[1] == "nl"
    assert "heeft geen eigenaar" in outcome_in([known], "nl")[0][0].diagnostics
    assert outcome_in([known, plain], "fr-BE")[1] == "fr, en"
    assert outcome_in([plain], "nl") == ((plain,), "en")
    assert outcome_in([known], "") == ((known,), "en")
    assert outcome_in([known], "es") == ((known,), "en")
