"""What the state of one Task means for its ServiceRequest and its parts, and the other way round."""

import pytest

from fhir_server.model.resource import Resource
from fhir_server.workflow.codes import FOLLOW_UP_PROFILE, STATUS_REASON
from fhir_server.workflow.effects import Change
from tests.unit.workflow.refusals import forbids, violates
from tests.unit.workflow.region import (
    ERDAN,
    FAMILY,
    FAMILY_WORKER,
    GP,
    NOW,
    OPERATOR,
    WORK,
    WORK_COACH,
    Region,
    ref,
    request,
    task,
)

KEY = "ServiceRequest/erdan-steun"
TASK = "Task/erdan-gezin"
OUTPUT = [{"type": {"text": "Verslag"}, "valueString": "Werk gevonden in een bakkerij"}]
REASON = {"coding": [{"system": STATUS_REASON, "code": "patient-declined"}], "text": "Liever zelf"}


def part(part_id: str = "werk-deel", parent: str = TASK, owner: str = WORK, status: str = "requested") -> Resource:
    return task(id=part_id, requester=ref(FAMILY), owner=ref(owner), partOf=[ref(parent)], status=status)


def two_tasks() -> tuple[Region, str, str]:
    region = Region()
    first, second = region.commit(GP, request())
    return region, f"Task/{first['id']}", f"Task/{second['id']}"


def test_the_referral_is_completed_when_its_last_task_ends_and_one_was_completed() -> None:
    region, family, work = two_tasks()
    region.update(FAMILY_WORKER, family, status="accepted")
    region.update(FAMILY_WORKER, family, status="completed", output=OUTPUT)
    assert region.record[KEY]["status"] == "active"
    region.update(WORK_COACH, work, status="rejected", statusReason=REASON)
    assert region.record[KEY]["status"] == "completed"


def test_two_tasks_that_end_in_one_bundle_complete_the_referral_once() -> None:
    region, family, work = two_tasks()
    region.update(FAMILY_WORKER, family, status="accepted")
    region.update(WORK_COACH, work, status="accepted")
    done = [{**region.record[key], "status": "completed", "output": OUTPUT} for key in (family, work)]
    region.commit(OPERATOR, *done)
    assert region.record[KEY]["status"] == "completed"
    assert region.record[KEY]["meta"]["versionId"] == "2"


@pytest.mark.parametrize("end", ["rejected", "failed", "cancelled", "entered-in-error"])
def test_a_task_that_ends_badly_leaves_the_referral_open(end: str) -> None:
    region = Region(request(), task(status="requested" if end == "rejected" else "accepted"))
    region.update(GP if end == "entered-in-error" else FAMILY_WORKER, TASK, status=end, statusReason=REASON)
    assert region.record[KEY]["status"] == "active"


@pytest.mark.parametrize("end", ["revoked", "entered-in-error"])
def test_a_withdrawn_referral_reaches_every_open_task(end: str) -> None:
    region, family, work = two_tasks()
    region.update(FAMILY_WORKER, family, status="accepted")
    region.update(FAMILY_WORKER, family, status="completed", output=OUTPUT)
    region.update(GP, KEY, status=end)
    assert region.record[family]["status"] == "completed"
    assert region.record[work]["status"] == "cancelled"
    assert region.record[work]["statusReason"]["coding"][0]["code"] == "referral-withdrawn"
    assert region.record[work]["statusReason"]["text"] == "Referral withdrawn"
    assert region.record[work]["lastModified"] == NOW


def test_a_referral_on_hold_holds_what_is_worked_on_and_lets_nobody_start() -> None:
    region, family, work = two_tasks()
    region.update(FAMILY_WORKER, family, status="in-progress")
    region.update(GP, KEY, status="on-hold")
    assert region.record[family]["status"] == "on-hold"
    assert region.record[family]["statusReason"]["coding"][0]["code"] == "referral-on-hold"
    assert region.record[work]["status"] == "requested"
    with violates("request-not-active", "Task.status", "on-hold"):
        region.update(WORK_COACH, work, status="accepted")
    region.update(GP, KEY, status="active")
    region.update(FAMILY_WORKER, family, status="in-progress")


