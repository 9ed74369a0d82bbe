"""No referral leaves without Consent; a revoked one stops what relied on it."""

from typing import Any

import pytest

from fhir_server.access.principal import ANONYMOUS
from fhir_server.workflow.codes import STATUS_REASON
from tests.unit.workflow.consenting import to
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
    consent,
    ref,
    request,
    task,
)

KEY = "ServiceRequest/erdan-steun"
CONSENT = "Consent/erdan-2026"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "rejected"},
        {"patient": ref("Patient/mila")},
        {"provision": {"type": "deny"}},
        {"provision": {"type": "permit", "period": {"end": "2026-01-31"}}},
    ],
)
def test_no_referral_leaves_without_an_active_consent(changes: dict[str, Any]) -> None:
    region = Region(consent(**changes))
    with violates("consent-missing", "ServiceRequest.supportingInfo", CONSENT, "patient-privacy"):
        region.commit(GP, request())
    with violates("consent-missing", "Task.focus", "Patient/erdan"):
        Region(request(), consent(**changes)).commit(GP, task())
    assert KEY not in region.record


def test_without_any_consent_the_text_says_what_to_record() -> None:
    region = Region()
    del region.record[CONSENT]
    with violates("consent-missing", "ServiceRequest.supportingInfo", "No Consent was found", "same Bundle"):
        region.commit(GP, request(supportingInfo=None))
    region.commit(GP, request(status="draft", supportingInfo=None))
    with violates("consent-missing", "ServiceRequest.supportingInfo"):
        region.update(GP, KEY, status="active")


def test_a_consent_in_the_same_bundle_or_of_the_patient_will_do() -> None:
    region = Region()
    del region.record[CONSENT]
    region.commit(GP, request(), consent())
    assert len(region.tasks()) == 2
    region = Region()
    region.commit(GP, request(supportingInfo=None))
    assert len(region.tasks()) == 2


def test_a_named_consent_counts_alone() -> None:
    region = Region(consent(id="oud", status="inactive"))
    with violates("consent-missing", "ServiceRequest.supportingInfo", "Consent/oud"):
        region.commit(GP, request(supportingInfo=[ref("Consent/oud")]))


def test_each_recipient_must_be_covered_and_is_named_where_it_stands() -> None:
    region = Region(consent(provision={"type": "permit", "actor": to(FAMILY)}))
    with violates("consent-recipient", "ServiceRequest.performer[1]", WORK, "provision.actor"):
        region.commit(GP, request())
    with violates("consent-recipient", "ServiceRequest.performer", "Organization/onthaal-zenne"):
        region.commit(GP, request(performer=None))
    region.commit(GP, request(performer=[ref(FAMILY)]))
    with violates("consent-recipient", "ServiceRequest.performer[0]", WORK):
        region.update(GP, KEY, performer=[ref(WORK), ref(FAMILY)])


def test_a_consent_may_name_the_service_or_the_organisation_behind_a_role() -> None:
    region = Region(consent(provision={"type": "permit", "actor": to("HealthcareService/opvoeding")}))
    (made,) = region.commit(GP, request(performer=[ref("HealthcareService/opvoeding")]))
    region.update(FAMILY_WORKER, f"Task/{made['id']}", status="accepted")
    region = Region(consent(provision={"type": "permit", "actor": to(FAMILY)}))
    region.commit(GP, request(performer=[ref("PractitionerRole/dora-een-gezin")]))


def test_a_claim_or_a_reroute_needs_consent_for_the_new_owner() -> None:
    only_family = consent(provision={"type": "permit", "actor": to(FAMILY)})
    region = Region(request(), only_family, task(owner=None))
    with violates("consent-recipient", "Task.owner", WORK):
        region.update(WORK_COACH, "Task/erdan-gezin", owner=ref(WORK))
    region.update(FAMILY_WORKER, "Task/erdan-gezin", owner=ref(FAMILY))
    with violates("consent-recipient", "Task.owner", WORK):
        region.update(GP, "Task/erdan-gezin", owner=ref(WORK))


def test_a_lapsed_consent_lets_nobody_take_up_a_referral_but_anybody_end_it() -> None:
    lapsed = consent(provision={"type": "permit", "period": {"end": "2026-11-21"}})
    region = Region(request(), lapsed, task())
    with violates("consent-missing", "Task.focus", "ended on 2026-11-21"):
        region.update(FAMILY_WORKER, "Task/erdan-gezin", status="accepted")
    region.update(FAMILY_WORKER, "Task/erdan-gezin", status="rejected", statusReason={"text": "geen toestemming"})


