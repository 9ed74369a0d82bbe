"""What subscribers are told when receivers fail: everything, in order, the same thing again under the same key."""

import base64
import hashlib
import hmac
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from click.testing import CliRunner

from fhir_server.cli import main
from fhir_server.model.clock import render_instant
from tests.unit.outbound.receiver import Receiver, free_port, with_status
from tests.unit.outbound.stage import HOUR, HandClock, staged, subscription

EACH = {"max-count": 1}


def test_every_event_comes_in_order_with_its_number(tmp_path: Path, receiver: Receiver) -> None:
    with staged(tmp_path / "a.sqlite") as stage:
        stage.subscribe(receiver.url(), filters=("Task?owner=Organization/o1",), numbers=EACH)
        receiver.wait(lambda got: len(got) == 1)
        expected = [stage.task("Organization/o1" if n % 3 else "Organization/o2") for n in range(30)]
        expected = [one for n, one in enumerate(expected) if n % 3]
        told = [one for one in receiver.wait(lambda got: len(got) == 21) if one.kind == "event-notification"]
        assert [one.numbers for one in told] == [[n] for n in range(1, 21)]
        base = stage.engine.own_base
        assert [one.bundle["entry"][1]["fullUrl"] for one in told] == [f"{base}/Task/{one}" for one in expected]


def test_a_receiver_that_fails_gets_the_same_again_under_the_same_key(tmp_path: Path, receiver: Receiver) -> None:
    clock = HandClock()
    with staged(tmp_path / "a.sqlite", clock=clock) as stage:
        identity = stage.subscribe(receiver.url(), numbers=EACH)
        stage.until(lambda: stage.status(identity) == "active")
        receiver.behaviour = with_status(500)
        for _ in range(3):
            stage.task()
        stage.until(lambda: stage.lane(identity).attempts == 1)
        assert stage.lane(identity).fault == "The receiver answered 500."
        clock.advance(2_000)
        stage.until(lambda: stage.lane(identity).attempts == 2)
        receiver.behaviour = with_status(204)
        clock.advance(5_000)
        stage.until(lambda: stage.lane(identity).sent == 3)
    told = receiver.told()
    assert [one.numbers for one in told] == [[1], [1], [1], [2], [3]]
    assert [one.headers["Delivery-Attempt"] for one in told] == ["1", "2", "3", "1", "1"]
    assert len({one.headers["Idempotency-Key"] for one in told[:3]}) == 1
    assert len({one.headers["Idempotency-Key"] for one in told}) == 3


def test_a_receiver_that_is_down_for_two_days_gets_everything_then(tmp_path: Path) -> None:
    clock, port = HandClock(), free_port()
    up = Receiver(port=port)
    with staged(tmp_path / "a.sqlite", clock=clock) as stage:
        identity = stage.subscribe(up.url())
        stage.until(lambda: stage.status(identity) == "active")
        up.stop()
        for hour in range(48):
            stage.task(description=f"hour {hour}")
            before = stage.lane(identity).attempts
            clock.advance(HOUR)
            stage.until(lambda seen=before: stage.lane(identity).attempts > seen)  # type: ignore[misc]  # a default binds the value of the round
        assert stage.status(identity) == "active"
        again = Receiver(port=port)
        clock.advance(HOUR)
        stage.until(lambda: stage.lane(identity).sent == 48)
        again.stop()
    assert [number for one in again.told() for number in one.numbers] == list(range(1, 49))


def test_a_receiver_that_stays_away_is_given_up_and_goes_on_after_it_asks_again(tmp_path: Path) -> None:
    clock, port = HandClock(), free_port()
    up = Receiver(port=port)
    with staged(tmp_path / "a.sqlite", clock=clock) as stage:
        identity = stage.subscribe(up.url())
        stage.until(lambda: stage.status(identity) == "active")
        up.stop()
        stage.task()
        stage.until(lambda: stage.lane(identity).attempts == 1)
        clock.advance(73 * HOUR)
        stage.until(lambda: stage.status(identity) == "error")
        kept = stage.send("GET", f"Subscription/{identity}")
        assert kept["error"].startswith("The receiver cannot be reached")
        stage.task()  # still an event, though nobody is told now
        again = Receiver(port=port)
        stage.send("PUT", f"Subscription/{identity}", {**kept, "status": "requested"})
        stage.until(lambda: stage.lane(identity).sent == 2)
        again.stop()
    assert [one.kind for one in again.got] == ["handshake", "event-notification"]
    assert again.told()[0].numbers == [1, 2]


