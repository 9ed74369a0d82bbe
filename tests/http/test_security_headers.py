"""What every answer says to browsers, who may read it from another site, and what OPTIONS is told."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.settings import SettingsError, load_settings
from tests.conftest import RunningServer
from tests.http.smart_client import Caller, prepare

SITE = "https://app.example"


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    settings = prepare(tmp_path_factory.mktemp("headers"))
    running = RunningServer({**settings, "cors_origins": f"{SITE} https://other.example", "body_seconds": 0.5})
    found = Caller(running.base)
    yield found
    found.close()
    running.stop()


@pytest.mark.parametrize(
    "path",
    ["/fhir/metadata", "/fhir/Task", "/health", "/oauth/jwks", "/.well-known/smart-configuration", "/nothing", "/"],
)
def test_every_answer_is_hardened(path: str, caller: Caller) -> None:
    headers = caller.http.get(f"{caller.root}{path}").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "cache-control" in headers
    assert "strict-transport-security" not in headers  # this one is reached by http


def test_behind_https_browsers_are_told_to_stay_there(tmp_path: Path, fresh_server: Any) -> None:
    server = fresh_server(**prepare(tmp_path), base_url="https://fhir.example/fhir")
    port = server.settings.port
    answer = httpx.get(f"http://127.0.0.1:{port}/fhir/metadata")
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    said = httpx.get(f"http://127.0.0.1:{port}/.well-known/smart-configuration").json()
    assert said["token_endpoint"] == "https://fhir.example/oauth/token"


def test_a_site_that_is_allowed_may_read_and_another_may_not(caller: Caller) -> None:
    token = caller.token()
    allowed = caller.read(token, Origin=SITE).headers
    assert allowed["access-control-allow-origin"] == SITE
    assert "etag" in allowed["access-control-expose-headers"]
    assert allowed["vary"] == "origin"
    assert "access-control-allow-credentials" not in allowed
    for stranger in ("https://evil.example", "null", f"{SITE}.evil.example", "http://app.example", ""):
        assert "access-control-allow-origin" not in caller.read(token, Origin=stranger).headers
    found = caller.http.get(f"{caller.root}/oauth/jwks", headers={"Origin": SITE}).headers
    assert found["access-control-allow-origin"] == SITE
    assert (
        "access-control-allow-origin" not in caller.http.get(f"{caller.root}/health", headers={"Origin": SITE}).headers
    )


def test_a_preflight_is_answered_without_a_token(caller: Caller) -> None:
    asked = {"Origin": SITE, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
    for url in (f"{caller.base}/Task/1", caller.token_url):
        answer = caller.http.options(url, headers=asked)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == SITE
        assert "PUT" in answer.headers["access-control-allow-methods"]
        assert "authorization" in answer.headers["access-control-allow-headers"]
        denied = caller.http.options(url, headers={**asked, "Origin": "https://evil.example"})
        assert denied.status_code == 204
        assert "access-control-allow-origin" not in denied.headers
    plain = caller.http.options(f"{caller.base}/Task")
    assert (plain.status_code, plain.content) == (204, b"")
    assert "GET" in plain.headers["allow"]


def test_a_body_that_does_not_arrive_is_refused_in_time(caller: Caller) -> None:
    token = caller.token()
    port = int(caller.base.rpartition(":")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        head = (
            f"POST /fhir/Task HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/fhir+json\r\nContent-Length: 100\r\n\r\n{"
        )
        began = time.monotonic()
        line.sendall(head.encode())
        answer = line.recv(4096)
    assert b" 408 " in answer.partition(b"\r\n")[0]
    assert time.monotonic() - began < 5


PROTECTED = {"FHIR_MODE": "protected", "FHIR_KEY_FOLDER": "keys"}


@pytest.mark.parametrize(
    ("environ", "name", "said"),
    [
        ({"FHIR_MODE": "protected"}, "key_folder", "key rotate"),
        ({**PROTECTED, "FHIR_HOST": "0.0.0.0"}, "base_url", "clear text"),
        ({**PROTECTED, "FHIR_BASE_URL": "http://fhir.example/fhir"}, "base_url", "https"),
        ({**PROTECTED, "FHIR_BASE_URL": "https://fhir.example/other"}, "base_url", "base_path"),
        ({**PROTECTED, "FHIR_CORS_ORIGINS": "https://a/b"}, "cors_origins", "pattern"),
        ({"FHIR_HOST": "0.0.0.0"}, "host", "loopback"),
    ],
)
def test_settings_that_would_leave_a_door_open_are_refused(environ: dict[str, str], name: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        load_settings(environ)
    assert refused.value.name == name


def test_protected_mode_may_listen_on_a_public_address_behind_https() -> None:
    loaded = load_settings({**PROTECTED, "FHIR_HOST": "0.0.0.0", "FHIR_BASE_URL": "https://fhir.example/fhir"})
    assert loaded.settings.issuer == "https://fhir.example"


def test_a_server_without_keys_or_with_keys_open_to_others_does_not_start(tmp_path: Path) -> None:
    from fhir_server.app import create_app
    from fhir_server.settings import Settings

    settings = prepare(tmp_path)
    pem = next((tmp_path / "keys").glob("*.pem"))
    pem.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        start_and_close(create_app, Settings(**settings))
    with pytest.raises(SettingsError, match="key rotate"):
        start_and_close(create_app, Settings(**{**settings, "key_folder": str(tmp_path / "absent")}))


def start_and_close(create_app: Any, settings: Any) -> None:
    from fhir_server.app import build_engine

    engine = build_engine(settings)
    try:
        create_app(settings, engine)
    finally:
        engine.store.close()
