"""The referral of examples/erdan, played over HTTP from question to feedback, and the ways in which it may not go."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
GP = "org-praktijk-bea"
PARENTING = "org-gezinskompas"
WORK = "org-werkspoor"
OUTSIDER = "org-taalhuis"
JSON_PATCH = "application/json-patch+json"


def example(name: str) -> Any:
    return json.loads((EXAMPLES / name).read_text())


OPEN: list[httpx.Client] = []


@pytest.fixture(autouse=True)
def _close_clients() -> Iterator[None]:
    """Hang up when a test is over."""
    yield
    while OPEN:
        OPEN.pop().close()


class Actor:
    """One organisation's system."""

    def __init__(self, base: str, organization: str, roles: str = "") -> None:
        headers = {"Content-Type": "application/fhir+json", "X-Dev-Organization": f"Organization/{organization}"}
        if roles:
            headers["X-Dev-Roles"] = roles
        self.http = httpx.Client(base_url=base, headers=headers, timeout=30)
        OPEN.append(self.http)
        self.organization = organization

    def inbox(self, **params: str) -> list[dict[str, Any]]:
        query = {"owner": f"Organization/{self.organization}", "_sort": "_lastUpdated", **params}
        bundle = self.http.get("/Task", params=query).json()
        return [entry["resource"] for entry in bundle.get("entry", [])]

    def patch(self, task: dict[str, Any], operations: Any, if_match: str | None = None) -> httpx.Response:
        headers = {"Content-Type": JSON_PATCH, "If-Match": if_match or f'W/"{task["meta"]["versionId"]}"'}
        return self.http.patch(f"/Task/{task['id']}", json=operations, headers=headers)

    def move(self, task: dict[str, Any], status: str, **members: Any) -> httpx.Response:
        operations = [{"op": "replace", "path": "/status", "value": status}]
        operations += [{"op": "add", "path": f"/{name}", "value": value} for name, value in members.items()]
        return self.patch(task, operations)


@pytest.fixture
def region(fresh_server: Any) -> Any:
    """A server with the example region in it."""
    base = fresh_server().base
    with httpx.Client(base_url=base, headers={"X-Dev-Roles": "operator"}, timeout=60) as operator:
        for path in sorted((EXAMPLES / "region").glob("*.json")):
            response = operator.post("/", json=json.loads(path.read_text()))
            assert response.status_code == 200, response.text
    return base


@pytest.fixture
def sent(region: Any) -> Any:
    """The referral has been sent by its GP."""
    gp = Actor(region, GP)
    response = gp.http.post("/", json=example("erdan/01-referral-bundle.json"))
    assert response.status_code == 200, response.text
    return region


def test_a_referral_goes_round(sent: Any) -> None:
    gp, parenting, work = Actor(sent, GP), Actor(sent, PARENTING), Actor(sent, WORK)
    for actor, name in ((parenting, "parenting"), (work, "work")):
        (task,) = actor.inbox(status="requested")
        assert task["focus"]["reference"] == "ServiceRequest/erdan-referral"
        assert task["for"]["reference"] == "Patient/erdan"
        assert task["restriction"]["period"]["end"]
        request = actor.http.get(f"/{task['focus']['reference']}").json()
        assert request["status"] == "active"
        accepted = actor.patch(task, example("erdan/02-accept.json"))
        assert accepted.status_code == 200, accepted.text
        started = actor.patch(accepted.json(), example("erdan/03-start.json"))
        assert started.status_code == 200, started.text
        feedback = example(f"erdan/04-feedback-{name}.json")
        stored = actor.http.put(f"/Communication/{feedback['id']}", json=feedback)
        assert stored.status_code == 201, stored.text
        completed = actor.patch(started.json(), example(f"erdan/05-complete-{name}.json"))
        assert completed.status_code == 200, completed.text
    assert gp.http.get("/ServiceRequest/erdan-referral").json()["status"] == "completed"
    seen = gp.http.get("/Task", params={"focus": "ServiceRequest/erdan-referral", "status": "completed"}).json()
    outputs = [entry["resource"]["output"][0]["valueReference"]["reference"] for entry in seen["entry"]]
    assert sorted(outputs) == ["Communication/erdan-feedback-parenting", "Communication/erdan-feedback-work"]
    history = gp.http.get("/ServiceRequest/erdan-referral/_history").json()
    assert [entry["resource"]["status"] for entry in history["entry"]] == ["completed", "active"]


