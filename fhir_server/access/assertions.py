"""How a client proves who it is: a signed assertion (private_key_jwt, RFC 7523) as SMART Backend Services asks."""

import asyncio
from typing import Any, Final, NamedTuple, Protocol

from joserfc.jwk import KeySet

from fhir_server.access.clients import Client, find_client
from fhir_server.access.jose import TokenRefused, key_named, key_set, unverified, verified
from fhir_server.access.tokens import check_times, token_digest
from fhir_server.model.clock import Clock
from fhir_server.store.port import Store, UnitOfWork

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS: Final = ("RS384", "ES384")
LONGEST_LIFE: Final = 300
"""Seconds from now to `exp`, at most."""
USED: Final = "used-assertion"
_SKEW: Final = 5
_SWEPT: Final = 50
_LONGEST_JTI: Final = 256


class KeySource(Protocol):
    """Fetches keys by address: outbound.jwks."""

    def cached(self, url: str, kid: str) -> KeySet | None:
        """Return the keys at an address when they were fetched lately and `kid` is among them."""
        ...

    def fetch(self, url: str, kid: str) -> KeySet:
        """Return the keys at an address, fetched anew when `kid` is not among those that are known. Waits for it.

        Raises TokenRefused.
        """
        ...


class Proof(NamedTuple):
    """An assertion that was found good; `spend` is still to see that it is used once."""

    client: Client
    jti: str
    expires: int
    """Seconds since the epoch."""


class Assertions:
    """Checks client assertions."""

    def __init__(self, store: Store, clock: Clock, source: KeySource) -> None:
        self._store = store
        self._clock = clock
        self._source = source

    async def prove(self, assertion: str, audiences: tuple[str, ...]) -> Proof:
        """Check everything but whether it was used before. Raises TokenRefused with the reason."""
        said = unverified(assertion)
        identity = said.claims.get("iss")
        if not isinstance(identity, str) or said.claims.get("sub") != identity:
            raise TokenRefused("`iss` and `sub` of an assertion are both the id of the client.")
        if said.header.get("alg") not in ALGORITHMS:
            raise TokenRefused(f"`alg` is {str(said.header.get('alg'))[:20]!r}; sign with {' or '.join(ALGORITHMS)}.")
        client = await self._store.read_async(lambda snapshot: find_client(snapshot, identity), once=True)
        if client is None or not client.active:
            raise TokenRefused("The client is not registered, or was disabled.")
        jku = said.header.get("jku")
        if jku is not None and jku != client.jwks_url:
            raise TokenRefused("`jku` is not the address of keys that the client was registered with.")
        kid = said.header.get("kid")
        keys = await self._keys(client, str(kid))
        if key_named(keys, kid) is None:
            raise TokenRefused(f"The client has no key {str(kid)[:100]!r}. Register it, or name the right `kid`.")
        return self._checked(client, verified(assertion, keys, ALGORITHMS, kid), audiences)

    def _checked(self, client: Client, claims: dict[str, Any], audiences: tuple[str, ...]) -> Proof:
        now = self._clock.now_ms() // 1000
        if claims.get("iss") != client.id or claims.get("sub") != client.id:
            raise TokenRefused("`iss` and `sub` of an assertion are both the id of the client.")
        if claims.get("aud") not in audiences:
            raise TokenRefused(f"`aud` is not exactly {audiences[0]}.")
        check_times(claims, now)
        expires = int(claims["exp"])
        if expires > now + LONGEST_LIFE + _SKEW:
            raise TokenRefused(f"`exp` lies {expires - now} seconds ahead; at most {LONGEST_LIFE} are taken.")
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI:
            raise TokenRefused(f"`jti` is missing, or not a text of 1 to {_LONGEST_JTI} characters.")
        return Proof(client, jti, expires)

    async def _keys(self, client: Client, kid: str) -> KeySet:
        if client.jwks:
            return key_set(client.jwks)
        known = self._source.cached(client.jwks_url, kid)
        if known is not None:
            return known
        return await asyncio.to_thread(self._source.fetch, client.jwks_url, kid)


def spend(uow: UnitOfWork, proof: Proof) -> Client:
    """Mark an assertion as used, for every process and beyond a restart; return the client as it is now.

    Raises TokenRefused when it was used before, or when the client was disabled meanwhile.
    """
    client = find_client(uow, proof.client.id)
    if client is None or not client.active:
        raise TokenRefused("The client is not registered, or was disabled.")
    key = token_digest(f"{proof.client.id} {proof.jti}")
    if uow.record(USED, key) is not None:
        raise TokenRefused("The assertion was used before: its `jti` is known. Sign a new one for each request.")
    uow.set_record(USED, key, b"", (proof.expires + 2 * _SKEW) * 1000)
    return client


def sweep(uow: UnitOfWork, kinds: tuple[str, ...]) -> None:
    """Forget some records whose time is over."""
    for kind in kinds:
        for record in uow.due_records(kind, uow.last_updated, _SWEPT):
            uow.remove_record(kind, record.key)
