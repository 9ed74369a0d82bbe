"""Accounts of people whose organisation has no OpenID provider: a password (argon2id) and a code of a device (TOTP).

An attempt is counted before it is judged, in a unit of its own, so that many at once are no way around the delay: from the
fifth failure on an account waits, twice as long each time, up to a quarter of an hour. An unknown name takes as long as a
wrong password and is told in the same words.
"""

import asyncio
import hmac
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, NamedTuple, cast, get_args

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag

from fhir_server.access.clients import bump_revision
from fhir_server.access.keys import Box
from fhir_server.access.principal import Principal, Role
from fhir_server.access.trail import append_event
from fhir_server.model.clock import Clock
from fhir_server.model.codec import decode_stored, encode
from fhir_server.model.errors import Conflict, Malformed, NotFound, Unauthenticated
from fhir_server.model.reference import parse_reference
from fhir_server.store.port import Snapshot, Store, UnitOfWork

KIND: Final = "account"
_ROLES: Final = frozenset(get_args(Role)) - {"platform"}
_FREE: Final = 4
"""Failures in a row that cost no wait."""
_FIRST_WAIT: Final = 15_000
_LONGEST_WAIT: Final = 900_000
_STEP: Final = 30
_SHORTEST: Final = 12
_LONGEST: Final = 200
_AT_ONCE: Final = 2
"""Passwords that are judged at the same time: each takes 64 MiB and some 50 ms."""
_PASSWORD_BYTES: Final = 15


@dataclass(frozen=True, slots=True)
class Account:
    """One person's account, as it is kept."""

    name: str
    """What the person signs in with: case does not count."""
    organization: str
    roles: frozenset[Role]
    areas: frozenset[str] = frozenset()
    password: str = ""
    """The argon2id hash."""
    totp: str = ""
    """The sealed secret of the device."""
    active: bool = True
    failures: int = 0
    locked_until: int = 0
    """Milliseconds since the epoch."""
    last_step: int = 0
    """The newest step of 30 s whose code was used: a code serves once."""

    @property
    def principal(self) -> Principal:
        """Who acts in a session of this account."""
        return Principal(self.organization, self.roles, f"account:{self.name}", areas=self.areas)


class Credentials(NamedTuple):
    """What a new or reset account gets; shown once, to whoever hands it over."""

    password: str
    totp_uri: str
    """For the person's authenticator app (otpauth://)."""


