"""Signals, plans of follow-up and hand-over, on the rules alone."""

from typing import Any

import pytest

from fhir_server.model.resource import Resource
from fhir_server.workflow.codes import (
    ASK_CONSENT,
    BUSINESS_STATUS,
    CONSENT_WAYS,
    TASK_KIND,
    TASK_PARAMETER,
)
from fhir_server.workflow.plans import Offset, PlanUnusable, actions_of
from fhir_server.workflow.rules import Rulebook
from tests.unit.workflow.refusals import violates
from tests.unit.workflow.region import (
    CONTACT,
    FAMILY,
    FAMILY_WORKER,
    GP,
    LINK_WORKER,
    WORK,
    WORK_COACH,
    Region,
    consent,
    ref,
    request,
    task,
)

TASK = "Task/erdan-gezin"
KEY = "ServiceRequest/erdan-steun"
OUTPUT = [{"type": {"text": "Verslag"}, "valueString": "Werk gevonden in een bakkerij"}]
PLAN = "https://example.org/PlanDefinition/na-drie-maanden"


def kind(code: str) -> Resource:
    return {"coding": [{"system": TASK_PARAMETER, "code": code}]}


def action(action_id: str = "na", **changes: Any) -> Resource:
    made: Resource = {
        "id": action_id,
        "title": "Hoe gaat het nu?",
        "trigger": [{"type": "named-event", "name": "referral-completed"}],
        "timingRange": {"low": {"value": 3, "code": "mo"}, "high": {"value": 14, "code": "wk"}},
        "participant": [{"type": "patient"}],
    }
    return {name: value for name, value in {**made, **changes}.items() if value is not None}


def planning(*actions: Resource) -> Rulebook:
    return Rulebook.load(plans={PLAN: actions_of({"id": "p", "action": list(actions)})})


# ---------------------------------------------------------------- signals


def signalled() -> Region:
    """Somebody told the practice of Erdan, who was not asked yet."""
    patient = {
        **Region().record["Patient/erdan"],
        "name": [{"text": "Erdan"}],
        "telecom": [{"system": "phone", "value": "0470000022"}],
    }
    proposed = consent(status="proposed", provision={"type": "deny"})
    region = Region(patient, proposed)
    asking = task(
        id="vraag", owner=None, code={"coding": [{"system": TASK_KIND, "code": ASK_CONSENT}]},
        description="Iemand om toestemming te vragen",
    )  # fmt: skip
    region.commit(GP, request(status="draft", performer=None), asking)
    return region


def agreed(way: str) -> Resource:
    return {"type": kind("consent-answer"), "valueCodeableConcept": {"coding": [{"system": CONSENT_WAYS, "code": way}]}}


def test_a_signal_waits_in_the_pool_and_nothing_else_leaves() -> None:
    region = signalled()
    assert [one["id"] for one in region.tasks()] == ["vraag"]
    assert region.record[KEY]["status"] == "draft"


@pytest.mark.parametrize("member", ["reasonCode", "note"])
def test_a_signal_does_not_say_why(member: str) -> None:
    region = Region(consent(status="proposed"))
    value = {"text": "Drinkt"} if member == "reasonCode" else [{"text": "Drinkt"}]
    asking = task(id="vraag", owner=None, code={"coding": [{"system": TASK_KIND, "code": ASK_CONSENT}]})
    with violates("signal-says-why", f"Task.{member}"):
        region.commit(GP, request(status="draft"), {**asking, member: value})


