"""Encryption at rest as a decorator: keys, rotation, wrong keys, and what lies below."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_server.model.errors import Unavailable
from fhir_server.search.query import Chain, Not, Or, Query, RefersToIdentifier, TokenIs
from fhir_server.search.values import ReferenceEntry, StringEntry, TextEntry, TokenEntry
from fhir_server.store.port import Store
from fhir_server.store.sealed import MasterKeys, NationalNumbers, SealedStore
from fhir_server.store.sealed import keyring as keys
from fhir_server.store.sealed.rotation import rotate, status
from tests.contract.store.conftest import FACTORIES, server_at
from tests.contract.store.staged import SetClock, put_task

SYSTEM = "http://example.org/numbers"
NUMBERS = NationalNumbers([SYSTEM])
NUMBER = "71020304055"
BODY = f'{{"resourceType":"Patient","id":"1","identifier":[{{"system":"{SYSTEM}","value":"{NUMBER}"}}]}}'.encode()
ENTRIES = (
    TokenEntry("identifier", SYSTEM, NUMBER, "", "http://t", "NN"),
    TokenEntry("other", "", NUMBER, f"of {NUMBER}"),
    ReferenceEntry("link", "", "", SYSTEM, NUMBER, "Patient"),
    StringEntry("name", f"ann {NUMBER}", f"Ann {NUMBER}"),
    TextEntry("_content", "insz 710203 040 55 ann"),
)
Open = Callable[..., Store]


@pytest.fixture(params=[make for make in FACTORIES if make != "sealed"])
def server_url(request: pytest.FixtureRequest) -> str:
    """These tests put the encryption around each make of store themselves."""
    return server_at(request)


def masters(*given: bytes) -> MasterKeys:
    return MasterKeys(lambda: given)


def sealed(store: Store, *given: bytes) -> SealedStore:
    return SealedStore(store, masters(*given), NUMBERS)


def put(store: Store, version: int = 1) -> None:
    store.write(lambda unit: unit.put("Patient", "1", version, BODY, ENTRIES, "PUT"))


def body(store: Store, version: int = 1) -> bytes | None:
    found = store.read(lambda snapshot: snapshot.version("Patient", "1", version))
    return found.body if found else None


def test_bodies_come_back_byte_for_byte_and_lie_sealed(store: Store) -> None:
    outer = sealed(store, os.urandom(32))
    put(outer)
    assert body(outer) == BODY
    below = body(store)
    assert below is not None
    assert below[:1] == keys.SEALED
    assert NUMBER.encode() not in below
    assert [version.body for version in outer.read(lambda s: s.changes(0, 10))] == [BODY]
    outer.write(lambda unit: put_task(unit, "1"))
    plain = store.read(lambda s: s.current("Task", "1"))
    assert plain == outer.read(lambda s: s.current("Task", "1"))


def record_body(store: Store, key: str) -> bytes:
    found = store.read(lambda snapshot: snapshot.record("kind", key))
    assert found is not None
    return found.body


def test_the_same_body_is_sealed_anew_each_time_and_bound_to_its_place(store: Store) -> None:
    outer = sealed(store, os.urandom(32))
    put(outer)
    put(outer, 2)
    first, second = body(store), body(store, 2)
    assert first != second
    assert first is not None
    store.write(lambda unit: unit.put("Patient", "2", 1, first, (), "PUT"))  # moved to another person
    with pytest.raises(Unavailable, match="altered or moved"):
        outer.read(lambda snapshot: snapshot.current("Patient", "2"))


@pytest.mark.parametrize(
    ("node", "found"),
    [
        (TokenIs("identifier", SYSTEM, NUMBER), True),
        (TokenIs("identifier", None, NUMBER), True),
        (TokenIs("identifier", SYSTEM, None), True),
        (TokenIs("other", "", NUMBER), True),
        (TokenIs("identifier", "", NUMBER), False),
        (TokenIs("identifier", SYSTEM, "71020304056"), False),
        (Not(TokenIs("identifier", None, NUMBER)), False),
        (Or((TokenIs("x", None, "y"), TokenIs("identifier", None, NUMBER))), True),
        (RefersToIdentifier("link", SYSTEM, NUMBER), True),
        (RefersToIdentifier("link", None, NUMBER, "Patient"), True),
        (RefersToIdentifier("link", None, NUMBER, "Group"), False),
    ],
)
def test_questions_about_numbers_are_answered_as_in_clear(store: Store, node: object, found: bool) -> None:
    outer = sealed(store, os.urandom(32))
    put(outer)
    query = Query("Patient", node)  # type: ignore[arg-type]  # a parameter of the test
    assert bool(outer.read(lambda snapshot: snapshot.search(query))) is found
    assert outer.read(lambda snapshot: snapshot.count(query)) == int(found)


def test_chains_reach_sealed_numbers(store: Store) -> None:
    outer = sealed(store, os.urandom(32))
    put(outer)
    outer.write(lambda unit: put_task(unit, "7", owner="Patient/1"))
    query = Query("Task", Chain("owner", "Patient", TokenIs("identifier", SYSTEM, NUMBER)))
    assert [row.version.id for row in outer.read(lambda snapshot: snapshot.search(query))] == ["7"]


def test_a_store_opens_with_its_own_master_key_only(open_store: Open) -> None:
    right, wrong = os.urandom(32), os.urandom(32)
    store = open_store(SetClock())
    put(sealed(store, right))
    with pytest.raises(Unavailable, match="sealed with the master key") as refusal:
        sealed(store, wrong)
    assert keys.fingerprint(wrong) in str(refusal.value)
    with pytest.raises(Unavailable, match="gives none"):
        sealed(store)
    assert body(sealed(store, wrong, right)) == BODY
    with pytest.raises(Unavailable, match="There is no master key"):
        SealedStore(open_store_empty(open_store), masters(), NUMBERS)


def open_store_empty(open_store: Open) -> Store:
    """The same store with its keys taken away, as a new one."""
    store = open_store(SetClock())
    for key in ("data-00000001", "search", "audit"):
        store.write(lambda unit, key=key: unit.remove_record(keys.KIND, key))
    return store


def test_keys_rotate_while_others_read_and_write(store: Store) -> None:
    old, new = os.urandom(32), os.urandom(32)
    given = [old]
    running = SealedStore(store, MasterKeys(lambda: tuple(given)), NUMBERS)
    put(running)
    given[:] = [new, old]
    report = rotate(SealedStore(store, MasterKeys(lambda: tuple(given)), NUMBERS))
    assert (report.data_keys, report.master) == (2, keys.fingerprint(new))
    given[:] = [new]
    fresh = sealed(store, new)
    put(fresh, 2)
    below = body(store, 2)
    assert below is not None
    assert below[1:5] == (2).to_bytes(4, "big")
    for one in (running, fresh):
        assert (body(one), body(one, 2)) == (BODY, BODY)
        assert one.read(lambda s: s.count(Query("Patient", TokenIs("identifier", SYSTEM, NUMBER)))) == 1
    put(running, 3)  # the process that knows the old data key only
    assert body(fresh, 3) == BODY
    with pytest.raises(Unavailable):
        sealed(store, old)
    counted = status(fresh, count=True)
    assert counted.sealed == {1: 1, 2: 2}
    assert counted.in_clear == 0


def test_what_was_written_before_is_told(store: Store) -> None:
    put(store)
    assert status(sealed(store, os.urandom(32)), count=True).in_clear == 1


def test_outbox_and_records_are_sealed_too(store: Store) -> None:
    outer = sealed(store, os.urandom(32))

    def work(unit: object) -> None:
        put_task(unit, "1")  # type: ignore[arg-type]  # a parameter of the test
        unit.emit("told", BODY)  # type: ignore[attr-defined]  # idem
        unit.set_record("kind", "key", BODY, 5)  # type: ignore[attr-defined]  # idem
        unit.set_record("kind", "other", b"plain")  # type: ignore[attr-defined]  # idem

    outer.write(work)
    assert [event.payload for event in outer.read(lambda s: s.outbox(0, 9))] == [BODY]
    assert [one.body for one in outer.read(lambda s: s.records("kind"))] == [BODY, b"plain"]
    assert [one.body for one in outer.read(lambda s: s.due_records("kind", 9))] == [BODY]
    assert record_body(outer, "key") == BODY
    assert store.read(lambda s: s.outbox(0, 9))[0].payload[:1] == keys.SEALED
    assert record_body(store, "key")[:1] == keys.SEALED
    assert record_body(store, "other") == b"plain"


def test_an_index_that_is_made_again_holds_no_number_either(store: Store, tmp_path: Path) -> None:
    outer = sealed(store, os.urandom(32))
    put(outer)
    version = outer.read(lambda snapshot: snapshot.current("Patient", "1"))
    assert version is not None
    assert outer.reindex([(version, ENTRIES)]) == 1
    query = Query("Patient", TokenIs("identifier", SYSTEM, NUMBER))
    assert outer.read(lambda snapshot: snapshot.count(query)) == 1
    assert store.read(lambda snapshot: snapshot.count(query)) == 0
    for file in tmp_path.glob("*.db*"):
        text = file.read_bytes()
        assert not [part for part in (NUMBER, "710203 040 55") if part.encode() in text]


def test_an_altered_wrapped_key_is_refused(open_store: Open, tmp_path: Path) -> None:
    master = os.urandom(32)
    store = open_store()
    if not (tmp_path / "store.db").exists():
        pytest.skip("tampers with the SQLite file")
    put(sealed(store, master))
    with sqlite3.connect(tmp_path / "store.db") as file:
        text = "UPDATE record SET body = replace(CAST(body AS TEXT), '\"number\":1', '\"number\":2') WHERE key LIKE 'data%'"
        changed = file.execute(text)
        file.execute(
            "UPDATE record SET body = CAST(replace(CAST(body AS TEXT), ',1,', ',2,') AS BLOB) WHERE key LIKE 'data%'"
        )
        assert changed.rowcount == 1
    file.close()
    with pytest.raises(Unavailable, match="was altered"):
        sealed(store, master)
