"""People of a trusted OpenID provider: their tokens, and their sign-in to the pages, with a provider in its own process."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from fhir_server.access.issuers import IssuersUnusable, read_issuers
from fhir_server.access.jose import TokenRefused, unverified
from fhir_server.access.scopes import render_scopes
from fhir_server.access.sign_in import SignIn
from fhir_server.model.clock import SystemClock
from fhir_server.outbound.fetch import Outward, fetch_json
from fhir_server.outbound.jwks import JwksSource
from fhir_server.outbound.providers import OpenIdProviders
from fhir_server.store.sqlite.store import SqliteStore
from tests.conftest import RunningServer
from tests.http.local_issuer import local_issuer, signed_by
from tests.http.smart_client import Caller, prepare

FILE = """
[[issuer]]
url = "{issuer}"
name = "Local"
audience = "fhir"
algorithms = ["RS256"]
client_id = "pages"
client_secret_file = "{secret}"
[issuer.claims.organization]
claim = "org"
values = {{ "0400" = "Organization/caw" }}
[issuer.claims.person]
claim = "fhirUser"
[issuer.claims.roles]
claim = "realm.groups"
values = {{ helpers = "recipient", citizens = "person", bosses = "operator" }}
[issuer.claims.areas]
claim = "areas"
values = {{ halle = "Location/halle" }}
[issuer.claims.break_glass]
always = ["true"]
"""
HELPER = {
    "aud": "fhir",
    "sub": "an",
    "org": "0400",
    "realm": {"groups": ["helpers", "gardeners"]},
    "scope": "openid user/*.cruds",
}
BASE = "http://127.0.0.1/fhir"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with local_issuer() as url:
        yield url


@pytest.fixture(scope="module")
def file(issuer: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("issuers")
    (folder / "secret").write_text("s3cret\n", encoding="utf-8")
    path = folder / "issuers.toml"
    path.write_text(FILE.format(issuer=issuer, secret=folder / "secret"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def caller(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    settings = prepare(tmp_path_factory.mktemp("users"))
    running = RunningServer({**settings, "issuers_file": str(file), "private_addresses": True})
    found = Caller(running.base)
    yield found
    found.close()
    running.stop()


def test_a_token_of_a_trusted_provider_is_taken(caller: Caller, issuer: str) -> None:
    token = signed_by(issuer, **HELPER)
    for _ in range(2):
        assert caller.read(token).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "elsewhere"},
        {"aud": None},
        {"exp": int(time.time()) - 10},
        {"nbf": int(time.time()) + 6000},
        {"iss": "https://idp.example"},
        {"realm": {"groups": ["gardeners"]}},
        {"_header": {"alg": "RS512"}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_token_of_it_is_refused(changed: dict[str, Any], caller: Caller, issuer: str) -> None:
    assert caller.read(signed_by(issuer, **{**HELPER, **changed})).status_code == 401


def test_claims_become_roles_organisation_person_and_areas_by_the_file(issuer: str, file: Path) -> None:
    known = read_issuers(file, BASE)[issuer]
    said = unverified(signed_by(issuer, **HELPER, areas=["halle", "nowhere"], fhirUser=f"{BASE}/Patient/1")).claims
    found = known.principal(said, BASE, None)
    assert found.organization == "Organization/caw"
    assert found.roles == {"recipient"}
    assert found.areas == {"Location/halle"}
    assert found.person == "Patient/1"
    assert found.agent == f"user:{issuer}#an"
    stranger = known.principal({**said, "org": "0999", "fhirUser": "https://elsewhere.example/Patient/1"}, BASE, ())
    assert (stranger.organization, stranger.person) == ("", "")


def test_system_scopes_of_a_person_and_patient_scopes_without_a_person_are_dropped(issuer: str, file: Path) -> None:
    from fhir_server.access.issuers import TrustedIssuers

    providers = reached()
    trusted = TrustedIssuers(read_issuers(file, BASE), providers, BASE)
    scope = "system/*.cruds patient/Task.rs user/Task.r"

    def scopes_of(**more: str) -> str:
        token = signed_by(issuer, **(HELPER | {"scope": scope} | more))
        found = asyncio.run(trusted.check(token, unverified(token), SystemClock().now_ms()))
        assert found is not None
        return render_scopes(found.principal.scopes or ())

    assert scopes_of() == "user/Task.r"
    assert scopes_of(fhirUser="Patient/7") == "patient/Task.rs user/Task.r"


def reached() -> OpenIdProviders:
    call = partial(fetch_json, Outward(private=True))
    return OpenIdProviders(call, JwksSource(call, SystemClock()), SystemClock())


def test_a_person_signs_in_with_code_and_pkce(issuer: str, file: Path, tmp_path: Path) -> None:
    known = read_issuers(file, BASE)
    known[issuer] = known[issuer].__class__(
        **{name: getattr(known[issuer], name) for name in known[issuer].__slots__}
        | {"claims": {**known[issuer].claims, "roles": {"claim": "groups", "values": {"helpers": "recipient"}}}}
    )
    store = SqliteStore(tmp_path / "fhir.sqlite", SystemClock())
    sign_in = SignIn(store, SystemClock(), known, reached(), BASE, "http://127.0.0.1/sign-in/return")
    assert sign_in.offered() == [(issuer, "Local")]

    def came_back(url: str) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(httpx.get(url).headers["location"]).query))

    async def play() -> None:
        begun = await sign_in.begin(issuer)
        back = came_back(begun.url)
        found = await sign_in.finish(back["state"], begun.state, back["code"])
        assert found.organization == "Organization/caw"
        assert found.roles == {"recipient"}
        for state, cookie, code in (
            (back["state"], begun.state, back["code"]),
            (back["state"], "other", back["code"]),
            ("", "", "x"),
        ):
            with pytest.raises(TokenRefused):
                await sign_in.finish(state, cookie, code)
        one, other = await sign_in.begin(issuer), await sign_in.begin(issuer)
        code = came_back(one.url)["code"]
        with pytest.raises(TokenRefused):  # a code that belongs to another attempt: its verifier does not fit
            await sign_in.finish(other.state, other.state, code)
        with pytest.raises(TokenRefused):
            await sign_in.begin("https://idp.example")

    try:
        asyncio.run(play())
    finally:
        store.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("issuer = 1", "issuer"),
        ("[[issuer]]\nurl = 'x'\nname = 'y'\nclaims = {}", "url"),
        ("[[issuer]]\nurl = 'https://a'\nname = 'y'\n[issuer.claims]\nroles = {always = ['platform']}", "platform"),
        ("[[issuer]]\nurl = 'https://a'\nname = 'y'\n[issuer.claims]\nroles = {claim = 'g'}", "roles"),
        ("not toml", "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "issuers.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(IssuersUnusable, match=said):
        read_issuers(path, BASE)
