"""One unit of work with the write path on it: validate → index → put, then the rules, then the audit trail.

Every write of the server passes `Unit.write` or `Unit.delete`, whether it comes from a single request, an entry of a
Bundle, or an effect of the workflow. `settle` runs once, after the last write, so that rules see the whole unit.
"""

from collections.abc import Sequence

from fhir_server.access.principal import PLATFORM, Principal
from fhir_server.interactions.audit import audit_record
from fhir_server.interactions.context import Engine
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import canonical, decode_stored, encode
from fhir_server.model.errors import Conflict, FhirError, Invalid, RuleViolated, TooCostly
from fhir_server.model.issue import Issue
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource, walk, with_server_fields
from fhir_server.search.query import Node, Query, RefersTo, SortKey, TokenIs
from fhir_server.store.port import UnitOfWork, Version
from fhir_server.workflow.effects import Change, Create, Emit, Update

_ROUNDS = 8
"""Effects may cause effects; rules that do not come to rest in so many rounds contradict each other."""
_RELATED = 1000


class Unit:
    """A unit of work on behalf of one principal. Also the `Related` that rules ask."""

    def __init__(self, engine: Engine, uow: UnitOfWork, principal: Principal) -> None:
        self.engine = engine
        self.uow = uow
        self.principal = principal
        self.origin = ""
        """Expression of the resource being written in what was sent (`Bundle.entry[3].resource`), "" when it is all."""
        self._changes: list[tuple[Change, str]] = []
        self._written: list[Version] = []
        self._to_resolve: list[tuple[Resource, str]] = []

    def write(self, resource: Resource, resource_id: str, method: str, current: Version | None) -> Version:
        """Store a resource as the version after `current`; an identical one changes nothing and keeps its version.

        The resource must have passed `require_valid`. Returns the version that is current afterwards.
        """
        resource_type = resource["resourceType"]
        before = decode_stored(current.body) if current is not None and current.body is not None else None
        if current is not None and before is not None:
            unchanged = with_server_fields(resource, resource_id, current.version, render_instant(current.last_updated))
            if unchanged == before and canonical(unchanged) == canonical(before):
                return current
        number = current.version + 1 if current is not None else 1
        after = with_server_fields(resource, resource_id, number, render_instant(self.uow.last_updated))
        entries = self.engine.extractor.extract(after)
        version = self.uow.put(resource_type, resource_id, number, encode(after), entries, method)
        self._record(version, before, after)
        return version

    def delete(self, current: Version) -> Version:
        """Delete a resource whose newest version is `current` and not a deletion."""
        target = f"{current.type}/{current.id}"
        if self.engine.references == "enforce" and (referrers := self.uow.referrers(target)):
            raise Conflict(
                f"{target} is referred to by {referrers[0]}. Delete or change what refers to it first.",
                key="still-referenced",
            )
        version = self.uow.delete(current.type, current.id, current.version + 1)
        self._record(version, decode_stored(current.body or b"null"), None)
        return version

    def settle(self) -> None:
        """Let the rules judge every change and carry out their effects, then write the audit trail."""
        principal = self.principal
        for _ in range(_ROUNDS):
            changes, self._changes = self._changes, []
            if not changes:
                break
            for change, origin in changes:
                self._judge(change, principal, origin)
            principal, self.origin = PLATFORM, ""
        else:
            raise Conflict("The rules of the workflow do not come to rest on this change.", key="rules-restless")
        if self._to_resolve:
            self._require_targets()
        if self._written:
            self.uow.append_audit(audit_record(self.principal, self.uow.last_updated, self._written))

    def get(self, reference: str) -> Resource | None:
        """Return the current resource at `Type/id` (see workflow.effects.Related)."""
        parsed = parse_reference(reference)
        if parsed.kind != "relative":
            return None
        version = self.uow.current(parsed.type, parsed.id)
        return decode_stored(version.body) if version is not None and version.body is not None else None

    def referring(self, resource_type: str, param: str, target: str) -> Sequence[Resource]:
        """Return current resources that refer to `target` (see workflow.effects.Related)."""
        return self._all(resource_type, RefersTo(param, target))

    def coded(self, resource_type: str, param: str, system: str, code: str) -> Sequence[Resource]:
        """Return current resources with this token (see workflow.effects.Related)."""
        return self._all(resource_type, TokenIs(param, system, code))

    def _all(self, resource_type: str, where: Node) -> Sequence[Resource]:
        rows = self.uow.search(Query(resource_type, where, (SortKey("_lastUpdated"),), _RELATED + 1))
        if len(rows) > _RELATED:
            raise TooCostly(f"More than {_RELATED} {resource_type} resources are related to this change.")
        return [decode_stored(row.version.body) for row in rows if row.version.body is not None]

    def _record(self, version: Version, before: Resource | None, after: Resource | None) -> None:
        self._written.append(version)
        if after is not None and self.engine.references == "enforce":
            self._to_resolve.append((after, self.origin or after["resourceType"]))
        if self.engine.rulebook.governs(before) or self.engine.rulebook.governs(after):
            self._changes.append((Change(before, after), self.origin))

    def _require_targets(self) -> None:
        """Raise Conflict for every literal reference to a resource that is not stored, as of the end of the unit."""
        issues = []
        for resource, root in self._to_resolve:
            for path, element in walk(resource, root):
                text = element.get("reference")
                if isinstance(text, str) and not self._stored(text):
                    said = f"{text!r} is not stored here. Send it first or in the same transaction."
                    issues.append(Issue("reference-not-stored", "not-found", said, f"{path}.reference"))
        if issues:
            raise Conflict(issues=issues)

    def _stored(self, text: str) -> bool:
        parsed = parse_reference(text, self.engine.own_base)
        if parsed.kind != "relative":
            return True
        current = self.uow.current(parsed.type, parsed.id)
        return current is not None and not current.deleted

    def _judge(self, change: Change, principal: Principal, origin: str) -> None:
        try:
            self._review(change, principal)
        except FhirError as error:
            if origin:
                resource_type = (change.after or change.before or {}).get("resourceType", "")
                error.issues = tuple(
                    issue._replace(expression=origin + issue.expression.removeprefix(resource_type))
                    for issue in error.issues
                )
            raise

    def _review(self, change: Change, principal: Principal) -> None:
        now = render_instant(self.uow.last_updated)
        for effect in self.engine.rulebook.review(change, self, principal, now):
            match effect:
                case Create(resource):
                    self._effect(resource, self.engine.ids.new_id(), "POST", None)
                case Update(resource):
                    current = self.uow.current(resource["resourceType"], resource["id"])
                    self._effect(resource, resource["id"], "PUT", current)
                case Emit(topic, focus):
                    self.uow.emit(topic, encode({"focus": focus, "at": now}))

    def _effect(self, resource: Resource, resource_id: str, method: str, current: Version | None) -> None:
        # base R4 only: what the rules compose keeps to our profiles by construction (tests judge it), and judging the
        # profiles of a Task costs as much as storing it
        if issues := self.engine.validator.validate(resource):
            raise Invalid(issues=issues)
        self.write(resource, resource_id, method, current)


def require_valid(engine: Engine, resource: Resource, path: str | None = None) -> None:
    """Raise Invalid with every problem of the resource, RuleViolated where only profiles that it claims are broken.

    `path` is the expression of its root, if not its type.
    """
    verdict = engine.validator.judge(resource, path=path)
    if verdict.issues:
        raise (RuleViolated if verdict.valid else Invalid)(issues=verdict.issues)
