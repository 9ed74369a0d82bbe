"""From a Result or a refusal to status, headers and bytes."""

from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple

from fhir_server.http.security import refusal_headers
from fhir_server.interactions.request import Kind, Request, Result
from fhir_server.interactions.status import status_of, status_of_error
from fhir_server.model.codec import encode, pretty
from fhir_server.model.errors import FhirError, MethodNotAllowed, Unavailable
from fhir_server.model.issue import Issue, operation_outcome
from fhir_server.validation.wording import outcome_in

Headers = list[tuple[bytes, bytes]]

_CONTENT_TYPE: Final = (b"content-type", b"application/fhir+json; charset=utf-8")


class Response(NamedTuple):
    """What goes out."""

    status: int
    headers: Headers
    body: bytes


def render(request: Request, result: Result, *, indent: bool = False) -> Response:
    """Render an answer: ETag and Last-Modified of its version, Location of a new one."""
    status = status_of(result.kind)
    headers: Headers = []
    version = result.version
    if version is not None:
        headers.append((b"etag", b'W/"%d"' % version.version))
        headers.append((b"last-modified", _http_date(version.last_updated // 1000)))
        if request.method not in ("GET", "HEAD") and not version.deleted:
            place = f"{request.base}/{version.type}/{version.id}/_history/{version.version}".encode()
            headers.append((b"location" if result.located else b"content-location", place))
    elif result.tag:
        headers.append((b"etag", b'W/"%s"' % result.tag.encode()))
        if result.modified:
            headers.append((b"last-modified", _http_date(result.modified // 1000)))
    body, language = result.body, result.language
    if body is None and result.issues:
        told, language = outcome_in(result.issues, request.languages)
        body = encode(operation_outcome(told))
    if language:
        headers.append((b"content-language", language.encode()))
    if body is None or result.kind is Kind.NOT_MODIFIED:
        return Response(status, headers, b"")
    headers.append((b"content-type", result.media_type.encode()) if result.media_type else _CONTENT_TYPE)
    return Response(status, headers, pretty(body) if indent else body)


@lru_cache(maxsize=4096)
def _http_date(seconds: int) -> bytes:
    """Render an HTTP date; what is read often was last changed at few different seconds."""
    return formatdate(seconds, usegmt=True).encode()


def render_error(error: FhirError, *, indent: bool = False, languages: str = "") -> Response:
    """Render a refusal as an OperationOutcome, in the best language for `languages` (Accept-Language)."""
    told, language = outcome_in(error.issues, languages)
    headers: Headers = [_CONTENT_TYPE, (b"content-language", language.encode())]
    headers += refusal_headers(error)
    if isinstance(error, Unavailable):
        headers.append((b"retry-after", b"%d" % error.retry_after))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    body = encode(operation_outcome(told))
    return Response(status_of_error(error), headers, pretty(body) if indent else body)


def render_failure(request_id: str) -> Response:
    """Render a defect of ours: no detail leaves the server, the request id finds it in the log."""
    text = f"The server failed on this request. Report the request id {request_id}."
    body = encode(operation_outcome([Issue("internal-error", "exception", text, severity="fatal")]))
    return Response(HTTPStatus.INTERNAL_SERVER_ERROR, [_CONTENT_TYPE, (b"content-language", b"en")], body)
