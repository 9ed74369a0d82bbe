"""Guarantees 4 and 6 in short: the feed has no gaps whatever the concurrency, and a killed process loses nothing.

The long forms are `python -m tests.soak.feed` and `python -m tests.soak.kill`.
"""

from collections.abc import Callable
from pathlib import Path

from fhir_server.model.clock import SystemClock
from fhir_server.store.port import Store, UnitOfWork
from tests.contract.store.staged import START_MS, SetClock, put_task
from tests.soak import feed, kill


def test_a_reader_never_misses_a_change_whoever_writes(store: Store, share: int) -> None:
    report = feed.run(store, 2500 // share)
    assert report.changes == 2500 // share
    assert report.commits < report.changes, "some units shared a commit"


def test_a_process_killed_at_any_instant_loses_nothing_acknowledged(tmp_path: Path) -> None:
    report = kill.run(tmp_path, 5)
    assert report.acknowledged > 50
    assert report.slowest_open_ms < 5_000


def test_last_updated_increases_from_commit_to_commit_though_the_clock_stands_or_goes_back(
    open_store: Callable[..., Store],
) -> None:
    clock = SetClock()
    store = open_store(clock)
    times = []
    for now in (START_MS, START_MS, START_MS + 1, START_MS - 3_600_000, START_MS + 50):
        clock.now = now
        times.append(store.write(lambda unit: put_task(unit, "1").last_updated))
    assert times == [START_MS, START_MS + 1, START_MS + 2, START_MS + 3, START_MS + 50]


def test_changes_that_become_visible_together_share_their_time(store: Store) -> None:
    def work(unit: UnitOfWork) -> list[int]:
        return [put_task(unit, str(n)).last_updated for n in range(3)] + [unit.last_updated]

    assert len(set(store.write(work))) == 1


def test_time_does_not_run_ahead_of_the_clock(store: Store) -> None:
    times = [store.write(lambda unit: put_task(unit, "1").last_updated) for _ in range(30)]
    assert times == sorted(set(times))
    assert times[-1] <= SystemClock().now_ms()


def test_the_feed_of_some_types_has_only_those(store: Store) -> None:
    for number in range(6):
        kind = ("Task", "Patient", "Goal")[number % 3]
        store.write(lambda unit, k=kind, n=number: unit.put(k, str(n), 1, b"{}", (), "POST"))

    def numbers(after: int, limit: int, *types: str) -> list[int]:
        return [v.sequence for v in store.read(lambda s: s.changes(after, limit, types))]

    assert numbers(0, 10, "Task") == [1, 4]
    assert numbers(1, 10, "Task", "Goal") == [3, 4, 6]
    assert numbers(0, 3, "Task", "Goal") == [1, 3, 4]
    assert numbers(0, 10, "Observation") == []
    assert numbers(0, 10, "Task", "Task", "Observation") == [1, 4]
    assert numbers(4, 10) == [5, 6]


def test_outbox_events_name_the_change_they_belong_to(store: Store) -> None:
    def work(unit: UnitOfWork) -> None:
        put_task(unit, "1")
        put_task(unit, "2")
        unit.emit("task", b"two")

    store.write(lambda unit: put_task(unit, "0"))
    store.write(work)
    store.write(lambda unit: unit.emit("task", b"more"))
    events = store.read(lambda s: s.outbox(0, 10))
    assert [(e.number, e.sequence, e.topic, e.payload) for e in events] == [
        (1, 3, "task", b"two"),
        (2, 3, "task", b"more"),
    ]
    assert store.read(lambda s: s.outbox(1, 10)) == events[1:]
