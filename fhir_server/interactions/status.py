"""The only table from outcomes and domain errors to HTTP status codes (R4 http.html)."""

from http import HTTPStatus
from typing import Final

from fhir_server.interactions.request import Kind
from fhir_server.model import errors

_KINDS: Final = {
    Kind.OK: HTTPStatus.OK,
    Kind.CREATED: HTTPStatus.CREATED,
    Kind.NO_CONTENT: HTTPStatus.NO_CONTENT,
    Kind.NOT_MODIFIED: HTTPStatus.NOT_MODIFIED,
}

_ERRORS: Final[dict[type[errors.FhirError], HTTPStatus]] = {
    errors.Malformed: HTTPStatus.BAD_REQUEST,
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.NotSupported: HTTPStatus.BAD_REQUEST,
    errors.TooCostly: HTTPStatus.BAD_REQUEST,
    errors.RuleViolated: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Gone: HTTPStatus.GONE,
    errors.MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    errors.VersionConflict: HTTPStatus.PRECONDITION_FAILED,
    errors.PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    errors.UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.Throttled: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TimedOut: HTTPStatus.REQUEST_TIMEOUT,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


def status_of(kind: Kind) -> HTTPStatus:
    """Return the status of a request that was not refused."""
    return _KINDS[kind]


def status_of_error(error: errors.FhirError) -> HTTPStatus:
    """Return the status of a refusal."""
    return _ERRORS.get(type(error), HTTPStatus.BAD_REQUEST)


def status_line(status: HTTPStatus) -> str:
    """Render `201 Created`, as Bundle.entry.response.status carries it."""
    return f"{status.value} {status.phrase}"
