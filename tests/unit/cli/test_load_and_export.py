"""What `load` brings in, `export` brings out, through the real engine on a real file."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fhir_server.cli import main


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "fhir.sqlite"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_resources_come_out_as_they_went_in_and_loading_twice_changes_nothing(store: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "b.json").write_text(
        '{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"},'
        '"valueQuantity":{"value":1.00}}',
        encoding="utf-8",
    )
    (data / "c.ndjson").write_text(
        '{"resourceType":"Patient","id":"p","birthDate":"2004"}\n{"resourceType":"Patient","id":"q"}\n',
        encoding="utf-8",
    )
    for _ in range(2):
        result = run("load", data, "--to", store)
        assert result.exit_code == 0, result.output
        assert result.stdout == "loaded 3 resources: 1 Observation, 2 Patient\n"
    exported = run("export", "--store", store)
    assert exported.exit_code == 0
    assert exported.stderr == "exported 1 Observation, 2 Patient\n"
    lines = exported.stdout.splitlines()
    assert '"value":1.00' in next(line for line in lines if "Observation" in line)
    assert {json.loads(line)["id"]: json.loads(line)["meta"]["versionId"] for line in lines} == {
        "o": "1",
        "p": "1",
        "q": "1",
    }


def test_an_export_can_be_limited_to_types_and_written_to_one_file_per_type(store: Path, tmp_path: Path) -> None:
    source = tmp_path / "x.ndjson"
    source.write_text(
        '{"resourceType":"Patient","id":"p"}\n{"resourceType":"Organization","id":"o","name":"De Linde"}\n'
        '{"resourceType":"Group","id":"g","type":"person","actual":true}\n',
        encoding="utf-8",
    )
    run("load", source, "--to", store)
    out = tmp_path / "out"
    result = run("export", "--store", store, "--type", "Patient", "--type", "Group", "--out", out)
    assert result.exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["Group.ndjson", "Patient.ndjson"]
    again = run("load", out, "--to", tmp_path / "second.sqlite")
    assert again.stdout == "loaded 2 resources: 1 Group, 1 Patient\n"


def test_an_export_holds_current_versions_only(store: Path, tmp_path: Path) -> None:
    source = tmp_path / "x.ndjson"
    source.write_text(
        '{"resourceType":"Patient","id":"p","gender":"female"}\n{"resourceType":"Patient","id":"p","gender":"male"}\n',
        encoding="utf-8",
    )
    batch = tmp_path / "y.json"
    batch.write_text(
        json.dumps(
            {
                "resourceType": "Bundle",
                "type": "transaction",
                "entry": [
                    {
                        "resource": {"resourceType": "Patient", "id": "gone"},
                        "request": {"method": "PUT", "url": "Patient/gone"},
                    }
                ],
            }
        ),
        encoding="utf-8",
    )
    delete = tmp_path / "z.json"
    delete.write_text(
        json.dumps(
            {
                "resourceType": "Bundle",
                "type": "batch",
                "entry": [{"request": {"method": "DELETE", "url": "Patient/gone"}}],
            }
        ),
        encoding="utf-8",
    )
    loaded = run("load", source, batch, delete, "--to", store)
    assert loaded.exit_code == 0, loaded.output
    assert "carried out 2 batches and transactions" in loaded.stdout
    lines = run("export", "--store", store).stdout.splitlines()
    assert [(json.loads(line)["id"], json.loads(line)["gender"]) for line in lines] == [("p", "male")]


def test_what_is_refused_is_told_with_the_element_and_the_rest_is_loaded(store: Path, tmp_path: Path) -> None:
    source = tmp_path / "x.ndjson"
    source.write_text(
        '{"resourceType":"Patient","id":"p","gender":"woman"}\n'
        '{"resourceType":"Patient","id":"q"}\n'
        '{"resourceType":"Banana","id":"q"}\n'
        '{"resourceType":"Patient","id":"not an id"}\n',
        encoding="utf-8",
    )
    result = run("load", source, "--to", store)
    assert result.exit_code == 1
    assert result.stdout.startswith("loaded 1 resources: 1 Patient\n")
    assert f"refused Patient/p from {source}:1" in result.stdout
    assert "(Patient.gender)" in result.stdout
    assert "refused Banana/q" in result.stdout
    assert "refused Patient/not an id" in result.stdout
    assert result.stdout.endswith("refused 3 in all\n")


def test_a_refused_entry_of_a_batch_is_told_by_its_place(store: Path, tmp_path: Path) -> None:
    source = tmp_path / "batch.json"
    entries = [
        {"resource": {"resourceType": "Patient", "gender": gender}, "request": {"method": "POST", "url": "Patient"}}
        for gender in ("male", "man")
    ]
    source.write_text(json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries}), encoding="utf-8")
    result = run("load", source, "--to", store)
    assert result.exit_code == 1
    assert "loaded 1 resources: 1 Patient" in result.stdout
    assert f"refused Bundle.entry[1] from {source}" in result.stdout


def test_a_store_that_cannot_be_opened_is_an_error_not_a_trace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    source = tmp_path / "x.ndjson"
    source.write_text('{"resourceType":"Patient"}\n', encoding="utf-8")
    result = run("load", source, "--to", tmp_path / "file" / "x.sqlite")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the store ")
    absent = run("export", "--store", tmp_path / "absent.sqlite")
    assert absent.exit_code == 1
    assert "there is no store" in absent.stderr


def test_to_and_url_exclude_each_other(tmp_path: Path) -> None:
    result = run("load", tmp_path, "--to", "x", "--url", "http://127.0.0.1:1/fhir")
    assert result.exit_code == 2
    assert "not both" in result.stderr
