"""Referring, in three pages: the needs and where the person lives, the services that fit, the person and the consent."""

import re
import secrets
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Response

from fhir_server.http.pages.kept_answers import FIELD, LONGEST, answers_kept, opened
from fhir_server.http.pages.needs import ASKED, needs_page
from fhir_server.http.pages.questions import is_day
from fhir_server.http.pages.referral import Order, send_order
from fhir_server.http.pages.suggestions import area_of, place_query, suggested
from fhir_server.http.pages.visit import Form, Visit, check_referrer
from fhir_server.http.pages.words import CODES, PROFILE, addresses, concept, labels, person_name
from fhir_server.interactions.status import status_of_error
from fhir_server.model.errors import FhirError, Malformed
from fhir_server.model.resource import Resource

_NUMBER: Final = re.compile(r"[0-9a-f]{32}")
_LONGEST_REASON: Final = 250
_LONGEST_FIELD: Final = 500
_MOST_FOUND: Final = "10"
_LONGEST_ADDRESS: Final = 2000
"""Characters of a link that every browser and proxy takes."""
_FIELDS: Final = (
    "given",
    "family",
    "birth",
    "phone",
    "email",
    "street",
    "postal",
    "city",
    "reason",
    "way",
    "find",
    "patient",
)


async def needs(visit: Visit) -> Response:
    """Ask what the person needs and where the person lives."""
    check_referrer(visit)
    return _shown_again(visit, "/refer") or await _needs(visit, ())


async def services(visit: Visit) -> Response:
    """Show which services fit, and why."""
    check_referrer(visit)
    again = _shown_again(visit, "/refer/services")
    return again or await _services(visit, visit.filled, unchosen=visit.filled.flag("none"))


async def person(visit: Visit) -> Response:
    """Ask who it is, and whether and how the person agreed."""
    check_referrer(visit)
    if not visit.query.all("service"):
        back = urlencode([*visit.query.pairs, ("none", "yes")])
        return visit.see_other(f"/refer/services?{back}")
    return await _person(visit, visit.query, await _home(visit, visit.query), (), named=False)


