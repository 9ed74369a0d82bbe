"""The questionnaires that ship: every text in four languages, every code known, and every answer leads to what is valid."""

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.source import BASE
from fhir_server.model.resource import walk
from fhir_server.terminology.service import TerminologyService
from fhir_server.validation.pipeline import Validator
from fhir_server.workflow.screening_answers import check_answers
from fhir_server.workflow.screening_bundle import extracted
from fhir_server.workflow.screening_form import Form, Question, read_form
from fhir_server.workflow.screening_scores import bands, calculated
from fhir_server.workflow.screening_values import answer_from

TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
NAMES = ["loneliness-screen", "psychosocial-needs", "quality-of-life", "quick-scan", "vulnerability-screen"]


@cache
def catalog() -> Catalog:
    return Catalog.load()


@cache
def form(name: str) -> Form:
    found = catalog().get("Questionnaire", f"{BASE}/Questionnaire/{name}")
    assert found is not None
    return read_form(found)


def test_these_are_all_questionnaires() -> None:
    assert sorted(one["id"] for one in catalog().of_type("Questionnaire")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_text_is_there_in_four_languages(name: str) -> None:
    questionnaire = form(name).questionnaire
    assert questionnaire["language"] == "nl"
    shown: list[tuple[str, str, dict[str, Any]]] = [
        (f"Questionnaire.{member}", member, questionnaire) for member in ("title", "description")
    ]
    for path, element in walk(questionnaire["item"], "Questionnaire.item"):
        if "linkId" in element:
            shown.append((f"{path}.text", "text", element))
        options = element.get("answerOption", ())
        shown += [(f"{path}.answerOption", "display", option["valueCoding"]) for option in options]
    for path, member, element in shown:
        assert element.get(member), path
        beside = element.get(f"_{member}", {}).get("extension", [])
        found = {}
        for one in beside:
            assert one["url"] == TRANSLATION, path
            parts = {part["url"]: part for part in one["extension"]}
            found[parts["lang"]["valueCode"]] = parts["content"]["valueString"].strip()
        assert set(found) == {"fr", "en", "de"}, path
        assert all(found.values()), path


@pytest.mark.parametrize("name", NAMES)
def test_every_code_of_ours_is_known(name: str) -> None:
    terminology = TerminologyService.load(catalog())
    for path, element in walk(form(name).questionnaire, "Questionnaire"):
        if str(element.get("system", "")).startswith(f"{BASE}/CodeSystem/"):
            assert terminology.validate_code(element["system"], element["code"]).result, f"{path}: {element['code']}"


def test_every_domain_of_need_is_asked_and_every_need_can_be_chosen() -> None:
    system = catalog().get("CodeSystem", f"{BASE}/CodeSystem/social-need")
    assert system is not None
    asked = form("psychosocial-needs")
    domains = {one["code"]: {each["code"] for each in one.get("concept", ())} for one in system["concept"]}
    assert [one.link_id for one in asked.below[""]] == [*list(domains)[:8], "other-need", "protective-factor"]
    for domain, needs in domains.items():
        if needs:
            options = asked.questions[f"{domain}.needs"].raw["answerOption"]
            assert {one["valueCoding"]["code"] for one in options} == needs


def test_the_bands_of_every_score_leave_no_gap() -> None:
    for name in NAMES:
        for question in form(name).questions.values():
            listed = bands(question)
            if listed:
                assert listed[0].low is None, question.link_id
                assert listed[-1].high is None, question.link_id
                for before, after in pairwise(listed):
                    assert before.high is not None
                    assert after.low is not None
                    assert after.low - before.high in (0, 1), question.link_id


def answers(question: Question, last: bool) -> Iterator[dict[str, Any]]:
    options = question.raw.get("answerOption", ())
    if question.type == "boolean":
        yield {"valueBoolean": last}
    elif question.type == "choice":
        for option in options if question.repeats else options[-1 if last else 0 :][:1]:
            yield answer_from(question, option["valueCoding"]) or {}
    elif question.type == "integer":
        yield {"valueInteger": 0 if last else 10}
    else:
        yield {"valueString": "in woorden"}


def answered(asked: Form, last: bool, link_id: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for question in asked.below.get(link_id, ()):
        closed = "enableWhen" in question.raw and not last
        if question.type == "group":
            found.append({"linkId": question.link_id, "item": answered(asked, last, question.link_id)})
        elif not question.calculated and not closed:
            found.append({"linkId": question.link_id, "answer": list(answers(question, last))})
    return found


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_answered_gives_resources_that_are_valid(name: str, last: bool) -> None:
    asked = form(name)
    response = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "questionnaire": asked.canonical,
        "subject": {"reference": "Patient/somebody"},
        "authored": "2026-11-20T10:00:00+01:00",
        "author": {"reference": "PractitionerRole/bea"},
        "item": answered(asked, last),
    }
    validator = Validator.load(catalog())
    assert [one for one in validator.report(response) if one.severity == "error"] == []
    assert check_answers(asked, response, lambda *_: None) == []
    made = extracted(asked, calculated(asked, response), "basis", "QuestionnaireResponse/1")[1]
    assert made
    assert len({one.urn for one in made}) == len(made)
    for one in made:
        issues = validator.report(one.resource)
        assert [issue for issue in issues if issue.severity in ("error", "warning")] == [], one.link_id
    kinds = [one.resource["resourceType"] for one in made]
    if name == "vulnerability-screen":
        risk = next(one.resource for one in made if one.resource["resourceType"] == "RiskAssessment")
        classes = {False: "robust", True: "complex"}
        assert risk["prediction"][0]["qualitativeRisk"]["coding"][0]["code"] == classes[last]
        assert kinds.count("Task") == 1
    elif name in ("psychosocial-needs", "quick-scan"):
        assert ("Condition" in kinds) is last
