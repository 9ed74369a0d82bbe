"""The history of a resource, of a type or of the system, out of `versions`."""

from collections.abc import Iterator
from typing import NamedTuple

from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from fhir_server.store.mongo.link import Bound, Document
from fhir_server.store.port import HistoryScope, Version

_AT_ONCE = 1_000


def version_of(found: Document) -> Version:
    """Return the version that a document is."""
    sequence, updated = int(found["_id"]), int(found["u"])  # plain numbers, not bson.Int64, which encoders refuse
    return Version(sequence, found["t"], found["i"], found["v"], updated, found["m"], found.get("b"))


def newest(
    versions: Collection[Document], session: ClientSession | None, resource_type: str, resource_id: str
) -> Version | None:
    """Return the newest version of a resource, None when there never was one."""
    found = versions.find_one({"t": resource_type, "i": resource_id}, sort=[("v", -1)], session=session)
    return None if found is None else version_of(found)


class Asked(NamedTuple):
    """A question about one scope."""

    versions: Collection[Document]
    session: ClientSession | None
    scope: HistoryScope
    bound: Bound

    def page(self, before: int | None, since_ms: int | None, limit: int) -> list[Version]:
        """Return versions, newest first."""
        if limit <= 0:
            return []
        asked = self._where(before, since_ms)
        order = [("_id" if self.scope.id is None else "v", -1)]  # the same order; each has its index
        found = self.versions.find(
            asked, sort=order, limit=limit, batch_size=limit, session=self.session, max_time_ms=self.bound.left_ms()
        )
        return [version_of(one) for one in found]

    def total(self, since_ms: int | None) -> int:
        """Count the versions."""
        where = self._where(None, since_ms)
        stages: list[Document] = [{"$match": where}] if where else []
        counted = self.versions.aggregate(
            [*stages, {"$count": "n"}], session=self.session, maxTimeMS=self.bound.left_ms()
        )
        return sum(int(one["n"]) for one in counted)

    def current_at(self, at: tuple[int, int], before: int | None, since_ms: int | None, limit: int) -> list[Version]:
        """Return versions that were current at some instant of a range.

        Newest first, a version is met before the one that it followed, and tells until when that was current. What was
        replaced after the range began counts as current in it.
        """
        low, high = at
        where = self._where(None, since_ms)
        where["u"] = {**where.get("u", {}), "$lt": high}
        ended: dict[tuple[str, str], int] = {}
        found: list[int] = []
        for one in self._newest_first(where):
            name = (one["t"], one["i"])
            until = ended.get(name)
            ended[name] = one["u"]
            if (until is None or until > max(one["u"], low)) and (before is None or one["_id"] < before):
                found.append(one["_id"])
                if len(found) >= limit:
                    break
        return self._whole(found)

    def _newest_first(self, where: Document) -> Iterator[Document]:
        order = [("_id" if self.scope.id is None else "v", -1)]
        names = {"t": 1, "i": 1, "u": 1}
        cursor = self.versions.find(where, names, sort=order, batch_size=_AT_ONCE, session=self.session)
        with cursor.max_time_ms(self.bound.left_ms()) as rows:
            for place, one in enumerate(rows):
                if place % _AT_ONCE == 0:
                    self.bound.left_ms()
                yield one

    def _whole(self, sequences: list[int]) -> list[Version]:
        if not sequences:
            return []
        found = self.versions.find({"_id": {"$in": sequences}}, batch_size=len(sequences), session=self.session)
        return sorted(map(version_of, found), reverse=True)

    def _where(self, before: int | None, since_ms: int | None) -> Document:
        where: Document = {}
        if self.scope.type is not None:
            where["t"] = self.scope.type
        if self.scope.id is not None:
            where["i"] = self.scope.id
        limits: Document = {}
        if before is not None:
            limits["$lt"] = before
        if since_ms is not None:
            limits["$gte"] = self._first_since(since_ms)
        if limits:
            where["_id"] = limits
        return where

    def _first_since(self, since_ms: int) -> int:
        """Return the sequence number from which on everything was updated at or after an instant."""
        order = [("u", 1), ("_id", 1)]
        first = self.versions.find_one({"u": {"$gte": since_ms}}, {"_id": 1}, sort=order, session=self.session)
        return 2**62 if first is None else int(first["_id"])
