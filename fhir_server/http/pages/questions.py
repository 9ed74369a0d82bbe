"""What of a Questionnaire is asked with the answers so far, and the QuestionnaireResponse that these answers are.

Without scripts a question that depends on another appears when the form is sent to be looked at again; what is hidden counts
for nothing, neither in a condition nor in the response.
"""

import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from fhir_server.http.pages.visit import Form
from fhir_server.http.pages.words import NEED
from fhir_server.model.resource import Resource

Answers = dict[str, list[str]]
"""By linkId what was answered, as the form sends it."""
KEPT: Final = "kept/"
"""Before the names of what was filled in on another page: no answer."""
_TRANSLATION: Final = "http://hl7.org/fhir/StructureDefinition/translation"
_LEAST: Final = "http://hl7.org/fhir/StructureDefinition/minValue"
_MOST: Final = "http://hl7.org/fhir/StructureDefinition/maxValue"
_CALCULATED: Final = "sdc-questionnaire-calculatedExpression"
_NUMBERS: Final = frozenset({"integer", "decimal"})
_SHOWN: Final = frozenset(
    {"boolean", "choice", "open-choice", "integer", "decimal", "string", "text", "date", "display", "group"}
)
"""Types of items that the pages ask; others are left out."""
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


class Option(NamedTuple):
    """One answer to choose; `value` is what the form sends, `need` the code of a need that it stands for."""

    value: str
    display: str
    need: str


class Question(NamedTuple):
    """An item as it stands in the form."""

    id: str
    kind: str
    text: str
    required: bool
    repeats: bool
    options: list[Option]
    answers: list[str]
    wrong: bool


def answers_in(form: Form) -> Answers:
    """Return all answers of a form, those to questions that are hidden by now too."""
    found: Answers = {}
    for name, value in form.pairs:
        text = value.replace("\r\n", "\n").strip()
        if text and not name.startswith(KEPT):
            found.setdefault(name, []).append(text)
    return found


def answers_of(response: Resource) -> Answers:
    """Return the answers of a response as a form would send them."""
    found: Answers = {}
    for item in response.get("item", ()):
        for name, texts in answers_of(item).items():
            found.setdefault(name, []).extend(texts)
        for answer in item.get("answer", ()):
            found.setdefault(item["linkId"], []).append(_value(answer))
            for name, texts in answers_of(answer).items():
                found.setdefault(name, []).extend(texts)
    return found


def asked(items: Iterable[Resource], answers: Answers, language: str, *, complete: bool) -> Iterator[Question]:
    """Yield what is asked with these answers; `complete` marks what is required and missing, or cannot be.

    The answers to what is hidden are taken out of `answers` on the way.
    """
    for item in items:
        hidden = item["type"] not in _SHOWN or not _enabled(item, answers)
        if hidden or any(_CALCULATED in one.get("url", "") for one in item.get("extension", ())):
            _forget(item, answers)
            continue
        given = answers.get(item["linkId"], [])
        wrong = complete and item["type"] not in ("group", "display") and not _sound(item, given)
        yield Question(
            item["linkId"],
            "choice" if item.get("answerOption") else item["type"],
            text_of(item, "text", language),
            bool(item.get("required")),
            bool(item.get("repeats")),
            [_option(one, language) for one in item.get("answerOption", ())],
            given,
            wrong,
        )
        yield from asked(item.get("item", ()), answers, language, complete=complete)


def response_of(questionnaire: Resource, answers: Answers, shown: Collection[str]) -> Resource:
    """Return the completed response of sound answers to the questions that are `shown`, by linkId; it is about nobody yet."""
    version = questionnaire.get("version")
    canonical = str(questionnaire.get("url", "")) + (f"|{version}" if version else "")
    items = list(_given(questionnaire.get("item", ()), answers, shown))
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": canonical,
        "status": "completed",
        **({"item": items} if items else {}),
    }


def text_of(element: Resource, name: str, language: str) -> str:
    """Return a text in a language: its translation when there is one, else as it is."""
    for one in (element.get(f"_{name}") or {}).get("extension", ()):
        if one.get("url") == _TRANSLATION:
            parts = {
                part["url"]: next((v for k, v in part.items() if k.startswith("value")), "")
                for part in one["extension"]
            }
            if str(parts.get("lang", "")).partition("-")[0] == language:
                return str(parts.get("content", ""))
    return str(element.get(name, ""))


