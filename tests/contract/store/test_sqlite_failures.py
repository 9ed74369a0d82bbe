"""What the SQLite store does when the file, the disk or a neighbour is in the way (guarantees 1, 6 and 7)."""

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from fhir_server.model.clock import SystemClock
from fhir_server.model.errors import Unavailable
from fhir_server.search.query import RefersTo, TokenIs
from fhir_server.search.values import TokenEntry
from fhir_server.store.port import UnitOfWork
from fhir_server.store.sqlite import SqliteStore
from tests.contract.store.staged import all_changes, contradictions, ids, on_a_loop, put_task, state

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
connection.close()
print("free", flush=True)
"""
FILL = """
import resource, sys
from tests.contract.store.staged import put_task
from fhir_server.model.clock import SystemClock
from fhir_server.model.errors import Unavailable
from fhir_server.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1], SystemClock())
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
done = 0
try:
    while True:
        store.write(lambda unit: [put_task(unit, str(done), note="n" * 3000), unit.append_audit(b"a")])
        done += 1
except Unavailable as error:
    print(done, error.issues[0].diagnostics)
    print(store.read(lambda s: s.last_sequence()))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.write(lambda unit: put_task(unit, "after"))
print("after")
"""
NEIGHBOUR = """
import sys
from tests.contract.store.staged import put_task
from fhir_server.model.clock import SystemClock
from fhir_server.search.values import TokenEntry
from fhir_server.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1], SystemClock())
for number in range(200):
    entries = (TokenEntry(f"p{number}", "http://s", "c"),)
    store.write(lambda unit: unit.put(f"Kind{number % 7}", f"{sys.argv[2]}-{number}", 1, b"{}", entries, "POST"))
    store.write(lambda unit: unit.append_audit(b"a"))
