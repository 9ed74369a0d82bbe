"""Looking artefacts up by canonical and version."""

from pathlib import Path
from typing import Any

import pytest

from fhir_server.artifacts.catalog import ArtifactsBroken, Catalog

URL = "https://w3id.org/social-referral/ValueSet/a"


def value_set(version: str, url: str = URL) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "url": url, "version": version}


def test_without_a_version_the_highest_is_meant() -> None:
    catalog = Catalog(value_set(version) for version in ("1.9.0", "1.10.0", "2.0.0-ballot", "1.2.0"))
    assert catalog.get("ValueSet", URL) == value_set("2.0.0-ballot")
    assert catalog.get("ValueSet", f"{URL}|1.9.0") == value_set("1.9.0")
    assert catalog.get("ValueSet", f"{URL}|3.0.0") is None


def test_a_release_is_higher_than_its_ballot() -> None:
    catalog = Catalog([value_set("2.0.0-ballot"), value_set("2.0.0")])
    assert catalog.get("ValueSet", URL) == value_set("2.0.0")


def test_the_type_belongs_to_the_key() -> None:
    catalog = Catalog([value_set("1.0.0")])
    assert catalog.get("CodeSystem", URL) is None
    assert catalog.resolve(URL) == value_set("1.0.0")
    assert catalog.resolve(f"{URL}|9") is None
    assert catalog.of_type("ValueSet") == (value_set("1.0.0"),)
    assert catalog.of_type("CodeSystem") == ()
    assert catalog.types() == ("ValueSet",)


def test_a_double_is_refused_with_its_canonical() -> None:
    with pytest.raises(ArtifactsBroken) as refused:
        Catalog([value_set("1.0.0"), value_set("1.0.0")])
    assert f"{URL}|1.0.0" in str(refused.value)


def test_more_artefacts_make_a_new_catalogue() -> None:
    catalog = Catalog([value_set("1.0.0")])
    more = catalog.extended([value_set("1.0.0", "http://other.example.org/b")])
    assert more.resolve("http://other.example.org/b") is not None
    assert more.resolve(URL) is not None
    assert catalog.resolve("http://other.example.org/b") is None


def test_broken_files_are_all_named_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "terminology/code-systems"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("")
    (folder / "b.json").write_text("{")
    with pytest.raises(ArtifactsBroken) as refused:
        Catalog.load(tmp_path)
    assert [fault.key for fault in refused.value.faults] == ["artifact-extension", "artifact-unreadable"]
    assert "terminology/code-systems/a.txt" in str(refused.value)


def test_the_projects_own_artefacts_load() -> None:
    catalog = Catalog.load()
    for profile in ("social-referral", "referral-task", "follow-up-task", "referral-consent"):
        found = catalog.get("StructureDefinition", f"https://w3id.org/social-referral/StructureDefinition/{profile}")
        assert found is not None
        assert found["derivation"] == "constraint"
