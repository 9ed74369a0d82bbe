"""News of subscriptions that are fetched and not pushed: which have new events, told to all processes of one store.

The dispatcher, which runs in one process, leaves a record with the events that it files, in the same unit of work. Each
process that has listeners reads those records in order, however many listeners there are, and wakes the few concerned;
these then read the events themselves, by number.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec
import structlog

from fhir_server.interactions.signal import Signal
from fhir_server.model.errors import FhirError
from fhir_server.store.port import Record, Snapshot, Store, UnitOfWork

NEWS: Final = "subscription-news"
"""Kind of the records; their keys grow with the place of the dispatcher in the feed."""
_KEPT_MS: Final = 60_000
_AT_A_TIME: Final = 500
_QUICK: Final = 0.01
"""Seconds between two looks after a change, until the dispatcher has filed it."""
_QUICK_FOR: Final = 0.5
_SLOW: Final = 0.25
_decoder = msgspec.json.Decoder(list[str])
_log = structlog.get_logger("fhir_server.feed")


def tell_news(uow: UnitOfWork, place: tuple[int, int], subscriptions: Iterable[str]) -> None:
    """Say that subscriptions (their ids) have new events; `place` is where the feed and the outbox were walked to."""
    named = sorted(subscriptions)
    if named:
        key = f"{place[0]:018d}-{place[1]:018d}"
        uow.set_record(NEWS, key, msgspec.json.encode(named), uow.last_updated + _KEPT_MS)


class News:
    """The listeners of one process, on one event loop."""

    def __init__(self, store: Store, signal: Signal) -> None:
        self._store = store
        self._signal = signal
        self._listening: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._after = ""
        self._started: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def listen(self, subscription: str) -> asyncio.Event:
        """Return an event that is set whenever a subscription has something new; read what there is after this."""
        event = asyncio.Event()
        self._listening[subscription].add(event)
        if self._task is None or self._task.done():
            self._started = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._look(self._started))
        if self._started is not None:
            await self._started
        return event

    def leave(self, subscription: str, event: asyncio.Event) -> None:
        """Listen no more."""
        self._listening[subscription].discard(event)
        if not self._listening[subscription]:
            del self._listening[subscription]

    async def _look(self, started: "asyncio.Future[None]") -> None:
        known, until = self._signal.sequence, 0.0
        loop = asyncio.get_running_loop()
        while self._listening:
            try:
                found = await self._store.read_async(self._read)
                if started.done():
                    self._wake(found)
                else:
                    started.set_result(None)
            except FhirError as error:  # the store cannot be asked now
                _log.warning("news of subscriptions cannot be read", failure=type(error).__name__)
            if loop.time() < until:
                await asyncio.sleep(_QUICK)
                continue
            newest = await self._signal.wait(known, _SLOW)
            if newest > known:
                known, until = newest, loop.time() + _QUICK_FOR

    def _read(self, snapshot: Snapshot) -> list[Record]:
        found: list[Record] = []
        while page := snapshot.records(NEWS, self._after, _AT_A_TIME):
            found += page
            self._after = page[-1].key
        return found

    def _wake(self, found: list[Record]) -> None:
        for record in found:
            for subscription in _decoder.decode(record.body):
                for event in self._listening.get(subscription, ()):
                    event.set()
