"""ServiceRequest in, Task out: which Tasks a governed ServiceRequest brings forth, and what stands in them."""

from typing import Final

from fhir_server.model.clock import render_instant
from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal
from fhir_server.workflow.case import Case, is_aside
from fhir_server.workflow.codes import (
    CONTACT_BY,
    FULFILL,
    REFERRAL_NUMBER,
    SERVICE_PARAMETER,
    TASK_ENDED,
    TASK_PROFILE,
)
from fhir_server.workflow.deadlines import has_passed
from fhir_server.workflow.effects import Create
from fhir_server.workflow.keys import violation
from fhir_server.workflow.least_data import inputs_about
from fhir_server.workflow.links import Links, items
from fhir_server.workflow.permission import service_of
from fhir_server.workflow.routing import Recipient, recipients
from fhir_server.workflow.wording import Wording

_NO_ORDER: Final = frozenset({"proposal", "option"})
"""Intents that ask nobody to act yet (R4 valueset-request-intent.html)."""
_LINE: Final = 140
_DAY_MS: Final = 86_400_000


def leaves(request: Resource) -> bool:
    """Tell whether a ServiceRequest asks someone to act now."""
    return (
        request.get("status") == "active"
        and request.get("intent") not in _NO_ORDER
        and request.get("doNotPerform") is not True
    )


def addressees(case: Case) -> tuple[Recipient, ...]:
    """Return to whom a created or updated ServiceRequest now goes for the first time.

    A request that becomes active goes to all its performers, unless Tasks came with it; an active one to performers
    that were added; one that is active again after a hold to performers that never had a Task.
    """
    request, links = case.after, case.links
    if case.imported or not leaves(request):
        return ()
    if case.status_before == "active" and _performers(case.before, links) >= _performers(request, links):
        return ()
    tasks = tuple(task for task in links.tasks_of(case.key) if not is_aside(task))
    if case.status_before not in ("active", "on-hold"):
        return recipients(request, links, case.now) if not tasks else ()
    known: frozenset[str] = frozenset()
    standing = tasks
    if case.status_before == "active":
        known = _performers(case.before, links)
        standing = tuple(task for task in tasks if task.get("status") not in TASK_ENDED)
    elif tasks and not request.get("performer"):
        return ()
    covered = {(links.key(task.get("owner")), links.key(service_of(task))) for task in standing}
    return tuple(
        recipient
        for recipient in recipients(request, links, case.now)
        if (links.key(recipient.owner), links.key(recipient.service)) not in covered
        and links.key(recipient.service or recipient.owner) not in known
    )


def task_for(case: Case, recipient: Recipient, contact_days: int) -> Create:
    """Return the creation of the Task that carries a ServiceRequest to one addressee.

    It holds the least that the addressee needs to decide: what is asked, one line of reason, whom to answer. The
    person is named by reference only; who may follow that reference is a matter of access. The end of
    Task.restriction.period is until when the person is to be contacted: as the request says (extension contact-by), else
    in `contact_days`. The number of the referral goes along, so that everyone finds the same by it.
    """
    request, links, now = case.after, case.links, case.now
    this = {"reference": case.key}
    due = _agreed(request) or render_instant(parse_temporal(now).lo // 1000 + contact_days * _DAY_MS)
    task: Resource = {
        "resourceType": "Task",
        "meta": {"profile": [TASK_PROFILE]},
        "identifier": [one for one in items(request.get("identifier")) if one.get("system") == REFERRAL_NUMBER],
        "basedOn": [this],
        "groupIdentifier": request.get("requisition"),
        "status": "requested",
        "intent": "order",
        "priority": request.get("priority"),
        "code": {"coding": [FULFILL]},
        **_need(request, case.wording),
        "focus": this,
        "for": _bare(request.get("subject"), links),
        "authoredOn": now,
        "lastModified": now,
        "requester": request.get("requester"),
        "owner": recipient.owner,
        "reasonCode": _reason(request),
        "restriction": {"period": {"end": due}},
        "input": [
            *_service_input(recipient.service, case.wording),
            *inputs_about(links.follow(request.get("subject")), now, case.wording),
        ],
    }
    return Create({name: value for name, value in task.items() if value not in (None, "", [])})


def term_issues(case: Case) -> tuple[Issue, ...]:
    """Return an issue when a request is given a term that has passed: its Tasks would be overdue when they are made."""
    until = _agreed(case.after)
    if (
        not until
        or case.imported
        or "platform" in case.actors
        or until == (_agreed(case.before) if case.before else "")
    ):
        return ()
    if not has_passed(until, case.now):
        return ()
    text = (
        f"The person is to be contacted by {until}, which has passed. Name a day to come, or leave the extension "
        "contact-by out: the term of the deployment holds then."
    )
    extensions = items(case.after.get("extension"))
    index = next(place for place, one in enumerate(extensions) if one.get("valueDateTime") == until)
    return (violation("contact-by-passed", text, f"ServiceRequest.extension[{index}]"),)


def _agreed(request: Resource) -> str:
    """Return until when the person is to be contacted, "" when the request does not say it."""
    found = (one.get("valueDateTime") for one in items(request.get("extension")) if one.get("url") == CONTACT_BY)
    return next((text for text in found if text), "")


def _performers(request: Resource | None, links: Links) -> frozenset[str]:
    return frozenset(links.key(performer) for performer in (request or {}).get("performer", ()))


def _service_input(service: Resource | None, wording: Wording) -> list[Resource]:
    if service is None:
        return []
    return [{"type": wording.kind(SERVICE_PARAMETER), "valueReference": service}]


def _need(request: Resource, wording: Wording) -> Resource:
    """Return the description of the Task: the need in the words of the referrer, else what its code is called."""
    for concept in (request.get("code"), *items(request.get("category"))):
        text = _line(concept)
        for coding in () if (concept or {}).get("text") else items((concept or {}).get("coding")):
            if translations := wording.translations(coding):
                return wording.element("description", translations, text)
        if text:
            return {"description": text}
    return {}


def _reason(request: Resource) -> Resource | None:
    line = _line(*items(request.get("reasonCode")))
    return {"text": line} if line else None


def _line(*concepts: Resource | None) -> str:
    """Return the first text or display of the concepts, its first line, shortened to what fits a list."""
    for concept in concepts:
        displays = [coding.get("display") for coding in (concept or {}).get("coding", ())]
        for text in ((concept or {}).get("text"), *displays):
            if isinstance(text, str) and text.strip():
                line = text.strip().splitlines()[0].strip()
                return line if len(line) <= _LINE else f"{line[: _LINE - 1].rstrip()}…"
    return ""


def _bare(reference: Resource | None, links: Links) -> Resource | None:
    """Return a Reference without the name or number of the person, where it can be resolved without them."""
    if reference is None or "reference" not in reference:
        return reference
    return {"reference": links.key(reference)}
