"""The first page of referring: what the person needs, and where the person lives."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import Response

from fhir_server.http.pages.kept_answers import opened
from fhir_server.http.pages.offered import offered
from fhir_server.http.pages.reading import Reading, read_answers
from fhir_server.http.pages.visit import Form, Visit

ASKED: Final = ("need", "place", "age", "language", "at-home")
"""What the services are looked up by."""
LANGUAGES: Final = (
    "nl", "fr", "de", "en", "ar", "tr", "es", "it", "pl", "pt", "ro", "bg", "ru", "uk", "fa", "ps", "ti",
)  # fmt: skip


async def needs_page(
    visit: Visit,
    kept: Form,
    said: Any,
    status: int = HTTPStatus.OK,
    *,
    answers: str = "",
    reading: Reading | None = None,
) -> Response:
    """Answer with the page, filled in with what is kept; `answers` are sealed, `reading` is what they say where that is known."""
    if answers and reading is None:
        reading = await read_answers(visit, opened(visit, answers))
    place, age = kept.one("place", 80), kept.one("age", 10)
    return await visit.page(
        "refer-needs.html",
        status=status,
        returnable=True,
        said=said,
        answers=answers,
        reading=reading,
        questionnaires=() if answers else await offered(visit, place, age),
        domains=await visit.fhir.choices("social-need"),
        chosen=frozenset(kept.all("need")),
        place=place,
        age=age,
        languages_spoken=LANGUAGES,
        spoken=frozenset(kept.all("language")),
        at_home=kept.flag("at-home"),
    )
