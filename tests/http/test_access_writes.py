"""What enforcement means for writes: nothing is learned of what is hidden by trying to write it, and nothing gained."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.property.access_world import World, about, furnish, opened, reference


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened(tmp_path_factory.mktemp("writes")) as made:
        furnish(made)
        yield made


def patient(identity: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"resourceType": "Patient", "active": True}
    return {**made, "id": identity} if identity else made


def test_a_conditional_create_does_not_tell_that_a_hidden_resource_matches(world: World) -> None:
    hidden = world.ask("gp2", "POST", "Patient", patient(), if_none_exist="_source=urn:marker:Patient.ann")
    absent = world.ask("gp2", "POST", "Patient", patient(), if_none_exist="_source=urn:marker:Patient.nobody")
    assert (hidden.status, absent.status) == (201, 201)
    seen = world.ask("gp", "POST", "Patient", patient(), if_none_exist="_id=ann")
    assert seen.status == 200


def test_a_conditional_reference_to_what_is_hidden_finds_nothing(world: World) -> None:
    def sent(url: str) -> dict[str, Any]:
        entry = {
            "resource": {**about("Observation", "", url), "status": "final", "code": {"text": "x"}},
            "request": {"method": "POST", "url": "Observation"},
        }
        del entry["resource"]["id"]
        return {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}

    hidden = world.ask("gp2", "POST", "", sent("Patient?_source=urn:marker:Patient.ann"))
    absent = world.ask("gp2", "POST", "", sent("Patient?_source=urn:marker:Patient.xyz"))
    assert hidden.status == absent.status == 400
    assert hidden.body.replace(b"ann", b"?") == absent.body.replace(b"xyz", b"?")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_condition_in_the_url_does_not_match_what_is_hidden(world: World, method: str) -> None:
    body = [] if method == "PATCH" else patient() if method == "PUT" else None
    kind = "application/json-patch+json" if method == "PATCH" else "application/fhir+json"
    answers = [
        world.ask("gp2", method, f"Patient?_source=urn:marker:Patient.{name}", body, content_type=kind).status
        for name in ("ann", "xyz")
    ]
    assert answers[0] == answers[1]
    assert world.ask("gp", "GET", "Patient/ann").status == 200


def test_an_id_that_is_hidden_and_one_that_is_free_are_refused_alike(world: World) -> None:
    hidden = world.ask("gp2", "PUT", "Patient/ann", patient("ann"))
    absent = world.ask("gp2", "PUT", "Patient/xyz", patient("xyz"))
    assert hidden.status == absent.status == 404
    assert hidden.body.replace(b"ann", b"?") == absent.body.replace(b"xyz", b"?")


def test_a_reference_to_what_is_hidden_is_refused_like_one_to_what_is_absent(world: World) -> None:
    def sent(identity: str) -> dict[str, Any]:
        made = {**about("Observation", "", f"Patient/{identity}"), "status": "final", "code": {"text": "x"}}
        del made["id"]
        return made

    hidden = world.ask("gp2", "POST", "Observation", sent("ann"))
    absent = world.ask("gp2", "POST", "Observation", sent("xyz"))
    assert hidden.status == absent.status == 409
    assert hidden.body.replace(b"ann", b"?") == absent.body.replace(b"xyz", b"?")
    assert world.ask("gp", "POST", "Observation", sent("ann")).status == 201


def test_what_may_be_read_may_not_therefore_be_written(world: World) -> None:
    refused = world.ask("cbo", "PUT", "Patient/ann", patient("ann"))
    assert refused.status == 403
    assert b"access-write" in refused.body
    assert world.ask("cbo", "DELETE", "Condition/named-ann").status == 403


def test_a_tag_that_a_client_sends_gives_it_nothing(world: World) -> None:
    tag = {"system": "https://w3id.org/social-referral/access/taker", "code": "Organization/gp2"}
    forged = {
        "resourceType": "Task", "status": "accepted", "intent": "order", "owner": reference("Organization/gp2"),
        "for": reference("Patient/ben"), "meta": {"tag": [tag]},
    }  # fmt: skip
    made = world.ask("gp2", "POST", "Task", forged)
    assert made.status == 201
    assert b"access/taker" not in made.body
    assert b"access/writer" in made.body


@pytest.mark.parametrize(
    ("caller", "kind"),
    [("gp", "ValueSet"), ("ann", "Organization"), ("auditor", "Patient"), ("operator", "AuditEvent")],
)
def test_a_role_that_never_writes_a_type_is_told_so(world: World, caller: str, kind: str) -> None:
    assert world.ask(caller, "POST", kind, {"resourceType": kind}).status in (403, 405)


def test_nobody_writes_without_saying_who(world: World) -> None:
    assert world.ask("nobody", "POST", "Patient", patient()).status == 401


def test_a_service_is_described_by_its_own_organisation_only(world: World) -> None:
    def service(by: str) -> dict[str, Any]:
        return {"resourceType": "HealthcareService", "providedBy": reference(f"Organization/{by}"), "name": "Help"}

    assert world.ask("cbo", "POST", "HealthcareService", service("cbo")).status == 201
    assert world.ask("cbo", "POST", "HealthcareService", service("cbo2")).status == 403


def test_an_operator_counts_a_type_without_seeing_any_of_it(world: World) -> None:
    assert world.ask("operator", "GET", "Patient?_summary=count").total >= 3
    assert world.ask("operator", "GET", "Patient?_source=urn:marker:Patient.ann&_summary=count").total == 0
    assert world.ask("operator", "GET", "Patient").total == 0
