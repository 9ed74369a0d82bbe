"""The terminology service on the project's own artefacts."""

import pytest

from fhir_server.artifacts.catalog import Catalog
from fhir_server.model.errors import NotFound
from fhir_server.terminology.answers import Selection
from fhir_server.terminology.service import TerminologyService

BASE = "https://w3id.org/social-referral"
NEED = f"{BASE}/CodeSystem/social-need"
SERVICE = f"{BASE}/CodeSystem/service-type"
GRAVITY = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
ICPC = "http://hl7.org/fhir/sid/icpc-2"


@pytest.fixture(scope="module")
def service() -> TerminologyService:
    return TerminologyService.load(Catalog.load())


@pytest.mark.parametrize(
    ("language", "display"),
    [
        ("nl-BE", "Opvoedingsondersteuning"),
        ("fr", "Soutien à la parentalité"),
        ("de", "Erziehungsunterstützung"),
        ("", "Parenting support"),
        ("es", "Parenting support"),
    ],
)
def test_lookup_speaks_the_language_that_is_asked(service: TerminologyService, language: str, display: str) -> None:
    found = service.lookup(NEED, "parenting", language)
    assert found.display == display
    assert found.concept.parents == ("family",)
    assert found.name == "Social need"


def test_lookup_of_the_unknown_names_what_is_unknown(service: TerminologyService) -> None:
    with pytest.raises(NotFound, match="Codes differ by case") as code:
        service.lookup(NEED, "Parenting")
    assert code.value.issues[0].key == "code-unknown"
    with pytest.raises(NotFound) as system:
        service.lookup("http://snomed.info/sct", "1")
    assert system.value.issues[0].key == "code-system-unknown"


def test_a_code_is_valid_in_its_system_or_not_or_cannot_be_told(service: TerminologyService) -> None:
    assert service.validate_code(NEED, "debt", display_language="nl") == (True, "Schulden", "", NEED)
    wrong = service.validate_code(f"{BASE}/CodeSystem/risk-class", "frail")
    assert wrong.result is False
    assert "robust, vulnerable, complex" in wrong.message
    assert service.validate_code("http://snomed.info/sct", "1").result is None
    assert service.validate_code(f"{BASE}/CodeSystem/issue-key", "ele-1").result is None


def test_a_value_set_decides_over_its_system(service: TerminologyService) -> None:
    themes = f"{BASE}/ValueSet/wellbeing-theme"
    assert service.validate_code(SERVICE, "nature", themes).result is True
    outside = service.validate_code(SERVICE, "contact-point", themes)
    assert outside.result is False
    assert themes in outside.message
    assert service.validate_code(SERVICE, "nature", f"{themes}|0.1.0").result is True
    assert service.validate_code(SERVICE, "nature", "http://example.org/none").result is None


def test_without_a_system_the_value_set_must_have_the_code_once(service: TerminologyService) -> None:
    found = service.validate_code(None, "nature", f"{BASE}/ValueSet/wellbeing-theme")
    assert (found.result, found.system) == (True, SERVICE)
    both = service.validate_code(None, "stress", f"{BASE}/ValueSet/need-category")
    assert both.result is False
    assert "more than once" in both.message
    assert service.validate_code(None, "nothing", f"{BASE}/ValueSet/wellbeing-theme").result is False


def test_the_seven_themes_expand_in_order(service: TerminologyService) -> None:
    expansion = service.expand(f"{BASE}/ValueSet/wellbeing-theme", display_language="nl")
    assert [item.display for item in expansion.contains] == [
        "Natuur",
        "Bewegen",
        "Cultuur",
        "Lichaam en geest",
        "Eten",
        "Ontdekken en leren",
        "Ontmoeting door spel",
    ]


def test_pages_of_an_expansion_join_to_the_whole(service: TerminologyService) -> None:
    url = f"{BASE}/ValueSet/social-need"
    whole = service.expand(url)
    pages = [service.expand(url, offset=offset, count=10) for offset in range(0, whole.total, 10)]
    assert tuple(item for page in pages for item in page.contains) == whole.contains
    assert {page.total for page in pages} == {whole.total}
    assert service.expand(url, offset=whole.total, count=10).contains == ()
    assert service.expand(url, count=0).contains == ()


def test_an_expansion_is_filtered_in_any_language(service: TerminologyService) -> None:
    found = service.expand(f"{BASE}/ValueSet/social-need", Selection(filter="PARENTALITE"))
    assert [item.code for item in found.contains] == ["parenting"]
    assert found.total == 1


def test_an_unknown_value_set_is_not_found(service: TerminologyService) -> None:
    with pytest.raises(NotFound):
        service.expand("http://example.org/none")


def test_needs_translate_to_gravity_and_icpc_and_back(service: TerminologyService) -> None:
    (gravity,) = service.translate(NEED, "employment", GRAVITY)
    assert (gravity.equivalence, gravity.code) == ("equivalent", "employment-status")
    (icpc,) = service.translate(NEED, "parenting", ICPC)
    assert (icpc.equivalence, icpc.code) == ("wider", "Z16")
    assert {match.system for match in service.translate(NEED, "parenting")} >= {GRAVITY, ICPC, SERVICE}
    back = service.translate(ICPC, "Z16", NEED, reverse=True)
    assert ("narrower", "parenting") in {(match.equivalence, match.code) for match in back}
    assert service.translate(NEED, "nothing") == ()


def test_a_translation_can_be_limited_to_one_map(service: TerminologyService) -> None:
    url = f"{BASE}/ConceptMap/social-need-to-service-type"
    matches = service.translate(NEED, "parenting", concept_map=url)
    assert [(match.system, match.code) for match in matches] == [(SERVICE, "parenting-support")]
    with pytest.raises(NotFound):
        service.translate(NEED, "parenting", concept_map="http://example.org/none")


@pytest.mark.parametrize(
    ("above", "below", "outcome"),
    [
        ("family", "parenting", "subsumes"),
        ("parenting", "family", "subsumed-by"),
        ("parenting", "parenting", "equivalent"),
        ("parenting", "employment", "not-subsumed"),
    ],
)
def test_subsumption(service: TerminologyService, above: str, below: str, outcome: str) -> None:
    assert service.subsumes(NEED, above, below) == outcome


def test_a_fixed_fallback_answers_for_codes_that_a_map_leaves_out() -> None:
    group = {
        "source": "s",
        "target": "t",
        "element": [{"code": "a", "target": [{"code": "x", "equivalence": "equal"}]}, {"code": "n", "target": []}],
        "unmapped": {"mode": "fixed", "code": "other", "display": "Other"},
    }
    service = TerminologyService((), (), [{"resourceType": "ConceptMap", "url": "m", "group": [group]}])
    assert [match.code for match in service.translate("s", "a")] == ["x"]
    assert [(match.code, match.equivalence) for match in service.translate("s", "z")] == [("other", "inexact")]
    assert [match.code for match in service.translate("t", "x", reverse=True)] == ["a"]
