"""Calls to receivers that want to hurt: each ends in time, and none leads where it should not."""

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fhir_server.outbound.fetch import Outward
from fhir_server.outbound.receivers import Receivers, Unreachable
from tests.unit.outbound.receiver import Receiver, with_status


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    made = Receivers(Outward(private=True))
    yield made
    made.close()


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, str]:
    """Return a server context with a self-signed certificate for a name, and the file that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.fromtimestamp(time.time(), dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, private)
    return context, str(chain)


def call(receivers: Receivers, url: str, seconds: float = 5.0) -> int:
    return receivers.send("POST", url, {"Content-Type": "application/fhir+json"}, b"{}", seconds).status


def test_a_line_is_used_again(receivers: Receivers, receiver: Receiver) -> None:
    assert [call(receivers, receiver.url()) for _ in range(5)] == [200] * 5
    assert len(receiver.connections) == 1


def test_a_line_that_was_closed_meanwhile_costs_no_attempt(receivers: Receivers) -> None:
    first = Receiver()
    assert call(receivers, first.url()) == 200
    first.stop()
    second = Receiver(port=first.port)
    assert call(receivers, second.url()) == 200
    second.stop()


def test_a_redirect_is_an_answer_and_not_followed(receivers: Receivers, receiver: Receiver) -> None:
    other = Receiver()
    receiver.behaviour = with_status(307, Location="http://169.254.169.254/latest/meta-data")
    assert call(receivers, receiver.url()) == 307
    receiver.behaviour = with_status(308, Location=other.url())
    assert call(receivers, receiver.url()) == 308
    assert other.got == []
    other.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "[::1]", "169.254.169.254", "localhost"])
def test_private_addresses_are_not_called_unless_allowed(host: str) -> None:
    strict = Receivers(Outward())
    with pytest.raises(Unreachable, match=r"open internet|known"):
        call(strict, f"https://{host}/hook")
    strict.close()


def test_link_local_addresses_are_never_called(receivers: Receivers) -> None:
    with pytest.raises(Unreachable, match="link-local") as caught:
        call(receivers, "http://169.254.169.254/latest")
    assert caught.value.final


def test_a_name_that_changes_its_mind_is_judged_again_for_each_line(receiver: Receiver) -> None:
    answers = [["93.184.216.34", "127.0.0.1"], ["127.0.0.1"]]
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(f"{host}:{port}")
        return answers[min(len(asked), len(answers)) - 1]

    strict = Receivers(Outward(), resolver=resolver)
    for _ in range(3):
        with pytest.raises(Unreachable, match="open internet"):
            call(strict, f"https://hook.example:{receiver.port}/")
    assert len(asked) == 3
    assert receiver.got == []
    strict.close()


def test_the_line_goes_to_the_address_that_was_judged_under_the_name_that_was_asked(receiver: Receiver) -> None:
    named = Receivers(Outward(private=True), resolver=lambda _host, _port: ["127.0.0.1"])
    assert call(named, f"http://hook.example:{receiver.port}/x") == 200
    assert receiver.got[0].headers["Host"] == f"hook.example:{receiver.port}"
    named.close()


def test_a_certificate_is_verified_for_the_name(tmp_path: Path) -> None:
    context, chain = certificate(tmp_path, "hook.example")
    secure = Receiver(context)
    at_home = {"resolver": lambda _host, _port: ["127.0.0.1"]}
    trusting = Receivers(Outward(private=True), ca_file=chain, **at_home)  # type: ignore[arg-type]  # plain dictionaries and pairs, as JSON has them
    assert call(trusting, f"https://hook.example:{secure.port}/") == 200
    with pytest.raises(Unreachable, match="certificate"):
        call(trusting, f"https://other.example:{secure.port}/")
    public = Receivers(Outward(private=True), **at_home)  # type: ignore[arg-type]  # plain dictionaries and pairs, as JSON has them
    with pytest.raises(Unreachable, match="certificate"):
        call(public, f"https://hook.example:{secure.port}/")
    assert len(secure.got) == 1
    trusting.close()
    public.close()
    secure.stop()


def dripping(start: bytes, drop: bytes) -> tuple[int, Callable[[], None]]:
    """Return the port of a server that sends a start, then a drop every 50 ms; and what ends it."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(start)
                while not ended.wait(0.05):
                    peer.sendall(drop)
        except OSError:
            return

    thread = threading.Thread(target=serve)
    thread.start()

    def end() -> None:
        ended.set()
        listener.close()
        thread.join()

    return listener.getsockname()[1], end


@pytest.mark.parametrize(
    ("start", "drop", "scheme"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x", "http"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", "http"),
        (b"", b"\x16", "https"),
    ],
    ids=["body", "headers", "tls"],
)
def test_who_sends_a_byte_now_and_then_is_cut_off_in_time(
    receivers: Receivers, start: bytes, drop: bytes, scheme: str
) -> None:
    port, end = dripping(start, drop)
    began = time.monotonic()
    with pytest.raises(Unreachable):
        call(receivers, f"{scheme}://127.0.0.1:{port}/", 0.5)
    assert time.monotonic() - began < 5  # it would never end by itself
    end()


def test_an_endless_answer_is_not_read_to_its_end(receivers: Receivers) -> None:
    port, end = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", b"x" * 100_000)
    assert call(receivers, f"http://127.0.0.1:{port}/") == 200
    end()


def test_closing_ends_what_is_under_way(receiver: Receiver) -> None:
    receiver.behaviour = lambda _: time.sleep(2)
    closing = Receivers(Outward(private=True))
    threading.Timer(0.2, closing.close).start()
    with pytest.raises(Unreachable):  # else the answer is waited for
        call(closing, receiver.url(), 10)
