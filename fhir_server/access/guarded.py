"""A snapshot as one caller sees it: what a policy hides is as absent as what never was.

Every handler reads through one of these. A query gets the condition of its type; a chain or `_has` gets that of the type
that it leads to, at every depth and under `Not` too, so that nothing can be learned of what is hidden by asking around it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from fhir_server.access.guarded_asked import ANYTHING, LETTERS, Asked
from fhir_server.access.guarded_memory import Memory
from fhir_server.access.guarded_passage import Passage
from fhir_server.access.guarded_queries import assumed, names_caller, narrows, nests, rewrite, says_nothing, shallow
from fhir_server.access.policies import Act, Bound, Policy
from fhir_server.access.policies_nodes import any_of
from fhir_server.model.errors import NotSupported, TooCostly
from fhir_server.search.query import (
    EVERYTHING,
    NOTHING,
    And,
    Chain,
    Has,
    IdIs,
    Node,
    Not,
    Query,
    RefersTo,
)
from fhir_server.store.port import (
    AuditRecord,
    Explanation,
    HistoryScope,
    Row,
    Snapshot,
    Version,
)

__all__ = ["ANYTHING", "LETTERS", "Asked", "GuardedSnapshot"]

_AT_A_TIME: Final = 200
_FOLLOWED: Final = 100
"""Resources that one link within a link may lead to before it is left to the store as it is."""
_LOOKED_AT: Final = 20_000
"""Versions of a history that are looked at for one page; beyond it the search of a type is the way."""


class GuardedSnapshot(Passage):
    """See `store.port.Snapshot` for what each method promises of what the caller may see."""

    def __init__(
        self, snapshot: Snapshot, policy: Policy, memory: Memory, asked: Asked = ANYTHING, *, lasting: bool
    ) -> None:
        """`asked` is the interaction, which scopes may bound; `lasting` says that nothing of the snapshot can be undone."""
        super().__init__(snapshot)
        self._policy = policy
        self._memory = memory
        self._asked = asked
        self._lasting = lasting

    @property
    def beneath_all(self) -> Snapshot:
        """The snapshot as it is, for whoever guards it anew."""
        return self._snapshot

    def current(self, resource_type: str, resource_id: str) -> Version | None:
        """Return the newest version, None when it is hidden."""
        version = self._snapshot.current(resource_type, resource_id)
        return version if version is not None and self.sees(version) else None

    def version(self, resource_type: str, resource_id: str, version: int) -> Version | None:
        """Return one version, None when it or its resource is hidden."""
        found = self._snapshot.version(resource_type, resource_id, version)
        return found if found is not None and self._sees_then(found, {}) else None

    def history(
        self,
        scope: HistoryScope,
        *,
        before: int | None = None,
        since_ms: int | None = None,
        at: tuple[int, int] | None = None,
        limit: int = 100,
    ) -> list[Version]:
        """Return the versions that are seen, newest first. Raises TooCostly when too many others lie between."""
        found: list[Version] = []
        seen: dict[str, bool] = {}
        looked = 0
        while len(found) < limit:
            step = self._snapshot.history(scope, before=before, since_ms=since_ms, at=at, limit=_AT_A_TIME)
            found += [version for version in step if self._sees_then(version, seen)]
            if len(step) < _AT_A_TIME:
                break
            looked += len(step)
            if looked >= _LOOKED_AT:
                raise _too_far()
            before = step[-1].sequence
        return found[:limit]

    def history_total(self, scope: HistoryScope, *, since_ms: int | None = None) -> int:
        """Count the versions that are seen. Raises TooCostly for more than can be looked at."""
        return len(self.history(scope, since_ms=since_ms, limit=_LOOKED_AT))

    def changes(self, after: int, limit: int, resource_types: Sequence[str] = ()) -> list[Version]:
        """Return the changes that are seen, oldest first. Raises TooCostly when too many others lie between."""
        found: list[Version] = []
        seen: dict[str, bool] = {}
        looked, size = 0, max(limit, 1)
        while len(found) < limit:
            step = self._snapshot.changes(after, size, resource_types)
            found += [version for version in step if self._sees_then(version, seen)]
            if len(step) < size:
                break
            looked += len(step)
            if looked >= _LOOKED_AT:
                raise _too_far()
            after, size = step[-1].sequence, _AT_A_TIME
        return found[:limit]

    def search(self, query: Query) -> list[Row]:
        """Return the rows that are seen.

        Where the caller asks for what names itself, as pollers do, nearly all of it is seen: the page is read as it is
        and each row judged from memory. Only when one is hidden is the policy put into the query.
        """
        if names_caller(query.where, self._policy.principal.organization) and not nests(query.where):
            where = rewrite(query.where, self._policy)
            rows = self._snapshot.search(query if where is query.where else replace(query, where=where))
            if all(self.sees(row.version) for row in rows):
                return rows
        if (
            isinstance(query.where, IdIs)
            and 1 < len(query.where.ids) <= min(query.limit, _AT_A_TIME)
            and not query.after
        ):
            return self._those_seen(self._snapshot.search(query), query.type)
        guarded = self.guarded(query)
        return [] if guarded.where == NOTHING else self._snapshot.search(guarded)

    def _those_seen(self, rows: list[Row], resource_type: str) -> list[Row]:
        """Return the rows of several ids, such as a page brings along, that are seen; what was found out is remembered."""
        bound = self._readable(resource_type)
        if bound.node == EVERYTHING or not rows:
            return rows
        if bound.node == NOTHING:
            return []
        told = {row.version.sequence for row in rows if self._tells(row.version, bound)}
        others = [row.version for row in rows if row.version.sequence not in told]
        if others and not bound.is_local:
            told |= self._memory.all_related(self._snapshot, others, bound, lasting=self._lasting)
        return [row for row in rows if row.version.sequence in told]

    def count(self, query: Query, limit: int | None = None) -> int:
        """Count what is seen; an operator may count a type as a whole, without seeing any of it."""
        if "operator" in self._policy.roles and says_nothing(query.where):
            return self._snapshot.count(query, limit)
        guarded = self.guarded(query)
        return 0 if guarded.where == NOTHING else self._snapshot.count(guarded, limit)

    def explain(self, query: Query) -> Explanation:
        """Raise NotSupported: how many candidates there were tells of what is hidden."""
        del query
        raise NotSupported(
            "Search parameter '_explain' is not offered while access is enforced: the plan of a search tells of resources "
            "that may be hidden from you.",
            key="search-explain-off",
        )

    def referrers(self, target: str, limit: int = 1) -> list[str]:
        """Return `Type/id` of resources that are seen and refer to `target`; what is hidden refers to nothing."""
        found: list[str] = []
        for name in self._snapshot.referrers(target, _LOOKED_AT):
            if self.current(*name.split("/", 1)) is not None:
                found.append(name)
                if len(found) >= limit:
                    break
        return found

    def audit(
        self, after: int, limit: int, about: Sequence[str] = (), recorded: tuple[int, int] | None = None
    ) -> list[AuditRecord]:
        """Return audit records to an auditor, and to a person those about that person; to others none."""
        own = self._policy.principal.person
        if "auditor" in self._policy.roles or self._policy.all_powerful or (own and own in about):
            return self._snapshot.audit(after, limit, about, recorded)
        return []

    def guarded(self, query: Query) -> Query:
        """Return the query with the policy in it, wherever it looks at a resource."""
        if nests(query.where):
            query = replace(query, where=shallow(query.where, query.type, self._found))
        left = assumed(self._readable(query.type).node, query.where)
        where = rewrite(query.where, self._policy)
        if left == NOTHING:
            return replace(query, where=NOTHING)
        if left == EVERYTHING:
            return query if where is query.where else replace(query, where=where)
        # what was asked for drives the plan where it can: the policy is then asked of what was found, and doubly negated
        # it offers itself to no index
        asked = Not(Not(left)) if narrows(where) else left
        return replace(query, where=And((where, asked)))

    def sees(self, version: Version) -> bool:
        """Tell whether a newest version is seen; a deletion by who could tell from the resource that it was."""
        if version.body is None:
            before = self._snapshot.version(version.type, version.id, version.version - 1)
            return before is not None and before.body is not None and self._tells(before, self._readable(version.type))
        return self.satisfies(version, self._readable(version.type))

    def may_write(self, version: Version, act: Act, letters: str) -> bool:
        """Tell whether a current version, as it stands, is one that the caller may write (or create)."""
        return self.satisfies(version, self._policy.node(act, version.type, letters))

    def satisfies(self, version: Version, bound: Bound) -> bool:
        """Tell whether a current version satisfies a node of the policy."""
        if bound.node == EVERYTHING:
            return True
        if bound.node == NOTHING:
            return False
        if self._tells(version, bound):
            return True
        if bound.is_local:
            return False
        return self._memory.related(self._snapshot, version, bound, lasting=self._lasting)

    def seen_by(self, policy: Policy) -> "GuardedSnapshot":
        """Return the same snapshot as somebody else sees it, to explain a decision."""
        return GuardedSnapshot(self._snapshot, policy, self._memory, lasting=self._lasting)

    def beneath(self, resource_type: str, resource_id: str) -> Version | None:
        """Return the newest version whoever sees it, to explain why it is not shown; its content must not be told."""
        return self._snapshot.current(resource_type, resource_id)

    def changes_beneath(self, after: int, limit: int, resource_types: Sequence[str] = ()) -> list[Version]:
        """Return changes whoever sees them, for a feed that tells what is no longer seen; hidden content must not be told."""
        return self._snapshot.changes(after, limit, resource_types)

    def version_beneath(self, resource_type: str, resource_id: str, version: int) -> Version | None:
        """Return one version whoever sees it; as for `changes_beneath`."""
        return self._snapshot.version(resource_type, resource_id, version)

    def saw(self, version: Version) -> bool:
        """Tell whether a version was seen while it was the newest, as far as it tells that itself."""
        return version.body is not None and self._tells(version, self._readable(version.type))

    def sees_then(self, version: Version, seen: dict[str, bool]) -> bool:
        """Tell whether a version is one that `changes` gives; `seen` remembers resources within one snapshot."""
        return self._sees_then(version, seen)

    def rule_holds(self, version: Version, name: str) -> bool:
        """Tell whether a rule of the table, by its name, holds for a current version."""
        return self.satisfies(version, self._policy.named(name, version.type))

    def _found(self, resource_type: str, link: Chain | Has) -> Node | None:
        """Follow a link that lies within another, as far as the caller sees, and return whom it leads to."""
        source = link.target if isinstance(link, Chain) else link.source
        if self._memory.is_canonical(link.target if isinstance(link, Chain) else resource_type):
            return None
        rows = self.search(Query(source, link.part, limit=_FOLLOWED + 1))
        if len(rows) > _FOLLOWED:
            return None
        if isinstance(link, Has):
            return self._memory.referred([row.version for row in rows], link.param, resource_type)
        return any_of(tuple(RefersTo(link.param, f"{source}/{row.version.id}") for row in rows))

    def _tells(self, version: Version, bound: Bound) -> bool:
        return bound.local != NOTHING and self._memory.told(version, bound, lasting=self._lasting)

    def _readable(self, resource_type: str) -> Bound:
        letters = self._asked.letters if resource_type == self._asked.type else "rs"
        return self._policy.node("read", resource_type, letters)

    def _sees_then(self, version: Version, seen: dict[str, bool]) -> bool:
        """Tell whether an older version is seen: its resource is, and the version itself where it decides alone."""
        place = f"{version.type}/{version.id}"
        if place not in seen:
            current = self._snapshot.current(version.type, version.id)
            seen[place] = current is not None and self.sees(current)
        if not seen[place] or version.body is None:
            return seen[place]
        bound = self._readable(version.type)
        return not bound.is_local or self._tells(version, bound)


def _too_far() -> TooCostly:
    return TooCostly(
        f"More than {_LOOKED_AT} versions lie between those that you may see. Ask for the history of one resource, or "
        "search its type with _lastUpdated.",
        key="history-too-costly",
    )
