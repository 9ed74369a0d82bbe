"""What a change of a governed Task must respect besides its state table and its fields."""

import pytest

from fhir_server.access.principal import ANONYMOUS, Principal
from fhir_server.workflow.codes import FOLLOW_UP_PROFILE, STATUS_REASON
from tests.unit.workflow.refusals import forbids, violates
from tests.unit.workflow.region import (
    ERDAN,
    FAMILY,
    FAMILY_WORKER,
    GP,
    LINK_WORKER,
    OPERATOR,
    STRANGER,
    WORK,
    WORK_COACH,
    Region,
    ref,
    request,
    task,
)

KEY = "Task/erdan-gezin"
OUTPUT = [{"type": {"text": "Verslag"}, "valueString": "Gezin woont groepssessies bij"}]


@pytest.mark.parametrize("status", ["rejected", "cancelled", "failed", "on-hold"])
def test_a_task_that_stops_says_why(status: str) -> None:
    source = "requested" if status == "rejected" else "accepted"
    region = Region(request(), task(status=source))
    with violates("task-status-reason", "Task.statusReason", status, "at-capacity"):
        region.update(FAMILY_WORKER, KEY, status=status)
    with violates("task-status-reason", "Task.statusReason"):
        region.update(FAMILY_WORKER, KEY, status=status, statusReason={"text": "  "})
    region.update(FAMILY_WORKER, KEY, status=status, statusReason={"text": "Wachtlijst van drie maanden"})
    assert region.record[KEY]["status"] == status


def test_a_coded_reason_is_one_of_ours_or_of_another_system() -> None:
    region = Region(request(), task())
    codes = [{"system": "urn:oid:1.2.3", "code": "x"}, {"system": STATUS_REASON, "code": "geen-zin"}]
    with violates("task-status-reason-code", "Task.statusReason.coding[1].code", "geen-zin", "at-capacity"):
        region.update(FAMILY_WORKER, KEY, status="rejected", statusReason={"coding": codes})
    codes[1]["code"] = "at-capacity"
    region.update(FAMILY_WORKER, KEY, status="rejected", statusReason={"coding": codes})


def test_a_task_is_completed_with_feedback_and_keeps_it() -> None:
    region = Region(request(), task(status="in-progress"))
    with violates("task-feedback", "Task.output", "output"):
        region.update(FAMILY_WORKER, KEY, status="completed")
    region.update(FAMILY_WORKER, KEY, status="completed", output=OUTPUT)
    with violates("task-feedback", "Task.output"):
        region.update(FAMILY_WORKER, KEY, output=None)


def test_one_organisation_claims_from_the_pool_and_the_next_is_too_late() -> None:
    region = Region(request(), task(owner=None))
    with forbids("task-claim", "Task.owner", "has no owner", WORK):
        region.update(WORK_COACH, KEY, status="accepted")
    with forbids("task-claim", "Task.owner", FAMILY):
        region.update(WORK_COACH, KEY, owner=ref(FAMILY))
    region.update(WORK_COACH, KEY, owner=ref(WORK), status="accepted")
    with forbids("task-actor", "Task.owner"):
        region.update(FAMILY_WORKER, KEY, owner=ref(FAMILY))


def test_a_claim_in_the_name_of_a_role_of_ones_own_organisation_is_a_claim() -> None:
    region = Region(request(), task(owner=None))
    region.update(FAMILY_WORKER, KEY, owner=ref("PractitionerRole/dora-een-gezin"))
    region.update(FAMILY_WORKER, KEY, status="accepted")


def test_a_draft_without_owner_is_not_in_the_pool() -> None:
    region = Region(request(), task(owner=None, status="draft"))
    with forbids("task-actor", "Task.requester"):
        region.update(WORK_COACH, KEY, owner=ref(WORK))


def test_nobody_changes_a_referral_without_saying_who_it_is() -> None:
    region = Region(request(), task())
    with forbids("principal-required", "Task", "organisation"):
        region.update(ANONYMOUS, KEY, status="accepted")
    with forbids("principal-required", "Task"):
        region.commit(ANONYMOUS, delete=(KEY,))
    with forbids("task-actor", "Task.owner", "role (recipient)"):
        region.update(Principal(roles=frozenset({"recipient"})), KEY, status="accepted")


@pytest.mark.parametrize("status", ["draft", "requested", "accepted", "in-progress"])
def test_a_requester_creates_a_task_in_any_status(status: str) -> None:
    region = Region(request(performer=None))
    region.commit(GP, task(status=status))
    assert region.record[KEY]["status"] == status


def test_a_task_is_created_by_its_requester_for_a_request_of_its_own() -> None:
    region = Region(request())
    with forbids("task-actor", "Task.requester", WORK):
        region.commit(WORK_COACH, task())
    with forbids("task-actor", "Task.focus", "partOf"):
        region.commit(STRANGER, task(requester=ref("Organization/elders")))
    with violates("requester-missing", "Task.requester"):
        region.commit(GP, task(requester=None))


def test_a_requester_that_nothing_here_ties_to_an_organisation_is_told_what_to_record() -> None:
    region = Region(request())
    with forbids("task-actor", "Task.requester", "PractitionerRole"):
        region.commit(GP, task(requester=ref("Practitioner/onbekend")))


def test_an_owner_in_the_referral_plans_its_own_follow_up() -> None:
    region = Region(request(), task(status="completed", output=OUTPUT))
    later = task(
        id="na-drie-maanden", requester=ref(FAMILY), owner=ref("Patient/erdan"), meta={"profile": [FOLLOW_UP_PROFILE]}
    )
    region.commit(FAMILY_WORKER, later)
    region.update(ERDAN, "Task/na-drie-maanden", status="accepted")
    with forbids("task-actor", "Task.focus"):
        region.commit(STRANGER, {**later, "id": "ander", "requester": ref("Organization/elders")})


