"""The words that the hand-written invariants are made of.

A predicate takes the element that an invariant stands at, and the scope; it answers True where the invariant holds, else
False or the FHIRPath suffix of the element at fault. Shapes may be taken for granted: a predicate that meets a wrong one
may raise, since the wrong shape itself is reported before (see `structure`).
"""

from collections.abc import Callable, Iterable
from typing import Any

from fhir_server.model.temporal import Interval, parse_temporal
from fhir_server.validation.finding import Scope

Element = dict[str, Any]
Predicate = Callable[[Element, Scope], bool | str]

UCUM = "http://unitsofmeasure.org"
_ZONES_US = 14 * 3600 * 1_000_000
_DATE_LENGTH = len("2026-01-01")
_SECONDS_LENGTH = len("2026-01-01T00:00:00")


def has(element: Element, name: str) -> bool:
    """Tell whether an element is present: `name`, or `stem[x]` for a choice; a primitive may be only extended."""
    if name.endswith("[x]"):
        return bool(chosen(element, name[:-3]))
    return name in element or "_" + name in element


def chosen(element: Element, stem: str) -> str:
    """Return the name in JSON under which a choice is present, empty where it is absent."""
    for member in element:
        name = member.removeprefix("_")
        if name.startswith(stem) and name[len(stem) : len(stem) + 1].isupper():
            return name
    return ""


def items(element: Element, *path: str) -> list[Any]:
    """Return the values at a path of names, arrays opened."""
    found: list[Any] = [element]
    for name in path:
        below = [value.get(name) for value in found if isinstance(value, dict)]
        found = [
            each for value in below for each in (value if isinstance(value, list) else [value]) if each is not None
        ]
    return found


def distinct(values: Iterable[Any]) -> bool:
    """Tell whether no value occurs twice."""
    listed = list(values)
    return len(set(listed)) == len(listed)


def coded(concepts: list[Any], system: str, codes: Iterable[str]) -> bool:
    """Tell whether any of the CodeableConcepts has one of the codes."""
    wanted = frozenset(codes)
    return any(
        coding.get("system") == system and coding.get("code") in wanted
        for concept in concepts
        for coding in concept.get("coding", ())
    )


def any_of(*names: str) -> Predicate:
    """At least one of the elements is present."""
    return lambda element, _: any(has(element, name) for name in names)


def one_of(*names: str) -> Predicate:
    """Exactly one of the elements is present."""
    return lambda element, _: sum(has(element, name) for name in names) == 1


def not_both(first: str, second: str) -> Predicate:
    """The two elements do not occur together."""
    return lambda element, _: not (has(element, first) and has(element, second))


def both_or_none(first: str, second: str) -> Predicate:
    """The two elements occur together or not at all."""
    return lambda element, _: has(element, first) == has(element, second)


def needs(name: str, *others: str) -> Predicate:
    """Where `name` is present, at least one of the others is."""
    return lambda element, _: not has(element, name) or any(has(element, other) for other in others)


def only_when(name: str, member: str, *values: Any) -> Predicate:
    """`name` is present only where `member` has one of the values."""
    return lambda element, _: not has(element, name) or element.get(member) in values


def asked_when(member: str, value: Any, *names: str) -> Predicate:
    """Where `member` has the value, all the elements are present."""
    return lambda element, _: element.get(member) != value or all(has(element, name) for name in names)


def unique(*path: str) -> Predicate:
    """The values at the path differ from each other."""
    return lambda element, _: distinct(map(str, items(element, *path)))


def holds(_element: Element, _scope: Scope) -> bool:
    """Nothing to check here: the structural checks enforce it."""
    return True


def ordered(first: Any, second: Any) -> bool:
    """Tell whether the first time is not surely after the second; partial dates and absent zones leave doubt."""
    if not (isinstance(first, str) and isinstance(second, str)):
        return True
    if len(first) == len(second) and first[_SECONDS_LENGTH:] == second[_SECONDS_LENGTH:] and first <= second:
        return True  # the same precision in the same zone: the texts sort as the times do
    try:
        before, after = parse_temporal(first), parse_temporal(second)
    except (ValueError, OverflowError):
        return True  # reported as a malformed date
    doubt = _ZONES_US if (len(first) > _DATE_LENGTH) != (len(second) > _DATE_LENGTH) else 0
    return before.lo < _last(after) + doubt


def _last(interval: Interval) -> int:
    return max(interval.hi, interval.lo + 1)


def quantity(*, positive: bool = False, code: str = "") -> Predicate:
    """The rules that Age, Count and Distance share: a code where there is a value, and UCUM where there is a system."""

    def check(element: Element, _scope: Scope) -> bool:
        if has(element, "value") and not has(element, "code"):
            return False
        if element.get("system", UCUM) != UCUM or (code and element.get("code", code) != code):
            return False
        return not positive or "value" not in element or element["value"] > 0

    return check
