"""Query → pipelines on `current`: what matches, in its order, one page of it, and the bodies of that page."""

from contextlib import ExitStack
from heapq import nsmallest
from itertools import islice
from types import TracebackType
from typing import Any, Self

from pymongo.client_session import ClientSession

from fhir_server.search import query as q
from fhir_server.search.query import Node, Query
from fhir_server.store.mongo import order
from fhir_server.store.mongo.distances import Distances
from fhir_server.store.mongo.filters import Place, holds
from fhir_server.store.mongo.history import version_of
from fhir_server.store.mongo.layout import VERSIONS
from fhir_server.store.mongo.link import SNAPSHOT, Bound, Document, Link
from fhir_server.store.mongo.lookups import Reader
from fhir_server.store.mongo.near import widening
from fhir_server.store.mongo.stages import matching
from fhir_server.store.port import Row

_BODIES: Document = {"$lookup": {"from": VERSIONS, "localField": "s", "foreignField": "_id", "as": "b"}}
_AT_ONCE = 1_000


class Search:
    """One search. A search of several requests makes a snapshot of its own when it is not within one."""

    def __init__(self, link: Link, session: ClientSession | None, bound: Bound, query: Query) -> None:
        self.query = query
        self._link, self._session, self._bound = link, session, bound
        self._stack = ExitStack()
        self.reader = Reader(link, session, bound)

    def __enter__(self) -> Self:
        if self._session is None and asks_twice(self.query.where):
            self._session = self._stack.enter_context(self._link.client.start_session())
            self._session.start_transaction(read_concern=SNAPSHOT)
            self.reader = Reader(self._link, self._session, self._bound)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()  # ends the transaction, in which nothing was written

    def rows(self) -> list[Row]:
        """Return the page."""
        if self.query.limit <= 0:
            return []
        if not order.by_distance(self.query):
            return self._page()
        rows: list[Row] = []
        for step in widening(self.query) if self.reader.crowded(self.query) else (self.query,):
            rows = self._nearest(step)
            if len(rows) >= self.query.limit:
                break
        return rows

    def count(self, limit: int | None) -> int:
        """Count the matches, up to a limit."""
        stages = self.matching(self.query)
        if stages is None or limit == 0:
            return 0
        stopped: list[Document] = [] if limit is None else [{"$limit": limit}]
        return sum(int(one["n"]) for one in self.reader.run([*stages, *stopped, {"$count": "n"}]))

    def matching(self, query: Query) -> list[Document] | None:
        """Return the stages that select what matches; None when nothing can."""
        place = Place(query.type)
        return matching(query.type, query.where, lambda part: holds(part, place, self.reader))

    def pipeline(self) -> list[Document] | None:
        """Return the stages that give the page of an order other than that of the distance; None for an empty page."""
        stages = self.matching(self.query)
        if stages is None:
            return None
        query, measured = self.query, Distances(self.query, self.reader).fields
        if order.by_sequence(query):
            descending = not query.sort or query.sort[0].descending
            if query.after:
                stages.append({"$match": _beyond(query.after, descending)})
            way = -1 if descending else 1
            stages += [{"$sort": {"u": way, "s": way}}, {"$limit": query.limit}]
            stages.append({"$project": {"s": 1, "u": 1, **measured}})
        else:
            stages += order.stages(order.keys(query), query.after, query.limit, measured)
        return [*stages, _BODIES]

    def _page(self) -> list[Row]:
        stages = self.pipeline()
        if stages is None:
            return []
        found = list(self.reader.run(stages, self.query.limit))
        metres = Distances(self.query, self.reader).of(found)
        if order.by_sequence(self.query):
            names: tuple[str, ...] = ("u", "s")
        else:
            names = tuple(f"k{place}" for place in range(len(order.keys(self.query))))
        return [
            Row(version_of(one["b"][0]), tuple(_plain(one[name]) for name in names), far)
            for one, far in zip(found, metres, strict=True)
        ]

    def _nearest(self, query: Query) -> list[Row]:
        """Measure all that matches, and take the next from where the last page ended."""
        stages = self.matching(query)
        if stages is None:
            return []
        distances = Distances(query, self.reader)
        beyond = _rank(*query.after) if query.after else ()
        near: list[tuple[Any, ...]] = []
        matches = iter(self.reader.run([*stages, {"$project": {"s": 1, "i": 1, **distances.fields}}]))
        while some := list(islice(matches, _AT_ONCE)):
            self._bound.left_ms()
            ranked = ((_rank(far, one["i"]), one["s"], far) for one, far in zip(some, distances.of(some), strict=True))
            near = nsmallest(query.limit, [*near, *(one for one in ranked if one[0] > beyond)])
        found = self._link.db[VERSIONS].find(
            {"_id": {"$in": [sequence for _, sequence, _ in near]}},
            session=self._session,
            batch_size=query.limit,
            max_time_ms=self._bound.left_ms(),
        )
        whole = {one["_id"]: version_of(one) for one in found} if near else {}
        return [Row(whole[sequence], (far, whole[sequence].id), far) for _, sequence, far in near]


def _plain(value: Any) -> Any:
    """Return a value as the types of a position are: a plain number, not bson.Int64, which encoders refuse."""
    return int(value) if isinstance(value, int) else value


def _rank(metres: Any, identity: Any) -> tuple[bool, float, str]:
    return metres is None, metres or 0.0, identity


def _beyond(after: order.Position, descending: bool) -> Document:
    """What comes after a sequence number; its time, where it is given, bounds the part of the index that is read."""
    *times, sequence = after
    strict, loose = ("$lt", "$lte") if descending else ("$gt", "$gte")
    found: Document = {"u": {loose: times[0]}} if times else {}
    return {**found, "s": {strict: sequence}}


def asks_twice(node: Node) -> bool:
    """Whether something must be looked up before the search itself, perhaps of another type."""
    match node:
        case q.And(parts) | q.Or(parts) | q.CompositeIs(_, parts):
            return any(asks_twice(part) for part in parts)
        case q.Not(part):
            return asks_twice(part)
        case q.Chain() | q.Has() | q.Near():
            return True
        case _:
            return False
