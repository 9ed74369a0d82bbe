"""What an attacker tries at the door, each over HTTP against a server in protected mode."""

import base64
import json
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from tests.conftest import RunningServer
from tests.http.smart_client import EC, RSA, STRANGER, Caller, assertion, claims_for, prepare, public

NOW = int(time.time())
WEAK = RSAKey.generate_key(2048, {"kid": "rsa-2"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attacked")


@pytest.fixture(scope="module")
def settings(folder: Path) -> dict[str, Any]:
    private = {
        "loopback": "https://127.0.0.1:1/jwks",
        "metadata": "https://169.254.169.254/latest/meta-data",
        "named": "https://localhost:1/jwks",
        "mapped": "https://[::ffff:10.0.0.1]/jwks",
        "plain": "http://127.0.0.1:1/jwks",
    }
    addressed = {name: {"jwks": None, "jwks_url": url} for name, url in private.items()}
    kept = prepare(folder, other={"jwks": public(WEAK)}, **addressed)
    return {**kept, "failures_per_minute": 0.0}


@pytest.fixture(scope="module")
def attacked(settings: dict[str, Any]) -> Iterator[RunningServer]:
    running = RunningServer(settings)
    yield running
    running.stop()


@pytest.fixture
def caller(attacked: RunningServer) -> Iterator[Caller]:
    found = Caller(attacked.base)
    yield found
    found.close()


def refused(answer: Any) -> None:
    assert answer.status_code == 401, answer.text


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def denied(answer: Any, error: str = "invalid_client") -> None:
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == error, answer.text
    assert "access_token" not in answer.json()


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "https://elsewhere.example/oauth/token"},
        {"aud": None},
        {"aud": ["https://elsewhere.example/oauth/token"]},
        {"exp": NOW - 1},
        {"exp": None},
        {"exp": NOW + 3600},
        {"exp": True},
        {"exp": "soon"},
        {"exp": 1e300},
        {"nbf": NOW + 6000},
        {"iat": NOW + 6000},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 300},
        {"sub": "other"},
        {"sub": None},
        {"iss": "nobody", "sub": "nobody"},
        {"iss": ["epd"], "sub": ["epd"]},
        {"iss": "other", "sub": "other"},
    ],
    ids="-".join,
)
def test_an_assertion_with_a_wrong_claim_is_refused(changed: dict[str, Any], caller: Caller) -> None:
    denied(caller.ask(caller.good(**changed)))


def test_the_audience_is_exact(caller: Caller) -> None:
    for wrong in (caller.token_url + "/", caller.token_url.upper(), caller.root, f"{caller.root}/oauth/revoke"):
        denied(caller.ask(caller.good(aud=wrong)))


def test_an_assertion_without_signature_is_refused(caller: Caller) -> None:
    claims = claims_for(caller.token_url)
    for name in ("none", "None", "NONE", ""):
        header = {"alg": name, "kid": "rsa-1", "typ": "JWT"}
        denied(caller.ask(f"{part(header)}.{part(claims)}."))
        denied(caller.ask(f"{part(header)}.{part(claims)}.{part('x')}"))


def test_a_public_key_is_never_taken_as_a_shared_secret(caller: Caller) -> None:
    claims = claims_for(caller.token_url)
    for secret in (RSA.as_pem(private=False), json.dumps(public(RSA)["keys"][0]).encode(), EC.as_pem(private=False)):
        key = OctKey.import_key(secret, {"kid": "rsa-1"}) if b"BEGIN" not in secret else None
        for name in ("HS256", "HS384"):
            if key is not None:
                denied(caller.ask(assertion(claims, key, alg=name)))
            denied(caller.ask(forged_hmac(claims, secret, name)))


