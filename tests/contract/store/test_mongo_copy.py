"""A store that is copied is the same store: SQLite to MongoDB and back, also when the copy is interrupted."""

from pathlib import Path

import pytest

from fhir_server.cli.comparing import verify
from fhir_server.cli.copying import Differs, ReplayClock, Side, copy
from fhir_server.cli.copying_concepts import content, copy_editions, editions_of, verify_editions
from fhir_server.model.clock import SystemClock
from fhir_server.search.query import EVERYTHING
from fhir_server.store.concepts import ConceptRow, EditionHead, StoredConcept
from fhir_server.store.mongo import MongoStore
from fhir_server.store.mongo.inventory import MongoInventory
from fhir_server.store.port import Store, UnitOfWork
from fhir_server.store.sqlite import SqliteStore
from fhir_server.store.sqlite.inventory import SqliteInventory
from tests.contract.store.conftest import new_database
from tests.contract.store.staged import all_changes, chain_holds, ids, put_task, state, task_entries


class Interrupted(Exception):
    pass


def sqlite_side(path: Path, clock: ReplayClock | SystemClock) -> Side:
    store = SqliteStore(path, clock)
    return Side(store, SqliteInventory(store))


def mongo_side(url: str, clock: ReplayClock | SystemClock) -> Side:
    store = MongoStore(url, clock, busy_seconds=20.0)
    return Side(store, MongoInventory(store))


def fill(store: Store) -> None:
    """All that a store can hold: versions, deletions, an erased resource, events, a trimmed trail, records, notes."""

    def several(unit: UnitOfWork) -> None:
        put_task(unit, "1")
        unit.emit("made", b"1")
        put_task(unit, "2", "accepted", note="Été")
        put_task(unit, "1", "accepted")
        unit.emit("made", b"2")
        unit.append_audit(b"one", ("Task/1", "who"))

    store.write(several)
    for number in range(12):
        store.write(
            lambda unit, n=number: (put_task(unit, f"n{n}"), unit.append_audit(b"more %d" % n, (f"Task/n{n}",)))
        )
    store.write(lambda unit: unit.delete("Task", "2", 2))
    store.write(lambda unit: unit.erase("Task", "2"))
    store.write(lambda unit: put_task(unit, "2", "draft"))
    store.write(lambda unit: unit.append_audit(b"alone"))
    store.write(lambda unit: unit.emit("late", b"event"))
    store.write(lambda unit: unit.trim_audit(3))
    store.write(lambda unit: unit.set_record("client", "a", b"{}", 7))
    store.write(lambda unit: unit.set_record("key", "b", b"k"))
    store.write(lambda unit: unit.set_note("mine", "text"))


def filled_and_empty(mongo_url: str, folder: Path, clock: ReplayClock, *, to_mongo: bool) -> tuple[Side, Side]:
    """A source with something of everything, and a target of the other make that lives by the clock."""
    url, path = f"{mongo_url}/{new_database()}", folder / "s.db"
    if to_mongo:
        source, target = sqlite_side(path, SystemClock()), mongo_side(url, clock)
    else:
        source, target = mongo_side(url, SystemClock()), sqlite_side(path, clock)
    fill(source.store)
    return source, target


def nothing(done: int, until: int) -> None:
    assert 0 <= done <= until


def reindexed(store: Store) -> None:
    live = [v for v in store.read(all_changes) if v.body]
    store.reindex((version, task_entries(version.body or b"")) for version in live)


@pytest.mark.parametrize("to_mongo", [True, False], ids=["to MongoDB", "to SQLite"])
def test_a_copy_holds_the_same_in_the_same_order(to_mongo: bool, mongo_url: str, tmp_path: Path) -> None:
    clock = ReplayClock()
    source, target = filled_and_empty(mongo_url, tmp_path, clock, to_mongo=to_mongo)
    assert copy(source, target, clock, nothing) == 17
    verify(source, target, nothing)
    # what writes no version takes no time of a version: the source may go on in the very next millisecond
    assert target.store.write(lambda unit: unit.last_updated) <= clock.now + 1
    reindexed(target.store)
    assert set(ids(target.store, EVERYTHING)) == set(ids(source.store, EVERYTHING))
    mine, given = state(target.store), state(source.store)
    assert [mine[place] for place in (0, 2, 3, 4)] == [given[place] for place in (0, 2, 3, 4)]
    for ask in (
        lambda s: s.audit_anchor(),
        lambda s: s.audit(0, 100, ("Task/n5",)),
        lambda s: (s.records("client"), s.records("key"), s.due_records("client", 8), s.note("mine")),
        lambda s: s.version("Task", "2", 1),
    ):
        assert target.store.read(ask) == source.store.read(ask)
    source.store.write(lambda unit: put_task(unit, "later"))
    source.store.write(lambda unit: unit.remove_record("key", "b"))
    assert copy(source, target, clock, nothing) == 1
    verify(source, target, nothing)
    assert target.store.read(lambda s: s.record("key", "b")) is None
    for side in (source, target):
        side.store.close()


