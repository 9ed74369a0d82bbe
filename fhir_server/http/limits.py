"""How often one caller may ask: a bucket of tokens for each, in this process only (N processes allow N times as much)."""

import math
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Final

from fhir_server.model.errors import Throttled

_MOST: Final = 20_000


class Buckets:
    """A bucket for each key, which fills at `rate` a second up to `burst`; a rate of 0 limits nothing."""

    def __init__(self, rate: float, burst: float, now: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._burst = max(burst, 1.0)
        self._now = now
        self._held: dict[str, tuple[float, float]] = {}
        """Key to what is in the bucket, and when that was so."""

    def take(self, key: str) -> None:
        """Take one. Raises Throttled with the whole seconds until there is one again."""
        if not self._rate:
            return
        now = self._now()
        left = self._left(key, now)
        if left < 1.0:
            raise self._throttled(left)
        if key not in self._held and len(self._held) >= _MOST:
            self._drop(now)
        self._held[key] = (left - 1.0, now)

    def spend(self, key: str) -> None:
        """Take one if there is one: what is counted here has been refused already."""
        with suppress(Throttled):
            self.take(key)

    def check(self, key: str) -> None:
        """Raise Throttled when the bucket is empty; take nothing."""
        if self._rate and (left := self._left(key, self._now())) < 1.0:
            raise self._throttled(left)

    def _left(self, key: str, now: float) -> float:
        held = self._held.get(key)
        return self._burst if held is None else min(self._burst, held[0] + (now - held[1]) * self._rate)

    def _throttled(self, left: float) -> Throttled:
        wait = max(1, math.ceil((1.0 - left) / self._rate))
        said = f"{self._rate:g} a second" if self._rate >= 1 else f"{self._rate * 60:g} a minute"
        return Throttled(f"That was too often: {said} are allowed. Try again after {wait} s.", wait)

    def _drop(self, now: float) -> None:
        """Forget the buckets that are full again, or else the older half."""
        full = [key for key in self._held if self._left(key, now) >= self._burst]
        for key in full or list(self._held)[: _MOST // 2]:
            del self._held[key]
