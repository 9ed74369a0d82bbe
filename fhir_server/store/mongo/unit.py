"""One unit of work in a transaction that it may share with others."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import bson
from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany

from fhir_server.model.errors import TooLarge, VersionConflict
from fhir_server.search.values import Entry
from fhir_server.store.mongo.buffered import BufferedSnapshot
from fhir_server.store.mongo.encode import encode
from fhir_server.store.mongo.layout import ANCHOR, AUDIT, CURRENT, NOTES, OUTBOX, RECORDS, STATE, UNIT, VERSIONS
from fhir_server.store.mongo.link import Document
from fhir_server.store.port import Version

T = TypeVar("T")

MOST_BYTES = 16 * 1024 * 1024 - 64 * 1024
"""The most bytes of a document that we send: MongoDB takes 16 MB, and adds a little of its own."""
_SURELY_FEW = 1_000
"""The index keys that need not be measured: each comes from a text of the resource, of which few are long."""


class MongoUnit(BufferedSnapshot):
    """The writing half of a unit of work; see `store.port.UnitOfWork` for what each method promises."""

    __slots__ = ()

    @property
    def last_updated(self) -> int:
        """The `lastUpdated` of every change in this unit, milliseconds since the epoch."""
        now: int = self._transaction.lu
        return now

    def put(
        self,
        resource_type: str,
        resource_id: str,
        version: int,
        body: bytes,
        entries: Sequence[Entry],
        method: str,
    ) -> Version:
        """Store a version and its index entries; raises VersionConflict when it does not follow the newest."""
        index = {"t": resource_type, "i": resource_id, "v": version, **encode(resource_type, entries)}
        _refuse_large(resource_type, resource_id, body, index)
        before, made = self._append(resource_type, resource_id, version, method, body)
        name = f"{resource_type}/{resource_id}"
        document = {"_id": name, "s": made.sequence, "u": made.last_updated, **index}
        if before is not None and not before.deleted:
            self._write(CURRENT, lambda at: ReplaceOne({"_id": name}, document, namespace=at))
        else:
            self._write(CURRENT, lambda at: InsertOne(document, namespace=at))
        self._foreknown.wrote(made, index["k"])
        return made

    def delete(self, resource_type: str, resource_id: str, version: int) -> Version:
        """Store a deletion; raises VersionConflict when it does not follow the newest."""
        before, made = self._append(resource_type, resource_id, version, "DELETE", None)
        if before is None or not before.deleted:
            self._write(CURRENT, lambda at: DeleteOne({"_id": f"{resource_type}/{resource_id}"}, namespace=at))
        self._foreknown.wrote(made, ())
        return made

    def emit(self, topic: str, payload: bytes) -> None:
        """Append an event to the outbox, about the newest change so far."""
        number = self._numbers.outbox + 1
        event = {"_id": number, "s": self._numbers.seq, "t": topic, "p": payload}
        self._write(OUTBOX, lambda at: InsertOne(event, namespace=at))
        self._numbers = replace(self._numbers, outbox=number)

    def set_note(self, name: str, value: str) -> None:
        """Keep a small text about the store itself; "" forgets it."""
        if value:
            kept = {"_id": name, "v": value}
            self._write(NOTES, lambda at: ReplaceOne({"_id": name}, kept, upsert=True, namespace=at))
        else:
            self._write(NOTES, lambda at: DeleteOne({"_id": name}, namespace=at))

    def append_audit(self, record: bytes, about: Sequence[str] = ()) -> int:
        """Append a record to the audit trail, to be found by the keys `about`; return its number."""
        number, digest = self._numbers.audit + 1, hashlib.sha256(self._numbers.digest + record).digest()
        line = {"_id": number, "r": record, "d": digest, "u": self._transaction.lu, "a": list(dict.fromkeys(about))}
        self._write(AUDIT, lambda at: InsertOne(line, namespace=at))
        self._numbers = replace(self._numbers, audit=number, digest=digest)
        return number

    def trim_audit(self, through: int) -> None:
        """Take away the audit records up to a number, the newest excepted."""
        last = min(through, self._numbers.audit - 1)
        if last <= self.audit_anchor().number:
            return
        found = self._in(AUDIT).find_one({"_id": last}, {"d": 1}, session=self._session)
        if found is None:
            return
        anchor = {"_id": ANCHOR, "number": last, "digest": found["d"]}
        self._write(AUDIT, lambda at: DeleteMany({"_id": {"$lte": last}}, namespace=at))
        self._write(STATE, lambda at: ReplaceOne({"_id": ANCHOR}, anchor, upsert=True, namespace=at))

    def start_audit(self, number: int, digest: bytes) -> None:
        """Let an empty audit trail begin after a record that is not there, as one that was trimmed does."""
        anchor = {"_id": ANCHOR, "number": number, "digest": digest}
        self._write(STATE, lambda at: ReplaceOne({"_id": ANCHOR}, anchor, upsert=True, namespace=at))
        self._numbers = replace(self._numbers, audit=number, digest=digest)

    def set_record(self, kind: str, key: str, body: bytes, due: int | None = None) -> None:
        """Keep a record, in place of one with the same kind and key."""
        name = f"{kind}{UNIT}{key}"
        kept = {"_id": name, "k": kind, "b": body} | ({} if due is None else {"d": due})
        self._write(RECORDS, lambda at: ReplaceOne({"_id": name}, kept, upsert=True, namespace=at))
        self._records[name] = kept

    def remove_record(self, kind: str, key: str) -> bool:
        """Forget a record; return whether there was one."""
        if self.record(kind, key) is None:
            return False
        name = f"{kind}{UNIT}{key}"
        self._write(RECORDS, lambda at: DeleteOne({"_id": name}, namespace=at))
        self._records[name] = None
        return True

    def erase(self, resource_type: str, resource_id: str) -> int:
        """Forget the bodies of all versions of a deleted resource; raises VersionConflict when it is not deleted."""
        newest = self.current(resource_type, resource_id)
        if newest is None or not newest.deleted:
            raise VersionConflict(f"{resource_type}/{resource_id} is not deleted. Delete it before it is erased.")
        asked = {"t": resource_type, "i": resource_id, "b": {"$exists": True}}
        number: int = int(self._in(VERSIONS).count_documents(asked, session=self._session))
        if number:
            self._write(VERSIONS, lambda at: UpdateMany(asked, {"$unset": {"b": 1}}, namespace=at))
        return number

    def reindex(self, version: Version, entries: Sequence[Entry]) -> bool:
        """Replace the index entries of a version if it is still current; return whether it is."""
        newest = self.current(version.type, version.id)
        if newest is None or newest.sequence != version.sequence or newest.deleted:
            return False
        name = f"{version.type}/{version.id}"
        document = {
            "_id": name, "s": version.sequence, "u": version.last_updated, "t": version.type, "i": version.id,
            "v": version.version, **encode(version.type, entries),
        }  # fmt: skip
        _refuse_large(version.type, version.id, b"", document)
        self._foreknown.wrote(version, document["k"])
        self._write(CURRENT, lambda at: ReplaceOne({"_id": name}, document, namespace=at))
        return True

    def _append(
        self, resource_type: str, resource_id: str, version: int, method: str, body: bytes | None
    ) -> tuple[Version | None, Version]:
        """Write a version; return the one before, None when there was none or the unique index is to tell, and itself."""
        name = (resource_type, resource_id)
        hopeful = version == 1 and body is not None and not self._transaction.careful and name not in self.heads
        before = None if hopeful else self.current(*name)
        newest = 0 if before is None else before.version
        if version != newest + 1:
            found = f"version {newest} of {resource_type}/{resource_id} is the newest"
            found = found if newest else f"{resource_type}/{resource_id} does not exist"
            raise VersionConflict(
                f"Version {version} was to be written, but {found}. Read the resource again and repeat the change."
            )
        made = Version(self._numbers.seq + 1, *name, version, self._transaction.lu, method, body)
        document = {
            "_id": made.sequence, "t": resource_type, "i": resource_id, "v": version, "u": made.last_updated, "m": method,
        } | ({} if body is None else {"b": body})  # fmt: skip
        self._write(VERSIONS, lambda at: InsertOne(document, namespace=at))
        self._numbers = replace(self._numbers, seq=made.sequence)
        self._types.add(resource_type)
        self.heads.put(name, made)
        return before, made


def _refuse_large(resource_type: str, resource_id: str, body: bytes, index: Document) -> None:
    """Raise TooLarge for what would not fit into a document, before anything is sent."""
    size = len(body)
    if size <= MOST_BYTES and len(index["k"]) + len(index.get("w", ())) > _SURELY_FEW:
        size = max(size, len(bson.encode(index)))
    if size > MOST_BYTES:
        raise TooLarge(
            f"{resource_type}/{resource_id} takes {size:,} bytes with what it is found by, and MongoDB keeps at most "
            f"{MOST_BYTES:,} in one document. Move attachments out of the resource, or split it up.",
        )
