"""Where loaded resources go: over HTTP to any FHIR server, or (in `engine`) straight into our own store."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, Self

from fhir_server.model.codec import decode, encode
from fhir_server.model.errors import FhirError, Invalid, Unavailable
from fhir_server.model.issue import Issue
from fhir_server.model.resource import Resource

_JSON = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
_OK = range(200, 300)
_BUSY = (429, 503)


class EntryRefusal(NamedTuple):
    """An entry of a batch that was refused; `entry` is its index."""

    entry: int
    issues: Sequence[Issue]


class Loader(Protocol):
    """Takes resources; what it cannot take it raises as FhirError."""

    def put(self, resource: Resource) -> None:
        """Store one resource: under its id, or under a new one when it has none."""
        ...

    def bundle(self, bundle: Resource) -> list[EntryRefusal]:
        """Carry out a transaction or a batch; return the entries of a batch that were refused."""
        ...


class HttpLoader:
    """Loads over HTTP into the FHIR server at `base`. Waits and asks again, five times, when that server is busy."""

    def __init__(self, base: str, organization: str = "", roles: str = "", timeout: float = 60.0) -> None:
        import requests

        self._base = base.rstrip("/")
        self._timeout = timeout
        self._failure = requests.RequestException
        self._session = requests.Session()
        self._session.headers.update(_JSON)
        stated = {"X-Dev-Organization": organization, "X-Dev-Roles": roles}
        self._session.headers.update({name: value for name, value in stated.items() if value})

    def put(self, resource: Resource) -> None:
        """Store one resource: PUT to its id, or POST when it has none."""
        place = f"{self._base}/{resource['resourceType']}"
        if "id" in resource:
            self._send("PUT", f"{place}/{resource['id']}", resource)
        else:
            self._send("POST", place, resource)

    def bundle(self, bundle: Resource) -> list[EntryRefusal]:
        """POST a transaction or batch to the base."""
        answer = self._send("POST", self._base, bundle, prefer="return=representation")
        return refused_entries(answer)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def _send(self, method: str, url: str, body: Resource, prefer: str = "return=minimal") -> Any:
        for attempt in range(5):
            try:
                response = self._session.request(
                    method, url, data=encode(body), headers={"Prefer": prefer}, timeout=self._timeout
                )
            except self._failure as error:
                raise Unavailable(f"{method} {url} had no answer: {error}") from error
            if response.status_code not in _BUSY:
                break
            _wait(response.headers.get("Retry-After", ""), attempt)
        if response.status_code in _OK:
            return decode(response.content) if response.content else None
        raise Invalid(issues=outcome_issues(response.content, f"{method} {url} answered {response.status_code}."))


def refused_entries(answer: Any) -> list[EntryRefusal]:
    """Read the refusals out of a transaction-response or batch-response."""
    entries = answer.get("entry", []) if isinstance(answer, dict) else []
    refused = []
    for index, entry in enumerate(entries):
        response = entry.get("response", {})
        status = str(response.get("status", ""))
        if not status.startswith(("2", "304")):
            issues = _issues_of(response.get("outcome"), f"The answer was {status or 'missing'}.")
            refused.append(EntryRefusal(index, issues))
    return refused


def outcome_issues(raw: bytes, otherwise: str) -> list[Issue]:
    """Read the issues of an OperationOutcome; when it is none, one issue with the text `otherwise`."""
    try:
        return _issues_of(decode(raw), otherwise)
    except FhirError:
        return [Issue("http-error", "processing", otherwise)]


def _issues_of(outcome: Any, otherwise: str) -> list[Issue]:
    found = outcome.get("issue") if isinstance(outcome, dict) else None
    issues = [_issue(item) for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    return issues or [Issue("http-error", "processing", otherwise)]


def _issue(item: Resource) -> Issue:
    codings = item.get("details", {}).get("coding", [])
    text = item.get("diagnostics") or item.get("details", {}).get("text") or "no reason given"
    expression = item.get("expression", [])
    return Issue(
        key=str(codings[0].get("code")) if codings else "http-error",
        code=item.get("code", "processing"),
        diagnostics=str(text),
        expression=str(expression[0]) if expression else "",
        severity=item.get("severity", "error"),
    )


def _wait(retry_after: str, attempt: int) -> None:
    import time

    time.sleep(min(float(retry_after) if retry_after.isdigit() else 0.2 * 2**attempt, 10.0))
