"""Nobody says of others where they work, what their numbers are, or where an area lies; nothing open loses its person."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.property.access_grabs import OWN_BASE, Prey, bundle, consent, request, task
from tests.property.access_world import CALLERS, TAG, World, furnish, opened, reference

NIS = "https://w3id.org/social-referral/NamingSystem/nis"
JSON_PATCH = {"content_type": "application/json-patch+json"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with opened(tmp_path, audit_reads="off") as made:
        furnish(made)
        made.put(
            {"resourceType": "Practitioner", "id": "doctor", "identifier": [{"system": "urn:riziv", "value": "7"}]},
            "",
            writer="gp",
        )
        working = {"practitioner": reference("Practitioner/doctor"), "organization": reference("Organization/gp")}
        made.put({"resourceType": "PractitionerRole", "id": "works", **working}, "", writer="gp")
        yield made


def prey(caller: str, person: str) -> Prey:
    own = CALLERS[caller].organization or CALLERS[caller].person
    return Prey(person, own, "", "", "", "")


def said(answer: Any) -> tuple[int, str]:
    body = json.loads(answer.body)
    return answer.status, body["issue"][0]["details"]["coding"][0]["code"] if "issue" in body else ""


def role(organization: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "PractitionerRole", "organization": reference(organization), **more}


def readers(resource: dict[str, Any]) -> set[str]:
    return {one["code"] for one in resource["meta"]["tag"] if one["system"] == TAG + "reader"}


@pytest.mark.parametrize(
    "by", ["Practitioner/doctor", f"{OWN_BASE}Practitioner/doctor", "Practitioner/doctor/_history/1"]
)
def test_nobody_takes_the_doctor_of_others_into_its_own_organisation(world: World, by: str) -> None:
    public = {"practitioner": reference("Practitioner/doctor"), "organization": reference("Organization/gp")}
    world.put(
        {"resourceType": "PractitionerRole", "id": "public", "healthcareService": [{"display": "x"}], **public},
        "",
        writer="gp",
    )
    world.put(
        {"resourceType": "PractitionerRole", "id": "public", "healthcareService": [reference("HealthcareService/h")], **public},
        "", writer="gp",
    )  # fmt: skip
    assert world.ask("gp2", "GET", "Practitioner/doctor").status == 200
    taken = role("Organization/gp2", practitioner=reference(by))
    assert said(world.ask("gp2", "POST", "PractitionerRole", taken)) == (403, "access-claim")
    made = json.loads(world.ask("gp2", "POST", "PractitionerRole", role("Organization/gp2")).body)
    moved = [{"op": "add", "path": "/practitioner", "value": reference(by)}]
    assert said(world.ask("gp2", "PATCH", f"PractitionerRole/{made['id']}", moved, **JSON_PATCH)) == (
        403,
        "access-claim",
    )
    sent = request(prey("gp", "Patient/ann"), requester=reference("Practitioner/doctor"))
    answer = world.ask("gp", "POST", "ServiceRequest", sent)
    assert readers(json.loads(answer.body)) == {"Organization/gp"}


@pytest.mark.parametrize("kind", ["PractitionerRole", "Practitioner", "Organization", "HealthcareService"])
def test_nobody_takes_the_number_of_others(world: World, kind: str) -> None:
    own = {
        "PractitionerRole": {"organization": reference("Organization/gp2")},
        "HealthcareService": {"providedBy": reference("Organization/gp2")},
    }
    taken = {
        "resourceType": kind,
        "identifier": [{"system": "urn:own", "value": "1"}, {"system": "urn:riziv", "value": "7"}],
        **own.get(kind, {}),
    }
    if kind == "Organization":
        taken["name"] = "Also gp"
    assert said(world.ask("gp2", "POST", kind, taken)) == (409, "identifier-taken")
    own_number = {**taken, "identifier": taken["identifier"][:1]}
    assert world.ask("gp2", "POST", kind, own_number).status == 201
    assert world.ask("gp2", "POST", kind, own_number).status == 201  # its own records may share a number


def test_the_operator_says_what_nobody_may_say_of_others(world: World) -> None:
    taken = role(
        "Organization/gp2",
        id="more",
        practitioner=reference("Practitioner/doctor"),
        identifier=[{"system": "urn:riziv", "value": "7"}],
    )
    assert world.ask("operator", "PUT", "PractitionerRole/more", taken).status == 201


def test_an_area_that_a_link_worker_drew_itself_brings_it_no_referrals(world: World) -> None:
    def area(identity: str, code: str, postal: str, **more: Any) -> dict[str, Any]:
        return {
            "resourceType": "Location", "id": identity, "status": "active", "name": identity,
            "identifier": [{"system": NIS, "value": code}], "address": {"postalCode": postal, "country": "BE"}, **more,
        }  # fmt: skip

    for one in (area("north", "11002", "2000"), area("south", "23088", "1800")):
        assert world.ask("operator", "PUT", f"Location/{one['id']}", one).status == 201
    grab = area("x", "23088", "1800", partOf=reference("Location/north"))
    for _ in range(3):
        assert world.ask("worker", "POST", "Location", grab).status == 201
    person = {"resourceType": "Patient", "address": [{"use": "home", "postalCode": "1800", "country": "BE"}]}
    home = json.loads(world.ask("gp2", "POST", "Patient", person).body)
    made = json.loads(world.ask("gp2", "POST", "ServiceRequest", request(prey("gp2", f"Patient/{home['id']}"))).body)
    areas = {one["code"] for one in made["meta"]["tag"] if one["system"] == TAG + "area"}
    assert areas == {"Location/south"}


def referral(world: World, caller: str = "gp") -> tuple[str, str, str]:
    """Refer somebody new to cbo; return Patient/id, ServiceRequest/id and Task/id."""
    first, second = (f"urn:uuid:00000000-0000-4000-8000-{number:012d}" for number in (0, 1))
    who = prey(caller, first)
    sent = request(who, status="active", performer=[reference("Organization/cbo")], supportingInfo=[reference(second)])
    entries = (
        ("POST", "Patient", {"resourceType": "Patient", "active": True}),
        ("POST", "Consent", consent(who, who="Organization/cbo")),
        ("POST", "ServiceRequest", sent),
    )
    answer = world.ask(caller, "POST", "", bundle("transaction", *entries).body)
    assert answer.status == 200, answer.body
    places = ["/".join(one["response"]["location"].split("/")[-4:-2]) for one in json.loads(answer.body)["entry"]]
    found = json.loads(world.ask(caller, "GET", f"Task?focus={places[2]}").body)
    return places[0], places[2], f"Task/{found['entry'][0]['resource']['id']}"


def change(world: World, caller: str, place: str, **values: Any) -> Any:
    patch = [{"op": "add", "path": f"/{name}", "value": value} for name, value in values.items()]
    etag = world.ask(caller, "GET", place).headers["etag"]
    return world.ask(caller, "PATCH", place, patch, **JSON_PATCH, if_match=etag)


def test_a_person_with_an_open_referral_is_not_deleted_before_it_has_ended(world: World) -> None:
    person, sent, _ = referral(world)
    refused = world.ask("gp", "DELETE", person)
    assert said(refused) == (409, "referral-open")
    assert sent.encode() in refused.body
    assert b"revoked" in refused.body
    by_query = world.ask("gp", "DELETE", f"Patient?_id={person.removeprefix('Patient/')}")
    assert said(by_query) == (409, "referral-open")
    assert world.ask("gp", "GET", person).status == 200
    gone = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": person}}],
    }
    assert said(world.ask("gp", "POST", "", gone)) == (409, "referral-open")
    assert change(world, "gp", sent, status="revoked").status == 200
    assert world.ask("gp", "DELETE", person).status == 204


def test_each_of_many_deletions_is_judged_by_what_refers_to_it(world: World) -> None:
    (open_one, sent, task), (other, _, _) = referral(world), referral(world)
    free = [json.loads(world.ask("gp", "POST", "Patient", {"resourceType": "Patient"}).body)["id"] for _ in range(60)]
    places = [*(f"Patient/{one}" for one in free), open_one]
    gone = {"resourceType": "Bundle", "type": "transaction"}
    refused = world.ask(
        "gp", "POST", "", {**gone, "entry": [{"request": {"method": "DELETE", "url": one}} for one in places]}
    )
    assert said(refused) == (409, "referral-open")
    issues = json.loads(refused.body)["issue"]
    assert [one["diagnostics"].partition(" ")[0] for one in issues] == [
        open_one,
        open_one,
    ]  # the referral, and its Task
    assert [place in refused.body.decode() for place in (sent, task, other)] == [True, True, False]
    assert world.ask("gp", "GET", places[0]).status == 200
    freed = {**gone, "entry": [{"request": {"method": "DELETE", "url": one}} for one in places[:-1]]}
    assert world.ask("gp", "POST", "", freed).status == 200


def test_more_than_can_be_looked_through_is_refused_and_not_taken_for_nothing(world: World) -> None:
    made = json.loads(world.ask("gp", "POST", "Patient", {"resourceType": "Patient"}).body)
    person = f"Patient/{made['id']}"
    for number in range(1_001):
        plain = {"resourceType": "Task", "id": f"plain-{number}", "status": "requested", "intent": "order"}
        world.put({**plain, "for": reference(person)}, "", writer="gp")
    refused = world.ask("gp", "DELETE", person)
    assert 400 <= refused.status < 500, refused.body
    assert b"More than 1000 open Task" in refused.body
    assert world.ask("gp", "GET", person).status == 200


def test_a_person_without_a_referral_is_deleted_as_before(world: World) -> None:
    made = json.loads(world.ask("gp", "POST", "Patient", {"resourceType": "Patient"}).body)
    plain = {**request(prey("gp", f"Patient/{made['id']}"), profile=False), "status": "active"}
    assert world.ask("gp", "POST", "ServiceRequest", plain).status == 201
    assert world.ask("gp", "DELETE", f"Patient/{made['id']}").status == 204


@pytest.mark.parametrize("taken", [False, True])
def test_nothing_is_reported_on_a_task_after_the_person_withdrew_the_consent(world: World, *, taken: bool) -> None:
    _, sent, given = referral(world)
    if taken:
        assert change(world, "cbo", given, status="accepted").status == 200
    relied = json.loads(world.ask("gp", "GET", sent).body)["supportingInfo"][0]["reference"]
    assert change(world, "gp", relied, status="inactive").status == 200
    assert json.loads(world.ask("cbo", "GET", given).body)["status"] == "cancelled"
    output = [{"type": {"text": "x"}, "valueString": "we helped"}]
    assert said(change(world, "cbo", given, output=output)) == (422, "task-field")
    assert change(world, "cbo", given, note=[{"text": "a pity"}]).status == 200


def test_who_asked_does_not_report_what_others_wrote(world: World) -> None:
    """Else it would see it from then on by its own Task: what a Task reports is shown to whoever asked for it."""
    given = {"type": {"text": "x"}, "valueReference": reference("Procedure/done-ann")}
    first = request(prey("gp", "Patient/ann"), status="draft")
    made = json.loads(world.ask("gp", "POST", "ServiceRequest", first).body)
    sent = task(
        prey("gp", "Patient/ann"),
        status="draft",
        focus=reference(f"ServiceRequest/{made['id']}"),
        owner=reference("Organization/cbo2"),
    )
    assert said(world.ask("gp", "POST", "Task", {**sent, "output": [given]})) == (403, "access-claim")
    stored = world.ask("gp", "POST", "Task", sent)
    assert stored.status == 201
    assert said(change(world, "gp", f"Task/{json.loads(stored.body)['id']}", output=[given])) == (403, "access-claim")
