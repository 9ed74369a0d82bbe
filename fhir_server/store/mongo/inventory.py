"""What only a copy of a whole store asks: the keys of audit records, and which kinds of records and notes there are."""

from collections.abc import Iterator

from fhir_server.store.concepts import ConceptRow
from fhir_server.store.mongo.layout import AUDIT, CONCEPTS, NOTES, RECORDS
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.mongo.unit import MongoUnit
from fhir_server.store.port import AuditAnchor, UnitOfWork


class MongoInventory:
    """See `cli.copying.Inventory` for what each method promises."""

    def __init__(self, store: MongoStore) -> None:
        self._db = store.link.db

    def audit_keys(self, first: int, last: int) -> dict[int, list[str]]:
        """Return the keys of the audit records from one number to another."""
        found = self._db[AUDIT].find({"_id": {"$gte": first, "$lte": last}}, {"a": 1})
        return {one["_id"]: list(one["a"]) for one in found}

    def kinds(self) -> list[str]:
        """Return the kinds of records."""
        return sorted(self._db[RECORDS].distinct("k"))

    def notes(self) -> list[str]:
        """Return the names of the notes."""
        return sorted(str(one["_id"]) for one in self._db[NOTES].find({}, {"_id": 1}))

    def bytes_used(self) -> int:
        """Return the bytes that the database takes on disk, indexes included."""
        told = self._db.command("dbStats")
        return int(told.get("storageSize", 0)) + int(told.get("indexSize", 0))

    def concepts(self, edition: int) -> Iterator[ConceptRow]:
        """Yield the concepts of an edition by their number."""
        found = self._db[CONCEPTS].find({"e": edition}, sort=[("n", 1)], batch_size=1_000)
        for one in found:
            yield ConceptRow(one["n"], one["k"], tuple(one["p"]), tuple(one["w"]), one["r"], one["b"])

    def start_audit(self, unit: UnitOfWork, anchor: AuditAnchor) -> None:
        """Let the audit trail, which must be empty, begin after an anchor."""
        assert isinstance(unit, MongoUnit)  # noqa: S101  # our own store made it
        unit.start_audit(anchor.number, anchor.digest)