def test_what_the_server_composes_keeps_to_our_profiles(sent: Any) -> None:
    gp, parenting = Actor(sent, GP), Actor(sent, PARENTING)

    def judged() -> None:
        for resource in (*_tasks_of(gp), gp.http.get("/ServiceRequest/erdan-referral").json()):
            report = gp.http.post(f"/{resource['resourceType']}/$validate", json=resource).json()
            assert [issue for issue in report["issue"] if issue["severity"] in ("error", "fatal")] == []

    judged()
    (task,) = parenting.inbox()
    parenting.patch(task, example("erdan/02-accept.json"))
    hold = [{"op": "replace", "path": "/status", "value": "on-hold"}]
    url = "/ServiceRequest/erdan-referral"
    assert gp.http.patch(url, json=hold, headers={"Content-Type": JSON_PATCH}).status_code == 200
    judged()
    revoke = [{"op": "replace", "path": "/status", "value": "revoked"}]
    assert gp.http.patch(url, json=revoke, headers={"Content-Type": JSON_PATCH}).status_code == 200
    judged()
    assert {one["status"] for one in _tasks_of(gp)} == {"cancelled"}


def test_a_service_request_alone_is_enough(region: Any) -> None:
    gp = Actor(region, GP)
    assert gp.http.post("/", json=example("erdan/00-record.json")).status_code == 200
    made = gp.http.post("/ServiceRequest", json=example("erdan/01-service-request.json"))
    assert made.status_code == 201, made.text
    for organization in (PARENTING, WORK):
        (task,) = Actor(region, organization).inbox()
        assert task["status"] == "requested"
        assert task["focus"]["reference"] == f"ServiceRequest/{made.json()['id']}"


def test_without_consent_nothing_leaves_and_nothing_is_stored(region: Any, refused: Any) -> None:
    gp = Actor(region, GP)
    bundle = example("erdan/01-referral-bundle.json")
    del bundle["meta"]  # the profile of the Bundle would say it first
    bundle["entry"] = [entry for entry in bundle["entry"] if entry["resource"]["resourceType"] != "Consent"]
    for entry in bundle["entry"]:
        if "supportingInfo" in entry["resource"]:
            entry["resource"]["supportingInfo"] = [{"reference": "Consent/never-given"}]
    issue = refused(gp.http.post("/", json=bundle), 422, "consent-missing")
    assert issue["expression"][0].startswith("Bundle.entry[")
    assert gp.http.get("/Patient/erdan").status_code == 404
    assert Actor(region, PARENTING).inbox() == []


def test_a_recipient_whom_the_consent_does_not_name_gets_nothing(region: Any, refused: Any) -> None:
    gp = Actor(region, GP)
    assert gp.http.post("/", json=example("erdan/00-record.json")).status_code == 200
    request = example("erdan/01-service-request.json")
    request["performer"] = [{"reference": f"Organization/{OUTSIDER}"}]
    refused(gp.http.post("/ServiceRequest", json=request), 422, "consent-recipient")


