"""Guarantees 1 and 7: all of a unit or nothing of it; units that share a commit fail alone."""

import asyncio
import threading
from pathlib import Path

import pytest

from fhir_server.model.errors import NotFound, VersionConflict
from fhir_server.search.query import Query, RefersTo, TokenIs
from fhir_server.search.values import TokenEntry
from fhir_server.store.port import Snapshot, Store, UnitOfWork
from tests.contract.store.staged import chain_holds, contradictions, ids, on_a_loop, put_task, state


def everything(unit: UnitOfWork, identity: str) -> None:
    """Touch all that a unit can touch, with a parameter that no one used before."""
    put_task(unit, identity)
    put_task(unit, identity, "accepted", "Organization/new")
    unit.put("Patient", identity, 1, b"{}", (TokenEntry(f"fresh-{identity}", "http://s", "c"),), "POST")
    unit.delete("Task", identity, 3)
    unit.emit("topic", b"payload")
    unit.append_audit(b"record")


def test_a_unit_that_fails_leaves_nothing(store: Store) -> None:
    store.write(lambda unit: everything(unit, "1"))
    before = state(store)

    def work(unit: UnitOfWork) -> None:
        everything(unit, "2")
        raise NotFound("no")

    with pytest.raises(NotFound):
        store.write(work)
    assert state(store) == before
    assert ids(store, TokenIs("fresh-2", None, "c"), resource_type="Patient") == []
    store.write(lambda unit: everything(unit, "2"))
    assert ids(store, TokenIs("fresh-2", None, "c"), resource_type="Patient") == ["2"]
    assert store.read(lambda s: s.last_sequence()) == 8
    assert chain_holds(store.read(lambda s: s.audit(0, 10)))


@on_a_loop
async def test_units_that_share_a_commit_fail_alone(store: Store) -> None:
    def work(unit: UnitOfWork, number: int) -> int:
        everything(unit, str(number))
        if number % 3 == 0:
            raise NotFound(str(number))
        return unit.last_updated

    asked = [store.write_async(lambda unit, n=n: work(unit, n)) for n in range(30)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    failed = {n for n, result in enumerate(results) if isinstance(result, NotFound)}
    assert failed == set(range(0, 30, 3))
    times = [result for result in results if not isinstance(result, BaseException)]
    assert len(set(times)) < len(times), "some units shared a commit"
    feed = store.read(lambda s: s.changes(0, 1000))
    assert [v.sequence for v in feed] == list(range(1, 20 * 4 + 1))
    assert {int(v.id) for v in feed} == set(range(30)) - failed
    audit = store.read(lambda s: s.audit(0, 1000))
    assert len(audit) == 20
    assert chain_holds(audit)
    assert len(store.read(lambda s: s.outbox(0, 1000))) == 20
    for number in range(30):
        there = ids(store, TokenIs(f"fresh-{number}", "http://s", "c"), resource_type="Patient")
        assert there == ([] if number in failed else [str(number)])


def test_one_of_many_who_create_at_once_wins(store: Store) -> None:
    outcomes: list[str] = []

    def create() -> None:
        try:
            store.write(lambda unit: unit.put("Task", "1", 1, b"{}", (), "POST"))
            outcomes.append("won")
        except VersionConflict:
            outcomes.append("lost")

    threads = [threading.Thread(target=create) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost"] * 11 + ["won"]


@on_a_loop
async def test_conditional_creates_that_race_make_one_resource(store: Store) -> None:
    """What a unit reads stays true until it commits."""

    def create(unit: UnitOfWork, number: int) -> bool:
        if unit.search(Query("Task", TokenIs("identifier", "http://example.org/tasks", "one"))):
            return False
        unit.put("Task", f"n{number}", 1, b"{}", (TokenEntry("identifier", "http://example.org/tasks", "one"),), "POST")
        return True

    loop = asyncio.get_running_loop()
    asked = [store.write_async(lambda unit, n=n: create(unit, n)) for n in range(10)]
    threaded = [loop.run_in_executor(None, store.write, lambda unit, n=n: create(unit, n)) for n in range(10, 20)]
    heavy = [store.write_async(lambda unit, n=n: create(unit, n), heavy=True) for n in range(20, 25)]
    made = await asyncio.gather(*asked, *threaded, *heavy)
    assert sum(made) == 1
    assert store.read(lambda s: s.last_sequence()) == 1


@on_a_loop
async def test_a_unit_whose_caller_went_away_before_it_began_does_not_run(store: Store) -> None:
    ran: list[int] = []
    asked = [asyncio.ensure_future(store.write_async(lambda _, n=n: ran.append(n))) for n in range(3)]
    await asyncio.sleep(0)
    asked[1].cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert ran == [0, 2]


def test_an_update_leaves_no_trace_of_the_old_version_in_the_index(store: Store, tmp_path: Path) -> None:
    store.write(lambda unit: put_task(unit, "1", "requested", "Organization/o1", "Old note"))
    store.write(lambda unit: put_task(unit, "1", "accepted", "Organization/o2", "New note"))
    assert ids(store, TokenIs("status", None, "requested")) == []
    assert ids(store, RefersTo("owner", "Organization/o1")) == []
    assert ids(store, RefersTo("owner", "Organization/o2")) == ["1"]
    store.write(lambda unit: unit.delete("Task", "1", 3))
    assert ids(store, RefersTo("owner", "Organization/o2")) == []
    store.close()
    if (file := tmp_path / "store.db").exists():
        assert contradictions(file) == []


def test_a_snapshot_does_not_move_while_others_write(store: Store) -> None:
    store.write(lambda unit: put_task(unit, "1"))

    def work(snapshot: Snapshot) -> tuple[list[str], list[str], int]:
        first = snapshot.referrers("Organization/o1", 10)
        writer = threading.Thread(target=lambda: store.write(lambda unit: put_task(unit, "2")))
        writer.start()
        writer.join()
        return first, snapshot.referrers("Organization/o1", 10), snapshot.last_sequence()

    assert store.read(work) == (["Task/1"], ["Task/1"], 1)
    assert store.read(lambda s: s.last_sequence()) == 2
