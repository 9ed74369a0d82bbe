"""For whom a questionnaire is offered, and how answers to somebody else's questionnaire are told."""

from collections.abc import Iterator
from typing import Any

import pytest

from fhir_server.http.pages.offered import Circumstances, fits, leads
from tests.conftest import RunningServer
from tests.http.page_checks import check_page
from tests.http.page_reader import PRACTICE, Browser, Page, load_region

BASE = "https://w3id.org/social-referral"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
PLACE = "/refer/questionnaires/steps"
OPERATOR = {"X-Dev-Roles": "operator", "Accept": "*/*"}
GP = Circumstances({"referrer"}, {"health-practice"}, {"23088", "zone-1"}, 40)
UNKNOWN = Circumstances({"referrer"}, (), (), None)


def for_code(kind: str, system: str, code: str) -> dict[str, Any]:
    return {"code": {"code": kind}, "valueCodeableConcept": {"coding": [{"system": f"{BASE}/{system}", "code": code}]}}


def aged(**bounds: Any) -> dict[str, Any]:
    return {"code": {"code": "age"}, "valueRange": {name: {"value": value, "code": unit} for name, (value, unit) in bounds.items()}}  # fmt: skip


ROLE, KIND = "CodeSystem/referral-role", "CodeSystem/organization-kind"


@pytest.mark.parametrize(
    ("contexts", "known", "expected"),
    [
        ((), GP, True),
        ((for_code("user", ROLE, "referrer"),), GP, True),
        ((for_code("user", ROLE, "volunteer"), for_code("user", ROLE, "referrer")), GP, True),
        ((for_code("user", ROLE, "volunteer"),), GP, False),
        ((for_code("user", "CodeSystem/elsewhere", "nurse"),), GP, True),
        ((for_code("venue", KIND, "contact-point"),), GP, False),
        ((for_code("venue", KIND, "contact-point"),), UNKNOWN, True),
        ((for_code("user", ROLE, "referrer"), for_code("venue", KIND, "contact-point")), GP, False),
        ((for_code("area", "NamingSystem/nis", "23088"),), GP, True),
        ((for_code("area", "NamingSystem/nis", "23099"),), GP, False),
        ((for_code("area", "NamingSystem/nis", "23099"),), UNKNOWN, True),
        ((aged(low=(40, "a")),), GP, True),
        ((aged(low=(41, "a")),), GP, False),
        ((aged(high=(40, "a")),), GP, True),
        ((aged(high=(39, "a")),), GP, False),
        ((aged(low=(0, "mo"), high=(24, "mo")),), GP, False),
        ((aged(low=(216, "mo")),), GP, True),
        ((aged(low=(18, "a")),), UNKNOWN, True),
        (({"code": {"code": "age"}, "valueQuantity": {"value": 12, "code": "a"}},), GP, False),
        (({"code": {"code": "gender"}, "valueCodeableConcept": {"text": "x"}},), GP, True),
    ],
)
def test_each_kind_of_context_that_is_known_must_hold(contexts: Any, known: Circumstances, expected: bool) -> None:
    assert fits({"useContext": list(contexts)}, known) is expected


def test_what_leads_to_nothing_is_not_offered() -> None:
    assert not leads({"item": [{"linkId": "a", "type": "string"}]})
    risk = {"url": f"{BASE}/StructureDefinition/risk-assessment", "valueBoolean": True}
    assert leads({"item": [{"linkId": "g", "type": "group", "item": [{"linkId": "a", "extension": [risk]}]}]})
    assert leads({"contained": [{"resourceType": "Condition"}]})
    for target, expected in (("Condition|4.0.1", True), ("Observation", False)):
        definition = {"url": "definition", "valueCanonical": f"http://hl7.org/fhir/StructureDefinition/{target}"}
        holder = {"extension": [{"url": f"{SDC}definitionExtract", "extension": [definition]}]}
        assert leads(holder) is expected
        assert leads({"item": [holder]}) is expected