store.close()
"""


class Child:
    """A process that talks in lines."""

    def __init__(self, script: str, *arguments: object) -> None:
        command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def line(self) -> str:
        stream: IO[str] | None = self.process.stdout
        assert stream is not None
        return stream.readline().strip()

    def say(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def hasty(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path, SystemClock(), busy_seconds=0.3)
    yield store
    store.close()


def test_a_writer_waits_for_another_process_a_bounded_time_and_then_hears_so(hasty: SqliteStore, path: Path) -> None:
    hasty.write(lambda unit: put_task(unit, "1"))
    holder = Child(HOLD, path)
    assert holder.line() == "held"
    started = time.perf_counter()
    with pytest.raises(Unavailable, match="no turn to write") as refused:
        hasty.write(lambda unit: put_task(unit, "2"))
    assert 0.25 < time.perf_counter() - started < 3
    assert refused.value.retry_after >= 1
    assert hasty.read(lambda s: s.last_sequence()) == 1, "a reader is not in the way"
    holder.say()
    assert holder.line() == "free"
    hasty.write(lambda unit: put_task(unit, "2"))
    holder.end()


@on_a_loop
async def test_an_event_loop_goes_on_while_its_writers_wait(hasty: SqliteStore, path: Path) -> None:
    holder = Child(HOLD, path)
    assert holder.line() == "held"
    gaps: list[float] = []

    async def tick() -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(0.005)
            gaps.append(time.perf_counter() - started)

    ticking = asyncio.create_task(tick())
    asked = [hasty.write_async(lambda unit, n=n: put_task(unit, str(n))) for n in range(5)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * 5
    ticking.cancel()
    assert len(gaps) >= 10
    holder.say()
    assert holder.line() == "free"
    assert (await hasty.write_async(lambda unit: put_task(unit, "1"))).sequence == 1
    holder.end()


def test_a_thread_that_holds_the_turn_too_long_costs_the_others_only_a_refusal(hasty: SqliteStore) -> None:
    async def ask() -> list[object]:
        slow = hasty.write_async(lambda _: time.sleep(0.8), heavy=True)
        await asyncio.sleep(0.1)
        quick = [hasty.write_async(lambda unit: put_task(unit, "1")) for _ in range(2)]
        threaded = asyncio.get_running_loop().run_in_executor(None, hasty.write, lambda unit: put_task(unit, "2"))
        return list(await asyncio.gather(*quick, threaded, slow, return_exceptions=True))

    results = asyncio.run(ask())
    assert [type(result) for result in results] == [Unavailable, Unavailable, Unavailable, type(None)]
    assert hasty.write(lambda unit: put_task(unit, "3")).sequence == 1


def test_a_full_disk_refuses_whole_units_and_loses_nothing(path: Path) -> None:
    store = SqliteStore(path, SystemClock(), max_pages=150)
    done = 0
    before = state(store)

    def work(unit: UnitOfWork) -> None:
        put_task(unit, str(done), note="n" * 5000)
        unit.append_audit(b"a")
        unit.emit("t", b"p")

    def fill() -> None:
        nonlocal before, done
        while True:
            before = state(store)
            store.write(work)
            done += 1

    with pytest.raises(Unavailable, match="full"):
        fill()
    assert done > 5
    assert state(store) == before
    swallowed: list[str] = []

    def stubborn(unit: UnitOfWork) -> None:
        for number in range(3):
            try:
                put_task(unit, f"s{number}", note="n" * 50_000)
            except Unavailable as error:
                swallowed.append(str(error))

    with pytest.raises(Unavailable):
        store.write(stubborn)
    assert len(swallowed) == 3
    assert state(store) == before
    store.close()
    assert contradictions(path) == []
    roomy = SqliteStore(path, SystemClock())
    roomy.write(work)
    assert roomy.read(lambda s: s.last_sequence()) == done + 1
    roomy.close()


@on_a_loop
async def test_a_unit_that_finds_the_disk_full_does_not_take_acknowledged_neighbours_with_it(path: Path) -> None:
    store = SqliteStore(path, SystemClock(), max_pages=300)
    sizes = [100, 3_000_000, 100, 100]
    asked = [
        store.write_async(lambda unit, n=n, s=size: put_task(unit, str(n), note="n" * s))
        for n, size in enumerate(sizes)
    ]
    results = await asyncio.gather(*asked, return_exceptions=True)
    acknowledged = [result for result in results if not isinstance(result, BaseException)]
    assert isinstance(results[1], Unavailable)
    assert all(isinstance(result, Unavailable) for result in results if isinstance(result, BaseException))
    assert store.read(all_changes) == acknowledged
    store.close()


def test_a_commit_that_the_disk_refuses_fails_its_units(path: Path) -> None:
    """The limit on the size of files strikes when the commit writes the log."""
    child = Child(FILL, path)
    done, _, why = child.line().partition(" ")
    assert "cannot take the request now" in why
    assert child.line() == done
    assert child.line() == "after"
    child.end()
    store = SqliteStore(path, SystemClock())
    assert store.read(lambda s: s.last_sequence()) == int(done) + 1
    assert len(store.read(lambda s: s.audit(0, 1000))) == int(done)
    store.close()
    assert contradictions(path) == []


def test_processes_share_a_file(path: Path) -> None:
    children = [Child(NEIGHBOUR, path, name) for name in ("a", "b")]
    store = SqliteStore(path, SystemClock())
    for number in range(100):
        store.write(lambda unit, n=number: put_task(unit, str(n)))
    for child in children:
        child.end()
    changes = store.read(all_changes)
    assert [v.sequence for v in changes] == list(range(1, 501))
    assert len(store.read(lambda s: s.audit(0, 1000))) == 400
    for number in (0, 77, 199):
        found = ids(store, TokenIs(f"p{number}", "http://s", "c"), resource_type=f"Kind{number % 7}")
        assert sorted(found) == [f"a-{number}", f"b-{number}"]
    store.close()
    assert contradictions(path) == []


def test_a_file_of_a_newer_release_is_refused(path: Path) -> None:
    SqliteStore(path, SystemClock()).close()
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO schema_version VALUES (99, 0)")
    connection.commit()
    connection.close()
    with pytest.raises(Unavailable, match="schema 99"):
        SqliteStore(path, SystemClock())


def test_a_file_of_something_else_is_refused_and_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE precious (x)")
    connection.commit()
    connection.close()
    with pytest.raises(Unavailable, match="another application"):
        SqliteStore(path, SystemClock())
    path.write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(Unavailable, match="not a store"):
        SqliteStore(path, SystemClock())
    with pytest.raises(Unavailable, match="cannot be opened"):
        SqliteStore(path / "below" / "a" / "file", SystemClock())


def test_names_of_a_failed_unit_are_not_remembered(hasty: SqliteStore) -> None:
    """A parameter that was first seen in a unit that failed gets its number anew, and so may another."""

    def failing(unit: UnitOfWork) -> None:
        unit.put("Task", "1", 1, b"{}", (TokenEntry("lost", "http://s", "c"),), "POST")
        raise KeyError

    with pytest.raises(KeyError):
        hasty.write(failing)
    hasty.write(lambda unit: unit.put("Task", "2", 1, b"{}", (TokenEntry("kept", "http://s", "c"),), "POST"))
    assert ids(hasty, TokenIs("lost", "http://s", "c")) == []
    assert ids(hasty, TokenIs("kept", "http://s", "c")) == ["2"]
    assert ids(hasty, RefersTo("lost", "Task/1")) == []
