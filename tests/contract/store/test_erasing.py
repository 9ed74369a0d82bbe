"""Erasure takes the bodies of a deleted resource away and leaves the order of changes as it was."""

from pathlib import Path

import pytest

from fhir_server.model.errors import VersionConflict
from fhir_server.search.fulltext import CONTENT, TEXT
from fhir_server.search.query import FullText
from fhir_server.search.values import StringEntry, TextEntry
from fhir_server.store.mongo import MongoStore
from fhir_server.store.port import HistoryScope, Store, UnitOfWork
from fhir_server.store.sealed import SealedStore
from fhir_server.store.sqlite import SqliteStore
from tests.contract.store.staged import ids, put_task


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


SECRET = "zonderlingenaam"


def told(store: Store, folder: Path) -> bool:
    """Whether the secret is anywhere in the files of a store, or in any document of a database."""
    if isinstance(store, MongoStore):
        database = store.link.db
        names = database.list_collection_names()
        return any(SECRET in repr(one) for name in names for one in database[name].find())
    return any(SECRET.encode() in file.read_bytes() for file in folder.iterdir())


def put_text(unit: UnitOfWork, identity: str, version: int, text: str) -> None:
    entries = (TextEntry(TEXT, text), TextEntry(CONTENT, f"{text} also"), StringEntry("name", text, text))
    unit.put("Patient", identity, version, (f'{{"text": "{text}"}}' + " " * 9_000).encode(), entries, "PUT")


def test_after_an_erasure_and_a_purge_no_word_of_it_is_in_the_files(store: Store, tmp_path: Path) -> None:
    """SQLite: bodies, index and full text. MongoDB: the documents; what its files hold it overwrites by itself."""
    for number in range(300):  # more than wait before they go into the index of words
        store.write(lambda unit, n=number: put_text(unit, f"o{n}", 1, f"other word{n} of many"))
        if number == 20:
            store.write(lambda unit: put_text(unit, "1", 1, SECRET))
            store.write(lambda unit: put_text(unit, "1", 2, f"{SECRET} again"))
    assert ids(store, FullText(CONTENT, (SECRET,)), resource_type="Patient") == ["1"]
    store.write(lambda unit: put_text(unit, "2", 1, f"new {SECRET}"))  # it waits still
    store.write(lambda unit: (unit.delete("Patient", "1", 3), unit.delete("Patient", "2", 2)))
    assert store.write(lambda unit: unit.erase("Patient", "1") + unit.erase("Patient", "2")) == 3
    file = store.inner if isinstance(store, SealedStore) else store
    if isinstance(file, SqliteStore):
        assert told(store, tmp_path)
        file.purge()
    assert not told(store, tmp_path)
    for asked, found in ((f"word{7}", {"o7"}), ("word7 of many also", {"o7"}), ("of many", 300), (SECRET, set())):
        answer = set(ids(store, FullText(CONTENT, (asked,)), resource_type="Patient"))
        assert answer == found or len(answer) == found, asked
    store.write(lambda unit: put_text(unit, "o7", 2, "changed since"))
    assert ids(store, FullText(TEXT, ("changed since",)), resource_type="Patient") == ["o7"]
    assert ids(store, FullText(TEXT, ("word7",)), resource_type="Patient") == []
