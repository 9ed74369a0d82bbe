"""The codes and canonicals that the rules of the referral speak of."""

from typing import Final, Literal, TypeAlias

CANONICAL: Final = "https://w3id.org/social-referral"
REFERRAL_PROFILE: Final = f"{CANONICAL}/StructureDefinition/social-referral"
TASK_PROFILE: Final = f"{CANONICAL}/StructureDefinition/referral-task"
FOLLOW_UP_PROFILE: Final = f"{CANONICAL}/StructureDefinition/follow-up-task"
CONSENT_PROFILE: Final = f"{CANONICAL}/StructureDefinition/referral-consent"
GOVERNING: Final = {
    "ServiceRequest": frozenset({REFERRAL_PROFILE}),
    "Task": frozenset({TASK_PROFILE, FOLLOW_UP_PROFILE}),
}
"""Resource type → profiles of which one must be claimed for the rules to hold."""

STATUS_REASON: Final = f"{CANONICAL}/CodeSystem/status-reason"
CONSENT_REVOKED: Final = "consent-revoked"
WITHDRAWN: Final = "referral-withdrawn"
ON_HOLD: Final = "referral-on-hold"
WHOLE_STOPPED: Final = "subtask-parent-cancelled"
STATUS_REASONS: Final = {
    "at-capacity": "No capacity",
    "waitlist": "Waiting list",
    "not-eligible-age": "Age outside the target group",
    "not-eligible-area": "Outside the service area",
    "not-eligible-other": "Other condition not met",
    "wrong-service": "Wrong service",
    "patient-declined": "Person declined",
    "patient-unreachable": "Person not reached",
    "duplicate": "Duplicate",
    "insufficient-information": "Not enough information",
    CONSENT_REVOKED: "Consent withdrawn",
    WITHDRAWN: "Referral withdrawn",
    ON_HOLD: "Referral on hold",
    WHOLE_STOPPED: "Main task stopped",
    "other": "Other reason",
}
"""Code → English display of the CodeSystem of coded reasons (domain rule 2)."""

SERVICE_TYPE: Final = f"{CANONICAL}/CodeSystem/service-type"
CONTACT_POINT: Final = "contact-point"
TASK_PARAMETER: Final = f"{CANONICAL}/CodeSystem/task-parameter"
SERVICE_PARAMETER: Final = "healthcare-service"
"""Code of the Task.input that names the chosen HealthcareService (Task.owner is the organisation behind it)."""
NIS_CODE: Final = f"{CANONICAL}/NamingSystem/nis"
"""System of Belgian municipality codes (five digits) on Location.identifier and in an extension of an address."""
POSTAL_CODE: Final = f"{CANONICAL}/NamingSystem/postal-code"
"""System of postal codes with their country (`BE-1800`, `NL-1811`) on Location.identifier."""
DUTCH_CODE: Final = f"{CANONICAL}/NamingSystem/cbs-municipality"
"""System of Dutch municipality codes (`GM0344`), in the same places."""
TASK_KIND: Final = f"{CANONICAL}/CodeSystem/task-kind"
ASK_CONSENT: Final = "ask-consent"
"""Code of a Task that asks somebody to ask a person for consent, after a signal of others."""
ESCALATION: Final = "escalation"
"""Code of a Task that tells the link worker of the area that a referral is overdue."""
RE_EVALUATION: Final = "re-evaluation"
"""Code of a Task that asks the questions of a screening again."""
REFERRAL_NUMBER: Final = f"{CANONICAL}/NamingSystem/referral-number"
CONTACT_BY: Final = f"{CANONICAL}/StructureDefinition/contact-by"
"""Extension of a ServiceRequest: until when the person is to be contacted, as agreed."""
CONSENT_WAY: Final = f"{CANONICAL}/StructureDefinition/consent-way"
CONSENT_WAYS: Final = f"{CANONICAL}/CodeSystem/consent-way"
WAYS_OF_CONSENT: Final = ("spoken", "signed-paper", "digital", "representative")
"""The codes of that CodeSystem."""
BUSINESS_STATUS: Final = f"{CANONICAL}/CodeSystem/business-status"
HANDED_OVER: Final = "handed-over"
FULFILL: Final = {"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}
CONSENT_SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
STATUS_REASON_EXTENSION: Final = "http://hl7.org/fhir/StructureDefinition/request-statusReason"

Actor: TypeAlias = Literal["requester", "owner", "claimant", "person", "platform"]
"""What a principal is to one referral; it may be several, or nothing."""

TASK_STATUSES: Final = (
    "draft", "requested", "received", "ready", "accepted", "rejected", "in-progress", "on-hold", "completed",
    "cancelled", "failed", "entered-in-error",
)  # fmt: skip
"""https://hl7.org/fhir/R4/valueset-task-status.html; `ready` is kept for imported Tasks of patient applications."""
TASK_STATUS: Final = "http://hl7.org/fhir/task-status"
TASK_ENDED: Final = frozenset({"rejected", "completed", "cancelled", "failed", "entered-in-error"})
REQUEST_STATUSES: Final = ("draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown")
"""https://hl7.org/fhir/R4/valueset-request-status.html"""
REQUEST_OPEN: Final = frozenset({"active", "on-hold"})
REQUEST_STOPPED: Final = frozenset({"revoked", "entered-in-error"})