def test_a_receiver_that_hangs_delays_nobody_else(tmp_path: Path, receiver: Receiver) -> None:
    slow = Receiver()

    def hang(_: BaseHTTPRequestHandler) -> None:
        time.sleep(3)

    with staged(tmp_path / "a.sqlite") as stage:
        identities = [stage.subscribe(slow.url(f"/{n}"), numbers={"timeout": 1}) for n in range(6)]
        quick = stage.subscribe(receiver.url(), numbers=EACH)
        stage.until(lambda: all(stage.status(one) == "active" for one in (*identities, quick)))
        slow.behaviour = hang
        started = time.monotonic()
        for _ in range(10):
            stage.task()
        receiver.wait(lambda got: len(got) == 11, 5)
        assert time.monotonic() - started < 3  # six that hang, one after the other, take longer
        stage.until(lambda: stage.lane(identities[0]).attempts > 0)
        assert stage.lane(identities[0]).fault == "No complete answer came within 1 s."
        assert len(slow.told("/0")) >= 1
    slow.stop()


def test_who_says_that_it_is_gone_is_believed(tmp_path: Path, receiver: Receiver) -> None:
    with staged(tmp_path / "a.sqlite") as stage:
        identity = stage.subscribe(receiver.url())
        stage.until(lambda: stage.status(identity) == "active")
        receiver.behaviour = with_status(410)
        stage.task()
        stage.until(lambda: stage.status(identity) == "error")
        assert stage.lane(identity).dead


def test_who_asks_to_wait_is_waited_for(tmp_path: Path, receiver: Receiver) -> None:
    clock = HandClock()
    with staged(tmp_path / "a.sqlite", clock=clock) as stage:
        identity = stage.subscribe(receiver.url())
        stage.until(lambda: stage.status(identity) == "active")
        receiver.behaviour = with_status(503, Retry_After="120")
        stage.task()
        stage.until(lambda: stage.lane(identity).attempts == 1)
        lane = stage.lane(identity)
        assert 119_000 <= lane.due - clock.now_ms() <= 120_000


def test_a_heartbeat_comes_when_nothing_else_did(tmp_path: Path, receiver: Receiver) -> None:
    clock = HandClock()
    with staged(tmp_path / "a.sqlite", clock=clock) as stage:
        identity = stage.subscribe(receiver.url(), numbers={"heartbeat-period": 60})
        stage.until(lambda: stage.status(identity) == "active")
        stage.task()
        stage.until(lambda: stage.lane(identity).sent == 1)
        clock.advance(61_000)
        found = receiver.wait(lambda got: len(got) == 3)
    assert [one.kind for one in found] == ["handshake", "event-notification", "heartbeat"]


def test_a_subscription_that_ends_is_off_and_tells_nothing_more(tmp_path: Path, receiver: Receiver) -> None:
    clock = HandClock()
    with staged(tmp_path / "a.sqlite", clock=clock) as stage:
        asked = {**subscription(receiver.url()), "end": render_instant(clock.now_ms() + HOUR)}
        identity = stage.send("POST", "Subscription", asked)["id"]
        stage.task()
        stage.until(lambda: stage.lane(identity).sent == 1)
        clock.advance(HOUR)
        stage.until(lambda: stage.status(identity) == "off")
        other = stage.subscribe(receiver.url("/other"))
        stage.task()
        stage.until(lambda: stage.lane(other).sent == 1)
    assert [one.numbers for one in receiver.told()] == [[1]]


def test_notifications_are_signed_with_the_secret_that_an_operator_made(tmp_path: Path, receiver: Receiver) -> None:
    path = tmp_path / "a.sqlite"
    with staged(path) as stage:
        identity = stage.subscribe(receiver.url())
        stage.until(lambda: stage.status(identity) == "active")
        ran = CliRunner().invoke(main, ["subscription", "secret", identity, "--store", str(path)])
        assert ran.exit_code == 0, ran.output
        stage.task()
        stage.until(lambda: stage.lane(identity).sent == 1)
    [told] = receiver.told()
    key, at = told.headers["Webhook-Id"], told.headers["Webhook-Timestamp"]
    digest = hmac.new(ran.output.strip().encode(), f"{key}.{at}.".encode() + told.body, hashlib.sha256).digest()
    assert told.headers["Webhook-Signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert "Webhook-Signature" not in receiver.got[0].headers


def test_an_operator_sees_dead_letters_and_redrives_them(tmp_path: Path, receiver: Receiver) -> None:
    path = tmp_path / "a.sqlite"

    def command(*parts: str) -> str:
        ran = CliRunner().invoke(main, ["subscription", *parts, "--store", str(path)])
        assert ran.exit_code == 0, ran.output
        return ran.output

    with staged(path) as stage:
        identity = stage.subscribe(receiver.url())
        stage.until(lambda: stage.status(identity) == "active")
        assert command("list", "--dead") == ""
        receiver.behaviour = with_status(410)
        for _ in range(3):
            stage.task()
        stage.until(lambda: stage.status(identity) == "error")
        assert command("list", "--dead").startswith(
            f"{identity}  error  0 of 3 told  1 failed  The receiver answered 410"
        )
        receiver.behaviour = with_status(200)
        assert command("redrive", identity) == f"Subscription/{identity} is told again from event 1\n"
        stage.until(lambda: stage.lane(identity).sent == 3)
        assert f"{identity}  active  3 of 3 told" in command("list")
