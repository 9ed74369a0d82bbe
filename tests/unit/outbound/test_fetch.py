"""Fetching keys: from public addresses only, the very address that was judged, and never more than is bearable."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from joserfc.jwk import ECKey, RSAKey

from fhir_server.access.jose import TokenRefused
from fhir_server.outbound.fetch import FetchFailed, Outward, fetch_json, is_public
from fhir_server.outbound.jwks import JwksSource

CLOSED = Outward(seconds=1.0)
OPEN = Outward(private=True, seconds=1.0)
RSA = {**RSAKey.generate_key(2048).as_dict(private=False), "kid": "one"}
EC = {**ECKey.generate_key("P-384").as_dict(private=False), "kid": "two"}


class Handler(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["host"]))
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/")
            self.end_headers()
        elif self.path == "/large":
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(b" " * 400_000)
        elif self.path == "/drip":
            self.send_response(200)
            self.end_headers()
            for _ in range(40):
                try:
                    self.wfile.write(b" " * 20_000)
                    self.wfile.flush()
                except OSError:
                    return
                time.sleep(0.15)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": [RSA]}).encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:db8::1", "what",
    ],
)  # fmt: skip
def test_an_address_of_a_network_of_our_own_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], []])
def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(answer: list[str], port: int) -> None:
    before = len(Handler.asked)
    with pytest.raises(FetchFailed, match="open internet"):
        fetch_json(CLOSED, f"https://keys.example:{port}/", resolver=lambda *_: answer)
    assert len(Handler.asked) == before


def test_a_name_is_resolved_once_and_the_judged_address_is_called(port: int) -> None:
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    taken: list[tuple[str, int]] = []

    def rebinding(host: str, at: int) -> list[str]:
        taken.append((host, at))
        return answers[len(taken) - 1]

    fetch_json(OPEN, f"http://keys.example:{port}/jwks", resolver=rebinding)
    assert taken == [("keys.example", port)]
    assert Handler.asked[-1] == ("/jwks", f"keys.example:{port}")  # sent to the address, with the name in Host


@pytest.mark.parametrize(
    ("path", "said"), [("/redirect", "redirects"), ("/large", "larger"), ("/drip", "too long|larger|does not answer")]
)
def test_a_redirect_a_flood_and_a_trickle_are_refused(path: str, said: str, port: int) -> None:
    began = time.monotonic()
    with pytest.raises(FetchFailed, match=said):
        fetch_json(OPEN, f"http://127.0.0.1:{port}{path}")
    assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    "url", ["http://8.8.8.8/", "ftp://8.8.8.8/", "file:///etc/passwd", "https://no-such-name.invalid/", "https:///x"]
)
def test_what_is_no_address_for_keys_is_refused(url: str) -> None:
    with pytest.raises(FetchFailed):
        fetch_json(CLOSED, url)


class Clock:
    now = 1_000_000

    def now_ms(self) -> int:
        return self.now


def test_keys_are_kept_and_a_new_one_is_found_and_failures_are_not_repeated() -> None:
    clock, served, asked = Clock(), [[RSA]], []

    def get(url: str) -> bytes:
        asked.append(url)
        if not served[0]:
            raise FetchFailed("away")
        return json.dumps({"keys": served[0]}).encode()

    source = JwksSource(get, clock)
    assert source.cached("u", "one") is None
    assert [key.kid for key in source.fetch("u", "one").keys] == ["one"]
    assert source.cached("u", "one") is not None
    source.fetch("u", "one")
    source.fetch("u", "unknown")  # a moment ago it was not there: no second call
    assert len(asked) == 1
    served[0] = [EC]
    clock.now += 31_000
    assert [key.kid for key in source.fetch("u", "two").keys] == ["two"]
    assert source.cached("u", "one") is None  # a key that was taken away is not taken any more
    clock.now += 601_000
    served[0] = []
    for _ in range(3):
        with pytest.raises(TokenRefused, match="away"):
            source.fetch("u", "two")
    assert len(asked) == 3


def test_one_fetch_serves_all_who_wait_for_it() -> None:
    asked: list[str] = []

    def get(url: str) -> bytes:
        asked.append(url)
        time.sleep(0.05)
        return json.dumps({"keys": [RSA]}).encode()

    source = JwksSource(get, Clock())
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(source.fetch("u", "one"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(asked) == 1
