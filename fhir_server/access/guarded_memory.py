"""What a process remembers of its decisions, so that a resource that was judged once costs nothing the second time.

A version never changes, so what it says alone is remembered by its sequence number. What depends on other resources is
remembered until the next change of the store. Nothing is remembered of a unit of work that may yet be undone.
"""

from typing import Final

from fhir_server.access.policies import Bound
from fhir_server.access.policies_nodes import params_of
from fhir_server.model.codec import decode_stored
from fhir_server.model.resource import Resource
from fhir_server.search.extract import Extractor
from fhir_server.search.match import Alone, matches
from fhir_server.search.parameters import Registry
from fhir_server.search.query import And, IdIs, Node, Query
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
        key = (bound.number, version.sequence)
        if lasting:
            as_of = snapshot.last_sequence()
            if as_of != self._as_of:
                self._related, self._as_of = {}, as_of
            remembered = self._related
            known = remembered.get(key)
            if known is not None:
                return known
        found = self._found(snapshot, version, bound.node)
        if lasting and as_of == self._as_of:
            remembered[key] = found
        return found

    @staticmethod
    def _found(snapshot: Snapshot, version: Version, node: Node) -> bool:
        query = Query(version.type, And((IdIs((version.id,)), node)), limit=1)
        return any(row.version.sequence == version.sequence for row in snapshot.search(query))

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
