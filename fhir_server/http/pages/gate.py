"""In front of every page: who looks, whether a form is one of ours, and what a refusal looks like."""

import hmac
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlsplit

import structlog
from fastapi import Request, Response

from fhir_server.http.pages.site import Site
from fhir_server.http.pages.visit import Visit, visit_of
from fhir_server.interactions.status import status_of_error
from fhir_server.model.errors import FhirError, Throttled, Unauthenticated, VersionConflict

Work = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]
_log = structlog.get_logger("fhir_server.pages")
_KINDS: Final = {
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.GONE: "not-found",
    HTTPStatus.TOO_MANY_REQUESTS: "busy",
    HTTPStatus.SERVICE_UNAVAILABLE: "busy",
}


def gated(site: Site, work: Work, *, public: bool = False) -> Endpoint:
    """Return the endpoint of a page; `public` pages are for who has not signed in."""

    async def endpoint(request: Request) -> Response:
        visit: Visit | None = None
        try:
            visit = await visit_of(site, request)
            if visit.session is None and not public:
                return _to_sign_in(visit)
            if request.method == "POST" and not _is_own(visit):
                return await _forged(visit)
            if visit.switched:
                visit.cookies.append(site.cookies.language(visit.texts.language))
            return await work(visit)
        except FhirError as error:
            if visit is None:
                return Response(error.issues[0].diagnostics, status_of_error(error), media_type="text/plain")
            if isinstance(error, Unauthenticated) and visit.session is None:
                return _to_sign_in(visit)
            return await refused(visit, error)
        except Exception as error:  # noqa: BLE001  # a defect of ours: its place is logged, no detail leaves the server
            _log.error("page failed", path=request.scope["route"].path, **_place(error))
            if visit is None:
                return Response(status_code=HTTPStatus.INTERNAL_SERVER_ERROR)
            return await visit.page(
                "failed.html", status=HTTPStatus.INTERNAL_SERVER_ERROR, kind="defect", said=(), back=""
            )

    return endpoint


async def refused(visit: Visit, error: FhirError, back: str = "") -> Response:
    """Answer with a page that says why the FHIR interface refused; only a version that is no longer current was somebody's change."""
    status = status_of_error(error)
    kind = "conflict" if isinstance(error, VersionConflict) else _KINDS.get(status, "refused")
    said = visit.words(error) if kind in ("refused", "forbidden") else []
    answer = await visit.page("failed.html", status=status, kind=kind, said=said, back=back)
    if isinstance(error, Throttled):
        answer.headers["retry-after"] = str(error.retry_after)
    return answer


def _is_own(visit: Visit) -> bool:
    """Tell whether a form came from a page of ours: from this very site, with the token of this session or browser."""
    headers, site = visit.request.headers, visit.site
    origin = headers.get("origin", "null")  # "null" says nothing: the token decides
    if origin != "null" and urlsplit(origin).netloc not in (headers.get("host"), urlsplit(site.base).netloc):
        return False
    sent = visit.form.one("csrf", 200)
    if visit.session is not None:
        return site.sessions.is_own_form(visit.session, sent)
    return bool(visit.visitor) and hmac.compare_digest(visit.csrf.encode(), sent.encode())


async def _forged(visit: Visit) -> Response:
    return await visit.page("failed.html", status=HTTPStatus.FORBIDDEN, kind="forged", said=(), back="")


def _to_sign_in(visit: Visit) -> Response:
    """Ask who it is, and come back here afterwards; what a form held is not kept."""
    came = visit.here if visit.request.method == "GET" else ""
    why = "&why=expired" if visit.expired else ""
    return visit.see_other(f"/sign-in?to={quote(came, safe='')}{why}")


def _place(error: Exception) -> dict[str, object]:
    """Describe where a defect struck, without any value."""
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "failure": type(error).__name__,
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-6:]],
    }
