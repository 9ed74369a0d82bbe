"""A search parameter that is added later finds what was stored before, after a re-index that nobody has to wait for."""

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from fhir_server.app import build_engine
from fhir_server.cli import main
from fhir_server.interactions.reindexing import Progress, index_is_current, reindex
from fhir_server.settings import Settings

PARAMETER = {
    "resourceType": "SearchParameter",
    "id": "Patient-nickname",
    "url": "https://w3id.org/social-referral/SearchParameter/Patient-nickname",
    "version": "1.0.0",
    "name": "PatientNickname",
    "status": "active",
    "description": "Finds persons by the name that they are called by.",
    "code": "nickname",
    "base": ["Patient"],
    "type": "string",
    "expression": "Patient.name.where(use='nickname').given",
}


def add_parameter(root: Path) -> None:
    folder = root / "profiles" / "search-parameters"
    (folder / "SearchParameter-Patient-nickname.json").write_text(json.dumps(PARAMETER), encoding="utf-8")


def person(number: int) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "name": [{"use": "nickname", "given": [f"Bijnaam {number}"]}],
    }


def test_a_parameter_that_is_added_finds_old_resources_after_a_reindex(
    fresh_server: Any, copied_root: Path, tmp_path: Path, refused: Any
) -> None:
    settings = {"store": f"sqlite:///{tmp_path / 'shared.sqlite'}", "artifact_root": str(copied_root)}
    before = fresh_server(**settings, publish_artifacts=False)
    for number in range(5):
        assert httpx.put(f"{before.base}/Patient/p{number}", json=person(number)).status_code == 201
    refused(httpx.get(f"{before.base}/Patient?nickname=bijnaam"), 400, "search-unknown-parameter")
    before.stop()
    add_parameter(copied_root)
    server = fresh_server(**settings, publish_artifacts=False)
    with httpx.Client(base_url=server.base) as client:
        assert client.put("/Patient/p5", json=person(5)).status_code == 201
        assert client.get("/Patient?nickname=bijnaam").json()["total"] == 1
        statuses: list[int] = []
        stop = threading.Event()

        def use() -> None:
            while not stop.is_set():
                statuses.append(
                    client.put(
                        "/Patient/busy", json=person(9) | {"id": "busy", "active": len(statuses) % 2 == 0}
                    ).status_code
                )
                statuses.append(client.get("/Patient/p1").status_code)

        user = threading.Thread(target=use)
        user.start()
        file = tmp_path / "settings.toml"
        file.write_text(f'artifact_root = "{copied_root}"\nbase_url = "{server.base}"\n', encoding="utf-8")
        command = ["--settings", str(file), "reindex", "--store", str(tmp_path / "shared.sqlite")]
        result = CliRunner().invoke(main, command)
        stop.set()
        user.join()
        assert result.exit_code == 0, result.output
        assert "indexed " in result.stdout
        assert set(statuses) <= {200, 201}
        assert client.get("/Patient?nickname=bijnaam").json()["total"] == 7
        assert client.get("/Patient?nickname=bijnaam 3").json()["entry"][0]["resource"]["id"] == "p3"
        claims = next(r for r in client.get("/metadata").json()["rest"][0]["resource"] if r["type"] == "Patient")
        assert "nickname" in [claim["name"] for claim in claims["searchParam"]]


def test_an_interrupted_run_goes_on_where_it_stopped_and_the_index_is_marked(copied_root: Path, tmp_path: Path) -> None:
    settings = Settings(store=f"sqlite:///{tmp_path / 'x.sqlite'}", artifact_root=str(copied_root))
    engine = build_engine(settings)
    assert index_is_current(engine)
    for start in range(0, 900, 300):

        def work(unit: Any, start: int = start) -> None:
            for number in range(start, start + 300):
                unit.put("Patient", f"p{number}", 1, json.dumps(person(number)).encode(), (), "POST")

        engine.store.write(work)
    engine.store.close()
    add_parameter(copied_root)
    engine = build_engine(settings)
    assert not index_is_current(engine)

    def interrupt(progress: Progress) -> None:
        if progress.done >= 400:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reindex(engine, told=interrupt)
    assert not index_is_current(engine)
    starts: list[Progress] = []
    progress, resumed = reindex(engine, told=starts.append)
    assert resumed
    assert starts[0].after == 400
    assert progress.done == 900
    assert index_is_current(engine)
    assert not reindex(engine, ["Patient"])[1]
    engine.store.close()


def test_the_command_refuses_what_is_no_type_and_no_store(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["reindex", "--store", str(tmp_path / "none.sqlite")])
    assert result.exit_code == 1
    assert "no store" in result.output
    (tmp_path / "some.sqlite").touch()
    result = CliRunner().invoke(main, ["reindex", "--type", "Banana", "--store", str(tmp_path / "some.sqlite")])
    assert result.exit_code == 2
    assert "Banana" in result.output
