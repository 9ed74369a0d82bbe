"""What becomes due by itself: a person who was not contacted within the agreed term, a follow-up whose day has come.

Pure: a scheduler keeps `deadlines_of` each Task and asks for `due_effects` when one has passed. The effects are asked for by
what the record is then, so a deadline that was met, or told twice, does nothing.
"""

from typing import Final, Literal, NamedTuple

from fhir_server.model.resource import Resource, type_and_id
from fhir_server.model.temporal import parse_temporal, period_interval
from fhir_server.search.overdue import REACHED, WAITING
from fhir_server.workflow.case import is_aside, is_follow_up
from fhir_server.workflow.codes import ESCALATION, RE_EVALUATION, TASK_ENDED, TASK_KIND, TASK_PROFILE
from fhir_server.workflow.effects import Create, Effect, Emit, Update
from fhir_server.workflow.links import Links, codings, items
from fhir_server.workflow.permission import allowed
from fhir_server.workflow.routing import contact_point
from fhir_server.workflow.steps import step_of
from fhir_server.workflow.wording import PLAIN, Wording

OVERDUE: Final = "task-overdue"
DUE: Final = "follow-up-due"
_KIND: Final = {"code": {"coding": [{"system": TASK_KIND, "code": ESCALATION}]}}
Kind = Literal["task-overdue", "follow-up-due"]


class Deadline(NamedTuple):
    """At an instant (milliseconds since the epoch) a Task (`Task/id`) needs to be looked at again."""

    kind: Kind
    task: str
    at: int


def deadlines_of(task: Resource) -> tuple[Deadline, ...]:
    """Return the deadlines that a Task has as it is now; none when it ended or the person has been contacted."""
    if task.get("resourceType") != "Task" or task.get("status") in TASK_ENDED or "id" not in task:
        return ()
    period = (task.get("restriction") or {}).get("period") or {}
    key, found = type_and_id(task), []
    if _asks_again(task) and "start" in period:
        found.append(Deadline(DUE, key, parse_temporal(period["start"]).lo // 1000))
    if "end" in period and _waits(task):
        found.append(Deadline(OVERDUE, key, period_interval(None, period["end"]).hi // 1000))
    return tuple(found)


def has_passed(until: str, now: str) -> bool:
    """Tell whether a date, or a moment, is over at an instant; a date lasts until its end in UTC."""
    return parse_temporal(until).hi <= parse_temporal(now).lo


def is_overdue(task: Resource, now: str) -> bool:
    """Tell whether the term for contacting the person has passed (the same as `Task?overdue=true`)."""
    at = parse_temporal(now).lo // 1000
    return any(one.kind == OVERDUE and one.at <= at for one in deadlines_of(task))


class Watch(NamedTuple):
    """Who is to learn of a referral that is overdue: the contact point of the area, or why nobody does.

    `missing` is "", or `nobody` (no contact point covers the area), `late` (it is late itself), `consent` (does not cover it).
    """

    service: Resource | None
    owner: Resource | None
    missing: str


def watch_over(request: Resource, late: frozenset[str], links: Links, now: str) -> Watch:
    """Return to whom a referral is escalated when the organisations `late` (`Organization/id`) do not contact the person."""
    service = contact_point(links.follow(request.get("subject")), links, now)
    owner = (service or {}).get("providedBy")
    if service is None or owner is None:
        return Watch(service, None, "nobody")
    there = links.organizations(owner)
    if not there.isdisjoint(late):
        return Watch(service, owner, "late")
    recipient = there | {f"HealthcareService/{service['id']}"}
    covered = allowed(request, links.key(request.get("subject")), recipient, links, now, _KIND)
    return Watch(service, owner, "" if covered else "consent")


def due_effects(
    deadline: Deadline, links: Links, now: str, *, escalate: bool = False, wording: Wording = PLAIN
) -> tuple[Effect, ...]:
    """Return what a deadline that passed brings about: an event, and with `escalate` a Task for the link worker.

    A Task that is overdue is escalated once, to the contact point of the area where the person lives, as far as the
    Consent of the person covers it; never to the organisation that is late itself. Where it cannot be, the Task says why
    in a note, so that whoever referred knows that nobody else looks after it.
    """
    task = links.get(deadline.task)
    at = parse_temporal(now).lo // 1000
    if task is None or not any(one.kind == deadline.kind and one.at <= at for one in deadlines_of(task)):
        return ()
    told = Emit(deadline.kind, deadline.task)
    if deadline.kind != OVERDUE or not escalate or is_aside(task):
        return (told,)
    brought = _escalated(task, links, now, wording)
    return (told,) if brought is None else (told, brought)


def _why(missing: str, wording: Wording) -> Resource:
    """Return the text of a note that says why nobody else was told."""
    match missing:
        case "consent":
            return wording.sentence("text", "not-escalated-consent")
        case "late":
            return wording.sentence("text", "not-escalated-late")
        case _:
            return wording.sentence("text", "not-escalated-nobody")


def _asks_again(task: Resource) -> bool:
    return is_follow_up(task) or (TASK_KIND, RE_EVALUATION) in set(codings(task.get("code")))


def _waits(task: Resource) -> bool:
    return task.get("status") in WAITING and step_of(task) not in REACHED


def _escalated(task: Resource, links: Links, now: str, wording: Wording) -> Create | Update | None:
    key, request = type_and_id(task), links.follow(task.get("focus"))
    if request is None or request.get("status") != "active":
        return None
    if any((TASK_KIND, ESCALATION) in set(codings(part.get("code"))) for part in links.parts_of(key)):
        return None
    watch = watch_over(request, links.organizations(task.get("owner")), links, now)
    if watch.missing:
        note = {"time": now, **_why(watch.missing, wording)}
        return Update({**task, "note": [*items(task.get("note")), note], "lastModified": now})
    made: Resource = {
        "resourceType": "Task",
        "meta": {"profile": [TASK_PROFILE]},
        "identifier": list(items(task.get("identifier"))),
        "basedOn": task.get("basedOn"),
        "partOf": [{"reference": key}],
        "status": "requested",
        "intent": "order",
        "code": wording.concept(TASK_KIND, ESCALATION),
        **wording.sentence("description", "not-contacted"),
        "focus": task.get("focus"),
        "for": task.get("for"),
        "authoredOn": now,
        "lastModified": now,
        "requester": task.get("requester"),
        "owner": watch.owner,
    }
    return Create({name: value for name, value in made.items() if value not in (None, [])})
