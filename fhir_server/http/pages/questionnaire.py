"""Asking instead of ticking: a Questionnaire is filled in, and the needs that were answered lead to the services.

Nothing of the answers is kept: there is no person yet. Without scripts a question that depends on another appears when the
form is sent to be looked at again; what is hidden counts for nothing.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from fastapi import Response

from fhir_server.http.pages.visit import Form, Visit, check_referrer
from fhir_server.http.pages.words import NEED
from fhir_server.model.resource import Resource

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


async def show(visit: Visit) -> Response:
    """Show an empty questionnaire."""
    check_referrer(visit)
    return await _page(visit, await _read(visit), complete=False)


async def send(visit: Visit) -> Response:
    """Look at what was answered: ask what follows from it, or go on to the services with the needs."""
    check_referrer(visit)
    resource = await _read(visit)
    asked = list(_asked(resource.get("item", ()), visit.form, visit.texts.language, complete=True))
    if visit.form.one("do") != "go-on" or any(one.wrong for one in asked):
        return await _page(visit, resource, complete=visit.form.one("do") == "go-on")
    needs = dict.fromkeys(
        option.need for one in asked for option in one.options if option.need and option.value in one.answers
    )
    return visit.see_other(f"/refer?{urlencode([('need', need) for need in needs])}")


async def offered(visit: Visit) -> list[tuple[str, str]]:
    """Return the questionnaires that lead to needs: id and title."""
    found = await visit.fhir.search("Questionnaire", ("status", "active"), ("_sort", "title"), ("_count", "100"))
    return [
        (one["id"], _said(one, "title", visit.texts.language)) for one in found.matches if _leads(one.get("item", ()))
    ]


async def _read(visit: Visit) -> Resource:
    return await visit.fhir.read(f"Questionnaire/{visit.path('id')}")


async def _page(visit: Visit, resource: Resource, *, complete: bool) -> Response:
    asked = list(_asked(resource.get("item", ()), visit.form, visit.texts.language, complete=complete))
    wrong = any(one.wrong for one in asked)
    return await visit.page(
        "questionnaire.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK,
        title=_said(resource, "title", visit.texts.language),
        description=_said(resource, "description", visit.texts.language),
        questions=asked,
        wrong=[visit.texts("questionnaire.missing")] if wrong else [],
    )


def _asked(items: Iterable[Resource], form: Form, language: str, *, complete: bool) -> Iterator[Question]:
    """Yield what is asked with these answers; `complete` marks what is required and missing, or cannot be."""
    for item in items:
        hidden = item["type"] not in _SHOWN or not _enabled(item, form)
        if hidden or any(_CALCULATED in one.get("url", "") for one in item.get("extension", ())):
            continue
        answers = form.all(item["linkId"])
        wrong = complete and item["type"] not in ("group", "display") and not _sound(item, answers)
        yield Question(
            item["linkId"],
            "choice" if item.get("answerOption") else item["type"],
            _said(item, "text", language),
            bool(item.get("required")),
            bool(item.get("repeats")),
            [_option(one, language) for one in item.get("answerOption", ())],
            answers,
            wrong,
        )
        yield from _asked(item.get("item", ()), form, language, complete=complete)


def _sound(item: Resource, answers: list[str]) -> bool:
    if not answers:
        return not item.get("required")
    if item["type"] in _NUMBERS:
        number = _number(answers[0])
        return number is not None and all(compare(number, bound) for compare, bound in _bounds(item))
    return not item.get("answerOption") or set(answers) <= {_value(one) for one in item["answerOption"]}


def _bounds(item: Resource) -> Iterator[tuple[Callable[[Any, Any], bool], Decimal]]:
    """Yield what a number is compared with (extensions minValue and maxValue)."""
    for one in item.get("extension", ()):
        compare = {_LEAST: operator.ge, _MOST: operator.le}.get(one.get("url", ""))
        bound = next((value for name, value in one.items() if name.startswith("value")), None)
        if compare is not None and bound is not None:
            yield compare, Decimal(str(bound))


def _enabled(item: Resource, form: Form) -> bool:
    """Tell whether an item is asked (R4 questionnaire.html, enableWhen)."""
    conditions = item.get("enableWhen", ())
    if not conditions:
        return True
    held = [_holds(one, form.all(one["question"])) for one in conditions]
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
    display = _said(coding, "display", language) if coding else _value(option)
    return Option(_value(option), display or _value(option), need)


def _value(option: Resource) -> str:
    return _text(next(value for name, value in option.items() if name.startswith("value")))


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


def _leads(items: Iterable[Resource]) -> bool:
    return any(
        any((one.get("valueCoding") or {}).get("system") == NEED for one in item.get("answerOption", ()))
        or _leads(item.get("item", ()))
        for item in items
    )


def _said(element: Resource, name: str, language: str) -> str:
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
