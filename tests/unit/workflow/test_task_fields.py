"""Which elements of a governed Task may change, and by whom."""

from typing import Any

import pytest

from fhir_server.access.principal import Principal
from fhir_server.model.errors import RuleViolated
from tests.unit.workflow.refusals import forbids, violates
from tests.unit.workflow.region import (
    ERDAN,
    FAMILY,
    FAMILY_WORKER,
    GP,
    OPERATOR,
    WORK,
    WORK_COACH,
    Region,
    ref,
    request,
    task,
)

KEY = "Task/erdan-gezin"
OUTPUT = [{"type": {"text": "Verslag"}, "valueString": "Gezin woont groepssessies bij"}]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("for", ref("Patient/mila")),
        ("focus", ref("ServiceRequest/ander")),
        ("basedOn", [ref("ServiceRequest/ander")]),
        ("requester", ref("Organization/elders")),
        ("intent", "proposal"),
        ("code", {"text": "iets anders"}),
        ("authoredOn", "2026-01-01"),
        ("basedOn", None),
    ],
)
@pytest.mark.parametrize("principal", [GP, FAMILY_WORKER, OPERATOR])
@pytest.mark.parametrize("status", ["draft", "accepted"])
def test_what_a_task_is_about_never_changes(name: str, value: Any, principal: Principal, status: str) -> None:
    if status == "draft" and principal is FAMILY_WORKER:
        principal = GP
    region = Region(request(), task(status=status))
    with violates("task-frozen", f"Task.{name}", name):
        region.update(principal, KEY, **{name: value})


def test_another_spelling_of_a_frozen_reference_is_no_change() -> None:
    region = Region(request(), task(status="accepted"))
    said = {"reference": "Patient/erdan", "display": "Erdan Y."}
    region.update(FAMILY_WORKER, KEY, for_=said, focus=ref("ServiceRequest/erdan-steun/_history/1"))
    assert region.record[KEY]["for"] == said


@pytest.mark.parametrize(
    ("principal", "status", "name", "value"),
    [
        (FAMILY_WORKER, "accepted", "priority", "stat"),
        (FAMILY_WORKER, "accepted", "description", "iets"),
        (FAMILY_WORKER, "accepted", "_description", {"id": "x"}),
        (FAMILY_WORKER, "accepted", "input", [{"type": {"text": "x"}, "valueString": "y"}]),
        (GP, "accepted", "output", OUTPUT),
        (GP, "accepted", "businessStatus", {"text": "x"}),
        (GP, "accepted", "owner", ref(WORK)),
        (GP, "accepted", "input", [{"type": {"text": "x"}, "valueString": "y"}]),
        (GP, "accepted", "restriction", {"repetitions": 2}),
        (ERDAN, "requested", "priority", "stat"),
        (ERDAN, "requested", "output", OUTPUT),
    ],
)
def test_each_actor_changes_only_what_is_its_own(principal: Principal, status: str, name: str, value: Any) -> None:
    region = Region(request(), task(status=status))
    element = name.lstrip("_")
    who = {GP: "requester", FAMILY_WORKER: "owner", ERDAN: "person"}[principal]
    with violates("task-field", f"Task.{element}", element, who, status):
        region.commit(principal, {**region.record[KEY], name: value})


@pytest.mark.parametrize(
    ("principal", "status", "changes"),
    [
        (FAMILY_WORKER, "accepted", {"businessStatus": {"text": "eerste gesprek gepland"}, "output": OUTPUT}),
        (FAMILY_WORKER, "accepted", {"owner": ref("PractitionerRole/dora-een-gezin")}),
        (FAMILY_WORKER, "accepted", {"executionPeriod": {"start": "2026-11-25"}, "note": [{"text": "gebeld"}]}),
        (GP, "accepted", {"priority": "urgent", "description": "Graag snel", "note": [{"text": "bereikbaar na 17u"}]}),
        (GP, "requested", {"input": [{"type": {"text": "taal"}, "valueString": "Turks"}], "restriction": {}}),
        (GP, "draft", {"owner": ref(WORK), "partOf": []}),
        (ERDAN, "requested", {"note": [{"text": "liever op donderdag"}]}),
    ],
)
def test_what_is_its_own_an_actor_may_change(principal: Principal, status: str, changes: dict[str, Any]) -> None:
    region = Region(request(), task(status=status))
    region.update(principal, KEY, **changes)
    assert all(region.record[KEY][name] == value for name, value in changes.items())


def test_an_owner_does_not_pass_a_task_to_another_organisation_but_a_requester_reroutes_what_was_not_taken() -> None:
    region = Region(request(), task())
    with violates("task-field", "Task.owner", "partOf"):
        region.update(FAMILY_WORKER, KEY, owner=ref(WORK))
    region.update(GP, KEY, owner=ref(WORK))
    with forbids("task-actor", "Task.owner", FAMILY):
        region.update(FAMILY_WORKER, KEY, status="accepted")
    region.update(WORK_COACH, KEY, status="accepted")


def test_all_broken_rules_of_one_change_are_told_together() -> None:
    region = Region(request(), task(status="accepted"))
    with pytest.raises(RuleViolated) as refused:
        region.update(FAMILY_WORKER, KEY, status="requested", priority="stat", intent="plan")
    assert [issue.key for issue in refused.value.issues] == ["task-frozen", "task-field", "task-transition"]
