"""One multi-document transaction, which the units of a group share: its time, the running numbers, what is yet to be sent.

Its first command counts up the `commit` document. Two transactions that are open at once therefore conflict there, before
either has read anything: whoever holds it has read everything that was committed before (docs/adr/0014). What the units
write waits in memory, and goes to the server in one bulk write: before a question that it could change, or at the end.
"""

from dataclasses import dataclass
from typing import Any

from pymongo import ReturnDocument, UpdateOne
from pymongo.client_session import ClientSession

from fhir_server.model.clock import Clock
from fhir_server.model.errors import Unavailable
from fhir_server.store.mongo.layout import COMMIT, STATE
from fhir_server.store.mongo.link import MAJORITY, SNAPSHOT, Document, Link
from fhir_server.store.port import Version


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers that a commit counts up."""

    seq: int = 0
    audit: int = 0
    digest: bytes = b""
    outbox: int = 0


class Heads:
    """The newest versions that are known in a transaction: read in it, or written by it."""

    __slots__ = ("_below", "_known")

    def __init__(self, below: "Heads | None" = None) -> None:
        self._below = below
        self._known: dict[tuple[str, str], Version | None] = {}

    def __contains__(self, name: tuple[str, str]) -> bool:
        return name in self._known or (self._below is not None and name in self._below)

    def get(self, name: tuple[str, str]) -> Version | None:
        """Return what is known to be the newest version; None when it is known that there is none."""
        if name in self._known or self._below is None:
            return self._known[name]
        return self._below.get(name)

    def put(self, name: tuple[str, str], newest: Version | None) -> None:
        """Keep what is the newest version now."""
        self._known[name] = newest

    @property
    def own(self) -> "dict[tuple[str, str], Version | None]":
        """What was learned here, and not below."""
        return self._known

    def take(self, above: "Heads") -> None:
        """Keep what a unit, which has succeeded, knew."""
        self._known.update(above.own)


class Transaction:
    """An open transaction on a session of its own."""

    def __init__(self, link: Link, session: ClientSession, clock: Clock, *, careful: bool) -> None:
        """Begin, and take the numbers over. Raises pymongo's errors, transient when another transaction is open."""
        self.link = link
        self.session = session
        self.careful = careful
        """Whether a first version looks for others before, rather than leave it to the unique index."""
        session.start_transaction(read_concern=SNAPSHOT, write_concern=MAJORITY)
        found = link.db[STATE].find_one_and_update(
            {"_id": COMMIT}, {"$inc": {"n": 1}}, session=session, return_document=ReturnDocument.BEFORE
        )
        if found is None:
            raise Unavailable("The database does not hold a store any more. Run fhir-server store init on it.")
        self.numbers = self._before = Numbers(found["seq"], found["audit"], found["digest"], found["outbox"])
        self.lu = max(clock.now_ms(), found["lu"] + 1)
        self.heads = Heads()
        self.records: dict[str, Document | None] = {}
        """The records that were set or removed."""
        self.types: set[str] = set()
        """The types of which something was written."""
        self.waiting: list[Any] = []
        self.written: set[str] = set()
        """The collections of what waits."""
        self.changed = False

    def flush(self, more: list[Any]) -> None:
        """Send what waits, and then `more`, which it empties."""
        writes = [*self.waiting, *more]
        if writes:
            self.changed = True
            self.waiting.clear()
            self.written.clear()
            more.clear()
            self.link.client.bulk_write(writes, session=self.session, ordered=True)

    def finish(self) -> None:
        """Send the rest and the numbers; the caller commits. The time is used up when something carries it to readers."""
        told = self.numbers != self._before
        numbers = {
            "seq": self.numbers.seq,
            "audit": self.numbers.audit,
            "digest": self.numbers.digest,
            "outbox": self.numbers.outbox,
            "lu": self.lu,
        }
        if told:
            self.waiting.append(UpdateOne({"_id": COMMIT}, {"$set": numbers}, namespace=self.link.namespace(STATE)))
        self.flush([])
