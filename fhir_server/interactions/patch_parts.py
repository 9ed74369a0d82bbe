"""Reads one `operation` of a FHIRPath Patch: its parts by name, checked, and the value that it brings along."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from fhir_server.artifacts import r4
from fhir_server.artifacts.r4 import ElementFacts
from fhir_server.interactions.json_patch import copied
from fhir_server.model.errors import Malformed, RuleViolated

_NEEDED: Final = {
    "add": ("path", "name", "value"),
    "insert": ("path", "index", "value"),
    "delete": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "source", "destination"),
}
_TEXTS: Final = ("valueString", "valueCode", "valueMarkdown", "valueUri", "valueId")
_NUMBERS: Final = ("valueInteger", "valueUnsignedInt", "valuePositiveInt")


@dataclass(frozen=True, slots=True)
class Parts:
    """One operation; members that its type does not use are empty. `at` is the FHIRPath of the operation itself."""

    at: str
    type: str
    path: str
    places: dict[str, int]
    value: dict[str, Any]
    name: str = ""
    index: int = 0
    source: int = 0
    destination: int = 0

    def place(self, name: str) -> str:
        """Return the FHIRPath of one part, or of the operation where it has none of that name."""
        return f"{self.at}.part[{self.places[name]}]" if name in self.places else self.at


class Value(NamedTuple):
    """What an operation brings: the JSON value, the `_name` object beside it, and the type that `value[x]` named."""

    value: Any
    extra: Any
    kind: str


def refused(parts: Parts, name: str, problem: str) -> RuleViolated:
    """Return the refusal of an operation that is well formed but cannot be applied."""
    expression = parts.place(name)
    return RuleViolated(f"{expression}: {problem}", key="patch-path", expression=expression)


def _malformed(expression: str, problem: str) -> Malformed:
    return Malformed(f"{expression}: {problem}", key="patch-document", expression=expression)


def read_parts(operation: Any, at: str) -> Parts:
    """Check one entry of Parameters.parameter. Raises Malformed that names the part."""
    if not isinstance(operation, dict) or operation.get("name") != "operation":
        raise _malformed(at, "Each parameter of a FHIRPath Patch has the name 'operation'.")
    content = operation.get("part")
    if not isinstance(content, list):
        raise _malformed(at, "An operation has parts: type, path and what its type needs.")
    places: dict[str, int] = {}
    for place, part in enumerate(content):
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str) or name in places:
            raise _malformed(f"{at}.part[{place}]", f"Found the part {name!r} twice or without a name.")
        places[name] = place
    type_ = _text(content, places, "type", at)
    if type_ not in _NEEDED:
        raise _malformed(f"{at}.part[{places['type']}]", f"Found the type {type_!r}; allowed are {', '.join(_NEEDED)}.")
    needed = _NEEDED[type_]
    for name, place in places.items():
        if name not in needed and name != "type":
            raise _malformed(f"{at}.part[{place}]", f"{type_} takes no part {name!r}; it takes {', '.join(needed)}.")
    return Parts(
        at,
        type_,
        _text(content, places, "path", at),
        places,
        content[_place(places, "value", at)] if "value" in needed else {},
        name=_text(content, places, "name", at) if "name" in needed else "",
        index=_number(content, places, "index", at) if "index" in needed else 0,
        source=_number(content, places, "source", at) if "source" in needed else 0,
        destination=_number(content, places, "destination", at) if "destination" in needed else 0,
    )


def _place(places: dict[str, int], name: str, at: str) -> int:
    if name not in places:
        raise _malformed(at, f"The operation has no part {name!r}.")
    return places[name]


def _text(content: list[Any], places: dict[str, int], name: str, at: str) -> str:
    place = _place(places, name, at)
    found = next((content[place][key] for key in _TEXTS if key in content[place]), None)
    if not isinstance(found, str) or not found:
        raise _malformed(f"{at}.part[{place}]", f"The part {name!r} needs a valueString or valueCode.")
    return found


def _number(content: list[Any], places: dict[str, int], name: str, at: str) -> int:
    place = _place(places, name, at)
    found = next((content[place][key] for key in _NUMBERS if key in content[place]), None)
    if isinstance(found, bool) or not isinstance(found, int):
        raise _malformed(f"{at}.part[{place}]", f"The part {name!r} needs a valueInteger.")
    return found


def value_of(parts: Parts, facts: ElementFacts) -> Value:
    """Build the value for an element. Raises Malformed where it cannot be read."""
    return _value(parts.value, r4.definition_of(facts), parts.place("value"))


def _value(part: dict[str, Any], definition: str, at: str) -> Value:
    """Read `value[x]`, `resource`, or nested parts: the members of an element that Parameters has no value[x] for."""
    if "resource" in part:
        return Value(copied(part["resource"]), None, "Resource")
    if isinstance(part.get("part"), list):
        return Value(_members(part["part"], definition, at), None, definition)
    keys = {key.removeprefix("_") for key in part if key.removeprefix("_").startswith("value")}
    if len(keys) != 1:
        raise _malformed(at, f"Found {len(keys)} values; give one value[x], or parts that are the members.")
    key = keys.pop()
    suffix = key.removeprefix("value")
    lower = suffix[:1].lower() + suffix[1:]
    kind = lower if r4.is_primitive(lower) else suffix
    if not suffix or (kind == suffix and r4.structure(kind) is None):
        raise _malformed(at, f"{key!r} is no value[x] of R4.")
    return Value(copied(part.get(key)), copied(part.get(f"_{key}")), kind)


def _members(content: list[Any], definition: str, at: str) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for place, part in enumerate(content):
        here = f"{at}.part[{place}]"
        name = part.get("name") if isinstance(part, dict) else None
        facts = r4.child(definition, name) if isinstance(name, str) else None
        if facts is None or not isinstance(name, str):
            raise _malformed(here, f"{definition or 'A choice element'} has no element {name!r} in R4.")
        value = _value(part, r4.definition_of(facts), here)
        key = name
        if facts.choice:
            key = next((key for key, type_ in facts.json_names if type_ == value.kind), "")
            if not key:
                raise _malformed(here, f"{facts.path} does not take {value.kind or 'parts'}.")
        if not facts.many and (key in built or f"_{key}" in built):
            raise _malformed(here, f"{facts.path} does not repeat.")
        _place_member(built, key, value, many=facts.many)
    return built


def _place_member(built: dict[str, Any], key: str, value: Value, *, many: bool) -> None:
    if not many:
        if value.value is not None:
            built[key] = value.value
        if value.extra is not None:
            built[f"_{key}"] = value.extra
        return
    size = max(len(built.get(key, ())), len(built.get(f"_{key}", ())))
    for name, content in ((key, value.value), (f"_{key}", value.extra)):
        if name in built or content is not None:
            items = built.setdefault(name, [None] * size)
            items.append(content)
