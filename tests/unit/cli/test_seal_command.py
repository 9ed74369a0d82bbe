"""`fhir-server seal`: keys are told and rotated, and a store without its master key does not open."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fhir_server.cli import main

BSN = "http://fhir.nl/fhir/NamingSystem/bsn"
LINE = {"resourceType": "Patient", "id": "s1", "identifier": [{"system": BSN, "value": "111222333"}]}


def run(folder: Path, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(
        main, list(arguments), env={"FHIR_STORE": f"sqlite:///{folder / 'a.sqlite'}", **environment}
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one.ndjson").write_text(json.dumps(LINE) + "\n")
    loaded = run(tmp_path, "load", str(tmp_path / "one.ndjson"))
    assert loaded.exit_code == 0, loaded.output
    return tmp_path


def test_keys_rotate_and_the_store_reads_on(folder: Path) -> None:
    master = folder / "a.sqlite.master"
    before = master.read_text()
    assert oct(master.stat().st_mode)[-3:] == "600"
    assert "data key 2 seals" in run(folder, "seal", "rotate").output
    assert master.read_text() == before
    rotated = run(folder, "seal", "rotate", "--master")
    assert rotated.exit_code == 0, rotated.output
    assert master.read_text() != before
    assert len(master.read_text().split()) == 1
    assert oct(master.stat().st_mode)[-3:] == "600"
    told = run(folder, "seal", "status", "--count").output
    assert re.search(r"data 1: made \S+, wrapped by master key \w+, seals 1 versions", told)
    assert "data 3:" in told
    assert "0 versions with a national number lie in clear" in told
    assert len(set(re.findall(r"master key (\w+)", told))) == 1
    assert json.loads(run(folder, "export", "--type", "Patient").stdout)["identifier"] == LINE["identifier"]


def test_a_store_without_its_master_key_does_not_open(folder: Path) -> None:
    master = folder / "a.sqlite.master"
    key = master.read_text().strip()
    wrong = "ab" * 32
    refused = run(folder, "export", FHIR_MASTER_KEY=wrong)
    assert refused.exit_code == 1
    assert "does not open" in refused.output
    assert "sealed with the master key" in refused.output
    assert run(folder, "seal", "rotate", "--master", FHIR_MASTER_KEY=key).exit_code == 2
    assert run(folder, "seal", "rotate", FHIR_MASTER_KEY=f"{wrong},{key}").exit_code == 0
    assert run(folder, "export", FHIR_MASTER_KEY=wrong).exit_code == 0
    master.unlink()
    gone = run(folder, "export")
    assert gone.exit_code == 1
    assert "gives none" in gone.output
    assert not master.exists(), "no new key is made for a store that has one"
    master.write_text("no key\n")
    assert "holds no keys" in run(folder, "export").output
