"""Rules of R4 on the entries of a Bundle, by $validate."""

from typing import Any

import httpx
import pytest

RESOURCE = {"resource": {"resourceType": "Basic", "code": {"text": "x"}}}
DELETION = {"method": "DELETE", "url": "Basic/1"}


@pytest.mark.parametrize(
    ("kind", "entry", "empty"),
    [
        ("collection", RESOURCE, False),
        ("transaction", {"request": DELETION}, False),
        ("transaction-response", {"response": {"status": "204"}}, False),
        ("collection", {"fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"}, True),
        ("searchset", {"search": {"mode": "match"}}, True),
    ],
)
def test_an_entry_is_a_resource_or_has_a_request_or_a_response(
    client: httpx.Client, kind: str, entry: dict[str, Any], empty: bool
) -> None:
    answer = client.post("/Bundle/$validate", json={"resourceType": "Bundle", "type": kind, "entry": [entry]})
    told = [one for one in answer.json()["issue"] if one["severity"] == "error" and "bdl-5" in str(one)]
    assert bool(told) is empty, answer.text
    assert all(one["expression"] == ["Bundle.entry[0]"] for one in told)
