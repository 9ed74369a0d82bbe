"""The first page of referring: what the person needs, and where the person lives."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import Response

from fhir_server.http.pages.questions import leads, text_of
from fhir_server.http.pages.visit import Form, Visit

LANGUAGES: Final = (
    "nl", "fr", "de", "en", "ar", "tr", "es", "it", "pl", "pt", "ro", "bg", "ru", "uk", "fa", "ps", "ti",
)  # fmt: skip


async def needs_page(
    visit: Visit, kept: Form, said: Any, status: int = HTTPStatus.OK, *, answers: str = ""
) -> Response:
    """Answer with the page, filled in with what is kept; `answers` are sealed."""
    return await visit.page(
        "refer-needs.html",
        status=status,
        said=said,
        answers=answers,
        questionnaires=() if answers else await offered(visit),
        domains=await visit.fhir.choices("social-need"),
        chosen=frozenset(kept.all("need")),
        place=kept.one("place", 80),
        age=kept.one("age", 10),
        languages_spoken=LANGUAGES,
        spoken=frozenset(kept.all("language")),
        at_home=kept.flag("at-home"),
    )


async def offered(visit: Visit) -> list[tuple[str, str]]:
    """Return the questionnaires that lead to needs: id and title."""
    found = await visit.fhir.search("Questionnaire", ("status", "active"), ("_sort", "title"), ("_count", "100"))
    return [
        (one["id"], text_of(one, "title", visit.texts.language))
        for one in found.matches
        if "url" in one and leads(one.get("item", ()))
    ]
