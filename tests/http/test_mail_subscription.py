"""A Subscription with the channel `email`, from a change to a message in a real mail server."""

import socket
import time
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller

from tests.http.websocket_client import BACKPORT, TOPIC, made


class Postbox:
    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ARG002, N802  # as aiosmtpd calls it
        found = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(found, EmailMessage)
        self.messages.append(found)
        return "250 OK"


@pytest.fixture
def mail() -> Iterator[tuple[Postbox, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    box = Postbox()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, port
    controller.stop()


def asked(endpoint: str, content: str = "id-only") -> dict[str, Any]:
    extension = [{"url": f"{BACKPORT}payload-content", "valueCode": content}]
    channel = {"type": "email", "endpoint": endpoint, "payload": "text/plain", "_payload": {"extension": extension}}
    return {"criteria": TOPIC, "channel": {**channel, "header": ["Accept-Language: fr"]}}


def test_a_change_becomes_a_message_without_what_it_says(
    fresh_server: Any, mail: tuple[Postbox, int], refused: Any
) -> None:
    box, port = mail
    server = fresh_server(
        publish_artifacts=False,
        smtp_host="127.0.0.1",
        smtp_port=port,
        smtp_security="none",
        mail_from="news@fhir.example",
    )
    with httpx.Client(base_url=server.base, timeout=30) as client:
        made(client, asked("mailto:desk@cbo.example"), {})
        wrong = {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "r",
            **asked("mailto:a@b.example", "full-resource"),
        }
        refused(client.post("/Subscription", json=wrong), 422, "subscription-content")
        task = {"resourceType": "Task", "status": "requested", "intent": "order", "description": "Erdan needs help"}
        place = client.post("/Task", json=task).json()["id"]
        ends = time.monotonic() + 15
        while not box.messages and time.monotonic() < ends:
            time.sleep(0.05)
    message = box.messages[0]
    assert (message["To"], message["Content-Language"]) == ("desk@cbo.example", "fr")
    assert f"{server.base}/Task/{place}" in message.get_content()
    assert "Erdan" not in message.as_string()
