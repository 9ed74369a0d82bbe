"""Invariants of StructureDefinition and ElementDefinition (https://hl7.org/fhir/R4/structuredefinition.html)."""

import re
from collections.abc import Mapping
from typing import Any

from fhir_server.validation.finding import Scope
from fhir_server.validation.predicates import (
    Element,
    Predicate,
    any_of,
    chosen,
    distinct,
    has,
    items,
    needs,
    not_both,
    unique,
)

_SPECIFICATION = "http://hl7.org/fhir/StructureDefinition"
_BINDABLE = frozenset({"code", "Coding", "CodeableConcept", "Quantity", "string", "uri"})
_PART = r"[^\s.,:;'\"/|?!@#$%&*()\[\]{}]{1,64}"
_PATH = re.compile(rf"{_PART}(?:\.{_PART}(?:\[x\])?(?::[^\s.]+)?)*")
_SLICE = re.compile(r"[a-zA-Z0-9/\-_\[\]@]+")
_FHIR_TYPE = re.compile(r"[a-zA-Z0-9.]+|http://hl7\.org/fhirpath/System\.[A-Z][A-Za-z]+")
_VALUE_SETS = ("http:", "https", "urn:")
_CONTENT = ("defaultValue[x]", "fixed[x]", "pattern[x]", "minValue[x]", "maxValue[x]")
_REFERRING = frozenset({"Reference", "canonical"})


def _is_number_or_star(text: Any, _scope: Scope) -> bool:
    return not isinstance(text, str) or text == "*" or text.isdecimal()


def _cardinality(element: Element, _scope: Scope) -> bool:
    low, high = element.get("min"), element.get("max", "*")
    return low is None or not high.isdecimal() or low <= int(high)


def _bindable(element: Element, _scope: Scope) -> bool:
    types = items(element, "type", "code")
    return not has(element, "binding") or not types or bool(_BINDABLE.intersection(types))


def _content_reference(element: Element, _scope: Scope) -> bool:
    forbidden = ("type", "example", "maxLength", "binding", *_CONTENT)
    return not has(element, "contentReference") or not any(has(element, name) for name in forbidden)


def _single_type(stem: str) -> Predicate:
    return lambda e, _: not chosen(e, stem) or len(e.get("type", ())) <= 1


def _elements(structure: Element, view: str) -> list[Element]:
    return items(structure, view, "element")


def _roots(structure: Element) -> list[Element]:
    both = _elements(structure, "snapshot") + _elements(structure, "differential")
    return [element for element in both if "." not in element.get("path", "")]


def _identified(view: str) -> Predicate:
    """Every element of the view has an id, and no id occurs twice."""

    def check(structure: Element, _scope: Scope) -> bool:
        ids = [element.get("id") for element in _elements(structure, view)]
        return None not in ids and distinct(ids)

    return check


def _all_identified(structure: Element, _scope: Scope) -> bool:
    return all("id" in element for view in ("snapshot", "differential") for element in _elements(structure, view))


def _distinct_paths(structure: Element, _scope: Scope) -> bool:
    return structure.get("derivation") == "constraint" or distinct(items(structure, "snapshot", "element", "path"))


def _named_by_type(structure: Element, _scope: Scope) -> bool:
    elements = _elements(structure, "snapshot")
    return structure.get("kind") == "logical" or not elements or elements[0].get("path") == structure.get("type")


def _untyped_root(view: str) -> Predicate:
    def check(structure: Element, _scope: Scope) -> bool:
        first = _elements(structure, view)[:1]
        if structure.get("kind") == "logical" or not first or "." in first[0].get("path", ""):
            return True
        return not has(first[0], "type")

    return check


def _own_types(structure: Element, _scope: Scope) -> bool:
    if not structure.get("url", "").startswith(_SPECIFICATION):
        return True
    types = items(structure, "differential", "element", "type", "code")
    types += items(structure, "snapshot", "element", "type", "code")
    return all(_FHIR_TYPE.fullmatch(name) for name in types)


def _snapshot_paths(structure: Element, _scope: Scope) -> bool:
    elements = _elements(structure, "snapshot")
    if not elements:
        return True
    first = elements[0].get("path", "")
    named = structure.get("kind") == "logical" or first == structure.get("type")
    return named and all(element.get("path", "").startswith(first + ".") for element in elements[1:])


