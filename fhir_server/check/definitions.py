"""Profiles, extensions and search parameters: each element exists in R4, what is said of it narrows, FHIRPath compiles."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from fhir_server.artifacts.r4.table import ElementFacts, Table, table
from fhir_server.artifacts.source import Artifact, Fault
from fhir_server.fhirpath import FhirPathError, compile_expression
from fhir_server.mapping.definition import faults_of, mapping_files
from fhir_server.model.resource import Resource

_HL7 = "http://hl7.org/fhir/StructureDefinition/"
_UNBOUNDED = 1 << 30
_MAPPING_SCHEMA = "mappings/mapping.schema.json"


def check_definition(artifact: Artifact) -> Iterator[Fault]:
    """Yield what is wrong with a StructureDefinition or SearchParameter; nothing for other artefacts."""
    resource = artifact.resource
    if resource["resourceType"] == "SearchParameter" and "expression" in resource:
        yield from _expression(artifact.path, resource["code"], resource["expression"])
    if resource["resourceType"] != "StructureDefinition":
        return
    for element in resource["differential"]["element"]:
        yield from _element(artifact.path, resource["type"], element)
        for constraint in element.get("constraint", ()):
            yield from _expression(artifact.path, constraint["key"], constraint.get("expression", ""))


def check_keys(artifacts: tuple[Artifact, ...]) -> Iterator[Fault]:
    """Yield constraint keys that two elements share: an issue's key must say which rule is broken."""
    seen: dict[str, str] = {}
    for artifact in artifacts:
        for element in artifact.resource.get("differential", {}).get("element", ()):
            for constraint in element.get("constraint", ()):
                first = seen.setdefault(constraint["key"], artifact.path)
                if first != artifact.path:
                    text = f"The constraint key {constraint['key']} is already used in {first}."
                    yield Fault(artifact.path, "constraint-key-twice", text)


def check_mappings(root: Path) -> Iterator[Fault]:
    """Yield what is wrong with the mapping definitions: against their schema, which is a JSON Schema itself."""
    path = root / _MAPPING_SCHEMA
    if not path.is_file():
        yield Fault(_MAPPING_SCHEMA, "mapping-schema", "The schema of mapping definitions is missing.")
        return
    try:
        Draft202012Validator.check_schema(json.loads(path.read_bytes()))
    except (ValueError, SchemaError) as error:
        yield Fault(_MAPPING_SCHEMA, "mapping-schema", f"Not a JSON Schema: {str(error).splitlines()[0]}")
        return
    for mapping_id, file in mapping_files(root).items():
        name = file.relative_to(root).as_posix()
        try:
            raw = json.loads(file.read_bytes())
        except ValueError as error:
            yield Fault(name, "mapping-broken", f"Not JSON: {error}")
            continue
        for text in faults_of(raw, root):
            yield Fault(name, "mapping-broken", text)
        if isinstance(raw, dict) and raw.get("id") != mapping_id:
            yield Fault(
                name, "mapping-broken", f"The id is {raw.get('id')!r}; the name of the file asks {mapping_id!r}."
            )


def _expression(path: str, name: str, text: str) -> Iterator[Fault]:
    try:
        compile_expression(text)
    except FhirPathError as error:
        yield Fault(path, "expression-invalid", f"{name}: {error}")


def _element(path: str, resource_type: str, element: Resource) -> Iterator[Fault]:
    place: str = element["path"]
    if place == resource_type:
        return
    facts = _facts(table(), place)
    if facts is None or not place.startswith(f"{resource_type}."):
        yield Fault(path, "element-unknown", f"R4 has no element {place} in a {resource_type}.")
        return
    low, high = element.get("min", facts.min), _number(element.get("max"), facts)
    if "sliceName" not in element and low < facts.min:
        yield Fault(path, "cardinality-widened", f"{element['id']}: min {low} is below R4's {facts.min}.")
    if high > (_UNBOUNDED if facts.max is None else facts.max):
        yield Fault(path, "cardinality-widened", f"{element['id']}: max {element['max']} is above R4's {facts.max}.")
    if low > high:
        yield Fault(path, "cardinality-empty", f"{element['id']}: min {low} is above max {high}.")
    if facts.binding and element.get("binding", {}).get("strength", "required") != "required":
        yield Fault(path, "binding-weakened", f"{element['id']}: R4 requires {facts.binding.valueset}.")
    for kind in element.get("type", ()):
        yield from _type(path, element["id"], kind, facts)


def _type(path: str, element_id: str, kind: Resource, facts: ElementFacts) -> Iterator[Fault]:
    if kind["code"] not in facts.types and facts.types != ("*",):
        yield Fault(path, "type-widened", f"{element_id}: R4 has no {kind['code']} here; it has {facts.types}.")
    for target in kind.get("targetProfile", ()):
        name = target.removeprefix(_HL7)
        known = not target.startswith(_HL7) or name in table().resource_types
        if not known or (target.startswith(_HL7) and facts.targets and name not in facts.targets):
            yield Fault(path, "target-widened", f"{element_id}: R4 does not let it refer to {target}.")


def _facts(facts: Table, place: str) -> ElementFacts | None:
    """Walk a path (`Task.output.value[x]`, `Task.code.coding`) through backbone elements and data types."""
    names = place.split(".")
    owner, found = names[0], None
    for name in names[1:]:
        found = _member(facts, owner, name.removesuffix("[x]"))
        if found is None:
            return None
        owner = found.content or (found.types[0] if len(found.types) == 1 else "")
    return found


def _member(facts: Table, owner: str, name: str) -> ElementFacts | None:
    while owner:
        structure = facts.structure(owner)
        for element in structure.elements if structure else ():
            if element.name == name:
                return element
        owner = facts.base(owner)
    return None


def _number(value: Any, facts: ElementFacts) -> int:
    if value is None:
        return _UNBOUNDED if facts.max is None else facts.max
    return _UNBOUNDED if value == "*" else int(value)
