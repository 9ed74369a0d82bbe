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
from fhir_server.workflow.effects import Create, Effect, Emit
from fhir_server.workflow.links import Links, codings, items
from fhir_server.workflow.permission import allowed
from fhir_server.workflow.routing import contact_point
from fhir_server.workflow.steps import step_of
from fhir_server.workflow.wording import PLAIN, Wording

OVERDUE: Final = "task-overdue"
DUE: Final = "follow-up-due"
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


def is_overdue(task: Resource, now: str) -> bool:
    """Tell whether the term for contacting the person has passed (the same as `Task?overdue=true`)."""
    at = parse_temporal(now).lo // 1000
    return any(one.kind == OVERDUE and one.at <= at for one in deadlines_of(task))


def due_effects(
    deadline: Deadline, links: Links, now: str, *, escalate: bool = False, wording: Wording = PLAIN
) -> tuple[Effect, ...]:
    """Return what a deadline that passed brings about: an event, and with `escalate` a Task for the link worker.

    A Task that is overdue is escalated once, to the contact point of the area where the person lives, as far as the
    Consent of the person covers it; never to the organisation that is late itself.
    """
    task = links.get(deadline.task)
    at = parse_temporal(now).lo // 1000
    if task is None or not any(one.kind == deadline.kind and one.at <= at for one in deadlines_of(task)):
        return ()
    told = Emit(deadline.kind, deadline.task)
    if deadline.kind != OVERDUE or not escalate or is_aside(task):
        return (told,)
    escalation = _escalation(task, links, now, wording)
    return (told,) if escalation is None else (told, Create(escalation))


def _asks_again(task: Resource) -> bool:
    return is_follow_up(task) or (TASK_KIND, RE_EVALUATION) in set(codings(task.get("code")))


def _waits(task: Resource) -> bool:
    return task.get("status") in WAITING and step_of(task) not in REACHED


def _escalation(task: Resource, links: Links, now: str, wording: Wording) -> Resource | None:
    key, request = type_and_id(task), links.follow(task.get("focus"))
    if request is None or request.get("status") != "active":
        return None
    if any((TASK_KIND, ESCALATION) in set(codings(part.get("code"))) for part in links.parts_of(key)):
        return None
    service = contact_point(links.follow(task.get("for")), links, now)
    owner = (service or {}).get("providedBy")
    if service is None or owner is None:
        return None
    there = links.organizations(owner)
    recipient = there | {f"HealthcareService/{service['id']}"}
    late = links.organizations(task.get("owner"))
    if not there.isdisjoint(late) or not allowed(request, links.key(request.get("subject")), recipient, links, now):
        return None
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
        "owner": owner,
    }
    return {name: value for name, value in made.items() if value not in (None, [])}
