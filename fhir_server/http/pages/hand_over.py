"""Handing a referral over to somebody else, whole or in part: to whom, why, and whether the person agreed (`Task/$hand-over`)."""

from http import HTTPStatus
from typing import Any, Final, NamedTuple

from fastapi import Response

from fhir_server.http.pages.changing import back, done, reference
from fhir_server.http.pages.fhir import version_of
from fhir_server.http.pages.gate import refused
from fhir_server.http.pages.person import needs_of
from fhir_server.http.pages.suggestions import place_query, suggested
from fhir_server.http.pages.tasks import Names
from fhir_server.http.pages.visit import Visit
from fhir_server.http.pages.words import NEED, addresses, code_of, input_text, labels, reference_of
from fhir_server.interactions.status import status_of_error
from fhir_server.model.errors import FhirError, Forbidden, VersionConflict
from fhir_server.model.resource import Resource
from fhir_server.workflow.case import is_aside
from fhir_server.workflow.permission import service_of

COVERED: Final = "covered"
"""What stands for a way to agree where the consent of the referral covers the new recipient already."""
_FIELDS: Final = ("find", "recipient", "reason", "way")
_LONGEST_FIELD: Final = 500
_LONGEST_REASON: Final = 250
_MOST_FOUND: Final = "10"
_HELD: Final = frozenset({"accepted", "in-progress", "on-hold"})
_KINDS: Final = ("HealthcareService", "Organization")


class Recipient(NamedTuple):
    """Somebody to choose: a reference, how it is called, and what tells it from others."""

    reference: str
    name: str
    about: str


def may_hand_over(task: Resource) -> bool:
    """Tell whether the page offers to hand a Task over; whether it is allowed, the rules decide."""
    return task["status"] in _HELD and not is_aside(task)


async def show(visit: Visit) -> Response:
    """Ask to whom, why, and whether the person agreed."""
    task = await _read(visit)
    return await _page(visit, task, dict.fromkeys(_FIELDS, ""), (), version_of(task))


async def send(visit: Visit) -> Response:
    """Look for somebody by name, or hand over; in another language only show what was filled in."""
    task, looked_at = await _read(visit), visit.form.one("version", 20)
    values, wrong = visit.form.read(_FIELDS, _LONGEST_FIELD)
    if visit.switched or visit.form.one("do") == "find":
        return await _page(visit, task, values, (), looked_at)
    said = [words for one in wrong for words in visit.words(one)] or await _missing(visit, values)
    if said:
        return await _page(visit, task, values, said, looked_at, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        await visit.fhir.post(f"{reference(visit)}/$hand-over", _parameters(visit, values), looked_at)
    except VersionConflict as error:
        return await refused(visit, error, back(visit))
    except FhirError as error:
        return await _page(visit, task, values, visit.words(error), looked_at, status_of_error(error))
    return done(visit, "handed-over")


async def _read(visit: Visit) -> Resource:
    if not visit.receives:
        raise Forbidden("Handing over is for organisations that take referrals.", key="access-role")
    return await visit.fhir.read(reference(visit))


def _parameters(visit: Visit, values: dict[str, str]) -> Resource:
    parameter: list[Resource] = [
        {"name": "recipient", "valueReference": {"reference": values["recipient"]}},
        {"name": "reason", "valueString": values["reason"]},
    ]
    if values["way"] != COVERED:
        parameter.append({"name": "consent-way", "valueCode": values["way"]})
    if visit.form.flag("part"):
        parameter.append({"name": "part", "valueBoolean": True})
    return {"resourceType": "Parameters", "parameter": parameter}


async def _missing(visit: Visit, values: dict[str, str]) -> list[str]:
    """Return what has to be filled in still, in the words of the page."""
    texts, wrong = visit.texts, []
    if not values["recipient"]:
        wrong.append(texts("hand-over.missing.recipient"))
    if not values["reason"] or len(values["reason"]) > _LONGEST_REASON:
        wrong.append(texts("refer.missing.reason"))
    if values["way"] not in {COVERED, *labels(await visit.fhir.choices("consent-way"))}:
        wrong.append(texts("hand-over.missing.consent"))
    return wrong


async def _page(
    visit: Visit,
    task: Resource,
    values: dict[str, str],
    said: Any,
    looked_at: str,
    status: int = HTTPStatus.OK,
) -> Response:
    fhir = visit.fhir
    request = await fhir.seen(reference_of(task.get("focus"))) or {}
    fitting = await _fitting(visit, task, request)
    found = await _found(visit, values["find"])
    listed = {one.reference for one in (*fitting, *found)}
    chosen = values["recipient"]
    if chosen and chosen not in listed:  # chosen of an earlier search: it stays in sight
        found = [Recipient(chosen, await Names(fhir).of(chosen) or chosen, ""), *found]
    return await visit.page(
        "hand-over.html",
        status=status,
        said=said,
        task=task,
        version=looked_at,
        person=await Names(fhir).of(reference_of(task.get("for"))),
        needs=await needs_of(visit, request),
        values=values,
        part=visit.form.flag("part"),
        fitting=fitting,
        found=found,
        ways=await fhir.choices("consent-way"),
        covered=COVERED,
    )


async def _fitting(visit: Visit, task: Resource, request: Resource) -> list[Recipient]:
    """Return the services that fit the needs where the person lives; the one that has the Task is left out."""
    needs = dict.fromkeys(code for one in request.get("category", ()) if (code := code_of(one, NEED)))
    place = input_text(task, "municipality")
    if not needs or not place:
        return []
    try:
        found = await suggested(visit.fhir, [*(("need", code) for code in needs), place_query(place)], place)
    except FhirError:  # a place or need that the directory does not know: there is the search by name
        return []
    own = reference_of(service_of(task))
    return [
        Recipient(f"HealthcareService/{one.id}", one.name, " · ".join(filter(None, (one.provider, *one.reasons[:1]))))
        for one in found.services
        if f"HealthcareService/{one.id}" != own and one.organization != visit.organization
    ]


async def _found(visit: Visit, name: str) -> list[Recipient]:
    """Return services and organisations by name, without the own organisation."""
    if len(name) < 2:  # noqa: PLR2004  # one letter finds everybody
        return []
    names, found = Names(visit.fhir), []
    for kind in _KINDS:
        page = await visit.fhir.search(kind, ("name:contains", _escaped(name)), ("_count", _MOST_FOUND))
        for one in page.matches:
            provider = reference_of(one.get("providedBy"))
            about = await names.of(provider) if provider else " · ".join(addresses(one)[:1])
            if visit.organization not in (provider, f"{kind}/{one['id']}"):
                found.append(Recipient(f"{kind}/{one['id']}", str(one.get("name", one["id"])), about))
    return found


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\,$|" else letter for letter in text)
