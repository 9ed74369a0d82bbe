"""Access control of one unit of work: what its caller sees, and whether each write of it is allowed."""

from dataclasses import replace
from typing import TYPE_CHECKING

from fhir_server.access.guarded import GuardedSnapshot
from fhir_server.access.policies import Act
from fhir_server.access.principal import Principal
from fhir_server.interactions.context import Engine
from fhir_server.interactions.guarding_claims import Claim
from fhir_server.interactions.stamps import Stamping, sent_writer, stamped
from fhir_server.interactions.stamps_area import Areas
from fhir_server.model.clock import render_instant
from fhir_server.model.errors import Forbidden, NotFound
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource, walk
from fhir_server.store.port import Snapshot, UnitOfWork, Version
from fhir_server.workflow.effects import Related
from fhir_server.workflow.links import Links

if TYPE_CHECKING:
    from fhir_server.interactions.unit import Unit  # which calls what is here

_IMPORTERS = frozenset({"operator", "platform"})
_LETTERS = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}


class Guarding:
    """What stands between a caller and the unit of work; open where access is not enforced."""

    def __init__(self, engine: Engine, uow: UnitOfWork, principal: Principal) -> None:
        self.engine = engine
        self.enforced = engine.access.enforced
        self.imports = not principal.roles.isdisjoint(_IMPORTERS)
        """Whether the caller brings in what happened elsewhere, in any order, and names ids itself."""
        self._uow = uow
        own = principal.organization or principal.person
        self.party = principal if own == principal.organization else replace(principal, organization=own)
        """The caller as the rules of the workflow know it: a person acts for itself."""
        self.view: Snapshot = engine.access.guard(uow, principal, lasting=False)
        """The unit as the caller sees it."""

    def stamped(self, resource: Resource, before: Resource | None, related: Related, by: Principal) -> Resource:
        """Return a resource with the tags that the policies rely on; as it is where access is not enforced."""
        if not self.enforced:
            return resource
        writer = by.organization or by.person
        if not by.roles.isdisjoint(_IMPORTERS):
            writer = sent_writer(resource)
        return self.stamped_for(resource, before, related, writer, operates="operator" in by.roles)

    def stamped_for(
        self, resource: Resource, before: Resource | None, related: Related, writer: str, *, operates: bool
    ) -> Resource:
        """Return a resource with its tags, whether access is enforced or not."""
        links = Links(related, self.engine.own_base, self.engine.rulebook.governs)
        return stamped(resource, before, Stamping(writer, links, self._place, operates))

    def _place(self, person: Resource | None) -> tuple[str, ...]:
        return Areas(self._uow, self.engine.registry).of(person, render_instant(self._uow.last_updated))

    def require_before(self, current: Version | None, method: str) -> None:
        """Raise Forbidden unless a resource that the caller sees may be changed by it; NotFound for one it does not see."""
        if isinstance(self.view, GuardedSnapshot) and current is not None and not current.deleted:
            if not self.view.sees(current):
                raise NotFound(f"There is no {current.type}/{current.id} here.")
            self._require(self.view, current, "write", _LETTERS[method])

    def require_after(self, version: Version, current: Version | None, method: str) -> None:
        """Raise Forbidden unless what was written is something that the caller may write (or, newly, create)."""
        if not isinstance(self.view, GuardedSnapshot):
            return
        new = current is None or current.deleted
        self._require(self.view, version, "create" if new else "write", "cu" if new else _LETTERS[method])

    def require_known(self, current: Version | None, resource_type: str, resource_id: str) -> None:
        """Raise NotFound where the caller names an id that it does not see: ids are given by the server.

        Whether the id is free is not told: a resource that is hidden and none are refused alike.
        """
        if self.enforced and current is None and not self.imports:
            raise NotFound(f"There is no {resource_type}/{resource_id} here.")

    def strange_targets(self, resource: Resource, before: Resource | None, root: str) -> list[tuple[str, str]]:
        """Return `(expression, reference)` of the references that a change adds to what the caller does not see.

        Asked at the end of the unit of work. What the unit wrote shows its writer nothing of others by being there: every
        link in policies.json starts from what somebody else wrote, which a test holds it to.
        """
        if not isinstance(self.view, GuardedSnapshot) or self.imports:
            return []
        known = {text for _, text in self._references(before, "")} if before is not None else set[str]()
        return [
            (path, text)
            for path, text in self._references(resource, root)
            if text not in known and not self._seen(self.view, text)
        ]

    def require_claims(self, unit: "Unit", after: Resource, before: Resource | None, root: str) -> None:
        """Raise Forbidden or Conflict where a change says of others what is not its caller's to say."""
        if isinstance(self.view, GuardedSnapshot) and not self.imports:
            Claim(unit, self.view, after, before, root).require()

    def _references(self, resource: Resource, root: str) -> list[tuple[str, str]]:
        found = ((path, element.get("reference")) for path, element in walk(resource, root))
        return [(f"{path}.reference", text) for path, text in found if isinstance(text, str)]

    def _seen(self, view: GuardedSnapshot, text: str) -> bool:
        parsed = parse_reference(text, self.engine.own_base)
        if parsed.kind != "relative":
            return True
        current = view.current(parsed.type, parsed.id)
        return current is not None and not current.deleted

    @staticmethod
    def _require(view: GuardedSnapshot, version: Version, act: Act, letters: str) -> None:
        if not view.may_write(version, act, letters):
            raise Forbidden(
                f"You may not {'create' if act == 'create' else 'change'} this {version.type}: it is not your organisation's, "
                "your role does not include it, or your token's scopes do not reach it. See docs/access.md.",
                key="access-write",
                expression=version.type,
            )
