"""The websocket channel, tried with the client library `websockets` (Subscriptions R5 Backport, R4 subscription.html)."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.conftest import served
from tests.http.websocket_client import bind, events, read, subscribe, subscribe_plain, token


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with served(tmp_path_factory.mktemp("websocket")) as client:
        yield client


def url_of(client: httpx.Client) -> str:
    return f"ws://127.0.0.1:{client.base_url.port}/ws"


def task(client: httpx.Client, text: str = "", **headers: str) -> str:
    body = {"resourceType": "Task", "status": "requested", "intent": "order", "description": text or "one"}
    answer = client.post("/Task", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_a_bound_client_is_told_each_change_with_its_number(own: httpx.Client) -> None:
    name = subscribe(own)
    with bind(own, name) as (connection, count):
        assert count == 0
        made = [task(own) for _ in range(5)]
        told = events(connection, 5)
        assert [number for number, _ in told] == [1, 2, 3, 4, 5]
        assert [focus.rpartition("/")[2] for _, focus in told] == made


def test_plain_r4_is_bound_by_its_id_and_pinged(own: httpx.Client) -> None:
    name = subscribe_plain(own, "Task?status=requested&intent=order")
    with connect(url_of(own)) as connection:
        connection.send(f"bind {name}")
        assert connection.recv(timeout=5) == f"bound {name}"
        task(own)
        assert connection.recv(timeout=5) == f"ping {name}"


def test_dropped_in_a_burst_nothing_is_lost_and_no_number_skipped(own: httpx.Client) -> None:
    name = subscribe(own)
    with bind(own, name) as (connection, _):
        made = [task(own) for _ in range(10)]
        first = events(connection, 3)
        connection.socket.shutdown(SHUT_RDWR)  # the network is gone, without a word
    made += [task(own) for _ in range(10)]
    seen = dict(first)
    deadline = time.monotonic() + 10
    with bind(own, name) as (again, count):
        made += [task(own) for _ in range(5)]
        seen |= dict(events(again, 25 - count))
        missed = {"eventsSinceNumber": str(max(number for number, _ in first) + 1), "eventsUntilNumber": str(count)}
        bundle = own.get(f"/Subscription/{name}/$events", params=missed).json()
        for part in bundle["entry"][0]["resource"]["parameter"]:
            if part["name"] == "notification-event":
                said = {one["name"]: one for one in part["part"]}
                seen[int(said["event-number"]["valueString"])] = said["focus"]["valueReference"]["reference"]
    assert time.monotonic() < deadline
    assert sorted(seen) == list(range(1, 26))
    assert [seen[number].rpartition("/")[2] for number in sorted(seen)] == made


def test_several_subscriptions_share_a_connection(own: httpx.Client) -> None:
    names = [subscribe(own, content="empty"), subscribe(own, content="full-resource")]
    said, place = token(own, *names)
    with connect(place) as connection:
        connection.send(f"bind-with-token {said}")
        assert [read(connection)[0] for _ in names] == ["handshake", "handshake"]
        task(own, "said in full")
        messages = [str(connection.recv(timeout=5)) for _ in names]
        assert sorted("said in full" in message for message in messages) == [False, True]


@pytest.mark.parametrize(
    "command", ["bind-with-token nonsense", "bind no-such-id", "hello", "bind-with-token " + "x" * 9000]
)
def test_what_may_not_be_bound_ends_the_connection(own: httpx.Client, command: str) -> None:
    with connect(url_of(own)) as connection:
        connection.send(command)
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


def test_a_subscription_that_is_deleted_is_bound_no_more(own: httpx.Client) -> None:
    name = subscribe(own)
    with bind(own, name) as (connection, _):
        task(own)
        assert len(events(connection, 1)) == 1
        own.delete(f"/Subscription/{name}")
        with connect(url_of(own)) as late:
            late.send(f"bind {name}")
            with pytest.raises(ConnectionClosed):
                late.recv(timeout=5)


def test_who_did_not_make_a_subscription_gets_no_token(own: httpx.Client, refused: Any) -> None:
    name = subscribe(own)
    other = {"X-Dev-Organization": "Organization/other"}
    refused(own.get(f"/Subscription/{name}/$get-ws-binding-token", headers=other), 404)
    refused(own.get("/Subscription/$get-ws-binding-token"), 400, "operation-input")
    answer = own.get(f"/Subscription/{name}/$get-ws-binding-token")
    assert answer.json()["parameter"][2]["valueString"] == f"Subscription/{name}"


def test_where_access_is_enforced_only_a_token_binds_and_the_maker_sees_only_what_it_may(fresh_server: Any) -> None:
    server = fresh_server(publish_artifacts=False, enforce_access=True)
    gp, other = {"X-Dev-Organization": "Organization/gp"}, {"X-Dev-Organization": "Organization/other"}
    with httpx.Client(base_url=server.base, timeout=30) as client:
        name = subscribe(client, headers=gp)
        with connect(url_of(client)) as connection:
            connection.send(f"bind {name}")
            with pytest.raises(ConnectionClosed, match="token"):
                connection.recv(timeout=5)
        with bind(client, name, **gp) as (connection, _):
            task(client, **other)
            mine = task(client, **gp)
            told = events(connection, 1)
            assert [(number, focus.rpartition("/")[2]) for number, focus in told] == [(1, mine)]


def test_a_client_of_another_process_on_the_same_store_is_told_too(own: httpx.Client, tmp_path: Path) -> None:
    """The dispatcher runs in one process, the websocket and the write in another."""
    store = tmp_path / "two.sqlite"
    command = [sys.executable, "-m", "fhir_server", "serve", "--port", "0", "--store", str(store)]
    environment = {"FHIR_PUBLISH_ARTIFACTS": "false", "PATH": "/usr/bin:/bin", "FHIR_LOG_LEVEL": "error"}
    processes, bases = [], []
    try:
        for _ in range(2):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
            processes.append(process)
            for line in process.stdout or ():
                if "base" in line:
                    bases.append(line.split()[1])
                if "ready" in line:
                    break
        clients = [httpx.Client(base_url=base, timeout=30) for base in bases]
        name = subscribe(clients[0])
        with (
            bind(clients[0], name, url=url_of(clients[0])) as (one, _),
            bind(clients[0], name, url=url_of(clients[1])) as (two, _),
        ):
            made = [task(clients[number % 2]) for number in range(10)]
            for connection in (one, two):
                told = events(connection, 10)
                assert [number for number, _ in told] == list(range(1, 11))
                assert [focus.rpartition("/")[2] for _, focus in told] == made
        for client in clients:
            client.close()
    finally:
        for process in processes:
            process.terminate()
            process.wait(timeout=15)
            if process.stdout:
                process.stdout.close()
