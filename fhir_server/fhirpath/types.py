"""The types of items: what a name tells, what a TypeModel knows, and what the shape of the JSON leaves possible."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, Protocol

from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.moments import Moment
from fhir_server.fhirpath.node import NO_INDEX, Node
from fhir_server.fhirpath.quantities import Quantity
from fhir_server.fhirpath.r4_names import (
    CHOICE_NAMES,
    CHOICE_TYPES,
    INFRASTRUCTURE,
    MEMBERS,
    PARENTS,
    PRIMITIVES,
    QUANTITIES,
    RESOURCES,
    STRUCTURES,
    SYSTEM_TYPES,
)

_FHIR_TYPES: Final = PRIMITIVES | MEMBERS.keys() | frozenset(QUANTITIES) | STRUCTURES | RESOURCES
_ABSTRACT: Final = frozenset({"Resource", "DomainResource"})
_HOLDS_RESOURCES: Final = frozenset({"resource", "contained", "outcome"})
_BY_NAME: Final = {
    "meta": "Meta", "extension": "Extension", "modifierExtension": "Extension", "lastUpdated": "instant",
    "linkId": "string", "coding": "Coding", "birthDate": "date", "div": "xhtml",
}  # fmt: skip
"""Elements whose name has one type wherever R4 uses it."""

_LEXICAL: Final = {
    "base64Binary": re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"),
    "date": re.compile(r"\d{4}(?:-\d\d(?:-\d\d)?)?"),
    "dateTime": re.compile(r"\d{4}(?:-\d\d(?:-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))?)?)?"),
    "instant": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"),
    "time": re.compile(r"\d\d:\d\d:\d\d(?:\.\d+)?"),
    "id": re.compile(r"[A-Za-z0-9\-.]{1,64}"),
    "code": re.compile(r"\S+(?: \S+)*"),
    "oid": re.compile(r"urn:oid:[0-2](?:\.\d+)+"),
    "uuid": re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "uri": re.compile(r"\S*"),
    "url": re.compile(r"\S*"),
    "canonical": re.compile(r"\S*"),
    "string": re.compile(r".*", re.DOTALL),
    "markdown": re.compile(r".*", re.DOTALL),
}


class TypeModel(Protocol):
    """What is known of the elements of each type."""

    def child(self, parent: str, name: str) -> str:
        """Return the type of element `name` of type `parent`, or an empty text where it is unknown or a choice."""
        ...


class NamedTypes:
    """The types that names alone give away; all else stays unknown, and type tests then answer by shape."""

    def child(self, parent: str, name: str) -> str:  # noqa: ARG002  # the protocol asks for both
        """Return the type of an element that has the same type everywhere in R4."""
        return _BY_NAME.get(name, "")


def choice_keys(name: str) -> dict[str, str]:
    """Return JSON member → type for each form that a choice element can take; empty for any other element."""
    if name not in CHOICE_NAMES:
        return {}
    return {name + suffix: type_ for suffix, type_ in CHOICE_TYPES.items()}


def choice_of(key: str) -> tuple[str, str] | None:
    """Take a JSON member such as `valueQuantity` apart into element and type, or return None."""
    for place, letter in enumerate(key):
        if letter.isupper() and key[:place] in CHOICE_NAMES and key[place:] in CHOICE_TYPES:
            return key[:place], CHOICE_TYPES[key[place:]]
    return None


def items_of(parent: Node, name: str, key: str, type_: str) -> Iterator[Node]:
    """Yield the items of one JSON member, `_key` sibling included, each with its place."""
    members: dict[str, Any] = parent.value
    value, beside = members.get(key), members.get(f"_{key}")
    if isinstance(value, list) or isinstance(beside, list):
        values = value if isinstance(value, list) else []
        extras = beside if isinstance(beside, list) else []
        for index in range(max(len(values), len(extras))):
            item = values[index] if index < len(values) else None
            extra = extras[index] if index < len(extras) else None
            if item is not None or extra is not None:
                yield _typed(item, type_, parent, name, key, index, extra)
    elif value is not None or beside is not None:
        yield _typed(value, type_, parent, name, key, NO_INDEX, beside)


def _typed(item: Any, type_: str, parent: Node, name: str, key: str, index: int, extra: Any) -> Node:
    if name in _HOLDS_RESOURCES and isinstance(item, dict):
        named = item.get("resourceType")
        type_ = named if isinstance(named, str) else type_
    return Node(item, type_, parent, name, key, index, extra if isinstance(extra, dict) else None)


def check_type(name: str, text: str) -> str:
    """Return the name without `FHIR.`; raise FhirPathError when R4 and FHIRPath have no such type."""
    bare = name.removeprefix("FHIR.")
    known = bare in _FHIR_TYPES or bare in _ABSTRACT or (bare == name and name.removeprefix("System.") in SYSTEM_TYPES)
    if not known:
        raise FhirPathError(f"FHIRPath {text!r}: there is no type {name!r} in R4. Check its spelling and case.")
    return bare


def is_type(node: Node, name: str) -> bool:
    """Tell whether an item is of a type (as `check_type` returned it) or of one that specialises it.

    An unqualified System type also takes the FHIR primitive that converts to it (`answer is Boolean` in que-7).
    """
    if node.type.startswith("System."):
        return node.type.removeprefix("System.") == name.removeprefix("System.")
    if name.startswith("System."):
        return False
    if name in SYSTEM_TYPES and name != "Quantity":
        name = name[0].lower() + name[1:]
    value = node.value
    if isinstance(value, dict) and "resourceType" in value:
        own = value["resourceType"]
        return name in (own, "Resource") or (name == "DomainResource" and own not in INFRASTRUCTURE)
    if name == "Element":
        return True
    if node.type:
        return _specialises(node.type, name)
    return _fits(value, name)


def _specialises(type_: str, name: str) -> bool:
    while type_:
        if type_ == name:
            return True
        type_ = PARENTS.get(type_, "BackboneElement" if "." in type_ else "")
    return False


def _fits(value: Any, name: str) -> bool:
    """Answer for an item of unknown type by the form of its value."""
    if isinstance(value, dict):
        members = MEMBERS.get("Quantity" if name in QUANTITIES else name)
        allowed = {*members.split(), "id", "extension"} if members else set()
        return bool(allowed) and all(key.removeprefix("_") in allowed for key in value)
    if isinstance(value, bool):
        return name == "boolean"
    if isinstance(value, int):
        smallest = {"integer": None, "unsignedInt": 0, "positiveInt": 1}.get(name, "other")
        return name == "decimal" or smallest is None or (isinstance(smallest, int) and value >= smallest)
    if isinstance(value, Decimal):
        return name == "decimal"
    form = _LEXICAL.get(name)
    return form is not None and isinstance(value, str) and form.fullmatch(value) is not None


def system_type(value: Any) -> str:
    """Return the System type of a computed value."""
    if isinstance(value, bool):
        return "System.Boolean"
    if isinstance(value, int):
        return "System.Integer"
    if isinstance(value, Decimal):
        return "System.Decimal"
    if isinstance(value, Moment):
        return {"date": "System.Date", "dateTime": "System.DateTime", "time": "System.Time"}[value.kind]
    return "System.Quantity" if isinstance(value, Quantity) else "System.String"
