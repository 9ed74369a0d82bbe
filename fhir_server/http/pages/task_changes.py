"""What an organisation does with a Task. Each change names the version that was looked at: who comes second is told so."""

from typing import Any, Final

from fastapi import Response

from fhir_server.http.pages.fhir import version_of
from fhir_server.http.pages.gate import refused
from fhir_server.http.pages.tasks import REACHED
from fhir_server.http.pages.visit import Visit
from fhir_server.http.pages.words import (
    BUSINESS,
    FEEDBACK,
    PARAMETER,
    PROFILE,
    REASON,
    concept,
    labels,
    reference_of,
)
from fhir_server.model.clock import render_instant
from fhir_server.model.errors import Conflict, FhirError, Malformed, NotFound, VersionConflict
from fhir_server.model.resource import Resource

_MESSAGE: Final = "urn:uuid:00000000-0000-4000-8000-000000000001"
_LONGEST_WORDS: Final = 4000


async def accept(visit: Visit) -> Response:
    """Accept, or claim what waits in the pool."""
    task = await visit.fhir.seen(_reference(visit))
    operations: list[Resource] = [
        _set("status", "accepted"),
        _set("businessStatus", _step("awaiting-contact", "Waiting for first contact")),
    ]
    if task is not None and "owner" not in task:
        operations.append(_set("owner", {"reference": visit.organization}))
    try:
        await visit.fhir.patch(_reference(visit), _version(visit), operations)
    except NotFound as error:  # another organisation claimed it: it is out of sight now
        return await refused(visit, Conflict(error.issues[0].diagnostics), "/inbox")
    except FhirError as error:
        return await refused(visit, error, _back(visit))
    return _done(visit, "accepted")


async def decline(visit: Visit) -> Response:
    """Decline with a coded reason and words."""
    return await _ended(visit, "rejected", "declined")


async def stop(visit: Visit) -> Response:
    """Tell that it did not work out, with a coded reason and words."""
    return await _ended(visit, "failed", "stopped")


async def step(visit: Visit) -> Response:
    """Set how far it is; the work runs from the first step that needs the person to be reached."""
    code = visit.form.one("step", 60)
    known = labels(await visit.fhir.choices("business-status"))
    if code not in known:
        raise Malformed("Choose a step from the list.", key="form-field")
    task = await visit.fhir.read(_reference(visit))
    operations = [_set("businessStatus", _step(code, known[code])), *_begun(visit, task, code)]
    if words := visit.form.one("words", _LONGEST_WORDS):
        note = {"text": words, "time": _now(visit)}
        operations.append({"op": "add", "path": "/note/-", "value": note} if "note" in task else _set("note", [note]))
    try:
        await visit.fhir.patch(_reference(visit), _version(visit), operations)
    except FhirError as error:
        return await refused(visit, error, _back(visit))
    return _done(visit, "step")


async def feedback(visit: Visit) -> Response:
    """Write to the referrer what came of it, and close the Task when the support has ended; both or neither."""
    kind, words = visit.form.one("kind", 60), visit.form.one("words", _LONGEST_WORDS)
    known = labels(await visit.fhir.choices("feedback-type"))
    if kind not in known or not words:
        raise Malformed("Choose a kind of feedback and write a line.", key="form-field")
    try:
        task = await visit.fhir.read(_reference(visit))
        if version_of(task) != _version(visit):
            raise VersionConflict("The Task was changed meanwhile.")
        await visit.fhir.post("", _told(visit, task, concept(FEEDBACK, kind, known[kind]), words))
    except FhirError as error:
        return await refused(visit, error, _back(visit))
    return _done(visit, "closed" if visit.form.flag("close") else "feedback")


def _told(visit: Visit, task: Resource, kind: Resource, words: str) -> Resource:
    """Return the transaction that sends a feedback and puts it on its Task."""
    message = {
        "resourceType": "Communication",
        "meta": {"profile": [f"{PROFILE}/feedback"]},
        "basedOn": [task["focus"]],
        "status": "completed",
        "category": [kind],
        "subject": {"reference": reference_of(task["for"])},
        "sent": _now(visit),
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
                "request": {"method": "PUT", "url": _reference(visit), "ifMatch": f'W/"{_version(visit)}"'},
            },
        ],
    }


async def _ended(visit: Visit, status: str, done: str) -> Response:
    code, words = visit.form.one("reason", 60), visit.form.one("words", _LONGEST_WORDS)
    known = labels(await visit.fhir.choices("status-reason"))
    if code not in known:
        raise Malformed("Choose a reason from the list.", key="form-field")
    reason: Resource = concept(REASON, code, known[code]) | ({"text": words} if words else {})
    operations = [_set("status", status), _set("statusReason", reason)]
    try:
        await visit.fhir.patch(_reference(visit), _version(visit), operations)
    except FhirError as error:
        return await refused(visit, error, _back(visit))
    return _done(visit, done)


def _begun(visit: Visit, task: Resource, code: str) -> list[Resource]:
    """Return what marks that the work began, when this step is the first that shows it."""
    if task["status"] not in ("accepted", "on-hold") or code not in REACHED:
        return []
    operations = [_set("status", "in-progress")]
    if "executionPeriod" not in task:
        operations.append(_set("executionPeriod", {"start": _now(visit)}))
    return operations


def _set(name: str, value: Any) -> Resource:
    return {"op": "add", "path": f"/{name}", "value": value}


def _step(code: str, display: str) -> Resource:
    return concept(BUSINESS, code, display)


def _now(visit: Visit) -> str:
    return render_instant(visit.site.engine.clock.now_ms())


def _reference(visit: Visit) -> str:
    return f"Task/{visit.path('id')}"


def _version(visit: Visit) -> str:
    version = visit.form.one("version", 20)
    if not (version.isascii() and version.isdecimal()):
        raise Malformed("The form does not say which version it is about. Open the referral again.", key="form-field")
    return version


def _back(visit: Visit) -> str:
    return f"/tasks/{visit.path('id')}"


def _done(visit: Visit, what: str) -> Response:
    return visit.see_other(f"{_back(visit)}?done={what}")
