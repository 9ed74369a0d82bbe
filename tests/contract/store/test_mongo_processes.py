"""Several server processes on one database: the feed has no gaps, a killed process loses nothing that it acknowledged."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise

import pytest

from fhir_server.model.clock import SystemClock
from fhir_server.store.mongo import MongoStore
from fhir_server.store.port import Version
from tests.contract.store.conftest import new_database
from tests.contract.store.mongo_server import Server, running
from tests.contract.store.mongo_writers import CONDITIONS, PATIENCE, SkewedClock, acknowledged, start, told
from tests.contract.store.staged import all_changes, chain_holds, put_task


@pytest.fixture(scope="module")
def durable() -> Iterator[Server]:
    """A server that keeps every acknowledged commit through a kill -9 of its own."""
    with running(durable=True) as server:
        yield server


class Poller(threading.Thread):
    """Follows the feed, one request at a time, as a reader without a snapshot does."""

    def __init__(self, store: MongoStore, done: threading.Event) -> None:
        super().__init__()
        self.store, self.done = store, done
        self.seen: list[Version] = []

    def run(self) -> None:
        while True:
            ending = self.done.is_set()
            last = self.seen[-1].sequence if self.seen else 0
            page = self.store.read(lambda s, last=last: s.changes(last, 20), once=True)
            self.seen += page
            if not page:
                if ending:
                    return
                time.sleep(0.005)


def test_four_processes_with_clocks_that_differ_leave_a_feed_without_gaps(durable: Server) -> None:
    """A fifth is killed while it writes. Clocks are up to five seconds apart."""
    url = f"{durable.url}/{new_database()}"
    store = MongoStore(url, SystemClock(), busy_seconds=PATIENCE)
    done = threading.Event()
    poller = Poller(store, done)
    poller.start()
    with ExitStack() as stack:
        skews = (0, 5_000, -5_000, 1)
        writers = [stack.enter_context(start(url, seed, 12, skew)) for seed, skew in enumerate(skews)]
        victim = stack.enter_context(start(url, 9, 10_000))
        assert victim.stdout is not None
        said = [victim.stdout.readline() for _ in range(3)]
        victim.kill()
        said += victim.stdout.readlines()
        for writer in writers:
            assert writer.stdout is not None
            said += writer.stdout.readlines()
            assert writer.wait() == 0
    done.set()
    poller.join()
    everything = store.read(all_changes)
    store.close()
    assert [v.sequence for v in everything] == list(range(1, len(everything) + 1))
    assert poller.seen == everything, "what a reader saw, in the order in which it saw it"
    kept = {v.sequence: told(v) for v in everything}
    assert [one for one in acknowledged(said) if kept[one[0]] != one] == []
    times = [v.last_updated for v in everything]
    assert times == sorted(times)
    conditional = [v.body for v in everything if v.type == "Patient"]
    assert len(conditional) == len(set(conditional)) <= CONDITIONS
    for identity in {v.id for v in everything if v.type == "Task"}:
        versions = [v.version for v in everything if v.id == identity]
        assert versions == list(range(1, len(versions) + 1))


def test_processes_that_write_in_turn_never_go_back_in_time(mongo_url: str) -> None:
    url = f"{mongo_url}/{new_database()}"
    stores = [MongoStore(url, SkewedClock(skew), busy_seconds=20.0) for skew in (5_000, -5_000)]
    made = [store.write(lambda unit: put_task(unit, "1")) for _ in range(3) for store in stores]
    assert [v.sequence for v in made] == [1, 2, 3, 4, 5, 6]
    assert all(before.last_updated < after.last_updated for before, after in pairwise(made))
    for store in stores:
        store.close()


def test_a_server_that_is_killed_keeps_what_was_acknowledged_and_the_store_recovers_without_restart(
    durable: Server,
) -> None:
    store = MongoStore(f"{durable.url}/{new_database()}", SystemClock(), busy_seconds=20.0)
    made = [store.write(lambda unit, n=n: (put_task(unit, str(n)), unit.append_audit(b"x"))[0]) for n in range(5)]
    durable.kill()
    durable.start()
    made.append(store.write(lambda unit: put_task(unit, "5")))
    assert store.read(all_changes) == made
    assert chain_holds(store.read(lambda s: s.audit(0, 100)))
    store.close()
