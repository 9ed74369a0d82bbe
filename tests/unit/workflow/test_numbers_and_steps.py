"""The number that a person is told, and the steps of the work."""

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_server.workflow.codes import BUSINESS_STATUS, TASK_STATUSES
from fhir_server.workflow.numbers import check_digit, is_number, make_number, spoken
from fhir_server.workflow.steps import STEPS
from tests.unit.workflow.refusals import violates
from tests.unit.workflow.region import FAMILY_WORKER, GP, OPERATOR, Region, request, task

_CODES = Path(__file__).parents[3] / "terminology" / "code-systems"
TASK = "Task/erdan-gezin"


def step(code: str) -> dict[str, Any]:
    return {"coding": [{"system": BUSINESS_STATUS, "code": code}]}


def test_the_check_digit_is_that_of_damm() -> None:
    assert check_digit("572") == "4"  # the example of Damm's thesis


def test_every_wrong_digit_and_every_swap_of_neighbours_is_found() -> None:
    for seed in range(0, 80_000_000, 1_234_567):
        number = str(10_000_000 + seed) + check_digit(str(10_000_000 + seed))
        assert is_number(number)
        for place in range(9):
            others = {number[:place] + digit + number[place + 1 :] for digit in "0123456789"} - {number}
            assert not any(map(is_number, others))
        swapped = {number[:at] + number[at + 1] + number[at] + number[at + 2 :] for at in range(8)} - {number}
        assert not any(map(is_number, swapped))


def test_a_number_is_nine_digits_and_read_out_in_threes() -> None:
    assert spoken("57240030" + check_digit("57240030")) == f"572 400 30{check_digit('57240030')}"
    assert spoken("LINDE-2026-0001") == "LINDE-2026-0001"
    assert not any(map(is_number, ("", "12345678", "1234567890", "12345678x", "١٢٣٤٥٦٧٨٩")))
    assert len({make_number() for _ in range(200)}) > 190


def test_the_steps_are_those_of_the_code_system_that_is_published() -> None:
    published = json.loads((_CODES / "CodeSystem-business-status.json").read_text(encoding="utf-8"))
    assert published["url"] == BUSINESS_STATUS
    assert {one["code"] for one in published["concept"]} == set(STEPS)
    assert {state for states in STEPS.values() for state in states} <= set(TASK_STATUSES)


@pytest.mark.parametrize("code", STEPS)
def test_a_step_is_set_in_its_states_and_in_no_other(code: str) -> None:
    for state in ("requested", "received", "accepted", "in-progress"):
        actor = GP if state == "draft" else FAMILY_WORKER
        region = Region(request(), task(status=state))
        if state in STEPS[code]:
            region.update(actor, TASK, businessStatus=step(code))
        else:
            with violates("task-step", "Task.businessStatus", code, state):
                region.update(actor, TASK, businessStatus=step(code))


def test_a_task_has_one_step_at_a_time() -> None:
    region = Region(request(), task(status="accepted"))
    for steps, words in (
        (("contacted", "almost-done"), "'almost-done'"),
        (("contacted", "no-show"), "contacted and no-show"),
    ):
        with violates("task-step", "Task.businessStatus", words):
            region.update(
                FAMILY_WORKER, TASK, businessStatus={"coding": [one for code in steps for one in step(code)["coding"]]}
            )
    region.update(
        FAMILY_WORKER, TASK, businessStatus={"coding": [*step("contacted")["coding"], *step("contacted")["coding"]]}
    )


def test_a_step_that_does_not_exist_is_refused_and_others_codes_are_free() -> None:
    region = Region(request(), task(status="accepted"))
    with violates("task-step", "Task.businessStatus", "'almost-done'", "contacted"):
        region.update(FAMILY_WORKER, TASK, businessStatus=step("almost-done"))
    region.update(FAMILY_WORKER, TASK, businessStatus={"coding": [{"system": "urn:x", "code": "almost-done"}]})


def test_a_step_stays_when_the_state_moves_on() -> None:
    region = Region(request(), task(status="accepted"))
    region.update(FAMILY_WORKER, TASK, businessStatus=step("contacted"))
    reason = {"text": "Verhuisd"}
    region.update(FAMILY_WORKER, TASK, status="failed", statusReason=reason)
    assert region.record[TASK]["businessStatus"] == step("contacted")
    region.commit(OPERATOR, task(id="elders", status="requested", businessStatus=step("support-ended")))
