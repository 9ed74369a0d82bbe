"""Every text exists in every language, with the same values in it."""

import json
import re
from pathlib import Path

import pytest

from fhir_server.artifacts.catalog import Catalog
from fhir_server.model.issue import Issue
from fhir_server.validation.pipeline import Validator
from fhir_server.validation.wording import LANGUAGES, catalogue, choose_language, say, translated

SOURCES = Path(__file__).parents[3] / "fhir_server"
PLACES = re.compile(r"\{(\w+)\}")


def templates(language: str) -> set[str]:
    return {name for name in catalogue(language) if not name.startswith("rule.")}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_each_text_with_the_same_values(language: str) -> None:
    assert templates(language) == templates("en")
    for name in templates("en"):
        assert set(PLACES.findall(catalogue(language)[name])) == set(PLACES.findall(catalogue("en")[name])), name


def test_no_text_is_kept_that_nothing_says() -> None:
    code = "\n".join(path.read_text() for path in SOURCES.rglob("*.py"))
    dynamic = {name for name in templates("en") if name.startswith(("format.",))}
    assert {name for name in templates("en") - dynamic if f'"{name}"' not in code} == set()


@pytest.mark.parametrize("language", ["nl", "fr"])
def test_each_invariant_of_our_profiles_is_translated(language: str) -> None:
    keys = {
        constraint["key"]
        for definition in Catalog.load().of_type("StructureDefinition")
        for element in definition["differential"]["element"]
        for constraint in element.get("constraint", ())
    }
    assert {key for key in keys if f"rule.{key}" not in catalogue(language)} == set()


def test_a_text_in_a_text_is_translated_too() -> None:
    said = say("json-type", found=say("kind.string"), wanted=say("kind.number"), hint=say("hint.quotes"))
    assert said == "Found a string where R4 asks for a number. Send it without the quotes."
    assert said.translated("nl") == "Er staat een tekst waar R4 een getal vraagt. Stuur het zonder aanhalingstekens."
    assert said.translated("fr").startswith("Il y a un texte là où R4 demande un nombre.")


def test_a_text_that_no_catalogue_has_stays_as_it_is() -> None:
    issue = Issue("x", "invalid", "As it is.")
    assert translated(issue, "nl") is issue
    (found,) = Validator.load().validate({"resourceType": "Observation", "status": "final", "code": {"text": "a"}, "component": [{"code": {"text": "b"}, "valueRatio": {"numerator": {"value": 1}}}]})  # fmt: skip
    assert found.key == "rat-1"
    assert "verhouding" in translated(found, "nl").diagnostics
    assert json.dumps(found.to_json())


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("nl", "nl"),
        ("NL-be", "nl"),
        ("de, fr;q=0.5", "fr"),
        ("*", "en"),
        ("fr;q=0", "en"),
        ("en, nl", "en"),
        (",;q=", "en"),
    ],
)
def test_the_language_is_the_best_that_is_offered(header: str, language: str) -> None:
    assert choose_language(header) == language
