"""One Task: what was asked, as much of the person as its state allows, what was done, and what may be done next."""

from typing import Any, Final, NamedTuple

from fastapi import Response

from fhir_server.http.pages.fhir import Choice, version_of
from fhir_server.http.pages.tasks import TAKEN, Names, is_overdue, own_references
from fhir_server.http.pages.visit import Visit
from fhir_server.http.pages.words import (
    addresses,
    code_of,
    due_of,
    input_text,
    labels,
    person_name,
    reference_of,
    said,
)
from fhir_server.model.resource import Resource
from fhir_server.workflow.wording import in_language

_NOT_FOR_OWNERS: Final = frozenset(
    {"consent-revoked", "referral-withdrawn", "referral-on-hold", "subtask-parent-cancelled"}
)
"""Reasons that only the person, the referrer or the server itself gives."""


class Person(NamedTuple):
    """Whom it is about, once the Task was accepted."""

    name: str
    born: str
    contacts: list[tuple[str, str]]
    """Kind (phone, email) and value."""
    addresses: list[str]
    languages: list[str]
    preferences: list[str]


class Step(NamedTuple):
    """A version of a Task that differs from the one before in what people follow."""

    when: str
    status: str
    step: str
    reason: str


class Message(NamedTuple):
    """A feedback of who received the referral."""

    when: str
    kind: str
    text: str
    sender: str


async def show(visit: Visit) -> Response:
    """Show a Task of the own organisation, or one that waits in the pool."""
    return await _page(visit, await visit.fhir.read(f"Task/{visit.path('id')}"))


async def _page(visit: Visit, task: Resource) -> Response:
    fhir, names = visit.fhir, Names(visit.fhir)
    status = task["status"]
    steps = await fhir.choices("business-status")
    known = labels(steps) | labels(await fhir.choices("status-reason"))
    taken = status in TAKEN
    request = await fhir.seen(reference_of(task.get("focus"))) if taken else None
    patient = await fhir.seen(reference_of(task.get("for"))) if taken else None
    own = frozenset((await own_references(fhir)).split(","))
    mine = reference_of(task.get("owner")) in own
    return await visit.page(
        "task.html",
        task=task,
        version=version_of(task),
        need=in_language(task, "description", visit.texts.language),
        reason=said(task.get("reasonCode")),
        age=input_text(task, "age-band"),
        municipality=input_text(task, "municipality"),
        requester=await names.of(reference_of(task.get("requester"))),
        due=due_of(task),
        overdue=is_overdue(task, visit.site.engine.clock.now_ms()),
        step=said(task.get("businessStatus"), known),
        step_code=code_of(task.get("businessStatus")),
        why=_why(task, known),
        person=await person_of(visit, patient) if patient is not None else None,
        closed_to_us=taken and mine and patient is None,
        needs=await needs_of(visit, request) if request is not None else [],
        notes=[(note.get("time", ""), note.get("text", "")) for note in task.get("note", ())],
        messages_found=await messages_of(visit, task, names),
        steps_taken=await timeline_of(visit, task, known),
        may=_may(visit, task, own),
        reasons=_for_owners(await fhir.choices("status-reason")),
        steps=steps,
        kinds=await fhir.choices("feedback-type"),
        done=visit.query.one("done", 40),
    )


def _may(visit: Visit, task: Resource, own: frozenset[str]) -> frozenset[str]:
    """Return what the page offers to do; whether it is allowed, the rules of the referral decide."""
    owner, status = reference_of(task.get("owner")), task["status"]
    if (owner and owner not in own) or not visit.receives:
        return frozenset()
    if status in ("requested", "received"):
        return frozenset({"accept", "decline"} if owner else {"accept"})
    if status in ("accepted", "in-progress", "on-hold"):
        return frozenset({"step", "feedback", "stop"})
    return frozenset()


def _for_owners(choices: tuple[Choice, ...]) -> list[Choice]:
    return [choice for choice in choices if choice.code not in _NOT_FOR_OWNERS]


def _why(task: Resource, known: dict[str, str]) -> str:
    reason = task.get("statusReason") or {}
    label, text = known.get(code_of(reason), ""), str(reason.get("text", ""))
    if any(text == one.get("display") for one in reason.get("coding", ())):
        text = "" if label else text  # the display in another language: nobody added words to the code
    parts = (label, text)
    return ": ".join(dict.fromkeys(part for part in parts if part))


async def person_of(visit: Visit, patient: Resource) -> Person:
    """Return what is shown of a person."""
    ways = labels(await visit.fhir.choices("contact-preference"))
    preferred = [
        said(one.get("valueCodeableConcept"), ways)
        for one in patient.get("extension", ())
        if one.get("url", "").endswith("/contact-preference")
    ]
    return Person(
        person_name(patient),
        str(patient.get("birthDate", "")),
        [(one.get("system", "other"), one["value"]) for one in patient.get("telecom", ()) if "value" in one],
        addresses(patient),
        [said(one.get("language")) for one in patient.get("communication", ())],
        preferred,
    )


async def needs_of(visit: Visit, request: Resource) -> list[str]:
    """Return the needs of a referral in the language of the visit."""
    known = labels(await visit.fhir.choices("social-need"))
    return list(dict.fromkeys(said(one, known) for one in request.get("category", ())))


async def messages_of(visit: Visit, task: Resource, names: Names) -> list[Message]:
    """Return the feedback of a Task, in the order it came."""
    kinds = labels(await visit.fhir.choices("feedback-type"))
    found = []
    for output in task.get("output", ()):
        if "valueString" in output:
            found.append(Message("", "", str(output["valueString"]), ""))
            continue
        message = await visit.fhir.seen(reference_of(output.get("valueReference")))
        if message is None or message["resourceType"] != "Communication":
            continue
        texts: list[Any] = [part.get("contentString", "") for part in message.get("payload", ())]
        kind = next((said(one, kinds) for one in message.get("category", ())), "")
        sender = await names.of(reference_of(message.get("sender")))
        found.append(Message(str(message.get("sent", "")), kind, "\n".join(texts), sender))
    return found


async def timeline_of(visit: Visit, task: Resource, known: dict[str, str]) -> list[Step]:
    """Return how a Task went on, newest first: the versions in which its state or step changed."""
    versions = await visit.fhir.history(f"Task/{task['id']}")
    found: list[Step] = []
    for version in reversed(versions):
        step = Step(
            version["meta"]["lastUpdated"],
            version["status"],
            said(version.get("businessStatus"), known),
            _why(version, known),
        )
        if not found or found[-1][1:] != step[1:]:
            found.append(step)
    return found[::-1]
