"""Whoever reads nl, fr, en or de reads our codes in that language."""

import json
from pathlib import Path

import pytest

from fhir_server.artifacts.source import default_root
from fhir_server.terminology.concepts import CodeSystemIndex

LANGUAGES = frozenset({"nl", "fr", "en", "de"})
UNTRANSLATED = frozenset({"CodeSystem-issue-key.json"})
"""Keys of issues are for programs; what a person reads of an issue is its text, which has its own translations."""
FILES = sorted((default_root() / "terminology" / "code-systems").glob("*.json"))
MAPS = sorted(path.stem for path in (default_root() / "terminology" / "concept-maps").glob("*.json"))


@pytest.mark.parametrize("path", [path for path in FILES if path.name not in UNTRANSLATED], ids=lambda path: path.stem)
def test_every_concept_has_a_text_in_every_language(path: Path) -> None:
    resource = json.loads(path.read_text("utf-8"))
    missing = [
        f"{concept.code}: {', '.join(sorted(lacking))}"
        for concept in CodeSystemIndex(resource)
        if (lacking := LANGUAGES - {resource["language"], *(one.language for one in concept.designations)})
    ]
    assert missing == []


def test_social_needs_lead_to_each_scheme_that_is_free_to_name() -> None:
    targets = ("gravity", "icpc-2", "icpc-1-nl", "icd-10", "snomed-ct", "kff-domain", "life-domain", "service-type")
    assert {f"ConceptMap-social-need-to-{target}" for target in targets} <= set(MAPS)
