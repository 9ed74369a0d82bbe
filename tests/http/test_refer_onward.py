"""$hand-over and $meeting-list over HTTP, with access enforced: what they make, show, hide and refuse."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import RunningServer

EXAMPLES = Path(__file__).parents[2] / "examples"
OPEN: list[httpx.Client] = []
ROLES = {"org-praktijk-bea": "referrer", "org-aanmeldpunt": "link-worker"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("onward") / "fhir.sqlite"
    server = RunningServer({"store": f"sqlite:///{path}", "enforce_access": True})
    try:
        with httpx.Client(base_url=server.base, headers={"X-Dev-Roles": "operator"}, timeout=60) as operator:
            for file in sorted((EXAMPLES / "region").glob("*.json")):
                assert operator.post("/", json=json.loads(file.read_text())).status_code == 200
        yield server.base
    finally:
        while OPEN:
            OPEN.pop().close()
        server.stop()


def acting(base: str, organization: str) -> httpx.Client:
    role = ROLES.get(organization, "recipient")
    headers = {
        "Content-Type": "application/fhir+json", "X-Dev-Organization": f"Organization/{organization}", "X-Dev-Roles": role,
    }  # fmt: skip
    OPEN.append(httpx.Client(base_url=base, headers=headers, timeout=30))
    return OPEN[-1]


def parameters(**given: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name.replace("_", "-"), **one} for name, one in given.items()],
    }


def referred(base: str, name: str) -> dict[str, Any]:
    """Return the Task of a new referral to the contact point."""
    body = parameters(
        name={"valueString": name}, phone={"valueString": "02 555 00 00"}, city={"valueString": "Vilvoorde"},
        reason={"valueString": "Zoekt raad"}, consent_way={"valueCode": "spoken"},
    )  # fmt: skip
    answer = acting(base, "org-praktijk-bea").post("/$refer", json=body)
    assert answer.status_code == 200, answer.text
    return dict(next(one["resource"] for one in answer.json()["parameter"] if one["name"] == "task"))


def accept(http: httpx.Client, task: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json-patch+json", "If-Match": f'W/"{task["meta"]["versionId"]}"'}
    patch = [{"op": "replace", "path": "/status", "value": "accepted"}]
    answer = http.patch(f"/Task/{task['id']}", json=patch, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


BUDDY = {"valueReference": {"reference": "HealthcareService/svc-buddy"}}
WHY = {"valueString": "Wil een maatje"}
YES = {"valueCode": "spoken"}


def hand_over(http: httpx.Client, task: dict[str, Any], **given: Any) -> httpx.Response:
    headers = {"If-Match": f'W/"{task["meta"]["versionId"]}"'}
    return http.post(f"/Task/{task['id']}/$hand-over", json=parameters(**given), headers=headers)


def test_only_the_owner_of_a_task_that_it_took_up_hands_it_over(base: str, refused: Any) -> None:
    task = referred(base, "Anna Eerst")
    link, other = acting(base, "org-aanmeldpunt"), acting(base, "org-taalhuis")
    refused(hand_over(link, task, recipient=BUDDY, reason=WHY), 409, "reference-not-stored")
    refused(hand_over(other, task, recipient=BUDDY, reason=WHY), 404, "not-found")
    refused(hand_over(acting(base, "org-praktijk-bea"), task, recipient=BUDDY, reason=WHY, consent_way=YES), 403)
    task = accept(link, task)
    stale = {**task, "meta": {"versionId": "1"}}
    refused(hand_over(link, stale, recipient=BUDDY, reason=WHY, consent_way=YES), 412, "version-conflict")
    bare = link.post(f"/Task/{task['id']}/$hand-over", json=parameters(recipient=BUDDY, reason=WHY))
    refused(bare, 400, "if-match-required")


@pytest.mark.parametrize(
    ("given", "status", "key", "expression"),
    [
        ({"recipient": BUDDY}, 400, "refer-input", "Parameters"),
        ({"reason": WHY}, 400, "refer-input", "Parameters"),
        ({"recipient": BUDDY, "reason": {"valueString": "x" * 251}}, 400, "refer-input", "Parameters.parameter[1].valueString"),
        ({"recipient": BUDDY, "reason": WHY}, 422, "consent-recipient", "Parameters.parameter[0].valueReference"),
        (
            {"recipient": {"valueReference": {"reference": "HealthcareService/none"}}, "reason": WHY},
            422, "refer-recipient", "Parameters.parameter[0].valueReference.reference",
        ),
        (
            {"recipient": BUDDY, "reason": WHY, "consent_way": {"valueCode": "shouted"}},
            422, "profile-binding", "Parameters.parameter[2].valueCode",
        ),
        (
            {"recipient": {"valueReference": {"reference": "Organization/org-aanmeldpunt"}}, "reason": WHY},
            422, "refer-recipient", "Parameters.parameter[0].valueReference.reference",
        ),
        (
            {"recipient": BUDDY, "reason": WHY, "consent_way": YES, "contact_by": {"valueDateTime": "2026-11-01"}},
            400, "refer-input", "Parameters.parameter[3].valueDateTime",
        ),
    ],
)  # fmt: skip
def test_a_hand_over_that_cannot_be_is_refused_where_it_stands(
    base: str, refused: Any, given: dict[str, Any], status: int, key: str, expression: str
) -> None:
    link = acting(base, "org-aanmeldpunt")
    task = accept(link, referred(base, f"Bad {key} {len(json.dumps(given))}"))
    issue = refused(hand_over(link, task, **given), status, key)
    assert issue["expression"] == [expression]
    assert link.get(f"/Task/{task['id']}").json() == task
    assert link.get("/Task", params={"part-of": f"Task/{task['id']}"}).json()["total"] == 0


def test_a_part_leaves_the_step_of_the_whole_and_both_see_the_history(base: str) -> None:
    link, buddy = acting(base, "org-aanmeldpunt"), acting(base, "org-handje-bij")
    task = accept(link, referred(base, "Deel Genoot"))
    answer = hand_over(link, task, recipient=BUDDY, reason=WHY, consent_way=YES, part={"valueBoolean": True})
    assert answer.status_code == 200, answer.text
    part, whole = (one["resource"] for one in answer.json()["parameter"])
    assert whole == task
    assert part["partOf"] == [{"reference": f"Task/{task['id']}"}]
    assert part["reasonCode"]["text"] == "Wil een maatje"
    assert buddy.get(f"/{part['for']['reference']}").status_code == 404
    accept(buddy, part)
    assert buddy.get(f"/{part['for']['reference']}").json()["name"] == [{"text": "Deel Genoot"}]
    assert acting(base, "org-praktijk-bea").get(f"/Task/{part['id']}").status_code == 200


def test_handing_over_twice_to_the_same_is_told_and_not_doubled(base: str, refused: Any) -> None:
    link, buddy = acting(base, "org-aanmeldpunt"), acting(base, "org-handje-bij")
    task = accept(link, referred(base, "Twee Maal"))
    first, whole = (
        one["resource"]
        for one in hand_over(link, task, recipient=BUDDY, reason=WHY, consent_way=YES).json()["parameter"]
    )
    again = refused(hand_over(link, whole, recipient=BUDDY, reason=WHY), 409, "referral-duplicate")
    assert again["code"] == "duplicate"
    assert f"Task/{first['id']}" in again["diagnostics"]
    assert link.get("/Task", params={"part-of": f"Task/{task['id']}"}).json()["total"] == 1
    elsewhere = {
        "valueReference": {"reference": "HealthcareService/svc-vervoer"}
    }  # the same organisation helps otherwise
    assert hand_over(link, whole, recipient=elsewhere, reason=WHY).status_code == 200
    headers = {"Content-Type": "application/json-patch+json", "If-Match": f'W/"{first["meta"]["versionId"]}"'}
    no = [
        {"op": "replace", "path": "/status", "value": "rejected"},
        {"op": "add", "path": "/statusReason", "value": {"text": "Vol"}},
    ]
    assert buddy.patch(f"/Task/{first['id']}", json=no, headers=headers).status_code == 200
    whole = link.get(f"/Task/{task['id']}").json()
    assert hand_over(link, whole, recipient=BUDDY, reason=WHY).status_code == 200


def lines(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    listed = answer.json()["entry"][0]["resource"]
    assert listed["resourceType"] == "List"
    return {one["item"]["reference"]: one["flag"]["text"] for one in listed.get("entry", ())}


def test_a_meeting_list_shows_what_is_overdue_first_and_only_to_the_practice(base: str, refused: Any) -> None:
    practice = acting(base, "org-praktijk-bea")
    task = referred(base, "Op Tijd")
    body = parameters(
        name={"valueString": "Te Laat"}, phone={"valueString": "02 555 00 01"}, city={"valueString": "Vilvoorde"},
        reason={"valueString": "Zoekt raad"}, consent_way=YES,
    )  # fmt: skip
    made = practice.post("/$refer", json=body).json()["parameter"]
    late = next(one["resource"] for one in made if one["name"] == "task")
    term = [{"op": "replace", "path": "/restriction/period/end", "value": "2026-01-01"}]
    kind = {"Content-Type": "application/json-patch+json", "If-Match": f'W/"{late["meta"]["versionId"]}"'}
    assert practice.patch(f"/Task/{late['id']}", json=term, headers=kind).status_code == 200
    answer = practice.get("/Organization/org-praktijk-bea/$meeting-list")
    flags = lines(answer)
    assert next(iter(flags.values())) == "overdue"
    assert flags[task["focus"]["reference"]] == "active"
    kinds = [one["resource"]["resourceType"] for one in answer.json()["entry"]]
    assert set(kinds) == {"List", "ServiceRequest", "Task", "Patient"}
    report = practice.post("/List/$validate", json=answer.json()["entry"][0]["resource"]).json()
    assert [one for one in report["issue"] if one["severity"] in ("error", "fatal")] == []
    assert lines(acting(base, "org-taalhuis").get("/Organization/org-praktijk-bea/$meeting-list")) == {}
    assert len(lines(practice.get("/Organization/org-praktijk-bea/$meeting-list?_count=1"))) == 1
    refused(practice.get("/Organization/org-praktijk-bea/$meeting-list?_count=0"), 400, "operation-input")
    refused(practice.get("/Organization/org-praktijk-bea/$meeting-list?since=soon"), 400, "operation-input")
    refused(practice.get("/Organization/none/$meeting-list"), 404, "not-found")
