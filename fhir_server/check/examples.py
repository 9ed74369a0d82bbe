"""The examples: each is valid R4 and keeps the profiles that it claims; each invalid one fails as it says.

Below examples/ lie scenarios with resources, Bundles and JSON Patches. examples/invalid/ holds pairs: `<name>.json`, and
`<name>.issue.json` with the issue it must raise: `key`, `expression`, and `level`, which is `base` for a fault against
R4 itself and `profile` for one that only a profile forbids.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.source import Fault
from fhir_server.model import codec
from fhir_server.model.errors import Malformed
from fhir_server.model.resource import Resource
from fhir_server.terminology.service import TerminologyService
from fhir_server.validation.compiler import Compiler
from fhir_server.validation.differential import UnenforceableConstruct
from fhir_server.validation.identifiers import Identifiers
from fhir_server.validation.pipeline import Validator
from fhir_server.validation.profile import Profiles, compile_all

_INVALID = "examples/invalid/"
_ISSUE = ".issue.json"
_PATCH_OPERATIONS = frozenset({"add", "remove", "replace", "move", "copy", "test"})


def load_judge(catalog: Catalog, terminology: TerminologyService) -> tuple[Validator, list[Fault]]:
    """Compile the profiles; one that cannot be enforced is a finding, and the others go on."""
    profiles, refused = compile_all(catalog, terminology)
    faults = [Fault(error.profile, "profile-unenforceable", f"{error.path}: {error.reason}") for error in refused]
    try:
        identifiers = Identifiers(catalog.of_type("NamingSystem"))
    except UnenforceableConstruct as error:
        faults.append(Fault(error.profile, "identifier-rule-unusable", f"{error.path}: {error.reason}"))
        identifiers = Identifiers(())
    return Validator(Compiler(), Profiles(profiles, identifiers)), faults


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


def check_examples(examples: Mapping[str, Any], judge: Validator) -> Iterator[Fault]:
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


def _valid(path: str, resource: Resource, judge: Validator) -> Iterator[Fault]:
    for issue in judge.judge(resource).issues:
        yield Fault(path, issue.key, f"{issue.expression}: {issue.diagnostics}")


def _invalid(path: str, issue: Any, resource: Any, judge: Validator) -> Iterator[Fault]:
    if not isinstance(issue, dict) or {*issue} != {"level", "key", "expression"}:
        yield Fault(path, "example-issue", "An expected issue has level, key and expression, nothing else.")
        return
    if not isinstance(resource, dict):
        return
    verdict = judge.judge(resource)
    found = [(one.key, one.expression) for one in verdict.issues]
    wanted = (issue["key"], issue["expression"])
    if wanted not in found:
        yield Fault(path, "example-verdict", f"Expected {wanted}; found {_listed(found)}.")
    elif (issue["level"] == "base") == verdict.valid:
        text = f"It says level {issue['level']}; R4 itself finds {'nothing' if verdict.valid else 'a fault'}: {_listed(found)}."
        yield Fault(path, "example-verdict", text)


def _paired(path: str, examples: Mapping[str, Any]) -> Iterator[Fault]:
    partner = path.removesuffix(_ISSUE) + ".json" if path.endswith(_ISSUE) else path.removesuffix(".json") + _ISSUE
    if partner not in examples:
        yield Fault(path, "example-unpaired", f"{partner} is missing: an invalid example and its issue go together.")


def _patch(path: str, operations: list[Any]) -> Iterator[Fault]:
    for index, operation in enumerate(operations):
        name = operation.get("op") if isinstance(operation, dict) else None
        if name not in _PATCH_OPERATIONS or not str(operation.get("path", "")).startswith("/"):
            yield Fault(path, "example-patch", f"[{index}] is no operation of JSON Patch (RFC 6902).")


def _listed(found: list[tuple[str, str]]) -> str:
    return ", ".join(f"{key} at {expression}" for key, expression in found) or "nothing"
