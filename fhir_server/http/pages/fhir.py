"""The FHIR interface as the pages use it: in this process, with the rights of whoever looks, and nothing beside it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from fhir_server.access.principal import Principal
from fhir_server.interactions.context import Engine
from fhir_server.interactions.perform import perform_async
from fhir_server.interactions.request import NO_PRECONDITIONS, Parameters, Preconditions, Request
from fhir_server.model.codec import decode_stored, encode
from fhir_server.model.errors import FhirError, Gone, NotFound
from fhir_server.model.resource import Resource

_JSON: Final = "application/fhir+json"
_PATCH: Final = "application/json-patch+json"


class Found(NamedTuple):
    """One page of a search."""

    matches: list[Resource]
    included: list[Resource]
    total: int | None
    following: str
    """The cursor of the next page, "" when this is the last."""


class Choice(NamedTuple):
    """A code to choose; `choices` are the narrower ones below it."""

    system: str
    code: str
    display: str
    choices: tuple["Choice", ...]


@dataclass(frozen=True, slots=True)
class Fhir:
    """Asks the interactions for one visitor. Every method raises FhirError as the HTTP interface would refuse."""

    engine: Engine
    base: str
    principal: Principal
    language: str

    async def read(self, reference: str) -> Resource:
        """Return a resource."""
        found: Resource = await self._ask("GET", reference)
        return found

    async def seen(self, reference: str) -> Resource | None:
        """Return a resource, None when the visitor does not see it or it is not there."""
        if "/" not in reference:
            return None
        try:
            return await self.read(reference)
        except (NotFound, Gone):
            return None

    async def search(self, resource_type: str, *query: tuple[str, str]) -> Found:
        """Search."""
        return _found(await self._ask("GET", resource_type, query))

    async def history(self, reference: str) -> list[Resource]:
        """Return the versions of a resource, newest first."""
        bundle = await self._ask("GET", f"{reference}/_history", (("_count", "100"),))
        return [entry["resource"] for entry in bundle.get("entry", ()) if "resource" in entry]

    async def operation(self, path: str, *query: tuple[str, str]) -> Resource:
        """Call an operation that changes nothing; `path` ends in `$name`."""
        answered: Resource = await self._ask("GET", path, query)
        return answered

    async def post(self, path: str, body: Resource, version: str = "") -> Resource:
        """Create, or call an operation, or carry out a Bundle when `path` is empty.

        With a `version` only if it is still the current one; raises VersionConflict when it is not.
        """
        conditions = Preconditions(if_match=f'W/"{version}"') if version else NO_PRECONDITIONS
        answered: Resource = await self._ask(
            "POST", path, body=encode(body), content_type=_JSON, preconditions=conditions
        )
        return answered

    async def patch(self, reference: str, version: str, operations: Iterable[Resource]) -> Resource:
        """Change a resource if `version` is still its current one. Raises VersionConflict when it is not."""
        conditions = Preconditions(if_match=f'W/"{version}"')
        answered: Resource = await self._ask(
            "PATCH", reference, body=encode(list(operations)), content_type=_PATCH, preconditions=conditions
        )
        return answered

    async def choices(self, value_set: str) -> tuple[Choice, ...]:
        """Return the codes of one of our value sets, with displays in the language of the visit."""
        url = f"https://w3id.org/social-referral/ValueSet/{value_set}"
        expanded = await self.operation("ValueSet/$expand", ("url", url), ("displayLanguage", self.language))
        return _choices(expanded["expansion"].get("contains", ()))

    async def _ask(
        self,
        method: str,
        path: str,
        query: Parameters = (),
        *,
        body: bytes | None = None,
        content_type: str = "",
        preconditions: Preconditions = NO_PRECONDITIONS,
    ) -> Any:
        request = Request(
            method,
            path,
            query,
            body,
            content_type,
            preconditions,
            returns="representation",
            principal=self.principal,
            base=self.base,
            languages=self.language,
        )
        result = await perform_async(self.engine, request)
        return decode_stored(result.body) if result.body is not None else {}


def version_of(resource: Resource) -> str:
    """Return the version of a resource as it was read."""
    return str(resource["meta"]["versionId"])


def refusal(error: FhirError) -> str:
    """Return what a refusal says, one line for each issue."""
    return "\n".join(issue.diagnostics for issue in error.issues)


def _found(bundle: Resource) -> Found:
    entries = [entry for entry in bundle.get("entry", ()) if "resource" in entry]
    links = {link["relation"]: link["url"] for link in bundle.get("link", ())}
    following = dict(parse_qsl(urlsplit(links.get("next", "")).query)).get("_cursor", "")
    matches = [one["resource"] for one in entries if one.get("search", {}).get("mode", "match") == "match"]
    included = [one["resource"] for one in entries if one.get("search", {}).get("mode") == "include"]
    return Found(matches, included, bundle.get("total"), following)


def _choices(contains: Iterable[Resource]) -> tuple[Choice, ...]:
    return tuple(
        Choice(
            str(one.get("system", "")),
            str(one["code"]),
            str(one.get("display") or one["code"]),
            _choices(one.get("contains", ())),
        )
        for one in contains
        if "code" in one
    )
