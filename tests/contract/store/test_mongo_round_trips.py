"""Requests to the server are counted, for each is a journey: what a read, a poll, a create and a transaction cost.

And the index is counted: how many keys and bytes a typical Task takes.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import bson
import pytest

from fhir_server.artifacts.source import default_root
from fhir_server.model.clock import SystemClock
from fhir_server.search.extract import Extractor
from fhir_server.search.parameters import Registry
from fhir_server.search.query import And, LastUpdated, Prefix, Query, RefersTo, SortKey, TokenIs
from fhir_server.search.values import TokenEntry
from fhir_server.store.mongo import MongoStore, encode
from fhir_server.store.port import UnitOfWork
from tests.contract.store.conftest import new_database
from tests.contract.store.mongo_engine import counting
from tests.contract.store.staged import put_task, task_body, task_entries


@pytest.fixture
def counted(mongo_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[MongoStore, list[str]]]:
    with counting(monkeypatch) as sent:
        store = MongoStore(f"{mongo_url}/{new_database()}", SystemClock(), busy_seconds=20.0)
        for identity in ("1", "2"):
            store.write(lambda unit, identity=identity: put_task(unit, identity))
        sent.clear()
        yield store, sent
        store.close()


def test_a_read_is_one_request(counted: tuple[MongoStore, list[str]]) -> None:
    store, sent = counted
    assert store.read(lambda s: s.current("Task", "1"), once=True) is not None
    assert sent == ["find"]


def test_a_read_of_several_things_costs_one_more_for_its_snapshot(counted: tuple[MongoStore, list[str]]) -> None:
    store, sent = counted
    store.read(lambda s: (s.current("Task", "1"), s.current("Task", "2")))
    assert sent == ["find", "find", "abortTransaction"]


def test_a_poll_is_one_request_however_long_the_page(counted: tuple[MongoStore, list[str]]) -> None:
    store, sent = counted
    owned = And((RefersTo("owner", "Organization/o1"), LastUpdated(Prefix.GT, 0, 1000)))
    for asked in (
        Query("Task", owned, (SortKey("_lastUpdated"),), limit=500),
        Query("Task", And((owned, TokenIs("status", None, "requested")))),
    ):
        sent.clear()
        assert len(store.read(lambda s, asked=asked: s.search(asked), once=True)) == 2
        assert sent == ["aggregate"]
    sent.clear()
    assert len(store.read(lambda s: s.changes(0, 1000), once=True)) == 2
    assert sent == ["find"]


def test_a_create_is_three_requests_with_audit_and_notification(counted: tuple[MongoStore, list[str]]) -> None:
    store, sent = counted

    def create(unit: UnitOfWork) -> None:
        body = task_body("new", "requested", "Organization/o1")
        unit.put("Task", "new", 1, body, task_entries(body), "POST")
        unit.append_audit(b"record", ("Task/new",))
        unit.emit("created", b"Task/new")

    store.write(create)
    assert sent == ["findAndModify", "bulkWrite", "commitTransaction"]


def test_an_update_is_four_requests(counted: tuple[MongoStore, list[str]]) -> None:
    store, sent = counted
    store.write(lambda unit: put_task(unit, "1", "accepted"))
    assert sent == ["findAndModify", "find", "bulkWrite", "commitTransaction"]


def test_a_conditional_create_is_four_requests(counted: tuple[MongoStore, list[str]]) -> None:
    store, sent = counted

    def create(unit: UnitOfWork) -> None:
        assert unit.search(Query("Task", TokenIs("identifier", "http://example.org/tasks", "new"))) == []
        body = task_body("new", "requested", "Organization/o1")
        unit.put("Task", "new", 1, body, task_entries(body), "POST")

    store.write(create)
    assert sent == ["findAndModify", "aggregate", "bulkWrite", "commitTransaction"]


def test_a_transaction_of_twenty_entries_is_twelve_requests_at_most(counted: tuple[MongoStore, list[str]]) -> None:
    """Fourteen creates, four updates and two conditional creates of other types."""
    store, sent = counted

    def work(unit: UnitOfWork) -> None:
        for number in range(2):
            assert unit.count(Query("Patient", TokenIs("identifier", "urn:x", str(number)))) == 0
        for number in range(2):
            unit.put("Patient", str(number), 1, b"{}", (TokenEntry("identifier", "urn:x", str(number)),), "POST")
        for identity in ("1", "2"):
            put_task(unit, identity, "accepted")
            put_task(unit, identity, "completed")
        for number in range(14):
            body = task_body(f"n{number}", "requested", "Organization/o1")
            unit.put("Task", f"n{number}", 1, body, task_entries(body), "POST")
            unit.append_audit(b"record")

    store.write(work)
    assert len(sent) <= 12
    assert sent.count("bulkWrite") == 1


def typical_tasks() -> list[Path]:
    return [
        path
        for path in sorted(default_root().glob("examples/**/*.json"))
        if '"resourceType": "Task"' in path.read_text()
    ]


def test_a_typical_task_takes_few_index_keys(capsys: pytest.CaptureFixture[str]) -> None:
    extractor = Extractor(Registry.load(), "https://fhir.example.org")
    counts = []
    for path in typical_tasks():
        resource = json.loads(path.read_text())
        if resource["resourceType"] != "Task":
            continue
        document = encode.encode("Task", extractor.extract(resource))
        keys, words = len(document["k"]), len(document.get("w", ()))
        counts.append((keys, words, sum(map(len, document["k"])), len(bson.encode(document)), path.name))
    assert counts
    with capsys.disabled():
        print(f"\nindex keys, words, bytes of keys, bytes of the document: {sorted(counts)[len(counts) // 2]}")
    assert sorted(count[0] for count in counts)[len(counts) // 2] <= 40