def test_who_takes_a_signal_gets_the_contact_data_and_loses_it_at_the_end() -> None:
    region = signalled()
    region.update(LINK_WORKER, "Task/vraag", status="accepted", owner=ref(CONTACT))
    told = region.record["Task/vraag"]["input"]
    assert [one.get("valueHumanName", one.get("valueContactPoint")) for one in told] == [
        {"text": "Erdan"}, {"system": "phone", "value": "0470000022"},
    ]  # fmt: skip
    reason = {
        "coding": [{"system": "https://w3id.org/social-referral/CodeSystem/status-reason", "code": "patient-declined"}]
    }
    region.update(LINK_WORKER, "Task/vraag", status="failed", statusReason=reason)
    assert "input" not in region.record["Task/vraag"]
    assert region.record["Consent/erdan-2026"]["status"] == "rejected"
    assert region.record[KEY]["status"] == "revoked"
    assert len(region.tasks()) == 1


def test_with_the_yes_of_the_person_the_referral_leaves_to_who_asked() -> None:
    region = signalled()
    region.update(LINK_WORKER, "Task/vraag", status="accepted", owner=ref(CONTACT))
    with violates("signal-answer", "Task.output", "consent-answer", "patient-declined"):
        region.update(LINK_WORKER, "Task/vraag", status="completed", output=OUTPUT)
    with violates("signal-answer", "Task.output", "signed-paper"):
        region.update(LINK_WORKER, "Task/vraag", status="completed", output=[agreed("telepathy")])
    region.update(LINK_WORKER, "Task/vraag", status="completed", output=[agreed("spoken")])
    given = region.record["Consent/erdan-2026"]
    assert given["status"] == "active"
    assert given["provision"]["type"] == "permit"
    assert [one["reference"]["reference"] for one in given["provision"]["actor"]] == [CONTACT]
    assert region.record[KEY]["status"] == "active"
    (sent,) = [one for one in region.tasks() if one["id"] != "vraag"]
    assert (sent["status"], sent["owner"]) == ("requested", ref(CONTACT))
    region.update(LINK_WORKER, f"Task/{sent['id']}", status="accepted")
    region.update(LINK_WORKER, f"Task/{sent['id']}", status="completed", output=OUTPUT)
    assert region.record[KEY]["status"] == "completed"


# ---------------------------------------------------------------- plans


def test_a_plan_asks_the_person_again_once_for_the_whole_referral() -> None:
    book = planning(action(), action("intake", trigger=[{"name": "referral-accepted"}], participant=[
        {"role": {"coding": [{"code": "link-worker"}]}}], timingRange={"low": {"value": 0, "code": "d"}, "high": {"value": 2, "code": "wk"}},
        definitionCanonical="https://example.org/Questionnaire/levenskwaliteit"))  # fmt: skip
    region = Region(rulebook=book)
    goal = {
        "url": "http://hl7.org/fhir/StructureDefinition/resource-pertainsToGoal",
        "valueReference": ref("Goal/werk"),
    }
    family, work = region.commit(GP, request(instantiatesCanonical=[f"{PLAN}|1"], extension=[goal]))
    made = region.update(FAMILY_WORKER, f"Task/{family['id']}", status="accepted")
    (intake,) = [one for one in made if "instantiatesUri" in one]
    assert intake["owner"] == ref(FAMILY)
    assert intake["restriction"]["period"] == {"start": "2026-11-23", "end": "2026-12-07"}
    assert [one.get("valueCanonical", one.get("valueReference")) for one in intake["input"]] == [
        "https://example.org/Questionnaire/levenskwaliteit", ref("Goal/werk"),
    ]  # fmt: skip
    assert region.update(WORK_COACH, f"Task/{work['id']}", status="accepted") == []
    made = region.update(FAMILY_WORKER, f"Task/{family['id']}", status="completed", output=OUTPUT)
    (asked,) = [one for one in made if "instantiatesUri" in one]
    assert asked["owner"] == ref("Patient/erdan")
    assert asked["restriction"]["period"] == {"start": "2027-02-23", "end": "2027-03-01"}
    region.update(WORK_COACH, f"Task/{work['id']}", status="completed", output=OUTPUT)
    assert region.record[KEY]["status"] == "completed"
    assert len(region.tasks()) == 4


