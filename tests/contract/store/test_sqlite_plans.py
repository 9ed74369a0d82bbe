"""The searches that clients repeat all day read a few index rows, however large the store has grown."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.model.clock import SystemClock
from fhir_server.search.query import (
    EVERYTHING,
    And,
    Chain,
    Has,
    IdIs,
    LastUpdated,
    Missing,
    Node,
    Not,
    Or,
    Prefix,
    Query,
    RefersTo,
    SortKey,
    TokenIs,
)
from fhir_server.search.values import ReferenceEntry, TokenEntry
from fhir_server.store.port import HistoryScope, UnitOfWork
from fhir_server.store.sqlite import SqliteStore
from fhir_server.store.sqlite.compile import Compiler
from fhir_server.store.sqlite.snapshot import SqliteSnapshot
from tests.contract.store.staged import put_task

TABLES = "version|eq|ref|str|dt|num|qty|geo|live|head|doc|commits"
REQUESTED_ENTRY = TokenEntry("status", None, "requested")
OLDEST_FIRST = (SortKey("_lastUpdated"),)
OWNER = RefersTo("owner", "Organization/o1")
SINCE = LastUpdated(Prefix.GT, 1_767_225_600_000_000, 1_767_225_601_000_000)
REQUESTED = TokenIs("status", None, "requested")
STATUSES = Or(tuple(TokenIs("status", None, status) for status in ("requested", "accepted", "received")))
MINE = TokenIs("identifier", "http://example.org/tasks", "17")
POLLS: dict[str, tuple[Node, tuple[SortKey, ...]]] = {
    "owner and _lastUpdated": (And((OWNER, SINCE)), OLDEST_FIRST),
    "owner and _lastUpdated, newest first": (And((OWNER, SINCE)), ()),
    "owner or requester": (And((Or((OWNER, RefersTo("requester", "Organization/o1"))), SINCE)), OLDEST_FIRST),
    "owner and status": (And((OWNER, REQUESTED)), ()),
    "owner and any of three statuses": (And((OWNER, STATUSES)), ()),
    "any of three statuses": (STATUSES, ()),
    "status and not an intent": (And((REQUESTED, Not(TokenIs("intent", None, "plan")))), ()),
    "no owner yet": (And((Missing("owner", True), REQUESTED)), ()),
    "everything since": (SINCE, OLDEST_FIRST),
    "everything": (EVERYTHING, ()),
    "by identifier": (MINE, ()),
    "by chain": (And((OWNER, Chain("patient", "Patient", TokenIs("identifier", "http://n", "1")))), ()),
    "by reverse chain": (And((OWNER, Has("Task", "part-of", REQUESTED))), ()),
    "by ids": (IdIs(("1", "2", "3")), ()),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    path: Path = tmp_path_factory.mktemp("plans") / "store.db"
    opened = SqliteStore(path, SystemClock())

    def work(unit: UnitOfWork) -> None:
        for number in range(500):
            put_task(unit, str(number), ("requested", "accepted")[number % 2], f"Organization/o{number % 3}")
            patient, person = f"Patient/{number % 50}", TokenEntry("identifier", "http://n", str(number))
            links = (ReferenceEntry("patient", patient), ReferenceEntry("part-of", f"Task/{number}"), REQUESTED_ENTRY)
            unit.put("Task", f"part-{number}", 1, b"{}", links, "POST")
            unit.put("Patient", str(number), 1, b"{}", (person,), "POST")

    opened.write(work)
    yield opened
    opened.close()


def explained(store: SqliteStore, query: Query) -> tuple[str, list[str]]:
    link = store._link()
    try:
        plan = Compiler(link, store._names).rows(query)
        return plan.text, [row[3] for row in link.execute(f"EXPLAIN QUERY PLAN {plan.text}", plan.values)]
    finally:
        link.close()


@pytest.mark.parametrize("name", POLLS)
def test_a_poll_searches_indexes_and_sorts_nothing(store: SqliteStore, name: str) -> None:
    where, sort = POLLS[name]
    text, plan = explained(store, Query("Task", where, sort))
    tables = {alias for _, alias in re.findall(rf"\b({TABLES}) AS (\w+)", text)}
    assert [line for line in plan if line.startswith("SCAN") and line.split()[1] in tables] == []
    # The page itself, which is at most as long as it was asked to be, may be put in order; so may a few linked ones.
    inner = [line for line in plan[: plan.index("SCAN page")] if "TEMP B-TREE" in line]
    assert inner == [] or name in {"by ids", "by chain", "by reverse chain"}, plan


@pytest.mark.parametrize(
    ("scope", "index"),
    [
        (HistoryScope(), "INTEGER PRIMARY KEY"),
        (HistoryScope("Task"), "version_type"),
        (HistoryScope("Task", "1"), "version_of"),
    ],
)
def test_history_is_read_in_the_order_of_an_index(store: SqliteStore, scope: HistoryScope, index: str) -> None:
    statements: list[str] = []
    link = store._link()
    link.connection.set_trace_callback(statements.append)
    SqliteSnapshot(link, store._names).history(scope, before=400, limit=5)
    link.connection.set_trace_callback(None)
    asked = next(text for text in statements if "FROM version" in text)
    plan = [row[3] for row in link.execute(f"EXPLAIN QUERY PLAN {asked}")]
    link.close()
    assert len(plan) == 1
    assert index in plan[0]
    assert "SEARCH" in plan[0]
