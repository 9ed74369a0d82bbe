"""A lease is given back by whoever has it, and by nobody else."""

from contextlib import suppress
from pathlib import Path

import pytest

from fhir_server.access.sign_in import KIND as SIGN_IN
from fhir_server.interactions.context import Engine
from fhir_server.outbound.jobs import DEADLINE, all_jobs
from fhir_server.outbound.lease import Lease, LeaseLost
from fhir_server.store.port import Snapshot, UnitOfWork
from tests.unit.outbound.scheduler_stage import START, SetClock, put, task, told
from tests.unit.outbound.stage import HandClock, staged


def test_who_lost_the_lease_does_not_give_back_that_of_the_next(tmp_path: Path) -> None:
    clock = HandClock()
    with staged(tmp_path / "a.sqlite", clock=clock, start=False) as stage:
        store = stage.engine.store
        asleep, leads, third = (Lease(store, clock, "task", name) for name in ("asleep", "leads", "third"))
        assert asleep.hold()
        clock.advance(5_000)
        assert leads.hold()
        asleep.release()  # it stops, and does not know yet that it was overtaken
        assert not third.hold()
        store.write(leads.require)


def test_a_lease_that_was_given_back_is_free_at_once_and_fences_off_who_had_it(tmp_path: Path) -> None:
    clock = HandClock()
    with staged(tmp_path / "a.sqlite", clock=clock, start=False) as stage:
        store = stage.engine.store
        one, other = (Lease(store, clock, "task", name) for name in ("one", "other"))
        assert one.hold()
        one.release()
        with pytest.raises(LeaseLost):
            store.write(one.require)
        assert other.hold()
        store.write(other.require)
        assert not one.hold()


def test_a_lease_is_another_one_for_every_task(tmp_path: Path) -> None:
    clock = HandClock()
    with staged(tmp_path / "a.sqlite", clock=clock, start=False) as stage:
        store = stage.engine.store
        assert Lease(store, clock, "deliveries", "one").hold()
        assert Lease(store, clock, "jobs", "other").hold()


def lost(_: UnitOfWork) -> None:
    raise LeaseLost


def test_who_lost_the_lease_forgets_nothing_and_follows_nothing(engine: Engine, clock: SetClock) -> None:
    put(engine, task("late", START - 1))
    engine.store.write(lambda uow: uow.set_record(SIGN_IN, "begun", b"{}", START - 1))
    before = everything(engine)
    for job in all_jobs(engine, escalate=False):
        with suppress(LeaseLost):
            job.run(lost, clock.now)
        assert everything(engine) == before, job.name
    for job in all_jobs(engine, escalate=False):
        job.run(lambda _: None, clock.now)
    assert everything(engine) != before
    assert engine.store.read(lambda snapshot: snapshot.record(SIGN_IN, "begun")) is None
    assert told(engine) == [("task-overdue", "Task/late")]


def everything(engine: Engine) -> object:
    """Return what jobs change: deadlines and other records, events, and resources."""

    def seen(snapshot: Snapshot) -> object:
        records = [snapshot.due_records(kind, START * 2, 100) for kind in (DEADLINE, SIGN_IN)]
        return records, snapshot.outbox(0, 100), snapshot.last_sequence()

    return engine.store.read(seen)
