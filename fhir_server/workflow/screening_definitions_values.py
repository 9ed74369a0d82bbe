"""Whether an answer, a fixed value or what an expression gives fits an element, and as what it is written there."""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple

from fhir_server.artifacts import r4
from fhir_server.model.errors import FhirError, RuleViolated
from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal
from fhir_server.workflow.screening_definitions_path import Step
from fhir_server.workflow.screening_extraction import is_instant

_QUANTITIES: Final = ("Quantity", "Age", "Count", "Distance", "Duration")
_CODE: Final = re.compile(r"\S+( \S+)*")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_DAY: Final = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")
_TIME: Final = re.compile(r"\d\d:\d\d:\d\d(\.\d+)?")
_TEXTS: Final = ("string", "markdown")
_URIS: Final = ("uri", "url", "canonical", "oid", "uuid")
_SAME: Final[dict[str, tuple[str, ...]]] = {
    "boolean": ("boolean",),
    "integer": ("integer", "positiveInt", "unsignedInt", "decimal", *_QUANTITIES),
    "decimal": ("decimal", *_QUANTITIES),
    "date": ("date", "dateTime"),
    "dateTime": ("dateTime", "instant", "date"),
    "instant": ("instant", "dateTime"),
    "time": ("time",),
    "string": (*_TEXTS, "code", "id", *_URIS, "CodeableConcept"),
    "markdown": _TEXTS,
    "code": ("code", "string", "id"),
    "id": ("id", "string", "code"),
    "Coding": ("Coding", "CodeableConcept", "code"),
    "Quantity": _QUANTITIES,
    **dict.fromkeys(_URIS, (*_URIS, "string")),
    **dict.fromkeys(("positiveInt", "unsignedInt"), ("integer", "positiveInt", "unsignedInt", "decimal")),
}
"""Type of a value → types of elements that it fits, the best first. A type that is not here fits its own kind."""
_MOST_SHOWN: Final = 8


class Value(NamedTuple):
    """A value to put in: its JSON, its type ("" where an expression does not say) and the unit of its question."""

    json: Any
    type: str
    unit: Resource | None = None


class Fitted(NamedTuple):
    """A value as an element takes it: its type there, and its JSON."""

    type: str
    json: Any


def fitted(value: Value, step: Step, place: str, what: str) -> Fitted:
    """Return a value as an element takes it. Raises RuleViolated at `place`, saying what the element takes."""
    for kind in _wanted(value):
        written = _written(value, kind) if kind in step.types else None
        if written is not None and _may_point(kind, written, step):
            return Fitted(kind, written)
    allowed = ", ".join(step.types[:_MOST_SHOWN]) + (" …" if len(step.types) > _MOST_SHOWN else "")
    targets = _targets(step)
    if "Reference" in step.types and value.type in ("Reference", "") and targets:
        allowed += f" to {' or '.join(sorted(targets))}"
    raise RuleViolated(
        f"{what} {_shown(value)} does not fit {step.key}: it takes {allowed}.{_advice(value, step)}",
        key="extract-type",
        code="value",
        expression=place,
    )


def _wanted(value: Value) -> tuple[str, ...]:
    """Return the types that a value may be written as, the best first."""
    kind = value.type
    if kind:
        found = _SAME.get(kind, (kind,))
        return (*_QUANTITIES, *found) if value.unit is not None and kind in ("integer", "decimal") else found
    json = value.json
    if isinstance(json, bool):
        return _SAME["boolean"]
    if isinstance(json, int):
        return _SAME["integer"]
    if isinstance(json, Decimal):
        return _SAME["decimal"]
    if isinstance(json, str):
        return ("dateTime", "instant", "date", "time", "code", *_SAME["string"], "base64Binary")
    return _by_members(json) if isinstance(json, dict) else ()


def _by_members(json: Resource) -> tuple[str, ...]:
    """Return the types that have all members of an object; one that is written as it is comes first."""
    found = [one for one in _data_types() if all(_has(one, name) for name in json)]
    return (*found, "CodeableConcept", "code") if "Coding" in found and "value" not in json else tuple(found)


@cache
def _data_types() -> tuple[str, ...]:
    return tuple(one for one in sorted(r4.definition_paths()) if "." not in one and not r4.is_resource_type(one))


def _has(kind: str, name: str) -> bool:
    return r4.child(kind, name.removeprefix("_")) is not None


def _written(value: Value, kind: str) -> Any:
    """Return a value as a type writes it, None when it cannot be one."""
    json = value.json
    if kind in _QUANTITIES and not isinstance(json, dict):
        return {"value": json, **(value.unit or {})} if isinstance(json, (int, Decimal)) else None
    if kind == "CodeableConcept":
        return _concept(value)
    if kind == "code" and isinstance(json, dict):
        return json.get("code")
    if isinstance(json, (bool, dict)) or not isinstance(json, str):
        return _number(json, kind)
    check = _CHECKS.get(kind)
    return json if check is None or check(json) else None


def _concept(value: Value) -> Any:
    json = value.json
    if isinstance(json, str):
        return {"text": json}
    concept = value.type == "CodeableConcept" or (not value.type and all(_has("CodeableConcept", one) for one in json))
    return json if concept else {"coding": [json]}


def _number(json: Any, kind: str) -> Any:
    if kind in ("positiveInt", "unsignedInt") and json < (kind == "positiveInt"):
        return None
    return json


def _temporal(text: str) -> bool:
    try:
        parse_temporal(text)
    except (FhirError, ValueError):
        return False
    return True


_CHECKS: Final[dict[str, Callable[[str], Any]]] = {
    "code": _CODE.fullmatch,
    "id": _ID.fullmatch,
    "date": lambda text: _DAY.fullmatch(text) and _temporal(text),
    "dateTime": _temporal,
    "instant": lambda text: is_instant(text) and _temporal(text),
    "time": _TIME.fullmatch,
    **dict.fromkeys(_URIS, lambda text: text and not any(map(str.isspace, text))),
}


def _targets(step: Step) -> frozenset[str]:
    if step.shape.targets:
        return frozenset(url.rpartition("/")[2] for url in step.shape.targets)
    return frozenset(step.facts.targets)


def _may_point(kind: str, json: Any, step: Step) -> bool:
    """Tell whether a reference names a type that the element takes, as far as it says; profiles are judged when it is stored."""
    if kind != "Reference" or not step.facts.targets:
        return True
    steps = str(json.get("reference", "")).partition("/_history/")[0].split("/")
    named = str(json.get("type", "")) or (steps[-2] if len(steps) > 1 else "")
    return not r4.is_resource_type(named) or named in step.facts.targets or "Resource" in step.facts.targets


def _advice(value: Value, step: Step) -> str:
    if value.type == "Coding" and set(step.types) & {*_TEXTS, *_URIS, "boolean"}:
        return " Say with definitionExtractValue and an expression what is to be written (…valueCoding.display, …valueCoding.code)."
    return ""


def _shown(value: Value) -> str:
    json = value.json
    text = json.get("code", json.get("reference", json.get("value", ""))) if isinstance(json, dict) else json
    kind = value.type or ("object" if isinstance(json, dict) else type(json).__name__)
    return f"{str(text)[:60]!r} ({kind})"
