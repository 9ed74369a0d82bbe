"""Nothing is left for later, and every exception to a rule says why."""

import ast
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = Path(__file__).resolve()
FOLDERS = ("fhir_server", "tests", "bench", "tools")
SOURCES = sorted(
    str(path.relative_to(ROOT)) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if path.resolve() != OWN
)
TEXTS = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "Makefile", ".ci/run", "pyproject.toml", "requirements/*.in")
    for path in ROOT.glob(pattern)
)
PLACEHOLDER = re.compile(r"\b(TODO|FIXME|HACK|TBD|NotImplementedError|NotImplemented)\b")
SUPPRESSION = re.compile(
    r"#\s*(noqa|type:\s*ignore|pragma:\s*no cover)(?P<codes>:\s*[A-Z]+\d+(\s*,\s*[A-Z]+\d+)*|\[[\w\-, ]+\])?(?P<rest>.*)"
)
REASON = re.compile(r"\s*#\s*\S.{3}")
STDLIB_ONLY = {"msgspec"}
"""What the kernel may import beside the standard library (docs/adr/0002)."""


@pytest.mark.parametrize("source", [*SOURCES, *TEXTS])
def test_there_are_no_placeholders(source: str) -> None:
    for number, line in enumerate((ROOT / source).read_text(encoding="utf-8").splitlines(), start=1):
        assert not PLACEHOLDER.search(line), f"{source}:{number}: {line.strip()}"


@pytest.mark.parametrize("source", SOURCES)
def test_every_suppression_names_its_rule_and_its_reason(source: str) -> None:
    with (ROOT / source).open("rb") as handle:
        comments = [token for token in tokenize.tokenize(handle.readline) if token.type == tokenize.COMMENT]
    for comment in comments:
        found = SUPPRESSION.match(comment.string)
        if found is None:
            continue
        place = f"{source}:{comment.start[0]}: {comment.string}"
        assert found["codes"] or "no cover" in found[1], f"{place} names no rule"
        assert REASON.match(found["rest"]), f"{place} gives no reason"


@pytest.mark.parametrize("source", [name for name in SOURCES if name.startswith("fhir_server/model/")])
def test_the_kernel_imports_the_standard_library_only(source: str) -> None:
    import sys

    allowed = set(sys.stdlib_module_names) | STDLIB_ONLY
    for name in imported(ROOT / source):
        assert name.startswith("fhir_server.model") or name.split(".")[0] in allowed, f"{source} imports {name}"


@pytest.mark.parametrize("source", [name for name in SOURCES if name.startswith("fhir_server/")])
def test_fhir_resources_is_imported_for_r4b_only_and_late(source: str) -> None:
    tree = ast.parse((ROOT / source).read_text(encoding="utf-8"))
    top = {name for node in tree.body for name in names_of(node)}
    assert not any(name.startswith("fhir.") for name in top), f"{source} imports fhir.resources at import time"
    for name in imported(ROOT / source):
        assert not name.startswith("fhir.resources") or name.startswith("fhir.resources.R4B"), f"{source}: {name} is R5"


@pytest.mark.parametrize("source", [name for name in SOURCES if name.startswith("fhir_server/")])
def test_nothing_changes_global_state_or_prints(source: str) -> None:
    tree = ast.parse((ROOT / source).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Global), f"{source}:{node.lineno} changes a module's variable"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"print", "eval"}, f"{source}:{node.lineno} calls {node.func.id}"


def imported(path: Path) -> set[str]:
    return {name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for name in names_of(node)}


def names_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []
