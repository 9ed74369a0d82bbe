"""What the websocket channel does by the clock: heartbeats, a client that takes nothing, one that never binds.

The channel is driven as its server drives it, by ASGI messages, so that a client can refuse to take one.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.access.principal import ANONYMOUS
from fhir_server.app import build_engine
from fhir_server.http import websocket
from fhir_server.http.websocket import WebsocketChannel
from fhir_server.interactions.context import Engine
from fhir_server.interactions.feed_news import tell_news
from fhir_server.interactions.subscriptions_events import Event, append_events
from fhir_server.interactions.subscriptions_owner import keep_owner
from fhir_server.model.codec import encode
from fhir_server.settings import Settings
from fhir_server.store.port import UnitOfWork
from tests.http.websocket_client import BACKPORT, TOPIC

Sent = list[dict[str, Any]]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = build_engine(Settings(store=f"sqlite:///{tmp_path / 'fhir.sqlite'}", publish_artifacts=False))
    made.store.write(lambda uow: put(made, uow))
    made.signal.start()
    yield made
    made.signal.stop()
    made.store.close()


def put(engine: Engine, uow: UnitOfWork) -> None:
    """Store a subscription with a heartbeat that is shorter than one may ask for."""
    made: dict[str, Any] = {
        "resourceType": "Subscription", "id": "s", "status": "active", "reason": "r", "criteria": TOPIC,
        "channel": {
            "type": "websocket", "payload": "application/fhir+json",
            "extension": [{"url": f"{BACKPORT}heartbeat-period", "valueUnsignedInt": 1}],
            "_payload": {"extension": [{"url": f"{BACKPORT}payload-content", "valueCode": "id-only"}]},
        },
    }  # fmt: skip
    uow.put("Subscription", "s", 1, encode(made), engine.extractor.extract(made), "POST")
    keep_owner(uow, "s", ANONYMOUS, 0)


def happen(engine: Engine, number: int) -> None:
    """File events as the dispatcher does."""

    def work(uow: UnitOfWork) -> None:
        events = [Event(0, uow.last_updated, "Task/t", 0, "PUT", 1)] * number
        last = append_events(uow, "s", events, 60_000)
        tell_news(uow, (last, 0), ["s"])

    engine.store.write(work)


async def connected(
    channel: WebsocketChannel, commands: list[str], take: Callable[[dict[str, Any]], Awaitable[None]], seconds: float
) -> Sent:
    """Drive one connection for a while; return what was sent, a message that was not taken included."""
    sent: Sent = []
    waiting = iter([{"type": "websocket.connect"}, *({"type": "websocket.receive", "text": text} for text in commands)])

    async def receive() -> Any:
        for message in waiting:
            return message
        await asyncio.sleep(seconds)
        return {"type": "websocket.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        await take(message)

    await channel({"type": "websocket"}, receive, send)
    return sent


async def take_all(message: dict[str, Any]) -> None:
    del message


def kinds(sent: Sent) -> list[str]:
    texts = [json.loads(message["text"]) for message in sent if message["type"] == "websocket.send"]
    said = [text["entry"][0]["resource"]["parameter"] for text in texts]
    return [next(part["valueCode"] for part in parts if part["name"] == "type") for parts in said]


def test_a_heartbeat_comes_when_nothing_happens_and_not_when_something_does(engine: Engine) -> None:
    sent = asyncio.run(connected(WebsocketChannel(engine), ["bind s"], take_all, 2.5))
    assert kinds(sent) == ["handshake", "heartbeat", "heartbeat"]


def test_a_client_that_takes_nothing_costs_one_message_and_its_connection(engine: Engine) -> None:
    happen(engine, 3)

    async def run() -> Sent:
        stuck = asyncio.Event()

        async def take(message: dict[str, Any]) -> None:
            if message["type"] == "websocket.send" and "event-notification" in message["text"]:
                await stuck.wait()

        async def burst() -> None:
            await asyncio.sleep(0.3)
            await asyncio.to_thread(happen, engine, 500)

        bursting = asyncio.create_task(burst())
        sent = await connected(WebsocketChannel(engine, send_seconds=0.5), ["bind s"], take, 10)
        await bursting
        return sent

    sent = asyncio.run(run())
    assert kinds(sent) == ["handshake", "event-notification"]
    assert (sent[-1]["type"], sent[-1]["code"]) == ("websocket.close", 1013)
    assert sent[-2]["text"].count('"event-number"') == 50


def test_who_never_binds_is_let_go(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_BIND_SECONDS", 0.1)
    sent = asyncio.run(connected(WebsocketChannel(engine), [], take_all, 10))
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
