"""ServiceRequest in, Task out."""

from typing import Any

import pytest

from fhir_server.workflow.rules import Rulebook
from tests.unit.workflow.refusals import violates
from tests.unit.workflow.region import (
    CONTACT,
    FAMILY,
    FAMILY_WORKER,
    GP,
    NOW,
    OPERATOR,
    WORK,
    WORK_COACH,
    Region,
    consent,
    ref,
    request,
    task,
)

KEY = "ServiceRequest/erdan-steun"


def test_each_performer_gets_one_task_that_holds_the_least_it_needs() -> None:
    region = Region()
    made = region.commit(GP, request(performer=[ref(FAMILY), ref(WORK), ref(f"{FAMILY}/_history/1")]))
    assert [one["owner"] for one in made] == [ref(FAMILY), ref(WORK)]
    assert {name: value for name, value in made[0].items() if name not in ("id", "meta")} == {
        "resourceType": "Task",
        "basedOn": [ref(KEY)],
        "status": "requested",
        "intent": "order",
        "priority": "routine",
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "description": "Opvoedingsondersteuning en hulp bij het zoeken naar werk",
        "focus": ref(KEY),
        "for": ref("Patient/erdan"),
        "authoredOn": NOW,
        "lastModified": NOW,
        "requester": ref("PractitionerRole/bea-de-linde"),
        "owner": ref(FAMILY),
        "reasonCode": {"text": "Jonge vader, zoekt werk"},
        "restriction": {"period": {"end": "2026-11-30T09:30:00.000Z"}},
        "input": [said("age-band", "Age band", "18-24"), said("municipality", "Municipality", "Vilvoorde")],
    }
    assert made[0]["meta"]["profile"] == ["https://w3id.org/social-referral/StructureDefinition/referral-task"]
    assert [topic for topic, _ in region.events] == ["task-changed", "referral-sent"] * 2


def said(code: str, text: str, value: str) -> dict[str, Any]:
    coding = {"system": "https://w3id.org/social-referral/CodeSystem/task-parameter", "code": code}
    return {"type": {"coding": [coding], "text": text}, "valueString": value}


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"for": {**ref("Patient/erdan"), "display": "Erdan"}}, "Task.for.display"),
        ({"for": {**ref("Patient/erdan"), "identifier": {"value": "1"}}}, "Task.for.identifier"),
        ({"contained": [{"resourceType": "Patient", "id": "p"}]}, "Task.contained[0]"),
    ],
)
def test_a_task_that_nobody_accepted_does_not_say_who_the_person_is(more: dict[str, Any], place: str) -> None:
    region = Region()
    region.commit(GP, request(status="draft", performer=[]))
    with violates("task-least-data", place, "before anybody accepted"):
        region.commit(GP, task(status="draft", **more))


def test_the_agreed_term_is_a_setting() -> None:
    region = Region(rulebook=Rulebook.load(contact_days=30))
    made = region.commit(GP, request())
    assert made[0]["restriction"] == {"period": {"end": "2026-12-23T09:30:00.000Z"}}


def test_a_chosen_service_is_answered_for_by_its_organisation() -> None:
    region = Region()
    (made,) = region.commit(GP, request(performer=[ref("HealthcareService/opvoeding")]))
    assert made["owner"] == ref(FAMILY)
    assert made["input"][0]["valueReference"] == ref("HealthcareService/opvoeding")
    region.update(FAMILY_WORKER, f"Task/{made['id']}", status="accepted")


def test_a_role_or_an_unknown_service_owns_the_task_itself() -> None:
    region = Region()
    performers = [ref("PractitionerRole/dora-een-gezin"), ref("HealthcareService/weg")]
    made = region.commit(GP, request(performer=performers))
    assert [one["owner"] for one in made] == performers
    region.update(FAMILY_WORKER, f"Task/{made[0]['id']}", status="accepted")


def test_without_performer_the_contact_point_of_the_area_gets_it() -> None:
    region = Region()
    (made,) = region.commit(GP, request(performer=None))
    assert made["owner"] == ref(CONTACT)
    assert made["input"][0]["valueReference"] == ref("HealthcareService/onthaal")


