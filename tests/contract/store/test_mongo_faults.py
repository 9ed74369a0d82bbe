"""The primary steps down, connections break, clocks jump, many write one resource: nothing is lost, doubled or half written.

The server is told to fail commands as MongoDB's own tests tell it (`failCommand`). A primary that steps down tells those who
watch it; SecantusDB does not, so that the driver must be told to ask (`serverMonitoringMode=poll`).
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.model.clock import SystemClock
from fhir_server.model.errors import Unavailable, VersionConflict
from fhir_server.search.query import EVERYTHING, Query, TokenIs
from fhir_server.store.mongo import MongoStore
from fhir_server.store.port import Store, UnitOfWork, Version
from tests.contract.store.conftest import new_database
from tests.contract.store.mongo_server import Server, running
from tests.contract.store.staged import START_MS, SetClock, all_changes, chain_holds, ids, put_task

NOT_PRIMARY, STATE_CHANGED, NETWORK_TIMEOUT = 10107, 11602, 89
HOUR_MS = 3_600_000
WRITES = ("findAndModify", "find", "aggregate", "bulkWrite", "commitTransaction")
"""What a unit of work sends."""


@pytest.fixture(scope="module")
def failing() -> Iterator[Server]:
    with running(failing=True) as server:
        yield server


def opened(server: Server, busy_seconds: float) -> MongoStore:
    options = "serverMonitoringMode=poll&heartbeatFrequencyMS=500"
    return MongoStore(f"{server.url}/{new_database()}?{options}", SystemClock(), busy_seconds=busy_seconds)


@pytest.fixture
def flaky(failing: Server) -> Iterator[MongoStore]:
    store = opened(failing, 5.0)
    store.write(lambda unit: put_task(unit, "1"))
    yield store
    store.close()


@contextmanager
def broken(server: Server, command: str, times: int | None, **how: Any) -> Iterator[None]:
    """Let a command fail so many times, or until the end."""
    with MongoClient[dict[str, Any]](server.url) as client:
        mode: Any = "alwaysOn" if times is None else {"times": times}
        data = {"failCommands": [command], **how}
        client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})
        try:
            yield
        finally:
            client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


def conditional(unit: UnitOfWork) -> Version:
    """A unit that sends every kind of command."""
    unit.append_audit(b"record")
    assert unit.search(Query("Patient", TokenIs("identifier", "urn:x", "1"))) == []
    return put_task(unit, "1", "accepted")


def is_whole(store: Store, versions: int) -> None:
    everything = store.read(all_changes)
    assert [v.sequence for v in everything] == list(range(1, versions + 1))
    assert [v.version for v in everything if v.id == "1"] == list(range(1, versions + 1))
    assert chain_holds(store.read(lambda s: s.audit(0, 100)))


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("findAndModify", NOT_PRIMARY),
        ("find", STATE_CHANGED),
        ("aggregate", NETWORK_TIMEOUT),
        ("bulkWrite", NOT_PRIMARY),
        ("commitTransaction", NOT_PRIMARY),
        ("commitTransaction", STATE_CHANGED),
        ("commitTransaction", NETWORK_TIMEOUT),
    ],
)
def test_a_primary_that_steps_down_in_a_unit_of_work_only_delays_it(
    failing: Server, flaky: MongoStore, command: str, code: int
) -> None:
    with broken(failing, command, 1, errorCode=code, errorLabels=_labels(command)):
        assert flaky.write(conditional).version == 2
    is_whole(flaky, 2)


@pytest.mark.parametrize("command", WRITES)
def test_a_connection_that_breaks_in_a_unit_of_work_only_delays_it(
    failing: Server, flaky: MongoStore, command: str
) -> None:
    with broken(failing, command, 1, closeConnection=True):
        assert flaky.write(conditional).version == 2
    is_whole(flaky, 2)


def _labels(command: str) -> list[str]:
    """What a primary that steps down puts on its error within a transaction; on a commit the driver decides."""
    return ["RetryableWriteError"] if command == "commitTransaction" else ["TransientTransactionError"]


@pytest.mark.parametrize("command", ["findAndModify", "bulkWrite"])
def test_without_a_primary_for_long_it_is_a_503_and_nothing_is_written(failing: Server, command: str) -> None:
    store = opened(failing, 0.4)
    store.write(lambda unit: put_task(unit, "1"))
    with (
        broken(failing, command, None, errorCode=NOT_PRIMARY, errorLabels=["TransientTransactionError"]),
        pytest.raises(Unavailable, match="Nothing was changed") as refused,
    ):
        store.write(conditional)
    assert refused.value.retry_after >= 1
    is_whole(store, 1)
    assert store.write(conditional).version == 2
    is_whole(store, 2)
    store.close()


def test_a_commit_whose_outcome_stays_unknown_is_said_to_be_unknown(failing: Server) -> None:
    store = opened(failing, 0.4)
    with (
        broken(failing, "commitTransaction", None, errorCode=NOT_PRIMARY, errorLabels=["RetryableWriteError"]),
        pytest.raises(Unavailable, match="not known whether the change was stored") as refused,
    ):
        store.write(lambda unit: put_task(unit, "1"))
    assert refused.value.retry_after >= 1
    store.write(lambda unit: put_task(unit, "2"))
    assert ids(store, EVERYTHING) == ["2"], "the server had not committed it, and gave it up"
    store.close()


@pytest.mark.parametrize(
    ("command", "code", "once"),
    [
        ("find", NOT_PRIMARY, True),
        ("aggregate", STATE_CHANGED, True),
        ("find", NETWORK_TIMEOUT, True),
        ("aggregate", NOT_PRIMARY, False),
    ],
)
def test_a_read_is_tried_again_once_and_then_refused(
    failing: Server, flaky: MongoStore, command: str, code: int, once: bool
) -> None:
    ask: Callable[[], object] = (
        (lambda: flaky.read(lambda s: s.current("Task", "1"), once=once))
        if command == "find"
        else (lambda: flaky.read(lambda s: s.search(Query("Task")), once=once))
    )
    if once:
        with broken(failing, command, 1, errorCode=code):
            assert ask()
    with (
        broken(failing, command, None, errorCode=code),
        pytest.raises(Unavailable, match="Nothing was changed") as refused,
    ):
        ask()
    assert refused.value.retry_after >= 1
    assert ask()


def test_fifty_clients_that_change_one_resource_each_have_their_turn(mongo_url: str) -> None:
    """Two processes: each has a store. Each client reads, and writes what it read once more; a loser says so and tries again."""
    url = f"{mongo_url}/{new_database()}"
    stores = [MongoStore(url, SystemClock(), busy_seconds=30.0) for _ in range(2)]
    stores[0].write(lambda unit: put_task(unit, "1"))

    def client(number: int) -> int:
        store, lost = stores[number % 2], 0
        while True:
            read = store.read(lambda s: s.current("Task", "1"), once=True)
            assert read is not None
            try:
                store.write(lambda unit, seen=read: unit.put("Task", "1", seen.version + 1, b"{}", (), "PUT"))
            except VersionConflict:
                lost += 1
            else:
                return lost

    with ThreadPoolExecutor(50) as pool:
        lost = sum(pool.map(client, range(50)))
    assert lost > 0, "they did meet"
    is_whole(stores[0], 51)
    for store in stores:
        store.close()


def test_a_clock_that_jumps_an_hour_either_way_leaves_time_ascending(open_store: Callable[..., Store]) -> None:
    clock = SetClock()
    store = open_store(clock)
    made = []
    for jump in (0, -HOUR_MS, 0, HOUR_MS, -HOUR_MS, 0):
        clock.now = START_MS + jump
        made.append(store.write(lambda unit: put_task(unit, "1")))
    assert [v.version for v in made] == [1, 2, 3, 4, 5, 6]
    assert all(before.last_updated < after.last_updated for before, after in pairwise(made))
    assert [v.last_updated - START_MS for v in made] == [0, 1, 2, HOUR_MS, HOUR_MS + 1, HOUR_MS + 2]
