"""R4's own extensions: where each may stand, and what it holds (core_extensions.json, made by tools/compile_r4_extensions).

R4 defines them beside the specification proper (https://hl7.org/fhir/R4/extensibility-registry.html). An element that is
no backbone element stands for its type: an extension on `ServiceRequest.performer` is taken on every Reference.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

from fhir_server.artifacts.r4 import child, definition_of, is_primitive, is_resource_type, is_subtype, structure
from fhir_server.model.geojson import BOUNDARY
from fhir_server.validation.boundaries import check_boundary
from fhir_server.validation.checks import fail
from fhir_server.validation.finding import Findings, merged
from fhir_server.validation.wording import say

PREFIX: Final = "http://hl7.org/fhir/StructureDefinition/"


class Part(NamedTuple):
    """An extension within an extension; `high` is -1 where it may be repeated without end."""

    url: str
    low: int
    high: int
    values: tuple[str, ...]


class CoreExtension(NamedTuple):
    """The facts of one extension; `contexts` are types, backbone elements and paths of primitive elements."""

    url: str
    contexts: tuple[str, ...]
    places: frozenset[str]
    values: tuple[str, ...]
    required: bool
    parts: tuple[Part, ...]

    def check(self, value: dict[str, Any]) -> Findings:
        """Judge what the extension holds; its place is judged where that is known."""
        found = _value(self.url, self.values, value, required=self.required)
        if self.url == BOUNDARY:
            found = merged(found, check_boundary(value))
        if not self.parts:
            return found
        nested = value.get("extension")
        listed = [one for one in nested if type(one) is dict] if type(nested) is list else []
        for part in self.parts:
            same = [one for one in listed if one.get("url") == part.url]
            for one in same:
                found = merged(found, _value(f"{self.url}#{part.url}", part.values, one, required=bool(part.values)))
            if len(same) < part.low:
                text = say("extension-part-min", url=self.url, part=part.url, count=len(same), low=part.low)
                found = merged(found, fail("cardinality-min", "required", text))
            elif 0 <= part.high < len(same):
                text = say("extension-part-max", url=self.url, part=part.url, count=len(same), high=part.high)
                found = merged(found, fail("cardinality-max", "structure", text))
        return found


def core_extension(url: str) -> CoreExtension | None:
    """Return the facts of an extension of R4, None for any other."""
    name = url[len(PREFIX) :].partition("|")[0] if url.startswith(PREFIX) else ""
    return _compiled(name) if name in _table() else None


def may_stand(places: frozenset[str] | tuple[str, ...], place: str, element: str = "") -> bool:
    """Tell whether an extension may stand at a type or backbone element; `element` is the path of a primitive one."""
    if "Element" in places or place in places or element in places:
        return True
    if is_resource_type(place) and "Resource" in places:
        return True
    return any(is_subtype(place, one) for one in places)


def _value(url: str, types: tuple[str, ...], value: dict[str, Any], *, required: bool) -> Findings:
    held = [name for name in value if name.startswith(("value", "_value"))]
    if not held:
        if not (types and required):
            return None
        return fail("extension-value", "extension", say("extension-value-absent", url=url, allowed=", ".join(types)))
    allowed = {prefix + "value" + name[0].upper() + name[1:] for name in types for prefix in ("", "_")}
    wrong = next((name for name in held if name not in allowed), None)
    if wrong is None:
        return None
    if not types:
        return fail("extension-value", "extension", say("extension-value-none", url=url))
    return fail("extension-value", "extension", say("extension-value", url=url, found=wrong, allowed=", ".join(types)))


@cache
def _table() -> Mapping[str, list[Any]]:
    found: Mapping[str, list[Any]] = json.loads(files(__package__).joinpath("core_extensions.json").read_bytes())
    return found


@cache
def _compiled(name: str) -> CoreExtension:
    contexts, values, required, parts = _table()[name]
    read = tuple(Part(url, low, high, tuple(types)) for url, low, high, types in parts)
    places = frozenset(map(_place, contexts))
    return CoreExtension(PREFIX + name, tuple(contexts), places, tuple(values), bool(required), read)


def _place(context: str) -> str:
    """Return the definition that a context names: a type, a backbone element, or the path of a primitive element."""
    if "." not in context or structure(context) is not None:
        return context
    owner, *steps = context.split(".")
    for step in steps:
        facts = child(owner, step)
        if facts is None:
            return context
        below = definition_of(facts)
        owner = facts.path if is_primitive(below) else below
    return owner
