"""The rules of a mapping, compiled: each writes one element, or one object for each element that it finds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fhir_server.mapping.places import (
    Incomplete,
    Place,
    Put,
    Read,
    Remark,
    put_path,
    read_each,
    read_path,
    read_paths,
    shown,
)
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


def compile_condition(spec: Mapping[str, Any] | list[Mapping[str, Any]] | None) -> Condition:
    """Compile `when`; without one it always holds, of several one must."""
    if spec is None:
        return lambda _: True
    if isinstance(spec, list):
        several = [compile_condition(one) for one in spec]
        return lambda place: any(holds(place) for holds in several)
    read = read_path(spec["path"])
    if "of" in spec:
        every, holds = read_each(spec["of"]), compile_condition({key: spec[key] for key in spec if key != "of"})
        return lambda place: all(holds(place.at(element)) for element in every(place))
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
                raise Incomplete(place.called(source), rule["to"])
            return False
        put(resource, found)
        return not fixed

    return write


def _nested(rule: Mapping[str, Any]) -> Write:
    read, put, holds = read_paths(rule["each"]), put_path(rule["to"]), compile_condition(rule.get("when"))
    inner, separators, where = compile_rules(rule["rules"]), rule.get("split", ""), shown(rule["each"])
    once = isinstance(rule["each"], list)
    if rule.get("together"):
        return _together(rule, read, put, holds, inner)

    def write(place: Place, resource: dict[str, Any]) -> bool:
        if not holds(place):
            return False
        said, before = False, []
        for element in _elements(read(place), separators):
            made: dict[str, Any] = {}
            try:
                whole = inner(place.at(element, where), made)
            except Incomplete as missing:
                text = f"{rule['to']} is left out: {missing.element} has no value."
                place.run.remark(Remark("warning", "element-incomplete", place.called(where), text))
                continue
            if whole and made not in before:  # an object of nothing but constants says nothing
                put(resource, made.get("@", made))
                said = True
                if once:
                    before.append(made)
        return said

    return write


def _together(rule: Mapping[str, Any], read: Read, put: Put, holds: Condition, inner: Write) -> Write:
    """Write what every element gives, equal ones once, and nothing (with a remark) where only some of them give it."""
    where = shown(rule["each"])

    def write(place: Place, resource: dict[str, Any]) -> bool:
        found: list[Any] = []
        lacking = False
        for element in _elements(read(place), ""):
            made: dict[str, Any] = {}
            if not inner(place.at(element, where), made):
                lacking = True
            elif made not in found:
                found.append(made)
        if found and (lacking or not holds(place)):
            text = f"{rule.get('meaning', rule['to'])} is said by some of these only. It would be taken for all, so it is left out."
            place.run.remark(Remark("warning", "part-only", where, text))
            return False
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
