"""What an operator asks of a database that the store itself would refuse to open."""

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import PyMongoError

from fhir_server.model.errors import Unavailable
from fhir_server.store.mongo import schema
from fhir_server.store.mongo.layout import INDEXES, SCHEMA, STATE, STEP
from fhir_server.store.mongo.link import Link, Settings, translated


def initialise(url: str, busy_seconds: float) -> list[str]:
    """Make the collections and indexes that are missing; return what was made. Raises Unavailable."""
    with _linked(url, busy_seconds) as link:
        schema.refuse(schema.server_faults(link))
        there = set(link.db.list_collection_names())
        made = [name for name in INDEXES if name not in there]
        made += [index.name for _, index in schema.missing_indexes(link)]
        schema.make(link)
        return made


def migrate(url: str, busy_seconds: float) -> tuple[int, int]:
    """Apply the migrations that this release knows; return the schema before and after. Raises Unavailable."""
    with _linked(url, busy_seconds) as link:
        schema.refuse(schema.server_faults(link))
        schema.make(link)
        found = link.db[STATE].find_one({"_id": SCHEMA})
        before = 0 if found is None else int(found["step"])
        if before < STEP:
            link.db[STATE].update_one({"_id": SCHEMA, "step": before}, {"$set": {"step": STEP}})
        schema.refuse(schema.schema_faults(link, link.db[STATE].find_one({"_id": SCHEMA})))
        return before, STEP


@contextmanager
def _linked(url: str, busy_seconds: float) -> Iterator[Link]:
    try:
        link = Link(Settings(url, busy_seconds=busy_seconds))
    except (PyMongoError, ValueError) as error:
        raise Unavailable(f"The address of the MongoDB store cannot be used: {error}") from error
    try:
        yield link
    except PyMongoError as error:
        raise translated(error) from error
    finally:
        link.close()
