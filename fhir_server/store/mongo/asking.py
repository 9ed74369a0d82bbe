"""Asking the collections: in a session, whose transaction is a snapshot, or without one, a single question."""

from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from fhir_server.store.mongo.link import Bound, Document, Link


class Asking:
    """What every part of a snapshot asks with."""

    __slots__ = ("_link", "_session")

    def __init__(self, link: Link, session: ClientSession | None) -> None:
        self._link = link
        self._session = session

    def _in(self, collection: str) -> Collection[Document]:
        return self._link.db[collection]

    def _bound(self) -> Bound:
        return Bound(self._link.settings.query_seconds)

    def _find(self, collection: str, asked: Document, order: list[tuple[str, int]], limit: int) -> list[Document]:
        if limit <= 0:
            return []
        return list(self._in(collection).find(asked, sort=order, limit=limit, batch_size=limit, session=self._session))