def forged_hmac(claims: dict[str, Any], secret: bytes, name: str) -> str:
    import hashlib
    import hmac

    signed = f"{part({'alg': name, 'kid': 'rsa-1', 'typ': 'JWT'})}.{part(claims)}"
    digest = hmac.new(secret, signed.encode(), hashlib.sha256 if name == "HS256" else hashlib.sha384).digest()
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    ("key", "header"),
    [
        (STRANGER, {}),
        (WEAK, {}),
        (WEAK, {"kid": "rsa-1"}),
        (RSA, {"kid": "ec-1"}),
        (RSA, {"kid": "unknown"}),
        (RSA, {"kid": "../../etc/passwd"}),
        (RSA, {"kid": "' OR 1=1 --"}),
        (RSA, {"alg": "RS256"}),
        (ECKey.generate_key("P-256", {"kid": "ec-1"}), {"alg": "ES256"}),
        (STRANGER, {"jku": "https://evil.example/jwks"}),
        (RSA, {"jku": "https://evil.example/jwks"}),
        (STRANGER, {"x5u": "https://evil.example/cert"}),
        (STRANGER, {"jwk": public(STRANGER)["keys"][0]}),
        (RSA, {"crit": ["b64"], "b64": True}),
    ],
    ids=[
        "other-key", "key-of-other-client", "key-of-other-client-with-kid", "kid-of-other-kind", "kid-unknown", "kid-path",
        "kid-sql", "RS256", "ES256", "jku-stranger", "jku-own", "x5u", "jwk", "crit",
    ],
)  # fmt: skip
def test_a_key_that_is_not_the_clients_opens_nothing(key: Any, header: dict[str, Any], caller: Caller) -> None:
    denied(caller.ask(assertion(claims_for(caller.token_url), key, **header)))


def test_an_assertion_without_kid_is_refused(caller: Caller) -> None:
    from joserfc import jwt

    from tests.http.smart_client import ALL

    denied(caller.ask(jwt.encode({"alg": "RS384"}, claims_for(caller.token_url), RSA, registry=ALL)))


def test_an_assertion_serves_once_in_all_processes_and_after_a_restart(
    settings: dict[str, Any], caller: Caller
) -> None:
    signed = caller.good()
    assert caller.ask(signed).status_code == 200
    denied(caller.ask(signed))
    refused_scope = caller.good()
    denied(caller.ask(refused_scope, "system/Patient.rs"), "invalid_scope")
    denied(caller.ask(refused_scope))
    issuer = caller.base
    second = RunningServer({**settings, "base_url": issuer})  # another process behind the same address
    try:
        fellow = Caller(f"http://127.0.0.1:{second.settings.port}/fhir")
        denied(fellow.ask(signed))
        fresh = caller.good()
        assert fellow.ask(fresh).status_code == 200
        denied(caller.ask(fresh))
        token = caller.token()
        assert fellow.read(token).status_code == 200
        assert caller.ask(caller.good(at="revoke"), at="revoke", token=token).status_code == 200
        time.sleep(0.6)
        refused(fellow.read(token))  # told across processes within half a second
        fellow.close()
    finally:
        second.stop()


@pytest.mark.parametrize("client", ["loopback", "metadata", "named", "mapped", "plain"])
def test_keys_are_not_fetched_from_private_addresses(client: str, caller: Caller) -> None:
    answer = caller.ask(caller.good(client))
    denied(answer)
    said = answer.json()["error_description"]
    assert "may not call what is private" in said or "https" in said


