"""SMART Backend Services, over HTTP: from registration to a read, and what is told about tokens."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt

from tests.conftest import RunningServer
from tests.http.smart_client import ALL, EC, RSA, Caller, assertion, claims_for, keys_of, prepare, public


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = prepare(
        tmp_path_factory.mktemp("protected"),
        operator={"roles": ["operator"], "scopes": "system/*.cruds"},
        other={},
        narrow={"scopes": "system/Task.rs?owner=Organization/caw"},
        glass={"break_glass": True},
    )
    running = RunningServer(settings)
    yield running
    running.stop()


@pytest.fixture
def caller(protected: RunningServer) -> Iterator[Caller]:
    found = Caller(protected.base)
    yield found
    found.close()


@pytest.mark.parametrize("key", [RSA, EC], ids=["RS384", "ES384"])
def test_a_registered_client_gets_a_token_and_reads_with_it(key: Any, caller: Caller) -> None:
    answer = caller.ask(assertion(claims_for(caller.token_url), key), "system/Task.rs system/Organization.read")
    assert answer.status_code == 200, answer.text
    given = answer.json()
    assert given["token_type"] == "bearer"
    assert given["expires_in"] == 300
    assert given["scope"] == "system/Task.rs system/Organization.rs"
    assert answer.headers["cache-control"] == "no-store"
    for _ in range(3):  # checked, then remembered
        read = caller.read(given["access_token"])
        assert read.status_code == 200
        assert read.json()["name"] == "CAW"
        assert read.headers["cache-control"] == "no-store"


def test_the_token_can_be_checked_with_the_published_keys(caller: Caller) -> None:
    published = caller.http.get(f"{caller.root}/oauth/jwks").json()
    assert all("d" not in key for key in published["keys"])
    token = jwt.decode(caller.token(), keys_of(published), registry=ALL)
    assert token.header["alg"] == "ES256"
    assert token.header["typ"] == "at+jwt"
    assert token.claims["iss"] == caller.root
    assert token.claims["aud"] == caller.base
    assert token.claims["exp"] - token.claims["iat"] == 300


@pytest.mark.parametrize("place", ["", "/fhir"])
def test_the_configuration_is_found_at_the_root_and_below_the_base(place: str, caller: Caller) -> None:
    found = caller.http.get(f"{caller.root}{place}/.well-known/smart-configuration")
    assert found.status_code == 200
    said = found.json()
    assert said["token_endpoint"] == caller.token_url
    assert said["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert "client-confidential-asymmetric" in said["capabilities"]
    for name in ("introspection_endpoint", "revocation_endpoint"):
        assert caller.http.post(said[name]).json()["error"] == "invalid_request"


def test_what_is_public_needs_no_token_and_nothing_else_is(caller: Caller, refused: Any) -> None:
    assert caller.http.get(f"{caller.base}/metadata").status_code == 200
    assert caller.http.get(f"{caller.root}/health").status_code == 200
    for method, path in (("GET", "Organization/caw"), ("GET", "Task"), ("POST", ""), ("POST", "metadata"), ("GET", "")):
        answer = caller.http.request(method, f"{caller.base}/{path}")
        refused(answer, 401, "login-required")
        assert answer.headers["www-authenticate"] == 'Bearer realm="fhir"'


def test_headers_of_development_mode_mean_nothing(caller: Caller, refused: Any) -> None:
    forged = {"X-Dev-Organization": "Organization/caw", "X-Dev-Roles": "operator"}
    refused(caller.http.get(f"{caller.base}/Organization/caw", headers=forged), 401, "login-required")
    answer = caller.http.get(
        f"{caller.root}/oauth/clients", headers={"Authorization": f"Bearer {caller.token()}", **forged}
    )
    refused(answer, 403, "forbidden")


def test_scopes_are_narrowed_to_what_was_registered(caller: Caller) -> None:
    wide = caller.ask(caller.good(), "system/*.cruds").json()["scope"]
    assert wide == "system/Task.rus system/ServiceRequest.cruds system/Organization.rs"
    assert (
        caller.ask(caller.good("narrow"), "system/Task.rus").json()["scope"] == "system/Task.rs?owner=Organization/caw"
    )
    for scope in ("system/Patient.rs", "user/Task.rs", "patient/*.rs", "system/Task.x", "openid", ""):
        answer = caller.ask(caller.good(), scope)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope"), scope


def test_introspection_tells_a_client_of_its_own_tokens_only(caller: Caller) -> None:
    token = caller.token()
    mine = caller.ask(caller.good(at="introspect"), at="introspect", token=token).json()
    assert mine["active"] is True
    assert mine["client_id"] == "epd"
    assert caller.ask(caller.good("other"), at="introspect", token=token).json() == {"active": False}
    assert caller.ask(caller.good("operator"), at="introspect", token=token).json()["active"] is True
    assert caller.ask(caller.good(), at="introspect", token="no.such.token").json() == {"active": False}


def test_a_revoked_token_is_refused_at_once(caller: Caller, refused: Any) -> None:
    token = caller.token()
    assert caller.read(token).status_code == 200
    denied = caller.ask(caller.good("other"), at="revoke", token=token)
    assert denied.json()["error"] == "unauthorized_client"
    assert caller.read(token).status_code == 200
    assert caller.ask(caller.good(at="revoke"), at="revoke", token=token).status_code == 200
    answer = caller.read(token)
    refused(answer, 401, "token-invalid")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert caller.ask(caller.good(), at="introspect", token=token).json() == {"active": False}
    assert caller.ask(caller.good(), at="revoke", token=token).status_code == 200


def test_an_operator_registers_clients_and_disables_them(caller: Caller, refused: Any) -> None:
    bearer = {"Authorization": f"Bearer {caller.token('operator')}"}
    url = f"{caller.root}/oauth/clients"
    stated = {
        "id": "api-made",
        "name": "Made by API",
        "organization": "Organization/caw",
        "roles": ["recipient"],
        "scopes": "system/*.cruds",
        "jwks": public(RSA),
    }
    made = caller.http.post(url, json=stated, headers=bearer)
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"{url}/api-made"
    assert "api-made" in [item["id"] for item in caller.http.get(url, headers=bearer).json()["clients"]]
    refused(caller.http.post(url, json=stated, headers=bearer), 409, "client-exists")
    refused(
        caller.http.post(url, json={**stated, "id": "x", "organization": "Organization/none"}, headers=bearer),
        400,
        "bad-client",
    )
    token = caller.token("api-made")
    assert caller.read(token).status_code == 200
    assert caller.http.patch(f"{url}/api-made", json={"active": False}, headers=bearer).status_code == 200
    refused(caller.read(token), 401, "token-invalid")
    assert caller.ask(caller.good("api-made")).json()["error"] == "invalid_client"
    refused(caller.http.patch(f"{url}/api-made", json={"roles": ["operator"]}, headers=bearer), 400, "bad-client")
    refused(caller.http.get(f"{url}/no-such", headers=bearer), 404)


def test_breaking_the_glass_is_for_clients_that_may_and_say_why(caller: Caller, refused: Any) -> None:
    purpose = {"X-Purpose-Of-Use": 'BTG; reason="child in danger"'}
    refused(caller.read(caller.token(), **purpose), 403, "break-glass-denied")
    may = caller.token("glass")
    assert caller.read(may, **purpose).status_code == 200
    for wrong in ("BTG", 'BTG; reason="short"', 'NONE; reason="child in danger"', "TREAT; because=x"):
        refused(caller.read(may, **{"X-Purpose-Of-Use": wrong}), 400, "bad-purpose")
    assert caller.read(caller.token(), **{"X-Purpose-Of-Use": "TREAT"}).status_code == 200


def test_a_rotated_key_signs_while_older_tokens_are_still_taken(protected: RunningServer, caller: Caller) -> None:
    import subprocess

    before = caller.token()
    folder = protected.settings.key_folder
    done = subprocess.run(
        [sys.executable, "-m", "fhir_server", "key", "rotate"],
        env={"FHIR_KEY_FOLDER": folder, "PATH": "/usr/bin"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    kid = done.stdout.split()[0]
    after = caller.token()
    assert (
        jwt.decode(after, keys_of(caller.http.get(f"{caller.root}/oauth/jwks").json()), registry=ALL).header["kid"]
        == kid
    )
    assert caller.read(before).status_code == 200
    assert caller.read(after).status_code == 200


def test_a_token_ends_with_its_time(tmp_path: Path, fresh_server: Any, refused: Any) -> None:
    caller = Caller(fresh_server(**prepare(tmp_path), token_seconds=1).base)
    token = caller.token()
    assert caller.read(token).status_code == 200
    time.sleep(2.0)
    refused(caller.read(token), 401, "token-invalid")
    caller.close()


def test_keys_that_go_away_while_it_runs_are_told_as_unavailable(
    tmp_path: Path, fresh_server: Any, refused: Any
) -> None:
    caller = Caller(fresh_server(**prepare(tmp_path)).base)
    token, other = caller.token(), caller.token()
    assert caller.read(token).status_code == 200
    (tmp_path / "keys").rename(tmp_path / "away")
    refused(caller.read(other), 503, "store-unavailable")
    denied = caller.ask(caller.good())
    assert (denied.status_code, denied.json()["error"]) == (503, "temporarily_unavailable")
    (tmp_path / "away").rename(tmp_path / "keys")
    assert caller.read(other).status_code == 200
    caller.close()
