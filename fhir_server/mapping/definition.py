"""Mapping definitions: the files of mappings/directory/, checked against their schema and compiled."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fhir_server.mapping.places import Place, Read, read_each, read_path
from fhir_server.mapping.rules import Condition, Write, compile_condition, compile_rules
from fhir_server.mapping.telling import Tell, compile_told
from fhir_server.mapping.values import Value, compile_value

SCHEMA_FILE = "mapping.schema.json"
_OF_FORMAT = {"columns": "table", "tables": "json", "bundles": "fhir", "geometry": "table"}


class MappingBroken(ValueError):
    """A mapping definition cannot be used; the message says where and why."""


class Column(NamedTuple):
    """A column of a table: `headers` are the names that it may have."""

    name: str
    headers: tuple[str, ...]
    description: str
    example: str
    required: bool


class Kept(NamedTuple):
    """An element that must not come to nothing where the record says something of it."""

    element: str
    read: Read
    display: Read | None
    """What each thing at `read` is called: the element becomes references with only that; without it the record is refused."""


class Target(NamedTuple):
    """One resource (or one for each element at `each`) that a record becomes."""

    name: str
    resource_type: str
    profile: tuple[str, ...]
    key: Value
    """What the source calls it; nothing for a whole resource: its entry says it (`mapping.fhir_links`)."""
    when: Condition
    each: Read | None
    write: Write
    reaches: frozenset[str] = frozenset()
    """Elements of a whole resource whose references must lead somewhere."""
    kept: tuple[Kept, ...] = ()
    tell: Tell = compile_told(())
    """Remarks on what the record says and the resource cannot."""
    optional: bool = False
    """Where a required value is missing, the resource is left out; else its record is refused."""


class Definition(NamedTuple):
    """A compiled mapping."""

    id: str
    title: str
    format: str
    """`json`, `table` or `fhir`."""
    records: Read | None
    columns: tuple[Column, ...]
    tables: Mapping[str, Any] | None
    """How CSV tables are joined into records (`source.tables` of the schema)."""
    targets: tuple[Target, ...]
    bundles: frozenset[str] = frozenset()
    """For FHIR: the types of Bundle whose entries are taken."""
    geometry: str = ""
    """For a table: the column that the geometry of a GeoJSON feature fills, "" when GeoJSON is not read."""

    def types(self) -> tuple[str, ...]:
        """Return the resource types that it makes."""
        return tuple(dict.fromkeys(target.resource_type for target in self.targets))


def mapping_files(root: Path) -> dict[str, Path]:
    """Return the mapping files of an artefact root by the id of the mapping."""
    return {path.stem: path for path in sorted((root / "mappings" / "directory").glob("*.json"))}


def load_mapping(root: Path, mapping_id: str) -> Definition:
    """Load the mapping with this id. Raises MappingBroken when there is none, or it does not keep to the schema."""
    files = mapping_files(root)
    if mapping_id not in files:
        raise MappingBroken(f"There is no mapping {mapping_id!r}; there are {', '.join(files) or 'none'}.")
    try:
        raw = json.loads(files[mapping_id].read_bytes())
    except ValueError as error:
        raise MappingBroken(f"{files[mapping_id].name} is not JSON: {error}") from error
    faults = list(faults_of(raw, root))
    if faults:
        raise MappingBroken(f"{files[mapping_id].name}: {faults[0]}")
    return compile_mapping(raw)


def faults_of(raw: Any, root: Path) -> Iterator[str]:
    """Yield what is wrong with a mapping definition: against the schema, and names that it refers to in vain."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415  # a tenth of a second, only for who imports

    schema = json.loads((root / "mappings" / SCHEMA_FILE).read_bytes())
    for error in Draft202012Validator(schema).iter_errors(raw):
        yield f"{error.json_path}: {error.message[:300]}"
        return
    names = {target["name"] for target in raw["targets"]}
    for found in _references(raw["targets"]):
        if found not in names:
            yield f"$.targets: the reference {found!r} is to no target of this mapping."
    form = raw["source"]["format"]
    for member, wanted in _OF_FORMAT.items():
        if member in raw["source"] and form != wanted:
            yield f"$.source.{member} is for another format than {form}."
    if raw["source"].get("geometry", "") not in ("", *raw["source"].get("columns", ())):
        yield "$.source.geometry is no column."
    if any(("whole" in target) != (form == "fhir") for target in raw["targets"]):
        yield "$.targets: whole resources, and nothing else, are what the format fhir becomes."


def compile_mapping(raw: Mapping[str, Any]) -> Definition:
    """Compile a definition that keeps to the schema."""
    source = raw["source"]
    columns = tuple(
        Column(name, tuple(one["headers"]), one["description"], one.get("example", ""), one.get("required", False))
        for name, one in source.get("columns", {}).items()
    )
    records = read_path(source["records"]) if "records" in source else None
    targets = tuple(_target(one) for one in raw["targets"])
    return Definition(
        raw["id"],
        raw.get("title", raw["id"]),
        source["format"],
        records,
        columns,
        source.get("tables"),
        targets,
        frozenset(source.get("bundles", ())),
        source.get("geometry", ""),
    )


def _target(raw: Mapping[str, Any]) -> Target:
    return Target(
        raw["name"],
        raw["resourceType"],
        tuple(raw.get("profile", ())),
        compile_value(raw["id"]) if "id" in raw else _nothing,
        compile_condition(raw.get("when")),
        read_each(raw["each"]) if "each" in raw else None,
        compile_rules(raw.get("rules", ())),
        frozenset(raw.get("reaches", ())),
        tuple(
            Kept(element, read_path(spec["from"]), read_path(spec["display"]) if "display" in spec else None)
            for element, spec in raw.get("kept", {}).items()
        ),
        compile_told(raw.get("told", ())),
        raw.get("optional", False),
    )


def _nothing(_: Place) -> None:
    return None


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str) and ("key" in node or len(node) == 1):
            yield node["reference"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
