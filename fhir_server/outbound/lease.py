"""A lease on a task that one process at a time does, as a record of the store, with a number that fences off the late.

Whoever holds it renews it well before it ends. A process that was asleep and believes that it still holds it is found out
when it writes: `require` compares the fence inside the unit of work, and nothing of that unit is kept.
"""

from typing import Final

import msgspec

from fhir_server.model.clock import Clock
from fhir_server.store.port import Snapshot, Store, UnitOfWork

KIND: Final = "lease"
LEASE_MS: Final = 4_000


class LeaseLost(Exception):
    """Somebody else does the task now."""


class _Held(msgspec.Struct):
    holder: str
    fence: int
    until: int


_decoder = msgspec.json.Decoder(_Held)


class Lease:
    """The lease of one task, seen from one process. For one thread at a time, but for `require`."""

    def __init__(self, store: Store, clock: Clock, task: str, holder: str, lease_ms: int = LEASE_MS) -> None:
        self._store = store
        self._clock = clock
        self._task = task
        self._holder = holder
        self._lease_ms = lease_ms
        self._fence = 0
        self._until = 0

    def hold(self) -> bool:
        """Take or renew the lease; tell whether it is ours now. It is written when half of it is over."""
        now = self._clock.now_ms()
        if self._fence and 0 <= self._until - now <= self._lease_ms and self._until - now > self._lease_ms // 2:
            return True
        other = self._store.read(self._held, once=True)
        if other is not None and other.holder != self._holder and self._runs(other, now):
            self._fence = 0
            return False
        return self._store.write(self._take)

    def require(self, uow: UnitOfWork) -> None:
        """Raise LeaseLost unless the lease is ours in this unit of work."""
        held = self._held(uow)
        if held is None or held.holder != self._holder or held.fence != self._fence:
            raise LeaseLost

    def release(self) -> None:
        """Give it back, so that another process need not wait."""
        if self._fence:
            self._fence = 0
            self._store.write(self._give_back)

    def _held(self, snapshot: Snapshot) -> _Held | None:
        record = snapshot.record(KIND, self._task)
        return _decoder.decode(record.body) if record is not None else None

    def _runs(self, held: _Held, now: int) -> bool:
        """Tell whether a lease of another still runs; one that ends too far ahead was given before the clock was set back."""
        return 0 < held.until - now <= self._lease_ms

    def _take(self, uow: UnitOfWork) -> bool:
        held = self._held(uow)
        now = self._clock.now_ms()
        if held is not None and held.holder != self._holder and self._runs(held, now):
            self._fence = 0
            return False
        same = held is not None and held.holder == self._holder
        fence = (held.fence if held is not None else 0) + (0 if same else 1)
        until = now + self._lease_ms
        uow.set_record(KIND, self._task, msgspec.json.encode(_Held(self._holder, fence, until)))
        self._fence, self._until = fence, until
        return True

    def _give_back(self, uow: UnitOfWork) -> None:
        held = self._held(uow)
        if held is not None and held.holder == self._holder:
            uow.set_record(KIND, self._task, msgspec.json.encode(_Held("", held.fence, 0)))
