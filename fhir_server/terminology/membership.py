"""Membership and listing of value sets (R4 valueset.html#compose).

Membership has three answers: in, not in, and "cannot tell" (None) where a code system or value set is not loaded.
"""

from collections.abc import Callable, Iterator, Sized
from typing import Any, NamedTuple, TypeVar

from fhir_server.model.errors import NotSupported, TooCostly
from fhir_server.terminology import spans
from fhir_server.terminology.concepts import CodeSystemIndex, Concept
from fhir_server.terminology.large import CodeSystem, LargeSystem
from fhir_server.terminology.source import Shelf
from fhir_server.terminology.value_sets import Component, Filter, ValueSetIndex

S = TypeVar("S", bound=Sized)
_DEEPEST = 30
"""Value sets that may be nested in each other."""
_MOST = 2_000_000
"""Codes that one listing may look at, counted again for each component that does: about two seconds of work."""


class Member(NamedTuple):
    """A code that is in a value set."""

    system: str
    concept: Concept


class Membership:
    """Decides and lists which codes are in which value set. Holds no state besides the two shelves."""

    __slots__ = ("_systems", "_value_sets")

    def __init__(self, systems: Shelf[CodeSystem], value_sets: Shelf[ValueSetIndex]) -> None:
        self._systems = systems
        self._value_sets = value_sets

    def contains(self, value_set: str | ValueSetIndex, system: str, code: str) -> bool | None:
        """Tell whether the code is in the value set; None when what is needed to know it is not loaded."""
        return _Question(self._systems, self._value_sets, system, code).within(value_set, 0)

    def members(self, value_set: str | ValueSetIndex) -> list[Member]:
        """Return the codes of a value set in its order, each once; raises NotSupported when it cannot be listed."""
        return _Listing(self._systems, self._value_sets).members(value_set, ())


class _Question:
    """One code asked of a value set and those it is made of; each is asked once, however often it is referred to."""

    def __init__(self, systems: Shelf[CodeSystem], value_sets: Shelf[ValueSetIndex], system: str, code: str) -> None:
        self._systems, self._value_sets = systems, value_sets
        self._system, self._code = system, code
        self._answers: dict[str, bool | None] = {}

    def within(self, value_set: str | ValueSetIndex, depth: int) -> bool | None:
        if isinstance(value_set, ValueSetIndex):
            return self._decide(value_set, depth)
        if value_set not in self._answers:
            self._answers[value_set] = None  # what contains itself cannot be told
            found = self._value_sets.get(value_set) if depth <= _DEEPEST else None
            self._answers[value_set] = None if found is None else self._decide(found, depth)
        return self._answers[value_set]

    def _decide(self, value_set: ValueSetIndex, depth: int) -> bool | None:
        excluded = _any(self._in_component(one, depth) for one in value_set.excludes)
        if excluded:
            return False
        included = _any(self._in_component(one, depth) for one in value_set.includes)
        if included and not value_set.inactive and self._is_inactive():
            return False
        return None if included and excluded is None else included

    def _is_inactive(self) -> bool:
        known = self._systems.get(self._system)
        concept = known.get(self._code) if known else None
        return concept is not None and concept.inactive

    def _in_component(self, component: Component, depth: int) -> bool | None:
        nested = _all(self.within(url, depth + 1) for url in component.value_sets)
        if not component.system:
            return nested
        if component.system.partition("|")[0] != self._system:
            return False
        if component.concepts is not None:
            return nested if self._code in component.concepts else False
        known = self._systems.get(component.system)
        concept = known.get(self._code) if known else None
        if known is None or (concept is None and not known.complete):
            return None
        passes = concept is not None and all(keeps(known, one, concept) for one in component.filters)
        return nested if passes else False


