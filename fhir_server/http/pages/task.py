"""One Task: what was asked, as much of the person as its state allows, what was done, and what may be done next."""

from typing import Any, Final, NamedTuple

from fastapi import Response

from fhir_server.http.pages.fhir import Choice, version_of
from fhir_server.http.pages.follow_up import questionnaire_for, told_lines
from fhir_server.http.pages.hand_over import may_hand_over
from fhir_server.http.pages.person import needs_of, person_of
from fhir_server.http.pages.questions import text_of
from fhir_server.http.pages.signals import onward, told_person
from fhir_server.http.pages.tasks import TAKEN, Names, is_later, is_overdue, own_references
from fhir_server.http.pages.visit import Visit
from fhir_server.http.pages.words import code_of, due_of, input_text, labels, reference_of, said, starts_of
from fhir_server.model.resource import Resource
from fhir_server.workflow.case import is_aside, is_follow_up, is_signal
from fhir_server.workflow.wording import in_language

_NOT_FOR_OWNERS: Final = frozenset(
    {"consent-revoked", "referral-withdrawn", "referral-on-hold", "subtask-parent-cancelled"}
)
"""Reasons that only the person, the referrer or the server itself gives."""


class Step(NamedTuple):
    """A version of a Task that differs from the one before in what people follow."""

    when: str
    status: str
    step: str
    reason: str


class Handed(NamedTuple):
    """A part of a Task that was handed over."""

    owner: str
    status: str
    step: str


class Message(NamedTuple):
    """A feedback of who received the referral, or what a person answered when asked again."""

    when: str
    kind: str
    text: str
    sender: str


async def show(visit: Visit) -> Response:
    """Show a Task of the own organisation, or one that waits in the pool."""
    return await _page(visit, await visit.fhir.read(f"Task/{visit.path('id')}"))


async def _page(visit: Visit, task: Resource) -> Response:
    fhir, names, now = visit.fhir, Names(visit.fhir), visit.site.engine.clock.now_ms()
    steps = await fhir.choices("business-status")
    known = labels(steps) | labels(await fhir.choices("status-reason"))
    own = frozenset((await own_references(fhir)).split(","))
    later = is_later(task, now)
    return await visit.page(
        "task.html",
        task=task,
        version=version_of(task),
        shown="later" if later else task["status"],
        later=later,
        need=in_language(task, "description", visit.texts.language),
        reason=said(task.get("reasonCode")),
        age=input_text(task, "age-band"),
        municipality=input_text(task, "municipality"),
        requester="" if is_follow_up(task) else await names.of(reference_of(task.get("requester"))),
        starts=starts_of(task),
        due=due_of(task),
        overdue=is_overdue(task, now),
        step=said(task.get("businessStatus"), known),
        step_code=code_of(task.get("businessStatus")),
        why=_why(task, known),
        notes=[(note.get("time", ""), note.get("text", "")) for note in task.get("note", ())],
        messages_found=await messages_of(visit, task, names),
        steps_taken=await timeline_of(visit, task, known),
        may=_may(visit, task, own),
        reasons=_for_owners(await fhir.choices("status-reason")),
        steps=steps,
        kinds=await fhir.choices("feedback-type"),
        ways=await fhir.choices("consent-way"),
        done=visit.query.one("done", 40),
        **await _about(visit, task, own),
        **await _beside(visit, task, own, known),
    )


async def _about(visit: Visit, task: Resource, own: frozenset[str]) -> dict[str, Any]:
    """Return who the person is and what is needed, as far as the visitor may know it in this state."""
    signal = is_signal(task)
    taken = task["status"] in TAKEN or is_follow_up(task)  # who is asked again is known already
    request = await visit.fhir.seen(reference_of(task.get("focus"))) if taken else None
    patient = await visit.fhir.seen(reference_of(task.get("for"))) if taken else None
    mine = reference_of(task.get("owner")) in own
    return {
        "person": await person_of(visit, patient) if patient is not None else told_person(task),
        "closed_to_us": taken and mine and patient is None and not signal,
        "needs": await needs_of(visit, request) if request is not None and not is_aside(task) else [],
        "signal": signal,
    }


async def _beside(visit: Visit, task: Resource, own: frozenset[str], known: dict[str, str]) -> dict[str, Any]:
    """Return what belongs to a Task of its kind: the questionnaire, to whom it was handed over, where it went on."""
    asked = await questionnaire_for(visit, task) if is_follow_up(task) else {}
    agreed = is_signal(task) and task["status"] == "completed"
    return {
        "questionnaire": text_of(asked, "title", visit.texts.language) or str(asked.get("url", "")),
        "onward": await onward(visit, task, own) if agreed else [],
        "parts": await parts_of(visit, task, known),
    }


async def parts_of(visit: Visit, task: Resource, known: dict[str, str]) -> list[Handed]:
    """Return to whom a Task was handed over, and how far it is there."""
    found = await visit.fhir.search(
        "Task", ("part-of", f"Task/{task['id']}"), ("_sort", "authored-on"), ("_count", "50")
    )
    names = Names(visit.fhir)
    return [
        Handed(await names.of(reference_of(one.get("owner"))), one["status"], said(one.get("businessStatus"), known))
        for one in found.matches
        if not is_aside(one)
    ]


def _may(visit: Visit, task: Resource, own: frozenset[str]) -> frozenset[str]:
    """Return what the page offers to do; whether it is allowed, the rules of the referral decide."""
    owner, status = reference_of(task.get("owner")), task["status"]
    if (owner and owner not in own) or not visit.receives:
        return frozenset()
    if status in ("requested", "received"):
        return frozenset({"accept", "decline"} if owner else {"accept"})
    if status not in ("accepted", "in-progress", "on-hold"):
        return frozenset()
    if is_signal(task):
        return frozenset({"consent", "step", "stop"})
    if is_follow_up(task):
        return frozenset({"tell", "stop"})
    return frozenset({"step", "feedback", "stop", *(("hand-over",) if may_hand_over(task) else ())})


def _for_owners(choices: tuple[Choice, ...]) -> list[Choice]:
    return [choice for choice in choices if choice.code not in _NOT_FOR_OWNERS]


def _why(task: Resource, known: dict[str, str]) -> str:
    reason = task.get("statusReason") or {}
    label, text = known.get(code_of(reason), ""), str(reason.get("text", ""))
    if any(text == one.get("display") for one in reason.get("coding", ())):
        text = "" if label else text  # the display in another language: nobody added words to the code
    parts = (label, text)
    return ": ".join(dict.fromkeys(part for part in parts if part))


async def messages_of(visit: Visit, task: Resource, names: Names) -> list[Message]:
    """Return the feedback of a Task, in the order it came."""
    kinds = labels(await visit.fhir.choices("feedback-type"))
    found = []
    for output in task.get("output", ()):
        if "valueString" in output:
            found.append(Message("", "", str(output["valueString"]), ""))
            continue
        message = await visit.fhir.seen(reference_of(output.get("valueReference")))
        if message is not None and message["resourceType"] == "QuestionnaireResponse":
            title, lines = await told_lines(visit, message)
            author = await names.of(reference_of(message.get("author")))
            found.append(Message(str(message.get("authored", "")), title, lines, author))
            continue
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
