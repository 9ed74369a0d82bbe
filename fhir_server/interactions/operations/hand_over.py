"""Task/$hand-over: the owner passes a Task on, whole or in part, as a sub-task with the history kept (OperationDefinition
task-hand-over).

It does what the owner could do with a transaction: the Consent that the person gives now, the sub-task, the step of the Task.
The rules of the workflow judge it the same.
"""

from functools import partial
from typing import Final, NamedTuple

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Writing
from fhir_server.interactions.operations.parameters import answer
from fhir_server.interactions.operations.refer_asked import LINE, Asked, issue, read_asked, require_time_left
from fhir_server.interactions.operations.refer_parts import consent_of
from fhir_server.interactions.operations.refer_people import Recipients, recipient_issues
from fhir_server.interactions.request import Place, Request, Result
from fhir_server.interactions.routing import Interaction
from fhir_server.interactions.unit import Unit, require_valid
from fhir_server.interactions.write import check_if_match, must_exist
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import Conflict, FhirError, Invalid, NotFound, RuleViolated
from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource
from fhir_server.store.port import Version
from fhir_server.workflow.case import is_aside
from fhir_server.workflow.codes import (
    BUSINESS_STATUS,
    FULFILL,
    HANDED_OVER,
    SERVICE_PARAMETER,
    TASK_ENDED,
    TASK_PROFILE,
)
from fhir_server.workflow.links import Links, items
from fhir_server.workflow.permission import CONSENT, service_of
from fhir_server.workflow.wording import Wording

_SENT: Final = {
    "Task.owner": "recipient",
    "Task.reasonCode": "reason",
    "Task.restriction": "contact-by",
    "Consent": "consent-way",
}
"""Start of an expression → the parameter that the element is made of."""
DEFINITION: Final = "https://w3id.org/social-referral/OperationDefinition/task-hand-over"


class _Addressee(NamedTuple):
    """To whom a Task goes: organisations, and the service that was chosen, "" for none."""

    owners: frozenset[str]
    service: str


def hand_over(engine: Engine, request: Request, place: Place) -> Operation:
    """Pass a Task on to another organisation."""
    asked = read_asked(engine, request, DEFINITION)
    issues = []
    if not asked.text("reason") or len(asked.text("reason")) > LINE:
        issues.append(issue(f"Say why in one line of 1 to {LINE} characters.", asked.place("reason")))
    if not asked.one("recipient"):
        issues.append(issue("Name the organisation or service that takes it on: recipient.", asked.place("recipient")))
    if issues:
        raise Invalid(issues=issues)
    return Writing(partial(_work, engine, request, place, asked))


def _work(engine: Engine, request: Request, place: Place, asked: Asked, unit: Unit) -> Result:
    current = must_exist(unit.view.current("Task", place.id), place)
    if current.body is None:
        raise NotFound(f"Task/{place.id} was deleted.")
    whole: Resource = decode_stored(current.body)
    if not engine.rulebook.governs(whole) or is_aside(whole):
        text = f"Task/{place.id} is no Task of a referral that could be handed over."
        raise RuleViolated(text, key="task-not-referral", expression="Task")
    check_if_match(unit, request, current, whole)
    try:
        created = _written(unit, asked, whole, current)
        unit.settle()
    except FhirError as error:
        error.issues = tuple(one._replace(expression=_in_parameters(one.expression, asked)) for one in error.issues)
        raise
    outputs = [("task", unit.get(f"Task/{created.id}")), ("whole", unit.get(f"Task/{place.id}"))]
    return answer({"name": name, "resource": one} for name, one in outputs if one is not None)


def _written(unit: Unit, asked: Asked, whole: Resource, current: Version) -> Version:
    """Write the Consent that came along, the sub-task, and the step of the whole; return the sub-task."""
    engine, now = unit.engine, render_instant(unit.uow.last_updated)
    wording = engine.rulebook.wording
    links = Links(unit, engine.own_base, engine.rulebook.governs)
    require_time_left(asked, now)
    recipient = _recipient(unit, asked, links, now)
    part = _part(whole, asked, recipient, now, wording)
    _require_other(whole, part, asked, links)
    if asked.text("consent-way"):
        asking = (
            [unit.principal.organization]
            if unit.principal.organization
            else sorted(links.organizations(whole.get("owner")))
        )
        consent = consent_of(asked, links.key(whole["for"]), asking, recipient.organizations, now)
        made = unit.write(_valid(engine, consent), engine.ids.new_id(), "POST", None)
        part["input"] = [*items(part.get("input")), _input(wording.kind(CONSENT), f"Consent/{made.id}")]
    created = unit.write(_valid(engine, part), engine.ids.new_id(), "POST", None)
    if asked.one("part") is not True:
        changed = {**whole, "businessStatus": wording.concept(BUSINESS_STATUS, HANDED_OVER), "lastModified": now}
        unit.write(_valid(engine, changed), whole["id"], "PUT", current)
    return created


