"""Imports go downward only (pyproject.toml, `tool.importlinter`), and the contracts do catch what they forbid."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")
PLANTED = [
    ("model/clock.py", "from fhir_server.search import query", "Imports go downward only"),
    ("workflow/effects.py", "import fastapi", "FastAPI and Starlette only in http and app"),
    ("interactions/__init__.py", "import sqlite3", "Databases only in their own store"),
    ("http/__init__.py", "import requests", "Outgoing HTTP only in outbound and the command line"),
    ("store/sqlite/__init__.py", "import fhir_server.validation", "Stores know nothing of decisions"),
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(LINT), "--no-logo", "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_layers_hold() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_contract_catches_what_it_forbids(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "fhir_server", tmp_path / "fhir_server", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module, line, _ in PLANTED:
        with (tmp_path / "fhir_server" / module).open("a", encoding="utf-8") as handle:
            handle.write(f"\n{line}\n")
    result = lint(tmp_path)
    assert result.returncode != 0
    broken = "\n".join(text for text in result.stdout.splitlines() if text.endswith("BROKEN"))
    for _, _, contract in PLANTED:
        assert contract in broken, result.stdout
