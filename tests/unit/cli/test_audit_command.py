"""`fhir-server audit` against a real SQLite file that somebody has tampered with in every way."""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fhir_server.cli import main

Tamper = Callable[[sqlite3.Connection], object]
TAIL = 6


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"FHIR_STORE": f"sqlite:///{folder / 'a.sqlite'}"})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a trail of a few records, sealed, and the seal outside of it."""
    folder = tmp_path_factory.mktemp("trail")
    lines = [
        {"resourceType": "Patient", "id": f"p{number}", "name": [{"family": f"Naam{number}"}]} for number in range(TAIL)
    ]
    source = folder / "persons.ndjson"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    loaded = run(folder, "load", str(source))
    assert loaded.exit_code == 0, loaded.output
    sealed = run(folder, "audit", "seal")
    assert sealed.exit_code == 0, sealed.output
    (folder / "seals").write_text(sealed.output)
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    for name in ("a.sqlite", "a.sqlite.master", "a.sqlite.key", "seals"):
        (tmp_path / name).write_bytes((template / name).read_bytes())
    return tmp_path


def tampered(folder: Path, how: Tamper) -> None:
    with sqlite3.connect(folder / "a.sqlite") as file:
        how(file)
    file.close()


def rebuilt(file: sqlite3.Connection) -> None:
    """Make every digest fit the records, as whoever knows the rule can."""
    digest, number = b"", 0
    for old, record in file.execute("SELECT number, record FROM audit ORDER BY number").fetchall():
        digest, number = hashlib.sha256(digest + record).digest(), number + 1
        file.execute("UPDATE audit SET digest = ?, number = ? WHERE number = ?", (digest, number, old))


def edit(file: sqlite3.Connection) -> None:
    text = "UPDATE audit SET record = CAST(replace(CAST(record AS TEXT), 'fhir-server load', 'somebody else') AS BLOB) WHERE number = 2"
    file.execute(text)


def delete(file: sqlite3.Connection) -> None:
    file.execute("DELETE FROM audit WHERE number = 3")


def swap(file: sqlite3.Connection) -> None:
    two, three = file.execute("SELECT record FROM audit WHERE number IN (2, 3) ORDER BY number").fetchall()
    file.execute("UPDATE audit SET record = ? WHERE number = 2", three)
    file.execute("UPDATE audit SET record = ? WHERE number = 3", two)


def cut_head(file: sqlite3.Connection) -> None:
    file.execute("INSERT INTO audit_anchor SELECT number, digest FROM audit WHERE number = 2")
    file.execute("DELETE FROM audit WHERE number <= 2")


def cut_tail(file: sqlite3.Connection) -> None:
    file.execute("DELETE FROM audit WHERE number > 4")


def cut_tail_and_seals(file: sqlite3.Connection) -> None:
    cut_tail(file)
    file.execute("DELETE FROM record WHERE kind = 'audit-seal'")


def edit_and_rebuild(file: sqlite3.Connection) -> None:
    edit(file)
    rebuilt(file)


def forge_seal(file: sqlite3.Connection) -> None:
    edit_and_rebuild(file)
    digest = file.execute("SELECT digest FROM audit WHERE number = ?", (TAIL,)).fetchone()[0].hex()
    for key, body in file.execute("SELECT key, body FROM record WHERE kind = 'audit-seal'").fetchall():
        number, _, at, signature = json.loads(body)
        file.execute(
            "UPDATE record SET body = ? WHERE kind = 'audit-seal' AND key = ?",
            (json.dumps([number, digest, at, signature]).encode(), key),
        )


def hide_key(file: sqlite3.Connection) -> None:
    file.execute("DELETE FROM audit_about WHERE about = 'Patient/p1'")


def move_in_time(file: sqlite3.Connection) -> None:
    file.execute("UPDATE audit SET recorded = recorded - 86400000 WHERE number = 2")


def nonsense(file: sqlite3.Connection) -> None:
    file.execute("UPDATE audit SET record = x'00' WHERE number = 2")
    rebuilt(file)


CASES: list[tuple[Tamper, str]] = [
    (edit, "record 2: its digest does not follow"),
    (delete, "record 3 is missing"),
    (swap, "record 2: its digest does not follow"),
    (cut_head, "not by `fhir-server audit trim`"),
    (cut_tail, "its end was cut off"),
    (cut_tail_and_seals, "its end was cut off"),
    (edit_and_rebuild, "not the one that was sealed"),
    (forge_seal, "not made with the key"),
    (hide_key, "no longer found by its key Patient/p1"),
    (move_in_time, "is filed under"),
    (nonsense, "no record of this server"),
]


def test_an_untouched_trail_verifies_and_goes_on(folder: Path) -> None:
    for _ in range(2):
        done = run(folder, "audit", "verify", "--seals", str(folder / "seals"))
        assert done.exit_code == 0, done.output
        assert "sealed up to 6; 0 findings" in done.output


@pytest.mark.parametrize(("how", "said"), CASES, ids=[case[0].__name__ for case in CASES])
def test_tampering_is_found(folder: Path, how: Tamper, said: str) -> None:
    tampered(folder, how)
    done = run(folder, "audit", "verify", "--seals", str(folder / "seals"))
    assert done.exit_code == 1, done.output
    assert said in done.output


def test_a_cut_tail_without_its_seals_is_found_inside_too(folder: Path) -> None:
    tampered(folder, cut_tail_and_seals)
    done = run(folder, "audit", "verify")
    assert done.exit_code == 1
    assert "the trail has no seal" in done.output


def test_export_and_trim(folder: Path) -> None:
    exported = run(folder, "audit", "export", "--patient", "Patient/p3")
    assert exported.exit_code == 0, exported.output
    (event,) = [json.loads(line) for line in exported.stdout.splitlines()]
    assert event["entity"][0]["what"]["reference"] == "Patient/p3/_history/1"
    assert len(run(folder, "audit", "export", "--since", "2020-01-01").stdout.splitlines()) == TAIL
    assert run(folder, "audit", "trim", "--before", "2020-01-01").output.startswith("0 records would")
    assert run(folder, "audit", "trim", "--before", "3000-01-01").output.startswith(f"{TAIL} records would")
    assert run(folder, "audit", "trim", "--before", "3000-01-01", "--yes").output.startswith(f"{TAIL} records were")
    done = run(folder, "audit", "verify", "--seals", str(folder / "seals"))
    assert done.exit_code == 0, done.output
    assert "1 records, 7 to 7" in done.output
    told = json.loads(run(folder, "audit", "export").stdout)
    assert "identifier" not in told["agent"][0] or told["agent"][0]["altId"] == "fhir-server command"
    assert run(folder, "audit", "trim", "--before", "soon").exit_code == 2
    tampered(folder, lambda file: file.execute("UPDATE audit_anchor SET number = number - 1"))
    assert run(folder, "audit", "verify").exit_code == 1
