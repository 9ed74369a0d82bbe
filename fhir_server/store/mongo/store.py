"""The MongoDB store: reads in the calling thread, writes by one thread in groups, each in a multi-document transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, cast

from pymongo.errors import PyMongoError

from fhir_server.model.clock import Clock
from fhir_server.model.errors import Unavailable
from fhir_server.search.values import Entry
from fhir_server.store.concepts import ConceptRow, Edition, EditionHead
from fhir_server.store.mongo import schema
from fhir_server.store.mongo.editions import EditionLoader
from fhir_server.store.mongo.link import SNAPSHOT, Link, Settings, translated
from fhir_server.store.mongo.snapshot import MongoSnapshot
from fhir_server.store.mongo.unit import MongoUnit
from fhir_server.store.mongo.writer import Job, Writer
from fhir_server.store.port import Snapshot, UnitOfWork, Version

T = TypeVar("T")

_THREADS = 16
_REINDEX_UNITS = 200


class MongoStore:
    """A store in one database of a replica set or sharded cluster; see `store.port.Store` for what each method promises.

    `query_seconds` bounds one search, `busy_seconds` the wait for a server and for a turn to write. Opening an empty
    database makes its collections and indexes. Raises Unavailable when the server is away or is not as it must be.
    """

    def __init__(self, url: str, clock: Clock, *, query_seconds: float = 5.0, busy_seconds: float = 5.0) -> None:
        try:
            self._link = Link(Settings(url, query_seconds, busy_seconds))
        except (PyMongoError, ValueError) as error:
            raise Unavailable(f"The address of the MongoDB store cannot be used: {error}") from error
        try:
            schema.open_database(self._link)
        except BaseException as error:
            self._link.close()
            if isinstance(error, PyMongoError):
                raise translated(error) from error
            raise
        self._writer = Writer(self._link, clock, busy_seconds)
        self._readers = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")
        self._heavy = ThreadPoolExecutor(_THREADS, thread_name_prefix="store-heavy")  # its work waits for commits
        self._asked: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        self._closed = False

    @property
    def link(self) -> Link:
        """The connection, for the commands that look after the database itself."""
        return self._link

    def read(self, work: Callable[[Snapshot], T], *, once: bool = False) -> T:
        """Run `work` on one consistent snapshot, in the calling thread; `once` saves the transaction around it."""
        try:
            if once:  # a single question is its own snapshot
                return work(MongoSnapshot(self._link, None))
            with self._link.client.start_session() as session:
                session.start_transaction(read_concern=SNAPSHOT)
                return work(MongoSnapshot(self._link, session))  # what the session leaves open, it aborts
        except PyMongoError as error:
            raise translated(error) from error

    def write(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` in a unit of work and commit durably before returning."""
        return cast("T", self._writer.write(work))

    def read_async(self, work: Callable[[Snapshot], T], *, heavy: bool = False, once: bool = False) -> Awaitable[T]:
        """As `read`, in a thread: a request to the server would hold the event loop up."""
        threads = self._heavy if heavy else self._readers
        return asyncio.get_running_loop().run_in_executor(threads, partial(self.read, work, once=once))

    async def write_async(self, work: Callable[[UnitOfWork], T], *, heavy: bool = False) -> T:
        """As `write`; units that are asked for in the same turn of the event loop go together."""
        del heavy  # no unit runs on the event loop
        loop = asyncio.get_running_loop()
        job = self._writer.job(work)
        asked = self._asked.setdefault(loop, [])
        if not asked:
            loop.call_soon(self._submit, loop)
        asked.append(job)
        return cast("T", await asyncio.wrap_future(job.future))

    def run_async(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run `work`, which calls `read` and `write` itself, in a thread."""
        return asyncio.get_running_loop().run_in_executor(self._heavy, work)

    def reindex(self, items: Iterable[tuple[Version, Sequence[Entry]]]) -> int:
        """Replace the index entries of versions that are still current; return how many were."""
        done = 0
        batch: list[tuple[Version, Sequence[Entry]]] = []
        for item in items:
            batch.append(item)
            if len(batch) == _REINDEX_UNITS:
                done += self._reindex(batch)
                batch = []
        return done + (self._reindex(batch) if batch else 0)

    def load_concepts(self, head: EditionHead, batches: Iterable[Sequence[ConceptRow]]) -> Edition:
        """Load a code system batch by batch; it becomes visible as a whole."""
        return EditionLoader(self.write, self._link).load(head, batches)

    def remove_concepts(self, system: str, version: str) -> bool:
        """Remove an edition with all its concepts; return whether there was one."""
        return EditionLoader(self.write, self._link).remove(system, version)

    def close(self) -> None:
        """Finish what runs and release every connection."""
        if self._closed:
            return
        self._closed = True
        self._heavy.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        self._writer.close()
        self._link.close()

    def _submit(self, loop: asyncio.AbstractEventLoop) -> None:
        asked = self._asked.pop(loop, [])
        self._writer.submit([job for job in asked if not job.future.cancelled()])

    def _reindex(self, batch: Sequence[tuple[Version, Sequence[Entry]]]) -> int:
        def work(unit: UnitOfWork) -> int:
            assert isinstance(unit, MongoUnit)  # noqa: S101  # our own writer made it
            unit.know(version for version, _ in batch)
            return sum(unit.reindex(version, entries) for version, entries in batch)

        found: Any = self.write(work)
        return int(found)
