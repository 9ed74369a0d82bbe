"""Keys of others, fetched by address and kept: rotation is seen at once, failures are remembered for a while."""

import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from joserfc.jwk import KeySet

from fhir_server.access.jose import TokenRefused, key_named, key_set
from fhir_server.model.clock import Clock
from fhir_server.model.errors import Malformed
from fhir_server.outbound.fetch import FetchFailed

_KEPT: Final = 600_000
"""Milliseconds that fetched keys serve before they are fetched again."""
_PAUSE: Final = 30_000
"""Milliseconds between two fetches from one address: what an unknown `kid` or a failing server can cause at most."""
_MOST: Final = 1000


class _Held(NamedTuple):
    keys: KeySet | None
    fetched: int
    fault: str = ""


class JwksSource:
    """A cache of key sets by address. Safe to share between threads."""

    def __init__(self, get: Callable[[str], bytes], clock: Clock) -> None:
        self._get = get
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._turns: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def cached(self, url: str, kid: str) -> KeySet | None:
        """Return the keys at an address when they were fetched lately and `kid` is among them."""
        held = self._held.get(url)
        if held is None or held.keys is None or not 0 <= self._clock.now_ms() - held.fetched < _KEPT:
            return None
        return held.keys if key_named(held.keys, kid) is not None else None

    def fetch(self, url: str, kid: str) -> KeySet:
        """Return the keys at an address, fetched anew when `kid` is not among those that are known. Waits for it.

        Raises TokenRefused, also without asking when the address failed or lacked the key a moment ago.
        """
        with self._turn(url):  # one fetch at a time from one address
            if (known := self.cached(url, kid)) is not None:
                return known
            held = self._held.get(url)
            if held is None or not 0 <= self._clock.now_ms() - held.fetched < _PAUSE:
                held = self._fetched(url)
                self._keep(url, held)
        if held.keys is None:
            raise TokenRefused(f"The keys of the client cannot be fetched: {held.fault}")
        return held.keys

    def _fetched(self, url: str) -> _Held:
        now = self._clock.now_ms()
        try:
            return _Held(key_set(self._get(url)), now)
        except (FetchFailed, Malformed) as error:
            return _Held(None, now, str(error))

    def _keep(self, url: str, held: _Held) -> None:
        with self._lock:
            while len(self._held) >= _MOST:
                oldest = next(iter(self._held))
                del self._held[oldest]
                self._turns.pop(oldest, None)
            self._held[url] = held

    def _turn(self, url: str) -> threading.Lock:
        with self._lock:
            return self._turns.setdefault(url, threading.Lock())