def test_a_task_is_for_the_person_of_its_referral() -> None:
    region = Region(request())
    with violates("task-subject", "Task.for", "Patient/mila", "Patient/erdan"):
        region.commit(GP, task(for_=ref("Patient/mila")))


@pytest.mark.parametrize("status", ["draft", "on-hold", "revoked", "completed"])
def test_a_task_is_not_sent_or_taken_up_while_its_request_is_not_active(status: str) -> None:
    region = Region(request(status=status))
    with violates("request-not-active", "Task.status", status):
        region.commit(GP, task())
    region = Region(request(status=status), task())
    with violates("request-not-active", "Task.status", status):
        region.update(FAMILY_WORKER, KEY, status="accepted")
    region.update(FAMILY_WORKER, KEY, status="rejected", statusReason={"text": "niet meer nodig"})


def test_an_operator_imports_a_task_as_it_is_but_a_code_of_ours_must_exist() -> None:
    region = Region()
    region.commit(OPERATOR, task(status="rejected", requester=None))
    with violates("task-status-reason-code", "Task.statusReason.coding[0].code"):
        wrong = {"coding": [{"system": STATUS_REASON, "code": "nope"}]}
        region.commit(OPERATOR, task(id="ander", status="rejected", statusReason=wrong))


def test_what_was_imported_moves_on_by_the_same_rules() -> None:
    region = Region()
    region.commit(OPERATOR, request(status="active"), task(status="accepted"))
    region.update(FAMILY_WORKER, KEY, status="in-progress")
    with violates("task-transition", "Task.status", "in-progress to requested"):
        region.update(FAMILY_WORKER, KEY, status="requested")


def test_deleting_is_for_operators_and_leaving_the_profile_too() -> None:
    region = Region(request(), task())
    for principal in (GP, FAMILY_WORKER, ERDAN):
        with violates("referral-delete", "Task", "entered-in-error"):
            region.commit(principal, delete=(KEY,))
        with violates("profile-claim", "Task.meta.profile", "referral-task"):
            region.update(principal, KEY, meta={"profile": ["http://example.org/ander"]})
    with violates("referral-delete", "ServiceRequest"):
        region.commit(GP, delete=("ServiceRequest/erdan-steun",))
    region.commit(OPERATOR, delete=(KEY,))
    assert KEY not in region.record
    assert ("task-changed", KEY) in region.events


def test_the_contact_point_or_another_party_has_no_say() -> None:
    region = Region(request(), task())
    for principal in (LINK_WORKER, STRANGER, Principal("Patient/mila", frozenset({"person"}))):
        with forbids("task-actor", "Task.owner", principal.organization):
            region.update(principal, KEY, note=[{"text": "x"}])


def test_a_relative_speaks_for_the_person() -> None:
    region = Region(request(), task())
    mother = Principal("RelatedPerson/moeder", frozenset({"person"}))
    region.update(mother, KEY, status="cancelled", statusReason={"text": "Erdan heeft al hulp"})
    other = Principal("RelatedPerson/onbekend", frozenset({"person"}))
    with forbids("task-actor", "Task.owner"):
        region.update(other, KEY, note=[{"text": "x"}])


def test_events_tell_what_happened_to_a_task() -> None:
    region = Region(request(performer=None))
    region.commit(GP, task())
    assert region.events == [("task-changed", KEY), ("referral-sent", KEY)]
    region.events.clear()
    region.update(FAMILY_WORKER, KEY, status="rejected", statusReason={"text": "volzet"})
    assert region.events == [("task-changed", KEY), ("referral-rejected", KEY)]
    region.events.clear()
    region.update(FAMILY_WORKER, KEY, output=OUTPUT)
    assert region.events == [("task-changed", KEY), ("feedback-given", KEY)]


def test_a_task_whose_request_stands_elsewhere_is_judged_by_the_consents_of_the_person() -> None:
    region = Region()
    elsewhere = ref("https://gp.example/fhir/ServiceRequest/1")
    region.commit(GP, task(focus=elsewhere, basedOn=None))
    del region.record["Consent/erdan-2026"]
    with violates("consent-missing", "Task.focus", "No Consent was found"):
        region.commit(GP, task(id="ander", focus=elsewhere, basedOn=None))


def test_a_task_without_focus_belongs_to_the_request_it_is_based_on() -> None:
    region = Region(request(status="revoked"))
    with violates("request-not-active", "Task.status", "revoked"):
        region.commit(GP, task(focus=None))


def test_inputs_that_are_no_service_do_not_make_an_addressee() -> None:
    region = Region(request())
    given = [{"type": {"text": "taal"}, "valueString": "Turks"}, {"type": {"text": "x"}, "valueReference": ref(WORK)}]
    region.commit(GP, task(input=given))
    region.update(FAMILY_WORKER, KEY, status="accepted")


def test_an_operator_repairs_a_task_within_the_rules() -> None:
    region = Region(request(), task())
    region.update(OPERATOR, KEY, status="accepted")
    with violates("task-field", "Task.owner"):
        region.update(OPERATOR, KEY, owner=ref(WORK))
    region.commit(OPERATOR, task(id="deel", requester=ref(FAMILY), owner=ref(WORK), partOf=[ref(KEY)]))


def test_a_namesake_on_another_server_is_someone_else() -> None:
    foreign = ref(f"https://elders.example/fhir/{FAMILY}")
    region = Region(request(), task(owner=foreign))
    with forbids("task-actor", "Task.owner"):
        region.update(FAMILY_WORKER, KEY, status="accepted")
    with violates("task-frozen", "Task.for"):
        region.update(GP, KEY, for_=ref("https://elders.example/fhir/Patient/erdan"))
