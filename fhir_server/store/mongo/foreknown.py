"""What a unit of work was given before it asked: the newest versions of resources, and who has certain index keys.

Both stay true while the unit writes, for it tells here what it writes. A search whose every part is an equality among known
keys is answered from memory; one of whose parts nothing satisfies has no answer, whatever its other parts ask.
"""

from collections.abc import Iterable, Iterator, Sequence

from pymongo.client_session import ClientSession

from fhir_server.search.query import Node, Query
from fhir_server.store.mongo.encode import referrer
from fhir_server.store.mongo.filters import Place, equalities
from fhir_server.store.mongo.history import version_of
from fhir_server.store.mongo.layout import CURRENT, VERSIONS
from fhir_server.store.mongo.link import Document, Link
from fhir_server.store.mongo.order import by_sequence
from fhir_server.store.mongo.stages import parts_of
from fhir_server.store.port import Row, Version

Name = tuple[str, str]

MOST = 200
"""The most resources that are read for keys at once; keys that more of them have are asked about when it is time."""
_BODY: Document = {"$lookup": {"from": VERSIONS, "localField": "s", "foreignField": "_id", "as": "b"}}


def newest_of(link: Link, session: ClientSession, names: Sequence[Name]) -> dict[Name, Version | None]:
    """Return the newest versions of resources: in one request what is current, in another what is deleted or never was."""
    current: list[Document] = [{"$match": {"_id": {"$in": [f"{kind}/{one}" for kind, one in names]}}}]
    found = _versions(link.db[CURRENT].aggregate([*current, *_whole("$s")], session=session, batchSize=len(names) + 1))
    known: dict[Name, Version | None] = {(version.type, version.id): version for version in found}
    absent = [name for name in names if name not in known]
    if absent:
        types, ids = (sorted(set(part)) for part in zip(*absent, strict=True))
        stages: list[Document] = [
            {"$match": {"t": {"$in": types}, "i": {"$in": ids}}},
            {"$group": {"_id": {"t": "$t", "i": "$i"}, "s": {"$max": "$_id"}}},
            *_whole("$s"),
        ]
        deleted = _versions(link.db[VERSIONS].aggregate(stages, session=session, batchSize=len(names) + 1))
        known |= dict.fromkeys(absent)
        known |= {(version.type, version.id): version for version in deleted}
    return known


def holders_of(link: Link, session: ClientSession, keys: Sequence[str]) -> dict[str, dict[str, Version]] | None:
    """Return for each key the current resources that have it, by `Type/id`; None when they are many."""
    stages: list[Document] = [
        {"$match": {"k": {"$in": list(keys)}}},
        {"$limit": MOST + 1},
        {"$project": {"s": 1, "k": {"$setIntersection": ["$k", list(keys)]}}},
        _BODY,
    ]
    found = list(link.db[CURRENT].aggregate(stages, session=session, batchSize=MOST + 2))
    if len(found) > MOST:
        return None
    holders: dict[str, dict[str, Version]] = {key: {} for key in keys}
    for one in found:
        for key in one["k"]:
            holders[key][one["_id"]] = version_of(one["b"][0])
    return holders


def _whole(sequence: str) -> list[Document]:
    return [{"$project": {"s": sequence}}, _BODY]


def _versions(found: Iterable[Document]) -> Iterator[Version]:
    return (version_of(one["b"][0]) for one in found)


def keys_of(targets: Iterable[str], queries: Iterable[Query]) -> list[str]:
    """Return the keys that say who refers to targets, and that searches by equalities ask for."""
    keys = dict.fromkeys(map(referrer, targets))
    for query in queries:
        for part in parts_of(query.where):
            keys.update(dict.fromkeys(equalities(part, Place(query.type)) or ()))
    return list(keys)


class Foreknown:
    """Who has certain index keys, in the state that a unit sees."""

    __slots__ = ("_holders",)

    def __init__(self) -> None:
        self._holders: dict[str, dict[str, Version]] = {}

    def learn(self, holders: dict[str, dict[str, Version]]) -> list[Version]:
        """Keep who has these keys, and return them."""
        self._holders |= holders
        return [version for found in holders.values() for version in found.values()]

    def wrote(self, version: Version, keys: Iterable[str]) -> None:
        """A resource has these keys from now on, and no others."""
        if not self._holders:
            return
        name = f"{version.type}/{version.id}"
        for holders in self._holders.values():
            holders.pop(name, None)
        for key in keys:
            if key in self._holders:
                self._holders[key][name] = version

    def referrers(self, target: str) -> list[str] | None:
        """Return `Type/id` of all that refers to a target, None when that is not known."""
        found = self._holders.get(referrer(target))
        return None if found is None else list(found)

    def rows(self, query: Query) -> list[Row] | None:
        """Return the page of a search, None when what is known does not tell."""
        if not self._holders:
            return None
        parts = [self._satisfying(part, query.type) for part in parts_of(query.where)]
        known = [part for part in parts if part is not None]
        if any(not part for part in known):
            return []
        if not known or len(known) < len(parts) or not by_sequence(query) or query.after:
            return None
        descending = not query.sort or query.sort[0].descending
        versions = [version for name, version in known[0].items() if all(name in part for part in known[1:])]
        page = sorted(versions, reverse=descending)[: max(0, query.limit)]
        return [Row(version, (version.last_updated, version.sequence)) for version in page]

    def _satisfying(self, part: Node, resource_type: str) -> dict[str, Version] | None:
        keys = equalities(part, Place(resource_type))
        if keys is None or not all(key in self._holders for key in keys):
            return None
        return {name: version for key in keys for name, version in self._holders[key].items()}
