"""Waking up who waits for the next change of the store: at once for changes of this process, soon for those of others.

One thread of the process looks at the newest sequence number, when it is touched after a commit and every `POLL_SECONDS`;
whoever waits asks it and not the store. A sequence number that is seen here is committed and visible, so that who reads
the feed afterwards finds it.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from fhir_server.model.errors import FhirError

POLL_SECONDS: Final = 0.2
"""How late a change of another process is seen at most."""
_log = structlog.get_logger("fhir_server.signal")


class Signal:
    """Tells the sequence number of the newest change that this process knows of. Safe between threads and loops."""

    def __init__(self, newest: Callable[[], int] | None = None, poll_seconds: float = POLL_SECONDS) -> None:
        """`newest` reads the newest sequence number from the store; without it nothing ever changes."""
        self._newest = newest or int
        self._poll = poll_seconds
        self._touched = threading.Event()
        self._news = threading.Condition()
        self._sequence = 0
        self._asleep: set[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = set()
        self._thread: threading.Thread | None = None
        self._ended = False

    @property
    def sequence(self) -> int:
        """The newest sequence number that is known here; 0 before `start`."""
        return self._sequence

    def touch(self) -> None:
        """Say that something may have been committed. Costs next to nothing; call it after the commit."""
        if not self._touched.is_set():
            self._touched.set()

    def start(self) -> None:
        """Begin to look. What waits before is woken by `touch` alone."""
        if self._thread is None:
            self._look()
            self._thread = threading.Thread(target=self._run, name="signal", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Look no more, and wake all who wait."""
        self._ended = True
        self._touched.set()
        if self._thread is not None:
            self._thread.join()
        self._wake()

    def wait_blocking(self, after: int, seconds: float) -> int:
        """Wait in a thread for a change after a sequence number; return the newest, which is not larger when time is up."""
        until = time.monotonic() + seconds
        with self._news:
            while self._sequence <= after and not self._ended and (left := until - time.monotonic()) > 0:
                self._news.wait(left)
        return self._sequence

    async def wait(self, after: int, seconds: float) -> int:
        """As `wait_blocking`, for an event loop."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while self._sequence <= after and not self._ended and (left := until - loop.time()) > 0:
            sleeper: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] = (loop, loop.create_future())
            with self._news:
                if self._sequence > after or self._ended:
                    break
                self._asleep.add(sleeper)
            try:
                await asyncio.wait_for(sleeper[1], left)
            except TimeoutError:
                break
            finally:
                with self._news:
                    self._asleep.discard(sleeper)
        return self._sequence

    def _run(self) -> None:
        while not self._ended:
            self._touched.wait(self._poll)
            self._touched.clear()
            if not self._ended:
                self._look()

    def _look(self) -> None:
        try:
            found = self._newest()
        except FhirError as error:  # the store cannot be asked now; the next look will tell
            _log.warning("the newest change cannot be read", failure=type(error).__name__)
            return
        if found > self._sequence:
            self._sequence = found
            self._wake()

    def _wake(self) -> None:
        with self._news:
            self._news.notify_all()
            asleep, self._asleep = self._asleep, set()
        by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for loop, future in asleep:
            by_loop.setdefault(loop, []).append(future)
        for loop, futures in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_finish, futures)


def _finish(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
