"""A server whose artefacts cannot be used says which, and does not start."""

import shutil
from pathlib import Path

from click.testing import CliRunner

from fhir_server.artifacts.source import default_root
from fhir_server.cli import main


def test_a_profile_that_cannot_be_enforced_stops_the_command_with_its_name(tmp_path: Path) -> None:
    for folder in ("profiles", "terminology", "mappings"):
        shutil.copytree(default_root() / folder, tmp_path / folder)
    path = tmp_path / "profiles" / "structure-definitions" / "StructureDefinition-referral-task.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"expression": "', '"expression": "nonsense(', 1), encoding="utf-8")
    environment = {"FHIR_ARTIFACT_ROOT": str(tmp_path), "FHIR_STORE": f"sqlite:///{tmp_path}/x.sqlite"}
    result = CliRunner().invoke(main, ["load", str(path)], env=environment)
    assert result.exit_code == 1
    assert "referral-task" in result.output
    assert "Traceback" not in result.output
