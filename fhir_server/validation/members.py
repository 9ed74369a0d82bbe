"""Checks the elements of an object against what a profile says of them: how many, which types, each of their items."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fhir_server.validation.checks import Place, fail
from fhir_server.validation.finding import MAX_FINDINGS, Check, Findings, Scope, below, merged
from fhir_server.validation.slicing import Item
from fhir_server.validation.wording import say

Member = Callable[[dict[str, Any], Scope], Findings]


class Element(NamedTuple):
    """What a profile says of one element, compiled.

    `forms` are (name in JSON, type, step) of each form; `allowed` the names that the profile leaves; `high` is None
    where the profile does not narrow R4; `items` maps a name to the check of its items.
    """

    place: Place
    name: str
    forms: tuple[tuple[str, str, str], ...]
    many: bool
    choice: bool
    allowed: frozenset[str]
    low: int
    high: int | None
    items: Mapping[str, Check]
    sliced: Callable[[list[Item], Scope], Findings] | None


def object_check(elements: Sequence[Element]) -> Check:
    """Return the check of an object with these elements; elements that only must be there are looked up all at once."""
    required = {one.forms[0][0]: one for one in elements if one.low == 1 and not one.choice}
    names = frozenset(required)
    members = [member for one in elements for member in _members(one)]

    def check(value: Any, scope: Scope) -> Findings:
        if type(value) is not dict:
            return None
        found: Findings = None
        if not names <= value.keys():
            for name in sorted(names - value.keys()):
                if "_" + name not in value:
                    found = merged(found, _absent(required[name].place))
        for member in members:
            if fault := member(value, scope):
                found = merged(found, fault)
        return found

    return check


def _absent(place: Place) -> Findings:
    text = say("profile-required", path=place.path, profile=place.profile)
    return fail("cardinality-min", "required", text)


def _members(element: Element) -> list[Member]:
    """Return the checks of an element; none where only its presence is asked."""
    found: list[Member] = []
    if element.high == 0:
        return [_banned(element)]
    if element.choice and (element.low or len(element.allowed) < len(element.forms)):
        found.append(_chosen(element))
    if element.low > 1 or element.high is not None:
        found.append(_counted(element))
    for name, _, step in element.forms:
        if name in element.items:
            found.append((_each if element.many else _only)(name, step, element.items[name]))
    if element.sliced is not None:
        found.append(_sliced(element, element.sliced))
    return found


def _banned(element: Element) -> Member:
    steps = {prefix + name: step for name, _, step in element.forms for prefix in ("", "_")}
    names = frozenset(steps)

    def check(value: dict[str, Any], _scope: Scope) -> Findings:
        if names.isdisjoint(value):
            return None
        step = next(steps[name] for name in value if name in names)
        text = say("profile-prohibited", path=element.place.path, profile=element.place.profile)
        return fail("cardinality-max", "structure", text, step)

    return check


def _chosen(element: Element) -> Member:
    forms = {prefix + name: (kind, step) for name, kind, step in element.forms for prefix in ("", "_")}
    names = frozenset(forms)
    allowed = frozenset(prefix + name for name in element.allowed for prefix in ("", "_"))
    kinds = ", ".join(kind for name, kind, _ in element.forms if name in element.allowed)

    def check(value: dict[str, Any], _scope: Scope) -> Findings:
        present = names & value.keys()
        if not present:
            return _absent(element.place) if element.low else None
        if present <= allowed:
            return None
        kind, step = forms[min(present - allowed)]
        text = say("profile-type", path=element.place.path, found=kind, profile=element.place.profile, allowed=kinds)
        return fail("profile-type", "structure", text, step)

    return check


def _counted(element: Element) -> Member:
    place, low, high = element.place, element.low, element.high

    def check(value: dict[str, Any], _scope: Scope) -> Findings:
        items = _items(element, value)
        if len(items) < low and low > 1:  # a single one that is missed is told with the other members
            text = say("profile-cardinality-min", path=place.path, count=len(items), profile=place.profile, low=low)
            return fail("cardinality-min", "required", text)
        if high is not None and len(items) > high:
            text = say("profile-cardinality-max", path=place.path, count=len(items), profile=place.profile, high=high)
            return fail("cardinality-max", "structure", text, items[high].step)
        return None

    return check


def _only(name: str, step: str, item: Check) -> Member:
    def check(value: dict[str, Any], scope: Scope) -> Findings:
        member = value.get(name)
        if member is not None and (fault := item(member, scope)):
            return below(step, fault)
        return None

    return check


def _each(name: str, step: str, item: Check) -> Member:
    def check(value: dict[str, Any], scope: Scope) -> Findings:
        listed = value.get(name)
        if type(listed) is not list:
            return None
        found: Findings = None
        for index, member in enumerate(listed):
            if member is not None and (fault := item(member, scope)):
                found = merged(found, below(f"{step}[{index}]", fault))
                if found and len(found) > MAX_FINDINGS:
                    break
        return found

    return check


def _sliced(element: Element, sliced: Callable[[list[Item], Scope], Findings]) -> Member:
    names = [name for name, _, _ in element.forms]

    def check(value: dict[str, Any], scope: Scope) -> Findings:
        if not any(name in value for name in names):
            return sliced([], scope)
        return sliced(_items(element, value), scope)

    return check


def _items(element: Element, value: dict[str, Any]) -> list[Item]:
    """Return every occurrence of the element; a primitive that has only extensions occurs with the value None."""
    found: list[Item] = []
    for name, kind, step in element.forms:
        if element.many:
            listed, beside = value.get(name), value.get("_" + name)
            both = [one if isinstance(one, list) else [] for one in (listed, beside)]
            found += [
                Item(f"{step}[{index}]", both[0][index] if index < len(both[0]) else None, kind)
                for index in range(max(map(len, both)))
            ]
        elif name in value or "_" + name in value:
            found.append(Item(step, value.get(name), kind))
    return found
