"""kill -9 and several processes: nothing is lost, no number is skipped or doubled. The long form is tests/soak/deliveries.py."""

import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from fhir_server.outbound.lease import Lease, LeaseLost
from tests.contract.store.mongo_server import database_url, running
from tests.soak.deliveries import run
from tests.unit.outbound.receiver import Receiver, with_status
from tests.unit.outbound.stage import HandClock, staged


def server(path: Path) -> "subprocess.Popen[bytes]":
    """Start a process that tells subscribers and writes nothing."""
    return subprocess.Popen([sys.executable, "-m", "tests.soak.deliveries", "--child", str(path), "--changes", "0"])


def test_random_kills_of_two_processes_lose_nothing(tmp_path: Path) -> None:
    report = run(tmp_path, 300, 4, processes=2, kills=2)
    assert report.told > 200


def test_killed_between_commit_and_send_it_is_sent_once_after_the_restart(tmp_path: Path, receiver: Receiver) -> None:
    path = tmp_path / "a.sqlite"
    with staged(path, start=False) as stage:
        identity = stage.subscribe(receiver.url())
        expected = [stage.task() for _ in range(5)]  # committed; who would have told of them is dead
        process = server(path)
        try:
            stage.until(lambda: stage.lane(identity).sent == 5, 15)
        finally:
            process.kill()
            process.wait()
    [told] = receiver.told()
    assert told.numbers == [1, 2, 3, 4, 5]
    assert [one["fullUrl"].rpartition("/")[2] for one in told.bundle["entry"][1:]] == expected
    assert [one.kind for one in receiver.got] == ["handshake", "event-notification"]


def test_killed_between_send_and_acknowledge_it_is_sent_again_under_the_same_key(
    tmp_path: Path, receiver: Receiver
) -> None:
    path = tmp_path / "a.sqlite"

    def hold(_: BaseHTTPRequestHandler) -> None:
        time.sleep(5)

    with staged(path, start=False) as stage:
        identity = stage.subscribe(receiver.url())
        first = server(path)
        stage.until(lambda: stage.status(identity) == "active", 15)
        receiver.behaviour = hold
        stage.task()
        receiver.wait(lambda got: len(got) == 2)
        first.kill()  # the call is under way: nobody will hear its answer
        first.wait()
        receiver.behaviour = with_status(200)
        again = server(path)
        stage.until(lambda: stage.lane(identity).sent == 1, 15)
        stage.task()
        stage.until(lambda: stage.lane(identity).sent == 2, 15)
        again.kill()
        again.wait()
    told = receiver.told()
    assert [one.numbers for one in told] == [[1], [1], [2]]
    assert told[0].headers["Idempotency-Key"] == told[1].headers["Idempotency-Key"]


def test_one_process_at_a_time_has_the_lease_and_who_lost_it_writes_nothing(tmp_path: Path) -> None:
    clock = HandClock()
    with staged(tmp_path / "a.sqlite", clock=clock, start=False) as stage:
        store = stage.engine.store
        one, other = (Lease(store, clock, "task", name) for name in ("one", "other"))
        assert one.hold()
        assert not other.hold()
        clock.advance(5_000)
        assert other.hold()
        with pytest.raises(LeaseLost):
            store.write(one.require)
        store.write(other.require)
        assert not one.hold()
        other.release()
        assert one.hold()
        with pytest.raises(LeaseLost):
            store.write(other.require)


def test_a_lease_from_before_the_clock_was_set_back_blocks_nobody(tmp_path: Path) -> None:
    clock = HandClock()
    with staged(tmp_path / "a.sqlite", clock=clock, start=False) as stage:
        one, other = (Lease(stage.engine.store, clock, "task", name) for name in ("one", "other"))
        clock.advance(3_600_000)
        assert one.hold()
        clock.advance(-3_600_000)
        assert other.hold()


def test_subscribers_of_a_server_on_mongodb_are_told_the_same_way(tmp_path: Path, receiver: Receiver) -> None:
    keys: dict[str, Any] = {
        "cursor_key_file": str(tmp_path / "cursor"),
        "master_key_file": str(tmp_path / "master"),
    }
    with running() as mongo, staged(tmp_path, store=database_url(mongo.url, "told"), **keys) as stage:
        identity = stage.subscribe(receiver.url(), filters=("Task?owner=Organization/o1",), numbers={"max-count": 1})
        stage.until(lambda: stage.status(identity) == "active", 20)
        for number in range(8):
            stage.task(f"Organization/o{number % 2}")
        stage.until(lambda: stage.lane(identity).sent == 4, 20)
    assert [one.numbers for one in receiver.told()] == [[1], [2], [3], [4]]
