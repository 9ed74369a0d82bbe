"""How many rows a key has, roughly: counted now and then, so that the rarer of two large keys drives a plan.

An estimate that is out of date makes a plan slower, never wrong.
"""

import time
from collections.abc import Callable

from fhir_server.store.sqlite.sql import Sql

MOST = 20_000
"""Counted up to here: a key with more rows drives a plan only when it has to."""

_SECONDS = 60.0
_KEPT = 2_000


class Estimates:
    """The sizes of large keys, remembered by all connections of a store; safe to share between threads."""

    def __init__(self) -> None:
        self._known: dict[tuple[Sql, ...], tuple[int, float]] = {}

    def of(self, arms: tuple[Sql, ...], count: Callable[[int], int]) -> int:
        """Return the size of what is driven by these arms; `count` counts it up to a limit when it is not remembered."""
        now = time.monotonic()
        known = self._known.get(arms)
        if known is not None and known[1] > now:
            return known[0]
        size = count(MOST)
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[arms] = size, now + _SECONDS
        return size
