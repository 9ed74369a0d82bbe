"""Where the referrals of a practice are now."""

from typing import NamedTuple

from fastapi import Response

from fhir_server.http.pages.fhir import version_of
from fhir_server.http.pages.gate import refused
from fhir_server.http.pages.person import needs_of
from fhir_server.http.pages.referral import NUMBER
from fhir_server.http.pages.stored import stored_of
from fhir_server.http.pages.task import Message, Step, messages_of, timeline_of
from fhir_server.http.pages.tasks import OPEN, Names, is_later, is_overdue, own_references
from fhir_server.http.pages.visit import Visit
from fhir_server.http.pages.words import due_of, labels, reference_of, said, starts_of
from fhir_server.model.clock import render_instant
from fhir_server.model.errors import FhirError, Forbidden, Malformed
from fhir_server.model.resource import Resource
from fhir_server.workflow.case import is_aside
from fhir_server.workflow.wording import in_language

_COUNT = "50"


class Sent(NamedTuple):
    """One referral in the list."""

    id: str
    person: str
    need: str
    when: str
    status: str
    tasks: list["Part"]


class Part(NamedTuple):
    """What became of a referral at one organisation."""

    owner: str
    about: str
    """What a Task beside the referral asks for, such as a follow-up; "" for the referral itself."""
    status: str
    step: str
    starts: str
    due: str
    overdue: bool


class Whole(NamedTuple):
    """A part with all that happened."""

    part: Part
    timeline: list[Step]
    messages: list[Message]


async def listed(visit: Visit) -> Response:
    """List the referrals of the own organisation, newest first; those that its people sent under their own role too."""
    if not visit.organization:
        raise Forbidden("Referrals belong to an organisation; this account has none.", key="access-role")
    fhir = visit.fhir
    after = visit.query.one("after", 8000)
    page = await fhir.search(
        "ServiceRequest",
        ("requester", await own_references(fhir)),
        ("_sort", "-authored"),
        ("_count", _COUNT),
        *((("_cursor", after),) if after else ()),
    )
    requests = page.matches
    tasks = await _tasks(visit, [one["id"] for one in requests])
    names, known = Names(fhir), labels(await fhir.choices("business-status"))
    sent = [
        Sent(
            one["id"],
            await names.of(reference_of(one.get("subject"))),
            said(one.get("code")),
            str(one.get("authoredOn", "")),
            one["status"],
            [await _part(visit, task, names, known) for task in tasks.get(one["id"], ())],
        )
        for one in requests
    ]
    return await visit.page("referrals.html", sent=sent, following=page.following)


async def show(visit: Visit) -> Response:
    """Show one referral: to whom it went, what happened there, and the feedback."""
    fhir, names = visit.fhir, Names(visit.fhir)
    request = await fhir.read(f"ServiceRequest/{visit.path('id')}")
    known = labels(await fhir.choices("business-status")) | labels(await fhir.choices("status-reason"))
    tasks = (await _tasks(visit, [request["id"]])).get(request["id"], [])
    parts = [
        Whole(
            await _part(visit, task, names, known),
            await timeline_of(visit, task, known),
            await messages_of(visit, task, names),
        )
        for task in tasks
    ]
    numbers = [one["value"] for one in request.get("identifier", ()) if one.get("system") == NUMBER and "value" in one]
    return await visit.page(
        "referral.html",
        request=request,
        version=version_of(request),
        person=await names.of(reference_of(request.get("subject"))),
        needs=await needs_of(visit, request),
        reason="; ".join(said(one) for one in request.get("reasonCode", ())),
        number=next(iter(numbers), ""),
        parts=parts,
        may_withdraw=request["status"] in ("draft", "active", "on-hold") and visit.refers,
        again=any(task["status"] == "rejected" for task in tasks),
        done=visit.query.one("done", 40),
        stored=await stored_of(visit, request),
    )


async def withdraw(visit: Visit) -> Response:
    """Withdraw a referral; what is still open at organisations ends with it."""
    place, words = f"ServiceRequest/{visit.path('id')}", visit.form.one("words", 1000)
    version = visit.form.one("version", 20)
    if not version.isdecimal():
        raise Malformed("The form does not say which version it is about. Open the referral again.", key="form-field")
    operations: list[Resource] = [{"op": "add", "path": "/status", "value": "revoked"}]
    back = f"/referrals/{visit.path('id')}"
    try:
        if words:
            request = await visit.fhir.read(place)
            note = {"text": words, "time": render_instant(visit.site.engine.clock.now_ms())}
            added = {"path": "/note/-", "value": note} if "note" in request else {"path": "/note", "value": [note]}
            operations.append({"op": "add", **added})
        await visit.fhir.patch(place, version, operations)
    except FhirError as error:
        return await refused(visit, error, back)
    return visit.see_other(f"{back}?done=withdrawn")


async def _tasks(visit: Visit, requests: list[str]) -> dict[str, list[Resource]]:
    """Return the Tasks of referrals by the id of the referral, oldest first."""
    found: dict[str, list[Resource]] = {}
    for start in range(0, len(requests), 50):
        part = ",".join(f"ServiceRequest/{one}" for one in requests[start : start + 50])
        page = await visit.fhir.search("Task", ("focus", part), ("_sort", "authored-on"), ("_count", "500"))
        for task in page.matches:
            found.setdefault(reference_of(task["focus"]).rpartition("/")[2], []).append(task)
    return found


async def _part(visit: Visit, task: Resource, names: Names, known: dict[str, str]) -> Part:
    now = visit.site.engine.clock.now_ms()
    return Part(
        await names.of(reference_of(task.get("owner"))),
        in_language(task, "description", visit.texts.language) if is_aside(task) else "",
        "later" if is_later(task, now) else task["status"],
        said(task.get("businessStatus"), known),
        starts_of(task),
        due_of(task) if task["status"] in OPEN else "",
        is_overdue(task, now),
    )
