"""The commands of getting in: keys and accounts (clients are registered by command in the tests of attacks)."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fhir_server.access.principal import PLATFORM
from fhir_server.app import build_engine
from fhir_server.cli import main
from fhir_server.interactions.perform import perform
from fhir_server.interactions.request import Request
from fhir_server.settings import Settings


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"FHIR_STORE": f"sqlite:///{tmp_path / 'fhir.sqlite'}", "FHIR_KEY_FOLDER": str(tmp_path / "keys")}


def run(environ: dict[str, str], *words: str, status: int = 0) -> str:
    done = CliRunner().invoke(main, list(words), env=environ)
    assert done.exit_code == status, done.output
    return done.output


def test_keys_are_made_for_their_owner_only_and_listed_with_their_use(environ: dict[str, str]) -> None:
    run(environ, "key", "list", status=1)
    first = run(environ, "key", "rotate").split()[0]
    second = run(environ, "key", "rotate").split()[0]
    listed = [line.split() for line in run(environ, "key", "list").splitlines()]
    assert [(line[0], line[2]) for line in listed] == [(second, "signs"), (first, "checks")]
    folder = Path(environ["FHIR_KEY_FOLDER"])
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_key_that_is_over_is_listed_so_and_removed_by_the_next_rotation(environ: dict[str, str]) -> None:
    folder = Path(environ["FHIR_KEY_FOLDER"])
    run(environ, "key", "rotate")
    made = next(folder.glob("*.pem"))
    old, older = (
        made.with_name(f"signing-{created}-{made.stem.split('-')[2]}{created}.pem") for created in (2000, 1000)
    )
    for path in (old, older):
        path.write_bytes(made.read_bytes())
        path.chmod(0o600)
    assert [line.split()[2] for line in run(environ, "key", "list").splitlines()] == ["signs", "checks", "over"]
    run(environ, "key", "rotate")
    assert not older.exists()


def test_a_command_without_a_folder_of_keys_says_what_to_set(environ: dict[str, str]) -> None:
    alone = {**environ, "FHIR_KEY_FOLDER": ""}
    assert "FHIR_KEY_FOLDER" in run(alone, "key", "rotate", status=2)
    stated = ("account", "add", "an@caw.example", "--organization", "Organization/caw", "--role", "recipient")
    assert "key_folder" in run(alone, *stated, status=2)
    assert "key rotate" in run(environ, *stated, status=1)


def test_accounts_are_made_reset_disabled_and_listed_by_command(environ: dict[str, str]) -> None:
    run(environ, "key", "rotate")
    stated = ("account", "add", "An@caw.example", "--organization", "Organization/caw", "--role", "recipient")
    assert "not stored" in run(environ, *stated, status=1)
    store(environ, {"resourceType": "Organization", "id": "caw", "name": "CAW"})
    made = run(environ, *stated)
    assert made.startswith("password  ")
    assert "otpauth://totp/" in made
    assert "already" in run(environ, *stated, status=1)
    assert run(environ, "account", "reset", "an@caw.example") != made
    assert "an@caw.example  active  Organization/caw  recipient" in run(environ, "account", "list")
    run(environ, "account", "disable", "an@caw.example")
    assert "an@caw.example  disabled" in run(environ, "account", "list")
    assert "no account" in run(environ, "account", "disable", "nobody", status=1)


def store(environ: dict[str, str], resource: dict[str, Any]) -> None:
    engine = build_engine(Settings(store=environ["FHIR_STORE"]))
    path = f"{resource['resourceType']}/{resource['id']}"
    body = json.dumps(resource).encode()
    perform(engine, Request("PUT", path, body=body, content_type="application/fhir+json", principal=PLATFORM))
    engine.store.close()
