"""A subscriber on a websocket, with the client library `websockets`, and what the tests of it share."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
TOPIC = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic/Task"


def subscribe(
    client: httpx.Client, *, content: str = "id-only", heartbeat: int = 0, headers: dict[str, str] | None = None
) -> str:
    """Make a subscription to the topic of Tasks, and return its id."""
    channel: dict[str, Any] = {"type": "websocket", "payload": "application/fhir+json"}
    channel["_payload"] = {"extension": [{"url": f"{BACKPORT}payload-content", "valueCode": content}]}
    if heartbeat:
        channel["extension"] = [{"url": f"{BACKPORT}heartbeat-period", "valueUnsignedInt": heartbeat}]
    return made(client, {"criteria": TOPIC, "channel": channel}, headers or {})


def subscribe_plain(client: httpx.Client, criteria: str) -> str:
    """Make a plain R4 subscription, and return its id."""
    return made(client, {"criteria": criteria, "channel": {"type": "websocket"}}, {})


def made(client: httpx.Client, asked: dict[str, Any], headers: dict[str, str]) -> str:
    body = {"resourceType": "Subscription", "status": "requested", "reason": "test", **asked}
    answer = client.post("/Subscription", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def token(client: httpx.Client, *names: str, **headers: str) -> tuple[str, str]:
    """Return a binding token and where to connect."""
    answer = client.get("/Subscription/$get-ws-binding-token", params={"id": list(names)}, headers=headers)
    assert answer.status_code == 200, answer.text
    said = {
        part["name"]: next(v for k, v in part.items() if k.startswith("value")) for part in answer.json()["parameter"]
    }
    return said["token"], said["websocket-url"]


@contextmanager
def bind(client: httpx.Client, name: str, url: str = "", **headers: str) -> Iterator[tuple[ClientConnection, int]]:
    """Connect and bind; give the connection and how many events there were."""
    said, place = token(client, name, **headers)
    with connect(url or place) as connection:
        connection.send(f"bind-with-token {said}")
        kind, count, _ = read(connection)
        assert kind == "handshake"
        yield connection, count


def read(connection: ClientConnection, seconds: float = 10) -> tuple[str, int, list[tuple[int, str]]]:
    """Return the type of the next notification, the count of events, and `(number, focus)` of each event."""
    bundle = json.loads(connection.recv(timeout=seconds))
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "history")
    said = bundle["entry"][0]["resource"]["parameter"]
    values = {part["name"]: next((v for k, v in part.items() if k.startswith("value")), None) for part in said}
    events = [
        {one["name"]: next(v for k, v in one.items() if k.startswith("value")) for one in part["part"]}
        for part in said
        if part["name"] == "notification-event"
    ]
    found = [(int(one["event-number"]), one.get("focus", {}).get("reference", "")) for one in events]
    return str(values["type"]), int(str(values["events-since-subscription-start"])), found


def events(connection: ClientConnection, number: int) -> list[tuple[int, str]]:
    """Read notifications until so many events have come."""
    found: list[tuple[int, str]] = []
    while len(found) < number:
        kind, _, more = read(connection)
        if kind == "event-notification":
            found += more
    return found
