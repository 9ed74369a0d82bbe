"""The referral of examples/erdan, played over HTTP from question to feedback, and the ways in which it may not go."""

from typing import Any

import httpx

from tests.scenarios.erdan_actors import GP, JSON_PATCH, OUTSIDER, PARENTING, WORK, Actor, example, tasks_of


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
        for resource in (*tasks_of(gp), gp.http.get("/ServiceRequest/erdan-referral").json()):
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
    assert {one["status"] for one in tasks_of(gp)} == {"cancelled"}


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
    assert {task["status"] for task in tasks_of(gp)} == {"cancelled"}
