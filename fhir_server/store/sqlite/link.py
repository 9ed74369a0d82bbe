"""One connection to the store file: its settings, its own functions, a limit on time, and what its errors mean."""

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fhir_server.model.errors import FhirError, TooCostly, Unavailable
from fhir_server.search.match import Alone, distance, matches
from fhir_server.search.query import CompositeIs
from fhir_server.store.sqlite.encode import occurrences

_ALONE = Alone()
_SECURE_DELETE = "FAST"
"""Overwrite what is deleted with zeros where the page is written anyway."""
_STEPS_BETWEEN_LOOKS = 10_000
_BUSY = 0xFF & sqlite3.SQLITE_BUSY
_MEANINGS = {
    sqlite3.SQLITE_BUSY: "another process holds the store file",
    sqlite3.SQLITE_LOCKED: "another connection holds a table",
    sqlite3.SQLITE_FULL: "the disk is full, or the store file has reached its limit",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write",
    sqlite3.SQLITE_READONLY: "the store file is read-only",
    sqlite3.SQLITE_CANTOPEN: "the store file, or a file beside it, cannot be opened",
    sqlite3.SQLITE_NOMEM: "memory is exhausted",
    sqlite3.SQLITE_PERM: "the store file may not be used by this user",
    sqlite3.SQLITE_CORRUPT: "the store file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is not a store",
    sqlite3.SQLITE_PROTOCOL: "the locks of the store file are contended",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How the file is used. `synchronous` FULL survives a loss of power, NORMAL only a killed process."""

    path: Path
    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    query_seconds: float = 5.0
    busy_seconds: float = 5.0
    page_bytes: int = 4096
    cache_kib: int = 8_192
    map_bytes: int = (1 << 31) - (1 << 16)
    """How much of the file is read through the memory of the system, the most that SQLite takes: a read out of a million
    resources costs a fifth less. What was read counts as memory of the process that the system may take back."""
    max_pages: int = 0
    """The most pages that the file may grow to; 0 leaves it to the disk."""


class Link:
    """A connection that belongs to one thread at a time."""

    __slots__ = ("_composites", "_deadline", "_seconds", "connection", "execute", "executemany")

    def __init__(self, settings: Settings, *, busy_seconds: float) -> None:
        self._composites: list[CompositeIs] = []
        self._deadline = math.inf
        self._seconds = settings.query_seconds
        self.connection = sqlite3.connect(
            settings.path,
            timeout=busy_seconds,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        self.execute = self.connection.execute
        self.executemany = self.connection.executemany
        for pragma in _pragmas(settings):
            self.execute(f"PRAGMA {pragma}")
        self.connection.create_function("metres", 4, distance, deterministic=True)
        self.connection.create_function("paired", 2, self._paired)
        self.connection.set_progress_handler(self._late, _STEPS_BETWEEN_LOOKS)

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Run statements under the limit of time. Raises TooCostly when it is reached."""
        self._deadline = time.monotonic() + self._seconds
        try:
            yield
        except sqlite3.OperationalError as error:
            if overflowed(error):
                raise TooCostly(
                    "The search is nested too deep for the store. Ask in fewer steps: chains and _has with fewer levels.",
                    key="search-too-costly",
                ) from error
            if code_of(error) != sqlite3.SQLITE_INTERRUPT:
                raise
            raise TooCostly(
                f"The search took more than {self._seconds:g} seconds and was stopped. Add a parameter that narrows it "
                "(an identifier, a patient, an owner, a status), or ask for a shorter range.",
                key="search-too-costly",
            ) from error
        finally:
            self._deadline = math.inf
            self._composites.clear()

    @contextmanager
    def overwriting(self) -> Iterator[None]:
        """Overwrite what is deleted meanwhile with zeros, also where that writes more."""
        self.execute("PRAGMA secure_delete = ON")
        try:
            yield
        finally:
            self.execute(f"PRAGMA secure_delete = {_SECURE_DELETE}")

    def register(self, node: CompositeIs) -> int:
        """Make a node known to the function `paired`, until the statements under this limit have run."""
        self._composites.append(node)
        return len(self._composites) - 1

    def _paired(self, composite: str, number: int) -> bool:
        """Whether one occurrence satisfies the node; also when there is but one, whose rows were asked already."""
        node = self._composites[number]
        found = occurrences(composite, node.param)
        return not found or any(matches(node, "", "", 0, (entry,), _ALONE) for entry in found)

    def _late(self) -> int:
        return self._deadline is not math.inf and time.monotonic() > self._deadline

    def close(self) -> None:
        """Release the connection."""
        self.connection.close()


def _pragmas(settings: Settings) -> Iterator[str]:
    yield f"page_size = {settings.page_bytes}"
    yield "journal_mode = WAL"
    yield f"synchronous = {settings.synchronous}"
    yield "wal_autocheckpoint = 0"
    yield f"secure_delete = {_SECURE_DELETE}"
    yield f"cache_size = -{settings.cache_kib}"
    yield f"mmap_size = {settings.map_bytes}"
    yield "temp_store = MEMORY"
    if settings.max_pages:
        yield f"max_page_count = {settings.max_pages}"


def code_of(error: sqlite3.Error) -> int:
    """Return the primary result code of SQLite, 0 for an error of the Python module."""
    return 0xFF & getattr(error, "sqlite_errorcode", 0)


def overflowed(error: sqlite3.Error) -> bool:
    """Whether a statement nests more than the parser of SQLite holds."""
    return "parser stack overflow" in str(error)


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection holds a lock, so that waiting helps."""
    return code_of(error) == _BUSY


def explained(error: sqlite3.Error, retry_after: int = 1) -> FhirError | None:
    """Return what an error of the database means to a client; None when it is a mistake of this program."""
    meaning = _MEANINGS.get(code_of(error))
    if meaning is None:
        return None
    return Unavailable(
        f"The store cannot take the request now: {meaning} ({error}). Nothing was changed; try again later.",
        retry_after,
    )
