"""Deadlines, how an intake may end, and referrals that repeat another, on the rules alone."""

from typing import Any

import pytest

from fhir_server.model.resource import Resource
from fhir_server.workflow.codes import (
    BUSINESS_STATUS,
    CONTACT_BY,
    ESCALATION,
    REFERRAL_NUMBER,
    SERVICE_TYPE,
    TASK_PARAMETER,
)
from fhir_server.workflow.consent import escalation_provision
from fhir_server.workflow.deadlines import Deadline, deadlines_of, due_effects, is_overdue
from fhir_server.workflow.duplicates import repeated
from fhir_server.workflow.effects import Create, Emit, Update
from fhir_server.workflow.links import Links
from fhir_server.workflow.wording import sentences
from tests.unit.workflow.refusals import violates
from tests.unit.workflow.region import (
    CONTACT,
    FAMILY,
    FAMILY_WORKER,
    GP,
    LINK_WORKER,
    NOW,
    WORK,
    Region,
    consent,
    ref,
    request,
    task,
)

TASK = "Task/erdan-gezin"
KEY = "ServiceRequest/erdan-steun"
OUTPUT = [{"type": {"text": "Verslag"}, "valueString": "Werk gevonden in een bakkerij"}]


def kind(code: str) -> Resource:
    return {"coding": [{"system": TASK_PARAMETER, "code": code}]}


# ---------------------------------------------------------------- deadlines


LATE = {"period": {"end": "2026-11-20"}}


def links_of(region: Region) -> Links:
    return Links(region, "", region.rulebook.governs)


def test_the_term_runs_until_the_person_is_reached() -> None:
    late = task(restriction=LATE)
    assert deadlines_of(late) == (Deadline("task-overdue", TASK, 1795219200000),)
    assert is_overdue(late, NOW)
    assert not is_overdue(late, "2026-11-20T23:59:59Z")
    contacted = {"coding": [{"system": BUSINESS_STATUS, "code": "contacted"}]}
    assert not is_overdue({**late, "status": "accepted", "businessStatus": contacted}, NOW)
    assert not is_overdue({**late, "status": "in-progress"}, NOW)
    assert not is_overdue(task(), NOW)


def test_what_is_overdue_is_told_and_goes_to_the_link_worker_once() -> None:
    region = Region(request(), task(restriction=LATE))
    (deadline,) = deadlines_of(region.record[TASK])
    assert due_effects(deadline, links_of(region), "2026-11-19T00:00:00Z", escalate=True) == ()
    assert due_effects(deadline, links_of(region), NOW) == (Emit("task-overdue", TASK),)
    told, made = due_effects(deadline, links_of(region), NOW, escalate=True)
    assert told == Emit("task-overdue", TASK)
    assert isinstance(made, Create)
    assert made.resource["owner"] == ref(CONTACT)
    assert made.resource["code"]["coding"][0]["code"] == ESCALATION
    region = Region(request(), task(restriction=LATE), {**made.resource, "id": "kijk-na"})
    assert due_effects(deadline, links_of(region), NOW, escalate=True) == (Emit("task-overdue", TASK),)
    region.update(LINK_WORKER, "Task/kijk-na", status="accepted")
    region.update(FAMILY_WORKER, TASK, status="accepted")
    region.update(FAMILY_WORKER, TASK, status="completed", output=OUTPUT)
    assert region.record["Task/kijk-na"]["status"] == "cancelled"
    assert region.record[KEY]["status"] == "completed"


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("not-escalated-consent", [consent(provision={"type": "permit", "actor": [{"reference": ref(FAMILY)}]})]),
        ("not-escalated-late", [task(restriction=LATE, owner=ref(CONTACT))]),
        ("not-escalated-nobody", [{"resourceType": "Patient", "id": "erdan", "address": [{"postalCode": "9999"}]}]),
    ],
)
def test_where_nobody_else_is_told_the_task_says_why(why: str, changes: list[Resource]) -> None:
    region = Region(request(), task(restriction=LATE, note=[{"text": "Bel na zes uur"}]), *changes)
    (deadline,) = deadlines_of(region.record[TASK])
    told, noted = due_effects(deadline, links_of(region), NOW, escalate=True)
    assert told == Emit("task-overdue", TASK)
    assert isinstance(noted, Update)
    last = noted.resource["note"][-1]
    assert (last["time"], last["text"]) == (NOW, sentences()[why]["en"])
    assert noted.resource["status"] == "requested"
    assert due_effects(deadline, links_of(region), NOW) == (told,)


