"""The error-level invariants of R4 as predicates, by key (https://hl7.org/fhir/R4/conformance-rules.html#constraints).

A key that R4 uses for several rules (`inv-1`) is registered as `path/key`. `ENFORCED_ELSEWHERE` names the invariants that
the structural pass enforces, `NOT_ENFORCED` those that nobody enforces, each with its reason; a test holds the three
sets against the table of facts.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from fhir_server.artifacts.r4 import Constraint, child, is_primitive, structure
from fhir_server.validation.finding import Scope
from fhir_server.validation.invariants_bundle import BUNDLE
from fhir_server.validation.invariants_clinical import CLINICAL
from fhir_server.validation.invariants_conformance import CONFORMANCE
from fhir_server.validation.invariants_definition import DEFINITION
from fhir_server.validation.predicates import (
    UCUM,
    Element,
    Predicate,
    any_of,
    has,
    items,
    needs,
    not_both,
    ordered,
    quantity,
)

ENFORCED_ELSEWHERE: Mapping[str, str] = {
    "ele-1": "structure: empty objects, and objects with nothing but an id",
    "ref-1": "references: a fragment must name a contained resource",
    "sqty-1": "compiler: elements that are SimpleQuantity",
    "txt-1": "narrative: elements and attributes",
    "txt-2": "narrative: content",
}
NOT_ENFORCED: Mapping[str, str] = {
    "ctm-1": "it judges the resource that CareTeam.participant.member resolves to, and holds where that is unknown",
}
_RELOCATED: Mapping[str, tuple[str, ...]] = {
    "StructureDefinition": ("StructureDefinition.snapshot/sdf-8", "StructureDefinition.differential/sdf-8a"),
}
"""Invariants on %resource are judged at the root of the resource, where it is at hand."""


class Rule(NamedTuple):
    """An invariant ready to judge: `holds` answers True, False, or the suffix of the element at fault."""

    key: str
    human: str
    holds: Predicate


def rules_of(path: str, constraints: Iterable[Constraint]) -> tuple[Rule, ...]:
    """Return the rules of the error-level constraints that stand at a path."""
    moved = {name for names in _RELOCATED.values() for name in names}
    placed = [(f"{path}/{constraint.key}", constraint) for constraint in constraints if constraint.severity == "error"]
    placed = [(name, constraint) for name, constraint in placed if name not in moved]
    for name in _RELOCATED.get(path, ()):
        owner = structure(name.partition("/")[0])
        placed += [(name, each) for each in (owner.constraints if owner else ()) if name.endswith("/" + each.key)]
    found = [(constraint, PREDICATES.get(name) or PREDICATES.get(constraint.key)) for name, constraint in placed]
    return tuple(Rule(constraint.key, constraint.human, holds) for constraint, holds in found if holds)


def _no_nested(resource: Element, _scope: Scope) -> bool | str:
    for index, item in enumerate(resource.get("contained", ())):
        if "contained" in item:
            return f".contained[{index}]"
    return True


def _contained_meta(*names: str) -> Predicate:
    def check(resource: Element, _scope: Scope) -> bool | str:
        for index, item in enumerate(resource.get("contained", ())):
            meta = item.get("meta", {})
            for name in names:
                if has(meta, name):
                    return f".contained[{index}].meta.{name}"
        return True

    return check


def _all_used(resource: Element, _scope: Scope) -> bool | str:
    if "contained" not in resource:
        return True
    used = frozenset(_fragments(resource, str(resource["resourceType"])))
    for index, item in enumerate(resource["contained"]):
        named = f"#{item['id']}" if "id" in item else ""
        if named and named not in used and "#" not in _fragments(item, str(item["resourceType"])):
            return f".contained[{index}]"
    return True


def _fragments(element: Element, path: str) -> list[str]:
    """Return every `#…` that stands in a Reference or in a uri, url or canonical below the element."""
    found: list[str] = []
    for name, value in element.items():
        facts = child(path, name)
        if facts is None:
            continue
        kind = facts.types[0] if facts.types else ""
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, str):
                if item[:1] == "#" and (kind in ("uri", "url", "canonical") or name == "reference"):
                    found.append(item)
            elif isinstance(item, dict) and not is_primitive(kind):
                found += _fragments(item, str(item.get("resourceType") or facts.content or kind))
    return found


def _extension(extension: Element, _scope: Scope) -> bool:
    nested = "extension" in extension
    for name in extension:
        if name.startswith(("value", "_value")):
            return not nested
    return nested


def _ratio(ratio: Element, _scope: Scope) -> bool:
    top, bottom = has(ratio, "numerator"), has(ratio, "denominator")
    return top == bottom and (top or has(ratio, "extension"))


def _range(value: Element, _scope: Scope) -> bool:
    low, high = value.get("low", {}), value.get("high", {})
    comparable = all(low.get(name) == high.get(name) for name in ("system", "code", "unit"))
    return not comparable or "value" not in low or "value" not in high or low["value"] <= high["value"]


def _whole_count(count: Element, scope: Scope) -> bool:
    value = count.get("value")
    return quantity(code="1")(count, scope) is True and (value is None or "." not in str(value))


def _offset(repeat: Element, _scope: Scope) -> bool:
    when = items(repeat, "when")
    return not has(repeat, "offset") or (has(repeat, "when") and not {"C", "CM", "CD", "CV"}.intersection(when))


def _trigger(trigger: Element, _scope: Scope) -> bool:
    kind = str(trigger.get("type", ""))
    asked = {"named-event": "name", "periodic": "timing[x]"}.get(kind, "data" if kind.startswith("data-") else "")
    return not asked or has(trigger, asked)


def _not_negative(name: str) -> Predicate:
    return lambda element, _: name not in element or element[name] >= 0


_DATATYPES: Mapping[str, Predicate] = {
    "age-1": quantity(positive=True),
    "att-1": needs("data", "contentType"),
    "cnt-3": _whole_count,
    "cpt-2": needs("value", "system"),
    "dis-1": quantity(),
    "dom-2": _no_nested,
    "dom-3": _all_used,
    "dom-4": _contained_meta("versionId", "lastUpdated"),
    "dom-5": _contained_meta("security"),
    "drq-1": lambda e, _: has(e, "path") != has(e, "searchParam"),
    "drq-2": lambda e, _: has(e, "path") != has(e, "searchParam"),
    "drt-1": lambda e, _: not has(e, "code") or (e.get("system") == UCUM and has(e, "value")),
    "exp-1": any_of("expression", "reference"),
    "ext-1": _extension,
    "per-1": lambda e, _: ordered(e.get("start"), e.get("end")),
    "qty-3": needs("code", "system"),
    "rat-1": _ratio,
    "rng-2": _range,
    "tim-1": needs("duration", "durationUnit"),
    "tim-2": needs("period", "periodUnit"),
    "tim-4": _not_negative("duration"),
    "tim-5": _not_negative("period"),
    "tim-6": needs("periodMax", "period"),
    "tim-7": needs("durationMax", "duration"),
    "tim-8": needs("countMax", "count"),
    "tim-9": _offset,
    "tim-10": not_both("timeOfDay", "when"),
    "trd-1": not_both("data", "timing[x]"),
    "trd-2": needs("condition", "data"),
    "trd-3": _trigger,
}

PREDICATES: Mapping[str, Predicate] = MappingProxyType(
    {**_DATATYPES, **BUNDLE, **CLINICAL, **CONFORMANCE, **DEFINITION}
)