def test_without_a_contact_point_it_waits_in_the_pool_and_one_organisation_takes_it() -> None:
    region = Region(consent(id="mila-2026", patient=ref("Patient/mila")))
    wanted = request(performer=None, subject=ref("Patient/mila"), supportingInfo=None)
    (made,) = region.commit(GP, wanted)
    assert "owner" not in made
    region.update(WORK_COACH, f"Task/{made['id']}", owner=ref(WORK), status="accepted")


@pytest.mark.parametrize(
    "changes",
    [{"status": "draft"}, {"intent": "proposal"}, {"intent": "option"}, {"doNotPerform": True}, {"status": "on-hold"}],
)
def test_what_asks_nobody_to_act_makes_no_task(changes: dict[str, Any]) -> None:
    region = Region()
    assert region.commit(GP, request(**changes)) == []
    assert region.tasks() == []


def test_a_draft_that_becomes_active_is_sent() -> None:
    region = Region()
    region.commit(GP, request(status="draft"))
    made = region.update(GP, KEY, status="active")
    assert [one["owner"] for one in made] == [ref(FAMILY), ref(WORK)]


def test_tasks_that_came_along_are_not_doubled() -> None:
    region = Region()
    region.commit(GP, request(), task())
    assert [one["id"] for one in region.tasks()] == ["erdan-gezin"]


def test_a_performer_that_is_added_later_gets_its_task_and_nobody_a_second_one() -> None:
    region = Region()
    region.commit(GP, request(performer=[ref(FAMILY)]))
    assert region.update(GP, KEY, note=[{"text": "belt liefst na 17u"}]) == []
    made = region.update(GP, KEY, performer=[ref(FAMILY), ref(WORK)])
    assert [one["owner"] for one in made] == [ref(WORK)]
    assert region.update(GP, KEY, performer=[ref(WORK)]) == []


def test_a_rejected_referral_goes_to_someone_else_and_does_not_come_back_by_itself() -> None:
    region = Region()
    (made,) = region.commit(GP, request(performer=[ref(FAMILY)]))
    region.update(FAMILY_WORKER, f"Task/{made['id']}", status="rejected", statusReason={"text": "volzet"})
    assert region.record[KEY]["status"] == "active"
    assert region.update(GP, KEY, note=[{"text": "we zoeken verder"}]) == []
    (second,) = region.update(GP, KEY, performer=[ref(FAMILY), ref(WORK)])
    assert second["owner"] == ref(WORK)


def test_after_a_hold_only_performers_that_never_had_a_task_get_one() -> None:
    region = Region()
    region.commit(GP, request(performer=[ref(FAMILY)]))
    region.update(GP, KEY, status="on-hold", performer=[ref(FAMILY), ref(WORK)])
    made = region.update(GP, KEY, status="active")
    assert [one["owner"] for one in made] == [ref(WORK)]


def test_after_a_hold_the_contact_point_is_not_asked_again() -> None:
    region = Region()
    region.commit(GP, request(performer=None))
    region.update(GP, KEY, status="on-hold")
    assert region.update(GP, KEY, status="active") == []


def test_an_import_brings_its_own_tasks() -> None:
    region = Region()
    assert region.commit(OPERATOR, request(supportingInfo=None)) == []


def test_a_description_or_reason_is_one_short_line_of_text_or_display() -> None:
    region = Region()
    long = "Opvoeding " * 30
    (made,) = region.commit(
        GP,
        request(
            performer=[ref(FAMILY)],
            code=None,
            category=[{"coding": [{"code": "x"}]}, {"coding": [{"display": long}]}],
            reasonCode=[{"coding": [{"code": "Z60"}]}],
        ),
    )
    assert len(made["description"]) == 140
    assert made["description"].endswith("…")
    assert "reasonCode" not in made


def test_a_subject_known_by_number_only_is_handed_on_as_it_was_given() -> None:
    number = {"identifier": {"system": "http://fhir.nl/fhir/NamingSystem/bsn", "value": "999900067"}}
    region = Region(consent(patient=number))
    (made,) = region.commit(GP, request(subject=number, performer=[ref(FAMILY)]))
    assert made["for"] == number
