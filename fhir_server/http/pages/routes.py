"""The addresses of the pages."""

from pathlib import Path
from typing import Final, NamedTuple

from fastapi import APIRouter, Request, Response

from fhir_server.http.pages import (
    follow_up,
    hand_over,
    inbox,
    questionnaire,
    refer,
    region,
    sent,
    sign_in,
    signals,
    task,
    task_changes,
)
from fhir_server.http.pages.gate import Work, gated
from fhir_server.http.pages.site import Site

_STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".js": "text/javascript; charset=utf-8"}


class Page(NamedTuple):
    """One row: the method, the address, what answers, and whether one must have signed in."""

    method: str
    path: str
    work: Work
    public: bool = False


PAGES: Final = (
    Page("GET", "/", sign_in.front_door, public=True),
    Page("GET", "/language/{language}", sign_in.language, public=True),
    Page("GET", "/sign-in", sign_in.form, public=True),
    Page("POST", "/sign-in", sign_in.send, public=True),
    Page("GET", "/sign-in/with", sign_in.with_provider, public=True),
    Page("GET", "/sign-in/return", sign_in.returned, public=True),
    Page("POST", "/sign-out", sign_in.out, public=True),
    Page("GET", "/inbox", inbox.overview),
    Page("GET", "/inbox/{section}", inbox.section),
    Page("GET", "/tasks/{id}", task.show),
    Page("POST", "/tasks/{id}/accept", task_changes.accept),
    Page("POST", "/tasks/{id}/decline", task_changes.decline),
    Page("POST", "/tasks/{id}/step", task_changes.step),
    Page("POST", "/tasks/{id}/feedback", task_changes.feedback),
    Page("POST", "/tasks/{id}/stop", task_changes.stop),
    Page("POST", "/tasks/{id}/agreed", signals.agreed),
    Page("POST", "/tasks/{id}/not-agreed", signals.not_agreed),
    Page("GET", "/tasks/{id}/questions", follow_up.show),
    Page("POST", "/tasks/{id}/questions", follow_up.send),
    Page("POST", "/tasks/{id}/told", follow_up.tell),
    Page("GET", "/tasks/{id}/hand-over", hand_over.show),
    Page("POST", "/tasks/{id}/hand-over", hand_over.send),
    Page("GET", "/refer", refer.needs),
    Page("POST", "/refer", refer.needs),
    Page("GET", "/refer/questionnaires/{id}", questionnaire.show),
    Page("POST", "/refer/questionnaires/{id}", questionnaire.send),
    Page("GET", "/refer/services", refer.services),
    Page("POST", "/refer/services", refer.services),
    Page("GET", "/refer/person", refer.person),
    Page("POST", "/refer/person", refer.send),
    Page("GET", "/referrals", sent.listed),
    Page("GET", "/referrals/{id}", sent.show),
    Page("POST", "/referrals/{id}/withdraw", sent.withdraw),
    Page("GET", "/region", region.show),
    Page("GET", "/region/figures.csv", region.csv_file),
    Page("GET", "/region/figures.json", region.report_file),
)


def pages_router(site: Site) -> APIRouter:
    """Return the routes of all pages and of what they load."""
    router = APIRouter()
    for row in PAGES:
        router.add_api_route(
            row.path, gated(site, row.work, public=row.public), methods=[row.method], include_in_schema=False
        )
    files = {file.name: (file.read_bytes(), _TYPES[file.suffix]) for file in _STATIC.iterdir() if file.suffix in _TYPES}

    async def static(request: Request) -> Response:
        found = files.get(str(request.path_params["name"]))
        if found is None:
            return Response(status_code=404)
        return Response(found[0], media_type=found[1], headers={"cache-control": "public, max-age=3600"})

    router.add_api_route("/static/{name}", static, methods=["GET"], include_in_schema=False)
    return router
