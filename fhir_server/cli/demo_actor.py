"""One system in the demo: it calls the server over HTTP on behalf of its organisation, in public view."""

from typing import Any

from fhir_server.cli.demo_stage import Stage
from fhir_server.cli.loaders import outcome_issues
from fhir_server.model.codec import decode, encode
from fhir_server.model.resource import Resource

_FHIR = "application/fhir+json"
_PATCH = "application/json-patch+json"


class UnexpectedAnswer(Exception):
    """A step of the story did not go as it must."""


class Actor:
    """A client with a name; `organization` is the reference it states, `roles` what it does in this referral."""

    def __init__(self, name: str, base: str, organization: str, roles: str, stage: Stage) -> None:
        import requests

        self.name = name
        self.organization = organization
        self._base = base
        self._stage = stage
        self._failure = requests.RequestException
        self._session = requests.Session()
        self._session.headers.update(
            {
                "Accept": _FHIR,
                "X-Dev-Organization": organization,
                "X-Dev-Roles": roles,
                "Prefer": "return=representation",
            }
        )

    def get(self, path: str, expect: int = 200) -> Resource:
        """Read or search."""
        return self._call("GET", path, expect)

    def post(self, path: str, body: Resource, expect: int = 201) -> Resource:
        """Create, or carry out a Bundle when `path` is empty."""
        return self._call("POST", path, expect, encode(body), {"Content-Type": _FHIR})

    def put(self, path: str, body: Resource, expect: int = 201) -> Resource:
        """Create under an id of one's own, or update."""
        return self._call("PUT", path, expect, encode(body), {"Content-Type": _FHIR})

    def patch(self, path: str, version: str, operations: list[Resource], expect: int = 200) -> Resource:
        """Change a resource by JSON Patch, if `version` is still its current one."""
        headers = {"Content-Type": _PATCH, "If-Match": f'W/"{version}"'}
        return self._call("PATCH", path, expect, encode(operations), headers)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _call(
        self, method: str, path: str, expect: int, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Resource:
        condition = (headers or {}).get("If-Match")
        self._stage.request(f"{method} /fhir/{path}".rstrip("/") + (f"   If-Match: {condition}" if condition else ""))
        response = self._session.request(
            method, f"{self._base}/{path}".rstrip("/"), data=body, headers=headers, timeout=30
        )
        expected = response.status_code == expect
        self._stage.answer(
            response.status_code, response.reason, response.elapsed.total_seconds() * 1000, expected=expected
        )
        if response.status_code >= 400 or not expected:  # noqa: PLR2004  # the client and server errors of HTTP
            for issue in outcome_issues(response.content, "the answer is no OperationOutcome"):
                self._stage.note(f"{issue.key}: {issue.diagnostics}")
        if not expected:
            raise UnexpectedAnswer(f"{method} {path} answered {response.status_code}; {expect} was expected")
        answer: Any = decode(response.content)
        if not isinstance(answer, dict):
            raise UnexpectedAnswer(f"{method} {path} answered something that is no resource")
        return answer


def look_up(base: str, reference: str) -> Resource:
    """Read a resource behind the scenes, for what a step is called. Raises UnexpectedAnswer when it is not there."""
    import requests

    response = requests.get(f"{base}/{reference}", headers={"Accept": _FHIR}, timeout=30)
    if not response.ok:
        raise UnexpectedAnswer(f"{reference} is not in the example region ({response.status_code})")
    found: Resource = decode(response.content)
    return found


def matches(bundle: Resource, resource_type: str) -> list[Resource]:
    """Return the resources of one type in a searchset."""
    found = [entry["resource"] for entry in bundle.get("entry", []) if "resource" in entry]
    return [resource for resource in found if resource["resourceType"] == resource_type]


def must(condition: object, expectation: str) -> None:
    """Raise UnexpectedAnswer unless the story is where it should be."""
    if not condition:
        raise UnexpectedAnswer(f"expected that {expectation}")


def place(resource: Resource) -> str:
    """Return type and id, as a reference has them."""
    return f"{resource['resourceType']}/{resource['id']}"


def text(concept: Any) -> str:
    """Return a CodeableConcept for people. Raises UnexpectedAnswer when it says nothing."""
    try:
        return str(concept.get("text") or concept["coding"][0].get("display") or concept["coding"][0]["code"])
    except (AttributeError, LookupError) as error:
        raise UnexpectedAnswer(f"{concept!r} has neither text nor code") from error
