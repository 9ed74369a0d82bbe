"""Every rule of the workflow: its stable key and what it holds, in one sentence; refusals are made here only."""

from typing import Final

from fhir_server.model.errors import Forbidden
from fhir_server.model.issue import Issue

RULES: Final = {
    "principal-required": "Whoever changes a referral, its Tasks or its Consent says for which organisation it acts.",
    "profile-claim": "A resource that claims a referral profile keeps claiming it.",
    "requester-missing": "A referral and each of its Tasks names its requester.",
    "request-actor": "Only the requester creates or changes a referral; the person may revoke it.",
    "request-transition": "A ServiceRequest moves only along the rows of its state table.",
    "request-frozen": "Subject, intent and requester of a referral never change; code and date not after the draft.",
    "request-field": "A person who revokes a referral changes its status and adds a note, nothing else.",
    "request-not-active": "A Task is sent, taken, accepted or worked on only while its ServiceRequest is active.",
    "referral-delete": "A referral and its Tasks are not deleted; what should not exist becomes entered-in-error.",
    "task-actor": "Only requester, owner and person of a Task change it, each the moves that are theirs.",
    "task-transition": "A Task moves only along the rows of its state table.",
    "task-status-reason": "A Task that is rejected, cancelled, failed or on hold says why, coded or in text.",
    "task-status-reason-code": "A coded reason from the project's own code system is one of its codes.",
    "task-frozen": "For, focus, basedOn, requester, intent, code and authoredOn of a Task never change once set.",
    "task-field": "Each actor changes only the elements of a Task that are its own.",
    "task-claim": "A Task without owner is claimed by an organisation for itself, and by one only.",
    "task-subject": "A Task is for the person whom its ServiceRequest is about.",
    "task-least-data": "A Task that nobody accepted yet does not say who the person is.",
    "task-feedback": "A Task is completed with at least one output, so that the referrer learns what became of it.",
    "consent-missing": "No referral leaves without an active Consent of the person.",
    "consent-recipient": "The Consent covers the organisation that the referral goes to.",
    "subtask-actor": "Only the owner of a Task hands over a part of it.",
    "subtask-parent": "A part belongs to an open, accepted Task and has its person and its referral.",
    "subtask-open": "A Task is not completed while one of its parts is open.",
    "contact-by-passed": "A referral does not begin with a term that has passed: it would be overdue at once.",
    "task-step": "A step of the work (businessStatus) is set in the states of the Task that it belongs to.",
    "signal-says-why": "A Task that asks a person for consent says neither why nor more of the person than contact data.",
    "signal-answer": "A Task that asks a person for consent is completed with how the person agreed, and with nothing else.",
    "intake-result": "An intake ends in a volunteer role, one of the seven themes, or an onward referral based on this one.",
    "subtask-cycle": "Parts form a tree that is at most five Tasks deep.",
}
"""Key → the rule in one sentence."""


def violation(key: str, diagnostics: str, expression: str) -> Issue:
    """Return the issue of a broken rule; raises KeyError for a key that the registry does not have."""
    RULES[key]
    return Issue(key, "business-rule", diagnostics, expression)


def refusal(key: str, diagnostics: str, expression: str = "") -> Forbidden:
    """Return the error for an actor to whom this is not allowed; raises KeyError for an unknown key."""
    RULES[key]
    return Forbidden(diagnostics, expression=expression, key=key)


def sentence(items: tuple[str, ...], conjunction: str = "or") -> str:
    """Join names for a text: `a`, `a or b`, `a, b or c`."""
    if len(items) <= 1:
        return "".join(items)
    return f"{', '.join(items[:-1])} {conjunction} {items[-1]}"
