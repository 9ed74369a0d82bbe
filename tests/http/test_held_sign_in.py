"""A sign-in belongs to the browser that began it, and breaking the glass to whom the provider's claims allow it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from joserfc.jwk import KeySet

from fhir_server.access.issuers import Issuer
from fhir_server.access.jose import TokenRefused, unverified
from fhir_server.access.sign_in import Described, SignIn
from fhir_server.model.clock import SystemClock
from fhir_server.outbound.fetch import Outward, fetch_json
from fhir_server.outbound.jwks import JwksSource
from fhir_server.outbound.providers import OpenIdProviders
from fhir_server.store.sqlite.store import SqliteStore
from tests.http.local_issuer import local_issuer, signed_by

BASE = "http://127.0.0.1/fhir"
CLAIMS: dict[str, dict[str, object]] = {
    "roles": {"claim": "groups", "values": {"helpers": "recipient"}},
    "organization": {"claim": "org", "values": {"0400": "Organization/caw"}},
}
BREAKS: dict[str, dict[str, object]] = {"break_glass": {"claim": "emergency", "values": {"yes": "true"}}}


class _Clock:
    def __init__(self) -> None:
        self.ahead = 0

    def now_ms(self) -> int:
        return SystemClock().now_ms() + self.ahead


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with local_issuer() as running:
        yield running


@asynccontextmanager
async def signing_in(
    url: str, folder: Path, clock: _Clock, changed: dict[str, object] | None = None
) -> AsyncIterator[SignIn]:
    call = partial(fetch_json, Outward(private=True))
    providers = _Erring(OpenIdProviders(call, JwksSource(call, clock), clock), changed or {})
    known = {url: Issuer(url, "Local", "fhir", ("RS256",), CLAIMS, "pages", "s3cret")}
    store = SqliteStore(folder / "fhir.sqlite", clock)
    try:
        yield SignIn(store, clock, known, providers, BASE, "http://127.0.0.1/sign-in/return")
    finally:
        store.close()


def came_back(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(httpx.get(url).headers["location"]).query))


@pytest.mark.parametrize("cookie", ["", "that of another browser"])
def test_an_attempt_is_finished_only_in_the_browser_that_began_it(url: str, tmp_path: Path, cookie: str) -> None:
    """Else anybody could send a person a link that signs them in as somebody else."""

    async def play() -> None:
        async with signing_in(url, tmp_path, _Clock()) as sign_in:
            begun = await sign_in.begin(url)
            back = came_back(begun.url)
            with pytest.raises(TokenRefused, match="not begun in this browser"):
                await sign_in.finish(back["state"], cookie, back["code"])
            found = await sign_in.finish(back["state"], begun.state, back["code"])
            assert found.roles == {"recipient"}

    asyncio.run(play())


@pytest.mark.parametrize("seconds", [240, 601])
def test_an_attempt_is_over_after_ten_minutes(url: str, tmp_path: Path, seconds: int) -> None:
    clock = _Clock()

    async def play() -> str:
        async with signing_in(url, tmp_path, clock) as sign_in:
            begun = await sign_in.begin(url)
            clock.ahead = seconds * 1_000
            back = came_back(begun.url)
            found = await sign_in.finish(back["state"], begun.state, back["code"])
            return found.organization

    if seconds < 600:
        assert asyncio.run(play()) == "Organization/caw"
    else:
        with pytest.raises(TokenRefused, match="is over"):
            asyncio.run(play())


class _Erring:
    """A provider that gives identity tokens with other claims than it should; it signs them with its own key."""

    def __init__(self, inner: OpenIdProviders, changed: dict[str, object]) -> None:
        self._inner = inner
        self._changed = changed

    def provider(self, issuer: str) -> Described:
        return self._inner.provider(issuer)

    async def keys(self, issuer: str, kid: str) -> KeySet:
        return await self._inner.keys(issuer, kid)

    def exchange(self, issuer: str, form: Mapping[str, str], secret: tuple[str, str] | None) -> str:
        said = unverified(self._inner.exchange(issuer, form, secret)).claims
        claims = {name: value for name, value in (said | self._changed).items() if value is not None}
        return signed_by(issuer, **claims)


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({}, ""),
        ({"aud": ["pages"]}, ""),
        ({"aud": ["pages", "other"], "azp": "pages"}, ""),
        ({"aud": ["pages", "other"], "azp": "other"}, "another client"),
        ({"aud": ["pages", "other"]}, "another client"),
        ({"aud": "other"}, "another server"),
        ({"aud": ["other"]}, "another server"),
        ({"iss": "https://idp.example"}, "another server"),
        ({"nonce": "of another attempt"}, "another sign-in"),
        ({"nonce": None}, "another sign-in"),
        ({"exp": 1}, "expired"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_an_identity_token_is_taken_only_when_it_is_for_us_and_for_this_attempt(
    url: str, tmp_path: Path, changed: dict[str, object], refusal: str
) -> None:
    async def play() -> str:
        async with signing_in(url, tmp_path, _Clock(), changed) as sign_in:
            begun = await sign_in.begin(url)
            back = came_back(begun.url)
            found = await sign_in.finish(back["state"], begun.state, back["code"])
            return found.organization

    if refusal:
        with pytest.raises(TokenRefused, match=refusal):
            asyncio.run(play())
    else:
        assert asyncio.run(play()) == "Organization/caw"


@pytest.mark.parametrize(
    ("rules", "claims", "may"),
    [
        ({}, {"emergency": "yes"}, False),
        (BREAKS, {"emergency": "yes"}, True),
        (BREAKS, {"emergency": "no"}, False),
        (BREAKS, {}, False),
        ({"break_glass": {"always": ["true"]}}, {}, True),
    ],
)
def test_the_glass_is_broken_only_by_whom_the_claims_allow_it(
    rules: dict[str, dict[str, object]], claims: dict[str, str], may: bool
) -> None:
    issuer = Issuer("https://idp.example", "Local", "fhir", ("RS256",), CLAIMS | rules)
    assert issuer.may_break_glass(claims) is may