def _in_parameters(expression: str, asked: Asked) -> str:
    """Return where an element of what is composed stands in what was sent; elements of the Task itself stay."""
    name = next((name for start, name in _SENT.items() if expression.startswith(start)), "")
    return asked.place(name) if name else expression


def _recipient(unit: Unit, asked: Asked, links: Links, now: str) -> Recipients:
    chosen = asked.one("recipient")
    if found := list(recipient_issues(unit, [chosen], [asked.place("recipient", 0, "reference")], now)):
        raise RuleViolated(issues=found)
    return Recipients(({"reference": links.key(chosen)},), tuple(sorted(links.organizations(chosen))))


def _require_other(whole: Resource, part: Resource, asked: Asked, links: Links) -> None:
    """Refuse to hand a Task over to who has it, or who was asked before and did not answer yet or is at work."""
    place, there = asked.place("recipient", 0, "reference"), _addressed(part, links)
    if there == _addressed(whole, links) or (
        not there.service and there.owners & links.organizations(whole.get("owner"))
    ):
        text = (
            f"Task/{whole['id']} is with {' and '.join(sorted(there.owners))} already. Hand it over to somebody else."
        )
        raise RuleViolated(issues=[Issue("refer-recipient", "business-rule", text, place)])
    for other in links.parts_of(f"Task/{whole['id']}"):
        if other.get("status") not in TASK_ENDED and not is_aside(other) and _addressed(other, links) == there:
            text = (
                f"Task/{whole['id']} was handed over there before, and that is open: Task/{other['id']}, since "
                f"{str(other.get('authoredOn', ''))[:10]}. Nothing was sent. Ask there how it goes, or cancel that one first."
            )
            raise Conflict(text, key="referral-duplicate", code="duplicate", expression=place)


def _addressed(task: Resource, links: Links) -> _Addressee:
    owner = task.get("owner")
    return _Addressee(links.organizations(owner) or frozenset({links.key(owner)}), links.key(service_of(task)))


def _part(whole: Resource, asked: Asked, recipient: Recipients, now: str, wording: Wording) -> Resource:
    """Return the sub-task: what is asked stays, who asks is the owner of the whole, why is the reason of the hand-over."""
    (performer,) = recipient.performers
    service = performer["reference"].startswith("HealthcareService/")
    owner = {"reference": recipient.organizations[0]} if service and recipient.organizations else performer
    made: Resource = {
        "resourceType": "Task",
        "meta": {"profile": [TASK_PROFILE]},
        "identifier": whole.get("identifier"),
        "basedOn": whole.get("basedOn"),
        "groupIdentifier": whole.get("groupIdentifier"),
        "partOf": [{"reference": f"Task/{whole['id']}"}],
        "status": "requested",
        "intent": "order",
        "priority": whole.get("priority"),
        "code": {"coding": [FULFILL]},
        "description": whole.get("description"),
        "_description": whole.get("_description"),
        "focus": whole.get("focus"),
        "for": {"reference": whole["for"]["reference"]} if "reference" in whole["for"] else whole["for"],
        "authoredOn": now,
        "lastModified": now,
        "requester": whole.get("owner"),
        "owner": owner,
        "reasonCode": {"text": asked.text("reason")},
        "restriction": {"period": {"end": asked.text("contact-by")}} if asked.text("contact-by") else None,
        "input": [_input(wording.kind(SERVICE_PARAMETER), performer["reference"])] if service else None,
    }
    return {name: value for name, value in made.items() if value is not None}


def _input(kind: Resource, target: str) -> Resource:
    return {"type": kind, "valueReference": {"reference": target}}


def _valid(engine: Engine, resource: Resource) -> Resource:
    require_valid(engine, resource)
    return resource


HAND_OVER: Final = (
    Interaction("POST", "type/id/$hand-over", "hand-over", "instance", hand_over, DEFINITION, ("Task",)),
)