def test_what_is_imported_is_left_as_it_came() -> None:
    region = Region()
    region.commit(OPERATOR, request(status="revoked"), task(status="accepted"))
    region.commit(
        OPERATOR,
        request(id="af", status="active"),
        task(id="klaar", status="completed", focus=ref("ServiceRequest/af")),
    )
    assert region.record[TASK]["status"] == "accepted"
    assert region.record["ServiceRequest/af"]["status"] == "active"


def test_reviewing_a_settled_change_again_asks_for_nothing_more() -> None:
    region = Region(request(), task(status="accepted"))
    before = region.record[TASK]
    region.update(FAMILY_WORKER, TASK, status="completed", output=OUTPUT)
    again = region.rulebook.review(Change(before, region.record[TASK]), region, FAMILY_WORKER, NOW)
    assert {type(effect).__name__ for effect in again} == {"Emit"}


def test_the_owner_hands_over_a_part_and_nobody_else_does() -> None:
    region = Region(request(), task(status="accepted"))
    region.commit(FAMILY_WORKER, part())
    with forbids("subtask-actor", "Task.partOf[0]", "owner"):
        region.commit(WORK_COACH, {**part("ander"), "requester": ref(WORK)})
    with forbids("subtask-actor", "Task.partOf[0]"):
        region.commit(GP, {**part("ander"), "requester": ref("Organization/de-linde")})


def test_a_part_agrees_with_what_it_is_a_part_of() -> None:
    region = Region(request(), request(id="los"), task(status="accepted"))
    with violates("subtask-parent", "Task.for", "same person"):
        region.commit(FAMILY_WORKER, {**part(), "for": ref("Patient/mila"), "focus": ref("ServiceRequest/weg")})
    with violates("subtask-parent", "Task.focus", TASK):
        region.commit(FAMILY_WORKER, {**part(), "focus": ref("ServiceRequest/los")})
    based = request(id="deel", status="active", basedOn=[ref(KEY)], requester=ref(FAMILY), performer=None)
    region.commit(OPERATOR, based)
    region.commit(FAMILY_WORKER, {**part(), "focus": ref("ServiceRequest/deel")})


@pytest.mark.parametrize("status", ["requested", "received", "rejected", "completed", "cancelled"])
def test_a_part_is_handed_over_only_while_the_whole_is_accepted_and_open(status: str) -> None:
    region = Region(request(), task(status=status))
    with violates("subtask-parent", "Task.partOf[0]", status):
        region.commit(FAMILY_WORKER, part())


def test_the_whole_is_not_completed_before_its_parts() -> None:
    region = Region(request(), task(status="accepted"), part(status="accepted"))
    with violates("subtask-open", "Task.status", "Task/werk-deel (accepted)"):
        region.update(FAMILY_WORKER, TASK, status="completed", output=OUTPUT)
    region.update(WORK_COACH, "Task/werk-deel", status="completed", output=OUTPUT)
    assert region.record[KEY]["status"] == "active", "a part that is done does not complete the referral"
    region.update(FAMILY_WORKER, TASK, status="completed", output=OUTPUT)
    assert region.record[KEY]["status"] == "completed"


def test_the_end_of_the_whole_ends_open_parts_at_every_level_with_its_reason() -> None:
    deeper = part("deel-van-deel", "Task/werk-deel", FAMILY, "accepted")
    done = part("klaar", TASK, WORK, "completed")
    region = Region(request(), task(status="accepted"), part(status="accepted"), deeper, {**done, "output": OUTPUT})
    region.update(GP, TASK, status="cancelled", statusReason=REASON)
    for key in ("Task/werk-deel", "Task/deel-van-deel"):
        assert region.record[key]["status"] == "cancelled"
        assert region.record[key]["statusReason"]["coding"][0]["code"] == "subtask-parent-cancelled"
        assert region.record[key]["statusReason"]["text"] == REASON["text"]
    assert region.record["Task/klaar"]["status"] == "completed"


def test_a_task_in_error_ends_its_parts_and_says_so() -> None:
    region = Region(request(), task(status="accepted"), part())
    region.update(GP, TASK, status="entered-in-error")
    reason = region.record["Task/werk-deel"]["statusReason"]
    assert reason["coding"][0]["code"] == "subtask-parent-cancelled"
    assert reason["text"] == "Main task stopped"


