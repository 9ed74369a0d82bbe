"""Subscriptions: how soon a change is with its subscriber, and what subscriptions cost a create.

`python -m bench.subscriptions` starts a server on a store of its own and a receiver in this process. It prints, for 1,000
subscriptions and 50 changes a second, the time from commit (`meta.lastUpdated`) to receipt and the CPU of the server, and
the time of a create with no subscription and with 1,000 that do not match, in alternating runs.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx

from bench.processes import Process, fhir_server

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
TOPIC = "https://w3id.org/social-referral/SubscriptionTopic/task-changed"
HEADERS = {"Content-Type": "application/fhir+json"}


class Receiver:
    """Takes notifications on one port and notes when each resource arrived."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}
        self.calls = 0
        self.again = 0
        self.news = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
                )
                body = await reader.readexactly(length)
                now = time.time() * 1000
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                self.calls += 1
                for entry in json.loads(body)["entry"][1:]:
                    identity = entry["fullUrl"].rpartition("/")[2]
                    self.again += identity in self.arrived
                    self.arrived.setdefault(identity, now)
                self.news.set()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()


def subscription(endpoint: str, owner: str) -> dict[str, Any]:
    """Return a subscription to the Tasks of one owner."""
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "bench",
        "criteria": TOPIC,
        "_criteria": {"extension": [{"url": BACKPORT + "filter-criteria", "valueString": f"Task?owner={owner}"}]},
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
            "_payload": {"extension": [{"url": BACKPORT + "payload-content", "valueCode": "id-only"}]},
        },
    }


def task(owner: str) -> dict[str, Any]:
    """Return a Task of the usual size."""
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "priority": "routine",
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "description": "Help with the rent" * 5,
        "for": {"reference": "Patient/p1"},
        "authoredOn": "2026-11-20T10:00:00+01:00",
        "requester": {"reference": "Organization/gp"},
        "owner": {"reference": owner},
    }


async def subscribe(client: httpx.AsyncClient, endpoint: str, number: int) -> None:
    """Make subscriptions and wait until they are active."""
    for at in range(number):
        answer = await client.post("/Subscription", json=subscription(endpoint, f"Organization/o{at}"))
        answer.raise_for_status()
    for _ in range(300):
        found = await client.get("/Subscription?status=active&_summary=count&_total=accurate")
        if found.json()["total"] >= number:
            return
        await asyncio.sleep(0.2)
    raise TimeoutError(f"{number} subscriptions were not active within a minute")


async def steady(
    client: httpx.AsyncClient, receiver: Receiver, number: int, rate: float, seconds: float
) -> dict[str, Any]:
    """Make changes at a rate, each for one subscriber, and return how long each took to arrive."""
    made: dict[str, float] = {}
    waiting: list[asyncio.Task[None]] = []

    async def one(owner: str) -> None:
        stored = (await client.post("/Task", json=task(owner))).json()
        made[stored["id"]] = _ms(stored["meta"]["lastUpdated"])

    started = time.monotonic()
    for at in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, started + at / rate - time.monotonic()))
        waiting.append(asyncio.create_task(one(f"Organization/o{random.randrange(number)}")))
    await asyncio.gather(*waiting)
    async with asyncio.timeout(30):
        while made.keys() - receiver.arrived.keys():
            receiver.news.clear()
            await receiver.news.wait()
    took = sorted(receiver.arrived[one] - at for one, at in made.items() if one in receiver.arrived)
    return {
        "changes": len(made),
        "received": len(took),
        "again": receiver.again,
        "p50_ms": round(statistics.median(took), 1),
        "p99_ms": round(took[int(len(took) * 0.99)], 1),
        "max_ms": round(took[-1], 1),
    }


async def creates(client: httpx.AsyncClient, number: int) -> float:
    """Return the median time of a create of what nobody subscribed to, in milliseconds."""
    took = []
    for _ in range(number):
        began = time.perf_counter()
        (await client.post("/Task", json=task("Organization/nobody"))).raise_for_status()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


async def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure all."""
    receiver = Receiver()
    listening = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/hook"
    async with AsyncExitStack() as stack:
        without, having = (
            stack.enter_context(_server(Path(stack.enter_context(tempfile.TemporaryDirectory())))) for _ in "ab"
        )
        bare, full = [await stack.enter_async_context(_client(one)) for one in (without, having)]
        began = time.monotonic()
        await subscribe(full, endpoint, asked.subscriptions)
        found: dict[str, Any] = {"active_s": round(time.monotonic() - began, 1)}
        pairs = [(await creates(bare, 300), await creates(full, 300)) for _ in range(asked.rounds)]
        found["create_ms"] = [round(statistics.median(column), 3) for column in zip(*pairs, strict=True)]
        found["create_ratio"] = round(statistics.median(b / a for a, b in pairs), 3)
        found["create_cpu_ms"] = [await _cpu_of_creates(bare, without), await _cpu_of_creates(full, having)]
        await asyncio.sleep(1)
        cpu = having.cpu_seconds()
        found["steady"] = await steady(full, receiver, asked.subscriptions, asked.rate, asked.seconds)
        found["steady"]["cores"] = round((having.cpu_seconds() - cpu) / asked.seconds, 2)
    listening.close()
    return found


async def _cpu_of_creates(client: httpx.AsyncClient, server: Process, number: int = 1000) -> float:
    """Return the CPU time of the server for one create, in milliseconds: the figure that noise moves least."""
    before = server.cpu_seconds()
    await creates(client, number)
    await asyncio.sleep(0.5)
    return round((server.cpu_seconds() - before) * 1000 / number, 3)


def _server(folder: Path) -> Process:
    return fhir_server(folder / "bench.sqlite", "/fhir/metadata", private_receivers="true")


def _client(server: Process) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}/fhir", headers=HEADERS, timeout=30)


def _ms(instant: str) -> float:
    return (
        time.mktime(time.strptime(instant[:19], "%Y-%m-%dT%H:%M:%S")) * 1000
        - time.timezone * 1000
        + int(instant[20:23])
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--subscriptions", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    print(json.dumps(asyncio.run(measure(parser.parse_args())), indent=2))


if __name__ == "__main__":
    main()
