"""The extensions of definition-based extraction (SDC 4.0): which resources an item makes, and which values it states.

`definitionExtract` names a type of R4 or a profile; `itemExtractionContext` (SDC 3.0) with a code names a type. Every part that is
not carried out is refused by its name.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from fhir_server.artifacts import r4
from fhir_server.model.errors import RuleViolated
from fhir_server.model.resource import Resource
from fhir_server.workflow.screening_definitions_path import Way
from fhir_server.workflow.screening_definitions_profile import BASE, Definitions, read_shape, type_of
from fhir_server.workflow.screening_definitions_values import Value
from fhir_server.workflow.screening_flow import value_of
from fhir_server.workflow.screening_form import SDC, extensions, fhirpath

EXTRACT: Final = SDC + "definitionExtract"
EXTRACT_VALUE: Final = SDC + "definitionExtractValue"
ALLOCATE: Final = SDC + "extractAllocateId"
LEGACY: Final = SDC + "itemExtractionContext"
_OTHER_BASE: Final = "http://hl7.org/fhir/"
_PARTS: Final = ("definition", "fullUrl", "ifNoneExist", "ifMatch")
_READING: Final = {"ifNoneMatch", "ifModifiedSince"}
"""Preconditions of a read (R4 bundle.html#Bundle.entry.request): nothing that is written can heed them."""


class Context(NamedTuple):
    """A resource that an item makes. `full_url`, `if_none_exist` and `if_match` are FHIRPath, "" where not said."""

    number: int
    place: str
    way: Way
    full_url: str = ""
    if_none_exist: str = ""
    if_match: str = ""

    @property
    def profile(self) -> str:
        """The profile that the resource claims, "" for a type of R4."""
        return "" if type_of(self.way.canonical) else self.way.canonical

    def meant_by(self, definition: str) -> bool:
        """Tell whether `[canonical]#[element id]` is about this resource."""
        named, own = (one.partition("|")[0] for one in (definition.partition("#")[0], self.way.canonical))
        return named == own or (not self.profile and named == _OTHER_BASE + self.way.type)


class Told(NamedTuple):
    """A value that the questionnaire states for an element: fixed, or what an expression gives."""

    definition: str
    place: str
    value: Value | None
    expression: str


def contexts_of(raw: Resource, place: str, number: int, definitions: Definitions) -> tuple[Context, ...]:
    """Return the resources that an item makes, numbered from `number`. Raises RuleViolated for what is not offered."""
    found: list[Context] = []
    for index, one in enumerate(raw.get("extension", ())):
        here = f"{place}.extension[{index}]"
        if one.get("url") == EXTRACT:
            found.append(_context(_parts(one, here), here, number + len(found), definitions))
    for index, one in enumerate(raw.get("extension", ())):
        here = f"{place}.extension[{index}]"
        if one.get("url") == LEGACY:
            canonical = BASE + _legacy_type(one, here)
            if not any(other.way.type == canonical.removeprefix(BASE) for other in found):
                found.append(_context({"definition": canonical}, here, number + len(found), definitions))
    urls = [one.way.canonical.partition("|")[0] for one in found]
    for one in found:
        if urls.count(one.way.canonical.partition("|")[0]) > 1:
            text = f"Two resources of {one.way.canonical} at one item: their elements cannot be told apart. Use a group for each."
            raise refuse(text, one.place)
    return tuple(found)


def told_values(raw: Resource, place: str) -> Iterator[Told]:
    """Yield the values that an item states."""
    for index, one in enumerate(raw.get("extension", ())):
        if one.get("url") != EXTRACT_VALUE:
            continue
        here = f"{place}.extension[{index}]"
        parts: dict[str, tuple[str, Any]] = {
            str(part.get("url", "")): value_of(part) for part in one.get("extension", ())
        }
        strange = sorted(parts.keys() - {"definition", "expression", "fixed-value"})
        definition = str(parts.get("definition", ("", ""))[1])
        if strange or "#" not in definition or ("expression" in parts) == ("fixed-value" in parts):
            raise _wrong(
                "definitionExtractValue has a definition with '#', and either expression or fixed-value.", here
            )
        expression = fhirpath(parts["expression"][1]) if "expression" in parts else ""
        if "expression" in parts and not expression:
            raise refuse("definitionExtractValue with an expression that is not text/fhirpath is not offered.", here)
        fixed = Value(parts["fixed-value"][1], kind_of(parts["fixed-value"][0])) if "fixed-value" in parts else None
        yield Told(definition, here, fixed, expression)


def allocated_names(raw: Resource) -> tuple[str, ...]:
    """Return the variables for which an item allocates ids."""
    return tuple(str(one.get("valueString", "")) for one in extensions(raw, ALLOCATE))


def kind_of(member: str) -> str:
    """Return the type of a value by its member (`valueDateTime` → dateTime)."""
    name = member.removeprefix("value")
    lower = name[:1].lower() + name[1:]
    return lower if r4.is_primitive(lower) else name


def refuse(text: str, place: str) -> RuleViolated:
    """Return the refusal of something that is not offered."""
    return RuleViolated(text, key="form-extraction-kind", code="not-supported", expression=place)


def _parts(one: Resource, place: str) -> dict[str, str]:
    parts = {str(part.get("url", "")): str(value_of(part)[1] or "") for part in one.get("extension", ())}
    for name in sorted(parts.keys() - set(_PARTS)):
        why = "it is a precondition of a read" if name in _READING else f"it has {', '.join(_PARTS)} here"
        raise refuse(f"definitionExtract with {name[:60]!r} is not offered: {why}.", place)
    if not parts.get("definition"):
        raise refuse("definitionExtract without a definition is not offered: name a type of R4 or a profile.", place)
    return parts


def _context(parts: dict[str, str], place: str, number: int, definitions: Definitions) -> Context:
    canonical = parts["definition"]
    type_, root = read_shape(canonical, definitions, place)
    if not r4.is_resource_type(type_):
        raise refuse(f"{canonical!r} is of {type_}, which is no resource.", place)
    if r4.child(type_, "identifier") is None:
        raise refuse(
            f"Extraction of a {type_} is not offered: it has no identifier by which an extraction finds it again.",
            place,
        )
    asked = (parts.get("fullUrl", ""), parts.get("ifNoneExist", ""), parts.get("ifMatch", ""))
    return Context(number, place, Way(canonical, type_, root, definitions), *asked)


def _legacy_type(one: Resource, place: str) -> str:
    name = one.get("valueCode")
    if not isinstance(name, str):
        raise refuse(
            "itemExtractionContext with an expression is not offered: resources are found again by what was extracted. "
            "Use definitionExtract, and an item with the definition [type].id where a resource is updated.",
            place,
        )
    if not r4.is_resource_type(name):
        raise _wrong(f"R4 has no resource type {name[:60]!r}.", place)
    return name


def _wrong(text: str, place: str) -> RuleViolated:
    return RuleViolated(text, key="form-definition", code="invalid", expression=place)
