"""`fhir-server check` ends with 1 and names the file when an artefact is not in order."""

import shutil
from pathlib import Path

from click.testing import CliRunner

from fhir_server.artifacts.source import default_root
from fhir_server.cli import main


def test_a_broken_artefact_is_found_and_named(tmp_path: Path) -> None:
    for folder in ("profiles", "terminology", "mappings", "examples"):
        shutil.copytree(default_root() / folder, tmp_path / folder)
    broken = tmp_path / "terminology" / "code-systems" / "CodeSystem-broken.json"
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_text('{"resourceType": "CodeSystem", "id": "broken"', encoding="utf-8")
    result = CliRunner().invoke(main, ["check", str(tmp_path)])
    assert result.exit_code == 1
    assert "CodeSystem-broken.json" in result.stdout
    assert "findings in" in result.stderr