def test_a_question_to_the_person_needs_no_consent() -> None:
    region = Region(request())
    del region.record[CONSENT]
    region.commit(GP, task(owner=ref("Patient/erdan")))


def test_exchanging_the_consent_of_an_active_referral_is_checked_for_everyone_who_has_it() -> None:
    narrow = consent(id="smal", provision={"type": "permit", "actor": to(FAMILY)})
    region = Region(narrow)
    region.commit(GP, request())
    with violates("consent-recipient", "ServiceRequest.supportingInfo", WORK):
        region.update(GP, KEY, supportingInfo=[ref("Consent/smal")])
    with violates("consent-missing", "ServiceRequest.supportingInfo"):
        region.update(GP, KEY, supportingInfo=[ref("Consent/weg")])


@pytest.mark.parametrize("end", ["inactive", "rejected", "entered-in-error", "deleted", "denied"])
def test_a_revoked_consent_stops_the_referral_and_its_open_tasks(end: str) -> None:
    region = Region()
    first, second = region.commit(GP, request())
    region.update(FAMILY_WORKER, f"Task/{first['id']}", status="rejected", statusReason={"text": "volzet"})
    region.events.clear()
    if end == "deleted":
        region.commit(ERDAN, delete=(CONSENT,))
    elif end == "denied":
        region.update(ERDAN, CONSENT, provision={"type": "deny"})
    else:
        region.update(ERDAN, CONSENT, status=end)
    assert region.record[KEY]["status"] == "revoked"
    (reason,) = region.record[KEY]["extension"]
    assert reason["valueCodeableConcept"]["coding"][0]["code"] == "consent-revoked"
    stopped = region.record[f"Task/{second['id']}"]
    assert stopped["status"] == "cancelled"
    assert stopped["statusReason"]["coding"][0] == {
        "system": STATUS_REASON,
        "code": "consent-revoked",
        "display": "Consent withdrawn",
    }
    assert region.record[f"Task/{first['id']}"]["status"] == "rejected"
    assert ("consent-revoked", CONSENT) in region.events


def test_a_narrowed_consent_stops_only_who_fell_out_of_it() -> None:
    region = Region()
    first, second = region.commit(GP, request())
    region.update(ERDAN, CONSENT, provision={"type": "permit", "actor": to(FAMILY)})
    assert region.record[KEY]["status"] == "active"
    assert region.record[f"Task/{first['id']}"]["status"] == "requested"
    assert region.record[f"Task/{second['id']}"]["status"] == "cancelled"


def test_another_consent_of_the_patient_keeps_a_referral_that_names_none() -> None:
    region = Region(consent(id="tweede"))
    region.commit(GP, request(supportingInfo=None))
    region.update(ERDAN, CONSENT, status="inactive")
    assert region.record[KEY]["status"] == "active"
    region.update(ERDAN, "Consent/tweede", status="inactive")
    assert region.record[KEY]["status"] == "revoked"


def test_the_end_of_a_plain_consent_is_noticed_but_not_policed() -> None:
    region = Region(consent(id="ziekenhuis", meta=None))
    region.commit(GP, request(supportingInfo=[ref("Consent/ziekenhuis")]))
    region.update(ANONYMOUS, "Consent/ziekenhuis", status="inactive")
    assert region.record[KEY]["status"] == "revoked"
    with forbids("principal-required", "Consent"):
        region.update(ANONYMOUS, CONSENT, status="inactive")


def test_a_change_that_permits_no_less_stops_nothing() -> None:
    region = Region()
    region.commit(GP, request())
    region.events.clear()
    region.update(ERDAN, CONSENT, dateTime="2026-11-22")
    region.commit(OPERATOR, consent(id="nieuw"))
    assert region.events == []
    assert region.record[KEY]["status"] == "active"


def test_a_revoked_consent_leaves_alone_what_has_ended_or_relies_on_another() -> None:
    other = request(id="ander", supportingInfo=[ref("Consent/tweede")])
    ended = request(id="klaar", status="completed")
    noted = {"url": "urn:note", "valueString": "blijft staan"}
    region = Region(consent(id="tweede"), other, ended, request(extension=[noted]))
    region.update(ERDAN, CONSENT, status="inactive")
    assert [region.record[f"ServiceRequest/{one}"]["status"] for one in ("ander", "klaar", "erdan-steun")] == [
        "active",
        "completed",
        "revoked",
    ]
    assert region.record[KEY]["extension"][0] == noted
    assert len(region.record[KEY]["extension"]) == 2
