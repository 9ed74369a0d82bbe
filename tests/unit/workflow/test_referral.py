"""ServiceRequest in, Task out; and who may do what with the ServiceRequest."""

from typing import Any

import pytest

from fhir_server.access.principal import ANONYMOUS, Principal
from fhir_server.workflow.effects import Change
from fhir_server.workflow.rules import Rulebook
from tests.unit.workflow.refusals import forbids, violates
from tests.unit.workflow.region import (
    CONTACT,
    ERDAN,
    FAMILY,
    FAMILY_WORKER,
    GP,
    NOW,
    OPERATOR,
    STRANGER,
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


def test_only_the_requester_creates_and_changes_a_referral() -> None:
    region = Region()
    with forbids("request-actor", "ServiceRequest.requester", "Organization/elders"):
        region.commit(STRANGER, request())
    with forbids("principal-required", "ServiceRequest"):
        region.commit(ANONYMOUS, request())
    with violates("requester-missing", "ServiceRequest.requester"):
        region.commit(GP, request(requester=None))
    region.commit(GP, request())
    with forbids("request-actor", "ServiceRequest.requester", "update its Task"):
        region.update(FAMILY_WORKER, KEY, note=[{"text": "x"}])
    with forbids("request-actor", "ServiceRequest.requester", "role (referrer)"):
        region.update(Principal(roles=frozenset({"referrer"})), KEY, note=[{"text": "x"}])


def test_a_practitioner_acts_for_the_organisation_of_an_active_role() -> None:
    region = Region()
    region.commit(GP, request(requester=ref("Practitioner/bea")))
    assert len(region.tasks()) == 2
    left = {**region.record["PractitionerRole/bea-de-linde"], "active": False}
    with forbids("request-actor", "ServiceRequest.requester", "PractitionerRole"):
        Region(left).commit(GP, request(requester=ref("Practitioner/bea")))


def test_a_requester_known_by_number_only_is_looked_up() -> None:
    number = {"system": "https://www.ehealth.fgov.be/standards/fhir/core/NamingSystem/nihdi", "value": "10012345001"}
    role = {
        "resourceType": "PractitionerRole",
        "id": "genummerd",
        "identifier": [number],
        "organization": ref("Organization/de-linde"),
    }
    region = Region(role)
    region.commit(GP, request(requester={"identifier": number}))
    assert len(region.tasks()) == 2


def test_an_absolute_reference_to_this_server_is_understood() -> None:
    region = Region(rulebook=Rulebook.load(own_base="https://zenne.example/fhir"))
    region.commit(GP, request(requester=ref("https://zenne.example/fhir/PractitionerRole/bea-de-linde")))
    assert len(region.tasks()) == 2


def test_a_person_may_refer_himself_and_revoke_what_others_asked() -> None:
    region = Region()
    region.commit(ERDAN, request(requester=ref("Patient/erdan")))
    region = Region()
    region.commit(GP, request())
    with violates("request-field", "ServiceRequest.priority", "priority"):
        region.update(ERDAN, KEY, status="revoked", priority="stat")
    region.update(ERDAN, KEY, status="revoked", note=[{"text": "ik wil dit niet meer"}])
    assert {one["status"] for one in region.tasks()} == {"cancelled"}


@pytest.mark.parametrize(
    ("name", "value", "in_draft"),
    [
        ("subject", ref("Patient/mila"), False),
        ("intent", "plan", False),
        ("requester", ref("Organization/elders"), False),
        ("authoredOn", "2026-11-01", True),
        ("code", {"text": "iets anders"}, True),
    ],
)
def test_what_a_referral_is_never_changes(name: str, value: Any, in_draft: bool) -> None:
    region = Region(request())
    with violates("request-frozen", f"ServiceRequest.{name}", name):
        region.update(GP, KEY, **{name: value})
    region = Region(request(status="draft"))
    if in_draft:
        region.update(GP, KEY, **{name: value})
    else:
        with violates("request-frozen", f"ServiceRequest.{name}"):
            region.update(GP, KEY, **{name: value})


def test_plain_resources_are_never_policed_unless_the_deployment_governs_all() -> None:
    plain = request(meta=None, requester=None, supportingInfo=None)
    region = Region()
    assert region.commit(ANONYMOUS, plain, task(meta=None, requester=None)) == []
    region.update(ANONYMOUS, "Task/erdan-gezin", status="completed", intent="plan")
    region = Region(rulebook=Rulebook.load(govern_all=True))
    with forbids("principal-required", "ServiceRequest"):
        region.commit(ANONYMOUS, plain)


def test_a_plain_resource_that_claims_the_profile_is_judged_as_new() -> None:
    region = Region()
    region.commit(ANONYMOUS, request(meta=None))
    made = region.commit(GP, request())
    assert len(made) == 2


def test_versioned_profiles_count_and_foreign_types_do_not() -> None:
    book = Rulebook.load()
    profile = "https://w3id.org/social-referral/StructureDefinition/social-referral"
    assert book.governs(request(meta={"profile": [f"{profile}|1.0.0"]}))
    assert not book.governs(task(meta={"profile": [profile]}))
    assert not book.governs({"resourceType": "Patient", "id": "erdan", "meta": {"profile": [profile]}})
    assert not book.governs(None)
    assert book.governs(consent())


def test_a_referral_that_ended_does_not_start_again() -> None:
    region = Region(request(status="revoked"))
    with violates("request-transition", "ServiceRequest.status", "revoked to active", "entered-in-error"):
        region.update(GP, KEY, status="active")


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


def test_an_operator_may_release_a_resource_from_the_rules() -> None:
    region = Region(request())
    assert region.update(OPERATOR, KEY, meta={"profile": []}) == []
    region.update(ANONYMOUS, KEY, status="unknown")


def test_a_request_deleted_by_an_operator_tells_no_task_event() -> None:
    region = Region(request())
    region.commit(OPERATOR, delete=(KEY,))
    assert region.events == []


def test_what_the_rules_do_not_govern_has_no_effects() -> None:
    region = Region()
    patient = region.record["Patient/erdan"]
    assert region.rulebook.review(Change(patient, patient), region, ANONYMOUS, NOW) == ()
