"""Which topics a change is told under; `focus` is the resource that a subscriber reads next."""

from collections.abc import Iterator

from fhir_server.model.resource import Resource, type_and_id
from fhir_server.workflow.case import Case
from fhir_server.workflow.effects import Emit

TOPICS = {
    "task-changed": "A governed Task was created, changed or deleted.",
    "referral-sent": "A Task was sent to its owner, or to the pool.",
    "referral-rejected": "The owner of a Task rejected it; the referrer may send it to someone else.",
    "feedback-given": "The owner of a Task added an output.",
    "glass-broken": "In an emergency an organisation opened the record of a person; the privacy contact looks into it.",
    "task-overdue": "The term for contacting the person has passed, and nobody said that it was done.",
    "follow-up-due": "The day has come to ask the person again.",
    "consent-revoked": "A Consent stopped permitting a referral.",
}
"""Topic → what it means."""


def task_events(case: Case) -> Iterator[Emit]:
    """Tell a creation or update of a governed Task."""
    yield Emit("task-changed", case.key)
    if case.status == "requested" and case.status_before in ("", "draft"):
        yield Emit("referral-sent", case.key)
    if case.before is None:
        return
    if case.status == "rejected" and case.status_before != "rejected":
        yield Emit("referral-rejected", case.key)
    if len(case.after.get("output", ())) > len(case.before.get("output", ())):
        yield Emit("feedback-given", case.key)


def deletion_events(deleted: Resource) -> Iterator[Emit]:
    """Tell the deletion of a governed Task."""
    if deleted["resourceType"] == "Task":
        yield Emit("task-changed", type_and_id(deleted))


def consent_event(consent: Resource) -> Emit:
    """Tell that a Consent stopped permitting a referral."""
    return Emit("consent-revoked", type_and_id(consent))
