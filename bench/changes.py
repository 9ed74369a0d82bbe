"""Telling of changes: an idle poll answered by 304, thousands that wait, and how soon a change is told."""

import asyncio
import base64
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from statistics import median, quantiles
from typing import Any, NamedTuple
from urllib.parse import urlencode

from bench import seeding
from bench.client import Job, ask, http_request
from bench.measure import Line, Plan, Side, alternate
from bench.processes import Process, fhir_server

_WAITING = 10_000
_CHANGES = 200
_PER_SECOND = 50
_OWNERS = 1_000
_PROBE = "/fhir/Organization/org-praktijk-bea"
_TOPIC = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic/Task"
_CONTENT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content"


def idle_poll_lines(plan: Plan) -> Iterator[Line]:
    """Poll a page of 20 that did not change, with and without its entity tag, one connection."""
    store = seeding.region_file()
    path = "/fhir/StructureDefinition?_count=20"
    with fhir_server(seeding.copy_of(store, "idle-poll"), _PROBE) as server:
        _, headers, _ = ask(server.port, http_request("GET", path))
        tag = headers["etag"]
        found = alternate(
            plan,
            {
                "200": Side(server, Job(server.port, (http_request("GET", path),))),
                "304": Side(server, Job(server.port, (http_request("GET", path, [("if-none-match", tag)]),))),
            },
        )
    whole, none = found["200"], found["304"]
    note = f"p50 {none.p50:.0f} to {whole.p50:.0f} µs; CPU {none.cpu:.0f} to {whole.cpu:.0f} µs"
    yield Line("idle poll with its tag, of one without", none.p50 / whole.p50, "x", 1.0, False, note)


def waiting_lines(plan: Plan) -> Iterator[Line]:
    """Hold 10,000 answers of `$changes` in one process, and change something for one of them at a time."""
    del plan
    store = seeding.copy_of(seeding.region_file(), "waiting")
    with fhir_server(store, _PROBE, longest_wait="300") as server:
        yield from asyncio.run(_hold(server))


def told_lines(plan: Plan) -> Iterator[Line]:
    """Make 50 changes a second, and read them from websockets: from the answer to the writer to the arrival."""
    del plan
    store = seeding.copy_of(seeding.region_file(), "told")
    with fhir_server(store, _PROBE) as server:
        yield from asyncio.run(_tell(server))


