"""The SQLite store: one file in WAL mode, one writing connection, a few reading ones."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Literal, TypeVar, cast

from fhir_server.model.clock import Clock
from fhir_server.search.values import Entry
from fhir_server.store.concepts import ConceptRow, Edition, EditionHead
from fhir_server.store.port import Snapshot, UnitOfWork, Version
from fhir_server.store.sqlite.checkpoint import Checkpointer
from fhir_server.store.sqlite.editions import EditionLoader
from fhir_server.store.sqlite.group import translated
from fhir_server.store.sqlite.link import Link, Settings, explained
from fhir_server.store.sqlite.names import Names
from fhir_server.store.sqlite.purge import purge
from fhir_server.store.sqlite.schema import migrate
from fhir_server.store.sqlite.snapshot import SqliteSnapshot
from fhir_server.store.sqlite.unit import SqliteUnit
from fhir_server.store.sqlite.writer import Writer

T = TypeVar("T")

_READERS_KEPT = 8
_THREADS = 6
_REINDEX_UNITS = 200


class SqliteStore:
    """A store in one file; see `store.port.Store` for what each method promises.

    `synchronous` FULL survives a loss of power, NORMAL only the end of the process. `query_seconds` bounds one search,
    `busy_seconds` the wait for a turn to write. `page_bytes` holds for a new file, `max_pages` (0: none) limits its size.
    `write` and `reindex` are not for the thread of an event loop that also uses `write_async`: they would wait for it.
    """

    def __init__(
        self,
        path: str | Path,
        clock: Clock,
        *,
        query_seconds: float = 5.0,
        busy_seconds: float = 5.0,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        cache_kib: int = 8_192,
        page_bytes: int = 4096,
        max_pages: int = 0,
    ) -> None:
        self._settings = Settings(
            Path(path), synchronous, query_seconds, busy_seconds, page_bytes, cache_kib, max_pages=max_pages
        )
        self._names = Names()
        self._readers: deque[Link] = deque()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")
        self._heavy = ThreadPoolExecutor(
            _THREADS, thread_name_prefix="store-heavy"
        )  # apart: its work waits for commits
        self._writer = Writer(self._open_file(clock), self._names, clock, self._settings)
        self._checkpointer = Checkpointer(self._settings, self._writer.turn)
        self._writer.committed = self._checkpointer.grew
        self._closed = False

    @property
    def path(self) -> Path:
        """The file."""
        return self._settings.path

    def read(self, work: Callable[[Snapshot], T], *, once: bool = False) -> T:
        """Run `work` on one consistent snapshot, in the calling thread; `once` saves the transaction around it."""
        try:
            link = self._readers.pop()  # the one used last: what it has read is still in its memory
        except IndexError:
            link = self._link()
        try:
            if once:  # a single statement is its own snapshot
                return work(SqliteSnapshot(link, self._names))
            link.execute("BEGIN")
            try:
                return work(SqliteSnapshot(link, self._names))
            finally:
                if link.connection.in_transaction:  # an error may have ended it
                    link.execute("COMMIT")
        except sqlite3.Error as error:
            raise translated(error) from error
        finally:
            if len(self._readers) < _READERS_KEPT and not link.connection.in_transaction and not self._closed:
                self._readers.append(link)
            else:
                link.close()

    def write(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` in a unit of work and commit durably before returning."""
        return cast("T", self._writer.write(work))

    async def read_async(self, work: Callable[[Snapshot], T], *, heavy: bool = False, once: bool = False) -> T:
        """As `read`; `heavy` work runs in a thread."""
        if heavy:
            return await asyncio.get_running_loop().run_in_executor(self._heavy, self.read, work)
        return self.read(work, once=once)

    def write_async(self, work: Callable[[UnitOfWork], T], *, heavy: bool = False) -> Awaitable[T]:
        """As `write`; units that wait together share one commit, `heavy` work runs in a thread."""
        if heavy:
            return asyncio.get_running_loop().run_in_executor(self._heavy, self.write, work)
        return self._writer.write_async(work)

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

    def _reindex(self, batch: Sequence[tuple[Version, Sequence[Entry]]]) -> int:
        def work(unit: UnitOfWork) -> int:
            assert isinstance(unit, SqliteUnit)  # noqa: S101  # our own writer made it
            return sum(unit.reindex(version, entries) for version, entries in batch)

        return self.write(work)

    def load_concepts(self, head: EditionHead, batches: Iterable[Sequence[ConceptRow]]) -> Edition:
        """Load a code system batch by batch; it becomes visible as a whole."""
        return EditionLoader(self.write).load(head, batches)

    def remove_concepts(self, system: str, version: str) -> bool:
        """Remove an edition with all its concepts; return whether there was one."""
        return EditionLoader(self.write).remove(system, version)

    def purge(self) -> None:
        """Take out of the file what was erased and what no search asks for; needs room for a second file, and time.

        Raises Unavailable when another process writes, or the disk is full; the file then is as it was.
        """
        try:
            with self._writer.turn, closing(Link(self._settings, busy_seconds=self._settings.busy_seconds)) as link:
                purge(link, self._settings.busy_seconds)
        except sqlite3.Error as error:
            raise (explained(error) or error) from error

    def close(self) -> None:
        """Finish what runs, move the log into the file, and release every connection."""
        if self._closed:
            return
        self._closed = True
        self._heavy.shutdown(wait=True)
        self._threads.shutdown(wait=True)
        self._checkpointer.close()
        while self._readers:
            self._readers.popleft().close()
        self._writer.close()  # the last connection to close empties the log

    def _link(self) -> Link:
        return Link(self._settings, busy_seconds=self._settings.busy_seconds)

    def _open_file(self, clock: Clock) -> Link:
        """Open the writing connection, which alone brings the file up to date."""
        link: Link | None = None
        try:
            link = self._link()
            migrate(link.connection, clock.now_ms)
            link.execute("PRAGMA busy_timeout = 0")  # from here on the writer waits by itself, without blocking a loop
        except BaseException as error:
            if link is not None:
                link.close()
            self._heavy.shutdown()
            if isinstance(error, sqlite3.Error):
                raise translated(error) from error
            raise
        else:
            return link
