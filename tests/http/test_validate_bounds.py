"""Bodies that are made to hurt: a clear outcome, soon, and the server goes on."""

import time
from typing import Any

import httpx
import pytest

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
BODIES: list[tuple[str, dict[str, Any], str]] = [
    ("deep narrative", {"text": {"status": "generated", "div": f"<div {XHTML}>{'<b>' * 50_000}{'</b>' * 50_000}</div>"}}, "too-deep"),
    ("entities", {"text": {"status": "generated", "div": f'<!DOCTYPE d [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><div {XHTML}>&b;</div>'}}, "txt-1"),
    ("extensions", {"extension": [{"url": f"x{n}", "valueString": "x"} for n in range(100_000)]}, "too-many-problems"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "key"), [body[1:] for body in BODIES], ids=[body[0] for body in BODIES])
def test_a_bomb_is_refused_on_validate_and_on_write(client: httpx.Client, content: dict[str, Any], key: str) -> None:
    body = {"resourceType": "Patient", **content}
    for path, status in (("/$validate", 200), ("/Patient", 400)):
        began = time.perf_counter()
        response = client.post(path, json=body, timeout=30)
        assert response.status_code == status, response.text[:300]
        assert time.perf_counter() - began < 10, "bounded, also on a busy machine"
        keys = [one["details"]["coding"][0]["code"] for one in response.json()["issue"]]
        assert key in keys
        assert len(keys) <= 501
    assert client.get("/metadata").status_code == 200


def test_a_hundred_thousand_good_extensions_are_taken(client: httpx.Client) -> None:
    body = {"resourceType": "Patient", "extension": [{"url": f"u:{n}", "valueInteger": n} for n in range(100_000)]}
    (issue,) = client.post("/$validate", json=body, timeout=30).json()["issue"]
    assert issue["details"]["coding"][0]["code"] == "all-ok"
