"""The commands on a MongoDB store: the demo played over HTTP, and what looks after the database."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pymongo import MongoClient

from fhir_server.cli import main
from fhir_server.cli.demo_server import choose_port
from fhir_server.model.clock import SystemClock
from fhir_server.store.mongo import MongoStore
from fhir_server.store.sqlite import SqliteStore
from tests.contract.store.conftest import new_database
from tests.contract.store.staged import put_task

Run = Callable[..., Result]


@pytest.fixture
def url(mongo_url: str) -> str:
    return f"{mongo_url}/{new_database()}"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    environment = {"FHIR_CURSOR_KEY_FILE": str(tmp_path / "c"), "FHIR_MASTER_KEY_FILE": str(tmp_path / "m")}
    return lambda *arguments: CliRunner(env=environment).invoke(main, list(arguments))


def test_the_demo_goes_round_on_mongodb(url: str, tmp_path: Path) -> None:
    secrets = {"FHIR_CURSOR_KEY_FILE": str(tmp_path / "c"), "FHIR_MASTER_KEY_FILE": str(tmp_path / "m")}
    command = [sys.executable, "-m", "fhir_server", "demo", "--once", "--folder", str(tmp_path / "demo")]
    done = subprocess.run(
        [*command, "--port", str(choose_port(0))],
        env=os.environ | secrets | {"FHIR_STORE": url},
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert b"every answer was as it must be" in done.stdout
    with MongoClient[dict[str, object]](url) as client:
        assert client.get_default_database()["versions"].count_documents({}) > 100


def test_a_database_is_made_checked_and_counted(url: str, run: Run) -> None:
    made = run("store", "init", "--store", url)
    assert made.exit_code == 0, made.output
    assert "current_key" in made.output
    assert "nothing was missing" in run("store", "init", "--store", url).output
    store = MongoStore(url, SystemClock())
    store.write(lambda unit: (put_task(unit, "1"), put_task(unit, "1"), unit.append_audit(b"x"))[0])
    store.close()
    assert "in order" in run("store", "check", "--store", url).output
    lines = dict(line.rsplit(maxsplit=1) for line in run("store", "stats", "--store", url).output.splitlines())
    assert (lines["Task"], lines["versions"], lines["audit records"]) == ("1", "2", "1")
    assert "nothing to do" in run("store", "migrate", "--store", url).output
    with MongoClient[dict[str, object]](url) as client:
        client.get_default_database()["current"].drop_index("current_word")
        assert "current_word" in run("store", "check", "--store", url).output
        assert run("store", "init", "--store", url).output == "made: current_word\n"
        client.get_default_database()["versions"].delete_one({"_id": 1})
    broken = run("store", "check", "--store", url)
    assert broken.exit_code == 1
    assert "change 1 is missing" in broken.output


def test_the_same_commands_look_after_a_file(tmp_path: Path, run: Run) -> None:
    path = str(tmp_path / "s.sqlite")
    assert "there is no store" in run("store", "check", "--store", path).output
    assert run("store", "init", "--store", path).output.startswith("made: ")
    assert "in order" in run("store", "check", "--store", path).output
    assert "versions" in run("store", "stats", "--store", path).output
    assert run("store", "migrate", "--store", path).exit_code == 0


def test_a_file_is_copied_to_a_database_and_back(tmp_path: Path, url: str, run: Run) -> None:
    first, second = f"sqlite:///{tmp_path / 'a.sqlite'}", f"sqlite:///{tmp_path / 'b.sqlite'}"
    task = tmp_path / "task.json"
    task.write_text('{"resourceType": "Task", "id": "t", "status": "draft", "intent": "plan"}')
    loaded = run("load", str(task), "--to", first)
    assert loaded.exit_code == 0, loaded.output
    for source, target in ((first, url), (url, second)):
        copied = run("copy", "--from", source, "--to", target)
        assert copied.exit_code == 0, copied.output
        assert "the same: 1 versions" in copied.output
        assert "indexed 1 resources" in copied.output
    assert run("copy", "--from", first, "--to", second, "--verify-only").exit_code == 0


def test_a_file_is_purged_and_a_database_is_left_to_its_server(url: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = SqliteStore(path, SystemClock())
    store.write(lambda unit: (put_task(unit, "1", note="x" * 500_000), unit.delete("Task", "1", 2)))
    store.write(lambda unit: unit.erase("Task", "1"))
    store.close()
    done = run("store", "purge", "--store", f"sqlite:///{path}")
    assert done.exit_code == 0, done.output
    assert "bytes before" in done.output
    assert path.stat().st_size < 500_000
    refused = run("store", "purge", "--store", url)
    assert refused.exit_code == 2
    assert "MongoDB keeps its files itself" in refused.output
    assert run("store", "purge", "--store", f"sqlite:///{tmp_path}/none.sqlite").exit_code == 1
