"""The feed, waiting, entity tags and websockets on MongoDB: the same as on SQLite, over HTTP."""

import threading
from typing import Any

import httpx

from tests.contract.store.mongo_server import database_url, running
from tests.http.websocket_client import bind, events, subscribe


def task(client: httpx.Client, owner: str) -> str:
    body = {"resourceType": "Task", "status": "requested", "intent": "order", "owner": {"reference": owner}}
    answer = client.post("/Task", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_changes_are_told_in_every_way_on_mongodb(fresh_server: Any) -> None:
    with running() as database:
        server = fresh_server(
            store=database_url(database.url, "told"),
            publish_artifacts=False,
            cursor_key="ab" * 32,
            master_key="cd" * 32,
        )
        with httpx.Client(base_url=server.base, timeout=60) as client:
            url = "/$changes?_type=Task&owner=Organization/a&cursor=latest&wait=30"
            waited: list[dict[str, Any]] = []

            def wait() -> None:
                waited.append(httpx.get(server.base + url, timeout=60).json())

            waiting = threading.Thread(target=wait)
            waiting.start()
            while not waited and waiting.is_alive():
                made = task(client, "Organization/a")
                waiting.join(0.5)
            assert waited[0]["entry"][0]["resource"]["owner"] == {"reference": "Organization/a"}
            search = f"/Task?_id={made}"
            tag = client.get(search).headers["etag"]
            assert client.get(search, headers={"If-None-Match": tag}).status_code == 304
            name = subscribe(client)
            with bind(client, name) as (connection, count):
                told = task(client, "Organization/b")
                assert [(number, focus.rpartition("/")[2]) for number, focus in events(connection, 1)] == [
                    (count + 1, told)
                ]
        server.stop()
