"""A process that writes to a MongoDB store and says on its output what was acknowledged: `url seed units skew`."""

import argparse
import hashlib
import json
import random
import subprocess
import sys
from typing import Any

from fhir_server.model.clock import SystemClock
from fhir_server.search.query import Query, TokenIs
from fhir_server.search.values import TokenEntry
from fhir_server.store.mongo import MongoStore
from fhir_server.store.port import UnitOfWork, Version
from tests.contract.store.staged import put_task

RESOURCES = 12
CONDITIONS = 5
SYSTEM = "urn:x"
PATIENCE = 150.0
"""Seconds; the test server ends the transaction of who was killed in it after 60, and nothing can shorten that."""


class SkewedClock:
    """The clock of a machine that goes wrong by so many milliseconds."""

    def __init__(self, skew: int) -> None:
        self.skew = skew

    def now_ms(self) -> int:
        return SystemClock().now_ms() + self.skew


def write(url: str, seed: int, units: int, skew: int) -> None:
    """Update few resources, which others update too, and create some on a condition; tell of each commit."""
    store = MongoStore(url, SkewedClock(skew), busy_seconds=PATIENCE)
    rng = random.Random(seed)

    def unit(work: UnitOfWork) -> list[Version]:
        made = [put_task(work, str(rng.randrange(RESOURCES))) for _ in range(rng.randint(1, 3))]
        wanted = str(rng.randrange(CONDITIONS))
        if not work.search(Query("Patient", TokenIs("identifier", SYSTEM, wanted))):
            entries = (TokenEntry("identifier", SYSTEM, wanted),)
            made.append(work.put("Patient", f"{seed}-{wanted}", 1, wanted.encode(), entries, "POST"))
        work.append_audit(b"record")
        return made

    for _ in range(units):
        print(json.dumps([told(version) for version in store.write(unit)]), flush=True)
    store.close()


def told(version: Version) -> list[Any]:
    """What is said of a version: all of it, the body as a digest."""
    return [*version[:6], version.body and hashlib.sha256(version.body).hexdigest()]


def start(url: str, seed: int, units: int, skew: int = 0) -> "subprocess.Popen[bytes]":
    """Start a process that writes."""
    command = [sys.executable, "-m", "tests.contract.store.mongo_writers", url, str(seed), str(units), str(skew)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def acknowledged(lines: list[bytes]) -> list[list[Any]]:
    """What the lines of a process acknowledge; a line that was cut off acknowledges nothing."""
    return [version for line in lines if line.endswith(b"\n") for version in json.loads(line)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("seed", type=int)
    parser.add_argument("units", type=int)
    parser.add_argument("skew", type=int)
    asked = parser.parse_args()
    write(asked.url, asked.seed, asked.units, asked.skew)
