"""Which elements of a referral may change, and by whom (design: frozen once set; NL: what an owner may touch)."""

from collections.abc import Iterator
from typing import Final

from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource
from fhir_server.workflow.case import Case
from fhir_server.workflow.codes import CONSENT_REVOKED, STATUS_REASON, Actor
from fhir_server.workflow.keys import sentence, violation
from fhir_server.workflow.links import Links, codings, items
from fhir_server.workflow.wording import TRANSLATION

TASK_FROZEN: Final = ("for", "focus", "basedOn", "requester", "intent", "code", "authoredOn")
REQUEST_FROZEN: Final = ("subject", "intent", "requester")
REQUEST_FROZEN_ONCE_SENT: Final = ("authoredOn", "code")
_ALWAYS: Final = frozenset({"resourceType", "id", "meta", "text", "language", "lastModified"})

OWNER_FIELDS: Final = frozenset(
    {
        "status", "statusReason", "businessStatus", "executionPeriod", "owner", "location", "note", "relevantHistory",
        "output", "identifier", "contained",
    }
)  # fmt: skip
"""`identifier` because a filler adds its own number (BSeR), `contained` because an output may stand there."""
REQUESTER_FIELDS: Final = frozenset({"status", "statusReason", "priority", "description", "note", "identifier"})
REQUESTER_FIELDS_BEFORE_ACCEPTANCE: Final = frozenset({"restriction", "input", "contained"})
PERSON_FIELDS: Final = frozenset({"status", "statusReason", "note"})
_PERSON_REQUEST_FIELDS: Final = frozenset({"status", "note", "extension"})


def changed_elements(case: Case) -> tuple[str, ...]:
    """Return the names of the elements that an update changes, in a stable order; free ones are left out.

    A reference that is spelled differently, or has another display, is not a change; nor is it one when software that
    knows no extensions of primitives drops the translations of a text.
    """
    before, after, links = case.before or {}, case.after, case.links
    names = {name.lstrip("_") for name in (*before, *after)} - _ALWAYS
    return tuple(
        sorted(
            name
            for name in names
            if not (_same(before.get(name), after.get(name), links) and _keeps(before, after, f"_{name}"))
        )
    )


def task_field_issues(case: Case) -> tuple[Issue, ...]:
    """Return an issue for each element that an update of a Task may not change."""
    changed = changed_elements(case)
    frozen = tuple(_frozen(case, changed, TASK_FROZEN, "task-frozen"))
    if "platform" in case.actors or (case.status_before == "draft" and "requester" in case.actors):
        return frozen
    allowed = _allowed(case)
    who = sentence(tuple(sorted(case.actors)), "and")
    others = [name for name in changed if name not in allowed and name not in _frozen_names(case, TASK_FROZEN)]
    owner = tuple(_owner_issues(case)) if "owner" in changed and "owner" in allowed else ()
    return (
        *frozen,
        *(
            violation(
                "task-field",
                f"{name} of this Task is not for its {who} to change while it is {case.status_before}. Leave it as it "
                f"is; you may change {sentence(tuple(sorted(allowed)), 'and')}.",
                f"Task.{name}",
            )
            for name in others
        ),
        *owner,
    )


def request_field_issues(case: Case) -> tuple[Issue, ...]:
    """Return an issue for each element that an update of a ServiceRequest may not change."""
    changed = changed_elements(case)
    names = REQUEST_FROZEN if case.status_before == "draft" else (*REQUEST_FROZEN, *REQUEST_FROZEN_ONCE_SENT)
    frozen = tuple(_frozen(case, changed, names, "request-frozen"))
    if case.actors != {"person"}:
        return frozen
    return (
        *frozen,
        *(
            violation(
                "request-field",
                f"A person may revoke a referral and add a note; {name} stays as it is. Ask the requester to change it.",
                f"ServiceRequest.{name}",
            )
            for name in changed
            if name not in _PERSON_REQUEST_FIELDS and name not in names
        ),
    )


def _allowed(case: Case) -> frozenset[str]:
    """Return what the union of the actors may change in the state that the Task was in."""
    by_actor: dict[Actor, frozenset[str]] = {
        "owner": OWNER_FIELDS - {"output", "statusReason"} if _silenced(case.before) else OWNER_FIELDS,
        "claimant": OWNER_FIELDS,
        "person": PERSON_FIELDS,
        "requester": REQUESTER_FIELDS,
    }
    allowed = frozenset[str]().union(*(by_actor[actor] for actor in case.actors))
    if "requester" in case.actors and case.status_before in ("requested", "received"):
        allowed |= REQUESTER_FIELDS_BEFORE_ACCEPTANCE
    if "requester" in case.actors and case.status_before == "requested":
        allowed |= {"owner"}
    return allowed


def _silenced(task: Resource | None) -> bool:
    """Tell whether nothing more is reported on a Task: the person withdrew the Consent, or it should never have been.

    Its owner perhaps never took it up, and nobody may be told more of the person by it. A note can still be made.
    """
    if task is None:
        return False
    withdrawn = (STATUS_REASON, CONSENT_REVOKED) in set(codings(task.get("statusReason")))
    return task.get("status") == "entered-in-error" or (task.get("status") == "cancelled" and withdrawn)


def _owner_issues(case: Case) -> Iterator[Issue]:
    """An owner passes a Task on within its own organisation only; a requester sends a Task that is not taken anywhere."""
    if "requester" in case.actors and case.status_before == "requested":
        return
    if "owner" in case.actors and case.acting_for not in case.links.organizations(case.after.get("owner")):
        yield violation(
            "task-field",
            "An owner passes a Task on within its own organisation only. Reject it with a reason, or hand a part of it "
            "to another organisation as a Task that is partOf this one.",
            "Task.owner",
        )


def _frozen_names(case: Case, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if case.before is not None and name in case.before)


def _frozen(case: Case, changed: tuple[str, ...], names: tuple[str, ...], key: str) -> Iterator[Issue]:
    kind = case.after["resourceType"]
    for name in _frozen_names(case, names):
        if name in changed:
            yield violation(
                key,
                f"{name} of a {kind} stays as it was once it is set. Put it back as it was, or make a new {kind} and "
                "set this one to entered-in-error.",
                f"{kind}.{name}",
            )


def _same(before: object, after: object, links: Links) -> bool:
    if before == after:
        return True
    if before is None or after is None:
        return False
    one, other = items(before), items(after)
    return len(one) == len(other) and all(_same_item(*pair, links) for pair in zip(one, other, strict=True))


def _keeps(before: Resource, after: Resource, name: str) -> bool:
    """Tell whether the extensions of a primitive are as they were, or were translations and are gone."""
    said = before.get(name)
    if said == after.get(name):
        return True
    if name in after or not isinstance(said, dict) or set(said) != {"extension"}:
        return False
    return all(one.get("url") == TRANSLATION for one in items(said["extension"]))


def _same_item(before: Resource, after: Resource, links: Links) -> bool:
    key = links.key(before)
    return before == after or (key != "" and key == links.key(after))
