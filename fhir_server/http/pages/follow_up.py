"""Asking a person again: the questionnaire of a follow-up Task is filled in, and its answers become the result of the Task.

The answers, what `$extract` makes of them and the end of the Task are one transaction: all of it is stored, or nothing.
"""

import secrets
from http import HTTPStatus
from typing import Any, Final

from fastapi import Response

from fhir_server.http.pages.changing import LONGEST_WORDS, back, done, now, read_kind, reference, setting, version
from fhir_server.http.pages.fhir import version_of
from fhir_server.http.pages.gate import refused
from fhir_server.http.pages.questionnaire import Frame, asked_page
from fhir_server.http.pages.questions import KEPT, Answers, Question, answers_in, asked, response_of, text_of
from fhir_server.http.pages.reading import questionnaire_of
from fhir_server.http.pages.referral import form_identifier
from fhir_server.http.pages.tasks import Names
from fhir_server.http.pages.visit import Visit
from fhir_server.http.pages.words import PARAMETER, concept, inputs, reference_of
from fhir_server.interactions.status import status_of_error
from fhir_server.model.errors import FhirError, Malformed, NotFound, RuleViolated, VersionConflict
from fhir_server.model.resource import Resource
from fhir_server.workflow.case import is_follow_up

_HELD: Final = frozenset({"accepted", "in-progress", "on-hold"})


async def questionnaire_for(visit: Visit, task: Resource) -> Resource:
    """Return the questionnaire that a Task asks for, {} when it names none or it is not here."""
    named = next((str(one["valueCanonical"]) for one in inputs(task, "questionnaire") if "valueCanonical" in one), "")
    return await questionnaire_of(visit, {"questionnaire": named}) if named else {}


async def show(visit: Visit) -> Response:
    """Show the questionnaire, empty."""
    task, resource = await _read(visit)
    return await _page(visit, task, resource, _asked(visit, resource, {}, complete=False), [], version_of(task))


async def send(visit: Visit) -> Response:
    """Look at what was answered: ask what follows from it, or store the answers and end the Task with them."""
    task, resource = await _read(visit)
    answers, looked_at = answers_in(visit.form), visit.form.one(f"{KEPT}version", 20)
    complete = visit.form.one("do") == "go-on" and not visit.switched
    questions = _asked(visit, resource, answers, complete=complete)
    if not complete or any(one.wrong for one in questions):
        wrong = [visit.texts("questionnaire.missing")] if any(one.wrong for one in questions) else []
        return await _page(visit, task, resource, questions, wrong, looked_at)
    response = response_of(resource, answers, {one.id for one in questions})
    try:
        await _store(visit, task, response, looked_at)
    except VersionConflict as error:  # what was typed is not lost: it can be looked at, and sent once more
        said = [visit.texts("follow-up.changed")]
        task = await visit.fhir.read(reference(visit))
        if task["status"] not in _HELD:
            return await refused(visit, error, back(visit))
        return await _page(visit, task, resource, questions, said, version_of(task), status_of_error(error))
    except FhirError as error:
        return await _page(
            visit, task, resource, questions, visit.words(error), version_of(task), status_of_error(error)
        )
    return done(visit, "told")


async def tell(visit: Visit) -> Response:
    """End the Task with words alone: what the person told."""
    words = visit.form.one("words", LONGEST_WORDS)
    if not words:
        raise Malformed("Write a line.", key="form-field")
    try:
        task = await read_kind(visit, is_follow_up)
        outputs = [*task.get("output", ()), _result() | {"valueString": words}]
        await visit.fhir.patch(
            reference(visit), version(visit), [setting("status", "completed"), setting("output", outputs)]
        )
    except FhirError as error:
        return await refused(visit, error, back(visit))
    return done(visit, "told")