def test_a_referral_that_fails_is_not_followed_up_and_one_without_plan_neither() -> None:
    early = action("intake", trigger=[{"name": "referral-accepted"}])
    region = Region(rulebook=planning(early))
    family, _ = region.commit(GP, request(instantiatesCanonical=[PLAN]))
    (follow,) = region.update(FAMILY_WORKER, f"Task/{family['id']}", status="accepted")
    region.update(FAMILY_WORKER, f"Task/{family['id']}", status="failed", statusReason={"text": "Verhuisd"})
    assert region.record[f"Task/{follow['id']}"]["status"] == "cancelled"
    region = Region(rulebook=planning(early))
    family, _ = region.commit(GP, request())
    assert region.update(FAMILY_WORKER, f"Task/{family['id']}", status="accepted") == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"condition": []}, "condition is not understood"),
        ({"trigger": [{"name": "full-moon"}]}, "trigger"),
        ({"timingRange": None}, "timingRange.low"),
        ({"timingRange": {"low": {"value": 1.5, "code": "mo"}}}, "timingRange.low"),
        ({"participant": []}, "participant"),
        ({"title": None}, "id and a title"),
    ],
)
def test_a_plan_that_asks_for_more_than_is_done_is_not_loaded(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(PlanUnusable, match=word):
        actions_of({"id": "p", "action": [action(**changes)]})
    with pytest.raises(PlanUnusable, match="same id"):
        actions_of({"id": "p", "action": [action(), action()]})


def test_months_end_where_the_month_ends() -> None:
    from datetime import date

    assert Offset(3, 0).after(date(2026, 11, 30)) == date(2027, 2, 28)
    assert Offset(12, 7).after(date(2028, 2, 29)) == date(2029, 3, 7)


# ---------------------------------------------------------------- hand-over


def handed_over() -> tuple[Region, str]:
    whole = task(status="in-progress", businessStatus={"coding": [{"system": BUSINESS_STATUS, "code": "handed-over"}]})
    region = Region(request(), whole)
    region.commit(FAMILY_WORKER, task(id="deel", requester=ref(FAMILY), owner=ref(WORK), partOf=[ref(TASK)]))
    return region, "Task/deel"


def test_the_end_of_a_part_ends_what_was_handed_over_and_the_referrer_learns_of_it() -> None:
    region, part = handed_over()
    region.update(WORK_COACH, part, status="accepted")
    region.update(WORK_COACH, part, status="completed", output=OUTPUT)
    assert region.record[TASK]["status"] == "completed"
    assert region.record[TASK]["output"] == OUTPUT
    assert ("feedback-given", TASK) in region.events
    assert region.record[KEY]["status"] == "completed"


def test_a_part_that_is_rejected_leaves_the_whole_with_its_owner() -> None:
    region, part = handed_over()
    region.update(WORK_COACH, part, status="rejected", statusReason={"text": "Vol"})
    assert region.record[TASK]["status"] == "in-progress"


def test_a_hand_over_rests_on_the_consent_that_it_brings_along() -> None:
    narrow = consent(provision={"type": "permit", "actor": [{"reference": ref(FAMILY)}]})
    wider = consent(id="ook-werk", provision={"type": "permit", "actor": [{"reference": ref(WORK)}]})
    region = Region(request(performer=[ref(FAMILY)]), task(status="accepted"), narrow, wider)
    part = task(id="deel", requester=ref(FAMILY), owner=ref(WORK), partOf=[ref(TASK)])
    with violates("consent-recipient", "Task.owner", WORK):
        region.commit(FAMILY_WORKER, part)
    region.commit(
        FAMILY_WORKER, {**part, "input": [{"type": kind("consent"), "valueReference": ref("Consent/ook-werk")}]}
    )
    assert region.record[KEY]["supportingInfo"] == [ref("Consent/erdan-2026"), ref("Consent/ook-werk")]
    region.update(WORK_COACH, "Task/deel", status="accepted")
