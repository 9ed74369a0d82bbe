"""The record around one patient or encounter, as $everything asks a snapshot for it."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from fhir_server.artifacts import r4
from fhir_server.artifacts.r4.compartments import Compartment
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operations.everything_asked import Asked
from fhir_server.model.reference import parse_reference
from fhir_server.search.care_dates import care_within
from fhir_server.search.compartments import about, membership
from fhir_server.search.query import And, IdIs, LastUpdated, Node, Not, Or, Prefix, Query, RefersTo, SortKey
from fhir_server.store.port import Snapshot, Version

_OLDEST_FIRST: Final = (SortKey("_lastUpdated"),)
_FEW: Final = 2_000
"""Up to this many referrers are listed to learn their types; beyond, every type of the compartment is asked."""
_CHUNK: Final = 500
_REFERENCE: Final = re.compile(rb'"(reference|url)"\s*:\s*"([^"\\]+)"')
"""A reference as stored; in a text, JSON would have escaped the quotes. `url` is an Attachment's when it is a Binary."""


class Record:
    """What belongs to the record, read on one snapshot. `owner` is the patient or encounter itself."""

    def __init__(
        self, engine: Engine, snapshot: Snapshot, compartment: Compartment, owner: Version, asked: Asked, base: str
    ) -> None:
        self.owner = owner
        self._snapshot, self._asked, self._base = snapshot, asked, base
        self._scope = self._nodes(engine, compartment)

    def _nodes(self, engine: Engine, compartment: Compartment) -> dict[str, Node]:
        """Return resource type → what holds for its members within the care dates, the owner itself left out."""
        target = f"{self.owner.type}/{self.owner.id}"
        referrers = self._snapshot.referrers(target, _FEW + 1)
        types: Iterable[str] = r4.resource_types()
        if len(referrers) <= _FEW:
            types = {name.partition("/")[0] for name in referrers}
        nodes: dict[str, Node] = {}
        for name in sorted(types):
            codes = about(engine.registry, compartment, name)
            inside = (membership(compartment, self.owner.id, name), *(RefersTo(code, target) for code in codes))
            parts: list[Node] = [Or(tuple(dict.fromkeys(_alternatives(inside))))]
            if parts[0] == Or(()):
                continue
            if name == self.owner.type:
                parts.append(Not(IdIs((self.owner.id,))))
            if self._asked.period is not None:
                parts.append(care_within(name, self._asked.period))
            nodes[name] = And(tuple(parts))
        return nodes

    def members(self, after: int, limit: int) -> list[Version]:
        """Return up to `limit` members that are to be returned, after a sequence, by sequence."""
        if limit <= 0:
            return []
        since = self._asked.since
        fresh = (LastUpdated(Prefix.GE, since.lo, since.hi),) if since is not None else ()
        position = (after,) if after else ()
        found = [
            row.version
            for name, node in self._scope.items()
            if self._asked.wants(name)
            for row in self._snapshot.search(Query(name, And((node, *fresh)), _OLDEST_FIRST, limit, position))
        ]
        return sorted(found, key=lambda version: version.sequence)[:limit]

    def referred(self, members: list[Version] | None, after: str, limit: int) -> list[Version]:
        """Return up to `limit` resources that the record refers to, after a `Type/id`, by type and id.

        `members` are the owner and all members where they are at hand, else they are read. With `_since`, what only
        unchanged members refer to is returned when it changed itself: a client that asks again misses nothing.
        """
        inside, targets = set(), dict[str, bool]()
        for version in members if members is not None else self._all():
            inside.add(f"{version.type}/{version.id}")
            fresh = self._fresh(version)
            for target in self._targets(version.body or b""):
                targets[target] = targets.get(target, False) or fresh
        inside.add(f"{self.owner.type}/{self.owner.id}")
        found: list[Version] = []
        for target in sorted(targets):
            if target in inside or target <= after:
                continue
            kind, _, identity = target.partition("/")
            current = self._snapshot.current(kind, identity) if self._asked.wants(kind) else None
            if current is not None and not current.deleted and (targets[target] or self._fresh(current)):
                found.append(current)
                if len(found) >= limit:
                    break
        return found

    def _all(self) -> Iterator[Version]:
        """Yield the owner and every member within the care dates, a part at a time."""
        yield self.owner
        for name, node in self._scope.items():
            position: tuple[str | int | float | None, ...] = ()
            while True:
                rows = self._snapshot.search(Query(name, node, _OLDEST_FIRST, _CHUNK, position))
                yield from (row.version for row in rows)
                if len(rows) < _CHUNK:
                    break
                position = rows[-1].position

    def _fresh(self, version: Version) -> bool:
        since = self._asked.since
        return since is None or version.last_updated * 1_000 >= since.lo

    def _targets(self, body: bytes) -> set[str]:
        found = set()
        for member, raw in set(_REFERENCE.findall(body)):
            parsed = parse_reference(raw.decode(), self._base)
            if parsed.kind != "relative" or (member == b"url" and parsed.type != "Binary"):
                continue
            if parsed.type in r4.resource_types():
                found.add(f"{parsed.type}/{parsed.id}")
        return found


def _alternatives(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        if isinstance(node, Or):
            yield from node.parts
        else:
            yield node