def test_wrong_moves_and_wrong_actors_are_refused_with_what_is_legal(sent: Any, refused: Any) -> None:
    parenting, outsider, gp = Actor(sent, PARENTING), Actor(sent, OUTSIDER), Actor(sent, GP)
    (task,) = parenting.inbox()
    issue = refused(parenting.move(task, "completed"), 422, "task-transition")
    assert issue["expression"] == ["Task.status"]
    for legal in ("accepted", "rejected", "received"):
        assert legal in issue["diagnostics"]
    refused(outsider.move(task, "accepted"), 403, "task-actor")
    refused(gp.move(task, "accepted"), 403, "task-actor")
    refused(parenting.move(task, "rejected"), 422, "srt-1")
    frozen = [{"op": "replace", "path": "/for/reference", "value": "Patient/someone"}]
    refused(parenting.patch(task, frozen), 422, "task-frozen")
    refused(parenting.patch(task, example("erdan/02-accept.json"), 'W/"9"'), 412, "version-conflict")
    anonymous = httpx.patch(
        f"{sent}/Task/{task['id']}", json=example("erdan/02-accept.json"),
        headers={"Content-Type": JSON_PATCH, "If-Match": 'W/"1"'},
    )  # fmt: skip
    assert "X-Dev-Organization: Organization/" in refused(anonymous, 403, "principal-required")["diagnostics"]
    without = parenting.http.patch(
        f"/Task/{task['id']}", json=example("erdan/02-accept.json"), headers={"Content-Type": JSON_PATCH}
    )
    refused(without, 400, "if-match-required")
    refused(parenting.http.delete(f"/Task/{task['id']}"), 422, "referral-delete")
    assert parenting.http.get(f"/Task/{task['id']}").json() == task


def test_two_staff_accept_at_once_and_one_wins(sent: Any) -> None:
    (task,) = Actor(sent, PARENTING).inbox()

    def accept(number: int) -> int:
        actor = Actor(sent, PARENTING)
        return actor.move(task, "accepted", note=[{"text": f"colleague {number}"}]).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(accept, range(8)))
    assert statuses == [200] + [412] * 7


def test_a_rejection_leaves_the_referral_open_for_another(sent: Any) -> None:
    parenting, gp = Actor(sent, PARENTING), Actor(sent, GP)
    (task,) = parenting.inbox()
    assert parenting.patch(task, example("erdan/06-reject.json")).status_code == 200
    request = gp.http.get("/ServiceRequest/erdan-referral").json()
    assert request["status"] == "active"
    (seen,) = [one for one in _tasks_of(gp) if one["status"] == "rejected"]
    assert seen["statusReason"]["coding"][0]["code"] == "at-capacity"


def test_withdrawing_consent_stops_what_is_open(sent: Any) -> None:
    gp, parenting, work = Actor(sent, GP), Actor(sent, PARENTING), Actor(sent, WORK)
    (task,) = parenting.inbox()
    parenting.patch(task, example("erdan/02-accept.json"))
    response = gp.http.patch(
        "/Consent/erdan-consent", json=example("erdan/07-revoke-consent.json"), headers={"Content-Type": JSON_PATCH}
    )
    assert response.status_code == 200, response.text
    for one in (*parenting.inbox(), *work.inbox()):
        assert one["status"] == "cancelled"
        assert one["statusReason"]["coding"][0]["code"] == "consent-revoked"
    assert gp.http.get("/ServiceRequest/erdan-referral").json()["status"] == "revoked"


def test_withdrawal_by_the_referrer_reaches_every_open_task(sent: Any) -> None:
    gp = Actor(sent, GP)
    revoke = [{"op": "replace", "path": "/status", "value": "revoked"}]
    url = "/ServiceRequest/erdan-referral"
    assert gp.http.patch(url, json=revoke, headers={"Content-Type": JSON_PATCH}).status_code == 200
    assert {task["status"] for task in _tasks_of(gp)} == {"cancelled"}


