"""How the rules follow references: one spelling for each target, and the organisations that stand behind it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource
from fhir_server.workflow.effects import Related

_BEHIND = {
    "PractitionerRole": "organization",
    "HealthcareService": "providedBy",
    "CareTeam": "managingOrganization",
    "Device": "owner",
}
_THEMSELVES = frozenset({"Organization", "Patient", "RelatedPerson"})
_HOPS = 3


def items(value: Any) -> Sequence[Any]:
    """Return the items of a repeating element, nothing when it is absent, one when it does not repeat."""
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)


def codings(*concepts: Any) -> Iterator[tuple[str, str]]:
    """Yield `(system, code)` of every coding in the CodeableConcepts; absent members are ""."""
    for concept in concepts:
        if isinstance(concept, dict):
            for coding in items(concept.get("coding")):
                yield coding.get("system", ""), coding.get("code", "")


class Links:
    """The record around one change. Answers are remembered: a review sees one state of the record."""

    def __init__(self, related: Related, own_base: str, governs: Callable[[Resource], bool]) -> None:
        self._related = related
        self._governs = governs
        self._own_base = own_base
        self._resources: dict[str, Resource | None] = {}
        self._referring: dict[tuple[str, str, str], Sequence[Resource]] = {}

    def key(self, reference: Any) -> str:
        """Return `Type/id` of a Reference to this server, `system|value` of a logical one, else its text without version.

        An absent or empty Reference gives "". What stands on another server keeps its base, so that it is never taken
        for the resource that has the same id here.
        """
        if not isinstance(reference, dict):
            return ""
        text = reference.get("reference")
        if isinstance(text, str):
            parsed = parse_reference(text, self._own_base)
            return f"{parsed.base}/{parsed.key}" if parsed.kind == "absolute" else parsed.key
        identifier = reference.get("identifier")
        if isinstance(identifier, dict) and "value" in identifier:
            return f"{identifier.get('system', '')}|{identifier['value']}"
        return ""

    def get(self, key: str) -> Resource | None:
        """Return the current resource at `Type/id`, None when it is not here."""
        if key not in self._resources:
            self._resources[key] = self._related.get(key)
        return self._resources[key]

    def follow(self, reference: Any) -> Resource | None:
        """Return the current resource that a Reference points to, None when it is not here."""
        key = self.key(reference)
        return self.get(key) if key else None

    def referring(self, resource_type: str, param: str, target: str) -> Sequence[Resource]:
        """Return current resources of a type whose reference parameter refers to `target`."""
        asked = (resource_type, param, target)
        if asked not in self._referring:
            self._referring[asked] = self._related.referring(*asked)
        return self._referring[asked]

    def tasks_of(self, request_key: str) -> tuple[Resource, ...]:
        """Return the governed Tasks whose focus is this ServiceRequest; plain ones are nobody's business."""
        return tuple(task for task in self.referring("Task", "focus", request_key) if self._governs(task))

    def parts_of(self, task_key: str) -> tuple[Resource, ...]:
        """Return the governed Tasks that are part of this Task."""
        return tuple(task for task in self.referring("Task", "part-of", task_key) if self._governs(task))

    def governs(self, resource: Resource) -> bool:
        """Tell whether the rules hold for a resource."""
        return self._governs(resource)

    def coded(self, resource_type: str, param: str, system: str, code: str) -> Sequence[Resource]:
        """Return current resources of a type whose token parameter is `system|code`."""
        return self._related.coded(resource_type, param, system, code)

    def organizations(self, reference: Any) -> frozenset[str]:
        """Return the keys of the organisations (or persons) on whose behalf the target of a Reference acts.

        An organisation or a person is its own; a role, service, team or device follows its organisation; a
        practitioner acts for the organisations of all active roles; a logical reference is looked up by identifier.
        Empty when nothing on this server says so.
        """
        key = self.key(reference)
        if "|" not in key:
            return frozenset(self._behind(key, _HOPS))
        system, _, value = key.partition("|")
        kinds = items(reference.get("type")) or ("Organization", "PractitionerRole", "Practitioner", "Patient")
        return frozenset(
            found
            for kind in kinds
            for resource in self.coded(kind, "identifier", system, value)
            for found in self._behind(f"{kind}/{resource['id']}", _HOPS)
        )

    def _behind(self, key: str, hops: int) -> Iterator[str]:
        kind = key.partition("/")[0]
        if kind in _THEMSELVES:
            yield key
        elif hops and kind == "Practitioner":
            for role in self.referring("PractitionerRole", "practitioner", key):
                if role.get("active") is not False:
                    yield from self._behind(self.key(role.get("organization")), hops - 1)
        elif hops and kind in _BEHIND:
            resource = self.get(key)
            for reference in items(resource.get(_BEHIND[kind])) if resource else ():
                yield from self._behind(self.key(reference), hops - 1)
