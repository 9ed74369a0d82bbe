"""OpenID providers as they describe themselves: discovery, keys, and the exchange of a code for an identity token."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from joserfc.jwk import KeySet

from fhir_server.access.jose import TokenRefused
from fhir_server.model.clock import Clock
from fhir_server.model.codec import decode
from fhir_server.model.errors import Malformed
from fhir_server.outbound.fetch import FetchFailed
from fhir_server.outbound.jwks import JwksSource

_KEPT: Final = 3_600_000
_PAUSE: Final = 30_000


class Provider(NamedTuple):
    """What the discovery document says."""

    jwks_uri: str
    authorization_endpoint: str
    token_endpoint: str


class Call(Protocol):
    """Fetches a document: outbound.fetch with its rules bound."""

    def __call__(
        self, url: str, form: Mapping[str, str] | None = None, authorization: tuple[str, str] | None = None
    ) -> bytes:
        """Return the body at an address; POST when there is a form. Raises FetchFailed."""
        ...


class OpenIdProviders:
    """Finds providers by their issuer URL, and keeps what it found. Safe to share between threads."""

    def __init__(self, call: Call, source: JwksSource, clock: Clock) -> None:
        self._call = call
        self._source = source
        self._clock = clock
        self._found: dict[str, tuple[Provider | str, int]] = {}
        self._lock = threading.Lock()

    async def keys(self, issuer: str, kid: str) -> KeySet:
        """Return the keys of a provider. Raises TokenRefused."""
        held = self._held(issuer)
        if isinstance(held, Provider) and (known := self._source.cached(held.jwks_uri, kid)) is not None:
            return known
        return await asyncio.to_thread(self._keys, issuer, kid)

    def provider(self, issuer: str) -> Provider:
        """Return what a provider says of itself; waits for it. Raises TokenRefused."""
        with self._lock:
            held = self._held(issuer)
            if held is None:
                held = self._discovered(issuer)
                self._found[issuer] = held, self._clock.now_ms()
        if isinstance(held, str):
            raise TokenRefused(f"The issuer cannot be asked about itself: {held}")
        return held

    def exchange(self, issuer: str, form: Mapping[str, str], authorization: tuple[str, str] | None) -> str:
        """Give a code for an identity token; waits for it. Raises TokenRefused."""
        try:
            said = decode(self._call(self.provider(issuer).token_endpoint, form, authorization))
        except (FetchFailed, Malformed) as error:
            raise TokenRefused(f"The provider does not take the code: {error}") from error
        found = said.get("id_token") if isinstance(said, dict) else None
        if not isinstance(found, str):
            raise TokenRefused("The provider gave no identity token for the code.")
        return found

    def _keys(self, issuer: str, kid: str) -> KeySet:
        return self._source.fetch(self.provider(issuer).jwks_uri, kid)

    def _held(self, issuer: str) -> Provider | str | None:
        found = self._found.get(issuer)
        if found is None:
            return None
        limit = _KEPT if isinstance(found[0], Provider) else _PAUSE
        return found[0] if 0 <= self._clock.now_ms() - found[1] < limit else None

    def _discovered(self, issuer: str) -> Provider | str:
        try:
            said = decode(self._call(f"{issuer.rstrip('/')}/.well-known/openid-configuration"))
        except (FetchFailed, Malformed) as error:
            return str(error)
        if not isinstance(said, dict) or said.get("issuer") != issuer:
            return "its document names another issuer."
        names = ("jwks_uri", "authorization_endpoint", "token_endpoint")
        addresses = [said.get(name, "") for name in names]
        if not isinstance(addresses[0], str) or not addresses[0] or not all(isinstance(one, str) for one in addresses):
            return "its document lacks jwks_uri."
        return Provider(*addresses)