async def _store(visit: Visit, task: Resource, response: Resource, looked_at: str) -> None:
    """Store the answers with what they give rise to, as the result of the Task. Raises FhirError when any of it is refused."""
    if version_of(task) != looked_at:
        raise VersionConflict("The Task was changed meanwhile.")
    whole = response | {
        "identifier": form_identifier(secrets.token_hex(16)),
        "authored": now(visit),
        "subject": {"reference": reference_of(task["for"])},
        "source": {"reference": reference_of(task["for"])},
        "author": {"reference": visit.organization},
    }
    extracted = await visit.fhir.post("QuestionnaireResponse/$extract", whole)
    entries: list[Resource] = extracted["entry"]
    stored = next(one for one in entries if one["resource"]["resourceType"] == "QuestionnaireResponse")
    output = _result() | {"valueReference": {"reference": stored["fullUrl"]}}
    ended = task | {"status": "completed", "output": [*task.get("output", ()), output]}
    request = {"method": "PUT", "url": reference(visit), "ifMatch": f'W/"{version_of(task)}"'}
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [*entries, {"resource": ended, "request": request}],
    }
    await visit.fhir.post("", bundle)


def _result() -> Resource:
    return {"type": concept(PARAMETER, "follow-up-result", "Result of the follow-up")}


def _asked(visit: Visit, resource: Resource, answers: Answers, *, complete: bool) -> list[Question]:
    return list(asked(resource.get("item", ()), answers, visit.texts.language, complete=complete))


async def _read(visit: Visit) -> tuple[Resource, Resource]:
    """Return the Task and its questionnaire. Raises NotFound or RuleViolated where there is nothing to be asked."""
    task = await read_kind(visit, is_follow_up)
    resource = await questionnaire_for(visit, task)
    if not resource:
        raise NotFound("This Task asks for no questionnaire that is here.")
    if task["status"] not in _HELD:
        raise RuleViolated(visit.texts("follow-up.not-taken"), key="form-field")
    return task, resource


async def _page(
    visit: Visit,
    task: Resource,
    resource: Resource,
    questions: list[Question],
    wrong: Any,
    looked_at: str,
    status: int = HTTPStatus.UNPROCESSABLE_ENTITY,
) -> Response:
    texts = visit.texts
    frame = Frame(
        back(visit),
        texts("task.back-to"),
        texts("follow-up.hint"),
        texts("follow-up.store"),
        await Names(visit.fhir).of(reference_of(task.get("for"))),
    )
    kept = [("version", looked_at)]
    return await asked_page(visit, resource, questions, wrong, kept, frame, status)


async def told_lines(visit: Visit, response: Resource) -> tuple[str, str]:
    """Return the title of the questionnaire of a response, and its answers, a line each."""
    resource = await questionnaire_of(visit, response)
    language = visit.texts.language
    texts = {one["linkId"]: one for one in _every(resource)}
    lines = []
    for item in _every(response):
        known = texts.get(item["linkId"], {})
        values = [said for one in item.get("answer", ()) if (said := _said(visit, known, one))]
        if values:
            question = text_of(known, "text", language) or str(item.get("text", item["linkId"]))
            lines.append(f"{question}: {', '.join(values)}")
    return text_of(resource, "title", language), "\n".join(lines)


def _every(holder: Resource) -> list[Resource]:
    """Return the items of a questionnaire or a response at every depth, in order."""
    found = []
    for item in holder.get("item", ()):
        found.append(item)
        found += _every(item)
        for answer in item.get("answer", ()):
            found += _every(answer)
    return found


def _said(visit: Visit, item: Resource, answer: Resource) -> str:
    """Return an answer as people read it: a choice as the questionnaire words it in their language."""
    value: Any = next((part for name, part in answer.items() if name.startswith("value")), "")
    if isinstance(value, bool):
        return visit.texts("yes") if value else visit.texts("no")
    if isinstance(value, dict):
        options = (one.get("valueCoding") or {} for one in item.get("answerOption", ()))
        same = (
            one for one in options if (one.get("system"), one.get("code")) == (value.get("system"), value.get("code"))
        )
        coding = next(same, value)
        return text_of(coding, "display", visit.texts.language) or str(value.get("code", value.get("value", "")))
    return str(value)
