"""A Task as it stands in a list, and the sections of an inbox."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from fhir_server.http.pages.fhir import Fhir
from fhir_server.http.pages.words import (
    BUSINESS,
    Labels,
    code_of,
    due_of,
    input_text,
    inputs,
    person_name,
    reference_of,
    said,
    starts_of,
)
from fhir_server.model.clock import render_instant
from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal
from fhir_server.workflow.case import is_follow_up
from fhir_server.workflow.wording import in_language

TAKEN: Final = frozenset({"accepted", "in-progress", "on-hold", "completed"})
"""The states in which the person may be known to the organisation, as far as the policies go."""
OPEN: Final = frozenset({"draft", "requested", "received", "ready", "accepted", "in-progress", "on-hold"})
REACHED: Final = ("contacted", "appointment-planned", "no-show", "intake-done", "support-started", "support-ended")
"""Steps that are only possible once the person was contacted."""
_UNTAKEN: Final = frozenset({"requested", "received"})
_UNREACHED: Final = frozenset({"requested", "received", "accepted"})


class Line(NamedTuple):
    """What a list shows of a Task."""

    id: str
    need: str
    reason: str
    person: str
    about: str
    """Age band and municipality."""
    requester: str
    status: str
    """That of the Task, "later" for what is not due yet."""
    step: str
    starts: str
    """From when a person is to be asked again, "" for a referral."""
    due: str
    overdue: bool
    changed: str


class Names:
    """Who is behind references; each is read once in a visit."""

    def __init__(self, fhir: Fhir) -> None:
        self._fhir = fhir
        self._known: dict[str, str] = {}

    async def of(self, reference: str) -> str:
        """Return the name of an organisation, service, role or person, "" when the visitor does not see it."""
        if reference not in self._known:
            self._known[reference] = ""  # a role that names itself ends here
            self._known[reference] = await self._read(reference)
        return self._known[reference]

    async def _read(self, reference: str) -> str:
        found = await self._fhir.seen(reference)
        if found is None:
            return ""
        if found["resourceType"] == "PractitionerRole":
            parts = [
                await self.of(reference_of(found.get("practitioner"))),
                await self.of(reference_of(found.get("organization"))),
            ]
            return ", ".join(part for part in parts if part)
        if isinstance(found.get("name"), str):
            return str(found["name"])
        return person_name(found)


async def own_references(fhir: Fhir) -> str:
    """Return the organisation of the visitor and the roles of its people, as a search takes them: any of these."""
    own = fhir.principal.organization
    roles = await fhir.search("PractitionerRole", ("organization", own), ("_elements", "id"), ("_count", "200"))
    return ",".join((own, *(f"PractitionerRole/{one['id']}" for one in roles.matches)))


def is_overdue(task: Resource, now_ms: int) -> bool:
    """Tell whether nobody reached the person within the term."""
    due = due_of(task)
    if not due or task["status"] not in _UNREACHED or code_of(task.get("businessStatus"), BUSINESS) in REACHED:
        return False
    return parse_temporal(due).hi <= now_ms * 1000


def is_later(task: Resource, now_ms: int) -> bool:
    """Tell whether a Task nobody took up yet is for a day to come."""
    starts = starts_of(task)
    return bool(starts) and task["status"] in _UNTAKEN and parse_temporal(starts).lo > now_ms * 1000


def section_query(name: str, owners: str, now_ms: int) -> tuple[tuple[str, str], ...]:
    """Return the search for one section of the inbox of an organisation and its roles (`own_references`). Raises KeyError for another name."""
    now = render_instant(now_ms)
    reached = [f"{BUSINESS}|{code}" for code in REACHED]
    late = f"not (status eq accepted and due eb {now})"
    mine = ("owner", owners)
    sections: dict[str, tuple[tuple[str, str], ...]] = {
        "new": (
            mine,
            ("status", "requested,received"),
            ("_filter", f"not (due eb {now}) and not (due sa {now})"),
            ("_sort", "due"),
        ),
        "overdue": (
            mine,
            ("status", "requested,received,accepted"),
            ("due", f"eb{now}"),
            ("business-status:not", ",".join(reached)),
            ("_sort", "due"),
        ),
        "running": (
            mine,
            ("status", "accepted,in-progress,on-hold"),
            ("_filter", " or ".join((late, *(f"business-status eq {one}" for one in reached)))),
            ("_sort", "-_lastUpdated"),
        ),
        "later": (mine, ("status", "requested,received"), ("due", f"sa{now}"), ("_sort", "due")),
        "pool": (("owner:missing", "true"), ("status", "requested"), ("_sort", "due")),
        "closed": (mine, ("status", "completed,rejected,cancelled,failed"), ("_sort", "-_lastUpdated")),
    }
    return sections[name]


async def lines(tasks: Iterable[Resource], fhir: Fhir, known: Labels, now_ms: int) -> list[Line]:
    """Return what a list shows of Tasks; the person only once the Task was accepted."""
    names = Names(fhir)
    return [await _line(task, names, known, now_ms, fhir.language) for task in tasks]


async def _line(task: Resource, names: Names, known: Labels, now_ms: int, language: str) -> Line:
    known_person = task["status"] in TAKEN or is_follow_up(task)  # who is asked again is known already
    person = await names.of(reference_of(task.get("for"))) if known_person else ""
    about = (input_text(task, "age-band"), input_text(task, "municipality"))
    return Line(
        task["id"],
        in_language(task, "description", language),
        said(task.get("reasonCode")),
        person or next((person_name({"name": [one["valueHumanName"]]}) for one in inputs(task, "person-name")), ""),
        " · ".join(part for part in about if part),
        "" if is_follow_up(task) else await names.of(reference_of(task.get("requester"))),
        "later" if is_later(task, now_ms) else task["status"],
        said(task.get("businessStatus"), known),
        starts_of(task),
        due_of(task),
        is_overdue(task, now_ms),
        task["meta"]["lastUpdated"],
    )
