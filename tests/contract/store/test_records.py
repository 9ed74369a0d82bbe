"""Records of the server itself: kept with the unit that makes them, in the order of key and of due time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from fhir_server.store.port import Store, UnitOfWork


def test_a_record_is_kept_replaced_found_and_forgotten(store: Store) -> None:
    store.write(lambda unit: unit.set_record("client", "a", b"one"))
    store.write(lambda unit: unit.set_record("client", "a", b"two", 5))
    assert store.read(lambda snapshot: snapshot.record("client", "a")) == ("client", "a", b"two", 5)
    assert store.read(lambda snapshot: snapshot.record("key", "a")) is None
    assert store.write(lambda unit: unit.remove_record("client", "a"))
    assert not store.write(lambda unit: unit.remove_record("client", "a"))
    assert store.read(lambda snapshot: snapshot.record("client", "a")) is None


def keep(bodies: list[bytes], unit: UnitOfWork) -> None:
    for body in bodies:
        unit.set_record("random", f"{body[0]:03}", body)


def test_a_record_and_an_event_are_any_bytes(store: Store) -> None:
    bodies = [bytes([first]) + b"\x00\xff and more than a mark and a nonce" for first in range(256)]
    for body in bodies[:8]:
        store.write(lambda unit, body=body: unit.emit("topic", body))
    store.write(partial(keep, bodies))
    assert [one.body for one in store.read(lambda snapshot: snapshot.records("random", limit=300))] == bodies
    assert [one.payload for one in store.read(lambda snapshot: snapshot.outbox(0, 10))] == bodies[:8]


def test_records_come_in_the_order_of_their_keys_and_page_on(store: Store) -> None:
    keys = ["b", "a", "ä", "Z", "a/1", "\U0001f600", "￿"]
    for key in keys:
        store.write(lambda unit, key=key: unit.set_record("client", key, b""))
    store.write(lambda unit: unit.set_record("other", "m", b""))
    assert [record.key for record in store.read(lambda snapshot: snapshot.records("client"))] == sorted(keys)
    page = store.read(lambda snapshot: snapshot.records("client", after="a", limit=2))
    assert [record.key for record in page] == sorted(keys)[2:4]


def test_what_is_due_comes_first_due_first(store: Store) -> None:
    due = {"never": None, "later": 30, "now": 10, "also": 10, "edge": 20}
    for key, at in due.items():
        store.write(lambda unit, key=key, at=at: unit.set_record("delivery", key, b"", at))
    assert [r.key for r in store.read(lambda snapshot: snapshot.due_records("delivery", 20))] == ["also", "now"]
    assert [r.key for r in store.read(lambda snapshot: snapshot.due_records("delivery", 21, limit=3))][-1] == "edge"
    store.write(lambda unit: unit.set_record("delivery", "now", b"", None))
    assert [r.key for r in store.read(lambda snapshot: snapshot.due_records("delivery", 20))] == ["also"]


def test_a_unit_sees_its_own_records_and_one_that_fails_leaves_none(store: Store) -> None:
    def work(unit: UnitOfWork) -> None:
        unit.set_record("lease", "a", b"x", 1)
        assert unit.record("lease", "a") is not None
        assert unit.due_records("lease", 2)
        assert unit.records("lease")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.write(work)
    assert store.read(lambda snapshot: snapshot.records("lease")) == []
    assert store.read(lambda snapshot: snapshot.last_sequence()) == 0


def test_of_many_that_want_the_same_key_one_gets_it(open_store: Callable[..., Store]) -> None:
    store = open_store()

    def claim(who: int) -> bool:
        def work(unit: UnitOfWork) -> bool:
            if unit.record("nonce", "n") is not None:
                return False
            unit.set_record("nonce", "n", b"%d" % who)
            return True

        return store.write(work)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(40))) == 1


def test_audit_records_are_found_by_key_and_time(store: Store) -> None:
    def work(unit: UnitOfWork) -> int:
        unit.append_audit(b"1", ["patient|Patient/1", "agent|gp"])
        unit.append_audit(b"2", ["patient|Patient/2", "agent|gp", "agent|gp"])
        unit.append_audit(b"3")
        return unit.last_updated

    at = store.write(work)

    def found(*about: str, recorded: tuple[int, int] | None = None) -> list[bytes]:
        return [one.record for one in store.read(lambda snapshot: snapshot.audit(0, 10, about, recorded))]

    assert found() == [b"1", b"2", b"3"]
    assert found("agent|gp") == [b"1", b"2"]
    assert found("agent|gp", "patient|Patient/2") == [b"2"]
    assert found("agent|nobody") == []
    assert found("agent|gp", recorded=(at, at + 1)) == [b"1", b"2"]
    assert found(recorded=(at + 1, at + 2)) == found(recorded=(0, at)) == []
    assert store.read(lambda snapshot: snapshot.audit(0, 1))[0].recorded == at


def test_a_trimmed_trail_keeps_the_digest_that_the_rest_builds_on(store: Store) -> None:
    numbers = [store.write(lambda unit, n=n: unit.append_audit(b"%d" % n, ["k"])) for n in range(5)]
    before = store.read(lambda snapshot: snapshot.audit(0, 10))
    assert store.read(lambda snapshot: snapshot.audit_anchor()) == (0, b"")
    store.write(lambda unit: unit.trim_audit(numbers[2]))
    assert store.read(lambda snapshot: snapshot.audit_anchor()) == (numbers[2], before[2].digest)
    assert store.read(lambda snapshot: snapshot.audit(0, 10)) == before[3:]
    assert store.read(lambda snapshot: snapshot.audit(0, 10, ["k"])) == before[3:]
    store.write(lambda unit: unit.trim_audit(10**6))
    assert store.read(lambda snapshot: snapshot.audit(0, 10)) == before[4:]  # the newest stays: numbers go on from it
    assert store.write(lambda unit: unit.append_audit(b"on")) == numbers[-1] + 1