def test_an_interrupted_copy_goes_on_where_it_stopped(
    mongo_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_server.cli.copying._BATCH", 4)
    clock = ReplayClock()
    source, target = sqlite_side(tmp_path / "s.db", SystemClock()), mongo_side(f"{mongo_url}/{new_database()}", clock)
    fill(source.store)

    def stop(done: int, until: int) -> None:
        if done > 5:
            raise Interrupted

    with pytest.raises(Interrupted):
        copy(source, target, clock, stop)
    there = target.store.read(lambda s: s.last_sequence())
    assert 5 < there < 17
    assert copy(source, target, clock, nothing) == 17 - there
    verify(source, target, nothing)
    assert not chain_holds(target.store.read(lambda s: s.audit(0, 100))), "it begins after an anchor"
    for side in (source, target):
        side.store.close()


def test_a_store_that_holds_something_else_is_no_target_and_a_difference_is_found(
    mongo_url: str, tmp_path: Path
) -> None:
    clock = ReplayClock()
    source, target = sqlite_side(tmp_path / "s.db", SystemClock()), mongo_side(f"{mongo_url}/{new_database()}", clock)
    source.store.write(lambda unit: put_task(unit, "1"))
    clock.now = 1
    target.store.write(lambda unit: put_task(unit, "1"))
    with pytest.raises(Differs, match="holds other changes"):
        copy(source, target, clock, nothing)
    with pytest.raises(Differs, match="where the source has"):
        verify(source, target, nothing)
    for side in (source, target):
        side.store.close()


@pytest.mark.parametrize("to_mongo", [True, False], ids=["to MongoDB", "to SQLite"])
def test_loaded_code_systems_are_copied_and_compared_concept_by_concept(
    to_mongo: bool, mongo_url: str, tmp_path: Path
) -> None:
    clock = ReplayClock()
    source, target = filled_and_empty(mongo_url, tmp_path, clock, to_mongo=to_mongo)
    plants = tuple(
        ConceptRow(n, f"c{n}", tuple(range(max(0, n - 2), n)), (f"c{n}", "\u00e9t\u00e9", "2024"), b"", b"body %d" % n)
        for n in range(40)
    )
    for version, rows in (("1", plants), ("2", plants[:7]), ("3", ())):
        source.store.load_concepts(EditionHead("urn:plants", version, b"head"), [rows[:5], rows[5:]])
    assert (copy(source, target, clock, nothing), copy_editions(source, target, clock)) == (17, 3)
    assert verify_editions(source, target) == 3
    edition = editions_of(target)["urn:plants", "1"]
    assert target.store.read(lambda s: s.concept_page(edition.number, [(3, 9)], ["\u00e9t"], 1, 3)) == [
        StoredConcept(n, f"c{n}", b"body %d" % n) for n in (4, 5, 6)
    ]
    assert copy_editions(source, target, clock) == 0, "what is there already is not loaded again"

    source.store.remove_concepts("urn:plants", "2")
    changed = (*plants[:39], plants[39]._replace(words=("other",)))
    source.store.load_concepts(EditionHead("urn:plants", "1", b"head"), [changed])
    with pytest.raises(Differs, match="urn:plants version 2 is in one of the two only"):
        verify_editions(source, target)
    target.store.remove_concepts("urn:plants", "2")
    with pytest.raises(Differs, match="urn:plants version 1: the target has"):
        verify_editions(source, target)
    assert copy_editions(source, target, clock) == 1
    assert verify_editions(source, target) == 2
    source.store.write(lambda unit: put_task(unit, "later"))
    assert copy(source, target, clock, nothing) == 1
    for side in (source, target):
        side.store.close()


def test_a_code_system_that_is_replaced_while_it_is_read_is_no_copy(tmp_path: Path) -> None:
    source = sqlite_side(tmp_path / "s.db", SystemClock())
    rows = tuple(ConceptRow(n, f"c{n}", (), ("w",), b"", b"") for n in range(3))
    old = source.store.load_concepts(EditionHead("urn:plants", "1", b""), [rows])
    source.store.load_concepts(EditionHead("urn:plants", "1", b""), [rows])
    with pytest.raises(Differs, match=r"was replaced while it was read \(0 of 3 concepts\)"):
        content(source, old)
    source.store.close()
