"""One caller cannot take all there is: limits by client, and by address for who fails to get in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.http.limits import Buckets
from fhir_server.model.errors import Throttled
from tests.conftest import RunningServer
from tests.http.smart_client import Caller, prepare


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    settings = prepare(tmp_path, other={}, third={})
    running = RunningServer({**settings, "rate_per_second": 0.5, "rate_burst": 6, "failures_per_minute": 4.0})
    found = Caller(running.base)
    yield found
    found.close()
    running.stop()


def test_a_client_that_asks_too_often_waits_and_others_do_not(caller: Caller, refused: Any) -> None:
    token, other = caller.token(), caller.token("other")
    answers = [caller.read(token) for _ in range(12)]
    late = next(answer for answer in answers if answer.status_code != 200)
    assert answers.index(late) == 5  # the token itself was the first of six
    refused(late, 429, "too-many-requests")
    assert 1 <= int(late.headers["retry-after"]) <= 2
    assert caller.read(other).status_code == 200
    denied = caller.ask(caller.good())
    assert (denied.status_code, denied.json()["error"]) == (429, "slow_down")
    assert "retry-after" in denied.headers


def test_an_address_that_fails_too_often_waits_and_good_tokens_still_pass(caller: Caller) -> None:
    good = caller.token("third")
    assert caller.read(good).status_code == 200
    statuses = [caller.read("forged").status_code for _ in range(6)]
    assert statuses[:4] == [401] * 4
    assert 429 in statuses
    assert caller.read(good).status_code == 200  # remembered: no attempt
    late = caller.ask(caller.good("third", exp=1))
    assert late.status_code == 429
    assert int(late.headers["retry-after"]) >= 1


def test_a_bucket_fills_again_and_the_number_of_buckets_is_bounded() -> None:
    now = [0.0]
    buckets = Buckets(2.0, 3, lambda: now[0])
    for _ in range(3):
        buckets.take("a")
    with pytest.raises(Throttled) as late:
        buckets.take("a")
    assert late.value.retry_after == 1
    now[0] += 0.5
    buckets.take("a")
    with pytest.raises(Throttled):
        buckets.check("a")
    for number in range(25_000):
        buckets.take(str(number))
    assert len(buckets._held) <= 20_000
    unlimited = Buckets(0, 1)
    for _ in range(100):
        unlimited.take("a")