def _differential_paths(structure: Element, _scope: Scope) -> bool:
    elements = _elements(structure, "differential")
    if not elements:
        return True
    first = elements[0].get("path", "")
    root = first.partition(".")[0] + "."
    named = structure.get("kind") == "logical" or first.startswith(structure.get("type", ""))
    return named and all(element.get("path", "").startswith(root) for element in elements[1:])


def _defaults(structure: Element, *views: str) -> bool:
    return any(chosen(element, "defaultValue") for view in views for element in _elements(structure, view))


def _specified_defaults(structure: Element, _scope: Scope) -> bool:
    own = structure.get("url", "").startswith(_SPECIFICATION)
    return not own or not _defaults(structure, "snapshot", "differential")


def _bare_roots(*names: str) -> Predicate:
    return lambda e, _: not any(has(root, name) for root in _roots(e) for name in names)


def _complete(snapshot: Element, _scope: Scope) -> bool:
    elements = items(snapshot, "element")
    return all(has(element, name) for element in elements for name in ("definition", "min", "max"))


_ELEMENT: Mapping[str, Predicate] = {
    "eld-1": any_of("discriminator", "description"),
    "eld-2": _cardinality,
    "eld-3": _is_number_or_star,
    "eld-4": lambda e, _: not has(e, "aggregation") or e.get("code") in _REFERRING,
    "eld-5": _content_reference,
    "eld-6": _single_type("fixed"),
    "eld-7": _single_type("pattern"),
    "eld-8": not_both("fixed[x]", "pattern[x]"),
    "eld-11": _bindable,
    "eld-12": lambda e, _: "valueSet" not in e or e["valueSet"].startswith(_VALUE_SETS),
    "eld-13": unique("type", "code"),
    "eld-14": unique("constraint", "key"),
    "eld-15": not_both("defaultValue[x]", "meaningWhenMissing"),
    "eld-16": lambda e, _: "sliceName" not in e or _SLICE.fullmatch(e["sliceName"]) is not None,
    "eld-17": lambda e, _: e.get("code") in _REFERRING or not has(e, "targetProfile"),
    "eld-18": lambda e, _: e.get("isModifier") is not True or has(e, "isModifierReason"),
    "eld-19": lambda e, _: "path" not in e or _PATH.fullmatch(e["path"]) is not None,
    "eld-22": needs("sliceIsConstraining", "sliceName"),
}

DEFINITION: Mapping[str, Predicate] = {
    **_ELEMENT,
    "sdf-1": _distinct_paths,
    "sdf-2": any_of("name", "uri"),
    "sdf-3": _complete,
    "sdf-4": lambda e, _: e.get("abstract") is True or has(e, "baseDefinition"),
    "sdf-5": lambda e, _: e.get("type") != "Extension" or e.get("derivation") == "specialization" or has(e, "context"),
    "sdf-6": any_of("snapshot", "differential"),
    "sdf-8": _snapshot_paths,
    "sdf-8a": _differential_paths,
    "sdf-8b": lambda e, _: all(has(element, "base") for element in items(e, "element")),
    "sdf-9": _bare_roots("label", "code", "requirements"),
    "sdf-10": lambda e, _: not has(e, "binding") or has(e["binding"], "valueSet") or has(e["binding"], "description"),
    "sdf-11": _named_by_type,
    "sdf-14": _all_identified,
    "sdf-15": _untyped_root("snapshot"),
    "sdf-15a": _untyped_root("differential"),
    "sdf-16": _identified("snapshot"),
    "sdf-17": _identified("differential"),
    "sdf-18": lambda e, _: not has(e, "contextInvariant") or e.get("type") == "Extension",
    "sdf-19": _own_types,
    "sdf-20": lambda e, _: not any(has(i, "slicing") for i in items(e, "element") if "." not in i.get("path", ".")),
    "sdf-21": lambda e, _: not _defaults(e, "differential") or e.get("derivation") == "specialization",
    "sdf-22": _specified_defaults,
    "sdf-23": _bare_roots("sliceName"),
}
