"""What an extraction by definition changes of what it made before: what the answers fill, and nothing else."""

from typing import Any

import pytest

from fhir_server.workflow.screening_kept import renewed, retired
from fhir_server.workflow.wording import PLAIN
from tests.unit.workflow.defining import OBSERVATION, PATIENT, R4, answers, form, item, made_of, makes, said, states

META = {"versionId": "3", "lastUpdated": "2026-11-20T10:00:00.000Z"}
FILLS = frozenset({"name", "deceased"})


def person(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **more}


def test_what_the_questionnaire_fills_is_renewed_and_all_else_stays() -> None:
    before = person(
        id="1", meta=META, name=[{"text": "A"}], deceasedDateTime="2026", gender="male", identifier=[{"value": "x"}]
    )
    after = renewed(person(name=[{"text": "B"}], identifier=[{"value": "u"}]), before, FILLS)
    assert after == person(id="1", meta=META, name=[{"text": "B"}], gender="male", identifier=[{"value": "x"}])
    assert renewed(person(name=[{"text": "A"}], deceasedDateTime="2026"), before, FILLS) is None


def test_the_profile_that_is_claimed_is_renewed_too() -> None:
    before = person(id="1", meta=META, name=[{"text": "A"}])
    after = renewed(person(name=[{"text": "A"}], meta={"profile": ["urn:p"]}), before, FILLS)
    assert after is not None
    assert after["meta"] == {**META, "profile": ["urn:p"]}


def test_an_observation_that_changed_is_amended_whatever_status_the_questionnaire_states() -> None:
    fills = frozenset({"status", "value"})
    before = {"resourceType": "Observation", "id": "1", "meta": META, "status": "final", "valueInteger": 1}
    assert renewed({"resourceType": "Observation", "status": "final", "valueInteger": 1}, before, fills) is None
    after = renewed({"resourceType": "Observation", "status": "final", "valueString": "one"}, before, fills)
    assert after is not None
    assert (after["status"], after["valueString"], "valueInteger" in after) == ("amended", "one", False)


def test_what_people_decided_of_a_need_stays_and_a_lost_one_comes_back_as_it_is_stated() -> None:
    fills = frozenset({"clinicalStatus", "verificationStatus", "code"})
    fresh = {"resourceType": "Condition", "clinicalStatus": {"text": "active"}, "code": {"text": "a"}}
    before = {**fresh, "id": "1", "meta": META, "clinicalStatus": {"text": "resolved"}}
    assert renewed(fresh, before, fills) is None
    lost = retired(before, PLAIN)
    assert lost is not None
    back = renewed(fresh, lost, fills)
    assert back == {**fresh, "id": "1", "meta": META}


@pytest.mark.parametrize(
    ("resource", "marked"),
    [
        ({"resourceType": "RelatedPerson", "active": True}, {"active": False}),
        ({"resourceType": "RelatedPerson"}, {"active": False}),
        ({"resourceType": "ServiceRequest", "status": "active"}, {"status": "entered-in-error"}),
        ({"resourceType": "Goal", "lifecycleStatus": "active"}, None),
    ],
)
def test_what_no_answer_gives_any_more_is_marked_as_its_type_can(resource: Any, marked: Any) -> None:
    assert retired(resource, PLAIN) == (None if marked is None else {**resource, **marked})
    if marked is not None:
        assert retired({**resource, **marked}, PLAIN) is None


def test_the_identity_is_that_of_the_place_of_the_answer() -> None:
    extension = (makes(R4 + "Observation"), states(OBSERVATION + "status", valueCode="final"))
    question = item("q", "choice", OBSERVATION + "code", *extension, repeats=True)
    codes = {code: ("valueCoding", {"code": code}) for code in "abc"}
    before = {one.answer: one.urn for one in made_of(form(question), answers(said("q", codes["a"], codes["b"])))}
    after = {one.answer: one.urn for one in made_of(form(question), answers(said("q", codes["c"], codes["b"])))}
    assert before["|b"] == after["|b"]
    assert len({*before.values(), *after.values()}) == 3
    twice = made_of(form(question), answers(said("q", codes["a"], codes["a"])))
    assert len({one.urn for one in twice}) == 2


def test_which_elements_the_answers_decide_is_told_by_the_questionnaire_not_by_the_answers() -> None:
    asked = form(
        item("n", "string", PATIENT + "name.text"),
        item("d", "date", PATIENT + "deceased[x]"),
        extension=(makes(R4 + "Patient"),),
    )
    (made,) = made_of(asked, answers(said("n", "A")))
    assert made.update is not None
    assert made.update.decides == FILLS
