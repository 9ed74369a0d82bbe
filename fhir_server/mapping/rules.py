"""The rules of a mapping, compiled: each writes one element, or one object for each element that it finds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fhir_server.mapping.places import Incomplete, Place, Put, Read, Remark, put_path, read_path
from fhir_server.mapping.values import compile_value

Write = Callable[[Place, dict[str, Any]], bool]
"""Writes into an object; True when it wrote something that the record said, not only constants."""
Condition = Callable[[Place], bool]


def compile_rules(rules: Sequence[Mapping[str, Any]]) -> Write:
    """Compile rules that write into the same object."""
    writers = [_nested(rule) if "rules" in rule else _simple(rule) for rule in rules]

    def write(place: Place, resource: dict[str, Any]) -> bool:
        said = False
        for writer in writers:
            said |= writer(place, resource)
        return said

    return write


def compile_condition(spec: Mapping[str, Any] | None) -> Condition:
    """Compile `when`; without one it always holds."""
    if spec is None:
        return lambda _: True
    read = read_path(spec["path"])
    if "exists" in spec:
        wanted = spec["exists"]
        return lambda place: (read(place) is not None) == wanted
    allowed = spec["in"] if "in" in spec else [spec["equals"]]
    return lambda place: read(place) in allowed


def _simple(rule: Mapping[str, Any]) -> Write:
    value, put, holds = compile_value(rule["value"]), put_path(rule["to"]), compile_condition(rule.get("when"))
    required, fixed = rule.get("required", False), "constant" in rule["value"]

    def write(place: Place, resource: dict[str, Any]) -> bool:
        if not holds(place):
            return False
        found = value(place)
        if found is None:
            if required:
                source = rule["value"].get("from", rule["to"])
                raise Incomplete(source, rule["to"])
            return False
        put(resource, found)
        return not fixed

    return write


def _nested(rule: Mapping[str, Any]) -> Write:
    read, put, holds = read_path(rule["each"]), put_path(rule["to"]), compile_condition(rule.get("when"))
    inner, separators = compile_rules(rule["rules"]), rule.get("split", "")
    if rule.get("together"):
        return _together(read, put, holds, inner)

    def write(place: Place, resource: dict[str, Any]) -> bool:
        if not holds(place):
            return False
        said = False
        for element in _elements(read(place), separators):
            made: dict[str, Any] = {}
            try:
                whole = inner(place.at(element), made)
            except Incomplete as missing:
                text = f"{rule['to']} is left out: {missing.element} has no value."
                place.run.remark(Remark("warning", "element-incomplete", rule["each"], text))
                continue
            if whole:  # an object of nothing but constants says nothing
                put(resource, made.get("@", made))
                said = True
        return said

    return write


def _together(read: Read, put: Put, holds: Condition, inner: Write) -> Write:
    """Write what every element gives, equal ones once, and nothing where one of them gives nothing."""

    def write(place: Place, resource: dict[str, Any]) -> bool:
        found: list[Any] = []
        for element in _elements(read(place), "") if holds(place) else ():
            made: dict[str, Any] = {}
            if not inner(place.at(element), made):
                return False
            if made not in found:
                found.append(made)
        for made in found:
            put(resource, made)
        return bool(found)

    return write


def _elements(found: Any, separators: str) -> list[Any]:
    if found is None:
        return []
    if separators and isinstance(found, str):
        for separator in separators[1:]:
            found = found.replace(separator, separators[0])
        return [part.strip() for part in found.split(separators[0]) if part.strip()]
    return found if isinstance(found, list) else [found]
