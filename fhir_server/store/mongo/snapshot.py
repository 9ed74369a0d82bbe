"""What can be asked of one committed state of the database, or of a unit of work that is still open."""

from collections.abc import Sequence

from pymongo.errors import ExecutionTimeout

from fhir_server.search.query import Query
from fhir_server.store.mongo import explain as explaining
from fhir_server.store.mongo import history
from fhir_server.store.mongo.compile import Search
from fhir_server.store.mongo.concepts import MongoConcepts
from fhir_server.store.mongo.encode import referrer
from fhir_server.store.mongo.layout import (
    ANCHOR,
    AUDIT,
    COMMIT,
    CURRENT,
    NOTES,
    OUTBOX,
    RECORDS,
    STATE,
    UNIT,
    VERSIONS,
)
from fhir_server.store.mongo.link import Bound, Document
from fhir_server.store.port import (
    AuditAnchor,
    AuditRecord,
    Explanation,
    HistoryScope,
    OutboxEvent,
    Record,
    Row,
    Version,
)


class MongoSnapshot(MongoConcepts):
    """The reading half of a unit of work; see `store.port.Snapshot` for what each method promises.

    With a session, whose transaction is a snapshot; without one, for a single question that is consistent by itself.
    """

    __slots__ = ()

    def current(self, resource_type: str, resource_id: str) -> Version | None:
        """Return the newest version, a deletion included; None when there never was one."""
        return history.newest(self._in(VERSIONS), self._session, resource_type, resource_id)

    def version(self, resource_type: str, resource_id: str, version: int) -> Version | None:
        """Return one version, a deletion included."""
        asked = {"t": resource_type, "i": resource_id, "v": version}
        found = self._in(VERSIONS).find_one(asked, session=self._session)
        return None if found is None else history.version_of(found)

    def history(
        self,
        scope: HistoryScope,
        *,
        before: int | None = None,
        since_ms: int | None = None,
        at: tuple[int, int] | None = None,
        limit: int = 100,
    ) -> list[Version]:
        """Return versions of a scope, newest first."""
        asked = history.Asked(self._in(VERSIONS), self._session, scope, self._bound())
        with _limited(asked.bound):
            if at is None:
                return asked.page(before, since_ms, limit)
            return asked.current_at(at, before, since_ms, limit)

    def history_total(self, scope: HistoryScope, *, since_ms: int | None = None) -> int:
        """Count the versions that `history` would give in all."""
        asked = history.Asked(self._in(VERSIONS), self._session, scope, self._bound())
        with _limited(asked.bound):
            return asked.total(since_ms)

    def changes(self, after: int, limit: int, resource_types: Sequence[str] = ()) -> list[Version]:
        """Return the changes after a sequence number, oldest first: the gapless feed."""
        asked: Document = {"_id": {"$gt": after}}
        if resource_types:
            asked["t"] = {"$in": list(dict.fromkeys(resource_types))}
        return [history.version_of(one) for one in self._find(VERSIONS, asked, [("_id", 1)], limit)]

    def last_sequence(self) -> int:
        """Return the sequence number of the newest visible change, 0 in an empty store."""
        found = self._in(STATE).find_one({"_id": COMMIT}, session=self._session)
        return 0 if found is None else int(found["seq"])

    def search(self, query: Query) -> list[Row]:
        """Return up to `query.limit` rows. Raises TooCostly when the limit of time is reached."""
        bound = self._bound()
        with _limited(bound), Search(self._link, self._session, bound, query) as search:
            return search.rows()

    def count(self, query: Query, limit: int | None = None) -> int:
        """Count what matches, at most up to `limit`. Raises TooCostly when the limit of time is reached."""
        bound = self._bound()
        with _limited(bound), Search(self._link, self._session, bound, query) as search:
            return search.count(limit)

    def explain(self, query: Query) -> Explanation:
        """Run a search and tell how. Raises TooCostly when the limit of time is reached."""
        bound = self._bound()
        with _limited(bound), Search(self._link, self._session, bound, query) as search:
            return explaining.explain(self._link, search)

    def note(self, name: str) -> str | None:
        """Return what was noted under a name, None when nothing was."""
        found = self._in(NOTES).find_one({"_id": name}, session=self._session)
        return None if found is None else str(found["v"])

    def referrers(self, target: str, limit: int = 1) -> list[str]:
        """Return `Type/id` of current resources that refer to `target` by any reference parameter."""
        asked = {"k": referrer(target)}
        found = self._in(CURRENT).find(asked, {"_id": 1}, limit=limit, batch_size=limit, session=self._session)
        return [str(one["_id"]) for one in found]

    def audit(
        self, after: int, limit: int, about: Sequence[str] = (), recorded: tuple[int, int] | None = None
    ) -> list[AuditRecord]:
        """Return audit records after a number, oldest first, by keys and time."""
        first, *more = about or (None,)
        asked: Document = {"_id": {"$gt": after}}
        if first is not None:
            asked["a"] = first
        if more:
            asked["$and"] = [{"a": key} for key in more]
        if recorded is not None:
            asked["u"] = {"$gte": recorded[0], "$lt": recorded[1]}
        found = self._find(AUDIT, asked, [("_id", 1)], limit)
        return [AuditRecord(one["_id"], one["r"], one["d"], one["u"]) for one in found]

    def audit_anchor(self) -> AuditAnchor:
        """Return where the audit trail starts."""
        found = self._in(STATE).find_one({"_id": ANCHOR}, session=self._session)
        return AuditAnchor() if found is None else AuditAnchor(found["number"], found["digest"])

    def record(self, kind: str, key: str) -> Record | None:
        """Return one record, None when there is none."""
        found = self._in(RECORDS).find_one({"_id": f"{kind}{UNIT}{key}"}, session=self._session)
        return None if found is None else record_of(found)

    def records(self, kind: str, after: str = "", limit: int = 100) -> list[Record]:
        """Return the records of a kind after a key, in the order of their keys."""
        asked = {"_id": {"$gt": f"{kind}{UNIT}{after}", "$lt": f"{kind}{chr(ord(UNIT) + 1)}"}}
        return [record_of(one) for one in self._find(RECORDS, asked, [("_id", 1)], limit)]

    def due_records(self, kind: str, before: int, limit: int = 100) -> list[Record]:
        """Return the records of a kind that are due before an instant, first due first."""
        asked = {"k": kind, "d": {"$lt": before}}
        return [record_of(one) for one in self._find(RECORDS, asked, [("d", 1), ("_id", 1)], limit)]

    def outbox(self, after: int, limit: int) -> list[OutboxEvent]:
        """Return outbox events after a number, oldest first."""
        found = self._find(OUTBOX, {"_id": {"$gt": after}}, [("_id", 1)], limit)
        return [OutboxEvent(one["_id"], one["s"], one["t"], one["p"]) for one in found]


def record_of(found: Document) -> Record:
    """Return the record that a document is."""
    kind, _, key = found["_id"].partition(UNIT)
    return Record(kind, key, found["b"], found.get("d"))


class _limited:  # noqa: N801  # a context manager that reads as a word
    """Say in the words of a search that its time is over, whoever noticed."""

    __slots__ = ("_bound",)

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ExecutionTimeout):
            raise self._bound.refusal() from error
