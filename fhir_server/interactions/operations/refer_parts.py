"""The resources of a referral as `$refer` composes them from the short form; each claims our profile."""

from collections.abc import Sequence
from typing import Any, Final

from fhir_server.interactions.operations.refer_asked import Asked
from fhir_server.model.resource import Resource
from fhir_server.workflow.codes import (
    ASK_CONSENT,
    CANONICAL,
    CONSENT_PROFILE,
    CONSENT_SCOPE,
    CONSENT_WAY,
    CONSENT_WAYS,
    CONTACT_BY,
    REFERRAL_NUMBER,
    REFERRAL_PROFILE,
    TASK_KIND,
    TASK_PROFILE,
)
from fhir_server.workflow.consent import escalation_provision
from fhir_server.workflow.least_data import MUNICIPALITY, inputs_about
from fhir_server.workflow.links import codings, items
from fhir_server.workflow.signals import receiver
from fhir_server.workflow.wording import Wording

PATIENT_PROFILE: Final = f"{CANONICAL}/StructureDefinition/referral-patient"
_PREFERENCE: Final = f"{CANONICAL}/StructureDefinition/contact-preference"
_PREFERENCES: Final = f"{CANONICAL}/CodeSystem/contact-preference"
_LAW: Final = "https://eur-lex.europa.eu/eli/reg/2016/679/oj"


def claiming(resource: Resource, profile: str) -> Resource:
    """Return a resource that claims a profile, beside those that it claims already."""
    meta = resource.get("meta") or {}
    claimed = items(meta.get("profile"))
    if profile in claimed:
        return resource
    placed: Resource = {"resourceType": resource["resourceType"], "meta": {**meta, "profile": [*claimed, profile]}}
    return {**placed, **{name: value for name, value in resource.items() if name not in placed}}


def patient_of(asked: Asked) -> Resource:
    """Return the person: the resource as it was sent, or one with the contact data only."""
    sent = asked.one("patient")
    if sent is not None:
        bare = {name: value for name, value in sent.items() if name != "id"}
        return claiming(bare, PATIENT_PROFILE)
    address = asked.one("address") or _some({"postalCode": asked.text("postal-code"), "city": asked.text("city")})
    telecom = [{"system": kind, "value": asked.text(kind)} for kind in ("phone", "email") if asked.text(kind)]
    return _some(
        {
            "resourceType": "Patient",
            "meta": {"profile": [PATIENT_PROFILE]},
            "extension": _preference(asked),
            "name": [{"text": asked.text("name")}],
            "telecom": telecom,
            "birthDate": asked.text("birth-date"),
            "address": [address] if address else [],
        }
    )


def consent_of(
    asked: Asked,
    patient: str,
    organizations: Sequence[str],
    receivers: Sequence[str],
    now: str,
    watching: Sequence[str] = (),
) -> Resource:
    """Return the Consent: as it was sent, made of how it was given, or proposed while the person was not asked.

    `patient` is the reference of the person, `organizations` who asked, `receivers` who may receive, `watching` who may
    learn of it when it is overdue.
    """
    common: Resource = {
        "patient": {"reference": patient},
        "organization": [{"reference": one} for one in organizations],
    }
    sent = asked.one("consent")
    if sent is not None:
        bare = {name: value for name, value in sent.items() if name != "id"}
        return claiming(
            {**bare, **{name: value for name, value in common.items() if value and name not in bare}}, CONSENT_PROFILE
        )
    pending = asked.one("consent-pending") is True
    way = {"coding": [{"system": CONSENT_WAYS, "code": asked.text("consent-way")}]}
    made: Resource = {
        "resourceType": "Consent",
        "meta": {} if pending else {"profile": [CONSENT_PROFILE]},
        "extension": [] if pending else [{"url": CONSENT_WAY, "valueCodeableConcept": way}],
        "status": "proposed" if pending else "active",
        "scope": {"coding": [{"system": CONSENT_SCOPE, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IDSCL"}]}],
        "patient": common["patient"],
        "dateTime": now,
        "performer": [] if pending else [{"reference": patient}],
        "organization": common["organization"],
        "policy": [{"uri": _LAW}],
        "provision": {"type": "deny"} if pending else _permitting(asked, receivers, now, watching),
    }
    return _some(made)


def _permitting(asked: Asked, receivers: Sequence[str], now: str, watching: Sequence[str]) -> Resource:
    limits = _some({"start": now[:10], "end": asked.text("consent-until")})
    provision: Resource = {"type": "permit", "period": limits, "actor": [receiver(one) for one in receivers]}
    if watching:
        provision["provision"] = [escalation_provision([receiver(one) for one in watching])]
    return provision


def request_of(asked: Asked, needs: Sequence[Resource], parts: dict[str, Any], number: str, now: str) -> Resource:
    """Return the ServiceRequest. `parts` are `subject`, `consent` (references), `requester`, `performer` and `reasons` (References)."""
    extensions = _preference(asked)
    if asked.text("contact-by"):
        extensions.append({"url": CONTACT_BY, "valueDateTime": asked.text("contact-by")})
    own = asked.one("identifier")
    return _some(
        {
            "resourceType": "ServiceRequest",
            "meta": {"profile": [REFERRAL_PROFILE]},
            "extension": extensions,
            "identifier": [{"system": REFERRAL_NUMBER, "value": number}, *([own] if own else [])],
            "instantiatesCanonical": list(asked.all("plan")),
            "basedOn": list(asked.all("based-on")),
            "status": "draft" if asked.one("consent-pending") is True else "active",
            "intent": "order",
            "category": list(needs),
            "priority": asked.text("priority"),
            "code": needs[0],
            "subject": {"reference": parts["subject"]},
            "authoredOn": now,
            "requester": parts["requester"],
            "performer": list(parts["performer"]),
            "reasonCode": [{"text": asked.text("reason")}],
            "reasonReference": list(parts["reasons"]),
            "supportingInfo": [{"reference": parts["consent"]}],
        }
    )


def signal_of(request: Resource, key: str, patient: Resource, now: str, wording: Wording) -> Resource:
    """Return the Task that asks somebody of the pool to ask the person; it says where the person lives, and no more."""
    where = [
        one for one in inputs_about(patient, now, wording) if MUNICIPALITY in {code for _, code in codings(one["type"])}
    ]
    due = [one["valueDateTime"] for one in items(request.get("extension")) if one["url"] == CONTACT_BY]
    return _some(
        {
            "resourceType": "Task",
            "meta": {"profile": [TASK_PROFILE]},
            "identifier": request["identifier"][:1],
            "basedOn": [{"reference": key}],
            "status": "requested",
            "intent": "order",
            "code": wording.concept(TASK_KIND, ASK_CONSENT),
            **wording.sentence("description", "consent-to-ask"),
            "focus": {"reference": key},
            "for": request["subject"],
            "authoredOn": now,
            "lastModified": now,
            "requester": request["requester"],
            "restriction": {"period": {"end": due[0]}} if due else {},
            "input": where,
        }
    )


def _preference(asked: Asked) -> list[Resource]:
    code = asked.text("contact-preference")
    if not code:
        return []
    return [{"url": _PREFERENCE, "valueCodeableConcept": {"coding": [{"system": _PREFERENCES, "code": code}]}}]


def _some(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if value not in (None, "", [], {})}
