"""Erasure takes the bodies of a deleted resource away and leaves the order of changes as it was."""

import pytest

from fhir_server.model.errors import VersionConflict
from fhir_server.store.port import HistoryScope, Store
from tests.contract.store.staged import put_task


def test_an_erased_resource_keeps_its_history_without_bodies(store: Store) -> None:
    for status in ("requested", "accepted"):
        store.write(lambda unit, status=status: put_task(unit, "1", status))
    store.write(lambda unit: put_task(unit, "2", "requested"))
    store.write(lambda unit: unit.delete("Task", "1", 3))
    before = store.read(lambda snapshot: snapshot.changes(0, 10))
    assert store.write(lambda unit: unit.erase("Task", "1")) == 2
    after = store.read(lambda snapshot: snapshot.changes(0, 10))
    assert [one._replace(body=None) for one in after] == [one._replace(body=None) for one in before]
    assert [one.body is None for one in store.read(lambda s: s.history(HistoryScope("Task", "1")))] == [True] * 3
    assert store.read(lambda snapshot: snapshot.current("Task", "2")) is not None
    assert store.write(lambda unit: unit.erase("Task", "1")) == 0


def test_what_is_not_deleted_is_not_erased(store: Store) -> None:
    store.write(lambda unit: put_task(unit, "1", "requested"))
    for resource_id in ("1", "none"):
        with pytest.raises(VersionConflict):
            store.write(lambda unit, resource_id=resource_id: unit.erase("Task", resource_id))
    kept = store.read(lambda snapshot: snapshot.version("Task", "1", 1))
    assert kept is not None
    assert not kept.deleted
