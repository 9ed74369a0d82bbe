"""Access tokens of this server: made short-lived and signed (RFC 9068, ES256), checked, and taken back.

What has been checked is remembered by the bytes of the token, so that a request costs a look-up. It is forgotten when the
access revision of the store changes. This process sees its own changes at once, and those of others within `FRESH`.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from joserfc.jwk import KeySet

from fhir_server.access.clients import access_revision, bump_revision, find_client
from fhir_server.access.jose import Claims, TokenRefused, Unverified, signed, unverified, verified
from fhir_server.access.keys import KeyFolder, KeysUnusable, SigningKey
from fhir_server.access.principal import Principal
from fhir_server.access.scopes import Scope, narrowed, parse_scopes, render_scopes
from fhir_server.access.trail import append_event
from fhir_server.model.clock import Clock
from fhir_server.model.errors import Unavailable
from fhir_server.store.port import Snapshot, Store, UnitOfWork

FRESH: Final = 500
"""Milliseconds after which the access revision is read again."""
REVOKED: Final = "revoked-token"
_ALGORITHM: Final = "ES256"
_TYPE: Final = "at+jwt"
_MOST_KNOWN: Final = 10_000
_SKEW: Final = 5
"""Seconds by which clocks may differ."""


class Checked(NamedTuple):
    """A token that was found good."""

    principal: Principal
    expires: int
    """Milliseconds since the epoch."""
    break_glass: bool


class Issuers(Protocol):
    """Other servers whose tokens are taken: access.issuers."""

    async def check(self, token: str, said: Unverified, now: int) -> Checked | None:
        """Judge a token; None when its issuer is not trusted here. Raises TokenRefused."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """How this server names itself in tokens."""

    issuer: str
    """The authorisation server: the base URL above `/oauth`."""
    audience: str
    """The FHIR base URL."""


class Tokens:
    """Makes and checks access tokens."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        keys: KeyFolder,
        place: Place,
        *,
        seconds: int = 300,
        issuers: Issuers | None = None,
    ) -> None:
        self.place = place
        self.seconds = seconds
        self._store = store
        self._clock = clock
        self._keys = keys
        self._issuers = issuers
        self._known: dict[str, Checked] = {}
        self._revision = b""
        self._looked = -FRESH
        self._public: tuple[tuple[str, ...], KeySet] = ((), KeySet([]))

    def issue(self, client_id: str, scopes: tuple[Scope, ...]) -> str:
        """Sign a token for a client that has proved who it is."""
        now = self._clock.now_ms() // 1000
        key = self._keys_now()[0]
        claims = {
            "iss": self.place.issuer,
            "aud": self.place.audience,
            "sub": client_id,
            "client_id": client_id,
            "scope": render_scopes(scopes),
            "iat": now,
            "exp": now + self.seconds,
            "jti": secrets.token_urlsafe(16),
        }
        return signed({"alg": _ALGORITHM, "typ": _TYPE, "kid": key.kid}, claims, key.private)

    def known(self, token: str) -> Checked | None:
        """Return what an earlier check found; None when it is to be checked now."""
        found = self._known.get(token)
        now = self._clock.now_ms()
        if found is None or not 0 <= now - self._looked < FRESH or found.expires <= now:
            return None
        return found

    async def check(self, token: str) -> Checked:
        """Judge a bearer token. Raises TokenRefused with the reason."""
        await self._look_again()
        if (found := self.known(token)) is not None:
            return found
        said = unverified(token)
        if said.claims.get("iss") != self.place.issuer:
            return await self._check_foreign(token, said)
        claims = self.own_claims(token, said)
        revision, judged = await self._store.read_async(lambda snapshot: _judged(snapshot, claims))
        if revision != self._revision:  # changed since it was looked at
            self._forget(revision)
        self._remember(token, judged)
        return judged

    def own_claims(self, token: str, said: Unverified) -> Claims:
        """Return the claims of a token of ours that is valid now, revoked or not. Raises TokenRefused."""
        if said.header.get("typ") != _TYPE:
            raise TokenRefused("This is no access token: its `typ` is not at+jwt.")
        claims = verified(token, self.public_keys(), (_ALGORITHM,), said.header.get("kid"))
        if claims.get("iss") != self.place.issuer or claims.get("aud") != self.place.audience:
            raise TokenRefused("The token is for another server.")
        check_times(claims, self._clock.now_ms() // 1000)
        return claims

    def public_keys(self) -> KeySet:
        """Return the keys that check our tokens now, as `/oauth/jwks` publishes them."""
        keys = self._keys_now()
        kids = tuple(key.kid for key in keys)
        if self._public[0] != kids:
            self._public = (kids, KeySet([key.private for key in keys]))
        return self._public[1]

    def revoke(self, uow: UnitOfWork, claims: Mapping[str, Any], by: Principal) -> None:
        """Take a token back."""
        expires = (int(claims["exp"]) + _SKEW) * 1000
        uow.set_record(REVOKED, str(claims["jti"]), b"", expires)
        bump_revision(uow)
        append_event(uow, by, "token-revoke", f"client:{claims['client_id']}")

    def forget(self) -> None:
        """Judge every token anew: something was changed by this process."""
        self._looked = -FRESH

    def _keys_now(self) -> tuple[SigningKey, ...]:
        try:
            return self._keys.keys()
        except KeysUnusable as error:  # taken away while the server runs
            raise Unavailable("The keys of this server cannot be read now. Tell its operator.", 30) from error

    async def _check_foreign(self, token: str, said: Unverified) -> Checked:
        found = await self._issuers.check(token, said, self._clock.now_ms()) if self._issuers is not None else None
        if found is None:
            raise TokenRefused("The issuer of the token is not trusted here.")
        self._remember(token, found)
        return found

    async def _look_again(self) -> None:
        now = self._clock.now_ms()
        if not 0 <= now - self._looked < FRESH:
            revision = await self._store.read_async(access_revision, once=True)
            if revision != self._revision:
                self._forget(revision)
            self._looked = now

    def _forget(self, revision: bytes) -> None:
        self._known.clear()
        self._revision = revision

    def _remember(self, token: str, found: Checked) -> None:
        while len(self._known) >= _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[token] = found


def check_times(claims: Mapping[str, Any], now: int) -> None:
    """Raise TokenRefused unless a token is valid at this second; it must say until when."""
    expires, begins, made = (claims.get(name) for name in ("exp", "nbf", "iat"))
    if (
        not isinstance(expires, int | float)
        or not is_second(expires)
        or any(value is not None and not is_second(value) for value in (begins, made))
    ):
        raise TokenRefused("`exp` is missing, or a time in the token is no number of seconds.")
    if now >= expires:
        raise TokenRefused(f"The token expired {now - int(expires)} seconds ago.")
    if (begins is not None and begins > now + _SKEW) or (made is not None and made > now + _SKEW):
        raise TokenRefused("The token is not valid yet. Compare the clocks.")


def is_second(value: object) -> bool:
    """Tell whether a claim is a number of seconds since the epoch."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**40


def token_digest(token: str) -> str:
    """Return a name for a secret under which it can be kept without being known."""
    return hashlib.sha256(token.encode()).hexdigest()


def _judged(snapshot: Snapshot, claims: Mapping[str, Any]) -> tuple[bytes, Checked]:
    """Judge the claims of a token of ours by what the store says now; its scopes are no wider than the client's are."""
    client = find_client(snapshot, str(claims.get("client_id")))
    if client is None or not client.active:
        raise TokenRefused("The client of this token is not registered or was disabled.")
    if snapshot.record(REVOKED, str(claims.get("jti"))) is not None:
        raise TokenRefused("The token was revoked.")
    scopes = narrowed(parse_scopes(str(claims.get("scope", ""))), client.scopes)
    found = Checked(client.principal(scopes), int(claims["exp"]) * 1000, client.break_glass)
    return access_revision(snapshot), found
