"""What an organisation does with a Task. Each change names the version that was looked at: who comes second is told so."""

from typing import Final

from fastapi import Response

from fhir_server.http.pages.changing import (
    LONGEST_WORDS,
    back,
    done,
    ended,
    now,
    read_kind,
    reference,
    setting,
    version,
)
from fhir_server.http.pages.fhir import version_of
from fhir_server.http.pages.gate import refused
from fhir_server.http.pages.tasks import REACHED, is_later
from fhir_server.http.pages.visit import Visit
from fhir_server.http.pages.words import (
    BUSINESS,
    FEEDBACK,
    PARAMETER,
    PROFILE,
    concept,
    labels,
    reference_of,
    starts_of,
)
from fhir_server.model.errors import FhirError, Malformed, NotFound, RuleViolated, VersionConflict
from fhir_server.model.resource import Resource
from fhir_server.workflow.case import is_follow_up, is_signal

_MESSAGE: Final = "urn:uuid:00000000-0000-4000-8000-000000000001"


async def accept(visit: Visit) -> Response:
    """Accept, or claim what waits in the pool."""
    task = await visit.fhir.seen(reference(visit))
    if task is not None and is_later(task, visit.site.engine.clock.now_ms()) and not visit.form.flag("early"):
        day = visit.texts.day(starts_of(task))
        return await refused(visit, RuleViolated(visit.texts("later.tick", day=day)), back(visit))
    operations: list[Resource] = [setting("status", "accepted")]
    if task is None or not is_follow_up(task):
        operations.append(setting("businessStatus", _step("awaiting-contact", "Waiting for first contact")))
    if task is not None and "owner" not in task:
        operations.append(setting("owner", {"reference": visit.organization}))
    try:
        await visit.fhir.patch(reference(visit), version(visit), operations)
    except NotFound as error:  # another organisation claimed it: it is out of sight now
        return await refused(visit, VersionConflict(error.issues[0].diagnostics), "/inbox")
    except FhirError as error:
        return await refused(visit, error, back(visit))
    return done(visit, "accepted")


async def decline(visit: Visit) -> Response:
    """Decline with a coded reason and words."""
    return await ended(visit, "rejected", "declined")


async def stop(visit: Visit) -> Response:
    """Tell that it did not work out, with a coded reason and words."""
    return await ended(visit, "failed", "stopped")


async def step(visit: Visit) -> Response:
    """Set how far it is; the work runs from the first step that needs the person to be reached."""
    code = visit.form.one("step", 60)
    known = labels(await visit.fhir.choices("business-status"))
    if code not in known:
        raise Malformed("Choose a step from the list.", key="form-field")
    task = await visit.fhir.read(reference(visit))
    operations = [setting("businessStatus", _step(code, known[code])), *_begun(visit, task, code)]
    if words := visit.form.one("words", LONGEST_WORDS):
        note = {"text": words, "time": now(visit)}
        operations.append(
            {"op": "add", "path": "/note/-", "value": note} if "note" in task else setting("note", [note])
        )
    try:
        await visit.fhir.patch(reference(visit), version(visit), operations)
    except FhirError as error:
        return await refused(visit, error, back(visit))
    return done(visit, "step")


async def feedback(visit: Visit) -> Response:
    """Write to the referrer what came of it, and close the Task when the support has ended; both or neither."""
    kind, words = visit.form.one("kind", 60), visit.form.one("words", LONGEST_WORDS)
    known = labels(await visit.fhir.choices("feedback-type"))
    if kind not in known or not words:
        raise Malformed("Choose a kind of feedback and write a line.", key="form-field")
    try:
        task = await read_kind(visit, lambda found: not (is_signal(found) or is_follow_up(found)))
        if version_of(task) != version(visit):
            raise VersionConflict("The Task was changed meanwhile.")
        await visit.fhir.post("", _told(visit, task, concept(FEEDBACK, kind, known[kind]), words))
    except FhirError as error:
        return await refused(visit, error, back(visit))
    return done(visit, "closed" if visit.form.flag("close") else "feedback")


def _told(visit: Visit, task: Resource, kind: Resource, words: str) -> Resource:
    """Return the transaction that sends a feedback and puts it on its Task."""
    message = {
        "resourceType": "Communication",
        "meta": {"profile": [f"{PROFILE}/feedback"]},
        "basedOn": [task["focus"]],
        "status": "completed",
        "category": [kind],
        "subject": {"reference": reference_of(task["for"])},
        "sent": now(visit),
        "recipient": [task["requester"]],
        "sender": {"reference": visit.organization},
        "payload": [{"contentString": words}],
    }
    output = {"type": concept(PARAMETER, "feedback", "Feedback"), "valueReference": {"reference": _MESSAGE}}
    changed: Resource = task | {"output": [*task.get("output", ()), output]}
    if visit.form.flag("close"):
        changed |= {"status": "completed", "businessStatus": _step("support-ended", "Support ended")}
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": _MESSAGE, "resource": message, "request": {"method": "POST", "url": "Communication"}},
            {
                "resource": changed,
                "request": {"method": "PUT", "url": reference(visit), "ifMatch": f'W/"{version(visit)}"'},
            },
        ],
    }


def _begun(visit: Visit, task: Resource, code: str) -> list[Resource]:
    """Return what marks that the work began, when this step is the first that shows it."""
    if task["status"] not in ("accepted", "on-hold") or code not in REACHED:
        return []
    operations = [setting("status", "in-progress")]
    if "executionPeriod" not in task:
        operations.append(setting("executionPeriod", {"start": now(visit)}))
    return operations


def _step(code: str, display: str) -> Resource:
    return concept(BUSINESS, code, display)