async def send(visit: Visit) -> Response:
    """Find a person who was referred before, or send the referral; in another language only show what was filled in."""
    check_referrer(visit)
    form = visit.form
    if visit.switched:
        return await _person_again(visit)
    if form.one("do") == "ask":
        if not form.all("service"):
            return await _services(visit, form, unchosen=True)
        return await _person(visit, form, await _home(visit, form), (), named=False)
    values, refused = form.read(_FIELDS, _LONGEST_FIELD)
    if form.one("do") == "find":
        return await _person(visit, form, values, (), found=await _find(visit, values["find"]))
    wrong = [words for one in refused for words in visit.words(one)] or _missing(visit, values)
    if wrong:
        return await _person(visit, form, values, wrong, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        made = await send_order(visit.fhir, await _order(visit, values))
    except FhirError as error:
        another = error.issues[0].key == "refer-response"
        said = [visit.texts("refer.answers-of-another")] if another else visit.words(error)
        return await _person(visit, form, values, said, status=status_of_error(error))
    return visit.see_other(f"/referrals/{made}?done=sent")


def _shown_again(visit: Visit, path: str) -> Response | None:
    """Lead to the address of what was filled in, so that the browser can go back to it; None where it has answers to carry."""
    pairs = [pair for pair in visit.form.pairs if pair[0] != "csrf"]
    address = f"{path}?{urlencode(pairs)}"
    if not visit.switched or visit.form.one(FIELD, LONGEST) or len(address) > _LONGEST_ADDRESS:
        return None
    return visit.see_other(address)


async def _person_again(visit: Visit) -> Response:
    form = visit.form
    values, _ = form.read(_FIELDS, _LONGEST_FIELD)
    offered = any(name == "patient" for name, _ in form.pairs)
    found = await _find(visit, values["find"]) if offered and values["find"] else None
    return await _person(visit, form, values, (), found=found)


async def _needs(visit: Visit, said: Any, status: int = HTTPStatus.OK) -> Response:
    return await needs_page(visit, visit.filled, said, status, answers=answers_kept(visit))


async def _services(visit: Visit, kept: Form, *, unchosen: bool) -> Response:
    """Answer with the services that fit; `unchosen` tells that none was ticked."""
    answers, chosen, place = answers_kept(visit), kept.all("need"), kept.one("place", 80)
    missing = [name for name, there in (("need", chosen), ("place", place)) if not there]
    if missing:
        return await _needs(visit, [visit.texts(f"refer.missing.{name}") for name in missing], HTTPStatus.BAD_REQUEST)
    asked = [*(("need", code) for code in chosen), place_query(place)]
    if age := kept.one("age", 10):
        asked.append(("age", age))
    asked += [("language", code) for code in kept.all("language")]
    asked += [("at-home", "true")] if kept.flag("at-home") else []
    asked += [("exclusions", "true")] if kept.flag("exclusions") else []
    try:
        found = await suggested(visit.fhir, asked, place)
    except FhirError as error:
        unknown = error.issues[0].key == "unknown-area"
        said = [visit.texts("refer.unknown-place", place=place)] if unknown else visit.words(error)
        return await _needs(visit, said, status_of_error(error))
    known = labels(await visit.fhir.choices("social-need"))
    asking = [pair for pair in kept.pairs if pair[0] in ASKED]
    return await visit.page(
        "refer-services.html",
        returnable=True,
        found=found,
        names=[known.get(code, code) for code in chosen],
        place=place,
        kept=asking,
        answers=answers,
        unchosen=unchosen,
        picked=frozenset(kept.all("service")),
        more=urlencode([*asking, ("exclusions", "yes")]),
        change=urlencode(asking),
        exclusions=kept.flag("exclusions"),
    )


async def _home(visit: Visit, kept: Form) -> dict[str, str]:
    """Return postal code and municipality of the place that was filled in, as far as they are known."""
    place = kept.one("place", 80)
    named = "postal" if place_query(place)[0] == "postal-code" else "city"
    address = ((await area_of(visit.fhir, place)) or {}).get("address", {})
    return {"postal": str(address.get("postalCode", "")), "city": str(address.get("city", ""))} | {named: place}


async def _person(
    visit: Visit,
    kept: Form,
    values: dict[str, str],
    said: Any,
    *,
    found: Any = None,
    status: int = HTTPStatus.OK,
    named: bool = True,
) -> Response:
    """Answer with the page of the person; `named` tells that somebody stands in it."""
    chosen = [await visit.fhir.read(f"HealthcareService/{name}") for name in kept.all("service")]
    known = labels(await visit.fhir.choices("social-need"))
    number = kept.one("number", 40)
    return await visit.page(
        "refer-person.html",
        status=status,
        returnable=not named,
        said=said,
        values={name: values.get(name, "") for name in _FIELDS},
        preferred=frozenset(kept.all("preference")),
        consented=kept.flag("consented"),
        escalates=visit.site.engine.rulebook.escalate,
        escalation=kept.flag("escalation"),
        services=[(one["id"], one.get("name", one["id"])) for one in chosen],
        names=[known.get(code, code) for code in kept.all("need")],
        kept=[pair for pair in kept.pairs if pair[0] in ASKED or pair[0] == "service"],
        asking=[pair for pair in kept.pairs if pair[0] in ASKED],
        answers=answers_kept(visit),
        ways=await visit.fhir.choices("consent-way"),
        preferences=await visit.fhir.choices("contact-preference"),
        number=number if _NUMBER.fullmatch(number) else secrets.token_hex(16),
        found=found,
        change=urlencode([pair for pair in kept.pairs if pair[0] in ASKED]),
    )


async def _find(visit: Visit, name: str) -> list[tuple[str, str, str]]:
    """Return people whom the visitor sees, by name: reference, name, birth date and town."""
    if len(name) < 2:  # noqa: PLR2004  # one letter finds everybody
        return []
    people = await visit.fhir.search("Patient", ("name", name.replace(",", "\\,")), ("_count", _MOST_FOUND))
    return [
        (
            f"Patient/{one['id']}",
            person_name(one),
            " · ".join([*filter(None, [visit.texts.day(one.get("birthDate", ""))]), *addresses(one)[:1]]),
        )
        for one in people.matches
    ]


def _missing(visit: Visit, values: dict[str, str]) -> list[str]:
    """Return what has to be filled in still, in the words of the page."""
    texts = visit.texts
    wrong = []
    if not values["patient"]:
        if not values["family"] and not values["given"]:
            wrong.append(texts("refer.missing.name"))
        if not values["phone"] and not values["email"] and not values["street"]:
            wrong.append(texts("refer.missing.contact"))
        if values["birth"] and not is_day(values["birth"]):
            wrong.append(texts("refer.missing.birth"))
    if not values["reason"] or len(values["reason"]) > _LONGEST_REASON:
        wrong.append(texts("refer.missing.reason"))
    if not visit.form.flag("consented") or not values["way"]:
        wrong.append(texts("refer.missing.consent"))
    return wrong


async def _order(visit: Visit, values: dict[str, str]) -> Order:
    form = visit.form
    number, answers = form.one("number", 40), answers_kept(visit)
    needs_asked, chosen = dict.fromkeys(form.all("need")), dict.fromkeys(form.all("service"))
    if not needs_asked or not chosen or not _NUMBER.fullmatch(number):
        raise Malformed("The form is not complete. Begin again with the needs.", key="form-field")
    return Order(
        values["patient"] or await _patient(visit, values),
        tuple(needs_asked),
        values["reason"],
        tuple(f"HealthcareService/{name}" for name in chosen),
        values["way"],
        number,
        opened(visit, answers) if answers else None,
        form.flag("escalation") if visit.site.engine.rulebook.escalate else None,
    )


async def _patient(visit: Visit, values: dict[str, str]) -> Resource:
    """Return the person as a Patient, with what was filled in and nothing else."""
    ways = labels(await visit.fhir.choices("contact-preference"))
    name = {"use": "usual", "family": values["family"], "given": [values["given"]] if values["given"] else None}
    address = {
        "use": "home",
        "line": [values["street"]] if values["street"] else None,
        "city": values["city"],
        "postalCode": values["postal"],
    }
    telecom = [{"system": system, "value": values[system]} for system in ("phone", "email") if values[system]]
    preferred = [
        {
            "url": f"{PROFILE}/contact-preference",
            "valueCodeableConcept": concept(f"{CODES}/contact-preference", code, ways[code]),
        }
        for code in visit.form.all("preference")
        if code in ways
    ]
    patient = {
        "resourceType": "Patient",
        "meta": {"profile": [f"{PROFILE}/referral-patient"]},
        "extension": preferred,
        "name": [_full(name)],
        "telecom": telecom,
        "birthDate": values["birth"],
        "address": [_full(address)],
    }
    return _full(patient)


def _full(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}
