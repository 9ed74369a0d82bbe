"""What a filter needs to know first: the resources at the other end of references, and the positions in a circle.

Each is one indexed question whose answer becomes a list of keys, wherever the node stands in the tree. A list has a bound:
a search that would go beyond it is refused, and says what narrows it.
"""

from collections.abc import Iterable

from pymongo.client_session import ClientSession

from fhir_server.model.errors import TooCostly
from fhir_server.search import query as q
from fhir_server.search.match import distance
from fhir_server.store.mongo.encode import head, real
from fhir_server.store.mongo.filters import Place, holds
from fhir_server.store.mongo.layout import CURRENT
from fhir_server.store.mongo.link import Bound, Document, Link
from fhir_server.store.mongo.near import band, nears
from fhir_server.store.mongo.pieces import begins, between, successor
from fhir_server.store.mongo.stages import matching

MOST = 50_000
"""The most keys in one list."""
FEW = 200
"""Up to so many resources around a circle are measured at once; of more, the smaller circles are looked at first."""


class Reader:
    """Asks the index, in one transaction and within one limit of time, and answers what filters must know first."""

    __slots__ = ("_around", "_bound", "_link", "_session", "requests")

    def __init__(self, link: Link, session: ClientSession | None, bound: Bound) -> None:
        self._link = link
        self._session = session
        self._bound = bound
        self._around: dict[tuple[q.Near, Place], list[Document]] = {}
        self.requests: list[list[Document]] = []
        """The pipelines that were run, for those who want to know how."""

    def run(self, stages: list[Document], at_once: int = 1_000) -> Iterable[Document]:
        """Run a pipeline on `current`; `at_once` documents come with the first answer."""
        self.requests.append(stages)
        return self._link.db[CURRENT].aggregate(
            stages, session=self._session, batchSize=max(1, at_once), maxTimeMS=self._bound.left_ms()
        )

    def targets(self, node: q.Chain) -> list[str]:
        """Return `Type/id` of the current resources for which the part of a chain holds."""
        stages = matching(node.target, node.part, lambda part: holds(part, Place(node.target), self))
        return self._listed((str(one["_id"]) for one in self._some(stages, {"_id": 1})), node.param)

    def referred(self, node: q.Has, place: Place) -> list[str]:
        """Return `Type/id` of the resources of a type to which those refer for which the part holds."""
        start = head(node.source, node.param, "r")
        named = f"{start}{place.type}/"
        stages = matching(node.source, node.part, lambda part: holds(part, Place(node.source), self))
        if stages is not None:
            stages.append({"$match": begins("k", named)})
        shown = {"_id": 0, "k": _only("$k", named)}
        found = (key[len(start) :] for one in self._some(stages, shown) for key in one["k"])
        return self._listed(found, node.param)

    def positions(self, node: q.Near, place: Place) -> list[str]:
        """Return the keys of the stored positions in the circle."""
        name, start = place.name(node.param), place.head(node.param, "g")
        found = (
            f"{start}{real(latitude)}{real(longitude)}"
            for one in self._around.get((node, place)) or self._some(_beside(node, place), {"_id": 0, "g": 1})
            for param, latitude, longitude in one["g"]
            if param == name and distance(node.latitude, node.longitude, latitude, longitude) <= node.metres
        )
        return self._listed(found, node.param)

    def crowded(self, query: q.Query) -> bool:
        """Tell whether many resources lie about as far north as the one circle of a query; if not, they are kept."""
        place = Place(query.type)
        for measured in nears(query.where):
            if not measured.links:
                stages = [*_beside(measured.near, place), {"$limit": FEW + 1}]
                found = list(self._some(stages, {"_id": 0, "g": 1}))
                if len(found) > FEW:
                    return True
                self._around[measured.near, place] = found
        return False

    def _some(self, stages: list[Document] | None, shown: Document) -> Iterable[Document]:
        return () if stages is None else self.run([*stages, {"$project": shown}], 10_000)

    def _listed(self, found: Iterable[str], param: str) -> list[str]:
        listed: dict[str, None] = {}
        for place, key in enumerate(found):
            listed[key] = None
            if len(listed) > MOST:
                raise TooCostly(
                    f"What is asked of {param!r} holds for more than {MOST:,} resources or places, which is more than a "
                    "search follows. Narrow that part: an identifier, a name, a shorter range, a smaller circle.",
                    key="search-too-costly",
                )
            if place % 1_000 == 0:
                self._bound.left_ms()
        return list(listed)


def _beside(node: q.Near, place: Place) -> list[Document]:
    """Return the stages for the resources with a position between the latitudes of a circle."""
    start = place.head(node.param, "g")
    south, north = band(node)
    inside = between("k", gte=start + real(south), lt=successor(start + real(north)))
    return [{"$match": {"t": place.type}}, {"$match": inside}]


def _only(field: str, prefix: str) -> Document:
    """Return the expression for the keys of an array that begin with a text."""
    one = "$$this"
    within = {"$and": [{"$gte": [one, {"$literal": prefix}]}, {"$lt": [one, {"$literal": successor(prefix)}]}]}
    return {"$filter": {"input": field, "cond": within}}
