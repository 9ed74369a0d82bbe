"""Whether the directory is near a snapshot depends on changes of the directory, not on what else happens in the store."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.interactions.offers import Directory
from fhir_server.model.clock import SystemClock
from fhir_server.store.sqlite import SqliteStore

MANY = 60


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "fhir.sqlite", SystemClock())
    yield opened
    opened.close()


def write(store: SqliteStore, resource_type: str, count: int) -> None:
    def put(number: int) -> None:
        body = json.dumps({"resourceType": resource_type, "id": f"x{number}"}).encode()
        store.write(lambda uow: uow.put(resource_type, f"x{number}", 1, body, (), "POST"))

    for number in range(count):
        put(number)


def test_a_directory_that_was_never_read_is_far(store: SqliteStore) -> None:
    assert not store.read(Directory().is_near)


def test_many_changes_elsewhere_leave_it_near(store: SqliteStore) -> None:
    directory = Directory()
    store.read(directory.fresh)
    write(store, "Basic", MANY)
    assert store.read(directory.is_near)
    store.read(directory.fresh)
    assert store.read(directory.is_near)


def test_many_changes_of_services_must_be_read_first(store: SqliteStore) -> None:
    directory = Directory()
    store.read(directory.fresh)
    write(store, "HealthcareService", MANY)
    assert not store.read(directory.is_near)
    store.read(directory.fresh)
    assert store.read(directory.is_near)
    assert directory.offer("x0") is not None


def test_who_provides_a_service_is_known_of_its_offer(store: SqliteStore) -> None:
    body = b'{"resourceType":"HealthcareService","id":"s","providedBy":{"reference":"Organization/o"}}'
    store.write(lambda uow: uow.put("HealthcareService", "s", 1, body, (), "POST"))
    directory = Directory()
    store.read(directory.fresh)
    offer = directory.offer("s")
    assert offer is not None
    assert offer.provider == "Organization/o"
