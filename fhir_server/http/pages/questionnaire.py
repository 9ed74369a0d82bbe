"""Asking instead of ticking: a Questionnaire is filled in, and the needs that were answered lead to the services.

There is no person yet: the answers go sealed from page to page, and are stored when the referral is sent.
"""

import secrets
from http import HTTPStatus
from typing import Any

from fastapi import Response

from fhir_server.http.pages.kept_answers import LONGEST, sealed
from fhir_server.http.pages.needs import needs_page
from fhir_server.http.pages.questions import Question, answers_in, asked, response_of, text_of
from fhir_server.http.pages.referral import form_identifier
from fhir_server.http.pages.visit import Form, Visit, check_referrer
from fhir_server.http.pages.words import NEED, code_of
from fhir_server.interactions.status import status_of_error
from fhir_server.model.clock import render_instant
from fhir_server.model.errors import FhirError
from fhir_server.model.resource import Resource

_SOMEBODY = {"type": "Patient", "display": "-"}
"""Stands in for the person, who is named on a later page."""


async def show(visit: Visit) -> Response:
    """Show an empty questionnaire."""
    check_referrer(visit)
    resource = await _read(visit)
    return await _page(visit, resource, _asked(visit, resource, {}, complete=False), [])


async def send(visit: Visit) -> Response:
    """Look at what was answered: ask what follows from it, or go on to the needs with the answers."""
    check_referrer(visit)
    resource, answers = await _read(visit), answers_in(visit.form)
    complete = visit.form.one("do") == "go-on"
    questions = _asked(visit, resource, answers, complete=complete)
    if not complete or any(one.wrong for one in questions):
        wrong = [visit.texts("questionnaire.missing")] if any(one.wrong for one in questions) else []
        return await _page(visit, resource, questions, wrong)
    response = response_of(resource, answers, {one.id for one in questions})
    response |= {
        "identifier": form_identifier(secrets.token_hex(16)),
        "authored": render_instant(visit.site.engine.clock.now_ms()),
    }
    try:
        given = await visit.fhir.post("QuestionnaireResponse/$extract", response | {"subject": _SOMEBODY})
    except FhirError as error:
        return await _page(visit, resource, questions, visit.words(error), status_of_error(error))
    kept = sealed(visit, response)
    if len(kept) > LONGEST:
        return await _page(visit, resource, questions, [visit.texts("questionnaire.too-long")])
    needs = _needs(resource, questions, given)
    return await needs_page(visit, Form(tuple(("need", need) for need in needs)), (), answers=kept)


def _needs(resource: Resource, questions: list[Question], extracted: Resource) -> dict[str, None]:
    """Return the needs with which help is wanted; where the questionnaire says nothing of that, all that were answered."""
    if any(one.get("resourceType") == "Condition" for one in resource.get("contained", ())):
        made = [one["resource"] for one in extracted.get("entry", ()) if one["resource"]["resourceType"] == "Condition"]
        return dict.fromkeys(code for one in made if (code := code_of(one.get("code"), NEED)))
    return dict.fromkeys(
        option.need for one in questions for option in one.options if option.need and option.value in one.answers
    )


def _asked(visit: Visit, resource: Resource, answers: dict[str, list[str]], *, complete: bool) -> list[Question]:
    return list(asked(resource.get("item", ()), answers, visit.texts.language, complete=complete))


async def _read(visit: Visit) -> Resource:
    return await visit.fhir.read(f"Questionnaire/{visit.path('id')}")


async def _page(
    visit: Visit,
    resource: Resource,
    questions: list[Question],
    wrong: Any,
    status: int = HTTPStatus.UNPROCESSABLE_ENTITY,
) -> Response:
    return await visit.page(
        "questionnaire.html",
        status=status if wrong else HTTPStatus.OK,
        title=text_of(resource, "title", visit.texts.language),
        description=text_of(resource, "description", visit.texts.language),
        questions=questions,
        wrong=wrong,
    )
