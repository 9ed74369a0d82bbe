"""Identity as a collaborator, so that tests can count."""

import os
from collections import deque
from typing import Protocol

_BYTES = 16
_AT_ONCE = 128


class IdSource(Protocol):
    """A source of new logical ids."""

    def new_id(self) -> str:
        """Return an id that no other resource has (R4: 1 to 64 of `[A-Za-z0-9-.]`)."""
        ...


class RandomIds:
    """Random ids: 128 bits as 32 hexadecimal digits, lower case, so that they survive case-folding systems.

    Safe to share between threads. Randomness is fetched for many ids at once: asking the kernel costs more than the rest.
    """

    def __init__(self) -> None:
        self._ready: deque[bytes] = deque()

    def new_id(self) -> str:
        """Return 128 random bits as 32 characters."""
        try:
            raw = self._ready.popleft()
        except IndexError:
            pool = os.urandom(_BYTES * _AT_ONCE)
            self._ready.extend(pool[at : at + _BYTES] for at in range(_BYTES, len(pool), _BYTES))
            raw = pool[:_BYTES]
        return raw.hex()
