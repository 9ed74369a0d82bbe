"""What is asked again after a referral: follow-up Tasks as PlanDefinitions lay them down (R4 plandefinition.html).

A plan is named by `ServiceRequest.instantiatesCanonical`. Of each action these elements count: `trigger` (a named event of
`EVENTS`), `timingRange` (from when to when, counted from the event), `participant.role` (who does it, a code of
CodeSystem/referral-role; `participant.type` patient for the person), `title` (what is asked, with its translations; it is
itself in the language of the plan) and `definitionCanonical` (a Questionnaire). Anything else in a plan is refused when the
artefacts load, so that no plan promises what is not done.
"""

import calendar
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal
from fhir_server.workflow.case import Case, is_aside
from fhir_server.workflow.codes import FOLLOW_UP_PROFILE, TASK_KIND
from fhir_server.workflow.effects import Create
from fhir_server.workflow.links import codings, items
from fhir_server.workflow.wording import Translations, translations_of

EVENTS: Final = ("referral-accepted", "referral-completed")
"""What may start an action: the first organisation took the referral up; a Task of it was completed."""
_ROLES: Final = {"link-worker": "owner", "intake-worker": "owner", "referrer": "requester"}
_UNITS: Final = {"d": 1, "wk": 7}
_MONTHS: Final = {"mo": 1, "a": 12}
_GOAL: Final = "http://hl7.org/fhir/StructureDefinition/resource-pertainsToGoal"
_KNOWN: Final = frozenset(
    {"id", "title", "_title", "description", "code", "trigger", "timingRange", "participant", "definitionCanonical"}
)


class Offset(NamedTuple):
    """A span of calendar time."""

    months: int
    days: int

    def after(self, start: date) -> date:
        """Return the day that lies so far behind; a month later than the 31st is the last day of a shorter month."""
        month = start.month - 1 + self.months
        year, month = start.year + month // 12, month % 12 + 1
        day = min(start.day, calendar.monthrange(year, month)[1])
        return date(year, month, day) + timedelta(days=self.days)


class Action(NamedTuple):
    """One thing to be asked: what starts it, from when to when, by whom, and with which Questionnaire ("": none)."""

    id: str
    title: str
    event: str
    opens: Offset
    closes: Offset
    who: str
    """`owner`, `requester` or `person`."""
    questionnaire: str
    titles: Translations
    """The title in each language that the plan has it in."""


class PlanUnusable(ValueError):
    """A PlanDefinition asks for something that the server does not do."""


def load_plans(definitions: Iterable[Resource]) -> dict[str, tuple[Action, ...]]:
    """Return canonical → actions of the active plans. Raises PlanUnusable, naming the plan and the element."""
    return {one["url"]: actions_of(one) for one in definitions if one.get("status") == "active" and "url" in one}


def actions_of(definition: Resource) -> tuple[Action, ...]:
    """Read the actions of one plan. Raises PlanUnusable."""
    found = []
    for index, action in enumerate(items(definition.get("action"))):
        place = f"PlanDefinition/{definition.get('id')}: PlanDefinition.action[{index}]"
        if others := sorted(set(action) - _KNOWN):
            raise PlanUnusable(f"{place}.{others[0]} is not understood. An action has {', '.join(sorted(_KNOWN))}.")
        found.append(_action(action, place, definition.get("language", "")))
    if len({one.id for one in found}) != len(found):
        raise PlanUnusable(f"PlanDefinition/{definition.get('id')}: two actions have the same id.")
    return tuple(found)


def planned(case: Case, plans: Mapping[str, tuple[Action, ...]]) -> Iterator[Create]:
    """Yield the follow-up Tasks that the change of a Task brings about, each once for the whole referral."""
    event, request = _event(case), case.request
    if not event or request is None or not plans:
        return
    standing: set[str] | None = None
    for named in items(request.get("instantiatesCanonical")):
        url = str(named).partition("|")[0]
        for action in plans.get(url, ()):
            if action.event != event:
                continue
            if standing is None:
                standing = {task.get("instantiatesUri", "") for task in case.links.tasks_of(case.request_key)}
            origin = f"{url}#{action.id}"
            if origin not in standing:
                yield Create(_task(case, request, action, origin))


