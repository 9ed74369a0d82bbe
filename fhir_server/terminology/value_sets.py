"""Membership and expansion of ValueSets (R4 valueset.html#compose).

Membership has three answers: in, not in, and "cannot tell" (None) where a code system or value set is not loaded.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fhir_server.model.errors import NotSupported
from fhir_server.model.resource import Resource
from fhir_server.terminology.concepts import CodeSystemIndex, Concept

_HIERARCHY = frozenset({"is-a", "descendent-of", "is-not-a", "generalizes"})
_SUPPORTED = _HIERARCHY | {"=", "in", "not-in", "exists"}


class Filter(NamedTuple):
    """`compose.include.filter`: `property` `op` `value`."""

    property: str
    op: str
    value: str


class Component(NamedTuple):
    """One `include` or `exclude`: a system narrowed by listed concepts or filters, intersected with value sets.

    `concepts` maps a listed code to its own display and designations; None when the component lists none.
    """

    system: str
    concepts: Mapping[str, Concept] | None
    filters: tuple[Filter, ...]
    value_sets: tuple[str, ...]


class ValueSetIndex(NamedTuple):
    """A ValueSet, ready to be asked."""

    url: str
    version: str
    name: str
    includes: tuple[Component, ...]
    excludes: tuple[Component, ...]


class Member(NamedTuple):
    """A code that is in a value set."""

    system: str
    concept: Concept


def index(resource: Resource) -> ValueSetIndex:
    """Read a ValueSet; raises NotSupported for a filter that this server cannot evaluate."""
    compose = resource.get("compose", {})
    return ValueSetIndex(
        resource["url"],
        resource.get("version", ""),
        str(resource.get("title") or resource.get("name") or resource["url"]),
        tuple(_component(resource["url"], one) for one in compose.get("include", ())),
        tuple(_component(resource["url"], one) for one in compose.get("exclude", ())),
    )


def _component(url: str, element: Resource) -> Component:
    filters = tuple(Filter(one["property"], one["op"], one["value"]) for one in element.get("filter", ()))
    for one in filters:
        if one.op not in _SUPPORTED or (one.op in _HIERARCHY and one.property not in ("concept", "code")):
            raise NotSupported(f"{url}: the filter {one.property} {one.op} cannot be evaluated; list the concepts.")
    listed = element.get("concept")
    concepts = None if listed is None else {one["code"]: _listed(one, at) for at, one in enumerate(listed)}
    return Component(element.get("system", ""), concepts, filters, tuple(element.get("valueSet", ())))


def _listed(element: Resource, position: int) -> Concept:
    designations = {one["language"]: one["value"] for one in element.get("designation", ()) if "language" in one}
    return Concept(element["code"], str(element.get("display", element["code"])), "", designations, (), {}, position)


class Membership:
    """Decides and lists which codes are in which value set. Holds no state besides the two indexes."""

    __slots__ = ("_systems", "_value_sets")

    def __init__(self, systems: Mapping[str, CodeSystemIndex], value_sets: Mapping[str, ValueSetIndex]) -> None:
        self._systems = systems
        self._value_sets = value_sets

    def contains(self, url: str, system: str, code: str, seen: frozenset[str] = frozenset()) -> bool | None:
        """Tell whether the code is in the value set; None when what is needed to know it is not loaded."""
        value_set = self._value_sets.get(url)
        if value_set is None or url in seen:
            return None
        below = seen | {url}
        excluded = _any(self._in_component(one, system, code, below) for one in value_set.excludes)
        if excluded:
            return False
        included = _any(self._in_component(one, system, code, below) for one in value_set.includes)
        return None if included and excluded is None else included

    def _in_component(self, component: Component, system: str, code: str, seen: frozenset[str]) -> bool | None:
        nested = _all(self.contains(url, system, code, seen) for url in component.value_sets)
        if not component.system:
            return nested
        if component.system != system:
            return False
        if component.concepts is not None:
            return nested if code in component.concepts else False
        known = self._systems.get(system)
        concept = known.get(code) if known else None
        if known is None or (concept is None and not known.complete):
            return None
        passes = concept is not None and all(keeps(known, one, concept) for one in component.filters)
        return nested if passes else False

    def members(self, url: str, seen: frozenset[str] = frozenset()) -> Iterator[Member]:
        """Yield the codes of a value set in its order, each once; raises NotSupported when it cannot be listed."""
        value_set = self._value_sets.get(url)
        if value_set is None or url in seen:
            raise NotSupported(f"The value set {url} is not loaded, or contains itself.", key="value-set-unknown")
        below = seen | {url}
        excluded = {(m.system, m.concept.code) for one in value_set.excludes for m in self._listed(one, below)}
        for component in value_set.includes:
            for member in self._listed(component, below):
                key = (member.system, member.concept.code)
                if key not in excluded:
                    excluded.add(key)
                    yield member

    def _listed(self, component: Component, seen: frozenset[str]) -> Iterator[Member]:
        if component.system:
            own = self._of_system(component)
            rest = component.value_sets
        else:
            own = self.members(component.value_sets[0], seen)
            rest = component.value_sets[1:]
        within = [{(m.system, m.concept.code) for m in self.members(url, seen)} for url in rest]
        for member in own:
            if all((member.system, member.concept.code) in codes for codes in within):
                yield member

    def _of_system(self, component: Component) -> Iterator[Member]:
        known = self._systems.get(component.system)
        if component.concepts is not None:
            for concept in component.concepts.values():
                found = known.get(concept.code) if known else None
                yield Member(component.system, _overlaid(found, concept))
            return
        if known is None or not known.complete:
            raise NotSupported(
                f"The code system {component.system} is not loaded in full, so its codes cannot be listed.",
                key="code-system-unknown",
            )
        for concept in known:
            if all(keeps(known, one, concept) for one in component.filters):
                yield Member(component.system, concept)


def keeps(system: CodeSystemIndex, rule: Filter, concept: Concept) -> bool:
    """Tell whether a concept passes one filter."""
    values = (concept.code,) if rule.property in ("concept", "code") else concept.properties.get(rule.property, ())
    match rule.op:
        case "is-a":
            return concept.code == rule.value or rule.value in system.ancestors(concept.code)
        case "descendent-of":
            return rule.value in system.ancestors(concept.code)
        case "is-not-a":
            return concept.code != rule.value and rule.value not in system.ancestors(concept.code)
        case "generalizes":
            return concept.code == rule.value or concept.code in system.ancestors(rule.value)
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
    return known._replace(display=display, designations={**known.designations, **listed.designations})


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


def _any(answers: Iterator[bool | None]) -> bool | None:
    found = list(answers)
    return True if True in found else None if None in found else False


def _all(answers: Iterator[bool | None]) -> bool | None:
    found = list(answers)
    return False if False in found else None if None in found else True
