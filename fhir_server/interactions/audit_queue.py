"""Accesses on their way into the audit trail: a bounded queue, written at least every `WINDOW_SECONDS` by one task.

A durable write for each read would cost more than the read. So a read is answered while its audit waits in memory, for a
fifth of a second at most; when the queue is full or the store refuses, reads are refused and not left out of the trail.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, Literal, NamedTuple

import structlog

from fhir_server.access.principal import Principal
from fhir_server.interactions.audit import Access, Seal, append, describe
from fhir_server.interactions.audit_scope import is_directory, is_told
from fhir_server.interactions.audit_seals import APART, Signer, as_line, seal_trail
from fhir_server.interactions.audit_seals import Seal as TrailSeal
from fhir_server.interactions.audit_seen import seen
from fhir_server.interactions.request import Request, Result
from fhir_server.interactions.status import status_of_error
from fhir_server.model import errors
from fhir_server.model.clock import Clock, SystemClock, render_instant
from fhir_server.store.port import Store, UnitOfWork

WINDOW_SECONDS: Final = 0.15
"""How long the first access of a batch waits; with the commit it stays below 200 ms."""
QUEUE_LENGTH: Final = 10_000
QUEUE_BYTES: Final = 64 * 1024 * 1024
_BATCH: Final = 1_000
_REMEMBERED_REFUSALS: Final = 1_000

When = Literal["batched", "before-answer", "off"]

_log = structlog.get_logger("fhir_server.audit")


def _nothing(resource_type: str, resource_id: str, version: int) -> None:  # noqa: ARG001  # the shape of a look-up
    return None


def _clear(text: bytes, place: str) -> bytes:  # noqa: ARG001  # the shape of a seal
    return text


class Sealing(NamedTuple):
    """How the trail is sealed: texts that name a person, the signature, and a file beside the database ("" for none)."""

    seal: Seal = _clear
    unseal: Callable[[bytes, str], bytes] = _clear
    signer: Signer | None = None
    file: str = ""


class _Waiting(NamedTuple):
    who: Principal
    access: Access | None
    answer: tuple[Request, Result, int] | None = None
    """In place of an access: an answer and its time in milliseconds. It is looked through when the batch is written, for
    which its caller need not wait."""
    size: int = 0


class Auditor:
    """Takes accesses from any thread; one task of one event loop writes them. `off` audits changes only."""

    def __init__(
        self,
        store: Store | None = None,
        clock: Clock | None = None,
        sealing: Sealing | None = None,
        *,
        when: When = "off",
        directory: bool = False,
        length: int = QUEUE_LENGTH,
    ) -> None:
        self.sealing = sealing or Sealing()
        self.when = when
        self.waits = when == "before-answer"
        self._store = store
        self._clock = clock or SystemClock()
        self._directory = directory
        self._length = length
        self._queue: deque[_Waiting] = deque()
        self._refusals: dict[tuple[Principal, str, str, int], int] = {}
        self._bytes = 0
        self._failing = False
        self._unsealed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._armed = False
        self._task: asyncio.Task[None] | None = None
        self._written: asyncio.Event | None = None

    # --- what happened -------------------------------------------------------------------------------------------

    def read(self, request: Request, result: Result) -> None:
        """Take a read that is about to be answered. Raises Unavailable when it cannot be audited."""
        if self.when == "off" or (not self._directory and is_directory(request)):
            return
        if self._failing or len(self._queue) >= self._length or self._bytes > QUEUE_BYTES:
            raise errors.Unavailable(
                "This read cannot be entered in the audit trail now, so it is not answered. Nothing was shown; try again.",
                retry_after=1,
            )
        body = result.body
        if body is None:
            body = result.version.body if result.version is not None else None
        size = len(body) if body is not None else 0
        self._take(_Waiting(request.principal, None, (request, result, self._clock.now_ms()), size))

    async def settled(self) -> None:
        """Wait until what was taken is durable. Raises Unavailable when it is not."""
        while self._queue and not self._failing:
            await self._round()
        if self._failing:
            raise errors.Unavailable("The audit trail cannot be written now, so nothing is shown. Try again.")

    def refused(self, request: Request, error: errors.FhirError) -> None:
        """Take a refusal. Those that come faster than they can be written are counted instead of told one by one."""
        if self._store is None or not is_told(error):
            return
        status = int(status_of_error(error))
        if len(self._queue) < self._length // 2:
            access = Access(at=render_instant(self._clock.now_ms()), outcome=status)
            describe(access, request, self.sealing.seal)
            self._take(_Waiting(request.principal, access))
            return
        key = (request.principal, request.method, request.path.partition("/")[0], status)
        if key in self._refusals or len(self._refusals) < _REMEMBERED_REFUSALS:
            self._refusals[key] = self._refusals.get(key, 0) + 1

    def within(self, uow: UnitOfWork, request: Request, result: Result, written: frozenset[str]) -> None:
        """Enter what the answer to a write shows beyond what it wrote, in its own unit: reads among the entries of a
        transaction, or the resource that an update left as it was.
        """
        version = result.version
        if self._store is None or (version is None and result.body is None):
            return
        if version is not None and f"{version.type}/{version.id}/_history/{version.version}" in written:
            return
        access = seen(request, result, render_instant(uow.last_updated), uow.version, self.sealing.seal)
        access.entity = [one for one in access.entity if one.what not in written]
        if access.entity:
            append(uow, request.principal, [access])

    def changed(self) -> None:
        """Take note that a unit of work has written a record: it is to be sealed soon."""
        if self.sealing.signer is not None and not self._unsealed:
            self._unsealed = True
            if self._loop is None:
                with suppress(RuntimeError):  # a command, which seals when it ends
                    self._loop = asyncio.get_running_loop()
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._arm)

    def _take(self, one: _Waiting) -> None:
        self._queue.append(one)
        self._bytes += one.size
        if self._armed:
            return
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:  # a thread: of a server, whose loop does it, or of a command, which waits
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._arm)
            else:
                self.flush()
            return
        self._arm()

    # --- writing it ----------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        if not self._armed and self._loop is not None:
            self._armed = True
            self._loop.call_later(WINDOW_SECONDS, self._start)

    def _start(self) -> None:
        if self._loop is not None and (self._task is None or self._task.done()):
            self._task = self._loop.create_task(self._round())

    async def _round(self) -> None:
        """Write what waits now, a batch at a time. What comes meanwhile waits for the next round, or every commit would
        take a few accesses only; so does everything when the store refuses.
        """
        if self._written is not None:  # another one is at it
            await self._written.wait()
            return
        self._written = asyncio.Event()
        try:
            waiting = len(self._queue) + len(self._refusals) + self._unsealed
            while waiting > 0 and self._store is not None:
                batch, unsealed, self._unsealed = self._batch(), self._unsealed, False
                try:
                    seal = await self._store.write_async(partial(self._write, batch=batch))
                except Exception as error:  # noqa: BLE001  # whatever the store says, the accesses are kept
                    self._unsealed = self._unsealed or unsealed
                    self._give_back(batch, error)
                    break
                waiting -= len(batch) + unsealed
                self._failing = False
                self._tell(seal)
        finally:
            self._written.set()
            self._written, self._armed = None, False
            if self._queue or self._unsealed:
                self._arm()

    def flush(self) -> None:
        """Write all that waits, in this thread, which is not that of an event loop. Raises what the store raises."""
        while (self._queue or self._refusals or self._unsealed) and self._store is not None:
            batch, self._unsealed = self._batch(), False
            try:
                self._tell(self._store.write(partial(self._write, batch=batch)))
            except Exception as error:
                self._give_back(batch, error)
                raise

    async def close(self) -> None:
        """Write what is left when the server stops."""
        if self._written is not None:
            await self._written.wait()
        if self._loop is None:
            return
        self._unsealed = self._unsealed or self.sealing.signer is not None
        await self._round()
        if self._queue:
            _log.error("accesses are missing from the audit trail", accesses=len(self._queue))

    def _batch(self) -> list[_Waiting]:
        counted, self._refusals = self._refusals, {}
        now = render_instant(self._clock.now_ms())
        batch = [
            _Waiting(who, Access(f"{method} {path}", now, status, times=times))
            for (who, method, path, status), times in counted.items()
        ]
        with suppress(IndexError):
            while len(batch) < _BATCH:
                batch.append(self._queue.popleft())
                self._bytes -= batch[-1].size
        return batch

    def _give_back(self, batch: list[_Waiting], error: Exception) -> None:
        self._queue.extendleft(reversed(batch))
        self._bytes += sum(one.size for one in batch)
        self._failing = True
        _log.error("the audit trail cannot be written; reads are refused until it can", failure=type(error).__name__)

    def _write(self, uow: UnitOfWork, batch: list[_Waiting]) -> TrailSeal | None:
        by_caller: dict[Principal, list[Access]] = {}
        instant = lru_cache(maxsize=1)(render_instant)
        for who, access, answer, _ in batch:
            if answer is not None:
                request, result, at = answer
                access = seen(request, result, instant(at), uow.version, self.sealing.seal)  # noqa: PLW2901  # made now
            if access is not None:
                by_caller.setdefault(who, []).append(access)
        for principal, accesses in by_caller.items():
            append(uow, principal, accesses)
        return seal_trail(uow, self.sealing.signer) if self.sealing.signer is not None else None

    def _tell(self, seal: TrailSeal | None) -> None:
        """Leave seals outside of the database: who cuts the trail there cannot cut it here."""
        if seal is None or not self.sealing.file:
            return
        with Path(self.sealing.file).open("a", encoding="ascii") as file:
            file.write(as_line(seal) + "\n")


__all__ = ["APART", "Auditor", "Sealing", "When"]
