"""A signal: somebody else than a referrer noticed that a person may need help, and the person was not asked yet.

The referral waits as a draft, its Consent as `proposed`. What goes to the pool is a Task `ask-consent` that says neither why
nor who. Whoever takes it gets the name and the contact data of the person on it, and asks. With `completed` and the way in
which the person agreed the Consent becomes active and the referral leaves; with any other end nothing of it ever does.
"""

from collections.abc import Iterator
from typing import Final

from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource
from fhir_server.workflow.case import Case, is_signal
from fhir_server.workflow.codes import (
    CONSENT_WAY,
    CONSENT_WAYS,
    STATUS_REASON,
    STATUS_REASON_EXTENSION,
    TASK_ENDED,
    TASK_PARAMETER,
    TASK_STATUS,
    WAYS_OF_CONSENT,
)
from fhir_server.workflow.effects import Update
from fhir_server.workflow.keys import sentence, violation
from fhir_server.workflow.links import Links, codings, items
from fhir_server.workflow.wording import Wording

ANSWER: Final = "consent-answer"
"""Code of the Task.output that says how the person agreed, as a code of CodeSystem/consent-way."""
NAME, CONTACT = "person-name", "contact"
_WHY: Final = ("reasonCode", "reasonReference", "note", "relevantHistory")
_HELD: Final = frozenset({"accepted", "in-progress", "on-hold"})


def signal_issues(case: Case) -> tuple[Issue, ...]:
    """Judge a Task that asks for consent: it does not say why, and ends well only with the answer of the person."""
    if case.imported or not is_signal(case.after):
        return ()
    return tuple(_issues(case))


def after_signal(case: Case) -> Iterator[Update]:
    """Give the contact data to whoever took the Task up, and carry out what the person answered."""
    if case.imported or not is_signal(case.after) or case.status == case.status_before:
        return
    if case.status in _HELD and case.status_before not in _HELD:
        told = list(contact_inputs(case.links.follow(case.after.get("for")), case.wording))
        if told:
            yield Update({**case.after, "input": [*_without_contact(case.after), *told]})
    elif case.status in TASK_ENDED:
        if _without_contact(case.after) != list(items(case.after.get("input"))):
            bare = {name: value for name, value in case.after.items() if name != "input"}
            kept = _without_contact(case.after)
            yield Update({**bare, "input": kept} if kept else bare)
        yield from _answered(case)


def contact_inputs(patient: Resource | None, wording: Wording) -> Iterator[Resource]:
    """Yield the inputs that say how a person is called and reached."""
    if patient is None or patient.get("resourceType") != "Patient":
        return
    for name in items(patient.get("name"))[:1]:
        yield {"type": wording.kind(NAME), "valueHumanName": name}
    for contact in items(patient.get("telecom")):
        yield {"type": wording.kind(CONTACT), "valueContactPoint": contact}


def answered_way(task: Resource) -> str:
    """Return the way in which the person agreed, "" when the Task does not say it, or says what is no such way."""
    for given in items(task.get("output")):
        if (TASK_PARAMETER, ANSWER) in set(codings(given.get("type"))):
            said = (code for system, code in codings(given.get("valueCodeableConcept")) if system == CONSENT_WAYS)
            return next((code for code in said if code in WAYS_OF_CONSENT), "")
    return ""


def proposed_consents(request: Resource, links: Links) -> tuple[Resource, ...]:
    """Return the Consents of a referral that wait for the answer of the person."""
    named = (links.follow(one) for one in items(request.get("supportingInfo")))
    return tuple(one for one in named if one is not None and one.get("status") == "proposed")


def _issues(case: Case) -> Iterator[Issue]:
    yield from _without_why(case)
    yield from _with_answer(case)


def _without_why(case: Case) -> Iterator[Issue]:
    if case.before is None:
        for name in _WHY:
            if name in case.after:
                text = (
                    f"A Task that asks a person for consent does not say why: leave {name} out. It stands in the "
                    "ServiceRequest, which is a draft until the person agrees."
                )
                yield violation("signal-says-why", text, f"Task.{name}")


def _with_answer(case: Case) -> Iterator[Issue]:
    if case.status == "completed" and case.status_before != "completed" and not answered_way(case.after):
        text = (
            f"The person agreed? Then add an output of type {ANSWER} whose valueCodeableConcept says how, with a code of "
            f"{CONSENT_WAYS} ({sentence(WAYS_OF_CONSENT)}). If not, set the Task to failed with the reason patient-declined."
        )
        yield violation("signal-answer", text, "Task.output")


def _answered(case: Case) -> Iterator[Update]:
    request = case.request
    if request is None or request.get("status") != "draft" or case.status == "rejected":
        return
    consents = proposed_consents(request, case.links)
    if case.status == "completed":
        yield from (Update(_given(consent, request, case)) for consent in consents)
        asked_of = request.get("performer") or [case.after["owner"]]
        yield Update({**request, "status": "active", "performer": asked_of})
        return
    declined = (STATUS_REASON, "patient-declined") in set(codings(case.after.get("statusReason")))
    yield from (Update({**consent, "status": "rejected" if declined else "inactive"}) for consent in consents)
    told = {
        "url": STATUS_REASON_EXTENSION,
        "valueCodeableConcept": case.after.get("statusReason")
        or {"coding": [{"system": TASK_STATUS, "code": case.status}]},
    }
    others = [one for one in items(request.get("extension")) if one.get("url") != STATUS_REASON_EXTENSION]
    yield Update({**request, "extension": [*others, told], "status": "revoked"})


def _given(consent: Resource, request: Resource, case: Case) -> Resource:
    """Return the Consent as the person gave it: to the recipients that were chosen, and to who asked."""
    way = {"coding": [{"system": CONSENT_WAYS, "code": answered_way(case.after)}]}
    others = [one for one in items(consent.get("extension")) if one.get("url") != CONSENT_WAY]
    links = case.links
    named = {
        key: None
        for one in (case.after["owner"], *items(request.get("performer")))
        for key in sorted(links.organizations(one))
    }
    provision = {name: value for name, value in (consent.get("provision") or {}).items() if name != "actor"}
    return {
        **consent,
        "extension": [*others, {"url": CONSENT_WAY, "valueCodeableConcept": way}],
        "status": "active",
        "dateTime": case.now,
        "provision": {
            **provision,
            "type": "permit",
            "period": {**(provision.get("period") or {}), "start": case.now[:10]},
            "actor": [receiver(key) for key in named],
        },
    }


def receiver(key: str) -> Resource:
    """Return the actor of a provision that may receive the referral."""
    role = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
    return {"role": {"coding": [role]}, "reference": {"reference": key}}


def _without_contact(task: Resource) -> list[Resource]:
    told = {(TASK_PARAMETER, NAME), (TASK_PARAMETER, CONTACT)}
    return [one for one in items(task.get("input")) if told.isdisjoint(codings(one.get("type")))]
