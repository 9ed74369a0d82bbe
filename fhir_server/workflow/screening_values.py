"""Whether one answer is one that its question takes: its type, its options or value set, and its bounds."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from fhir_server.model.issue import Issue, IssueCode
from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal
from fhir_server.workflow.screening_flow import same, value_of
from fhir_server.workflow.screening_form import HL7, Question, extension

Membership = Callable[[str, Resource], bool | None]
"""(value set, Coding) → whether it is a member; None when the value set is not known here."""

TYPES: Final[dict[str, tuple[str, ...]]] = {
    "boolean": ("valueBoolean",),
    "decimal": ("valueDecimal", "valueInteger"),
    "integer": ("valueInteger",),
    "date": ("valueDate",),
    "dateTime": ("valueDateTime",),
    "time": ("valueTime",),
    "string": ("valueString",),
    "text": ("valueString",),
    "url": ("valueUri",),
    "choice": ("valueCoding", "valueInteger", "valueDate", "valueTime", "valueString", "valueReference"),
    "open-choice": ("valueCoding", "valueInteger", "valueDate", "valueTime", "valueString", "valueReference"),
    "attachment": ("valueAttachment",),
    "reference": ("valueReference",),
    "quantity": ("valueQuantity",),
}
"""Kind of question → the members that may hold its answer (R4 questionnaireresponse.html#answer). A whole number is a decimal too."""
_SHOWN: Final = 8


def check_value(question: Question, answer: Resource, path: str, belongs: Membership) -> Iterator[Issue]:
    """Yield what is wrong with an answer that has a value; `path` is the expression of the answer."""
    name, value = value_of(answer)
    allowed = TYPES.get(question.type, ())
    here = f"{path}.value"
    if name not in allowed:
        wanted = " or ".join(allowed) if question.type not in ("choice", "open-choice") else "valueCoding"
        text = f"{question.link_id!r} is a question of type {question.type}: answer with {wanted}; found {name}."
        yield Issue("answer-type", "value", text, here)
        return
    if question.type in ("choice", "open-choice"):
        yield from _chosen(question, (name, value), here, belongs)
    yield from _bounds(question, name, value, here)


def answer_from(question: Question, value: Any) -> Resource | None:
    """Return a value that was worked out or looked up as an answer to a question, None when it is no such answer."""
    kind = question.type
    if kind in ("choice", "open-choice"):
        return _option_from(question, value)
    if isinstance(value, dict):
        if kind == "quantity" or (kind in ("integer", "decimal") and "value" in value):
            return {"valueQuantity": value} if kind == "quantity" else answer_from(question, value["value"])
        return {TYPES[kind][0]: value} if kind in ("reference", "attachment") else None
    if isinstance(value, bool) or kind == "boolean":
        return {"valueBoolean": value} if kind == "boolean" and isinstance(value, bool) else None
    if isinstance(value, (int, Decimal)):
        if kind == "decimal":
            return {"valueDecimal": value}
        return {"valueInteger": int(value)} if kind == "integer" and value == int(value) else None
    if kind == "date":
        return {"valueDate": value.partition("T")[0]}
    if kind in ("dateTime", "time", "string", "text", "url"):
        return {TYPES[kind][0]: value}
    return None


def _option_from(question: Question, value: Any) -> Resource | None:
    """Return the option that a value names: a coding, a concept with such a coding, a code, or the value itself."""
    options = [(name, option) for name, option in map(value_of, question.raw.get("answerOption", ())) if name]
    codings = value.get("coding", [value]) if isinstance(value, dict) else [{"code": value}]
    for name, option in options:
        if name == "valueCoding" and any(same((name, one), (name, option)) for one in codings):
            return {
                name: {key: part for key, part in option.items() if key in ("system", "version", "code", "display")}
            }
        if name != "valueCoding" and option == value and not isinstance(value, bool):  # to Python true is 1
            return {name: option}
    if options or not isinstance(value, dict) or "code" not in codings[0]:
        return {"valueString": value} if question.type == "open-choice" and isinstance(value, str) else None
    return {"valueCoding": codings[0]}


def _chosen(question: Question, found: tuple[str, Any], here: str, belongs: Membership) -> Iterator[Issue]:
    name, value = found
    if question.type == "open-choice" and name == "valueString":
        return
    options = [value_of(option) for option in question.raw.get("answerOption", ())]
    if options:
        if not any(same(found, option) for option in options):
            names = ", ".join(_shown(option) for option in options[:_SHOWN])
            more = f" and {len(options) - _SHOWN} more" if len(options) > _SHOWN else ""
            text = f"{_shown(found)} is none of the answers to {question.link_id!r}. Choose from {names}{more}."
            yield Issue("answer-not-an-option", "code-invalid", text, here)
        return
    value_set = question.raw.get("answerValueSet")
    if value_set is None:
        return
    if name != "valueCoding":
        text = f"{question.link_id!r} is answered with a code of {value_set}; found {name}."
        yield Issue("answer-type", "value", text, here)
        return
    verdict = belongs(value_set, value)
    if verdict is None:
        text = f"The value set {value_set} is not known here; the answer to {question.link_id!r} could not be checked."
        yield Issue("answer-not-checked", "not-found", text, here, "warning")
    elif not verdict:
        text = f"{_shown(found)} is not in {value_set}, from which {question.link_id!r} is answered."
        yield Issue("answer-not-an-option", "code-invalid", text, here)


def _bounds(question: Question, name: str, value: Any, here: str) -> Iterator[Issue]:
    raw = question.raw
    if isinstance(value, str) and name in ("valueString", "valueUri"):
        length, most, least = len(value), raw.get("maxLength"), extension(raw, HL7 + "minLength")
        if most is not None and length > most:
            yield _out(question, f"has {length} characters; at most {most} are taken", here, "too-long")
        if least is not None and length < least:
            yield _out(question, f"has {length} characters; at least {least} are asked", here)
    for url, word, wrong in (("minValue", "least", -1), ("maxValue", "most", 1)):
        bound = extension(raw, HL7 + url)
        if bound is not None and _sign(value, bound) == wrong:
            yield _out(question, f"is {_plain(value)}; the {word} is {_plain(bound)}", here)
    places = extension(raw, HL7 + "maxDecimalPlaces")
    if places is not None and isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        if isinstance(exponent, int) and -exponent > places:
            yield _out(question, f"has {-exponent} decimals; at most {places} are taken", here)


def _out(question: Question, what: str, here: str, code: IssueCode = "value") -> Issue:
    return Issue("answer-out-of-bounds", code, f"The answer to {question.link_id!r} {what}.", here)


def _sign(value: Any, bound: Any) -> int:
    """Return -1, 0 or 1 as the value is below, at or above the bound; 0 where they cannot be compared."""
    if isinstance(value, dict):
        value = value.get("value")
    if isinstance(value, bool) or isinstance(value, str) is not isinstance(bound, str) or value is None:
        return 0
    if isinstance(value, str) and ("T" in value or ":" not in value):
        value, bound = parse_temporal(value).lo, parse_temporal(bound).lo
    return -1 if value < bound else 1 if value > bound else 0


def _shown(found: tuple[str, Any]) -> str:
    name, value = found
    if name == "valueCoding":
        return repr(str(value.get("code", value.get("display", "")))[:60])
    return repr(str(value.get("reference", "") if isinstance(value, dict) else value)[:60])


def _plain(value: Any) -> str:
    return str(value.get("value") if isinstance(value, dict) else value)[:40]
