"""Who may touch a referral at all, and what must hold before anything else is looked at."""

from collections.abc import Iterator

from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource
from fhir_server.workflow.case import Case, is_follow_up
from fhir_server.workflow.keys import refusal, sentence, violation
from fhir_server.workflow.party import Party


def require_principal(principal: Party, resource: Resource) -> None:
    """Raise Forbidden when the caller did not say for whom it acts."""
    if principal.anonymous:
        text = (
            f"A {resource['resourceType']} of a referral is changed by a known party only. State the organisation for "
            "which you act (in development mode with the header X-Dev-Organization: Organization/id)."
        )
        raise refusal("principal-required", text, resource["resourceType"])


def requester_issues(case: Case) -> tuple[Issue, ...]:
    """Return an issue when a creation does not say who asks."""
    kind = case.after["resourceType"]
    if case.before is not None or case.imported or case.links.key(case.after.get("requester")):
        return ()
    text = f"A {kind} of a referral says who asks. Set requester to your organisation, or to a role in it."
    return (violation("requester-missing", text, f"{kind}.requester"),)


def require_request_actor(case: Case) -> None:
    """Raise Forbidden unless the requester creates, or requester or person changes, a ServiceRequest."""
    if case.imported or not case.actors.isdisjoint({"requester", "platform"}):
        return
    if case.before is not None and "person" in case.actors:
        return
    if case.before is None and not case.links.key(case.after.get("requester")):
        return
    text = (
        f"Only its requester may {'change' if case.before else 'create'} a referral. {_position(case)} To say something "
        "about a referral, update its Task."
    )
    raise refusal("request-actor", text, "ServiceRequest.requester")


def require_task_actor(case: Case) -> None:
    """Raise Forbidden unless the principal may create this Task, or has a part in the Task that it changes."""
    if case.imported or "platform" in case.actors:
        return
    if case.before is not None:
        if not case.actors:
            text = f"Only the requester, the owner and the person of a Task change it. {_position(case)}"
            raise refusal("task-actor", text, "Task.owner" if "owner" in case.before else "Task.requester")
        return
    if not case.links.key(case.after.get("requester")):
        return
    if "requester" not in case.actors:
        text = f"A Task is created by its requester. {_position(case)}"
        raise refusal("task-actor", text, "Task.requester")
    if not case.after.get("partOf"):
        _require_own_request(case)


def require_claim(case: Case) -> None:
    """Raise Forbidden when a Task of the pool is changed otherwise than by taking it for one's own organisation."""
    if "claimant" not in case.actors or not case.actors.isdisjoint({"requester", "person"}):
        return
    owner = case.after.get("owner")
    if case.acting_for in case.links.organizations(owner):
        return
    found = f"names {case.links.key(owner)}" if owner else "has no owner"
    text = (
        f"This Task is in the pool; your version of it {found}. Take it by setting owner to {case.acting_for}, "
        "or leave it for others."
    )
    raise refusal("task-claim", text, "Task.owner")


def subject_issues(case: Case) -> tuple[Issue, ...]:
    """Return an issue when a new Task is for another person than its ServiceRequest."""
    if case.imported or (case.before is not None and case.status_before != "draft"):
        return ()
    return tuple(_subject_issues(case))


def _subject_issues(case: Case) -> Iterator[Issue]:
    request = case.request
    if request is None:
        return
    asked = case.links.key(request.get("subject"))
    if case.subject != asked and ("|" in asked) == ("|" in case.subject):
        text = f"The ServiceRequest is about {asked or 'nobody'}, the Task for {case.subject or 'nobody'}. Make them the same."
        yield violation("task-subject", text, "Task.for")


def _require_own_request(case: Case) -> None:
    request = case.request
    if request is None or "operator" in case.principal.roles:
        return
    senders = case.links.organizations(request.get("requester"))
    if is_follow_up(case.after):
        tasks = case.links.tasks_of(case.request_key)
        senders = senders.union(*(case.links.organizations(task.get("owner")) for task in tasks))
    if case.acting_for not in senders:
        text = (
            f"ServiceRequest/{request['id']} is not yours to send. Hand over a part of a Task that you own (partOf), or "
            "refer the person with a ServiceRequest of your own."
        )
        raise refusal("task-actor", text, "Task.focus")


def _position(case: Case) -> str:
    """Say for whom the principal acts and why this is not enough."""
    if not case.acting_for:
        roles = sentence(tuple(sorted(case.principal.roles)), "and")
        return f"You named your role ({roles}) but not the organisation for which you act."
    judged = case.before if case.before is not None else case.after
    if not case.links.organizations(judged.get("requester")):
        return (
            f"You act for {case.acting_for}; the requester {case.links.key(judged.get('requester'))!r} cannot be traced "
            "to an organisation on this server. Record its PractitionerRole with the organisation, or name the "
            "organisation itself."
        )
    return f"You act for {case.acting_for}, which is none of these here."
