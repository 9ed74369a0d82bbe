"""What is said of answers to a questionnaire is known in every language, whichever of its forms it takes."""

import ast
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from fhir_server.validation.phrases import rephrased
from fhir_server.workflow.screening_answers import check_answers
from fhir_server.workflow.screening_form import HL7, read_form

SERVER = Path(__file__).parents[3] / "fhir_server"
SOURCES = (
    *(SERVER / f"workflow/screening_{name}.py" for name in ("answers", "values", "form", "scores", "expressions")),
    *(SERVER / f"interactions/operations/{name}.py" for name in ("questionnaire_for", "refer_answers")),
)
REFUSALS = {"RuleViolated", "TooCostly", "Issue", "issue", "_out"}


def texts(node: ast.expr, function: ast.AST) -> Iterator[str]:
    """Yield every form that a text can take, with "x" for what only a running check knows."""
    match node:
        case ast.Constant(str(value)):
            yield value
        case ast.JoinedStr(values):
            yield from map("".join, product(*(tuple(texts(value, function)) for value in values)))
        case ast.BinOp(left, ast.Add(), right):
            yield from map("".join, product(texts(left, function), texts(right, function)))
        case ast.IfExp(_, one, other):
            yield from (*texts(one, function), *texts(other, function))
        case ast.Call(ast.Attribute(attr="_near")):
            yield from ("", " Did you mean 'x'?")
        case ast.FormattedValue(value):
            yield from list(texts(value, function)) or ["x"]
        case ast.Name(name):
            assigned = [
                each
                for each in ast.walk(function)
                if isinstance(each, ast.Assign)
                and getattr(each.targets[0], "id", "") == name
                and each.lineno < getattr(node, "lineno", 0)
            ]
            if assigned:  # the last one above
                yield from texts(max(assigned, key=lambda each: each.lineno).value, function)
            for each in ast.walk(function):  # a loop over rows that are written out
                names = [getattr(one, "id", "") for one in getattr(getattr(each, "target", None), "elts", ())]
                if isinstance(each, ast.For) and name in names and isinstance(each.iter, ast.Tuple):
                    rows = (row.elts for row in each.iter.elts if isinstance(row, ast.Tuple))
                    yield from (text for row in rows for text in texts(row[names.index(name)], function))
        case _:
            return


def said() -> Iterator[tuple[str, str]]:
    """Yield key and text of each refusal in the sources."""
    for path in SOURCES:
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef) or function.name == "_out":
                continue
            for call in ast.walk(function):
                name = getattr(call.func, "id", "") if isinstance(call, ast.Call) else ""
                if isinstance(call, ast.Call) and name in REFUSALS and call.args:
                    yield from ((key, text) for key, node in [spoken(call, name)] for text in texts(node, function))


def spoken(call: ast.Call, name: str) -> tuple[str, ast.expr]:
    """Return key and text of one call."""
    if name == "Issue":
        return str(getattr(call.args[0], "value", "")), call.args[2]
    if name == "_out":
        return "answer-out-of-bounds", ast.BinOp(ast.Constant("The answer to x "), ast.Add(), ast.BinOp(call.args[1], ast.Add(), ast.Constant(".")))  # fmt: skip
    if name == "issue":
        return "refer-input", call.args[0]
    return next(str(getattr(one.value, "value", "")) for one in call.keywords if one.arg == "key"), call.args[0]


@pytest.mark.parametrize("language", ["nl", "fr"])
def test_each_refusal_of_answers_has_its_phrase(language: str) -> None:
    found = set(said())
    keys = {key for key, _ in found}
    assert len(found) > 40
    assert {"response-subject", "response-too-many", "answer-out-of-bounds", "refer-response", "refer-input"} <= keys
    missing = [one for one in found if rephrased(*one, language) is None]
    assert missing == [], "add them to fhir_server/validation/messages/phrases.json"


def test_what_is_found_and_what_is_meant_stay_as_they_are() -> None:
    coded = {"system": "urn:s", "code": "and"}
    form = read_form({"resourceType": "Questionnaire", "status": "draft", "subjectType": ["Patient", "Group"], "item": [
        {"linkId": "colour", "type": "choice", "answerOption": [{"valueCoding": coded}, *({"valueCoding": coded | {"code": f"c{n}"}} for n in range(9))]},
        {"linkId": "age", "type": "integer", "extension": [{"url": HL7 + "maxValue", "valueInteger": 120}]},
        {"linkId": "g", "type": "group", "item": [{"linkId": "inner", "type": "string", "required": True}]},
    ]})  # fmt: skip
    response = {"resourceType": "QuestionnaireResponse", "status": "completed", "item": [
        {"linkId": "colour", "answer": [{"valueCoding": {"code": "blue"}}]}, {"linkId": "age", "answer": [{"valueInteger": 121}]},
        {"linkId": "coulour"}, {"linkId": "inner"},
    ]}  # fmt: skip
    issues = check_answers(form, response, lambda *_: None)
    told = [str(rephrased(one.key, one.diagnostics, "nl")) for one in issues]
    assert told == [
        "De vragenlijst gaat over een Patient of Group; de antwoorden noemen niemand. Voeg subject toe.",
        "'blue' is geen van de antwoorden op 'colour'. Kies uit 'and', 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6' en nog 2.",
        "Het antwoord op 'age' is 121; het meeste is 120.",
        "De vragenlijst heeft geen item 'coulour'. Is 'colour' bedoeld?",
        "Het item 'inner' staat binnen 'g', niet bovenaan.",
        "'inner' moet beantwoord worden.",
    ]
    assert all(rephrased(one.key, one.diagnostics, "fr") for one in issues)
