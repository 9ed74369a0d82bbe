"""A lease is given back by whoever has it, and by nobody else."""

from pathlib import Path

import pytest

from fhir_server.outbound.lease import Lease, LeaseLost
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
