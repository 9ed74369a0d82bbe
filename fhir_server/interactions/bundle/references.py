"""Resolve the references of a transaction over the whole Bundle (R4 http.html#trules, bundle.html#references)."""

import re
from typing import Any, Final

from fhir_server.interactions.bundle.identities import Identities
from fhir_server.interactions.conditional import condition_node
from fhir_server.interactions.request import Request
from fhir_server.interactions.unit import Unit
from fhir_server.model.errors import FhirError
from fhir_server.model.issue import Issue
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource
from fhir_server.search.query import Query, SortKey

_LINK: Final = re.compile(r"""(\b(?:href|src)\s*=\s*)(["'])(.*?)\2""")
_TEXTS: Final = frozenset({"value", "id", "system", "code", "display", "text", "title", "description", "valueString"})
"""Members that are never of type uri, url, canonical, oid or uuid, and so are never links (an identifier's value)."""


class _Resolver:
    def __init__(self, unit: Unit, request: Request, identities: Identities) -> None:
        self.unit = unit
        self.request = request
        self.identities = identities
        self.issues: list[Issue] = []

    def element(self, value: Any, path: str) -> Any:
        """Return a copy of an element with its links resolved."""
        if isinstance(value, dict):
            return {name: self._member(name, child, f"{path}.{name}") for name, child in value.items()}
        if isinstance(value, list):
            return [self.element(child, f"{path}[{index}]") for index, child in enumerate(value)]
        return self.identities.of_url.get(value, value) if isinstance(value, str) else value

    def _member(self, name: str, value: Any, path: str) -> Any:
        if not isinstance(value, str):
            return self.element(value, path)
        if name == "reference":
            return self._reference(value, path)
        if name == "div":
            return _LINK.sub(self._link, value)
        return value if name in _TEXTS else self.identities.of_url.get(value, value)

    def _link(self, match: re.Match[str]) -> str:
        target = self.identities.of_url.get(match[3], match[3])
        return f"{match[1]}{match[2]}{target}{match[2]}"

    def _reference(self, text: str, path: str) -> str:
        if text in self.identities.of_url:
            return self.identities.of_url[text]
        parsed = parse_reference(text)
        if parsed.kind == "urn":
            self.issues.append(
                Issue(
                    "unresolved-reference",
                    "not-found",
                    f"{text!r} is the fullUrl of no entry in this Bundle. Add the entry or refer to a stored resource.",
                    path,
                )
            )
        elif parsed.kind == "conditional":
            return self._conditional(parsed.type, text, path)
        return text

    def _conditional(self, resource_type: str, text: str, path: str) -> str:
        try:
            where = condition_node(self.unit.engine, self.unit.view, resource_type, text, self.request)
            query = Query(resource_type, where, (SortKey("_lastUpdated"),), 2)
            found = {f"{resource_type}/{row.version.id}" for row in self.unit.view.search(query)}
            found.update(self.identities.pending_matches(self.unit, resource_type, where))
        except FhirError as error:
            self.issues.extend(issue._replace(expression=path) for issue in error.issues)
            return text
        if len(found) == 1:
            return found.pop()
        self.issues.append(
            Issue(
                "conditional-reference",
                "multiple-matches" if found else "not-found",
                f"{text!r} matches {'more than one resource' if found else 'no resource'}; it must match exactly one.",
                path,
            )
        )
        return text


def resolve_references(
    unit: Unit, request: Request, resource: Resource, identities: Identities, path: str
) -> tuple[Resource, list[Issue]]:
    """Return a copy of a resource with every link to an entry resolved, and what could not be resolved.

    Links are `Reference.reference` (also in contained resources and extensions), elements of the URI types, and the
    links of the narrative. `path` is the expression of the resource in the Bundle.
    """
    resolver = _Resolver(unit, request, identities)
    return resolver.element(resource, path), resolver.issues