def _event(case: Case) -> str:
    if case.imported or is_aside(case.after) or case.after.get("partOf") or case.status == case.status_before:
        return ""
    if case.status in ("accepted", "in-progress") and case.status_before in ("", "draft", "requested", "received"):
        return EVENTS[0]
    return EVENTS[1] if case.status == "completed" else ""


def _task(case: Case, request: Resource, action: Action, origin: str) -> Resource:
    task, wording = case.after, case.wording
    today = datetime.fromtimestamp(parse_temporal(case.now).lo / 1_000_000, UTC).date()
    owner = {"owner": task.get("owner"), "requester": task.get("requester"), "person": task.get("for")}[action.who]
    inputs = []
    if action.questionnaire:
        inputs.append({"type": wording.kind("questionnaire"), "valueCanonical": action.questionnaire})
    inputs += [
        {"type": wording.kind("person-goal"), "valueReference": one["valueReference"]}
        for one in items(request.get("extension"))
        if one.get("url") == _GOAL and "valueReference" in one
    ]
    made: Resource = {
        "resourceType": "Task",
        "meta": {"profile": [FOLLOW_UP_PROFILE]},
        "identifier": task.get("identifier"),
        "instantiatesUri": origin,
        "basedOn": task.get("basedOn"),
        "partOf": [{"reference": case.key}],
        "status": "requested",
        "intent": "order",
        "code": wording.concept(TASK_KIND, "follow-up"),
        **wording.element("description", action.titles, action.title),
        "focus": task.get("focus"),
        "for": task.get("for"),
        "authoredOn": case.now,
        "lastModified": case.now,
        "requester": task.get("owner"),
        "owner": owner,
        "restriction": {
            "period": {"start": action.opens.after(today).isoformat(), "end": action.closes.after(today).isoformat()}
        },
        "input": inputs,
    }
    return {name: value for name, value in made.items() if value not in (None, [])}


def _action(action: Resource, place: str, language: str) -> Action:
    events = [one.get("name") for one in items(action.get("trigger"))]
    if len(events) != 1 or events[0] not in EVENTS:
        raise PlanUnusable(f"{place}.trigger names one event of {', '.join(EVENTS)}.")
    if "id" not in action or "title" not in action:
        raise PlanUnusable(f"{place} has an id and a title.")
    span = action.get("timingRange") or {}
    own = {language.partition("-")[0]: action["title"]} if language else {}
    return Action(
        action["id"],
        action["title"],
        events[0],
        _offset(span.get("low"), f"{place}.timingRange.low"),
        _offset(span.get("high"), f"{place}.timingRange.high"),
        _who(action, place),
        action.get("definitionCanonical", ""),
        own | translations_of(action, "title"),
    )


def _offset(quantity: Resource | None, place: str) -> Offset:
    code, value = (quantity or {}).get("code", ""), (quantity or {}).get("value")
    if value is None or int(value) != value or value < 0 or code not in (*_UNITS, *_MONTHS):
        raise PlanUnusable(f"{place} is a whole number of d, wk, mo or a.")
    number = int(value)
    return Offset(number * _MONTHS[code], 0) if code in _MONTHS else Offset(0, number * _UNITS[code])


def _who(action: Resource, place: str) -> str:
    for participant in items(action.get("participant")):
        if participant.get("type") == "patient":
            return "person"
        found = [_ROLES[code] for _, code in codings(participant.get("role")) if code in _ROLES]
        if found:
            return found[0]
    raise PlanUnusable(f"{place}.participant is of type patient, or has a role of {', '.join(_ROLES)}.")
