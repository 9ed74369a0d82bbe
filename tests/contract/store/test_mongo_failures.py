"""What goes wrong is said exactly, changes nothing, and passes: a server that is away, is not as it must be, or is full."""

import asyncio
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from fhir_server.model.clock import SystemClock
from fhir_server.model.errors import NotFound, TooLarge, Unavailable
from fhir_server.search.query import EVERYTHING, Query
from fhir_server.search.values import TextEntry
from fhir_server.store.mongo import MongoStore
from fhir_server.store.mongo.layout import STEP
from fhir_server.store.port import Store, UnitOfWork
from tests.contract.store.conftest import new_database
from tests.contract.store.mongo_server import COMMAND, Server, free_port, running
from tests.contract.store.staged import chain_holds, ids, put_task, state


def opened(url: str, busy_seconds: float = 20.0) -> MongoStore:
    return MongoStore(url, SystemClock(), busy_seconds=busy_seconds)


@pytest.fixture
def url(mongo_url: str) -> str:
    return f"{mongo_url}/{new_database()}"


@pytest.fixture
def mortal() -> Iterator[Server]:
    with running() as server:
        yield server


def test_a_server_that_is_away_at_start_is_said_to_be_away() -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match="no answer came from the MongoDB server") as refused:
        opened(f"mongodb://127.0.0.1:{free_port()}/fhir", busy_seconds=0.5)
    assert refused.value.retry_after >= 1
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("url", ["mongodb://", "mongodb://host:port/x", "mongodb://h/?replicaSet"])
def test_an_address_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(Unavailable, match="The address of the MongoDB store cannot be used"):
        opened(url, busy_seconds=0.5)


def test_a_server_that_goes_away_gives_a_503_and_is_used_again_when_it_is_back(mortal: Server) -> None:
    store = opened(f"{mortal.url}/fhir", busy_seconds=0.7)
    store.write(lambda unit: put_task(unit, "1"))
    mortal.kill()
    for ask in (
        lambda: store.read(lambda s: s.current("Task", "1"), once=True),
        lambda: store.read(lambda s: s.search(Query("Task"))),
        lambda: store.write(lambda unit: put_task(unit, "2")),
    ):
        with pytest.raises(Unavailable, match="try again later") as refused:
            ask()
        assert refused.value.retry_after >= 1
    mortal.start()
    store.write(lambda unit: put_task(unit, "3"))
    assert set(ids(store, EVERYTHING)) - {"1"} == {"3"}
    store.close()


def test_a_server_without_a_replica_set_is_refused() -> None:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [COMMAND, "--port", str(port), "--storage-path", folder, "--standalone", "--log-level", "ERROR"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            with pytest.raises(Unavailable, match="no member of a replica set"):
                opened(f"mongodb://127.0.0.1:{port}/fhir")
            process.kill()


def test_a_weak_write_concern_in_the_address_is_refused(url: str) -> None:
    with pytest.raises(Unavailable, match="write concern w=1"):
        opened(f"{url}?w=1")
    opened(f"{url}?w=majority").close()


def test_missing_indexes_are_named_and_not_built_behind_ones_back(url: str) -> None:
    opened(url).close()
    with MongoClient[dict[str, object]](url) as client:
        client.get_default_database()["current"].drop_index("current_key")
        client.get_default_database()["audit"].drop_index("audit_about")
    with pytest.raises(Unavailable, match=r"current_key on current, audit_about on audit.*store init"):
        opened(url)


def test_a_database_of_a_newer_release_or_another_application_is_left_alone(url: str) -> None:
    opened(url).close()
    with MongoClient[dict[str, object]](url) as client:
        database = client.get_default_database()
        database["state"].update_one({"_id": "schema"}, {"$set": {"step": STEP + 1}})
        with pytest.raises(Unavailable, match=f"has schema {STEP + 1}"):
            opened(url)
        client.drop_database(database)
        database["invoices"].insert_one({"n": 1})
        with pytest.raises(Unavailable, match="collections of another application"):
            opened(url)
        assert database.list_collection_names() == ["invoices"]


def test_what_does_not_fit_into_a_document_is_refused_before_it_is_sent(url: str) -> None:
    store = opened(url)
    body = b"x" * (16 * 1024 * 1024)
    words = " ".join(f"word{number:07}" for number in range(700_000))
    for large, entries in ((body, ()), (b"{}", (TextEntry("_content", words),))):
        with pytest.raises(TooLarge, match="Binary/1 takes"):
            store.write(lambda unit, b=large, e=entries: unit.put("Binary", "1", 1, b, e, "POST"))
    assert store.read(lambda s: s.last_sequence()) == 0
    fits = b"x" * (15 * 1024 * 1024)
    assert store.write(lambda unit: unit.put("Binary", "1", 1, fits, (), "POST")).body == fits
    assert [row.version.body for row in store.read(lambda s: s.search(Query("Binary")))] == [fits]
    store.close()


def test_a_unit_that_fails_after_it_was_sent_takes_no_other_down(url: str) -> None:
    """Its writes cannot be undone alone: the others run again, each by itself."""
    store: Store = opened(url)

    def fails(unit: UnitOfWork) -> None:
        put_task(unit, "never")
        unit.append_audit(b"never")
        assert unit.search(Query("Task"))[0].version.id == "never"
        raise NotFound("no")

    def holds(_: UnitOfWork) -> None:
        time.sleep(0.3)  # so that the others wait behind and go together

    def create(unit: UnitOfWork, number: int) -> None:
        put_task(unit, str(number))
        unit.append_audit(b"x")

    async def together() -> list[BaseException | None]:
        first = asyncio.ensure_future(store.write_async(holds))
        await asyncio.sleep(0.05)
        asked = [store.write_async(lambda unit, n=n: create(unit, n) if n != 2 else fails(unit)) for n in range(5)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        await first
        return found

    found = asyncio.run(together())
    assert [type(one).__name__ for one in found] == ["NoneType", "NoneType", "NotFound", "NoneType", "NoneType"]
    assert set(ids(store, EVERYTHING)) == {"0", "1", "3", "4"}
    assert chain_holds(store.read(lambda s: s.audit(0, 10)))
    assert store.read(lambda s: s.last_sequence()) == 4
    store.close()


def test_a_turn_that_does_not_come_in_time_is_a_503_with_a_time_to_come_back(url: str) -> None:
    """Another process holds the commit document in a transaction that it does not end."""
    store = opened(url, busy_seconds=0.6)
    with MongoClient[dict[str, object]](url) as client, client.start_session() as session:
        session.start_transaction()
        client.get_default_database()["state"].update_one({"_id": "commit"}, {"$inc": {"n": 1}}, session=session)
        before = state(store)
        with pytest.raises(Unavailable, match="others wrote at the same time") as refused:
            store.write(lambda unit: put_task(unit, "1"))
        assert refused.value.retry_after >= 1
        assert state(store) == before
        session.abort_transaction()
    store.write(lambda unit: put_task(unit, "1"))
    store.close()


def test_the_data_of_a_server_is_where_the_test_put_it(tmp_path: Path) -> None:
    """So that nothing of a test is left on the machine."""
    with running() as server:
        opened(f"{server.url}/fhir").close()
        assert any(server.folder.iterdir())
        folder = server.folder
    assert not folder.exists()
