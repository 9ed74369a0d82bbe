"""The entries of a batch-response or transaction-response."""

from collections.abc import Sequence

from fhir_server.interactions.request import Request, Result
from fhir_server.interactions.status import status_line, status_of, status_of_error
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import encode
from fhir_server.model.errors import FhirError
from fhir_server.model.issue import operation_outcome
from fhir_server.validation.wording import outcome_in


def response_bundle(kind: str, entries: Sequence[bytes]) -> bytes:
    """Join rendered entries into a Bundle."""
    listed = b',"entry":[%s]' % b",".join(entries) if entries else b""
    return b'{"resourceType":"Bundle","type":%s%s}' % (encode(kind), listed)


def response_entry(request: Request, result: Result) -> bytes:
    """Render what became of an entry, with its resource unless only the minimum was asked for."""
    response: dict[str, object] = {"status": status_line(status_of(result.kind))}
    version = result.version
    if version is not None:
        if not version.deleted:
            response["location"] = f"{request.base}/{version.type}/{version.id}/_history/{version.version}"
        response["etag"] = f'W/"{version.version}"'
        response["lastModified"] = render_instant(version.last_updated)
    if result.issues:
        response["outcome"] = operation_outcome(outcome_in(result.issues, request.languages)[0])
    full_url = b""
    if version is not None:
        full_url = b'"fullUrl":%s,' % encode(f"{request.base}/{version.type}/{version.id}")
    body = b"" if result.body is None or request.method == "HEAD" else b'"resource":%s,' % result.body
    return b'{%s%s"response":%s}' % (full_url, body, encode(response))


def error_entry(request: Request, error: FhirError) -> bytes:
    """Render the refusal of an entry."""
    status = status_line(status_of_error(error))
    told, _ = outcome_in(error.issues, request.languages)
    return encode({"response": {"status": status, "outcome": operation_outcome(told)}})