@pytest.mark.parametrize(
    "forge",
    [
        lambda good: good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB"),
        lambda good: f"{part({'alg': 'none', 'typ': 'at+jwt'})}.{good.split('.')[1]}.",
        lambda good: ".".join([good.split(".")[0], part({"scope": "system/*.cruds"}), good.split(".")[2]]),
        lambda good: good + ".x",
        lambda _: "x" * 9000,
        lambda _: "..",
        lambda _: "a b c",
        lambda _: "ÿþ",
    ],
    ids=["signature", "none", "claims", "four-parts", "huge", "empty", "spaces", "latin"],
)
def test_a_forged_access_token_is_refused(forge: Any, caller: Caller) -> None:
    value = b"Bearer " + forge(caller.token()).encode("latin-1")
    answer = caller.http.get(f"{caller.base}/Organization/caw", headers={b"Authorization": value})
    assert answer.status_code == 401, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_of_another_server_is_refused(tmp_path: Path, fresh_server: Any, caller: Caller) -> None:
    elsewhere = Caller(fresh_server(**prepare(tmp_path)).base)
    refused(caller.read(elsewhere.token()))
    refused(elsewhere.read(caller.token()))
    elsewhere.close()


def test_an_assertion_is_no_access_token(caller: Caller) -> None:
    refused(caller.read(caller.good(aud=caller.base)))
    refused(caller.read(caller.good(iss=caller.root, sub=caller.root, aud=caller.base)))


def test_a_parameter_that_stands_twice_is_refused(caller: Caller) -> None:
    form = (
        "grant_type=client_credentials&scope=system/Task.rs&scope=system/*.cruds"
        "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        f"&client_assertion={caller.good()}"
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    denied(caller.http.post(caller.token_url, content=form, headers=headers), "invalid_request")
    denied(caller.http.post(caller.token_url, json={"grant_type": "client_credentials"}), "invalid_request")
    big = caller.http.post(caller.token_url, content="a=" + "x" * 40_000, headers=headers)
    assert (big.status_code, big.json()["error"]) == (413, "invalid_request")
    many = "&".join(f"p{number}=1" for number in range(50))
    denied(caller.http.post(caller.token_url, content=many, headers=headers), "invalid_request")
    denied(caller.ask(caller.good(), grant_type="password"), "unsupported_grant_type")
    denied(caller.ask(caller.good(), client_id="other"))
    denied(caller.ask(caller.good(), client_assertion_type="urn:x"))
    denied(caller.ask("x" * 20_000))


def test_a_client_that_is_disabled_by_command_loses_its_tokens_within_a_second(
    settings: dict[str, Any], folder: Path, caller: Caller
) -> None:
    from click.testing import CliRunner

    from fhir_server.cli import main

    def run(*words: str) -> str:
        environ = {"FHIR_STORE": settings["store"], "FHIR_KEY_FOLDER": settings["key_folder"]}
        done = CliRunner().invoke(main, ["client", *words], env=environ)
        assert done.exit_code == 0, done.output
        return done.output

    file = folder / "keys.json"
    file.write_text(json.dumps(public(RSA)), encoding="utf-8")
    name = f"cli-{secrets.token_hex(3)}"
    made = json.loads(
        run("add", "--id", name, "--name", "By command", "--organization", "Organization/caw", "--role", "referrer",
            "--scope", "system/*.rs", "--jwks", str(file))
    )  # fmt: skip
    assert made["scopes"] == "system/*.rs"
    token = caller.token(name)
    assert caller.read(token).status_code == 200
    run("disable", name)
    time.sleep(0.6)
    refused(caller.read(token))
    denied(caller.ask(caller.good(name)))
    run("enable", name)
    file.write_text(json.dumps(public(EC)), encoding="utf-8")
    run("rotate-keys", name, "--jwks", str(file))
    denied(caller.ask(caller.good(name)))
    assert caller.ask(assertion(claims_for(caller.token_url, name), EC)).status_code == 200
    assert name in run("list")
    assert json.loads(run("show", name))["jwks"]["keys"][0]["kid"] == "ec-1"


def test_no_attack_makes_the_server_call_out(caller: Caller) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.2)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/jwks"
        for header in ({"jku": url}, {"x5u": url}, {"jwk": {"kty": "RSA"}, "jku": url}):
            denied(caller.ask(assertion(claims_for(caller.token_url), STRANGER, **header)))
        with pytest.raises(TimeoutError):
            listening.accept()
