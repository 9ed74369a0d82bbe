"""Signing in to the pages with an OpenID provider: authorization code with PKCE (RFC 7636, OpenID Connect Core §3.1).

What belongs to one attempt is kept as a record under a digest of its `state`, for ten minutes and one use. The `state` also
travels in a cookie of the page, so that nobody finishes what another browser began.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlencode

from joserfc.jwk import KeySet

from fhir_server.access.issuers import Issuer
from fhir_server.access.jose import TokenRefused, unverified, verified
from fhir_server.access.principal import Principal
from fhir_server.access.tokens import check_times, token_digest
from fhir_server.model.clock import Clock
from fhir_server.model.codec import decode_stored, encode
from fhir_server.store.port import Store, UnitOfWork

KIND: Final = "sign-in"
_MINUTES: Final = 10


class Described(Protocol):
    """Where a provider wants the browser sent."""

    @property
    def authorization_endpoint(self) -> str:
        """The page of the provider."""
        ...


class Exchange(Protocol):
    """How providers are reached: outbound.providers."""

    def provider(self, issuer: str) -> Described:
        """Return what a provider says of itself. Raises TokenRefused."""
        ...

    def exchange(self, issuer: str, form: Mapping[str, str], authorization: tuple[str, str] | None) -> str:
        """Give a code for an identity token. Raises TokenRefused."""
        ...

    async def keys(self, issuer: str, kid: str) -> KeySet:
        """Return the keys of a provider. Raises TokenRefused."""
        ...


class Begun(NamedTuple):
    """Where to send the browser, and what its cookie must hold when it comes back."""

    url: str
    state: str


class SignIn:
    """Begins and finishes sign-ins with the trusted providers that gave us a `client_id`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        issuers: Mapping[str, Issuer],
        providers: Exchange,
        own_base: str,
        redirect: str,
    ) -> None:
        """`redirect` is our address to which providers send browsers back."""
        self._store = store
        self._clock = clock
        self._issuers = {url: issuer for url, issuer in issuers.items() if issuer.client_id}
        self._providers = providers
        self._own_base = own_base
        self._redirect = redirect

    def offered(self) -> list[tuple[str, str]]:
        """Return the providers that a person may choose from: URL and name."""
        return [(issuer.url, issuer.name) for issuer in self._issuers.values()]

    async def begin(self, url: str) -> Begun:
        """Begin with one provider. Raises TokenRefused."""
        issuer = self._issuers.get(url)
        if issuer is None:
            raise TokenRefused("This provider is not offered for signing in.")
        page = (await asyncio.to_thread(self._providers.provider, url)).authorization_endpoint
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        kept = encode({"issuer": url, "nonce": nonce, "verifier": verifier})
        due = self._clock.now_ms() + _MINUTES * 60_000
        await self._store.write_async(lambda uow: uow.set_record(KIND, token_digest(state), kept, due))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": issuer.client_id,
            "redirect_uri": self._redirect,
            "scope": "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return Begun(f"{page}{'&' if '?' in page else '?'}{urlencode(asked)}", state)

    async def finish(self, state: str, cookie: str, code: str) -> Principal:
        """Finish what was begun: give the code for an identity token and judge it. Raises TokenRefused."""
        if not hmac.compare_digest(state.encode(), cookie.encode()) or not state:
            raise TokenRefused("This sign-in was not begun in this browser. Begin again.")
        kept = await self._store.write_async(lambda uow: _taken(uow, token_digest(state)))
        issuer = self._issuers.get(kept["issuer"]) if kept is not None else None
        if kept is None or issuer is None:
            raise TokenRefused("This sign-in is over or was finished before. Begin again.")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
            "client_id": issuer.client_id,
            "code_verifier": kept["verifier"],
        }
        secret = (issuer.client_id, issuer.client_secret) if issuer.client_secret else None
        token = await asyncio.to_thread(self._providers.exchange, issuer.url, form, secret)
        return issuer.principal(await self._judged(token, issuer, kept["nonce"]), self._own_base, None)

    async def _judged(self, token: str, issuer: Issuer, nonce: str) -> dict[str, Any]:
        header = unverified(token).header
        keys = await self._providers.keys(issuer.url, str(header.get("kid")))
        claims = verified(token, keys, issuer.algorithms, header.get("kid"))
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != issuer.url or issuer.client_id not in audiences:
            raise TokenRefused("The identity token is for another server.")
        if len(audiences) > 1 and claims.get("azp") != issuer.client_id:
            raise TokenRefused("The identity token was made for another client.")
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            raise TokenRefused("The identity token belongs to another sign-in.")
        check_times(claims, self._clock.now_ms() // 1000)
        return claims


def _taken(uow: UnitOfWork, key: str) -> dict[str, Any] | None:
    """Return what was kept for an attempt, once."""
    found = uow.record(KIND, key)
    if found is None or not uow.remove_record(KIND, key) or (found.due or 0) <= uow.last_updated:
        return None
    kept: dict[str, Any] = decode_stored(found.body)
    return kept
