"""Three server processes on one database, asked over HTTP: who is first is one, the feed has no gaps, and all recover."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from fhir_server.cli.demo_server import choose_port
from fhir_server.model.clock import SystemClock
from fhir_server.outbound.lease import Lease
from fhir_server.store.mongo import MongoStore
from tests.contract.store.conftest import new_database
from tests.contract.store.mongo_server import Server, database_url, running

JSON = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
SERVERS = 3


class Fleet(NamedTuple):
    """Servers on one database."""

    database: Server
    url: str
    clients: list[httpx.Client]

    def any(self, number: int) -> httpx.Client:
        return self.clients[number % len(self.clients)]


@contextmanager
def serving(url: str, folder: Path, **settings: str) -> Iterator[httpx.Client]:
    """A server process, asked to stop at the end."""
    port = choose_port(0)
    keys = {"FHIR_CURSOR_KEY_FILE": str(folder / "c"), "FHIR_MASTER_KEY_FILE": str(folder / "m")}
    keys |= {"FHIR_BASE_URL": "http://127.0.0.1/fhir"}  # one for all, as behind a balancer
    keys |= {"FHIR_KEY_FOLDER": str(folder / "keys"), "FHIR_PUBLISH_ARTIFACTS": "false", "FHIR_BUSY_SECONDS": "20"}
    command = [sys.executable, "-m", "fhir_server", "serve", "--port", str(port), "--store", url]
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | keys | settings, stdout=log, stderr=log, cwd=folder)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/fhir", headers=JSON, timeout=60) as client:
            until = time.monotonic() + 30
            while not _answers(client):
                assert process.poll() is None, (folder / f"{port}.log").read_text()
                assert time.monotonic() < until
                time.sleep(0.1)
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/Task?_count=0").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with running() as database, ExitStack() as stack:
        url = database_url(database.url, new_database())
        first = stack.enter_context(serving(url, folder))  # makes the database, and the keys that all share
        others = [stack.enter_context(serving(url, folder)) for _ in range(SERVERS - 1)]
        yield Fleet(database, url, [first, *others])


def task(owner: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Task", "status": "requested", "intent": "order", "owner": {"reference": owner}, **more}


def test_a_storm_of_conditional_creates_over_all_servers_makes_one_resource(fleet: Fleet) -> None:
    named = {"resourceType": "Patient", "identifier": [{"system": "urn:storm", "value": "1"}]}

    def create(number: int) -> int:
        headers = {"If-None-Exist": "identifier=urn:storm|1"}
        return fleet.any(number).post("/Patient", json=named, headers=headers).status_code

    with ThreadPoolExecutor(12) as pool:
        found = sorted(pool.map(create, range(24)))
    assert found == [200] * 23 + [201]
    for client in fleet.clients:
        assert client.get("/Patient?identifier=urn:storm|1").json()["total"] == 1


def test_a_storm_of_updates_of_one_version_over_all_servers_has_one_winner(fleet: Fleet) -> None:
    assert fleet.any(0).put("/Task/one", json=task("Organization/0", id="one")).status_code == 201

    def update(number: int) -> int:
        body = task(f"Organization/{number + 1}", id="one")
        return fleet.any(number).put("/Task/one", json=body, headers={"If-Match": 'W/"1"'}).status_code

    with ThreadPoolExecutor(12) as pool:
        found = sorted(pool.map(update, range(24)))
    assert found == [200] + [412] * 23
    bodies = [client.get("/Task/one").json() for client in fleet.clients]
    assert bodies[0]["meta"]["versionId"] == "2"
    assert bodies == [bodies[0]] * SERVERS


def test_the_feed_of_one_server_tells_everything_that_all_of_them_write(fleet: Fleet) -> None:
    """A reader at each server follows `$changes`, and goes on at another server with the same cursor."""
    done = threading.Event()

    def write(number: int) -> list[str]:
        return [
            fleet.any(number).post("/Task", json=task("Organization/feed")).json()["id"] for _ in range(8)
        ]  # fmt: skip

    def follow(number: int) -> list[str]:
        seen: list[str] = []
        query, turn = "", number
        while True:
            ending = done.is_set()
            answer = fleet.any(turn).get(f"/$changes?{query}" if query else "/$changes")
            assert answer.status_code == 200, answer.text
            bundle = answer.json()
            entries = [entry["resource"] for entry in bundle.get("entry", ()) if "resource" in entry]
            seen += [one["id"] for one in entries if one.get("owner") == {"reference": "Organization/feed"}]
            query = urlsplit(next(link["url"] for link in bundle["link"] if link["relation"] == "next")).query
            turn += 1
            if ending and not entries:
                return seen

    with ThreadPoolExecutor(9) as pool:
        readers = [pool.submit(follow, number) for number in range(SERVERS)]
        made = [one for written in pool.map(write, range(6)) for one in written]
        done.set()
        for reader in readers:
            seen = reader.result()
            assert len(seen) == len(set(seen)), "nothing twice"
            assert set(seen) == set(made), "nothing missed"


def test_what_is_claimed_by_a_record_is_claimed_by_one(mongo_url: str) -> None:
    url = database_url(mongo_url, new_database())
    stores = [MongoStore(url, SystemClock(), busy_seconds=20.0) for _ in range(SERVERS)]
    leases = [Lease(store, SystemClock(), "deliver", str(number)) for number, store in enumerate(stores)]
    with ThreadPoolExecutor(SERVERS) as pool:
        for _ in range(4):
            held = list(pool.map(lambda lease: lease.hold(), leases))
            assert sum(held) == 1
            leases[held.index(True)].release()
    for store in stores:
        store.close()


def test_a_database_that_goes_away_is_a_503_and_the_server_goes_on_when_it_is_back(tmp_path: Path) -> None:
    with running(durable=True) as database:
        url = database_url(database.url, new_database())
        with serving(url, tmp_path, FHIR_BUSY_SECONDS="1") as client:
            assert client.put("/Task/1", json=task("Organization/1", id="1")).status_code == 201
            database.kill()
            for answer in (client.get("/Task/1"), client.put("/Task/2", json=task("Organization/1", id="2"))):
                assert answer.status_code == 503, answer.text
                assert int(answer.headers["retry-after"]) >= 1
                assert answer.json()["resourceType"] == "OperationOutcome"
            database.start()
            assert client.get("/Task/1").json()["owner"] == {"reference": "Organization/1"}
            assert client.put("/Task/3", json=task("Organization/1", id="3")).status_code == 201
            found = client.get("/Task?owner=Organization/1").json()
            assert [entry["resource"]["id"] for entry in found["entry"]] == ["3", "1"]


def test_a_server_that_cannot_start_ends_and_says_what_is_missing(mongo_url: str, tmp_path: Path) -> None:
    url = database_url(mongo_url, new_database())
    store = MongoStore(url, SystemClock())
    store.link.db["current"].drop_index("current_key")
    store.close()
    command = [sys.executable, "-m", "fhir_server", "serve", "--port", "0", "--store", url]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 1
    said = ended.stderr.decode()
    assert "current_key on current" in said
    assert "Traceback" not in said
