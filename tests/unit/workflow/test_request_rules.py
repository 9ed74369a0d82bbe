"""Who may do what with a governed ServiceRequest, and what is governed."""

from typing import Any

import pytest

from fhir_server.access.principal import ANONYMOUS, Principal
from fhir_server.workflow.effects import Change
from fhir_server.workflow.rules import Rulebook
from tests.unit.workflow.refusals import forbids, violates
from tests.unit.workflow.region import (
    ERDAN,
    FAMILY_WORKER,
    GP,
    NOW,
    OPERATOR,
    STRANGER,
    Region,
    consent,
    ref,
    request,
    task,
)

KEY = "ServiceRequest/erdan-steun"


def test_only_the_requester_creates_and_changes_a_referral() -> None:
    region = Region()
    with forbids("request-actor", "ServiceRequest.requester", "Organization/elders"):
        region.commit(STRANGER, request())
    with forbids("principal-required", "ServiceRequest"):
        region.commit(ANONYMOUS, request())
    with violates("requester-missing", "ServiceRequest.requester"):
        region.commit(GP, request(requester=None))
    region.commit(GP, request())
    with forbids("request-actor", "ServiceRequest.requester", "update its Task"):
        region.update(FAMILY_WORKER, KEY, note=[{"text": "x"}])
    with forbids("request-actor", "ServiceRequest.requester", "role (referrer)"):
        region.update(Principal(roles=frozenset({"referrer"})), KEY, note=[{"text": "x"}])


def test_a_practitioner_acts_for_the_organisation_of_an_active_role() -> None:
    region = Region()
    region.commit(GP, request(requester=ref("Practitioner/bea")))
    assert len(region.tasks()) == 2
    left = {**region.record["PractitionerRole/bea-de-linde"], "active": False}
    with forbids("request-actor", "ServiceRequest.requester", "PractitionerRole"):
        Region(left).commit(GP, request(requester=ref("Practitioner/bea")))


def test_a_requester_known_by_number_only_is_looked_up() -> None:
    number = {"system": "https://www.ehealth.fgov.be/standards/fhir/core/NamingSystem/nihdi", "value": "10012345001"}
    role = {
        "resourceType": "PractitionerRole",
        "id": "genummerd",
        "identifier": [number],
        "organization": ref("Organization/de-linde"),
    }
    region = Region(role)
    region.commit(GP, request(requester={"identifier": number}))
    assert len(region.tasks()) == 2


def test_an_absolute_reference_to_this_server_is_understood() -> None:
    region = Region(rulebook=Rulebook.load(own_base="https://zenne.example/fhir"))
    region.commit(GP, request(requester=ref("https://zenne.example/fhir/PractitionerRole/bea-de-linde")))
    assert len(region.tasks()) == 2


def test_a_person_may_refer_himself_and_revoke_what_others_asked() -> None:
    region = Region()
    region.commit(ERDAN, request(requester=ref("Patient/erdan")))
    region = Region()
    region.commit(GP, request())
    with violates("request-field", "ServiceRequest.priority", "priority"):
        region.update(ERDAN, KEY, status="revoked", priority="stat")
    region.update(ERDAN, KEY, status="revoked", note=[{"text": "ik wil dit niet meer"}])
    assert {one["status"] for one in region.tasks()} == {"cancelled"}


@pytest.mark.parametrize(
    ("name", "value", "in_draft"),
    [
        ("subject", ref("Patient/mila"), False),
        ("intent", "plan", False),
        ("requester", ref("Organization/elders"), False),
        ("authoredOn", "2026-11-01", True),
        ("code", {"text": "iets anders"}, True),
    ],
)
def test_what_a_referral_is_never_changes(name: str, value: Any, in_draft: bool) -> None:
    region = Region(request())
    with violates("request-frozen", f"ServiceRequest.{name}", name):
        region.update(GP, KEY, **{name: value})
    region = Region(request(status="draft"))
    if in_draft:
        region.update(GP, KEY, **{name: value})
    else:
        with violates("request-frozen", f"ServiceRequest.{name}"):
            region.update(GP, KEY, **{name: value})


def test_plain_resources_are_never_policed_unless_the_deployment_governs_all() -> None:
    plain = request(meta=None, requester=None, supportingInfo=None)
    region = Region()
    assert region.commit(ANONYMOUS, plain, task(meta=None, requester=None)) == []
    region.update(ANONYMOUS, "Task/erdan-gezin", status="completed", intent="plan")
    region = Region(rulebook=Rulebook.load(govern_all=True))
    with forbids("principal-required", "ServiceRequest"):
        region.commit(ANONYMOUS, plain)


def test_a_plain_resource_that_claims_the_profile_is_judged_as_new() -> None:
    region = Region()
    region.commit(ANONYMOUS, request(meta=None))
    made = region.commit(GP, request())
    assert len(made) == 2


def test_versioned_profiles_count_and_foreign_types_do_not() -> None:
    book = Rulebook.load()
    profile = "https://w3id.org/social-referral/StructureDefinition/social-referral"
    assert book.governs(request(meta={"profile": [f"{profile}|1.0.0"]}))
    assert not book.governs(task(meta={"profile": [profile]}))
    assert not book.governs({"resourceType": "Patient", "id": "erdan", "meta": {"profile": [profile]}})
    assert not book.governs(None)
    assert book.governs(consent())


def test_a_referral_that_ended_does_not_start_again() -> None:
    region = Region(request(status="revoked"))
    with violates("request-transition", "ServiceRequest.status", "revoked to active", "entered-in-error"):
        region.update(GP, KEY, status="active")


def test_an_operator_may_release_a_resource_from_the_rules() -> None:
    region = Region(request())
    assert region.update(OPERATOR, KEY, meta={"profile": []}) == []
    region.update(ANONYMOUS, KEY, status="unknown")


def test_a_request_deleted_by_an_operator_tells_no_task_event() -> None:
    region = Region(request())
    region.commit(OPERATOR, delete=(KEY,))
    assert region.events == []


def test_what_the_rules_do_not_govern_has_no_effects() -> None:
    region = Region()
    patient = region.record["Patient/erdan"]
    assert region.rulebook.review(Change(patient, patient), region, ANONYMOUS, NOW) == ()
