"""What one change means for the rest of the referral. Each function looks at the record as it is now and asks for the
difference only, so that it comes to rest by itself.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from fhir_server.model.resource import Resource
from fhir_server.workflow.case import Case, is_aside, is_follow_up
from fhir_server.workflow.codes import (
    CONSENT_REVOKED,
    HANDED_OVER,
    ON_HOLD,
    REQUEST_OPEN,
    REQUEST_STOPPED,
    STATUS_REASON,
    STATUS_REASON_EXTENSION,
    TASK_ENDED,
    WHOLE_STOPPED,
    WITHDRAWN,
)
from fhir_server.workflow.consent import needs_of, permits
from fhir_server.workflow.effects import Update
from fhir_server.workflow.links import Links, items
from fhir_server.workflow.permission import addressee, allowed, consents_of, goes_out
from fhir_server.workflow.steps import step_of
from fhir_server.workflow.subtasks import open_parts
from fhir_server.workflow.task_lifecycle import TASK_TABLE
from fhir_server.workflow.wording import Wording


def coded_reason(wording: Wording, code: str, text: str = "") -> Resource:
    """Return a CodeableConcept of the project's status reasons; the text is the display where nobody said another."""
    coding = wording.coding(STATUS_REASON, code)
    said = text or coding.get("display", "")
    return {"coding": [coding], "text": said} if said else {"coding": [coding]}


def after_request(case: Case) -> Iterator[Update]:
    """A ServiceRequest that stopped cancels its open Tasks; one on hold holds those that are being worked on."""
    if case.imported or case.status == case.status_before:
        return
    tasks = case.links.tasks_of(case.key)
    if case.status in REQUEST_STOPPED:
        yield from (
            _move(task, "cancelled", coded_reason(case.wording, WITHDRAWN), case.now)
            for task in tasks
            if _is_open(task)
        )
    elif case.status == "on-hold":
        for task in tasks:
            row = TASK_TABLE.row(task.get("status", ""), "on-hold")
            if row is not None and "platform" in row.who:
                yield _move(task, "on-hold", coded_reason(case.wording, ON_HOLD), case.now)


def after_task(case: Case) -> Iterator[Update]:
    """A Task that ended otherwise than well ends its parts; the last Task that ends may complete the ServiceRequest.

    A rejected, failed or cancelled Task never ends the ServiceRequest: it can be sent to someone else. A Task that was
    handed over is completed by the last part that ends, if one ended well, with what the parts reported.
    """
    if case.imported or case.status == case.status_before:
        return
    if case.before is None:
        yield from _relied_on(case)
    if case.status not in TASK_ENDED:
        return
    well = case.status == "completed"
    reason = coded_reason(case.wording, WHOLE_STOPPED, (case.after.get("statusReason") or {}).get("text", ""))
    parts = (part for part in open_parts(case, case.key) if not (well and is_follow_up(part)))
    yield from (_move(part, "cancelled", reason, case.now) for part in parts)
    if not is_aside(case.after):
        yield from _handed_back(case)
    request = case.request
    if request is not None and request.get("status") in REQUEST_OPEN and case.links.governs(request):
        yield from _complete(request, case.links)


def after_consent(
    before: Resource, governed: Iterable[Resource], links: Links, now: str, wording: Wording
) -> Iterator[Update]:
    """Stop what relied on a Consent that permits less than it did: the whole referral, or single Tasks of it.

    `before` is the Consent as it was; the record already holds what it became, or nothing. `governed` are the governed
    ServiceRequests of its patient.
    """
    for request in governed:
        if request.get("status") not in REQUEST_OPEN or not _relies_on(request, before, links):
            continue
        stopped = _lost(request, before, None, links, now)
        for task in links.tasks_of(f"ServiceRequest/{request['id']}"):
            if _is_open(task) and (stopped or _out_of_reach(task, request, before, links, now)):
                yield _move(task, "cancelled", coded_reason(wording, CONSENT_REVOKED), now)
        if stopped:
            yield Update(_revoked(request, wording))


def _out_of_reach(task: Resource, request: Resource, before: Resource, links: Links, now: str) -> bool:
    return goes_out(task, links) and _lost(request, before, addressee(task).keys(links), links, now, task)


def _lost(
    request: Resource,
    before: Resource,
    recipient: frozenset[str] | None,
    links: Links,
    now: str,
    task: Resource | None = None,
) -> bool:
    """Tell whether this Consent let the referral go to the recipient, and no Consent does any more."""
    patient = links.key(request.get("subject"))
    had = permits(before, patient, recipient, now, needs=needs_of(request, task), links=links).permitted
    return had and not allowed(request, patient, recipient, links, now, task)


def _relies_on(request: Resource, consent: Resource, links: Links) -> bool:
    """A referral relies on the Consents that it names, or on any of its patient when it names none."""
    named = [key for key in map(links.key, request.get("supportingInfo", ())) if key.startswith("Consent/")]
    if named:
        return f"Consent/{consent['id']}" in named
    return links.key(consent.get("patient")) == links.key(request.get("subject"))


def _complete(request: Resource, links: Links) -> Iterator[Update]:
    sent = (task for task in links.tasks_of(f"ServiceRequest/{request['id']}") if not is_aside(task))
    tasks = {f"Task/{task['id']}": task for task in sent}
    whole = [
        task for task in tasks.values() if not any(links.key(parent) in tasks for parent in task.get("partOf", ()))
    ]
    if any(_is_open(task) for task in tasks.values()):
        return
    if any(task.get("status") == "completed" for task in whole):
        yield Update({**request, "status": "completed"})


def _relied_on(case: Case) -> Iterator[Update]:
    """Let the ServiceRequest name the Consent that a hand-over brought along: reading it rests on that."""
    request, links = case.request, case.links
    brought = consents_of(case.after)
    if request is None or not brought or not case.after.get("partOf"):
        return
    named = {links.key(one) for one in items(request.get("supportingInfo"))}
    new = [one for one in brought if links.key(one) not in named]
    if new:
        yield Update({**request, "supportingInfo": [*items(request.get("supportingInfo")), *new]})


def _handed_back(case: Case) -> Iterator[Update]:
    for reference in items(case.after.get("partOf")):
        whole = case.links.follow(reference)
        if whole is None or not _is_open(whole) or step_of(whole) != HANDED_OVER:
            continue
        parts = [part for part in case.links.parts_of(case.links.key(reference)) if not is_aside(part)]
        if any(_is_open(part) for part in parts) or all(part.get("status") != "completed" for part in parts):
            continue
        told = [one for part in parts if part.get("status") == "completed" for one in items(part.get("output"))]
        output = [*items(whole.get("output")), *(one for one in told if one not in items(whole.get("output")))]
        bare = {name: value for name, value in whole.items() if name != "statusReason"}
        yield Update({**bare, "status": "completed", "output": output, "lastModified": case.now})


def _is_open(task: Resource) -> bool:
    return task.get("status") not in TASK_ENDED


def _move(task: Resource, status: str, reason: Resource, now: str) -> Update:
    return Update({**task, "status": status, "statusReason": reason, "lastModified": now})


def _revoked(request: Resource, wording: Wording) -> Resource:
    kept: list[Any] = [one for one in request.get("extension", ()) if one.get("url") != STATUS_REASON_EXTENSION]
    reason = {"url": STATUS_REASON_EXTENSION, "valueCodeableConcept": coded_reason(wording, CONSENT_REVOKED)}
    return {**request, "extension": [*kept, reason], "status": "revoked"}
