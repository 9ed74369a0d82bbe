"""Notes about the store itself change with the unit that makes them, or not at all."""

import pytest

from fhir_server.search.query import EVERYTHING, Query, TokenIs
from fhir_server.store.port import Store, UnitOfWork
from tests.contract.store.staged import put_task


def noted(store: Store, name: str) -> str | None:
    return store.read(lambda snapshot: snapshot.note(name))


def test_a_note_is_kept_replaced_and_forgotten(store: Store) -> None:
    assert noted(store, "index") is None
    for text in ("one", "two"):
        store.write(lambda unit, text=text: unit.set_note("index", text))
        assert noted(store, "index") == text
    store.write(lambda unit: unit.set_note("index", ""))
    assert noted(store, "index") is None


def test_a_unit_that_fails_leaves_no_note_and_a_note_is_no_change(store: Store) -> None:
    def work(unit: UnitOfWork) -> None:
        unit.set_note("index", "never")
        assert unit.note("index") == "never"
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.write(work)
    assert noted(store, "index") is None
    store.write(lambda unit: unit.set_note("index", "one"))
    assert store.read(lambda snapshot: snapshot.last_sequence()) == 0


def test_an_explanation_counts_what_a_search_looked_at(store: Store) -> None:
    store.write(lambda unit: [put_task(unit, str(n), "requested" if n % 10 else "accepted") for n in range(100)])
    found = store.read(lambda snapshot: snapshot.explain(Query("Task", TokenIs("status", None, "accepted"), limit=100)))
    assert (found.rows, found.candidates, found.scanned) == (10, 10, ())
    assert found.indexes
    assert store.read(lambda snapshot: snapshot.explain(Query("Task", EVERYTHING, limit=7))).candidates == 7
