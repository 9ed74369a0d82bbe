"""Answers that wait to be audited take a bounded place: beyond it reads are refused, and none that was answered is lost."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from fhir_server.access.principal import Principal
from fhir_server.interactions import audit_queue
from fhir_server.interactions.audit import read_record
from fhir_server.interactions.audit_queue import Auditor, Sealing
from fhir_server.interactions.request import Kind, Request, Result
from fhir_server.model.clock import SystemClock
from fhir_server.model.errors import Unavailable
from fhir_server.store.sqlite import SqliteStore

REQUEST = Request("GET", "Patient/1", principal=Principal(agent="me"))
SHOWN = Result(Kind.OK, b'{"resourceType":"Patient","id":"1"}')


def test_reads_are_refused_while_too_many_bytes_wait_for_the_trail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_queue, "QUEUE_BYTES", 20_000)
    store = SqliteStore(tmp_path / "q.sqlite", SystemClock())

    async def play() -> int:
        queue = Auditor(store, SystemClock(), Sealing(), when="batched")
        answered = 0
        with suppress(Unavailable):
            while answered < 1_000:
                queue.read(REQUEST, SHOWN)
                answered += 1
        await asyncio.sleep(0.2)
        queue.read(REQUEST, SHOWN)
        await queue.close()
        return answered + 1

    try:
        answered = asyncio.run(play())
        records = store.read(lambda snapshot: snapshot.audit(0, 1_000))
    finally:
        store.close()
    assert answered < 1_000
    assert sum(len(read_record(record.record).accesses) for record in records) == answered
