"""The example region on a server, and the referral of examples/erdan sent to it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.scenarios.erdan_actors import EXAMPLES, GP, OPEN, Actor, example


@pytest.fixture
def region(fresh_server: Any) -> Iterator[str]:
    """The base of a server with the example region in it; hangs up for the actors when a test is over."""
    base: str = fresh_server().base
    with httpx.Client(base_url=base, headers={"X-Dev-Roles": "operator"}, timeout=60) as operator:
        for path in sorted((EXAMPLES / "region").glob("*.json")):
            response = operator.post("/", json=json.loads(path.read_text()))
            assert response.status_code == 200, response.text
    yield base
    while OPEN:
        OPEN.pop().close()


@pytest.fixture
def sent(region: str) -> str:
    """The base of such a server to which the GP has sent the referral."""
    gp = Actor(region, GP)
    response = gp.http.post("/", json=example("erdan/01-referral-bundle.json"))
    assert response.status_code == 200, response.text
    return region
