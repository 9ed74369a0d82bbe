"""What `$refer` tells besides: that the place is not known here, and who learns of the referral when nobody acts in time."""

from collections.abc import Iterator
from typing import Final

from fhir_server.interactions.operations.refer_asked import Asked
from fhir_server.interactions.operations.refer_people import Recipients
from fhir_server.interactions.stamps_area import Areas
from fhir_server.interactions.unit import Unit
from fhir_server.model.clock import render_instant
from fhir_server.model.issue import Issue, Severity
from fhir_server.model.resource import Resource
from fhir_server.workflow.deadlines import watch_over
from fhir_server.workflow.links import Links
from fhir_server.workflow.routing import areas_of, contact_point

_ASKED: Final = "consent-escalation"


def watching_of(
    unit: Unit, asked: Asked, patient: Resource, found: Recipients, links: Links, now: str
) -> tuple[str, ...]:
    """Return the organisations that a consent covers for the case that nobody contacts the person in time.

    They are those of the contact point of the area, where the region escalates or the caller says that the person agreed.
    """
    if not _escalates(unit, asked):
        return ()
    service = contact_point(patient, links, now)
    there = links.organizations((service or {}).get("providedBy"))
    return tuple(sorted(there - set(found.organizations)))


def told(unit: Unit, asked: Asked, request: Resource, patient: Resource | None) -> Iterator[Issue]:
    """Yield what the caller should know of a referral that was made; `patient` is the person as it was sent."""
    links = Links(unit, unit.engine.own_base, unit.engine.rulebook.governs)
    now = render_instant(unit.uow.last_updated)
    person = patient or links.follow(request.get("subject"))
    yield from _place(unit, asked, person, now)
    if request.get("status") == "active" and (unit.engine.rulebook.escalate or asked.one(_ASKED) is True):
        yield from _watch(request, links, now)


def _escalates(unit: Unit, asked: Asked) -> bool:
    said = asked.one(_ASKED)
    return unit.engine.rulebook.escalate if said is None else said is True


def _place(unit: Unit, asked: Asked, person: Resource | None, now: str) -> Iterator[Issue]:
    """Tell a place that no area of the directory covers: it may be wrong, or the person lives elsewhere."""
    homes = areas_of(person, now) if person is not None else ()
    said = [part for home in homes for part in (home.municipality, home.postal, home.city) if part]
    if not said or Areas(unit.uow, unit.engine.registry).of(person, now):
        return
    text = (
        f"Where the person lives ({', '.join(dict.fromkeys(said))[:100]}) is in no area of this directory. The referral was sent "
        "all the same. Check the postal code or municipality; no contact point and no link worker is found by it."
    )
    given = [name for name in ("postal-code", "city", "address", "patient", "bundle") if name in asked.values]
    place = asked.place(given[0]) if given else "Parameters"
    yield Issue("unknown-area", "not-found", text, place, severity="warning")


def _watch(request: Resource, links: Links, now: str) -> Iterator[Issue]:
    tasks = links.tasks_of(f"ServiceRequest/{request['id']}")
    late = frozenset(one for task in tasks for one in links.organizations(task.get("owner")))
    watch = watch_over(request, late, links, now)
    point = f"HealthcareService/{watch.service['id']}" if watch.service else ""
    if not watch.missing:
        text = (
            f"The Consent lets the contact point of the area ({point}) learn of the referral when nobody contacts the person in "
            f"time, and not before. Tell the person so, or send {_ASKED}=false."
        )
        yield Issue("escalation-covered", "informational", text, "Parameters", severity="information")
        return
    why = {
        "nobody": "no contact point covers the place where the person lives",
        "late": f"the referral goes to the contact point of the area itself ({point})",
        "consent": f"the Consent does not cover the contact point of the area ({point})",
    }[watch.missing]
    text = f"When nobody contacts the person in time, nobody else is told: {why}. It shows in Task?overdue=true and in a note of the Task."
    severity: Severity = "information" if watch.missing == "late" else "warning"
    yield Issue("escalation-not-covered", "informational", text, "Parameters", severity=severity)
