"""Accesses that wait for the trail: none is lost, none is answered when it cannot be written."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from fhir_server.access.principal import Principal
from fhir_server.interactions.audit import Access, Entity, keys_of, persons_in, read_record, set_query
from fhir_server.interactions.audit_queue import Auditor, Sealing, When
from fhir_server.interactions.audit_seals import Signer, holds, latest, read_lines
from fhir_server.interactions.request import Kind, Request, Result
from fhir_server.model.clock import SystemClock
from fhir_server.model.errors import Forbidden, Malformed, NotFound, Unavailable
from fhir_server.store.port import UnitOfWork
from fhir_server.store.sqlite import SqliteStore

T = TypeVar("T")
REQUEST = Request("GET", "Patient/1", principal=Principal(agent="me"))
SHOWN = Result(Kind.OK, b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"1"}}]}')


class Wavering(SqliteStore):
    """A store that refuses to write while it is told to."""

    refusing = False

    async def write_async(self, work: Callable[[UnitOfWork], T], *, heavy: bool = False) -> T:
        if self.refusing:
            raise Unavailable("The disk is full.")
        return await super().write_async(work, heavy=heavy)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Wavering]:
    opened = Wavering(tmp_path / "q.sqlite", SystemClock())
    yield opened
    opened.close()


def accesses(store: SqliteStore) -> list[Access]:
    records = store.read(lambda snapshot: snapshot.audit(0, 10_000))
    return [access for record in records for access in read_record(record.record).accesses]


def on_loop(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


def auditor(store: SqliteStore, when: When = "batched", **options: Any) -> Auditor:
    return Auditor(store, SystemClock(), Sealing(), when=when, **options)


def test_a_burst_is_one_record_within_the_window(store: Wavering) -> None:
    async def work() -> None:
        queue = auditor(store)
        for _ in range(100):
            queue.read(REQUEST, SHOWN)
        assert accesses(store) == []
        await asyncio.sleep(0.2)
        assert len(accesses(store)) == 100
        await queue.close()

    on_loop(work)
    assert len(store.read(lambda snapshot: snapshot.audit(0, 10))) == 1
    assert accesses(store)[0].entity == [Entity("R", "Patient/1")]
    assert accesses(store)[0].persons == ["Patient/1"]
    assert len(store.read(lambda snapshot: snapshot.audit(0, 10, ("Patient/1", "agent:me")))) == 1


def test_what_waits_is_written_when_the_server_stops(store: Wavering) -> None:
    async def work() -> None:
        queue = auditor(store)
        for _ in range(450):
            queue.read(REQUEST, SHOWN)
        await queue.close()

    on_loop(work)
    assert len(accesses(store)) == 450


def test_a_full_queue_refuses_reads_and_counts_refusals(store: Wavering) -> None:
    async def work() -> None:
        queue = auditor(store, length=4)
        for _ in range(4):
            queue.read(REQUEST, SHOWN)
        with pytest.raises(Unavailable):
            queue.read(REQUEST, SHOWN)
        for _ in range(7):
            queue.refused(REQUEST, Forbidden("no"))
        await queue.close()
        queue.read(REQUEST, SHOWN)
        await queue.close()

    on_loop(work)
    assert [access.times for access in accesses(store) if access.outcome == 403] == [7]
    assert sum(access.outcome == 200 for access in accesses(store)) == 5


def test_a_store_that_refuses_stops_reads_and_loses_none(store: Wavering) -> None:
    async def work() -> None:
        queue = auditor(store)
        store.refusing = True
        queue.read(REQUEST, SHOWN)
        await asyncio.sleep(0.25)
        with pytest.raises(Unavailable) as refusal:
            queue.read(REQUEST, SHOWN)
        assert refusal.value.retry_after == 1
        store.refusing = False
        await asyncio.sleep(0.4)
        queue.read(REQUEST, SHOWN)
        await queue.close()

    on_loop(work)
    assert len(accesses(store)) == 2


def test_before_answer_waits_for_its_batch(store: Wavering) -> None:
    async def work() -> None:
        queue = auditor(store, "before-answer")

        async def one() -> None:
            queue.read(REQUEST, SHOWN)
            await queue.settled()
            assert accesses(store)

        await asyncio.gather(*(one() for _ in range(20)))
        assert len(accesses(store)) == 20
        store.refusing = True
        with pytest.raises(Unavailable):
            await one()
        store.refusing = False
        await asyncio.sleep(0.4)
        await one()
        await queue.close()

    on_loop(work)
    assert len(accesses(store)) == 22


def test_threads_and_commands_are_audited_without_a_loop(store: Wavering) -> None:
    auditor(store).read(REQUEST, SHOWN)
    assert len(accesses(store)) == 1


def test_only_what_is_an_access_is_told(store: Wavering) -> None:
    async def work() -> None:
        off = auditor(store, "off")
        off.read(REQUEST, SHOWN)
        off.refused(REQUEST, Malformed("what?"))
        off.refused(REQUEST, NotFound("nothing", key="unknown-path"))
        auditor(store).read(Request("GET", "Organization/1"), SHOWN)
        await off.close()

    on_loop(work)
    assert accesses(store) == []


def test_the_trail_is_sealed_and_the_seal_is_left_outside(store: Wavering, tmp_path: Path) -> None:
    signer, file = Signer(b"s" * 32), tmp_path / "seals"

    async def work() -> None:
        queue = Auditor(store, SystemClock(), Sealing(signer=signer, file=str(file)), when="batched")
        queue.read(REQUEST, SHOWN)
        await asyncio.sleep(0.25)
        assert store.read(latest) is not None
        store.write(lambda unit: unit.append_audit(b"{}"))
        queue.changed()
        await queue.close()

    on_loop(work)
    seals = read_lines(file.read_text().splitlines())
    assert [seal.number for seal in seals] == [1, 2]
    assert all(holds(seal, signer.public) for seal in seals)
    assert not holds(seals[0]._replace(number=2), signer.public)
    assert not holds(seals[0], Signer(b"t" * 32).public)
    assert store.read(latest) == seals[1]


def test_queries_that_may_name_a_person_are_sealed() -> None:
    def seal(clear: bytes, place: str) -> bytes:
        return b"sealed " + place.encode() + clear[:0]

    open_access, sealed = Access(), Access()
    set_query(open_access, (("owner", "Organization/1"), ("_lastUpdated", "gt2026-01-01")), seal)
    assert open_access.query == "owner=Organization/1&_lastUpdated=gt2026-01-01"
    set_query(sealed, (("owner", "Organization/1"), ("patient.family", "Peeters")), seal)
    assert sealed.query == ""
    assert sealed.sealed


def test_persons_are_those_of_this_server() -> None:
    base = "http://here/fhir"
    body = b'{"subject":{"reference":"Patient/a"},"x":[{"reference": "http://here/fhir/Patient/b/_history/2"},{"reference":"http://there/Patient/c"},{"reference":"Patient/a"}]}'
    assert persons_in(body, base) == ["Patient/a", "Patient/b"]
    assert keys_of(
        read_record(b'{"recorded":"","agent":"x","event":"token","entity":[{"action":"E","what":"client-1"}]}')
    ) == ("client-1",)