def _forget(item: Resource, answers: Answers) -> None:
    answers.pop(item["linkId"], None)
    for below in item.get("item", ()):
        _forget(below, answers)


def _given(items: Iterable[Resource], answers: Answers, shown: Collection[str]) -> Iterator[Resource]:
    """Yield the items of a response, in the order of the questionnaire."""
    for item in items:
        name = item["linkId"]
        if name not in shown or item["type"] == "display":
            continue
        below = list(_given(item.get("item", ()), answers, shown))
        if item["type"] == "group":
            if below:
                yield {"linkId": name, "item": below}
            continue
        values = [_answer(item, text) for text in answers.get(name, ())[: None if item.get("repeats") else 1]]
        if values:
            if below:  # what is asked within a question stands below its answer
                values[0]["item"] = below
            yield {"linkId": name, "answer": values}


def _answer(item: Resource, text: str) -> Resource:
    for option in item.get("answerOption", ()):
        if _value(option) == text:
            name, value = _member(option)
            bare = {key: part for key, part in value.items() if key in _CODING} if isinstance(value, dict) else value
            return {name: bare}
    match item["type"]:
        case "boolean":
            return {"valueBoolean": text == "true"}
        case "integer":
            return {"valueInteger": int(_number(text) or 0)}
        case "decimal":
            return {"valueDecimal": _number(text)}
        case "date":
            return {"valueDate": text}
        case _:
            return {"valueString": text}


_CODING: Final = ("system", "version", "code", "display", "reference", "type")


def _sound(item: Resource, answers: list[str]) -> bool:
    if not answers:
        return not item.get("required")
    if item.get("answerOption"):
        return set(answers) <= {_value(one) for one in item["answerOption"]}
    if item["type"] in _NUMBERS:
        number = _number(answers[0])
        whole = number is not None and (item["type"] == "decimal" or number == number.to_integral_value())
        return whole and all(compare(number, bound) for compare, bound in _bounds(item))
    if item["type"] == "boolean":
        return answers[0] in ("true", "false")
    return item["type"] != "date" or is_day(answers[0])


def is_day(text: str) -> bool:
    """Tell whether a text is a day as a date field sends it."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _bounds(item: Resource) -> Iterator[tuple[Callable[[Any, Any], bool], Decimal]]:
    """Yield what a number is compared with (extensions minValue and maxValue)."""
    for one in item.get("extension", ()):
        compare = {_LEAST: operator.ge, _MOST: operator.le}.get(one.get("url", ""))
        bound = next((value for name, value in one.items() if name.startswith("value")), None)
        if compare is not None and bound is not None:
            yield compare, Decimal(str(bound))


def _enabled(item: Resource, answers: Answers) -> bool:
    """Tell whether an item is asked (R4 questionnaire.html, enableWhen)."""
    conditions = item.get("enableWhen", ())
    if not conditions:
        return True
    held = [_holds(one, answers.get(one["question"], [])) for one in conditions]
    return all(held) if item.get("enableBehavior") == "all" else any(held)


def _holds(condition: Resource, answers: list[str]) -> bool:
    if condition["operator"] == "exists":
        return bool(answers) is condition["answerBoolean"]
    wanted = _text(next(value for name, value in condition.items() if name.startswith("answer")))
    compare = _COMPARE[condition["operator"]]
    number = _number(wanted)
    if number is None or condition["operator"] in ("=", "!="):
        return any(compare(answer, wanted) for answer in answers)
    return any((given := _number(answer)) is not None and compare(given, number) for answer in answers)


def _option(option: Resource, language: str) -> Option:
    coding = option.get("valueCoding") or {}
    need = str(coding.get("code", "")) if coding.get("system") == NEED else ""
    display = text_of(coding, "display", language) if coding else _value(option)
    return Option(_value(option), display or _value(option), need)


def _member(option: Resource) -> tuple[str, Any]:
    return next((name, value) for name, value in option.items() if name.startswith("value"))


def _value(option: Resource) -> str:
    return _text(_member(option)[1])


def _text(value: Any) -> str:
    """Return an answer as the form sends it."""
    if isinstance(value, dict):
        return f"{value.get('system', '')}|{value.get('code', '')}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.replace(",", "."))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
