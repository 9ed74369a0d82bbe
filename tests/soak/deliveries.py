"""kill -9 at any instant: every subscriber ends with every event, in order. Long form:
`python -m tests.soak.deliveries --changes 10000 --subscribers 20`.

Child processes write Tasks and tell subscribers, all on one store; they are killed at random moments and replaced. The
receiver is in this process, on real sockets, and refuses a call now and then. What each subscriber got is compared with
the feed of the store.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

from fhir_server.interactions.subscriptions_events import event_count
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import FhirError
from fhir_server.outbound.outbound import Calling
from fhir_server.store.port import Snapshot, Version
from tests.unit.outbound.receiver import Receiver, events, part, with_status
from tests.unit.outbound.stage import Stage, staged

OWNERS = 4
LEASE_MS = 800


class Report(NamedTuple):
    """What was survived; the run raises AssertionError when anything was lost, skipped or out of order."""

    changes: int
    subscribers: int
    processes: int
    kills: int
    refusals: int
    told: int
    """Events that subscribers were to be told in all."""
    calls: int
    duplicates: int
    """Events that came again, each under the key of a call that came before."""
    seconds: float


def child(path: Path, changes: int, seed: int) -> None:
    """Write until there are enough changes, and tell subscribers until killed."""
    rng = random.Random(seed)
    with staged(path, calling=Calling(private=True, seconds=2.0), lease_ms=LEASE_MS) as stage:
        threading.Thread(target=_write, args=(stage, changes, rng), daemon=True).start()
        while True:
            time.sleep(1)


def _write(stage: Stage, changes: int, rng: random.Random) -> None:
    while _made(stage) < changes:
        try:
            stage.task(f"Organization/o{rng.randrange(OWNERS)}")
        except FhirError:  # another process had the turn for too long
            time.sleep(0.01)


def _made(stage: Stage) -> int:
    return stage.engine.store.read(lambda snapshot: snapshot.last_sequence(), once=True)


def run(folder: Path, changes: int, subscribers: int, *, processes: int, kills: int, seed: int = 1) -> Report:
    """Kill and look; raises AssertionError when a subscriber did not end with the full, ordered set."""
    path, rng = folder / "told.sqlite", random.Random(seed)
    receiver, refused = Receiver(), [0]

    def moody(handler: BaseHTTPRequestHandler) -> None:
        if rng.random() < 0.02:
            refused[0] += 1
            with_status(503)(handler)
        else:
            with_status(200)(handler)

    started = time.monotonic()
    with staged(path, start=False) as stage:
        ids = [
            stage.subscribe(receiver.url(f"/{n}"), filters=(f"Task?owner=Organization/o{n % OWNERS}",))
            for n in range(subscribers)
        ]
    receiver.behaviour = moody
    running = [_started(path, changes, n) for n in range(processes)]
    for number in range(kills):
        time.sleep(rng.uniform(1.5, 4.0))
        victim = rng.randrange(processes)
        running[victim].kill()
        running[victim].wait()
        running[victim] = _started(path, changes, 1000 + number)
    with staged(path, start=False) as stage:
        report = _settled(stage, receiver, ids, changes)
        for one in running:
            one.kill()
            one.wait()
        told, duplicates = _judged(stage, receiver, ids)
    receiver.stop()
    seconds = round(time.monotonic() - started, 1)
    return Report(changes, subscribers, processes, kills, refused[0], told, report, duplicates, seconds)


def _started(path: Path, changes: int, seed: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.soak.deliveries", "--child", str(path)]
    return subprocess.Popen([*command, "--changes", str(changes), "--seed", str(seed)])


def _settled(stage: Stage, receiver: Receiver, ids: list[str], changes: int) -> int:
    """Wait until all is made and told; return the number of calls."""
    stage.until(lambda: _made(stage) >= changes, 600)
    quiet = 0
    while quiet < 4:
        lanes = [(stage.lane(one).sent, stage.engine.store.read(lambda s, one=one: event_count(s, one))) for one in ids]
        quiet = quiet + 1 if all(sent == count > 0 for sent, count in lanes) else 0
        time.sleep(0.25)
    return len(receiver.got)


def _tasks(after: int, snapshot: Snapshot) -> list[Version]:
    return snapshot.changes(after, 1000, ("Task",))


def _judged(stage: Stage, receiver: Receiver, ids: list[str]) -> tuple[int, int]:
    """Compare what each subscriber got with the feed; return how many events there were, and how many came again."""
    expected: dict[str, list[str]] = {}
    after = 0
    while page := stage.engine.store.read(partial(_tasks, after)):
        for version in page:
            owner = decode_stored(version.body or b"{}")["owner"]["reference"]
            expected.setdefault(owner, []).append(f"{stage.engine.own_base}/Task/{version.id}")
        after = page[-1].sequence
    total = again = 0
    for number, _ in enumerate(ids):
        first: dict[int, str] = {}
        keys: set[str] = set()
        for one in receiver.told(f"/{number}"):
            for event in events(one.bundle):
                at = int(part(event, "event-number"))
                assert at in first or at == len(first) + 1, f"subscriber {number}: {at} came after {len(first)}"
                again += at in first
                assert first.setdefault(at, part(event, "focus")) == part(event, "focus")
            keys.add(one.headers["Idempotency-Key"])
        assert [first[at] for at in sorted(first)] == expected[f"Organization/o{number % OWNERS}"]
        total += len(first)
    return total, again


def main() -> None:
    """Run as the child, or run the long form and print the numbers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--child", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--subscribers", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kills", type=int, default=20)
    asked = parser.parse_args()
    if asked.child:
        child(asked.child, asked.changes, asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        done = run(
            Path(folder),
            asked.changes,
            asked.subscribers,
            processes=asked.processes,
            kills=asked.kills,
            seed=asked.seed,
        )
        print(json.dumps(done._asdict()))


if __name__ == "__main__":
    main()