async def _hold(server: Process) -> list[Line]:
    rested, cpu = server.resident_mb(), server.cpu_seconds()
    waiting = [await _wait_for(server, number) for number in range(_WAITING)]
    await asyncio.sleep(3)
    held = server.resident_mb()
    opening = (server.cpu_seconds() - cpu) / _WAITING * 1e6
    cpu = server.cpu_seconds()
    await asyncio.sleep(5)
    resting = (server.cpu_seconds() - cpu) / 5
    took, cpu = [], server.cpu_seconds()
    for number in range(_CHANGES // 2):
        began = time.perf_counter()
        await _change(server, f"Organization/o{number}")
        reader, _ = waiting[number]
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise RuntimeError(head.decode())
        took.append((time.perf_counter() - began) * 1e3)
    each = (server.cpu_seconds() - cpu) / len(took) * 1e3
    for _, writer in waiting:
        writer.close()
    note = f"{rested:.0f} MB before; {opening:.0f} µs to begin one; {resting:.1%} of a core while nothing happens"
    spread = (
        f"p50 {median(took):.1f}, p99 {quantiles(took, n=100)[98]:.1f}; CPU of the server {each:.1f} ms for a change"
    )
    return [
        Line(f"memory with {_WAITING:,} answers held", held, "MB", 500.0, False, note),
        Line("change to the held answer, p99", quantiles(took, n=100)[98], "ms", 200.0, False, spread),
    ]


async def _wait_for(server: Process, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    owner = f"Organization/o{min(number, _OWNERS)}"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    query = urlencode({"_type": "Task", "owner": owner, "cursor": "latest", "wait": "300"})
    writer.write(http_request("GET", f"/fhir/$changes?{query}").encode())
    return reader, writer


async def _change(server: Process, owner: str) -> None:
    body = {"resourceType": "Task", "status": "requested", "intent": "order", "owner": {"reference": owner}}
    await _post(server, "/fhir/Task", body)


async def _post(server: Process, path: str, body: dict[str, Any]) -> Any:
    sent = http_request("POST", path, [("content-type", "application/fhir+json")], json.dumps(body).encode())
    status, _, answer = await asyncio.to_thread(ask, server.port, sent)
    if status not in (200, 201):
        raise RuntimeError(f"{path} answers {status}: {answer[:300]!r}")
    return json.loads(answer)


class _Socket(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def said(self) -> bytes:
        """Return the text of the next frame."""
        head = await self.reader.readexactly(2)
        size = head[1] & 0x7F
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.reader.readexactly(8), "big")
        text = await self.reader.readexactly(size)
        return text if head[0] & 0xF == 1 else await self.said()


async def _bound(server: Process, token: str) -> _Socket:
    """Open a websocket by hand: ten thousand of a library's would measure the library."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    key = base64.b64encode(os.urandom(16)).decode()
    asked = [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", key),
        ("sec-websocket-version", "13"),
    ]
    writer.write(http_request("GET", "/ws", asked).encode())
    await reader.readuntil(b"\r\n\r\n")
    text = f"bind-with-token {token}".encode()
    size = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
    writer.write(b"\x81" + size + b"\0\0\0\0" + text)
    found = _Socket(reader, writer)
    await found.said()  # the handshake
    return found


async def _tell(server: Process) -> list[Line]:
    channel = {
        "type": "websocket",
        "payload": "application/fhir+json",
        "_payload": {"extension": [{"url": _CONTENT, "valueCode": "id-only"}]},
    }
    asked = {"resourceType": "Subscription", "status": "requested", "reason": "bench", "criteria": _TOPIC}
    made = await _post(server, "/fhir/Subscription", {**asked, "channel": channel})
    path = f"/fhir/Subscription/{made['id']}/$get-ws-binding-token"
    token = (await _post(server, path, {"resourceType": "Parameters"}))["parameter"][0]["valueString"]
    first = await _bound(server, token)
    await _change(server, "Organization/warm")
    await first.said()  # who subscribes first waits until the dispatcher has looked, up to a second
    took = await _timed(server, first)
    rested = server.resident_mb()
    others = [await _bound(server, token) for _ in range(2_000)]
    await asyncio.sleep(1)
    held = server.resident_mb()
    for one in (first, *others):
        one.writer.close()
    note = f"p50 {median(took):.1f} ms, p95 {quantiles(took, n=100)[94]:.1f} ms, {_CHANGES} changes at {_PER_SECOND}/s"
    grown = f"{(held - rested) / len(others) * 1024:.0f} KB each"
    return [
        Line("commit to websocket, p99", quantiles(took, n=100)[98], "ms", 200.0, False, note),
        Line(f"memory with {len(others):,} websockets", held, "MB", None, False, grown),
    ]


async def _timed(server: Process, socket: _Socket) -> list[float]:
    """Return milliseconds from the answer to each writer to the arrival of the event."""
    committed: dict[str, float] = {}
    arrived: dict[str, float] = {}

    async def listen() -> None:
        while len(arrived) < _CHANGES:
            bundle = json.loads(await socket.said())
            now = time.perf_counter()
            for entry in bundle["entry"][1:]:
                arrived[entry["fullUrl"].rpartition("/")[2]] = now

    listening = asyncio.create_task(listen())
    began = time.perf_counter()
    for number in range(_CHANGES):
        await asyncio.sleep(max(0.0, began + number / _PER_SECOND - time.perf_counter()))
        body = {"resourceType": "Task", "status": "requested", "intent": "order"}
        made = await _post(server, "/fhir/Task", body)
        committed[made["id"]] = time.perf_counter()
    with suppress(TimeoutError):
        await asyncio.wait_for(listening, 20)
    if len(arrived) < _CHANGES:
        raise RuntimeError(f"{len(arrived)} of {_CHANGES} changes arrived")
    return [max(0.0, arrived[one] - at) * 1e3 for one, at in committed.items()]
