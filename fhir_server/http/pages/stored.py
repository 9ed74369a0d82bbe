"""What is stored of a person's answers to questionnaires, as the one who asked them sees it."""

from typing import NamedTuple

from fhir_server.http.pages.questions import text_of
from fhir_server.http.pages.visit import Visit
from fhir_server.http.pages.words import reference_of
from fhir_server.model.resource import Resource

_MOST = 5
_LOOKED_AT = "100"


class Stored(NamedTuple):
    """One response: its questionnaire, when it was answered, and how much was made of it."""

    title: str
    when: str
    findings: int
    scores: int
    needs: int


async def stored_of(visit: Visit, request: Resource) -> list[Stored]:
    """Return what the visitor sees of the newest answers of the person who is referred."""
    person = reference_of(request.get("subject"))
    found = await visit.fhir.search("QuestionnaireResponse", ("subject", person), ("_count", _LOOKED_AT))
    newest = sorted(found.matches, key=lambda one: str(one.get("authored", "")), reverse=True)
    return [await _stored(visit, one) for one in newest[:_MOST]]


async def _stored(visit: Visit, response: Resource) -> Stored:
    own = f"QuestionnaireResponse/{response['id']}"
    made = await _count(visit, "Observation", ("derived-from", own))
    scores = await _count(visit, "Observation", ("derived-from", own), ("category", "survey"))
    needs = await _count(visit, "Condition", ("evidence-detail", own))
    return Stored(await _title(visit, response), str(response.get("authored", "")), made - scores, scores, needs)


async def _title(visit: Visit, response: Resource) -> str:
    url = str(response.get("questionnaire", "")).partition("|")[0]
    found = await visit.fhir.search("Questionnaire", ("url", url), ("_count", "1")) if url else None
    return text_of(found.matches[0], "title", visit.texts.language) if found and found.matches else url


async def _count(visit: Visit, resource_type: str, *query: tuple[str, str]) -> int:
    return (await visit.fhir.search(resource_type, *query, ("_summary", "count"))).total or 0