def test_without_performer_the_contact_point_of_the_area_gets_the_task(region: Any) -> None:
    gp = Actor(region, GP)
    record = example("erdan/00-record.json")
    for entry in record["entry"]:
        if entry["resource"]["resourceType"] == "Consent":
            (actor, *_) = entry["resource"]["provision"]["actor"]
            actor["reference"]["reference"] = "Organization/org-aanmeldpunt"
            entry["resource"]["provision"]["actor"] = [actor]
    assert gp.http.post("/", json=record).status_code == 200
    request = example("erdan/01-service-request.json")
    del request["performer"]
    made = gp.http.post("/ServiceRequest", json=request)
    assert made.status_code == 201, made.text
    (task,) = _tasks_of(gp, f"ServiceRequest/{made.json()['id']}")
    assert task["owner"]["reference"] == "Organization/org-aanmeldpunt"


def test_exactly_one_organisation_claims_a_task_of_the_pool(region: Any) -> None:
    """Without a contact point in the area the Task has no owner, and many organisations reach for it at once."""
    gp = Actor(region, GP)
    record = example("erdan/00-record.json")
    for entry in record["entry"]:
        if (
            entry["resource"]["resourceType"] == "Consent"
        ):  # to whoever can help: ours names its recipients, R4's need not
            del entry["resource"]["provision"]["actor"]
            del entry["resource"]["meta"]
        if entry["resource"]["resourceType"] == "Patient":
            entry["resource"]["address"] = [{"city": "Arlon", "postalCode": "6700", "country": "BE"}]
    gp.http.post("/", json=record)
    request = example("erdan/01-service-request.json")
    del request["performer"]
    assert gp.http.post("/ServiceRequest", json=request).status_code == 201
    pool = gp.http.get("/Task", params={"owner:missing": "true", "status": "requested"}).json()
    (task,) = [entry["resource"] for entry in pool["entry"]]

    def claim(organization: str) -> int:
        return (
            Actor(region, organization)
            .move(task, "accepted", owner={"reference": f"Organization/{organization}"})
            .status_code
        )

    with ThreadPoolExecutor(4) as threads:
        statuses = sorted(threads.map(claim, (PARENTING, WORK, OUTSIDER, "org-groen-en-gezond")))
    assert statuses == [200, 412, 412, 412]


def test_a_part_can_be_handed_over_and_closes_before_the_whole(sent: Any, refused: Any) -> None:
    parenting = Actor(sent, PARENTING)
    (task,) = parenting.inbox()
    accepted = parenting.patch(task, example("erdan/02-accept.json")).json()
    part = {
        "resourceType": "Task",
        "meta": {"profile": task["meta"]["profile"]},
        "status": "requested",
        "intent": "order",
        "code": task["code"],
        "partOf": [{"reference": f"Task/{task['id']}"}],
        "focus": task["focus"],
        "for": task["for"],
        "authoredOn": task["authoredOn"],
        "requester": {"reference": f"Organization/{PARENTING}"},
        "owner": {"reference": f"Organization/{WORK}"},
    }
    refused(
        Actor(sent, OUTSIDER).http.post("/Task", json={**part, "requester": {"reference": f"Organization/{OUTSIDER}"}}),
        403,
    )
    made = parenting.http.post("/Task", json=part)
    assert made.status_code == 201, made.text
    refused(
        parenting.move(accepted, "completed", output=[{"type": {"text": "told"}, "valueString": "x"}]),
        422,
        "subtask-open",
    )
    work = Actor(sent, WORK)
    taken = work.move(made.json(), "accepted").json()
    assert work.move(taken, "completed", output=[{"type": {"text": "told"}, "valueString": "done"}]).status_code == 200
    current = parenting.http.get(f"/Task/{task['id']}").json()
    assert (
        parenting.move(current, "completed", output=[{"type": {"text": "told"}, "valueString": "x"}]).status_code == 200
    )


def _tasks_of(gp: Actor, focus: str = "ServiceRequest/erdan-referral") -> list[dict[str, Any]]:
    bundle = gp.http.get("/Task", params={"focus": focus}).json()
    return [entry["resource"] for entry in bundle.get("entry", [])]
