"""Opening two stores at once, each without the encryption around it: what `store` and `copy` work on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import click

from fhir_server.app import open_plain_store
from fhir_server.cli.copying import Inventory, Side
from fhir_server.model.clock import Clock
from fhir_server.model.errors import FhirError
from fhir_server.settings import Settings
from fhir_server.store.port import Store


@contextmanager
def open_side(settings: Settings, url: str, clock: Clock) -> Iterator[Side]:
    """Open the store at a URL. Raises ClickException when it does not open."""
    its = replace(settings, store=url)
    try:
        its.store_path.parent.mkdir(parents=True, exist_ok=True)
        store = open_plain_store(its, clock)
    except (FhirError, OSError) as error:
        raise click.ClickException(f"the store {its.store_name} does not open: {error}") from error
    try:
        yield Side(store, _inventory(store))
    finally:
        store.close()


def _inventory(store: Store) -> Inventory:
    from fhir_server.store.sqlite import SqliteStore

    if isinstance(store, SqliteStore):
        from fhir_server.store.sqlite.inventory import SqliteInventory

        return SqliteInventory(store)
    from fhir_server.store.mongo import MongoStore
    from fhir_server.store.mongo.inventory import MongoInventory

    if not isinstance(store, MongoStore):
        raise TypeError(f"a store of another make: {type(store).__name__}")
    return MongoInventory(store)
