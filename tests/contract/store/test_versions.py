"""Guarantees 2 and 3: versions are kept, counted and returned as they were; a put names the version it expects."""

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.model.errors import VersionConflict
from fhir_server.store.port import HistoryScope, Store, UnitOfWork, Version
from tests.contract.store.staged import START_MS, SetClock, put_task, state, task_body, task_entries

AWKWARD = b' {"resourceType":"Task",\r\n "x": 1.50, "y": 1E3, "n": "\xc3\xa9\xf0\x9f\x8c\x8d\\u0000",\t"z":""}\x00\xff '


def test_a_body_comes_back_byte_for_byte(store: Store) -> None:
    made = store.write(lambda unit: unit.put("Task", "1", 1, AWKWARD, (), "POST"))
    assert made.body == AWKWARD
    assert store.read(lambda s: s.current("Task", "1")) == made
    assert store.read(lambda s: s.version("Task", "1", 1)) == made
    assert store.read(lambda s: s.history(HistoryScope())) == [made]
    assert store.read(lambda s: s.changes(0, 10)) == [made]


def test_every_version_and_every_deletion_is_kept_and_counted_from_one(store: Store) -> None:
    made = [store.write(lambda unit, s=status: put_task(unit, "1", s)) for status in ("requested", "accepted")]
    made.append(store.write(lambda unit: unit.delete("Task", "1", 3)))
    made.append(store.write(lambda unit: put_task(unit, "1", "draft")))
    assert [(v.version, v.method, v.deleted) for v in made] == [
        (1, "POST", False),
        (2, "PUT", False),
        (3, "DELETE", True),
        (4, "PUT", False),
    ]
    assert [store.read(lambda s, n=n: s.version("Task", "1", n)) for n in (1, 2, 3, 4)] == made
    assert store.read(lambda s: s.version("Task", "1", 5)) is None
    assert store.read(lambda s: s.history(HistoryScope("Task", "1"))) == made[::-1]
    assert store.read(lambda s: s.current("Task", "1")) == made[-1]


def test_what_never_was_is_none(store: Store) -> None:
    store.write(lambda unit: put_task(unit, "1"))
    assert store.read(lambda s: s.current("Task", "2")) is None
    assert store.read(lambda s: s.current("Patient", "1")) is None
    assert store.read(lambda s: s.history(HistoryScope("Patient"))) == []
    assert store.read(lambda s: s.history_total(HistoryScope("Patient"))) == 0


def test_a_deletion_is_current_until_the_resource_returns(store: Store) -> None:
    store.write(lambda unit: put_task(unit, "1"))
    store.write(lambda unit: unit.delete("Task", "1", 2))
    newest = store.read(lambda s: s.current("Task", "1"))
    assert newest is not None
    assert newest.deleted
    assert newest.version == 2


@pytest.mark.parametrize("version", [1, 3, 0])
def test_a_put_of_another_version_than_the_next_conflicts_and_changes_nothing(store: Store, version: int) -> None:
    store.write(lambda unit: put_task(unit, "1"))
    before = state(store)
    with pytest.raises(VersionConflict, match="version 1 of Task/1"):
        store.write(lambda unit: unit.put("Task", "1", version, b"{}", (), "PUT"))
    with pytest.raises(VersionConflict):
        store.write(lambda unit: unit.delete("Task", "1", version))
    assert state(store) == before


def test_the_first_version_is_one(store: Store) -> None:
    with pytest.raises(VersionConflict, match="Task/1 does not exist"):
        store.write(lambda unit: unit.put("Task", "1", 2, b"{}", (), "PUT"))
    with pytest.raises(VersionConflict):
        store.write(lambda unit: unit.delete("Task", "1", 2))


def test_a_conflict_that_work_survives_leaves_the_rest_of_its_unit_intact(store: Store) -> None:
    def work(unit: UnitOfWork) -> None:
        put_task(unit, "1")
        with pytest.raises(VersionConflict):
            unit.put("Task", "1", 1, b"{}", (), "PUT")

    store.write(work)
    found = store.read(lambda s: s.history(HistoryScope()))
    assert [(v.id, v.version, v.body) for v in found] == [("1", 1, task_body("1", "requested", "Organization/o1"))]


def test_a_unit_sees_its_own_changes_before_anyone_else(store: Store) -> None:
    def work(unit: UnitOfWork) -> tuple[Version | None, Version | None, int, int]:
        made = put_task(unit, "1")
        outside = store.read(lambda s: s.current("Task", "1"))
        inside = unit.current("Task", "1")
        assert inside == made
        assert [v.sequence for v in unit.changes(0, 10)] == [made.sequence]
        assert unit.history(HistoryScope("Task"), since_ms=unit.last_updated) == [made]
        assert unit.history(HistoryScope("Task"), since_ms=unit.last_updated + 1) == []
        return outside, inside, unit.last_sequence(), store.read(lambda s: s.last_sequence())

    outside, inside, own, others = store.write(work)
    assert outside is None
    assert inside is not None
    assert (own, others) == (1, 0)


