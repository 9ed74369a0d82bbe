"""Many writers, some pollers, one store: nobody may miss a change. Long form: `python -m tests.soak.feed --changes 100000`.

Half of the writers are threads, half are tasks on an event loop; they write to few resources, so that they often meet,
and one unit in ten fails on purpose. Two pollers follow the feed by sequence; two follow searches by `_lastUpdated`.
"""

import argparse
import asyncio
import contextlib
import random
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from fhir_server.model.clock import SystemClock
from fhir_server.search.query import And, LastUpdated, Prefix, Query, RefersTo, SortKey
from fhir_server.store.port import Store, UnitOfWork, Version
from fhir_server.store.sqlite import SqliteStore
from tests.contract.store.staged import all_changes, contradictions, put_task

OWNERS = ("Organization/o1", "Organization/o2", "Organization/o3")
PAUSE_SECONDS = 0.005
"""Between polls that found nothing, so that the writers get the interpreter."""


class OnPurposeError(Exception):
    """A unit that was meant to fail."""


class Report(NamedTuple):
    """What was done; the run raises AssertionError when anything was wrong."""

    changes: int
    commits: int
    seconds: float
    polls: int


class Writers:
    """Writes until there were enough changes, and remembers what was acknowledged."""

    def __init__(self, store: Store, changes: int, resources: int) -> None:
        self.store = store
        self.left = changes
        self.resources = resources
        self.acknowledged: list[Version] = []
        self._lock = threading.Lock()

    def take(self, rng: random.Random) -> int:
        """Reserve one to three changes; 0 when there were enough."""
        with self._lock:
            number = min(self.left, rng.randint(1, 3))
            self.left -= number
            return number

    def unit(self, unit: UnitOfWork, rng: random.Random, number: int, fails: bool) -> list[Version]:
        made = [
            put_task(unit, str(rng.randrange(self.resources)), "requested", rng.choice(OWNERS)) for _ in range(number)
        ]
        unit.append_audit(b"record")
        if fails:
            raise OnPurposeError
        return made

    def thread(self, seed: int) -> None:
        rng = random.Random(seed)
        while number := self.take(rng):
            if rng.random() < 0.1:
                with contextlib.suppress(OnPurposeError):
                    self.store.write(lambda unit: self.unit(unit, rng, 2, True))
            self.acknowledged += self.store.write(lambda unit, n=number: self.unit(unit, rng, n, False))

    async def task(self, seed: int) -> None:
        rng = random.Random(seed)
        while number := self.take(rng):
            if rng.random() < 0.1:
                with contextlib.suppress(OnPurposeError):
                    await self.store.write_async(lambda unit: self.unit(unit, rng, 2, True))
            heavy = rng.random() < 0.05
            self.acknowledged += await self.store.write_async(
                lambda unit, n=number: self.unit(unit, rng, n, False), heavy=heavy
            )

    async def tasks(self, count: int) -> None:
        await asyncio.gather(*(self.task(1000 + seed) for seed in range(count)))


class FeedPoller(threading.Thread):
    """Follows the feed by sequence: each number follows the last, and time never goes back."""

    def __init__(self, store: Store, done: threading.Event) -> None:
        super().__init__()
        self.store, self.done = store, done
        self.seen: list[Version] = []
        self.problem, self.polls = "", 0

    def run(self) -> None:
        while not self.problem:
            ending = self.done.is_set()
            last = self.seen[-1].sequence if self.seen else 0
            page = self.store.read(lambda s, last=last: s.changes(last, 50))
            self.polls += 1
            for version in page:
                before = self.seen[-1] if self.seen else None
                if version.sequence != (before.sequence if before else 0) + 1:
                    self.problem = f"{version.sequence} came after {before}"
                if before and version.last_updated < before.last_updated:
                    self.problem = f"time went back at {version.sequence}"
                self.seen.append(version)
            if not page:
                if ending:
                    return
                self.done.wait(PAUSE_SECONDS)


class SearchPoller(threading.Thread):
    """Asks as a client does, `owner=X&_lastUpdated=gt…&_sort=_lastUpdated`: what was last of each resource must come."""

    def __init__(self, store: Store, done: threading.Event, owner: str) -> None:
        super().__init__()
        self.store, self.done, self.owner = store, done, owner
        self.seen: dict[str, int] = {}
        self.problem, self.polls, self._last = "", 0, 0

    def run(self) -> None:
        while not self.problem:
            ending = self.done.is_set()
            instant = self._last * 1000
            where = And((RefersTo("owner", self.owner), LastUpdated(Prefix.GT, instant, instant + 1000)))
            rows = self.store.read(
                lambda s, where=where: s.search(Query("Task", where, (SortKey("_lastUpdated"),), limit=10_000))
            )
            self.polls += 1
            for row in rows:
                if row.version.version <= self.seen.get(row.version.id, 0):
                    self.problem = f"{row.version.id} came twice"
                self.seen[row.version.id] = row.version.version
                self._last = row.version.last_updated
            if not rows:
                if ending:
                    return
                self.done.wait(PAUSE_SECONDS)


def run(store: Store, changes: int, writers: int = 16, resources: int = 40) -> Report:
    """Run writers and pollers; raises AssertionError when a change was missed, repeated, or out of order."""
    done = threading.Event()
    work = Writers(store, changes, resources)
    feeds = [FeedPoller(store, done) for _ in range(2)]
    searches = [SearchPoller(store, done, owner) for owner in OWNERS[:2]]
    threads = [threading.Thread(target=work.thread, args=(seed,)) for seed in range(writers // 2)]
    threads.append(threading.Thread(target=lambda: asyncio.run(work.tasks(writers - writers // 2))))
    started = time.perf_counter()
    for thread in (*feeds, *searches, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    done.set()
    pollers: list[FeedPoller | SearchPoller] = [*feeds, *searches]
    for poller in pollers:
        poller.join()
    _judge(store, work, feeds, searches)
    commits = len({version.last_updated for version in feeds[0].seen})
    return Report(len(feeds[0].seen), commits, seconds, sum(poller.polls for poller in pollers))


def _judge(store: Store, work: Writers, feeds: list[FeedPoller], searches: list[SearchPoller]) -> None:
    pollers: list[FeedPoller | SearchPoller] = [*feeds, *searches]
    assert [poller.problem for poller in pollers] == [""] * len(pollers)
    everything = store.read(all_changes)
    assert [v.sequence for v in everything] == list(range(1, len(everything) + 1))
    assert sorted(work.acknowledged) == everything
    newest: dict[str, Version] = {}
    for version in everything:
        assert version.version == (newest[version.id].version + 1 if version.id in newest else 1)
        newest[version.id] = version
    for feed in feeds:
        assert feed.seen == everything
    for search in searches:
        owned = {v.id: v.version for v in newest.values() if v.body and search.owner.encode() in v.body}
        assert {identity: search.seen.get(identity) for identity in owned} == owned


def main() -> None:
    """Run the long form on a file of its own and print the numbers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--resources", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "soak.db"
        store = SqliteStore(path, SystemClock())
        report = run(store, asked.changes, asked.writers, asked.resources)
        store.close()
        assert contradictions(path) == []
    print(f"{report}: {report.changes / report.seconds:.0f} changes/s")


if __name__ == "__main__":
    main()
