"""Resources composed to have a value for a search parameter, and the search that must find each.

One for each path of each parameter: the JSON that the path reaches, nothing else. They are not valid R4; they go past
validation into a store, as the index would see the same elements in a valid resource.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from fhir_server.search.convert import converter
from fhir_server.search.expressions import At, Equals, Path, RefersToType, Step
from fhir_server.search.parameters import Registry, SearchParameter

HERE = "here"
"""The id of the resource of each type that references lead to."""
_VALUES: dict[tuple[str, str], tuple[Any, str]] = {
    ("token", "boolean"): (True, "true"),
    ("token", "flag:boolean"): (True, "true"),
    ("token", "flag:dateTime"): ("2026-01-02", "true"),
    ("token", "Coding"): ({"system": "urn:x", "code": "abc"}, "urn:x|abc"),
    ("token", "CodeableConcept"): ({"coding": [{"system": "urn:x", "code": "abc"}]}, "urn:x|abc"),
    ("token", "Identifier"): ({"system": "urn:x", "value": "abc"}, "urn:x|abc"),
    ("token", "ContactPoint"): ({"system": "phone", "value": "+32 9 12"}, "+32912"),
    ("string", "HumanName"): ({"family": "Muñoz"}, "munoz"),
    ("string", "Address"): ({"city": "Ĳsselstein"}, "ijssel"),
    ("reference", "Reference"): ({"reference": f"Patient/{HERE}"}, f"Patient/{HERE}"),
    ("reference", "canonical"): ("http://example.org/c|1.0", "http://example.org/c"),
    ("reference", "uri"): ("http://example.org/c", "http://example.org/c"),
    ("uri", "canonical"): ("http://example.org/c|1.0", "http://example.org/c"),
    ("date", "Period"): ({"start": "2026-01-02", "end": "2026-01-03"}, "2026-01"),
    ("date", "Timing"): ({"event": ["2026-01-02"]}, "2026-01"),
    ("date", "date"): ("2026-01-02", "2026-01"),
    ("date", "dateTime"): ("2026-01-02T10:00:00+01:00", "2026-01-02"),
    ("date", "instant"): ("2026-01-02T10:00:00.123Z", "2026-01-02T10:00:00.123Z"),
    ("number", "Range"): ({"low": {"value": 5}, "high": {"value": 6}}, "ge5"),
    ("quantity", "Money"): ({"value": 5, "currency": "EUR"}, "5|urn:iso:std:iso:4217|EUR"),
    ("quantity", "SampledData"): ({"origin": {"value": 5}, "period": 1, "dimensions": 1, "data": "0 1"}, "5"),
    ("quantity", "Range"): ({"low": {"value": 5}, "high": {"value": 9}}, "ge9"),
    ("special", "Location.position"): ({"latitude": 51.05, "longitude": 3.72}, "51.05|3.72|1|km"),
}
_BY_TYPE: dict[str, tuple[Any, str]] = {
    "token": ("abc", "abc"),
    "string": ("Ærø straße", "aero strasse"),
    "uri": ("http://example.org/u", "http://example.org/u"),
    "number": (5, "5"),
    "quantity": (
        {"value": 5, "system": "http://unitsofmeasure.org", "code": "g", "unit": "g"},
        "0.005|http://unitsofmeasure.org|kg",
    ),
}


class Composed(NamedTuple):
    """A resource, the parameter that it has a value for, and the value to search for; `target` is what it refers to."""

    resource: dict[str, Any]
    param: str
    value: str
    target: str = ""


def composed(registry: Registry, resource_type: str) -> Iterator[Composed]:
    """Yield a resource for each path of each parameter; a path to a type that search does not read has none."""
    for code, parameter in registry.of(resource_type).items():
        found = _pairs(parameter) if parameter.type == "composite" else _values(registry, parameter)
        for number, (members, value, target) in enumerate(found):
            identity = f"{code.replace('_', 'all.')}-{number}"
            resource = {"resourceType": resource_type, **members, "id": identity}
            yield Composed(resource, code, identity if code == "_id" else value, target)


def _values(registry: Registry, parameter: SearchParameter) -> Iterator[tuple[dict[str, Any], str, str]]:
    for path in parameter.paths:
        if parameter.type == "reference" and path.type in ("Reference", "Resource"):
            target = _target(registry, parameter, path)
            stored = {"reference": target} if path.type == "Reference" else _resource(target)
            yield _nested(path.steps, stored), target, target
        elif (parameter.type, path.type) in _VALUES or (parameter.type in _BY_TYPE and _read(parameter, path)):
            stored, value = _value(parameter.type, path.type)
            yield _nested(path.steps, stored), value, ""


def _read(parameter: SearchParameter, path: Path) -> bool:
    return converter(parameter.type, path.type, ("x",)) is not None


def _value(kind: str, datatype: str) -> tuple[Any, str]:
    return _VALUES.get((kind, datatype)) or _BY_TYPE[kind]


def _resource(reference: str) -> dict[str, Any]:
    kind, _, identity = reference.partition("/")
    return {"resourceType": kind, "id": identity}


def _target(registry: Registry, parameter: SearchParameter, path: Path) -> str:
    named = [test.type for step in path.steps for test in step.tests if isinstance(test, RefersToType)]
    return f"{(named or registry.targets(parameter))[0]}/{HERE}"


def _nested(steps: tuple[Step, ...], value: Any) -> dict[str, Any]:
    if not steps:
        return dict(value)
    step, rest = steps[0], steps[1:]
    inner = _nested(rest, value) if rest else value
    for test in step.tests:
        if isinstance(test, Equals):
            inner = {**inner, test.name: test.text}
        elif isinstance(test, At):
            inner = [*([{}] * test.position), inner]
    return {step.key: inner}


def _pairs(parameter: SearchParameter) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield a resource for each way to compose a composite: an occurrence, with the first path of each type of its parts."""
    for occurrence in parameter.occurrences:
        element: dict[str, Any] = {}
        outside: dict[str, Any] = {}
        values: list[str] = []
        for component, paths in zip(parameter.components, occurrence.components, strict=True):
            path = paths[0]
            stored, value = _value(component.type, path.type)
            beyond = path.steps[0].key == "%resource"
            _merge(outside if beyond else element, _nested(path.steps[1:] if beyond else path.steps, stored))
            values.append(value)
        members = _nested(occurrence.path.steps, element)
        _merge(members, outside)
        yield members, "$".join(values), ""


def _merge(into: dict[str, Any], members: dict[str, Any]) -> None:
    for name, value in members.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value
