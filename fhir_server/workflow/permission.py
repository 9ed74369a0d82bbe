"""No referral leaves without Consent: the rule on top of the predicate, for a ServiceRequest and for a Task."""

from collections.abc import Iterator, Sequence
from typing import Final

from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource
from fhir_server.workflow.case import Case, is_signal
from fhir_server.workflow.codes import TASK_ENDED, TASK_PARAMETER
from fhir_server.workflow.consent import Verdict, candidates, needs_of, permits
from fhir_server.workflow.keys import violation
from fhir_server.workflow.links import Links, codings, items
from fhir_server.workflow.routing import Recipient

CONSENT: Final = "consent"
"""Code of the Task.input that names the Consent on which a hand-over rests."""


def service_of(task: Resource) -> Resource | None:
    """Return the Reference to the HealthcareService that a Task was addressed to, None without one."""
    for given in task.get("input", ()):
        reference = given.get("valueReference")
        if isinstance(reference, dict) and "HealthcareService/" in reference.get("reference", ""):
            return reference
    return None


def consents_of(task: Resource) -> tuple[Resource, ...]:
    """Return the References to the Consents that a Task brings along: a hand-over that the person agreed to."""
    given = (one for one in items(task.get("input")) if (TASK_PARAMETER, CONSENT) in set(codings(one.get("type"))))
    return tuple(one["valueReference"] for one in given if "valueReference" in one)


def addressee(task: Resource) -> Recipient:
    """Return to whom a Task goes."""
    return Recipient(task.get("owner"), service_of(task), "Task.owner")


def allowed(
    request: Resource,
    patient: str,
    recipient: frozenset[str] | None,
    links: Links,
    now: str,
    task: Resource | None = None,
) -> bool:
    """Tell whether any Consent that a referral relies on permits the recipient of a Task now."""
    needs = needs_of(request, task)
    return any(
        permits(consent, patient, recipient, now, needs=needs, links=links).permitted
        for consent in candidates(request, patient, links)
    )


def request_consent_issues(case: Case, addressees: Sequence[Recipient]) -> tuple[Issue, ...]:
    """Judge a ServiceRequest that leaves now for these addressees."""
    return tuple(_issues(case, case.after, addressees, "ServiceRequest.supportingInfo"))


def task_consent_issues(case: Case) -> tuple[Issue, ...]:
    """Judge a Task that is sent, gets another owner, or is taken up: each time someone is to learn more of the person."""
    task, links = case.after, case.links
    if case.imported or case.status in TASK_ENDED or case.status == "draft" or is_signal(task):
        return ()
    sent = case.status_before in ("", "draft")
    taken_up = case.status_before in ("requested", "received") and case.status in ("accepted", "in-progress")
    before = links.key(case.before.get("owner")) if case.before is not None else ""
    if not (sent or taken_up or before != links.key(task.get("owner"))) or not goes_out(task, links):
        return ()
    return tuple(_issues(case, case.request or {}, (addressee(task),), "Task.focus"))


def goes_out(task: Resource, links: Links) -> bool:
    """Tell whether a Task goes to someone else than the person; what is asked of the person needs no Consent."""
    owner = links.key(task.get("owner"))
    return not owner or owner != links.key(task.get("for"))


def _issues(case: Case, request: Resource, addressees: Sequence[Recipient], where: str) -> Iterator[Issue]:
    links, patient, needs = case.links, case.subject, needs_of(request, case.after)
    brought = (links.follow(one) for one in consents_of(case.after))
    consents = (*candidates(request, patient, links), *(one for one in brought if one is not None))
    general = [(consent, permits(consent, patient, None, case.now, needs=needs, links=links)) for consent in consents]
    usable = [consent for consent, verdict in general if verdict.permitted]
    if not usable:
        yield violation("consent-missing", _missing(patient, general), where)
        return
    for recipient in addressees:
        keys = recipient.keys(links)
        verdicts = [(one, permits(one, patient, keys, case.now, needs=needs, links=links)) for one in usable]
        if any(verdict.permitted for _, verdict in verdicts):
            continue
        named = links.key(recipient.owner)
        text = (
            f"No Consent of {patient} lets the referral go to {named}: {_reasons(verdicts)}. Ask the person, and record "
            "the recipient as provision.actor of the Consent; or choose another recipient."
        )
        yield violation("consent-recipient", text, recipient.expression)


def _missing(patient: str, judged: Sequence[tuple[Resource, Verdict]]) -> str:
    found = f"None of the Consents found permits it: {_reasons(judged)}." if judged else "No Consent was found."
    return (
        f"A referral leaves only with an active Consent of {patient or 'the person'}. {found} Record an active Consent "
        "(scope patient-privacy, this patient, a period that covers today) in the store or in the same Bundle and name "
        "it in ServiceRequest.supportingInfo."
    )


def _reasons(judged: Sequence[tuple[Resource, Verdict]]) -> str:
    return "; ".join(f"Consent/{consent.get('id', '?')}: {verdict.reason}" for consent, verdict in judged)