def test_a_consent_for_escalation_lets_the_contact_point_learn_of_what_is_late_and_of_nothing_else() -> None:
    root = {"type": "permit", "actor": [{"reference": ref(FAMILY)}]}
    watched = consent(provision={**root, "provision": [escalation_provision([{"reference": ref(CONTACT)}])]})
    region = Region(request(), task(restriction=LATE), watched)
    (deadline,) = deadlines_of(region.record[TASK])
    _, made = due_effects(deadline, links_of(region), NOW, escalate=True)
    assert isinstance(made, Create)
    assert made.resource["owner"] == ref(CONTACT)
    region = Region(request(), task(restriction=LATE), watched, {**made.resource, "id": "kijk-na"})
    region.update(LINK_WORKER, "Task/kijk-na", status="accepted")
    with violates("consent-recipient", "Task.owner", "does not name the recipient"):
        region.commit(GP, task(id="ook", owner=ref(CONTACT)))
    region.commit(GP, {**watched, "provision": root})
    assert region.record["Task/kijk-na"]["status"] == "cancelled"
    assert region.record[TASK]["status"] == "requested"


def test_a_referral_does_not_begin_with_a_term_that_has_passed() -> None:
    for until in ("1900-01-01", "2026-11-19", "2026-11-20T00:00:00Z"):
        told = [{"url": CONTACT_BY, "valueDateTime": until}]
        with violates("contact-by-passed", "ServiceRequest.extension[0]", until):
            Region(consent()).commit(GP, request(extension=told))
    region = Region(consent())
    region.commit(GP, request(extension=[{"url": CONTACT_BY, "valueDateTime": NOW[:10]}]))
    assert region.record[KEY]["status"] == "active"


def test_a_follow_up_is_told_when_its_day_comes() -> None:
    follow = task(
        id="later", restriction={"period": {"start": "2026-11-23", "end": "2026-12-07"}},
        meta={"profile": ["https://w3id.org/social-referral/StructureDefinition/follow-up-task"]},
    )  # fmt: skip
    region = Region(request(), follow)
    first, last = deadlines_of(follow)
    assert due_effects(first, links_of(region), NOW, escalate=True) == (Emit("follow-up-due", "Task/later"),)
    assert due_effects(last, links_of(region), NOW) == ()


# ---------------------------------------------------------------- intake and repetition


@pytest.mark.parametrize("code", ["volunteering", "nature", "meeting-through-play"])
def test_an_intake_ends_in_a_volunteer_role_or_a_theme(code: str) -> None:
    region = Region(request(), task(status="accepted"))
    result = {
        "type": kind("intake-result"),
        "valueCodeableConcept": {"coding": [{"system": SERVICE_TYPE, "code": code}]},
    }
    region.update(FAMILY_WORKER, TASK, status="completed", output=[result])


def test_an_intake_does_not_end_in_just_anything() -> None:
    region = Region(request(), task(status="accepted"), request(id="verder", basedOn=[ref(KEY)]), request(id="los"))
    wrong = {
        "type": kind("intake-result"),
        "valueCodeableConcept": {"coding": [{"system": SERVICE_TYPE, "code": "shelter"}]},
    }
    with violates("intake-result", "Task.output[0]", "'shelter'", "nature"):
        region.update(FAMILY_WORKER, TASK, status="completed", output=[wrong])
    with violates("intake-result", "Task.output[0]", KEY):
        region.update(
            FAMILY_WORKER, TASK, output=[{"type": kind("intake-result"), "valueReference": ref("ServiceRequest/los")}]
        )
    region.update(
        FAMILY_WORKER, TASK, status="completed",
        output=[{"type": kind("intake-result"), "valueReference": ref("ServiceRequest/verder")}],
    )  # fmt: skip


def need(code: str, **changes: Any) -> Resource:
    concept = {"coding": [{"system": "https://w3id.org/social-referral/CodeSystem/social-need", "code": code}]}
    return request(code=concept, category=[concept], **changes)


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"code": "employment"}, True),
        ({"code": "parenting"}, False),
        ({"code": "employment", "status": "completed"}, False),
        ({"code": "employment", "owner": CONTACT}, False),
        ({"code": "employment", "task": "rejected"}, False),
    ],
)
def test_a_referral_is_repeated_by_the_same_need_to_the_same_recipient_while_it_is_open(
    other: dict[str, str], found: bool
) -> None:
    standing = need(other["code"], id="eerder", status=other.get("status", "active"))
    work = task(
        id="toen",
        focus=ref("ServiceRequest/eerder"),
        owner=ref(other.get("owner", WORK)),
        status=other.get("task", "accepted"),
    )
    region = Region(standing, work)
    made = need("employment", performer=[ref(WORK)])
    region.commit(GP, made)
    again = repeated(region.record[KEY], [standing], links_of(region))
    assert (again is not None) == found


def test_the_number_of_a_referral_goes_along_with_its_tasks() -> None:
    number = {"system": REFERRAL_NUMBER, "value": "123456782"}
    made = Region().commit(GP, request(identifier=[{"system": "urn:epd", "value": "7"}, number]))
    assert [one["identifier"] for one in made] == [[number], [number]]
