"""The stores that must keep the contract. A new adapter is one more line in `FACTORIES`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fhir_server.model.clock import Clock, SystemClock
from fhir_server.store.port import Store
from fhir_server.store.sqlite import SqliteStore

Factory = Callable[[Path, Clock, float], Store]


def _sqlite(folder: Path, clock: Clock, query_seconds: float) -> Store:
    return SqliteStore(folder / "store.db", clock, query_seconds=query_seconds)


FACTORIES: dict[str, Factory] = {"sqlite": _sqlite}
"""Each opens the store that lives in a folder, with a limit on the seconds of one search."""


@pytest.fixture(params=FACTORIES)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Store]]:
    opened: list[Store] = []

    def open_one(clock: Clock | None = None, query_seconds: float = 5.0) -> Store:
        opened.append(FACTORIES[request.param](tmp_path, clock or SystemClock(), query_seconds))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Store:
    return open_store()