def chain(length: int) -> list[Resource]:
    """Return accepted Tasks t1 … tn, each part of the one before."""
    return [
        task(id=f"t{n}", status="accepted", requester=ref(FAMILY), partOf=[ref(f"Task/t{n - 1}")] if n > 1 else None)
        for n in range(1, length + 1)
    ]


def test_parts_nest_five_deep_at_most() -> None:
    region = Region(request(), *chain(4))
    region.commit(FAMILY_WORKER, part("t5", "Task/t4", FAMILY, "accepted"))
    with violates("subtask-cycle", "Task.partOf[0]", "5 levels"):
        region.commit(FAMILY_WORKER, part("t6", "Task/t5"))


def test_no_task_is_part_of_itself() -> None:
    region = Region(request(), *chain(2))
    region.record["Task/t1"] = {**region.record["Task/t1"], "status": "draft", "requester": ref(FAMILY)}
    with violates("subtask-cycle", "Task.partOf[0]", "part of itself"):
        region.update(FAMILY_WORKER, "Task/t1", partOf=[ref("Task/t2")])
    with violates("subtask-cycle", "Task.partOf[0]"):
        region.commit(OPERATOR, part("zelf", "Task/zelf"))


def test_a_whole_that_is_not_here_is_no_obstacle() -> None:
    region = Region(request())
    region.commit(GP, task(partOf=[ref("https://elders.example/fhir/Task/9")]))
    assert region.record[TASK]["status"] == "requested"


def test_plain_tasks_around_a_referral_are_left_alone_and_decide_nothing() -> None:
    plain = task(id="eigen-nota", meta=None)
    region = Region(plain)
    (made, _) = region.commit(GP, request())
    region.commit(GP, {**plain, "status": "completed"})
    assert region.record[KEY]["status"] == "active"
    region.commit(GP, plain)
    region.update(GP, KEY, status="revoked")
    assert region.record["Task/eigen-nota"]["status"] == "requested"
    assert region.record[f"Task/{made['id']}"]["status"] == "cancelled"


def test_a_plain_request_is_not_changed_by_the_end_of_a_governed_task() -> None:
    region = Region(request(meta=None), task(status="accepted"))
    region.update(FAMILY_WORKER, TASK, status="completed", output=OUTPUT)
    assert region.record[KEY]["status"] == "active"


def follow_up() -> Resource:
    return task(id="na-drie-maanden", owner=ref("Patient/erdan"), meta={"profile": [FOLLOW_UP_PROFILE]})


def test_a_follow_up_neither_holds_up_nor_completes_a_referral() -> None:
    region = Region(request(), task(status="accepted"), follow_up())
    region.update(FAMILY_WORKER, TASK, status="completed", output=OUTPUT)
    assert region.record[KEY]["status"] == "completed"
    region.update(ERDAN, "Task/na-drie-maanden", status="accepted")
    region.update(ERDAN, "Task/na-drie-maanden", status="completed", output=OUTPUT)
    region = Region(request(), task(status="rejected", statusReason=REASON), follow_up())
    region.update(ERDAN, "Task/na-drie-maanden", status="accepted")
    region.update(ERDAN, "Task/na-drie-maanden", status="completed", output=OUTPUT)
    assert region.record[KEY]["status"] == "active"


def test_a_follow_up_ends_with_a_withdrawn_referral_and_does_not_keep_it_from_being_sent() -> None:
    region = Region(follow_up())
    assert len(region.commit(GP, request())) == 2
    region.update(GP, KEY, status="revoked")
    assert region.record["Task/na-drie-maanden"]["status"] == "cancelled"
    with violates("request-not-active", "Task.status", "revoked"):
        region.commit(GP, {**follow_up(), "id": "later"})


def test_an_operator_puts_a_draft_where_it_belongs_without_owning_the_whole() -> None:
    region = Region(request(), task(status="accepted"), task(id="los", status="draft"))
    region.update(OPERATOR, "Task/los", partOf=[ref(TASK)])
    with violates("subtask-parent", "Task.partOf[0]", "draft"):
        region.commit(FAMILY_WORKER, part("dieper", "Task/los"))
