"""The reading half of a unit of work: what it wrote waits in memory, and goes to the server before a question that asks it."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from fhir_server.search.query import Query
from fhir_server.store.foresight import Foreseen
from fhir_server.store.mongo import history
from fhir_server.store.mongo.compile import asks_twice
from fhir_server.store.mongo.foreknown import Foreknown, holders_of, keys_of, newest_of
from fhir_server.store.mongo.layout import CURRENT, UNIT, VERSIONS
from fhir_server.store.mongo.link import Document, Link
from fhir_server.store.mongo.snapshot import MongoSnapshot, record_of
from fhir_server.store.mongo.transaction import Heads, Transaction
from fhir_server.store.port import Explanation, Record, Row, Version

T = TypeVar("T")


class BufferedSnapshot(MongoSnapshot):
    """The state that the transaction began with, plus what its units have done so far."""

    __slots__ = (
        "_foreknown",
        "_numbers",
        "_own",
        "_records",
        "_transaction",
        "_types",
        "_written",
        "broken",
        "heads",
        "sent",
    )

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(transaction.link, transaction.session)
        self._transaction = transaction
        self._numbers = transaction.numbers
        self._own: list[Any] = []
        self._records: dict[str, Document | None] = {}
        self._types: set[str] = set()
        self._written: set[str] = set()
        self._foreknown = Foreknown()
        self.heads = Heads(transaction.heads)
        self.sent = False
        """Whether something of this unit was sent: it cannot be undone without the whole transaction."""
        self.broken: PyMongoError | None = None
        """What the server refused, whatever the work made of it: the transaction is over then."""

    def adopt(self) -> None:
        """Leave what was done to the transaction: the unit has succeeded."""
        self._transaction.waiting += self._own
        self._transaction.written |= self._written
        self._transaction.numbers = self._numbers
        self._transaction.heads.take(self.heads)
        self._transaction.records |= self._records
        self._transaction.types |= self._types

    def current(self, resource_type: str, resource_id: str) -> Version | None:
        """Return the newest version, a deletion included; None when there never was one."""
        name = (resource_type, resource_id)
        if name not in self.heads:
            # What waits to be sent is of other resources: it need not go first.
            self.heads.put(name, self._asked(lambda: history.newest(self._link.db[VERSIONS], self._session, *name)))
        return self.heads.get(name)

    def prefetch(self, foresee: Callable[[], Foreseen]) -> None:
        """Ask at once for what will be asked: three requests at most, none for what is known or but one thing."""
        told = foresee()
        names = [name for name in dict.fromkeys(told.names) if name not in self.heads]
        if len(names) > 1:
            for name, found in self._asked(lambda: newest_of(self._link, self._transaction.session, names)).items():
                self.heads.put(name, found)
        keys = keys_of(told.targets, told.queries)
        if len(told.targets) + len(told.queries) > 1 and keys:
            self._in(CURRENT)  # sends what the question must see
            holders = self._asked(lambda: holders_of(self._link, self._transaction.session, keys))
            for version in self._foreknown.learn(holders or {}):
                self.heads.put((version.type, version.id), version)

    def referrers(self, target: str, limit: int = 1) -> list[str]:
        """Return `Type/id` of current resources that refer to `target` by any reference parameter."""
        known = self._foreknown.referrers(target)
        if known is not None:
            return known[:limit]
        return self._asked(lambda: super(BufferedSnapshot, self).referrers(target, limit))

    def know(self, versions: Iterable[Version]) -> None:
        """Find out with one question which of these versions are current."""
        named = {f"{version.type}/{version.id}": version for version in versions}
        asked = {"_id": {"$in": list(named)}}
        current = self._in(CURRENT)
        for found in self._asked(lambda: list(current.find(asked, {"s": 1}, session=self._session))):
            version = named[found["_id"]]
            if version.sequence == found["s"]:
                self.heads.put((version.type, version.id), version)

    def search(self, query: Query) -> list[Row]:
        """Return up to `query.limit` rows. Raises TooCostly when the limit of time is reached."""
        known = self._foreknown.rows(query)
        if known is not None:
            return known
        self._flush_for(query)
        return self._asked(lambda: super(BufferedSnapshot, self).search(query))

    def count(self, query: Query, limit: int | None = None) -> int:
        """Count what matches, at most up to `limit`. Raises TooCostly when the limit of time is reached."""
        self._flush_for(query)
        return self._asked(lambda: super(BufferedSnapshot, self).count(query, limit))

    def explain(self, query: Query) -> Explanation:
        """Run a search and tell how. Raises TooCostly when the limit of time is reached."""
        self.flush()
        return self._asked(lambda: super(BufferedSnapshot, self).explain(query))

    def record(self, kind: str, key: str) -> Record | None:
        """Return one record, None when there is none."""
        name = f"{kind}{UNIT}{key}"
        for known in (self._records, self._transaction.records):
            if name in known:
                found = known[name]
                return None if found is None else record_of(found)
        return self._asked(lambda: super(BufferedSnapshot, self).record(kind, key))

    def last_sequence(self) -> int:
        """Return the sequence number of the newest change, those of this unit included."""
        return self._numbers.seq

    def on_session(self, work: Callable[[Link, ClientSession, int], T]) -> T:
        """Run work of this adapter's own in the transaction; it is told the time of the commit."""
        self.flush()
        transaction = self._transaction
        self.sent = transaction.changed = True
        return self._asked(lambda: work(transaction.link, transaction.session, transaction.lu))

    def check(self) -> None:
        """Raise what the server refused, if anything, whatever the work made of it."""
        if self.broken is not None:
            raise self.broken

    def flush(self) -> None:
        """Send what waits, so that a question sees it."""
        if self._own:
            self.sent = True
        self._written.clear()
        self._asked(lambda: self._transaction.flush(self._own))

    def _in(self, collection: str) -> Collection[Document]:
        """Whatever is asked of a collection sees what this transaction has done to it so far."""
        if collection in self._written or collection in self._transaction.written:
            self.flush()
        return super()._in(collection)

    def _write(self, collection: str, make: Callable[[str], Any]) -> None:
        self.check()
        self._written.add(collection)
        self._own.append(make(self._link.namespace(collection)))

    def _flush_for(self, query: Query) -> None:
        """Send what waits, unless it is all of types that the search does not ask about."""
        if asks_twice(query.where) or query.type in self._types or query.type in self._transaction.types:
            self.flush()

    def _asked(self, ask: Callable[[], T]) -> T:
        self.check()
        try:
            return ask()
        except PyMongoError as error:
            self.broken = error
            raise
