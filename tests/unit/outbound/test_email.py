"""The e-mail channel against a real mail server (aiosmtpd): what is said, how it travels, what each refusal means."""

import json
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fhir_server.interactions.subscriptions import Subscription
from fhir_server.outbound.channel import Notification
from fhir_server.outbound.email import Mail, Smtp, address_of

BASE = "https://fhir.example/fhir"
FOCI = ("Task/t1", "Patient/ann", "Task/t1", "Task/t2")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Still:
    def now_ms(self) -> int:
        return 1_790_000_000_000


class Postbox:
    """Takes every message but those to addresses that it refuses."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: ARG002, N802  # as aiosmtpd calls it
        if address.startswith("unknown"):
            return "550 5.1.1 no such user"
        if address.startswith("later"):
            return "451 4.3.0 try later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ARG002, N802  # idem
        found = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(found, EmailMessage)
        self.messages.append(found)
        return "250 OK"


@pytest.fixture
def postbox() -> Iterator[tuple[Postbox, Smtp]]:
    box = Postbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    port = controller.port
    yield box, Smtp("127.0.0.1", port, "none", "", "", "news@fhir.example", seconds=2.0)
    controller.stop()


def mail(smtp: Smtp) -> Mail:
    return Mail(smtp, Still(), BASE, "nl")


def asked(
    address: str = "desk@cbo.example", *, content: Any = "id-only", headers: tuple[str, ...] = ()
) -> Subscription:
    endpoint = f"mailto:{address}"
    return Subscription("s1", 1, "active", "urn:topic", "", (), "email", endpoint, headers, "text/plain", content)


def told(first: int = 1, last: int = 4) -> Notification:
    parameters = [
        {
            "name": "notification-event",
            "part": [
                {"name": "event-number", "valueString": str(number)},
                {"name": "focus", "valueReference": {"reference": f"{BASE}/{focus}"}},
            ],
        }
        for number, focus in enumerate(FOCI, first)
    ]
    entry = {"resource": {"resourceType": "Parameters", "parameter": parameters}}
    full = {"resource": {"resourceType": "Patient", "name": [{"family": "Verborgen"}]}}
    body = json.dumps({"resourceType": "Bundle", "entry": [entry, full]}).encode()
    return Notification("event-notification", body, first, last)


def test_a_message_says_that_there_is_news_and_where_and_nothing_of_persons(postbox: tuple[Postbox, Smtp]) -> None:
    box, smtp = postbox
    assert mail(smtp).deliver(asked(), told()).delivered
    message = box.messages[0]
    text = message.get_content()
    assert "4 nieuwe meldingen" in text
    assert text.count(f"{BASE}/Task/t1") == text.count(f"{BASE}/Task/t2") == 1
    assert "https://fhir.example/" in text
    assert "Patient" not in message.as_string()
    assert "Verborgen" not in message.as_string()
    assert (message["From"], message["To"]) == ("news@fhir.example", "desk@cbo.example")
    assert (message["Auto-Submitted"], message["Content-Language"]) == ("auto-generated", "nl")


def test_empty_content_names_no_place_and_a_heartbeat_says_that_there_is_nothing(postbox: tuple[Postbox, Smtp]) -> None:
    box, smtp = postbox
    channel = mail(smtp)
    assert channel.deliver(asked(content="empty"), told(7, 7)).delivered
    assert channel.deliver(asked(content="empty"), Notification("heartbeat", b"")).delivered
    one, beat = (message.get_content() for message in box.messages)
    assert "1 nieuwe melding " in one
    assert "Task" not in one
    assert "geen nieuws" in beat


@pytest.mark.parametrize(
    ("header", "language", "word"),
    [
        ("fr-BE, nl;q=0.5", "fr", "notifications"),
        ("en", "en", "new"),
        ("de", "de", "Mitteilungen"),
        ("tr", "nl", "nieuwe"),
    ],
)
def test_it_is_in_the_language_that_was_asked_for(
    postbox: tuple[Postbox, Smtp], header: str, language: str, word: str
) -> None:
    box, smtp = postbox
    mail(smtp).deliver(asked(headers=(f"Accept-Language: {header}",)), told())
    assert box.messages[0]["Content-Language"] == language
    assert word in box.messages[0].get_content()


def test_what_is_sent_again_has_the_same_message_id_and_another_event_has_another(
    postbox: tuple[Postbox, Smtp],
) -> None:
    box, smtp = postbox
    channel = mail(smtp)
    for notification in (told(), told()._replace(attempt=2), told(5, 8)):
        channel.deliver(asked(), notification)
    first, again, other = (message["Message-ID"] for message in box.messages)
    assert first == again != other


def test_a_refused_address_is_final_and_all_else_is_tried_again(postbox: tuple[Postbox, Smtp]) -> None:
    _, smtp = postbox
    channel = mail(smtp)
    unknown = channel.deliver(asked("unknown@cbo.example"), told())
    later = channel.deliver(asked("later@cbo.example"), told())
    assert (unknown.delivered, unknown.final) == (False, True)
    assert "550" in unknown.fault
    assert (later.delivered, later.final) == (False, False)
    down = mail(smtp._replace(port=1)).deliver(asked(), told())
    assert (down.delivered, down.final) == (False, False)
    assert "cbo.example" not in down.fault


def test_without_the_tls_that_was_asked_for_nothing_is_sent(postbox: tuple[Postbox, Smtp]) -> None:
    box, smtp = postbox
    outcome = mail(smtp._replace(security="starttls")).deliver(asked(), told())
    assert (outcome.delivered, outcome.final) == (False, False)
    assert box.messages == []


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)  # noqa: TID251  # a certificate that holds now
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "mail.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, str(path)


def test_tls_and_a_password_and_a_server_that_is_not_vouched_for(certificate: tuple[ssl.SSLContext, str]) -> None:
    context, path = certificate

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=isinstance(data, LoginPassword) and data.password == b"right")

    box = Postbox()
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=check,
    )
    controller.start()
    try:
        port = controller.port
        smtp = Smtp("127.0.0.1", port, "starttls", "us", "right", "news@fhir.example", path, 5.0)
        assert mail(smtp).deliver(asked(), told()).delivered
        wrong = mail(smtp._replace(password="wrong")).deliver(asked(), told())
        assert (wrong.delivered, wrong.final) == (False, False)
        assert not mail(smtp._replace(ca_file="")).deliver(asked(), told()).delivered
        assert len(box.messages) == 1
    finally:
        controller.stop()


@pytest.mark.parametrize(
    "endpoint",
    [
        "mailto:a@b.example,c@d.example",
        "mailto:a@b.example?bcc=c@d.example",
        "mailto:",
        "https://b.example",
        "mailto:a%0Ab@c.example",
    ],
)
def test_an_endpoint_is_one_address(endpoint: str) -> None:
    assert address_of(endpoint) is None
    assert address_of("mailto:a%2Bb@c.example") == "a+b@c.example"
