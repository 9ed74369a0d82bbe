"""What the store tests share: a clock that stands where it is put, invented resources, and a look inside the file."""

import asyncio
import functools
import hashlib
import json
import sqlite3
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from fhir_server.search.query import Node, Query, SortKey
from fhir_server.search.values import DateEntry, Entry, ReferenceEntry, StringEntry, TokenEntry
from fhir_server.store.port import AuditRecord, Snapshot, Store, UnitOfWork, Version

START_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test on an event loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


class SetClock:
    """A clock that a test moves."""

    def __init__(self, now: int = START_MS) -> None:
        self.now = now

    def now_ms(self) -> int:
        return self.now


def task_body(identity: str, status: str, owner: str, note: str = "") -> bytes:
    """The bytes of an invented Task, spaced as no encoder would, so that only a faithful store returns them."""
    task = {"resourceType": "Task", "id": identity, "status": status, "owner": {"reference": owner}, "note": note}
    return json.dumps(task, indent=1, ensure_ascii=False).encode()


def task_entries(body: bytes) -> list[Entry]:
    """The index entries of such a Task: a function of its bytes, so that index and body can be compared later."""
    task = json.loads(body)
    return [
        TokenEntry("status", None, task["status"]),
        ReferenceEntry("owner", task["owner"]["reference"], target_type="Organization"),
        TokenEntry("identifier", "http://example.org/tasks", task["id"]),
        StringEntry("note", task["note"].lower(), task["note"]),
        DateEntry("authored-on", len(body), len(body) + 10),
    ]


def put_task(
    unit: UnitOfWork, identity: str, status: str = "requested", owner: str = "Organization/o1", note: str = ""
) -> Version:
    """Create or update a Task whatever its version."""
    newest = unit.current("Task", identity)
    body = task_body(identity, status, owner, note)
    version = newest.version + 1 if newest else 1
    return unit.put("Task", identity, version, body, task_entries(body), "PUT" if newest else "POST")


def ids(store: Store, where: Node, *sort: SortKey, resource_type: str = "Task") -> list[str]:
    """What a search finds, in its order."""
    rows = store.read(lambda snapshot: snapshot.search(Query(resource_type, where, sort, limit=10_000)))
    return [row.version.id for row in rows]


def chain_holds(records: Iterable[AuditRecord]) -> bool:
    """Whether each audit record is chained to the one before it, from the first."""
    digest, number = b"", 0
    for record in records:
        digest, number = hashlib.sha256(digest + record.record).digest(), number + 1
        if (record.number, record.digest) != (number, digest):
            return False
    return True


def all_changes(snapshot: Snapshot) -> list[Version]:
    """The whole feed, page by page."""
    found: list[Version] = []
    while page := snapshot.changes(found[-1].sequence if found else 0, 1000):
        found += page
    return found


def state(store: Store) -> tuple[object, ...]:
    """Everything that is visible, to compare before and after."""

    def work(snapshot: Snapshot) -> tuple[object, ...]:
        found = snapshot.search(Query("Task", limit=10_000))
        return (
            all_changes(snapshot),
            [(row.version, row.position) for row in found],
            snapshot.audit(0, 10_000),
            snapshot.outbox(0, 10_000),
            snapshot.last_sequence(),
            snapshot.referrers("Organization/o1", 10_000),
        )

    return store.read(work)


_INDEX_IS_LIVE = """
SELECT '{table}', seq FROM {table} WHERE seq NOT IN (SELECT seq FROM live)"""
_CHECKS = (
    "SELECT 'head that is not the newest', id FROM head AS h WHERE seq <> (SELECT max(seq) FROM version AS v WHERE v.type = h.type AND v.id = h.id)",
    "SELECT 'head of another version', h.id FROM head AS h JOIN version AS v ON v.seq = h.seq WHERE v.vid <> h.vid OR h.live <> (v.body IS NOT NULL)",
    "SELECT 'live without head', seq FROM live AS l WHERE NOT EXISTS (SELECT 1 FROM head AS h WHERE h.type = l.type AND h.seq = l.seq AND h.live)",
    "SELECT 'head without live', id FROM head AS h WHERE live AND NOT EXISTS (SELECT 1 FROM live AS l WHERE h.type = l.type AND h.seq = l.seq)",
    "SELECT 'version without head', id FROM version AS v WHERE NOT EXISTS (SELECT 1 FROM head AS h WHERE h.type = v.type AND h.id = v.id)",
    "SELECT 'live without doc', seq FROM live WHERE seq NOT IN (SELECT seq FROM doc)",
    "SELECT 'key without row', d.seq FROM doc AS d, json_each(d.keys) AS k, json_each(k.value) AS v WHERE NOT EXISTS (SELECT 1 FROM eq WHERE p = CAST(k.key AS INTEGER) AND eq.v = v.value AND eq.seq = d.seq)",
    "SELECT 'row without key', seq FROM eq WHERE NOT EXISTS (SELECT 1 FROM doc AS d, json_each(d.keys, '$.\"' || eq.p || '\"') AS v WHERE d.seq = eq.seq AND v.value = eq.v)",
    "SELECT 'gap', seq FROM version AS v WHERE seq > 1 AND NOT EXISTS (SELECT 1 FROM version AS w WHERE w.seq = v.seq - 1)",
    "SELECT 'time that goes back', v.seq FROM version AS v JOIN version AS w ON w.seq = v.seq + 1 WHERE w.lu < v.lu",
    "SELECT 'time without its commit', lu, max(seq) FROM version GROUP BY lu EXCEPT SELECT 'time without its commit', lu, last_seq FROM commits",
    "SELECT 'commit without its changes', lu, last_seq FROM commits EXCEPT SELECT 'commit without its changes', lu, max(seq) FROM version GROUP BY lu",
    "SELECT 'text without its version', f.row FROM fresh AS f WHERE NOT EXISTS (SELECT 1 FROM doc AS d WHERE d.seq = f.row >> 20 AND d.words = f.row)",
    *(_INDEX_IS_LIVE.format(table=table) for table in ("doc", "eq", "ref", "str", "dt", "num", "qty", "geo")),
)  # fmt: skip


def contradictions(path: Path) -> list[tuple[object, ...]]:
    """What the tables of an SQLite store say against each other; [] when all is well."""
    connection = sqlite3.connect(path)
    try:
        found = [row for check in _CHECKS for row in connection.execute(check)]
        found += [row for row in connection.execute("PRAGMA integrity_check") if row != ("ok",)]
    finally:
        connection.close()
    return found