class Accounts:
    """Makes accounts and judges sign-ins."""

    def __init__(self, store: Store, clock: Clock, secret: bytes, *, hasher: PasswordHasher | None = None) -> None:
        self._store = store
        self._clock = clock
        self._box = Box(secret, "account-totp")
        self._hasher = hasher or PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_hex(16))
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def add(self, uow: UnitOfWork, given: Mapping[str, Any], by: Principal) -> Credentials:
        """Make an account. Raises Malformed, or Conflict when there is one of this name."""
        account = new_account(given)
        if uow.record(KIND, account.name) is not None:
            raise Conflict(f"There is an account {account.name} already.", key="account-exists")
        parsed = parse_reference(account.organization)
        current = uow.current(parsed.type, parsed.id)
        if current is None or current.deleted:
            raise _bad(f"{account.organization} is not stored here. Store it first")
        return self._equipped(uow, account, by, "add")

    def reset(self, uow: UnitOfWork, name: str, by: Principal) -> Credentials:
        """Give an account a new password and device, end its wait and its sessions. Raises NotFound."""
        return self._equipped(uow, replace(must_find(uow, name), failures=0, locked_until=0), by, "reset")

    async def sign_in(self, name: str, password: str, code: str) -> Account:
        """Return the account that these belong to. Raises Unauthenticated in the same words whatever is wrong."""
        key = _folded(name)
        before = await self._store.write_async(lambda uow: self._counted(uow, key))
        right = await self._judge(before.password if before is not None else self._nobody, password)
        step = self._step(before, code) if before is not None else 0
        if before is None or not right or not step:
            raise _refused()
        account = await self._store.write_async(lambda uow: self._admitted(uow, key, step, before.password))
        if account is None:
            raise _refused()
        return account

    async def change_password(self, name: str, old: str, new: str) -> None:
        """Put a password of the person's own in place. Raises Malformed, Unauthenticated."""
        key = _folded(name)
        if not _SHORTEST <= len(new) <= _LONGEST or _folded(new) == key:
            raise _bad(f"A password has {_SHORTEST} to {_LONGEST} characters and is not the name")
        before = await self._store.write_async(lambda uow: self._counted(uow, key))
        if before is None or not await self._judge(before.password, old):
            raise _refused()
        async with self._turns:
            made = await asyncio.to_thread(self._hasher.hash, new)

        def work(uow: UnitOfWork) -> None:
            account = must_find(uow, key)
            if account.password != before.password:
                raise _refused()
            _keep(uow, replace(account, password=made, failures=0, locked_until=0))
            append_event(uow, account.principal, "password-change", f"account:{key}", account.organization)

        await self._store.write_async(work)

    def _equipped(self, uow: UnitOfWork, account: Account, by: Principal, action: str) -> Credentials:
        password, device = secrets.token_urlsafe(_PASSWORD_BYTES), pyotp.random_base32()
        sealed = self._box.seal(device.encode(), account.name)
        _keep(uow, replace(account, password=self._hasher.hash(password), totp=sealed, last_step=0))
        bump_revision(uow)
        append_event(uow, by, f"account-{action}", f"account:{account.name}", account.organization)
        uri = pyotp.TOTP(device).provisioning_uri(name=account.name, issuer_name="fhir-server")
        return Credentials(password, uri)

    def _counted(self, uow: UnitOfWork, key: str) -> Account | None:
        """Count an attempt and return the account; None when there is none that may be tried now."""
        account = find_account(uow, key)
        if account is None or not account.active or account.locked_until > uow.last_updated:
            return None
        failures = account.failures + 1
        wait = min(_FIRST_WAIT << min(failures - _FREE - 1, 10), _LONGEST_WAIT) if failures > _FREE else 0
        _keep(uow, replace(account, failures=failures, locked_until=uow.last_updated + wait if wait else 0))
        append_event(uow, account.principal, "sign-in-attempt", f"account:{key}", account.organization)
        return account

    def _admitted(self, uow: UnitOfWork, key: str, step: int, password: str) -> Account | None:
        """Mark the code as used and return the account as it is now."""
        account = find_account(uow, key)
        if account is None or not account.active or account.password != password or step <= account.last_step:
            return None
        account = replace(account, failures=0, locked_until=0, last_step=step)
        _keep(uow, account)
        append_event(uow, account.principal, "sign-in", f"account:{key}", account.organization)
        return account

    async def _judge(self, kept: str, password: str) -> bool:
        async with self._turns:
            return await asyncio.to_thread(self._fits, kept, password[: _LONGEST + 1])

    def _fits(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False

    def _step(self, account: Account, code: str) -> int:
        """Return the step of 30 s that a code is of, 0 for none; a step earlier or later is taken, for slow clocks."""
        try:
            device = pyotp.TOTP(self._box.open(account.totp, account.name).decode())
        except (InvalidTag, ValueError):
            return 0
        now = self._clock.now_ms() // 1000 // _STEP
        sent, found = "".join(code.split()).encode(), 0
        for step in (now - 1, now, now + 1):
            if hmac.compare_digest(device.at(step * _STEP).encode(), sent) and step > account.last_step:
                found = step
        return found


def new_account(given: Mapping[str, Any]) -> Account:
    """Build an account from what an operator states. Raises Malformed."""
    name = _folded(str(given.get("name") or ""))
    if not 2 < len(name) <= _LONGEST or not name.isprintable() or " " in name:  # noqa: PLR2004  # names are not initials
        raise _bad(
            f"The name {name[:80]!r} is not 3 to {_LONGEST} characters without spaces, such as an e-mail address"
        )
    roles = frozenset(given.get("roles") or ())
    if not roles or not roles <= _ROLES:
        raise _bad(f"The roles are {', '.join(sorted(roles))[:100] or 'none'}; allowed are {', '.join(sorted(_ROLES))}")
    organization, areas = str(given.get("organization") or ""), frozenset(given.get("areas") or ())
    for reference, kind in ((organization, "Organization"), *((area, "Location") for area in areas)):
        parsed = parse_reference(reference)
        if parsed.kind != "relative" or parsed.type != kind or parsed.version:
            raise _bad(f"{reference[:100]!r} is no reference such as {kind}/caw-halle")
    return Account(name, organization, cast("frozenset[Role]", roles), areas)


def find_account(snapshot: Snapshot, name: str) -> Account | None:
    """Return an account, None when there is none."""
    record = snapshot.record(KIND, _folded(name))
    if record is None:
        return None
    said = decode_stored(record.body)
    return Account(**(said | {"roles": frozenset(said["roles"]), "areas": frozenset(said["areas"])}))


def must_find(snapshot: Snapshot, name: str) -> Account:
    """Return an account. Raises NotFound."""
    found = find_account(snapshot, name)
    if found is None:
        raise NotFound(f"There is no account {name[:80]}.")
    return found


def list_accounts(snapshot: Snapshot) -> list[Account]:
    """Return all accounts in the order of their names."""
    names: list[str] = []
    while page := snapshot.records(KIND, names[-1] if names else "", 500):
        names += [record.key for record in page]
    return [must_find(snapshot, name) for name in names]


def disable_account(uow: UnitOfWork, name: str, by: Principal) -> None:
    """Refuse an account from now on; its sessions end with it. Raises NotFound."""
    account = must_find(uow, name)
    _keep(uow, replace(account, active=False))
    bump_revision(uow)
    append_event(uow, by, "account-disable", f"account:{account.name}", account.organization)


def _keep(uow: UnitOfWork, account: Account) -> None:
    said = asdict(account) | {"roles": sorted(account.roles), "areas": sorted(account.areas)}
    uow.set_record(KIND, account.name, encode(said))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _refused() -> Unauthenticated:
    return Unauthenticated(
        "Name, password or code is not right, or it was tried too often. Wait a while and try again.",
        key="sign-in-refused",
    )


def _bad(reason: str) -> Malformed:
    return Malformed(f"The account is refused. {reason}.", key="bad-account", code="value")
