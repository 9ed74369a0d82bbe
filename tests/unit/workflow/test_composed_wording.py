"""What the server says itself is known in every language, and each reader's software can choose."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fhir_server.artifacts.catalog import Catalog
from fhir_server.workflow.codes import CANONICAL, ESCALATION, TASK_KIND
from fhir_server.workflow.deadlines import deadlines_of, due_effects
from fhir_server.workflow.effects import Create
from fhir_server.workflow.links import Links
from fhir_server.workflow.plans import actions_of
from fhir_server.workflow.propagation import coded_reason
from fhir_server.workflow.rules import Rulebook
from fhir_server.workflow.wording import LANGUAGES, Wording, in_language, sentences, translations_of
from tests.unit.workflow.refusals import violates
from tests.unit.workflow.region import CODE_SYSTEMS, FAMILY_WORKER, GP, NOW, Region, request, task

PACKAGE = Path(__file__).parents[3] / "fhir_server"
NEED = f"{CANONICAL}/CodeSystem/social-need"
DUTCH = Wording("nl", CODE_SYSTEMS)
EMPLOYMENT = {"nl": "Werk", "fr": "Emploi", "en": "Work", "de": "Arbeit"}


def dutch(*more: Any, **rules: Any) -> Region:
    return Region(*more, rulebook=Rulebook.load(wording=DUTCH, **rules))


def need(**coding: str) -> dict[str, Any]:
    return {"coding": [{"system": NEED, "code": "employment", **coding}]}


@pytest.mark.parametrize("name", sorted(sentences()))
def test_each_sentence_is_there_in_every_language_and_said_somewhere(name: str) -> None:
    said = sentences()[name]
    assert tuple(said) == LANGUAGES
    assert len(set(said.values())) == len(LANGUAGES)
    assert all(text == text.strip() != "" for text in said.values())
    sources = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    assert any(f', "{name}")' in source for source in sources)


def test_each_code_that_the_server_writes_has_a_display_in_every_language() -> None:
    systems = [one for one in Catalog.load().of_type("CodeSystem") if one["id"] != "issue-key"]
    by_language = {language: Wording(language, systems) for language in LANGUAGES}
    own = [one for one in systems if one["url"].startswith(f"{CANONICAL}/")]
    assert own
    for system in own:
        for concept in system["concept"]:
            known = by_language["en"].translations({"system": system["url"], "code": concept["code"]})
            assert tuple(known) == LANGUAGES, (system["id"], concept["code"])
            for language, text in known.items():
                assert by_language[language].display(system["url"], concept["code"]) == text


@pytest.mark.parametrize("plan", Catalog.load().of_type("PlanDefinition"), ids=lambda one: str(one["id"]))
def test_each_plan_says_in_every_language_what_is_asked(plan: dict[str, Any]) -> None:
    for action in actions_of(plan):
        assert set(action.titles) == set(LANGUAGES)
        assert action.titles[plan["language"]] == action.title
    for name in ("title", "description"):
        assert {plan["language"], *translations_of(plan, name)} == set(LANGUAGES)


def test_no_text_of_a_resource_is_typed_in_the_code_of_the_rules() -> None:
    typed = re.compile(r'"(?:description|display|text|title|contentString)": f?"\w+ \w+')
    found = {
        path.name for path in (PACKAGE / "workflow").glob("*.py") if typed.search(path.read_text(encoding="utf-8"))
    }
    assert found == set()


def test_the_value_is_in_the_language_of_the_deployment_and_the_others_go_along() -> None:
    late = task(restriction={"period": {"end": "2026-11-20"}})
    region = dutch(request(), late)
    (deadline,) = deadlines_of(late)
    _, made = due_effects(
        deadline, Links(region, "", region.rulebook.governs), NOW, escalate=True, wording=region.rulebook.wording
    )
    assert isinstance(made, Create)
    assert made.resource["code"] == {
        "coding": [{"system": TASK_KIND, "code": ESCALATION, "display": DUTCH.display(TASK_KIND, ESCALATION)}]
    }
    assert made.resource["description"] == sentences()["not-contacted"]["nl"]
    assert translations_of(made.resource, "description") == sentences()["not-contacted"]
    for language in LANGUAGES:
        assert in_language(made.resource, "description", language) == sentences()["not-contacted"][language]
    assert in_language(made.resource, "description", "tr") == sentences()["not-contacted"]["nl"]


@pytest.mark.parametrize("display", [{}, {"display": "Work"}, {"display": "Emploi"}])
def test_a_need_that_is_only_a_code_is_said_in_words(display: dict[str, str]) -> None:
    first, _ = dutch().commit(GP, request(code=need(**display)))
    assert first["description"] == EMPLOYMENT["nl"]
    assert translations_of(first, "description") == EMPLOYMENT
    assert [one["type"]["text"] for one in first["input"]] == ["Leeftijdsgroep", "Gemeente"]


@pytest.mark.parametrize(
    "own", [{**need(display="Work"), "text": "Een baan in de buurt"}, need(display="Een baan in de buurt")]
)
def test_the_words_of_the_referrer_stand_as_they_are(own: dict[str, Any]) -> None:
    first, _ = dutch().commit(GP, request(code=own))
    assert first["description"] == "Een baan in de buurt"
    assert "_description" not in first


def test_a_follow_up_is_described_as_its_plan_has_it_in_each_language() -> None:
    (plan,) = (one for one in Catalog.load().of_type("PlanDefinition") if one["id"] == "follow-up-three-months")
    region = dutch(plans={plan["url"]: actions_of(plan)})
    family, _ = region.commit(GP, request(instantiatesCanonical=[plan["url"]]))
    region.update(FAMILY_WORKER, f"Task/{family['id']}", status="accepted")
    output = [{"type": {"text": "Verslag"}, "valueString": "Werk gevonden"}]
    made = region.update(FAMILY_WORKER, f"Task/{family['id']}", status="completed", output=output)
    (asked,) = (one for one in made if "instantiatesUri" in one)
    assert asked["description"] == translations_of(plan["action"][0], "title")["nl"]
    assert in_language(asked, "description", "en") == plan["action"][0]["title"]


def test_a_plan_without_translations_says_its_title_alone() -> None:
    assert DUTCH.element("description", {}, "Hoe gaat het nu?") == {"description": "Hoe gaat het nu?"}
    assert (
        DUTCH.element("description", {"fr": "Et maintenant ?"}, "Hoe gaat het nu?")["description"] == "Hoe gaat het nu?"
    )
    assert DUTCH.element("description", {}) == {}


def test_a_reason_of_the_platform_is_said_in_the_language_of_the_deployment() -> None:
    assert coded_reason(DUTCH, "referral-withdrawn")["text"] == "Verwijzing ingetrokken"
    said = coded_reason(DUTCH, "subtask-parent-cancelled", "Erdan verhuist")
    assert said["text"] == "Erdan verhuist"
    assert said["coding"][0]["display"] == DUTCH.display(said["coding"][0]["system"], "subtask-parent-cancelled")
    assert coded_reason(Wording(), "referral-on-hold") == {
        "coding": [{"system": f"{CANONICAL}/CodeSystem/status-reason", "code": "referral-on-hold"}]
    }


def test_software_that_drops_the_translations_changes_nothing_that_is_not_its_own() -> None:
    region = dutch()
    family, _ = region.commit(GP, request(code=need()))
    key = f"Task/{family['id']}"
    region.update(FAMILY_WORKER, key, status="accepted", _description=None)
    assert region.record[key]["description"] == EMPLOYMENT["nl"]
    with violates("task-field", "Task.description"):
        region.update(FAMILY_WORKER, key, description="Iets anders")


def test_who_changes_translations_or_drops_another_extension_of_a_text_is_told() -> None:
    region = dutch()
    family, _ = region.commit(GP, request(code=need()))
    key = f"Task/{family['id']}"
    kept = json.loads(json.dumps(region.record[key]["_description"]))
    kept["extension"][0]["extension"][1]["valueString"] = "Iets anders"
    with violates("task-field", "Task.description"):
        region.update(FAMILY_WORKER, key, _description=kept)
    kept["extension"][0]["url"] = "https://example.org/StructureDefinition/eigen"
    region = dutch(request(), task(description="Werk", _description=kept))
    with violates("task-field", "Task.description"):
        region.update(FAMILY_WORKER, "Task/erdan-gezin", status="accepted", _description=None)


def test_a_text_that_was_changed_without_its_translations_is_read_as_it_is() -> None:
    said = DUTCH.element("description", EMPLOYMENT)
    assert in_language({**said, "description": "Werk in de zorg"}, "description", "fr") == "Werk in de zorg"
    assert in_language({}, "description", "fr") == ""
