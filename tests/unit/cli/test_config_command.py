"""`fhir-server config` shows what is in force, and never a secret."""

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from fhir_server.cli import main


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    for name in ("FHIR_SETTINGS", "FHIR_PORT"):
        monkeypatch.delenv(name, raising=False)
    return CliRunner().invoke


def test_it_shows_values_with_their_sources_as_a_settings_file(run, tmp_path: Path) -> None:
    file = tmp_path / "fhir.toml"
    file.write_text("default_count = 7\n", encoding="utf-8")
    result = run(main, ["--settings", str(file), "config"], env={"FHIR_PORT": "9000", "FHIR_CURSOR_KEY": "ab" * 32})
    assert result.exit_code == 0
    shown = tomllib.loads(result.output)
    assert shown["port"] == 9000
    assert shown["default_count"] == 7
    assert shown["govern_all"] is False
    assert shown["cursor_key"] == "***"
    assert "abab" not in result.output
    sources = {line.split(" = ")[0]: line.rsplit(" # ", 1)[1] for line in result.output.splitlines()}
    assert sources["port"] == "environment variable FHIR_PORT"
    assert sources["default_count"] == f"file {file}"
    assert sources["host"] == "default"


def test_a_wrong_setting_ends_every_command_with_its_name(run, tmp_path: Path) -> None:
    data = tmp_path / "patient.json"
    data.write_text("{}", encoding="utf-8")
    for command in (["config"], ["serve"], ["export"], ["check"], ["demo"], ["load", str(data)]):
        result = run(main, command, env={"FHIR_PROT": "1"})
        assert result.exit_code == 2, command
        assert "setting prot: there is no such setting (environment variable FHIR_PROT)." in result.output
        assert "Did you mean port?" in result.output


def test_the_schema_is_a_json_schema(run) -> None:
    schema = json.loads(run(main, ["config", "--schema"]).output)
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False


def test_every_command_teaches_with_examples(run) -> None:
    listed = run(main, ["--help"])
    assert listed.exit_code == 0
    for command in main.commands:
        result = run(main, [command, "--help"])
        assert result.exit_code == 0
        assert f"fhir-server {command}" in result.output
        assert command in listed.output


def test_nothing_heavy_is_imported_for_help() -> None:
    import subprocess
    import sys

    code = (
        "import sys, fhir_server.cli; "
        "print(sorted({'fastapi','uvicorn','requests','rich','jsonschema','pymongo','fhir'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
