"""Pages of a search on MongoDB: every order, from the first page to the last, over HTTP."""

from typing import Any

import httpx
import pytest

from tests.contract.store.mongo_server import database_url, running

ORDERS = ["", "_lastUpdated", "_id", "authored-on", "-authored-on", "status,-period", "owner,_id", "-priority"]


def walked(client: httpx.Client, url: str) -> list[str]:
    found: list[str] = []
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [entry["resource"]["id"] for entry in page.get("entry", ()) if entry["search"]["mode"] == "match"]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    return found


@pytest.fixture(scope="module")
def identities() -> list[str]:
    return [f"t{number}" for number in range(7)]


def test_every_order_is_paged_to_its_end_on_mongodb(fresh_server: Any, identities: list[str]) -> None:
    with running() as database:
        server = fresh_server(
            store=database_url(database.url, "paged"),
            publish_artifacts=False,
            cursor_key="ab" * 32,
            master_key="cd" * 32,
        )
        with httpx.Client(base_url=server.base, timeout=60) as client:
            for number, identity in enumerate(identities):
                body: dict[str, Any] = {
                    "resourceType": "Task",
                    "id": identity,
                    "status": "requested",
                    "intent": "order",
                }
                if number % 3:
                    body["authoredOn"] = f"2026-03-1{number % 2}T10:00:00Z"
                    body["executionPeriod"] = {"start": f"2026-03-0{number}"} if number % 2 else {"end": "2026-04"}
                    body["owner"] = {"reference": f"Organization/{number % 2}"}
                assert client.put(f"/Task/{identity}", json=body).status_code == 201
            for order in ORDERS:
                whole = walked(client, f"/Task?_count=50&_sort={order}")
                assert sorted(whole) == identities
                assert walked(client, f"/Task?_count=2&_sort={order}") == whole, order
            assert sorted(walked(client, "/?_type=Task,Patient&_count=2")) == identities
        server.stop()
