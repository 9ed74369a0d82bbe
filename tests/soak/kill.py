"""kill -9 at any instant: what was acknowledged is there, and the file agrees with itself. Long form:
`python -m tests.soak.kill --kills 50`.

A child process writes without pause, alone and in groups, and says on a pipe what each commit acknowledged. It is killed
at a random moment; the file is opened again and compared with what the child had said.
"""

import argparse
import asyncio
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from fhir_server.model.clock import SystemClock
from fhir_server.search.query import And, Query, RefersTo, TokenIs
from fhir_server.search.values import DateEntry, ReferenceEntry, StringEntry, TokenEntry
from fhir_server.store.port import Snapshot, UnitOfWork, Version
from fhir_server.store.sqlite import SqliteStore
from tests.contract.store.staged import all_changes, chain_holds, contradictions, put_task, task_entries

WRITERS = 8
RESOURCES = 60
STATUSES = ("requested", "accepted", "rejected")
OWNERS = ("Organization/o1", "Organization/o2")


class Report(NamedTuple):
    """What was survived; the run raises AssertionError when anything was lost."""

    kills: int
    acknowledged: int
    changes: int
    unacknowledged: int
    slowest_open_ms: float


def child(path: Path, seed: int) -> None:
    """Write until killed."""
    store = SqliteStore(path, SystemClock())
    rng = random.Random(seed)

    def unit(work: UnitOfWork) -> list[Version]:
        made = []
        for _ in range(rng.choice((1, 1, 1, 5))):
            identity = str(rng.randrange(RESOURCES))
            newest = work.current("Task", identity)
            if newest and not newest.deleted and rng.random() < 0.1:
                made.append(work.delete("Task", identity, newest.version + 1))
            else:
                note = "n" * rng.choice((1, 10, 3000))
                made.append(put_task(work, identity, rng.choice(STATUSES), rng.choice(OWNERS), note))
            work.emit("change", identity.encode())
            work.append_audit(identity.encode())
        return made

    async def writer() -> None:
        while True:
            made = await store.write_async(unit, heavy=rng.random() < 0.05)
            told = [[*version[:6], version.body and hashlib.sha256(version.body).hexdigest()] for version in made]
            print(json.dumps(told), flush=True)

    async def writers() -> None:
        await asyncio.gather(*(writer() for _ in range(WRITERS)))

    asyncio.run(writers())


def run(folder: Path, kills: int, seed: int = 1) -> Report:
    """Kill and look, again and again on one file; raises AssertionError when anything was lost or does not agree."""
    path = folder / "killed.db"
    rng = random.Random(seed)
    told: dict[int, list[object]] = {}
    slowest = 0.0
    for round_number in range(kills):
        for version in _killed(path, rng, round_number):
            told[int(str(version[0]))] = version
        started = time.perf_counter()
        store = SqliteStore(path, SystemClock())
        slowest = max(slowest, time.perf_counter() - started)
        try:
            changes = store.read(lambda snapshot: _agrees(snapshot, told))
        finally:
            store.close()
        assert contradictions(path) == []
    return Report(kills, len(told), changes, changes - len(told), slowest * 1000)


def _killed(path: Path, rng: random.Random, seed: int) -> list[list[object]]:
    """Let a child write for a random while after its first commit, kill it, and return what it had acknowledged."""
    command = [sys.executable, "-m", "tests.soak.kill", "--child", str(path), "--seed", str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        assert lines[0], "the child did not start"
        reader = process.stdout
        until = time.perf_counter() + rng.uniform(0.0, 0.6)
        while time.perf_counter() < until:
            lines.append(reader.readline())
        process.kill()
        lines += reader.readlines()
    return [version for line in lines if line.endswith(b"\n") for version in json.loads(line)]


def _agrees(snapshot: Snapshot, told: dict[int, list[object]]) -> int:
    changes = all_changes(snapshot)
    assert [v.sequence for v in changes] == list(range(1, len(changes) + 1))
    by_number = {v.sequence: v for v in changes}
    for number, acknowledged in told.items():
        kept = by_number[number]
        assert [*kept[:6], kept.body and hashlib.sha256(kept.body).hexdigest()] == acknowledged
    newest = {v.id: v for v in changes}
    for identity, version in newest.items():
        assert snapshot.current("Task", identity) == version
        assert version.version == sum(1 for v in changes if v.id == identity)
    _index_agrees(snapshot, [v for v in newest.values() if not v.deleted])
    audit = snapshot.audit(0, 10**6)
    assert chain_holds(audit)
    outbox = snapshot.outbox(0, 10**6)
    assert len(audit) == len(outbox) == len(changes)
    assert [event.sequence for event in outbox] == [v.sequence for v in changes]
    return len(changes)


def _index_agrees(snapshot: Snapshot, live: list[Version]) -> None:
    found = {row.version for row in snapshot.search(Query("Task", limit=10_000))}
    assert found == set(live)
    for status in STATUSES:
        for owner in OWNERS:
            where = And((TokenIs("status", None, status), RefersTo("owner", owner)))
            expected = {v.id for v in live if _has(v, status, owner)}
            assert {row.version.id for row in snapshot.search(Query("Task", where, limit=10_000))} == expected


def _has(version: Version, status: str, owner: str) -> bool:
    assert version.body is not None
    entries = task_entries(version.body)
    assert {type(e) for e in entries} == {TokenEntry, ReferenceEntry, StringEntry, DateEntry}
    return (
        TokenEntry("status", None, status) in entries
        and ReferenceEntry("owner", owner, target_type="Organization") in entries
    )


def main() -> None:
    """Run as the child, or run the long form and print the numbers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--child", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=50)
    asked = parser.parse_args()
    if asked.child:
        child(asked.child, asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        print(run(Path(folder), asked.kills, asked.seed))


if __name__ == "__main__":
    main()
