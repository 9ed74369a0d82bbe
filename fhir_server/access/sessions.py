"""Sessions of the web pages: records under a digest of the secret in the browser's cookie, so that the store opens none.

A session ends when it rests too long, after a day's work at the latest, when its account is disabled or reset, or when the
person signs out. A form carries a token that only our own pages can know (CSRF).
"""

import hashlib
import hmac
import secrets
from typing import Any, Final, NamedTuple

from fhir_server.access.accounts import Account, find_account
from fhir_server.access.assertions import sweep
from fhir_server.access.kept_principal import described, principal_of
from fhir_server.access.keys import derived
from fhir_server.access.principal import Principal
from fhir_server.access.sign_in import KIND as ATTEMPTS
from fhir_server.access.tokens import token_digest
from fhir_server.access.trail import append_event
from fhir_server.model.clock import Clock
from fhir_server.model.codec import decode_stored, encode
from fhir_server.store.port import Snapshot, Store, UnitOfWork

KIND: Final = "session"
_MINUTE: Final = 60_000
_SECRET_BYTES: Final = 32


class Session(NamedTuple):
    """A session that is open."""

    token: str
    principal: Principal
    csrf: str
    """What each form of a page in this session carries."""


class Sessions:
    """Opens, finds and closes sessions."""

    def __init__(self, store: Store, clock: Clock, secret: bytes, *, idle_minutes: int = 30, hours: int = 10) -> None:
        self._store = store
        self._clock = clock
        self._csrf_key = derived(secret, "csrf")
        self._idle = idle_minutes * _MINUTE
        self._longest = hours * 60 * _MINUTE

    async def open(self, who: Account | Principal) -> Session:
        """Open a session for an account, or for a person whom a provider vouches for. Always under a new secret."""
        token = secrets.token_urlsafe(_SECRET_BYTES)
        now = self._clock.now_ms()
        said: dict[str, Any] = {"seen": now, "until": now + self._longest}
        if isinstance(who, Account):
            said |= {"account": who.name, "password": _mark(who)}
            principal = who.principal
        else:
            said |= {"principal": described(who)}
            principal = who

        def work(uow: UnitOfWork) -> None:
            uow.set_record(KIND, token_digest(token), encode(said), said["until"])
            append_event(uow, principal, "session-open", principal.agent, principal.organization)
            sweep(uow, (KIND, ATTEMPTS))

        await self._store.write_async(work)
        return Session(token, principal, self.csrf(token))

    async def find(self, token: str) -> Session | None:
        """Return the session of a cookie when it is still open; that it was used is noted once a minute at most."""
        if not token or len(token) > 2 * _SECRET_BYTES:
            return None
        now = self._clock.now_ms()
        found = await self._store.read_async(lambda snapshot: self._found(snapshot, token, now))
        if found is None:
            return None
        principal, seen = found
        if now - seen >= _MINUTE:
            await self._store.write_async(lambda uow: self._touched(uow, token, now))
        return Session(token, principal, self.csrf(token))

    async def close(self, token: str) -> None:
        """End a session; one that is over is fine."""
        await self._store.write_async(lambda uow: _closed(uow, token))

    def csrf(self, token: str) -> str:
        """Return what forms of a session carry."""
        return hmac.new(self._csrf_key, token.encode(), hashlib.sha256).hexdigest()

    def is_own_form(self, session: Session, sent: str) -> bool:
        """Tell whether a form came from a page of this session; takes as long for any wrong answer."""
        return hmac.compare_digest(self.csrf(session.token).encode(), sent.encode())

    def _found(self, snapshot: Snapshot, token: str, now: int) -> tuple[Principal, int] | None:
        record = snapshot.record(KIND, token_digest(token))
        if record is None:
            return None
        said = decode_stored(record.body)
        if now >= said["until"] or now - said["seen"] >= self._idle:
            return None
        if "principal" in said:
            return principal_of(said["principal"]), said["seen"]
        account = find_account(snapshot, said["account"])
        if account is None or not account.active or _mark(account) != said["password"]:
            return None
        return account.principal, said["seen"]

    def _touched(self, uow: UnitOfWork, token: str, now: int) -> None:
        if self._found(uow, token, now) is None:
            return
        record = uow.record(KIND, token_digest(token))
        if record is not None:
            uow.set_record(KIND, record.key, encode(decode_stored(record.body) | {"seen": now}), record.due)


def _closed(uow: UnitOfWork, token: str) -> None:
    if uow.remove_record(KIND, token_digest(token)):
        append_event(uow, Principal(agent="pages"), "session-close", "session")


def _mark(account: Account) -> str:
    """Return what changes with the password, so that a new one ends the sessions of the old."""
    return hashlib.sha256(account.password.encode()).hexdigest()[:16]
