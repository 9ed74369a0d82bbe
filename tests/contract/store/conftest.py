"""The stores that must keep the contract. A new adapter is one more line in `FACTORIES`."""

import secrets
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from fhir_server.model.clock import Clock, SystemClock
from fhir_server.store.mongo import MongoStore
from fhir_server.store.port import Store
from fhir_server.store.sealed import MasterKeys, NationalNumbers, SealedStore
from fhir_server.store.sqlite import SqliteStore
from tests.contract.store.mongo_server import NAMED, database_url, running

Factory = Callable[[str, Path, Clock, float], Store]
"""Opens the store at a place: the URL of a server, or "" for a folder."""


def _sqlite(server: str, folder: Path, clock: Clock, query_seconds: float) -> Store:
    return SqliteStore(folder / "store.db", clock, query_seconds=query_seconds)


def _mongo(server: str, folder: Path, clock: Clock, query_seconds: float) -> Store:
    return MongoStore(database_url(server, _database(folder)), clock, query_seconds=query_seconds, busy_seconds=20.0)


@cache
def _database(folder: Path) -> str:
    """Return the name of the database that stands for a folder."""
    return new_database()


def new_database() -> str:
    """The name of a database that no test has."""
    return f"test_{secrets.token_hex(8)}"


def _sealed(server: str, folder: Path, clock: Clock, query_seconds: float) -> Store:
    inner = (_mongo if server else _sqlite)(server, folder, clock, query_seconds)
    return SealedStore(inner, MasterKeys(lambda: (b"k" * 32,)), NationalNumbers(["urn:oid:2.16.840"]))


FACTORIES: dict[str, Factory] = {
    "sqlite": _sqlite,
    "secantus": _mongo,
    "sealed": _sealed,
    **({"mongo": _mongo} if NAMED else {}),
}
"""Each opens the store that lives in a folder, with a limit on the seconds of one search.

The encryption around a store keeps the contract too: here around SQLite; tests/contract/store/test_sealed.py around each.
"""


@pytest.fixture(scope="session")
def mongo_url() -> Iterator[str]:
    """The address of one server for the whole session."""
    with running() as server:
        yield server.url


@pytest.fixture(params=FACTORIES)
def server_url(request: pytest.FixtureRequest) -> str:
    return server_at(request)


def server_at(request: pytest.FixtureRequest) -> str:
    """The server of the make that a fixture is asked for; "" for a file."""
    if request.param == "secantus":
        return str(request.getfixturevalue("mongo_url"))
    return NAMED if request.param == "mongo" else ""


@pytest.fixture
def share(request: pytest.FixtureRequest, server_url: str) -> int:
    """What a large case is divided by: SecantusDB needs milliseconds for what the others do in microseconds."""
    return 12 if "secantus" in request.node.name else 1


@pytest.fixture
def open_store(request: pytest.FixtureRequest, server_url: str, tmp_path: Path) -> Iterator[Callable[..., Store]]:
    opened: list[Store] = []
    factory = FACTORIES[request.node.callspec.params["server_url"]]

    def open_one(clock: Clock | None = None, query_seconds: float = 5.0) -> Store:
        opened.append(factory(server_url, tmp_path, clock or SystemClock(), query_seconds))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Store:
    return open_store()
