"""The floor: the rows that the server wrote, written again by a bare script with the same durability and grouping.

Runs as `python -m bench.floor`: a JSON object on standard input (`store`, a copy of the file as it was before the server wrote;
`rows`, a file of bench.rows_written; `group`, units in one commit; `seconds`), the outcome as JSON on standard output.
Only sqlite3 is used: no validation, no extraction, no rules, no HTTP. Each unit gets fresh ids and sequence numbers,
which are made before the clock starts. Checkpoints run in a thread every 100 ms, as the server's do.
"""

import json
import pickle
import resource
import secrets
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = tuple[Any, ...]
Unit = list[tuple[str, list[Row]]]
"""Statements of one unit with their rows."""

PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "wal_autocheckpoint = 0",
    "cache_size = -16384",
    "mmap_size = 1073741824",
    "temp_store = MEMORY",
)


def connect(path: str) -> sqlite3.Connection:
    """Open a file as the server does."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def renewed(value: Any, ids: dict[str, str]) -> Any:
    """Return a value with every id replaced by its successor."""
    if isinstance(value, str):
        for old, new in ids.items():
            value = value.replace(old, new)
    elif isinstance(value, bytes):
        for old, new in ids.items():
            value = value.replace(old.encode(), new.encode())
    return value


def units(written: dict[str, Any], number: int, seq: int, audit: int) -> Iterator[Unit]:
    """Make units from the captured ones, in turn. `seq` and `audit` are the last numbers in the file."""
    captured: list[dict[str, Any]] = written["units"]
    for turn in range(number):
        unit = captured[turn % len(captured)]
        ids = {old: secrets.token_hex(13) for old in unit["ids"]}
        shift = seq - unit["seq"]
        statements: Unit = []
        for table, rows in unit["rows"].items():
            place = written["seq_column"].get(table)
            fresh = []
            for row in rows:
                new = [renewed(value, ids) for value in row]
                if place is not None:
                    new[place] += shift
                if table == "audit":
                    audit += 1
                    new[0] = audit
                elif table == "audit_about":
                    new[1] = audit
                elif table in ("outbox", "fresh"):
                    new[0] = None
                fresh.append(tuple(new))
            marks = ", ".join("?" * len(rows[0]))
            statements.append((f"INSERT INTO {table} VALUES ({marks})", fresh))
        seq += unit["count"]
        yield statements


def write(connection: sqlite3.Connection, ready: list[Unit], group: int, seconds: float) -> tuple[int, float]:
    """Write groups of units until the time is over; return units and seconds."""
    execute, many = connection.execute, connection.executemany
    moment = execute("SELECT max(lu) FROM commits").fetchone()[0]
    began = time.perf_counter()
    done = 0
    while done + group <= len(ready) and time.perf_counter() - began < seconds:
        execute("BEGIN IMMEDIATE")
        for unit in ready[done : done + group]:
            execute("SAVEPOINT unit")
            for text, rows in unit:
                if len(rows) == 1:
                    execute(text, rows[0])
                else:
                    many(text, rows)
            execute("RELEASE unit")
        moment += 1
        execute("INSERT INTO commits VALUES (?, ?)", (moment, moment))
        execute("COMMIT")
        done += group
    return done, time.perf_counter() - began


def main() -> None:
    given = json.load(sys.stdin)
    connection = connect(given["store"])
    stop = threading.Event()
    seq = connection.execute("SELECT max(seq) FROM version").fetchone()[0]
    audit = connection.execute("SELECT ifnull(max(number), 0) FROM audit").fetchone()[0]
    written = pickle.loads(Path(given["rows"]).read_bytes())
    ready = list(units(written, given["units"], seq, audit))

    def checkpoint() -> None:
        own = connect(given["store"])
        while not stop.wait(0.1):
            own.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        own.close()

    thread = threading.Thread(target=checkpoint)
    thread.start()
    before = resource.getrusage(resource.RUSAGE_SELF)
    try:
        count, seconds = write(connection, ready, given["group"], given["seconds"])
        after = resource.getrusage(resource.RUSAGE_SELF)
    finally:
        stop.set()
        thread.join()
        connection.close()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    json.dump({"count": count, "seconds": seconds, "cpu": cpu}, sys.stdout)


if __name__ == "__main__":
    main()
