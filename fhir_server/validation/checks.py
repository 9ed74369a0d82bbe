"""The checks that profiles are compiled to: values and invariants of one element.

Each is made once and called often; like the checks of base R4 it answers None where all is well.
"""

import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from fhir_server.fhirpath import Expression, FhirPathError, Node
from fhir_server.model.codec import canonical
from fhir_server.model.errors import TooCostly
from fhir_server.model.issue import IssueCode, Severity
from fhir_server.model.temporal import parse_temporal
from fhir_server.validation.finding import SHOWN, Check, Finding, Findings, Scope, merged, shown
from fhir_server.validation.wording import Said, rule_text, say


class Place(NamedTuple):
    """Where a check stands, for its messages: the element of the profile, and the last segment of the profile's URL."""

    path: str
    profile: str


def fail(key: str, code: IssueCode, text: Said, path: str = "", severity: Severity = "error") -> list[Finding]:
    """Return one finding against a profile."""
    return [Finding(path, key, code, text, severity, by_profile=True)]


def all_of(checks: Iterable[Check]) -> Check | None:
    """Return one check for several, None for none."""
    listed = tuple(checks)
    if len(listed) <= 1:
        return listed[0] if listed else None

    def check(value: Any, scope: Scope) -> Findings:
        found: Findings = None
        for each in listed:
            if fault := each(value, scope):
                found = merged(found, fault)
        return found

    return check


def brief(value: Any) -> str:
    """Render a value of a profile or an instance in a line: its codes where it has some, else its JSON."""
    if isinstance(value, dict):
        codings = value.get("coding")
        listed = codings if isinstance(codings, list) else [value]
        texts = [f"{one.get('system', '')}|{one['code']}" for one in listed if isinstance(one, dict) and "code" in one]
        if texts:
            return ", ".join(texts[:3])
    if isinstance(value, str):
        return shown(value)
    text = canonical(value).decode()
    return text if len(text) <= 2 * SHOWN else text[: 2 * SHOWN] + "…"


def fixed_check(place: Place, wanted: Any) -> Check:
    """`fixed[x]`: exactly this value."""

    def check(value: Any, _scope: Scope) -> Findings:
        if value == wanted and type(value) is type(wanted):
            return None
        text = say("profile-fixed", path=place.path, found=brief(value), profile=place.profile, wanted=brief(wanted))
        return fail("profile-fixed", "value", text)

    return check


def pattern_check(place: Place, wanted: Any) -> Check:
    """`pattern[x]`: at least this content."""

    def check(value: Any, _scope: Scope) -> Findings:
        if holds_pattern(value, wanted):
            return None
        text = say("profile-pattern", path=place.path, profile=place.profile, wanted=brief(wanted))
        return fail("profile-pattern", "value", text)

    return check


def holds_pattern(value: Any, wanted: Any) -> bool:
    """Tell whether a value has all that a pattern has (R4 elementdefinition-definitions.html#ElementDefinition.pattern_x_)."""
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(
            name in value and holds_pattern(value[name], part) for name, part in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(value, list) and all(any(holds_pattern(item, part) for item in value) for part in wanted)
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def length_check(place: Place, limit: int) -> Check:
    """`maxLength`, in characters."""

    def check(value: Any, _scope: Scope) -> Findings:
        if not isinstance(value, str) or len(value) <= limit:
            return None
        text = say("profile-max-length", path=place.path, length=len(value), profile=place.profile, limit=limit)
        return fail("profile-max-length", "too-long", text)

    return check


def bound_check(place: Place, limit: Any, *, least: bool) -> Check:
    """`minValue[x]` and `maxValue[x]` of a number or a date; of dates, only those that surely lie outside are refused."""
    key = "profile-value-min" if least else "profile-value-max"

    def check(value: Any, _scope: Scope) -> Findings:
        if _within(value, limit, least=least):
            return None
        text = say(key, path=place.path, found=brief(value), profile=place.profile, limit=brief(limit))
        return fail(key, "value", text)

    return check


def _within(value: Any, limit: Any, *, least: bool) -> bool:
    if isinstance(value, bool) or isinstance(limit, bool):  # to Python these are numbers
        return True
    if isinstance(value, (int, Decimal, float)) and isinstance(limit, (int, Decimal, float)):
        return bool(value >= limit) if least else bool(value <= limit)
    if not (isinstance(value, str) and isinstance(limit, str)):
        return True  # another shape is reported as such
    try:
        own, edge = parse_temporal(value), parse_temporal(limit)
    except (ValueError, OverflowError):
        return True
    return own.hi > edge.lo if least else own.lo < max(edge.hi, edge.lo + 1)


def invariant_check(constraint: Mapping[str, Any], expression: Expression, type_: str, *, root: bool) -> Check:
    """A constraint of a profile: `root` says that it stands at a resource, else at an element of type `type_`.

    Past the deadline of the body nothing is evaluated any more: the resource is refused as too costly.
    """
    key, severity = str(constraint["key"]), constraint["severity"]
    said = rule_text(key, str(constraint["human"]))

    def check(value: Any, scope: Scope) -> Findings:
        effort = scope.effort
        if effort is not None and time.monotonic() > effort.deadline:
            return fail("too-costly", "too-costly", say("validation-too-costly", key=key))
        try:
            if root:
                held = expression.holds(value, root=scope.root)
            else:
                held = expression.holds(scope.root, context=Node(value, type_))
        except FhirPathError as error:
            text = say("invariant-unusable", key=key, reason=str(error))
            return fail(key, "invariant", text, severity=severity)
        except TooCostly:
            if effort is not None:
                effort.deadline = 0.0
            return fail("too-costly", "too-costly", say("validation-too-costly", key=key))
        return None if held else fail(key, "invariant", said, severity=severity)

    return check
