"""One unit of work with the write path on it: validate → index → put, then the rules, then the audit trail.

Every write of the server passes `Unit.write` or `Unit.delete`, whether it comes from a single request, an entry of a
Bundle, or an effect of the workflow. `settle` runs once, after the last write, so that rules see the whole unit.
"""

from collections.abc import Mapping, Sequence

from fhir_server.access.principal import PLATFORM, Principal
from fhir_server.interactions import audit
from fhir_server.interactions.context import Engine
from fhir_server.interactions.deletions import require_nothing_open
from fhir_server.interactions.guarding import Guarding
from fhir_server.interactions.request import Request
from fhir_server.interactions.subscriptions_admission import admit, forget
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import canonical, decode_stored, encode
from fhir_server.model.errors import Conflict, FhirError, Invalid, RuleViolated, TooCostly
from fhir_server.model.issue import Issue
from fhir_server.model.reference import parse_reference
from fhir_server.model.resource import Resource, walk, with_server_fields
from fhir_server.search.query import Node, Query, RefersTo, SortKey, TokenIs
from fhir_server.store.port import Snapshot, UnitOfWork, Version
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
        self.guard = Guarding(engine, uow, principal)
        self.view = self.guard.view
        """The unit as its caller sees it: handlers ask this, rules and effects ask `uow`."""
        self.pending: Mapping[str, Resource] = {}
        """What a transaction is about to write, by `Type/id`."""
        self.origin = ""
        """Expression of the resource being written in what was sent (`Bundle.entry[3].resource`), "" when it is all."""
        self._changes: list[tuple[Change, str]] = []
        self.request: Request | None = None
        """What the caller asked, for the audit trail; None when the server acts by itself."""
        self._written: list[Version] = []
        self._about: list[bytes] = []
        self.entered: frozenset[str] = frozenset()
        """The versions that the unit has written and entered in the audit trail."""
        self._to_resolve: list[tuple[Resource, str]] = []
        self._sending = False
        """Whether a change of the caller is judged that may send something: it relies on Consents that the caller sees."""
        self._strange: list[tuple[Resource, Resource | None, str]] = []
        """What the caller wrote, what it was before, and where it stands in what was sent."""
        self._deleted: list[str] = []

    def write(self, resource: Resource, resource_id: str, method: str, current: Version | None) -> Version:
        """Store a resource as the version after `current`; an identical one changes nothing and keeps its version.

        The resource must have passed `require_valid`. Returns the version that is current afterwards. Raises Forbidden
        for what the caller may not write.
        """
        self.guard.require_before(current, method)
        if resource["resourceType"] == "Subscription":
            resource = admit(self, resource, resource_id, current)
        version, before, after = self._put(resource, resource_id, method, current, self.principal)
        if after is not None:
            self.guard.require_after(version, current, method)
            if self.guard.enforced:
                self._strange.append((after, before, self.origin or after["resourceType"]))
        return version

    def _put(
        self, resource: Resource, resource_id: str, method: str, current: Version | None, by: Principal
    ) -> tuple[Version, Resource | None, Resource | None]:
        """Return the version that is current afterwards, what it was before, and what was stored (None: nothing)."""
        resource_type = resource["resourceType"]
        before = decode_stored(current.body) if current is not None and current.body is not None else None
        resource = self.guard.stamped(resource, before, self, by)
        if current is not None and before is not None:
            unchanged = with_server_fields(resource, resource_id, current.version, render_instant(current.last_updated))
            if unchanged == before and canonical(unchanged) == canonical(before):
                return current, before, None
        number = current.version + 1 if current is not None else 1
        after = with_server_fields(resource, resource_id, number, render_instant(self.uow.last_updated))
        entries = self.engine.extractor.extract(after)
        version = self.uow.put(resource_type, resource_id, number, encode(after), entries, method)
        self._record(version, before, after)
        return version, before, after

    def by_server(self, resource: Resource) -> None:
        """Create a resource that the server composes on behalf of nobody."""
        self._effect(resource, self.engine.ids.new_id(), "POST", None)

    def delete(self, current: Version) -> Version:
        """Delete a resource whose newest version is `current` and not a deletion."""
        target = f"{current.type}/{current.id}"
        self.guard.require_before(current, "DELETE")
        if self.engine.references == "enforce" and (referrers := self.view.referrers(target)):
            raise Conflict(
                f"{target} is referred to by {referrers[0]}. Delete or change what refers to it first.",
                key="still-referenced",
            )
        version = self.uow.delete(current.type, current.id, current.version + 1)
        if current.type == "Subscription":
            forget(self, current.id)
        self._about.append(current.body or b"")
        self._deleted.append(target)
        self._record(version, decode_stored(current.body or b"null"), None)
        return version

    def settle(self) -> None:
        """Let the rules judge every change and carry out their effects, then write the audit trail."""
        self._require_seen_targets()
        self._require_claims()
        principal = self.guard.party
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
            self._audit()

    def get(self, reference: str) -> Resource | None:
        """Return the current resource at `Type/id` (see workflow.effects.Related)."""
        parsed = parse_reference(reference)
        if parsed.kind != "relative":
            return None
        version = self.uow.current(parsed.type, parsed.id)
        if version is None or version.body is None:
            return self.pending.get(parsed.key)
        found: Resource = decode_stored(version.body)
        return found

    def referring(self, resource_type: str, param: str, target: str) -> Sequence[Resource]:
        """Return current resources that refer to `target` (see workflow.effects.Related)."""
        asked = self.view if resource_type == "Consent" and self._sending else self.uow
        return self._all(resource_type, RefersTo(param, target), asked)

    def coded(self, resource_type: str, param: str, system: str, code: str) -> Sequence[Resource]:
        """Return current resources with this token (see workflow.effects.Related)."""
        return self._all(resource_type, TokenIs(param, system, code), self.uow)

    def _audit(self) -> None:
        """Enter what the unit has written since the last time in the audit trail."""
        written, self._written = self._written, []
        self.entered |= {f"{one.type}/{one.id}/_history/{one.version}" for one in written}
        about, self._about = self._about, []
        bodies = [*about, *(version.body for version in written if version.body is not None)]
        seal = self.engine.auditor.sealing.seal
        access = audit.change(written, bodies, self.engine.own_base, self.request, seal)
        audit.append(self.uow, self.principal, [access])
        self.engine.auditor.changed()

    def _all(self, resource_type: str, where: Node, asked: Snapshot) -> Sequence[Resource]:
        rows = asked.search(Query(resource_type, where, (SortKey("_lastUpdated"),), _RELATED + 1))
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
                    issues.append(_not_stored(f"{path}.reference", text))
        if issues:
            raise Conflict(issues=issues)

    def _require_seen_targets(self) -> None:
        """Raise Conflict for every reference that the caller added to what it does not see, before any rule looks there."""
        issues = [
            _not_stored(path, text) for change in self._strange for path, text in self.guard.strange_targets(*change)
        ]
        if issues:
            raise Conflict(issues=issues)

    def _require_claims(self) -> None:
        """Raise where the caller says of others what is not its to say, or leaves an open referral without its person."""
        strange, self._strange = self._strange, []
        for after, before, root in strange:
            self.guard.require_claims(self, after, before, root)
        deleted, self._deleted = self._deleted, []
        if deleted:
            require_nothing_open(self, deleted)

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
        standing = change.after or change.before or {}
        self._sending = principal is self.guard.party and standing.get("resourceType") != "Consent"
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
        self._put(resource, resource_id, method, current, PLATFORM)


def _not_stored(path: str, text: str) -> Issue:
    said = f"{text!r} is not stored here. Send it first or in the same transaction."
    return Issue("reference-not-stored", "not-found", said, path)


def require_valid(engine: Engine, resource: Resource, path: str | None = None) -> None:
    """Raise Invalid with every problem of the resource, RuleViolated where only profiles that it claims are broken.

    `path` is the expression of its root, if not its type.
    """
    verdict = engine.validator.judge(resource, path=path)
    if verdict.issues:
        raise (RuleViolated if verdict.valid else Invalid)(issues=verdict.issues)
