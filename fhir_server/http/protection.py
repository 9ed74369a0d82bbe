"""Protected mode put together: tokens, who checks them, and the endpoints that give them."""

from typing import NamedTuple

from fastapi import APIRouter

from fhir_server.access.accounts import Accounts
from fhir_server.access.assertions import Assertions, KeySource
from fhir_server.access.keys import KeyFolder
from fhir_server.access.sessions import Sessions
from fhir_server.access.sign_in import SignIn
from fhir_server.access.tokens import Issuers, Place, Tokens
from fhir_server.http.bearer import Bearer
from fhir_server.http.cookies import Cookies
from fhir_server.http.limits import Buckets
from fhir_server.http.oauth import OAuth, oauth_router
from fhir_server.model.clock import Clock
from fhir_server.store.port import Store


class Rates(NamedTuple):
    """How often callers may ask, and fail."""

    per_second: float
    burst: int
    failures_per_minute: float


class Lives(NamedTuple):
    """How long what we give is good for."""

    token_seconds: int = 300
    session_idle_minutes: int = 30
    session_hours: int = 10


class Protection(NamedTuple):
    """What protected mode adds to the server."""

    identity: Bearer
    router: APIRouter
    accounts: Accounts
    sessions: Sessions
    cookies: Cookies
    sign_in: SignIn | None
    """Sign-in with providers, when any is configured."""


def protect(
    store: Store,
    clock: Clock,
    keys: KeyFolder,
    place: Place,
    base_path: str,
    rates: Rates,
    source: KeySource,
    *,
    lives: Lives,
    issuers: Issuers | None = None,
    sign_in: SignIn | None = None,
) -> Protection:
    """Wire protected mode. Raises KeysUnusable when there is no key to sign with, and no secret."""
    keys.keys()
    secret = keys.secret()
    tokens = Tokens(store, clock, keys, place, seconds=lives.token_seconds, issuers=issuers)
    callers = Buckets(rates.per_second, rates.burst)
    failures = Buckets(rates.failures_per_minute / 60, max(1.0, rates.failures_per_minute))
    identity = Bearer(tokens, callers, failures, frozenset({f"{base_path}/metadata"}))
    assertions = Assertions(store, clock, source)
    oauth = OAuth(store, clock, tokens, assertions, identity, callers, failures, place.issuer)
    return Protection(
        identity,
        oauth_router(oauth, base_path),
        Accounts(store, clock, secret),
        Sessions(store, clock, secret, idle_minutes=lives.session_idle_minutes, hours=lives.session_hours),
        Cookies(secure=place.issuer.startswith("https:")),
        sign_in,
    )
