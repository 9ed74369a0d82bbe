"""What a process remembers of its decisions, so that a resource that was judged once costs nothing the second time.

A version never changes, so what it says alone is remembered by its sequence number. What depends on other resources is
remembered until the next change of the store. Nothing is remembered of a unit of work that may yet be undone.
"""

from collections.abc import Sequence
from typing import Final

from fhir_server.access.policies import Bound
from fhir_server.access.policies_nodes import params_of
from fhir_server.model.codec import decode_stored
from fhir_server.model.resource import Resource
from fhir_server.search.extract import Extractor
from fhir_server.search.match import Alone, matches
from fhir_server.search.parameters import Registry
from fhir_server.search.query import NOTHING, And, IdIs, Node, Query
from fhir_server.search.values import Entry, TokenEntry
from fhir_server.store.port import Snapshot, Version

_KEPT: Final = 200_000
_ALONE: Final = Alone()


class Memory:
    """Decisions of one process. Safe between threads: what two of them find out at once is the same."""

    def __init__(self, registry: Registry, extractor: Extractor) -> None:
        self._registry = registry
        self._extractor = extractor
        self._told: dict[tuple[int, int], bool] = {}
        self._related: dict[tuple[int, int], bool] = {}
        self._as_of = -1

    def told(self, version: Version, bound: Bound, *, lasting: bool) -> bool:
        """Tell whether a version satisfies what of a node can be told from it alone."""
        key = (bound.number, version.sequence)
        known = self._told.get(key)
        if known is None:
            known = self._judge(version, bound.local)
            if lasting:
                if len(self._told) >= _KEPT:
                    self._told = {}
                self._told[key] = known
        return known

    def related(self, snapshot: Snapshot, version: Version, bound: Bound, *, lasting: bool) -> bool:
        """Tell whether a current version satisfies a node that looks at other resources."""
        return version.sequence in self.all_related(snapshot, [version], bound, lasting=lasting)

    def all_related(
        self, snapshot: Snapshot, versions: Sequence[Version], bound: Bound, *, lasting: bool
    ) -> frozenset[int]:
        """Return the sequence numbers of those current versions of one type that satisfy a node; asks for all at once."""
        known: dict[tuple[int, int], bool] = {}
        as_of = -1
        if lasting:
            as_of = snapshot.last_sequence()
            if as_of != self._as_of:
                self._related, self._as_of = {}, as_of
            known = self._related
        asked = [one for one in versions if (bound.number, one.sequence) not in known]
        found = self._satisfying(snapshot, asked, bound.node) if asked else frozenset()
        answers = {one.sequence: one.sequence in found for one in asked}
        holding = {
            one.sequence for one in versions if answers.get(one.sequence) or known.get((bound.number, one.sequence))
        }
        if lasting and as_of == self._as_of:
            known.update({(bound.number, sequence): holds for sequence, holds in answers.items()})
        return frozenset(holding)

    def is_canonical(self, resource_type: str) -> bool:
        """Tell whether resources of a type are referred to by their URL too."""
        return "url" in self._registry.of(resource_type)

    def referred(self, versions: Sequence[Version], param: str, resource_type: str) -> Node | None:
        """Return the condition of being what one of these versions refers to, None where ids alone do not tell it."""
        keys: set[str] = set()
        for version in versions:
            for entry in self._extractor.references(decode_stored(version.body or b"null"), param):
                target = getattr(entry, "target", "")
                if not target:
                    return None
                kind, _, identity = target.partition("/")
                if kind == resource_type:
                    keys.add(identity)
        return IdIs(tuple(sorted(keys))) if keys else NOTHING

    @staticmethod
    def _satisfying(snapshot: Snapshot, versions: Sequence[Version], node: Node) -> frozenset[int]:
        identities = tuple(one.id for one in versions)
        query = Query(versions[0].type, And((IdIs(identities), node)), limit=len(identities))
        return frozenset(row.version.sequence for row in snapshot.search(query))

    def _judge(self, version: Version, node: Node) -> bool:
        resource = decode_stored(version.body or b"null")
        entries = tuple(self._entries(resource, node))
        return matches(node, version.type, version.id, version.last_updated * 1_000, entries, _ALONE)

    def _entries(self, resource: Resource, node: Node) -> tuple[Entry, ...]:
        """Return the index entries that a node asks for; the common ones without looking at the whole resource."""
        wanted = frozenset(params_of(node))
        known = self._registry.of(resource["resourceType"])
        links = {name for name in wanted if name in known and known[name].type == "reference"}
        if wanted - links <= {"_tag", "_lastUpdated"}:
            return (
                *tags_of(resource),
                *(entry for name in links for entry in self._extractor.references(resource, name)),
            )
        return self._extractor.extract(resource)


def tags_of(resource: Resource) -> tuple[Entry, ...]:
    """Return the entries of `meta.tag`."""
    meta = resource.get("meta")
    tags = meta.get("tag", ()) if isinstance(meta, dict) else ()
    return tuple(TokenEntry("_tag", tag.get("system", ""), tag.get("code", "")) for tag in tags)
