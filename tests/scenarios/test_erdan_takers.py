"""Who takes up the referral of examples/erdan: a performer, another one, the contact point, the pool, or a part of it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.scenarios.erdan_actors import GP, OUTSIDER, PARENTING, WORK, Actor, example, tasks_of


def test_a_service_request_alone_is_enough(region: Any) -> None:
    gp = Actor(region, GP)
    assert gp.http.post("/", json=example("erdan/00-record.json")).status_code == 200
    made = gp.http.post("/ServiceRequest", json=example("erdan/01-service-request.json"))
    assert made.status_code == 201, made.text
    for organization in (PARENTING, WORK):
        (task,) = Actor(region, organization).inbox()
        assert task["status"] == "requested"
        assert task["focus"]["reference"] == f"ServiceRequest/{made.json()['id']}"


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
    (seen,) = [one for one in tasks_of(gp) if one["status"] == "rejected"]
    assert seen["statusReason"]["coding"][0]["code"] == "at-capacity"


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
    (task,) = tasks_of(gp, f"ServiceRequest/{made.json()['id']}")
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