@pytest.fixture
def dated(open_store: Callable[..., Store]) -> Store:
    """Task/1 at +0 s, +10 s and deleted at +20 s; Task/2 at +5 s; Patient/1 at +15 s."""
    clock = SetClock()
    store = open_store(clock)
    steps = [
        (0, lambda u: put_task(u, "1")),
        (5, lambda u: put_task(u, "2")),
        (10, lambda u: put_task(u, "1")),
        (15, lambda u: u.put("Patient", "1", 1, b"{}", (), "POST")),
        (20, lambda u: u.delete("Task", "1", 3)),
    ]
    for second, step in steps:
        clock.now = START_MS + second * 1000
        store.write(step)
    return store


def found(store: Store, scope: HistoryScope, **limits: Any) -> list[tuple[str, str, int]]:
    versions = store.read(lambda s: s.history(scope, **limits))
    return [(v.type, v.id, v.version) for v in versions]


def test_history_is_newest_first_and_pages_by_sequence(dated: Store) -> None:
    everything = found(dated, HistoryScope())
    assert everything == [
        ("Task", "1", 3),
        ("Patient", "1", 1),
        ("Task", "1", 2),
        ("Task", "2", 1),
        ("Task", "1", 1),
    ]
    assert found(dated, HistoryScope("Task")) == [e for e in everything if e[0] == "Task"]
    assert found(dated, HistoryScope("Task", "1")) == [e for e in everything if e[:2] == ("Task", "1")]
    assert found(dated, HistoryScope(), before=4, limit=2) == everything[2:4]
    assert found(dated, HistoryScope("Task"), before=3, limit=5) == everything[3:]
    assert found(dated, HistoryScope("Task", "1"), before=5) == [("Task", "1", 2), ("Task", "1", 1)]


def test_history_since_includes_its_instant(dated: Store) -> None:
    at_ten = START_MS + 10_000
    assert found(dated, HistoryScope(), since_ms=at_ten) == [("Task", "1", 3), ("Patient", "1", 1), ("Task", "1", 2)]
    assert found(dated, HistoryScope(), since_ms=at_ten + 1) == [("Task", "1", 3), ("Patient", "1", 1)]
    assert found(dated, HistoryScope("Task", "1"), since_ms=at_ten) == [("Task", "1", 3), ("Task", "1", 2)]


def test_history_total_counts_all_that_history_gives(dated: Store) -> None:
    for scope in (HistoryScope(), HistoryScope("Task"), HistoryScope("Task", "1"), HistoryScope("Patient")):
        for since in (None, START_MS, START_MS + 10_000, START_MS + 60_000):
            total = dated.read(lambda s, scope=scope, since=since: s.history_total(scope, since_ms=since))
            assert total == len(found(dated, scope, since_ms=since))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ((0, 1), [("Task", "1", 1)]),
        ((7, 8), [("Task", "2", 1), ("Task", "1", 1)]),
        ((9, 10), [("Task", "2", 1), ("Task", "1", 1)]),
        ((10, 11), [("Task", "1", 2), ("Task", "2", 1)]),
        ((9, 11), [("Task", "1", 2), ("Task", "2", 1), ("Task", "1", 1)]),
        ((60, 61), [("Task", "1", 3), ("Task", "2", 1)]),
        ((-5, 0), []),
    ],
)
def test_history_at_gives_what_was_current_at_some_instant(
    dated: Store, seconds: tuple[int, int], expected: list[tuple[str, str, int]]
) -> None:
    span = (START_MS + seconds[0] * 1000, START_MS + seconds[1] * 1000)
    assert found(dated, HistoryScope("Task"), at=span) == expected


def test_a_version_replaced_in_its_own_commit_never_was_current(store: Store) -> None:
    def work(unit: UnitOfWork) -> None:
        put_task(unit, "1", "draft")
        put_task(unit, "1", "requested")

    store.write(work)
    newest = store.read(lambda s: s.current("Task", "1"))
    assert newest is not None
    span = (newest.last_updated - 1000, newest.last_updated + 1000)
    assert found(store, HistoryScope(), at=span) == [("Task", "1", 2)]
    assert found(store, HistoryScope()) == [("Task", "1", 2), ("Task", "1", 1)]


def test_what_was_stored_is_there_when_the_store_opens_again(open_store: Callable[..., Store]) -> None:
    first = open_store()
    first.write(lambda unit: put_task(unit, "1"))
    first.write(lambda unit: unit.append_audit(b"a"))
    before = state(first)
    first.close()
    second = open_store()
    assert state(second) == before
    second.write(lambda unit: put_task(unit, "1", "accepted"))
    assert second.read(lambda s: s.last_sequence()) == 2


def test_reindex_replaces_the_entries_of_current_versions_only(store: Store) -> None:
    old = store.write(lambda unit: put_task(unit, "1"))
    new = store.write(lambda unit: put_task(unit, "1", "accepted"))
    gone = store.write(lambda unit: put_task(unit, "2"))
    store.write(lambda unit: unit.delete("Task", "2", 2))
    body = task_body("1", "completed", "Organization/o2")
    items = [(version, task_entries(body)) for version in (old, new, gone)]
    assert store.reindex(items) == 1
    assert store.read(lambda s: s.current("Task", "1")) == new
    assert store.read(lambda s: s.referrers("Organization/o2")) == ["Task/1"]
    assert store.read(lambda s: s.referrers("Organization/o1")) == []
