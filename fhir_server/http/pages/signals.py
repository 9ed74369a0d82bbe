"""A signal of others on the page: whom to ask, what the person answered, and where the referral went then (docs/closed-loop.md)."""

from typing import Final, NamedTuple

from fastapi import Response

from fhir_server.http.pages.changing import back, done, ended, read_kind, reference, setting, version
from fhir_server.http.pages.gate import refused
from fhir_server.http.pages.person import Person
from fhir_server.http.pages.tasks import Names
from fhir_server.http.pages.visit import Visit
from fhir_server.http.pages.words import CODES, PARAMETER, concept, inputs, labels, person_name, reference_of
from fhir_server.model.errors import FhirError, Malformed
from fhir_server.model.resource import Resource
from fhir_server.workflow.case import is_aside, is_signal

_DECLINED: Final = "patient-declined"
_MOST: Final = "20"


class Onward(NamedTuple):
    """Where a referral went once the person had agreed; `id` is that of a Task of the own organisation, "" for others."""

    id: str
    owner: str


def told_person(task: Resource) -> Person | None:
    """Return whom to ask, as it stands on the Task of whoever took it; None before and afterwards."""
    names = [one["valueHumanName"] for one in inputs(task, "person-name") if "valueHumanName" in one]
    contacts = [one["valueContactPoint"] for one in inputs(task, "contact") if "valueContactPoint" in one]
    if not names and not contacts:
        return None
    reached = [(one.get("system", "other"), one["value"]) for one in contacts if "value" in one]
    return Person(person_name({"name": names}), "", reached, [], [], [])


async def onward(visit: Visit, task: Resource, own: frozenset[str]) -> list[Onward]:
    """Return the Tasks by which the referral left, as far as the visitor sees them."""
    found = await visit.fhir.search(
        "Task", ("focus", reference_of(task.get("focus"))), ("_sort", "authored-on"), ("_count", _MOST)
    )
    names = Names(visit.fhir)
    sent = [one for one in found.matches if not is_aside(one) and "partOf" not in one]
    owners = [reference_of(one.get("owner")) for one in sent]
    return [
        Onward(one["id"] if owner in own else "", await names.of(owner))
        for one, owner in zip(sent, owners, strict=True)
    ]


async def agreed(visit: Visit) -> Response:
    """Note how the person agreed: the consent holds and the referral leaves."""
    way = visit.form.one("way", 60)
    known = labels(await visit.fhir.choices("consent-way"))
    if way not in known:
        raise Malformed("Choose how the person agreed.", key="form-field")
    said = concept(f"{CODES}/consent-way", way, known[way])
    output = {"type": concept(PARAMETER, "consent-answer", "How the person agreed"), "valueCodeableConcept": said}
    try:
        task = await read_kind(visit, is_signal)
        outputs = [*task.get("output", ()), output]
        await visit.fhir.patch(
            reference(visit), version(visit), [setting("status", "completed"), setting("output", outputs)]
        )
    except FhirError as error:
        return await refused(visit, error, back(visit))
    return done(visit, "agreed")


async def not_agreed(visit: Visit) -> Response:
    """Note that the person does not want it: nothing of the referral ever leaves."""
    try:
        await read_kind(visit, is_signal)
    except FhirError as error:
        return await refused(visit, error, back(visit))
    return await ended(visit, "failed", "not-agreed", _DECLINED)