class _Listing:
    """The codes of a value set and of those it is made of; each is listed once, however often it is referred to."""

    def __init__(self, systems: Shelf[CodeSystem], value_sets: Shelf[ValueSetIndex]) -> None:
        self._systems, self._value_sets = systems, value_sets
        self._known: dict[str, list[Member]] = {}
        self._left = _MOST

    def members(self, value_set: str | ValueSetIndex, above: tuple[str, ...]) -> list[Member]:
        if isinstance(value_set, ValueSetIndex):
            return self._list(value_set, (*above, value_set.url))
        if value_set not in self._known:
            found = self._value_sets.get(value_set)
            if found is None or value_set in above or len(above) > _DEEPEST:
                raise NotSupported(
                    f"The value set {value_set} is not loaded, or contains itself.", key="value-set-unknown"
                )
            self._known[value_set] = self._list(found, (*above, value_set))
        return self._known[value_set]

    def _list(self, value_set: ValueSetIndex, above: tuple[str, ...]) -> list[Member]:
        seen = {key(m) for one in value_set.excludes for m in self._component(one, above)}
        inactive = value_set.inactive
        listed: list[Member] = []
        for component in value_set.includes:
            for member in self._component(component, above):
                if key(member) not in seen and (inactive or not member.concept.inactive):
                    seen.add(key(member))
                    listed.append(member)
        return listed

    def _component(self, component: Component, above: tuple[str, ...]) -> Iterator[Member]:
        own: Iterator[Member]
        rest = component.value_sets
        if component.system:
            own = self._of_system(component)
        elif rest:
            own, rest = iter(self._spend(self.members(rest[0], above))), rest[1:]
        else:
            return
        within = [{key(member) for member in self._spend(self.members(url, above))} for url in rest]
        for member in own:
            if all(key(member) in codes for codes in within):
                yield member

    def _of_system(self, component: Component) -> Iterator[Member]:
        known = self._systems.get(component.system)
        system = component.system.partition("|")[0]
        if component.concepts is not None:
            listed = self._spend(component.concepts)
            at_hand = (
                known.get_all(list(listed)).get if isinstance(known, LargeSystem) else known.get if known else None
            )
            for concept in listed.values():
                found = at_hand(concept.code) if at_hand else None
                yield Member(system, _overlaid(found, concept))
            return
        if known is None or not known.complete:
            raise NotSupported(
                f"The code system {component.system} is not loaded in full, so its codes cannot be listed.",
                key="code-system-unknown",
            )
        if isinstance(known, LargeSystem):
            yield from self._of_large(known, component)
            return
        rules = [_rule(known, one) for one in component.filters]
        for concept in self._spend(known):
            if all(passes(concept) for passes in rules):
                yield Member(system, concept)

    def _of_large(self, known: LargeSystem, component: Component) -> Iterator[Member]:
        """List what the filters leave of a large code system; raises TooCostly when that is too much to hold."""
        within, rest = known.everything, list[Filter]()
        for rule in component.filters:
            selected = known.select(rule)
            if selected is None:
                rest.append(rule)
            else:
                within = spans.intersection(within, selected)
        self._left -= spans.size(within)
        for concept in known.listed(within):
            if all(keeps(known, rule, concept) for rule in rest):
                yield Member(known.url, concept)

    def _spend(self, codes: S) -> S:
        """Return what is to be looked at; raises TooCostly when that is more than a listing may take."""
        self._left -= len(codes) + 1
        if self._left < 0:
            raise TooCostly(
                "The value set looks at too many codes. Simplify its definition.", key="expansion-too-costly"
            )
        return codes


def key(member: Member) -> tuple[str, str]:
    """Return what makes a member the same as another."""
    return member.system, member.concept.code


def _rule(system: CodeSystemIndex, rule: Filter) -> Callable[[Concept], bool]:
    """Return a filter for many concepts: the hierarchy is walked once."""
    if rule.op not in ("is-a", "descendent-of", "is-not-a"):
        return lambda concept: keeps(system, rule, concept)
    below = system.descendants(rule.value) - {rule.value}
    if rule.op == "descendent-of":
        return lambda concept: concept.code in below
    whole = below | {rule.value}
    if rule.op == "is-a":
        return lambda concept: concept.code in whole
    return lambda concept: concept.code not in whole


def keeps(system: CodeSystem, rule: Filter, concept: Concept) -> bool:
    """Tell whether a concept passes one filter."""
    values = (concept.code,) if rule.property in ("concept", "code") else concept.properties.get(rule.property, ())
    match rule.op:
        case "is-a":
            return concept.code == rule.value or system.is_below(concept.code, rule.value)
        case "descendent-of":
            return system.is_below(concept.code, rule.value)
        case "is-not-a":
            return concept.code != rule.value and not system.is_below(concept.code, rule.value)
        case "generalizes":
            return concept.code == rule.value or system.is_below(rule.value, concept.code)
        case "exists":
            return bool(values) == (rule.value == "true")
        case "=":
            return any(_text(value) == rule.value for value in values)
        case "in":
            return any(_text(value) in _items(rule.value) for value in values)
        case _:
            return all(_text(value) not in _items(rule.value) for value in values)


def _overlaid(known: Concept | None, listed: Concept) -> Concept:
    """Return the concept of the code system with the display and designations that the value set states over it."""
    if known is None:
        return listed
    display = known.display if listed.display == listed.code else listed.display
    return known._replace(display=display, designations=(*listed.designations, *known.designations))


def _text(value: Any) -> str:
    if isinstance(value, dict):  # a Coding
        value = value.get("code", "")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


def _any(answers: Iterator[bool | None]) -> bool | None:
    found = list(answers)
    return True if True in found else None if None in found else False


def _all(answers: Iterator[bool | None]) -> bool | None:
    found = list(answers)
    return False if False in found else None if None in found else True
