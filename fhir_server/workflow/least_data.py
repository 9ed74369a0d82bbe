"""What stands on a Task before it is accepted: enough to decide, too little to know who it is (design, least data).

The need and one line of reason stand in `description` and `reasonCode`; age band and municipality are inputs.
"""

from collections.abc import Iterator
from typing import Final

from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource
from fhir_server.workflow.case import Case
from fhir_server.workflow.keys import violation
from fhir_server.workflow.links import items
from fhir_server.workflow.permission import goes_out
from fhir_server.workflow.wording import Wording

AGE_BAND, MUNICIPALITY = "age-band", "municipality"
_BANDS: Final = ((12, "0-11"), (18, "12-17"), (25, "18-24"), (45, "25-44"), (65, "45-64"), (80, "65-79"))
_OLDEST: Final = "80+"
_UNTAKEN: Final = frozenset({"draft", "requested", "received", "ready"})
_PERSONS: Final = frozenset({"Patient", "RelatedPerson", "Person"})


def inputs_about(patient: Resource | None, now: str, wording: Wording) -> list[Resource]:
    """Return the inputs that say how old somebody is and where they live, as far as it is known."""
    if patient is None or patient.get("resourceType") != "Patient":
        return []
    said = {AGE_BAND: _age_band(patient, now), MUNICIPALITY: _municipality(patient)}
    return [{"type": wording.kind(code), "valueString": value} for code, value in said.items() if value]


def least_data_issues(case: Case) -> tuple[Issue, ...]:
    """Return an issue for each place where a Task that nobody took up yet says who the person is."""
    task = case.after
    if case.imported or task.get("status") not in _UNTAKEN or not goes_out(task, case.links):
        return ()
    return tuple(_issues(task))


def _issues(task: Resource) -> Iterator[Issue]:
    person = task.get("for") or {}
    for name in ("display", "identifier"):
        if name in person and "reference" in person:
            yield _told(f"Task.for.{name}")
    for index, one in enumerate(items(task.get("contained"))):
        if one.get("resourceType") in _PERSONS:
            yield _told(f"Task.contained[{index}]")


def _told(place: str) -> Issue:
    text = (
        f"{place} says who the person is before anybody accepted the Task. Leave it out: the reference is enough, and "
        "whoever accepts can follow it."
    )
    return violation("task-least-data", text, place)


def _age_band(patient: Resource, now: str) -> str:
    born = patient.get("birthDate")
    if not isinstance(born, str) or len(born) < 4:  # noqa: PLR2004  # a year
        return ""
    years = int(now[:4]) - int(born[:4])
    if len(born) == 10 and now[5:10] < born[5:10]:  # noqa: PLR2004  # a whole date
        years -= 1
    return next((name for below, name in _BANDS if years < below), _OLDEST)


def _municipality(patient: Resource) -> str:
    homes = [one for one in items(patient.get("address")) if one.get("use") not in ("old", "billing")]
    return next((str(one["city"]) for one in homes if one.get("city")), "")
