"""The examples: each is valid R4 and keeps the invariants of the profiles it claims; each invalid one fails as it says.

Below examples/ lie scenarios with resources, Bundles and JSON Patches. examples/invalid/ holds pairs: `<name>.json`, and
`<name>.issue.json` with the issue it must raise: `key`, `expression`, and `level`, which is `base` for a fault against
R4 itself and `profile` for one that only a profile forbids.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.source import Fault
from fhir_server.check.definitions import own_profiles
from fhir_server.fhirpath import Expression, FhirPathError, compile_expression
from fhir_server.model import codec
from fhir_server.model.errors import Malformed
from fhir_server.model.resource import Resource, walk
from fhir_server.validation.pipeline import Validator

_INVALID = "examples/invalid/"
_ISSUE = ".issue.json"
_PATCH_OPERATIONS = frozenset({"add", "remove", "replace", "move", "copy", "test"})


class Judge:
    """Base validation, and the invariants that our profiles add at the root of a resource."""

    def __init__(self, validator: Validator, catalog: Catalog) -> None:
        self._validator = validator
        self._invariants: dict[str, list[tuple[str, Expression]]] = {}
        for definition in catalog.of_type("StructureDefinition"):
            self._invariants[definition["url"]] = list(_root_invariants(definition))

    def knows(self, profile: str, key: str) -> bool:
        """Whether the profile has this invariant at its root."""
        return any(own == key for own, _ in self._invariants.get(profile, ()))

    def base(self, resource: Resource) -> list[tuple[str, str, str]]:
        """Return (key, expression, diagnostics) of each fault against R4."""
        return [(issue.key, issue.expression, issue.diagnostics) for issue in self._validator.validate(resource)]

    def broken(self, resource: Resource) -> list[tuple[str, str]]:
        """Return (key, place) of each broken invariant of a claimed profile, in the resource and those in its Bundle."""
        return [
            (key, place or resource["resourceType"])
            for place, part in _resources(resource)
            for profile in own_profiles(part)
            for key, expression in self._invariants.get(profile, ())
            if not expression.holds(part)
        ]


def read_examples(root: Path) -> tuple[dict[str, Any], list[Fault]]:
    """Read every file below examples/: path relative to the root → content; and what cannot be read."""
    contents: dict[str, Any] = {}
    faults: list[Fault] = []
    for file in sorted(path for path in (root / "examples").rglob("*") if path.is_file()):
        name = file.relative_to(root).as_posix()
        if file.name == "README.md":
            continue
        if file.suffix != ".json":
            faults.append(
                Fault(name, "example-extension", "An example is a .json file or the README.md of its folder.")
            )
            continue
        try:
            contents[name] = codec.decode(file.read_bytes())
        except Malformed as error:
            faults.append(Fault(name, "example-unreadable", str(error)))
    return contents, faults


def check_examples(examples: Mapping[str, Any], judge: Judge) -> Iterator[Fault]:
    """Yield a fault for each example that is not what it says it is."""
    for path, content in examples.items():
        if path.startswith(_INVALID):
            yield from _paired(path, examples)
            if path.endswith(_ISSUE):
                yield from _invalid(path, content, examples.get(path.removesuffix(_ISSUE) + ".json"), judge)
        elif isinstance(content, list):
            yield from _patch(path, content)
        elif not isinstance(content, dict) or "resourceType" not in content:
            yield Fault(path, "example-shape", "An example is a resource, a Bundle or a JSON Patch.")
        else:
            yield from _valid(path, content, judge)


def _valid(path: str, resource: Resource, judge: Judge) -> Iterator[Fault]:
    faults = judge.base(resource)
    for key, expression, text in faults:
        yield Fault(path, key, f"{expression}: {text}")
    for key, place in () if faults else judge.broken(resource):
        yield Fault(path, key, f"{place} breaks the invariant {key} of a profile that it claims.")


def _invalid(path: str, issue: Any, resource: Any, judge: Judge) -> Iterator[Fault]:
    if not isinstance(issue, dict) or {*issue} != {"level", "key", "expression"}:
        yield Fault(path, "example-issue", "An expected issue has level, key and expression, nothing else.")
        return
    if not isinstance(resource, dict):
        return
    found = judge.base(resource)
    wanted = (issue["key"], issue["expression"])
    if issue["level"] == "base":
        if wanted not in [(key, expression) for key, expression, _ in found]:
            yield Fault(path, "example-verdict", f"Expected {wanted}; base validation found {_listed(found)}.")
    elif found:
        yield Fault(path, "example-verdict", f"Only a profile may forbid it; base validation found {_listed(found)}.")
    elif any(judge.knows(profile, issue["key"]) for profile in own_profiles(resource)):
        broken = judge.broken(resource)
        if wanted not in broken:
            yield Fault(path, "example-verdict", f"Expected {wanted}; broken invariants are {broken or 'none'}.")


def _paired(path: str, examples: Mapping[str, Any]) -> Iterator[Fault]:
    partner = path.removesuffix(_ISSUE) + ".json" if path.endswith(_ISSUE) else path.removesuffix(".json") + _ISSUE
    if partner not in examples:
        yield Fault(path, "example-unpaired", f"{partner} is missing: an invalid example and its issue go together.")


def _patch(path: str, operations: list[Any]) -> Iterator[Fault]:
    for index, operation in enumerate(operations):
        name = operation.get("op") if isinstance(operation, dict) else None
        if name not in _PATCH_OPERATIONS or not str(operation.get("path", "")).startswith("/"):
            yield Fault(path, "example-patch", f"[{index}] is no operation of JSON Patch (RFC 6902).")


def _root_invariants(definition: Resource) -> Iterator[tuple[str, Expression]]:
    for element in definition["differential"]["element"]:
        if element["path"] != definition["type"]:
            continue
        for constraint in element.get("constraint", ()):
            if constraint["severity"] != "error":
                continue
            try:
                yield constraint["key"], compile_expression(constraint["expression"])
            except FhirPathError:  # named where definitions are checked
                continue


def _resources(resource: Resource) -> Iterator[tuple[str, Resource]]:
    for place, element in walk(resource, ""):
        if "resourceType" in element:
            yield (resource["resourceType"] + place if place else ""), element


def _listed(found: list[tuple[str, str, str]]) -> str:
    return ", ".join(f"{key} at {expression}" for key, expression, _ in found) or "nothing"
