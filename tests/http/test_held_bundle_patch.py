"""A patch in a Bundle comes as a Binary, and what it holds is read to the letter."""

from base64 import b64encode
from typing import Any

import httpx
import pytest

PATCH = b64encode(b'[{"op":"add","path":"/active","value":true}]').decode()


@pytest.mark.parametrize(("data", "taken"), [(PATCH, True), (f"*{PATCH}", False), (PATCH[:8] + "!" + PATCH[8:], False)])
def test_data_of_a_patch_that_is_no_base64_is_refused_and_not_guessed(
    client: httpx.Client, refused: Any, data: str, taken: bool
) -> None:
    made = client.post("/Organization", json={"resourceType": "Organization", "name": "Buurthuis"}).json()["id"]
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}
    entry = {"request": {"method": "PATCH", "url": f"Organization/{made}"}, "resource": binary}
    answer = client.post("/", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    if taken:
        assert answer.status_code == 200, answer.text
    else:
        refused(answer, 400)
    assert client.get(f"/Organization/{made}").json().get("active", False) is taken
