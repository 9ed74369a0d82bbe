"""Asking instead of ticking: a Questionnaire is filled in, and the needs that were answered lead to the services.

There is no person yet: the answers go sealed from page to page, and are stored when the referral is sent.
"""

import secrets
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Response

from fhir_server.http.pages.kept_answers import FIELD, LONGEST, opened, sealed
from fhir_server.http.pages.needs import ASKED, needs_page
from fhir_server.http.pages.questions import (
    KEPT,
    Answers,
    Question,
    answers_in,
    answers_of,
    asked,
    response_of,
    text_of,
)
from fhir_server.http.pages.reading import Reading, extract, read_answers, reading_of
from fhir_server.http.pages.referral import form_identifier
from fhir_server.http.pages.visit import Form, Visit, check_referrer
from fhir_server.interactions.status import status_of_error
from fhir_server.model.clock import render_instant
from fhir_server.model.errors import FhirError
from fhir_server.model.resource import Resource

_CHANGE = "change"


class Frame(NamedTuple):
    """What stands around the questions: the way back, a hint, what is done with the answers, and who is asked ("": nobody yet)."""

    back: str
    back_text: str
    hint: str
    send: str
    person: str = ""


async def show(visit: Visit) -> Response:
    """Show an empty questionnaire; what was filled in on the page before goes along."""
    check_referrer(visit)
    resource = await _read(visit)
    return await _page(visit, resource, _asked(visit, resource, {}, complete=False), [], _filled(visit.query))


async def send(visit: Visit) -> Response:
    """Look at what was answered: ask what follows from it, or go on to the needs with the answers."""
    check_referrer(visit)
    resource, form = await _read(visit), visit.form
    if form.one("do") == _CHANGE and not visit.switched:
        return await _change(visit, resource)
    answers, kept = answers_in(form), _kept(form)
    complete = form.one("do") == "go-on" and not visit.switched
    questions = _asked(visit, resource, answers, complete=complete)
    if not complete or any(one.wrong for one in questions):
        wrong = [visit.texts("questionnaire.missing")] if any(one.wrong for one in questions) else []
        return await _page(visit, resource, questions, wrong, kept)
    response = response_of(resource, answers, {one.id for one in questions})
    response |= {
        "identifier": form_identifier(secrets.token_hex(16)),
        "authored": render_instant(visit.site.engine.clock.now_ms()),
    }
    try:
        reading = await reading_of(visit, resource, await extract(visit, response))
    except FhirError as error:
        return await _page(visit, resource, questions, visit.words(error), kept, status_of_error(error))
    carried = sealed(visit, response)
    if len(carried) > LONGEST:
        return await _page(visit, resource, questions, [visit.texts("questionnaire.too-long")], kept)
    needs = dict.fromkeys(_needs(questions, reading))
    pairs = (*kept, *(("need", need) for need in needs))
    return await needs_page(visit, Form(pairs), (), answers=carried, reading=reading)


async def _change(visit: Visit, resource: Resource) -> Response:
    """Show the questionnaire with the answers that were given; the needs that came of them are not kept."""
    response = opened(visit, visit.form.one(FIELD, LONGEST))
    questions = _asked(visit, resource, answers_of(response), complete=False)
    reading = await read_answers(visit, response)
    made = set(_needs(questions, reading)) if reading is not None else set()
    kept = [pair for pair in _filled(visit.form) if pair[0] != "need" or pair[1] not in made]
    return await _page(visit, resource, questions, [], kept)


def _needs(questions: list[Question], reading: Reading) -> tuple[str, ...]:
    """Return the needs with which help is wanted; where `$extract` makes none of them, all that were answered."""
    if reading.needs is not None:
        return reading.needs
    return tuple(
        option.need for one in questions for option in one.options if option.need and option.value in one.answers
    )


def _filled(form: Form) -> list[tuple[str, str]]:
    """Return what was filled in on the page of the needs."""
    return [pair for pair in form.pairs if pair[0] in ASKED and pair[1]]


def _kept(form: Form) -> list[tuple[str, str]]:
    """Return what of that page goes along in the form of the questionnaire."""
    return _filled(Form(tuple((name.removeprefix(KEPT), value) for name, value in form.pairs if name.startswith(KEPT))))


def _asked(visit: Visit, resource: Resource, answers: Answers, *, complete: bool) -> list[Question]:
    return list(asked(resource.get("item", ()), answers, visit.texts.language, complete=complete))


async def _read(visit: Visit) -> Resource:
    return await visit.fhir.read(f"Questionnaire/{visit.path('id')}")


async def _page(
    visit: Visit,
    resource: Resource,
    questions: list[Question],
    wrong: Any,
    kept: list[tuple[str, str]],
    status: int = HTTPStatus.UNPROCESSABLE_ENTITY,
) -> Response:
    texts, query = visit.texts, urlencode(kept)
    back = f"/refer?{query}" if query else "/refer"
    frame = Frame(back, texts("questionnaire.back"), texts("questionnaire.hint"), texts("questionnaire.go-on"))
    return await asked_page(visit, resource, questions, wrong, kept, frame, status)


async def asked_page(
    visit: Visit,
    resource: Resource,
    questions: list[Question],
    wrong: Any,
    kept: list[tuple[str, str]],
    frame: Frame,
    status: int,
) -> Response:
    """Answer with a questionnaire as far as it was filled in; `wrong` says what is, `kept` goes along."""
    return await visit.page(
        "questionnaire.html",
        status=status if wrong else HTTPStatus.OK,
        returnable=not frame.person and not any(one.answers for one in questions),
        title=text_of(resource, "title", visit.texts.language),
        description=text_of(resource, "description", visit.texts.language),
        questions=questions,
        wrong=wrong,
        kept=[(KEPT + name, value) for name, value in kept],
        frame=frame,
    )
