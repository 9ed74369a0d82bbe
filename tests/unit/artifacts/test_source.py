"""The file rule of artefacts, and what is said when a file breaks it."""

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_server.artifacts.source import BASE, FOLDERS, canonical_of, default_root, read_all


def code_system(**changes: Any) -> dict[str, Any]:
    own = {"resourceType": "CodeSystem", "id": "colour", "url": f"{BASE}/CodeSystem/colour", "version": "1.0.0"}
    return {**own, "status": "active", "content": "complete", "description": "Colours.", **changes}


def write(root: Path, path: str, content: Any) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))


def faults(root: Path) -> list[tuple[str, str]]:
    return [(fault.path, fault.key) for fault in read_all(root)[1]]


PLACE = "terminology/code-systems/CodeSystem-colour.json"


def test_an_artefact_that_keeps_the_rule_is_read(tmp_path: Path) -> None:
    write(tmp_path, PLACE, code_system())
    artifacts, found = read_all(tmp_path)
    assert found == ()
    assert [(one.path, one.canonical, one.version) for one in artifacts] == [
        (PLACE, f"{BASE}/CodeSystem/colour", "1.0.0")
    ]
    assert artifacts[0].resource == code_system()


@pytest.mark.parametrize("member", ["url", "version", "status", "description"])
def test_each_member_that_every_artefact_states_is_asked_for(tmp_path: Path, member: str) -> None:
    write(tmp_path, PLACE, {name: value for name, value in code_system().items() if name != member})
    artifacts, found = read_all(tmp_path)
    assert {fault.key for fault in found} == {"artifact-incomplete"}
    assert any(fault.text.startswith(member) for fault in found)
    assert len(artifacts) == (0 if member == "url" else 1)


@pytest.mark.parametrize(
    ("path", "content", "key"),
    [
        ("terminology/code-systems/colour.json", code_system(), "artifact-name"),
        (PLACE, code_system(id="color"), "artifact-name"),
        (PLACE, code_system(url="https://elsewhere.example.org/CodeSystem/color"), "artifact-name"),
        (PLACE, code_system(url=f"{BASE}/colours/colour"), "artifact-name"),
        (PLACE, code_system(status="ready"), "artifact-incomplete"),
        ("terminology/value-sets/CodeSystem-colour.json", code_system(), "artifact-folder"),
        ("terminology/CodeSystem-colour.json", code_system(), "artifact-folder"),
        ("terminology/code-systems/notes.txt", "colours", "artifact-extension"),
        (PLACE, "{", "artifact-unreadable"),
        (PLACE, '{"resourceType":"CodeSystem","id":"a","id":"b"}', "artifact-unreadable"),
        (PLACE, "[]", "artifact-unreadable"),
    ],
)
def test_a_breach_of_the_rule_is_named_with_its_file(tmp_path: Path, path: str, content: Any, key: str) -> None:
    write(tmp_path, path, content)
    assert (path, key) in faults(tmp_path)


def test_one_canonical_and_version_in_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, PLACE, code_system())
    write(tmp_path, "terminology/code-systems/more/CodeSystem-colour.json", code_system())
    assert ("terminology/code-systems/more/CodeSystem-colour.json", "artifact-duplicate") in faults(tmp_path)


def test_the_schema_of_mappings_is_no_artefact(tmp_path: Path) -> None:
    write(tmp_path, "mappings/mapping.schema.json", {"type": "object"})
    assert read_all(tmp_path) == ((), ())


def test_a_naming_system_is_known_by_its_preferred_uri() -> None:
    ids = [
        {"type": "oid", "value": "1.2.3"},
        {"type": "uri", "value": "http://old.example.org"},
        {"type": "uri", "value": f"{BASE}/NamingSystem/x", "preferred": True},
    ]
    assert canonical_of({"resourceType": "NamingSystem", "uniqueId": ids}) == f"{BASE}/NamingSystem/x"
    assert canonical_of({"resourceType": "NamingSystem", "uniqueId": ids[:1]}) == ""


def test_the_default_root_holds_the_folders() -> None:
    root = default_root()
    present = [folder for folder in FOLDERS if (root / folder).is_dir()]
    assert "profiles/structure-definitions" in present
    assert "terminology/code-systems" in present