def translated(name: str, text: str, french: str) -> dict[str, Any]:
    parts = [{"url": "lang", "valueCode": "fr"}, {"url": "content", "valueString": french}]
    return {name: text, f"_{name}": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/translation", "extension": parts}]}}  # fmt: skip


@pytest.fixture
def practice(tmp_path: Any) -> Iterator[Browser]:
    running = RunningServer({"store": f"sqlite:///{tmp_path / 'fhir.sqlite'}", "enforce_access": True})
    load_region(running.base)
    browser = Browser(running.base)
    browser.sign_in(PRACTICE, "referrer")
    yield browser
    browser.http.close()
    running.stop()


def store_steps(browser: Browser) -> None:
    """Store a questionnaire of somebody else, whose score is read in a band with words of its own."""
    band = {"url": f"{BASE}/StructureDefinition/score-band", "extension": [
        {"url": "low", "valueDecimal": 0},
        {"url": "meaning", "valueCodeableConcept": {"coding": [{"system": "urn:steps", "code": "few", **translated("display", "Few", "Peu")}]}},
    ]}  # fmt: skip
    survey = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "survey"}]}
    unit = {"system": "http://unitsofmeasure.org", "code": "km", "display": "km"}
    marks = [
        {"url": f"{SDC}observationExtract", "valueBoolean": True}, {"url": f"{SDC}observation-extract-category", "valueCodeableConcept": survey},
        {"url": "http://hl7.org/fhir/StructureDefinition/questionnaire-unit", "valueCoding": unit}, band,
        {"url": f"{BASE}/StructureDefinition/risk-assessment", "valueBoolean": True},
    ]  # fmt: skip
    item = {"linkId": "far", "type": "decimal", "code": [{"system": "urn:steps", "code": "far"}], "extension": marks, **translated("text", "Walked", "Parcouru")}  # fmt: skip
    form = {"resourceType": "Questionnaire", "id": "steps", "url": "urn:example:steps", "status": "active", "item": [item],
            **translated("title", "Steps", "Pas")}  # fmt: skip
    stored = browser.http.put("/fhir/Questionnaire/steps", json=form, headers=OPERATOR)
    assert stored.status_code == 201, stored.text


def told(page: Page) -> list[str]:
    return [" ".join("".join(one.itertext()).split()) for one in (*page.all("dt"), *page.all("dd"))]


def test_the_words_of_somebody_elses_questionnaire_are_used(practice: Browser) -> None:
    store_steps(practice)
    assert PLACE in {one.get("formaction") for one in practice.open("/refer").all("button")}
    practice.open(PLACE)
    page = practice.submit(PLACE, button="go-on", far="2,5")
    assert told(page) == ["Walked", "2.5 km · Few"]
    assert "Risk class: Few" in page.said()
    french = practice.speak("fr")
    assert told(french) == ["Parcouru", "2,5 km · Peu"]
    check_page(french, "fr")


def test_answers_whose_questionnaire_changed_on_the_way_are_told_when_they_are_sent(practice: Browser) -> None:
    store_steps(practice)
    practice.open(PLACE)
    practice.submit(PLACE, button="go-on", far="2.5")
    other = {"resourceType": "Questionnaire", "id": "steps", "url": "urn:example:steps", "status": "active", "item": [
        {"linkId": "fare", "type": "decimal"}]}  # fmt: skip
    assert practice.http.put("/fhir/Questionnaire/steps", json=other, headers=OPERATOR).status_code == 200  # fmt: skip
    page = practice.speak("nl")
    assert page.status == 200
    assert page.all("input", name="answers")
    practice.submit("/refer/services", need=["parenting"], place="1800")
    practice.submit("/refer/person", service=["svc-opvoedingssteun"])
    person = {"family": "Late", "phone": "+32 470 00 00 91", "reason": "x", "consented": "yes", "way": "spoken"}
    refused = practice.submit("/refer/person", button="send", **person)
    assert refused.status == 422
    assert "De vragenlijst heeft geen item 'far'. Is 'fare' bedoeld?" in refused.said()
