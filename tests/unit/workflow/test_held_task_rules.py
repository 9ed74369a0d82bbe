"""What is imported, named by number or laid down in a plan, by the rules of a Task."""

from typing import Any

import pytest

from fhir_server.access.principal import Principal
from fhir_server.model.resource import Resource
from fhir_server.workflow.codes import TASK_PARAMETER
from tests.unit.workflow.refusals import forbids, violates
from tests.unit.workflow.region import (
    FAMILY,
    FAMILY_WORKER,
    GP,
    OPERATOR,
    WORK,
    Region,
    organization,
    ref,
    request,
    task,
)
from tests.unit.workflow.test_closed_loop import PLAN, action, planning

KEY = "Task/erdan-gezin"
OUTPUT = [{"type": {"text": "Verslag"}, "valueString": "Werk gevonden in een bakkerij"}]
NUMBERS = "https://example.org/nummers"
GOAL = "http://hl7.org/fhir/StructureDefinition/resource-pertainsToGoal"


def by_number(value: str, kind: str = "") -> Resource:
    return {"identifier": {"system": NUMBERS, "value": value}, **({"type": kind} if kind else {})}


def numbered(resource: Resource, value: str) -> Resource:
    return {**resource, "identifier": [{"system": NUMBERS, "value": value}]}


def part(status: str) -> Resource:
    return task(id="werk-deel", requester=ref(FAMILY), owner=ref(WORK), partOf=[ref(KEY)], status=status)


def test_a_completed_task_is_imported_and_kept_while_parts_of_it_are_open() -> None:
    """Parts and whole come in any order from another system; what was completed there is not judged again."""
    region = Region(request(), part("accepted"))
    region.commit(OPERATOR, task(status="completed", output=OUTPUT))
    assert region.record[KEY]["status"] == "completed"
    region.update(FAMILY_WORKER, KEY, output=[*OUTPUT, {"type": {"text": "Later"}, "valueString": "Hij bleef er"}])
    assert region.record["Task/werk-deel"]["status"] == "accepted"


def test_a_task_that_was_imported_open_is_not_completed_before_its_parts() -> None:
    region = Region(request(), part("accepted"))
    region.commit(OPERATOR, task(status="in-progress"))
    for principal in (FAMILY_WORKER, OPERATOR):
        with violates("subtask-open", "Task.status", "Task/werk-deel (accepted)"):
            region.update(principal, KEY, status="completed", output=OUTPUT)


@pytest.mark.parametrize(
    ("asked", "said", "same"),
    [
        (by_number("7"), by_number("7"), True),
        (by_number("7"), by_number("8"), False),
        (by_number("7"), {"identifier": {"value": "7"}}, False),
        (by_number("7"), ref("Patient/erdan"), True),
        (ref("Patient/erdan"), by_number("7"), True),
        (ref("Patient/erdan"), ref("Patient/mila"), False),
        (ref("Patient/erdan"), {"display": "Erdan"}, False),
    ],
    ids=["number", "other number", "no system", "here, there by number", "number, there here", "other", "nobody"],
)
def test_the_person_of_a_task_is_compared_with_that_of_its_request_where_both_are_named_alike(
    asked: Resource, said: Resource, *, same: bool
) -> None:
    """By number and by reference may be one person: only what surely differs is refused."""
    region = Region(request(subject=asked, status="draft"))
    made = task(status="draft", for_=said)
    if same:
        region.commit(GP, made)
        assert region.record[KEY]["for"] == said
    else:
        with violates("task-subject", "Task.for", "The ServiceRequest is about", "Make them the same"):
            region.commit(GP, made)
        assert KEY not in region.record


SERVICE: Resource = {"resourceType": "HealthcareService", "id": "gezin-7", "providedBy": ref(FAMILY)}
TEAM: Resource = {"resourceType": "CareTeam", "id": "team-7", "managingOrganization": [ref(FAMILY)]}


@pytest.mark.parametrize(
    ("holder", "kind", "works"),
    [
        (organization("gezin-7", "Gezin 7"), "", True),
        (organization("gezin-7", "Gezin 7"), "Organization", True),
        (organization("gezin-7", "Gezin 7"), "Practitioner", False),
        (SERVICE, "HealthcareService", True),
        (TEAM, "CareTeam", True),
        (SERVICE, "", False),
        (SERVICE, "Organization", False),
    ],
    ids=["organisation", "told", "told another", "service", "team", "service untold", "service told another"],
)
def test_an_owner_named_by_number_is_looked_for_among_what_its_type_says(
    holder: Resource, kind: str, *, works: bool
) -> None:
    owner = "Organization/gezin-7" if holder["resourceType"] == "Organization" else FAMILY
    worker = Principal(owner, frozenset({"recipient"}), "dora")
    region = Region(request(), numbered(holder, "7"), task(owner=by_number("7", kind)))
    if works:
        region.update(worker, KEY, status="accepted")
        assert region.record[KEY]["status"] == "accepted"
    else:
        with forbids("task-actor", "Task.owner"):
            region.update(worker, KEY, status="accepted")


def test_a_follow_up_is_told_the_goals_of_the_referral_and_nothing_else_that_extends_it() -> None:
    extensions: list[dict[str, Any]] = [
        {"url": "https://example.org/team", "valueReference": ref("CareTeam/buurt")},
        {"url": GOAL, "valueReference": ref("Goal/werk")},
        {"url": GOAL, "_valueReference": {"extension": [{"url": "https://example.org/why", "valueCode": "unknown"}]}},
        {"url": GOAL, "valueReference": ref("Goal/slapen")},
        {"url": "https://example.org/place", "valueString": "thuis"},
    ]
    region = Region(rulebook=planning(action("intake", trigger=[{"name": "referral-accepted"}])))
    family, _ = region.commit(GP, request(instantiatesCanonical=[PLAN], extension=extensions))
    made = region.update(FAMILY_WORKER, f"Task/{family['id']}", status="accepted")
    (intake,) = [one for one in made if "instantiatesUri" in one]
    goals = [one for one in intake["input"] if one["type"]["coding"][0]["code"] == "person-goal"]
    assert [one["valueReference"] for one in goals] == [ref("Goal/werk"), ref("Goal/slapen")]
    assert [one["type"]["coding"][0]["system"] for one in intake["input"]] == [TASK_PARAMETER] * 2
