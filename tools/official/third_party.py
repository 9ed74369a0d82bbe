"""The verdicts on the instances that others published, as the table of docs/validation.md.

    python -m tools.official.third_party

Judged is each resource below ../shared/data, as `$validate` does it: base R4, R4's own extensions, the advice of R4. Printed
is a Markdown table by package, and one row for each element that is refused.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fhir_server.artifacts.catalog import Catalog
from fhir_server.model import codec
from fhir_server.validation.pipeline import Validator

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data"
_ERRORS = ("error", "fatal")


class Verdict(NamedTuple):
    """What is said of one file; `stored` tells whether a write of it is accepted."""

    package: str
    name: str
    stored: bool
    errors: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


def verdicts(folder: Path = FOLDER) -> list[Verdict]:
    """Judge every resource below a folder, in the order of their paths."""
    judge = Validator.load(Catalog.load())
    found = []
    for path in sorted(folder.rglob("*.json")):
        raw = path.read_bytes()
        if b'"resourceType"' not in raw:
            continue
        resource = codec.decode_resource(raw)
        issues = judge.report(resource)
        errors = tuple((one.key, one.expression) for one in issues if one.severity in _ERRORS)
        warnings = tuple(one.key for one in issues if one.severity == "warning")
        package = path.relative_to(folder).parts[0]
        found.append(Verdict(package, path.name, not judge.judge(resource).issues, errors, warnings))
    return found


def table(judged: list[Verdict]) -> Iterator[str]:
    """Yield the lines of the two tables: packages, then what is refused."""
    yield "| package | instances | stored as they are | without error in `$validate` | with warnings |"
    yield "|---|---:|---:|---:|---|"
    for package in sorted({one.package for one in judged}):
        of_package = [one for one in judged if one.package == package]
        counted = Counter(key for one in of_package for key in set(one.warnings))
        warned = ", ".join(f"`{key}` {count}" for key, count in sorted(counted.items())) or "none"
        stored, clean = (sum(one.stored for one in of_package), sum(not one.errors for one in of_package))
        yield f"| {package} | {len(of_package)} | {stored} | {clean} | {warned} |"
    stored, clean = (sum(one.stored for one in judged), sum(not one.errors for one in judged))
    yield f"| together | {len(judged)} | {stored} | {clean} | |"
    yield ""
    yield "| instance | issue | element |"
    yield "|---|---|---|"
    for one in judged:
        for key, expression in one.errors:
            yield f"| {one.name} | `{key}` | `{expression}` |"


if __name__ == "__main__":
    print("\n".join(table(verdicts())))
    sys.exit(0)
