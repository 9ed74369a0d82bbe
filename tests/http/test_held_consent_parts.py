"""What the provisions within a Consent open and close, told by what the recipient can read afterwards (R4 consent.html)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.property.access_world import World, consent, furnish, opened

BEHIND = ("ServiceRequest/r-ann", "Patient/ann", "Condition/named-ann", "Observation/info-ann")
SCOPE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
RESEARCH = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HRESCH"}]


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened(tmp_path_factory.mktemp("region")) as made:
        furnish(made)
        yield made


@pytest.fixture
def world(region: World) -> Iterator[World]:
    """The region, in which the Consents are again as they were when a test ends."""
    known = consents(region)
    yield region
    for identity in consents(region) - known:
        region.engine.store.write(lambda uow, one=identity: uow.delete("Consent", one, 2))
    region.put(consent("c-ann", "Patient/ann", "Organization/cbo"), "", writer="gp")


def consents(world: World) -> set[str]:
    found = json.loads(world.ask("ann", "GET", "Consent?patient=Patient/ann").body)
    return {one["resource"]["id"] for one in found.get("entry", ())}


def said(provision: dict[str, Any], policy: str = "") -> dict[str, Any]:
    rule = (
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": policy}]} if policy else {}
    )
    return {
        "resourceType": "Consent", "status": "active", "patient": {"reference": "Patient/ann"}, "dateTime": "2026-11-01",
        "scope": SCOPE, "category": [{"text": "privacy"}], "policyRule": rule or {"text": "ours"}, "provision": provision,
    }  # fmt: skip


def to(*names: str) -> list[dict[str, Any]]:
    return [{"role": {"text": "recipient"}, "reference": {"reference": f"Organization/{name}"}} for name in names]


def kinds(*types: str) -> list[dict[str, str]]:
    return [{"system": "http://hl7.org/fhir/resource-types", "code": one} for one in types]


def listed(*keys: str) -> list[dict[str, Any]]:
    return [{"meaning": "instance", "reference": {"reference": one}} for one in keys]


def hidden(world: World, caller: str) -> set[str]:
    """Return the types of what was behind the Task and is not shown to a caller."""
    found = {place.partition("/")[0]: world.ask(caller, "GET", place).status for place in BEHIND}
    assert set(found.values()) <= {200, 404}
    return {name for name, status in found.items() if status == 404}


ALL = {"ServiceRequest", "Patient", "Condition", "Observation"}


@pytest.mark.parametrize(
    ("within", "closed"),
    [
        ({"type": "deny", "actor": to("cbo"), "class": kinds("Condition")}, {"Condition"}),
        ({"type": "deny", "class": kinds("Condition", "Patient")}, {"Condition", "Patient"}),
        ({"actor": to("cbo"), "class": kinds("Patient")}, {"Patient"}),
        ({"type": "deny", "actor": to("cbo"), "data": listed("Observation/info-ann")}, {"Observation"}),
        ({"type": "deny", "actor": to("cbo"), "purpose": RESEARCH}, ALL),
        ({"type": "deny", "actor": to("cbo")}, ALL),
        ({"type": "deny"}, ALL),
        ({"type": "deny", "actor": to("cbo2"), "class": kinds("Condition")}, set()),
        (
            {
                "type": "permit",
                "class": kinds("Patient"),
                "provision": [{"type": "deny", "actor": to("cbo"), "class": kinds("Condition")}],
            },
            {"Condition"},
        ),
    ],
    ids=[
        "part",
        "for all",
        "no type",
        "listed",
        "limited otherwise",
        "actor",
        "everything",
        "another",
        "within within",
    ],
)
def test_a_provision_within_a_permit_closes_what_it_names_and_in_doubt_all(
    world: World, within: dict[str, Any], closed: set[str]
) -> None:
    assert hidden(world, "cbo") == set()
    answer = world.ask("ann", "POST", "Consent", said({"type": "permit", "provision": [within]}))
    assert answer.status == 201, answer.body
    assert hidden(world, "cbo") == closed
    assert hidden(world, "gp") == set()


@pytest.mark.parametrize("actor", [{}, {"actor": to("cbo")}], ids=["for all", "for one"])
def test_a_denial_that_lists_resources_closes_these_and_not_the_others_of_their_type(
    world: World, actor: dict[str, Any]
) -> None:
    denial = said({"type": "deny", **actor, "data": listed("Condition/named-ann")})
    assert world.ask("ann", "POST", "Consent", denial).status == 201
    assert hidden(world, "cbo") == {"Condition"}
    assert hidden(world, "gp") == set()


@pytest.mark.parametrize(
    ("provision", "policy", "closed"),
    [
        ({"type": "deny"}, "", ALL),
        ({"type": "deny", "purpose": RESEARCH}, "", ALL),
        ({"period": {"start": "2020-01-01"}}, "OPTOUT", ALL),
        ({"type": "deny", "provision": [{"type": "permit", "actor": to("cbo2")}]}, "", set()),
    ],
    ids=["all", "limited", "opt out", "exceptions only"],
)
def test_a_denial_of_everything_closes_what_another_consent_permits(
    world: World, provision: dict[str, Any], policy: str, closed: set[str]
) -> None:
    assert world.ask("ann", "POST", "Consent", said(provision, policy)).status == 201
    assert hidden(world, "cbo") == closed
    assert hidden(world, "gp") == set()


@pytest.mark.parametrize(
    ("provision", "policy", "closed"),
    [
        ({"type": "permit", "actor": to("cbo")}, "", set()),
        ({"type": "permit", "actor": to("cbo2")}, "", ALL),
        ({"type": "deny", "provision": [{"type": "permit", "actor": to("cbo")}]}, "", set()),
        ({"type": "deny", "provision": [{"type": "permit", "actor": to("cbo2")}]}, "", ALL),
        (
            {"type": "deny", "provision": [{"type": "permit", "actor": to("cbo"), "class": kinds("ServiceRequest")}]},
            "",
            {"Patient", "Condition", "Observation"},
        ),
        (
            {"type": "deny", "provision": [{"type": "permit", "actor": to("cbo"), "period": {"end": "2030-01-01"}}]},
            "",
            ALL,
        ),
        (
            {"type": "deny", "provision": [{"type": "permit", "actor": to("cbo"), "data": listed("Patient/ann")}]},
            "",
            ALL,
        ),
        ({"period": {"start": "2020-01-01"}}, "OPTIN", set()),
        ({"period": {"start": "2020-01-01"}}, "OPTOUT", ALL),
        ({"type": "permit", "period": {"start": "2020-01-01"}}, "OPTOUT", set()),
    ],
    ids=["one", "another", "within", "another within", "part", "with an end", "listed", "opt in", "opt out", "stated"],
)
def test_what_the_consent_of_a_referral_permits_is_all_that_is_opened(
    world: World, provision: dict[str, Any], policy: str, closed: set[str]
) -> None:
    answer = world.ask("gp", "PUT", "Consent/c-ann", {**said(provision, policy), "id": "c-ann"})
    assert answer.status == 200, answer.body
    assert hidden(world, "cbo") == closed
    assert hidden(world, "gp") == set()


def test_a_consent_that_is_not_about_privacy_opens_and_closes_nothing(world: World) -> None:
    about_research = {**said({"type": "deny", "actor": to("cbo")}), "scope": {"text": "research"}}
    assert world.ask("ann", "POST", "Consent", about_research).status == 201
    assert hidden(world, "cbo") == set()
    assert world.ask("gp", "PUT", "Consent/c-ann", {**about_research, "id": "c-ann"}).status == 200
    assert hidden(world, "cbo") == ALL
