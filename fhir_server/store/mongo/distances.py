"""The distance of a match: to the nearest of its positions, or of those at the end of the chain that asked about them."""

from collections.abc import Sequence

from fhir_server.search.match import distance
from fhir_server.search.query import Chain, Query
from fhir_server.store.mongo.encode import head
from fhir_server.store.mongo.link import Document
from fhir_server.store.mongo.lookups import Reader
from fhir_server.store.mongo.near import Measured, nears

_AT_ONCE = 5_000


class Distances:
    """Measures the matches of one query; their documents must have `k` and `g`."""

    __slots__ = ("_asked", "_reader", "_type")

    def __init__(self, query: Query, reader: Reader) -> None:
        self._asked: tuple[Measured, ...] = tuple(nears(query.where))
        self._reader = reader
        self._type = query.type

    @property
    def fields(self) -> Document:
        """The fields that are read, for `$project`; none when nothing is measured."""
        if not self._asked:
            return {}
        return {"g": 1, "k": 1} if any(asked.links for asked in self._asked) else {"g": 1}

    def of(self, documents: Sequence[Document]) -> list[float | None]:
        """Return metres for each document; None where there is nothing to measure."""
        measured = [self._measure(asked, documents) for asked in self._asked]
        return [
            min((one for one in several if one is not None), default=None) for several in zip(*measured, strict=True)
        ] or [None] * len(documents)

    def _measure(self, asked: Measured, documents: Sequence[Document]) -> list[float | None]:
        """Follow the links of all documents at once, then take for each the least of what it leads to."""
        resource_type = self._type
        level: list[list[Document]] = [[one] for one in documents]
        for link in asked.links:
            level = self._follow(link, resource_type, level)
            resource_type = link.target
        near = asked.near
        return [
            min(
                (
                    distance(near.latitude, near.longitude, latitude, longitude)
                    for one in ends
                    for param, latitude, longitude in one.get("g", ())
                    if param == near.param
                ),
                default=None,
            )
            for ends in level
        ]

    def _follow(self, link: Chain, resource_type: str, level: list[list[Document]]) -> list[list[Document]]:
        start = head(resource_type, link.param, "r")
        named = [_targets(ends, start, f"{start}{link.target}/") for ends in level]
        wanted = list(dict.fromkeys(target for targets in named for target in targets))
        found: dict[str, Document] = {}
        for first in range(0, len(wanted), _AT_ONCE):
            some = wanted[first : first + _AT_ONCE]
            stages: list[Document] = [{"$match": {"_id": {"$in": some}}}, {"$project": {"k": 1, "g": 1}}]
            found.update((str(one["_id"]), one) for one in self._reader.run(stages, len(some)))
        return [[found[target] for target in targets if target in found] for targets in named]


def _targets(documents: Sequence[Document], start: str, named: str) -> list[str]:
    return [key[len(start) :] for one in documents for key in one["k"] if key.startswith(named)]
