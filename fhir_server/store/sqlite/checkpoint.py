"""Moving committed pages from the write-ahead log into the file, in the background, so that no writer pays for it."""

import sqlite3
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path

from fhir_server.store.sqlite.link import Link, Settings

_PAUSE_SECONDS = 0.1
_PATIENCE_SECONDS = 0.1
_REST_SECONDS = 5.0
_LOG_BYTES = 256 << 20
"""A log that grew beyond this is emptied, for which writers wait a moment; SQLite reuses a smaller one by itself."""


class Checkpointer:
    """A thread with a connection of its own; it sleeps while nothing is written."""

    def __init__(self, settings: Settings, writing: AbstractContextManager[object]) -> None:
        self._settings = settings
        self._log = Path(f"{settings.path}-wal")
        self._writing = writing
        self._not_before = 0.0
        self._grown = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-checkpoint", daemon=True)
        self._thread.start()

    def grew(self) -> None:
        """Say that something was committed."""
        self._grown.set()

    def close(self) -> None:
        """Stop the thread; what it has begun is finished first."""
        self._closing.set()
        self._grown.set()
        self._thread.join()

    def _run(self) -> None:
        link = Link(self._settings, busy_seconds=_PATIENCE_SECONDS)
        try:
            while not self._closing.is_set():
                self._grown.wait()
                self._closing.wait(_PAUSE_SECONDS)
                self._grown.clear()
                self._checkpoint(link)
        finally:
            link.close()

    def _checkpoint(self, link: Link) -> None:
        try:
            link.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if self._log.stat().st_size > _LOG_BYTES and time.monotonic() >= self._not_before:
                with self._writing:
                    busy = link.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                if busy:  # a long read holds on to the log: writers are not to wait for it again at once
                    self._not_before = time.monotonic() + _REST_SECONDS
        except (sqlite3.Error, FileNotFoundError):
            # A full disk or a reader in the way: the log keeps everything, and the next round tries again.
            self._closing.wait(_PAUSE_SECONDS)
            if not self._closing.is_set():
                self._grown.set()
