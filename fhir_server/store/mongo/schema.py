"""Opening a database: what the server must be able to do, the collections and indexes, and the migrations applied.

`check` says all that is missing at once. A new database is made as it must be; in one that holds a store, nothing is built
without being asked (`fhir-server store init`), for an index of a large collection takes its time.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from pymongo.errors import CollectionInvalid, OperationFailure

from fhir_server.model.errors import Unavailable
from fhir_server.store.mongo.layout import COMMIT, INDEXES, SCHEMA, STATE, STEP, VERSIONS, Index
from fhir_server.store.mongo.link import Document, Link

OLDEST = (8, 0)
"""The oldest server: its bulk write takes several collections in one request."""


def open_database(link: Link) -> None:
    """Check the server, make an empty database, and refuse one that is not as it must be. Raises Unavailable."""
    refuse(server_faults(link))
    found = link.db[STATE].find_one({"_id": SCHEMA})
    if found is None:
        make(link)
        found = link.db[STATE].find_one({"_id": SCHEMA})
    refuse(schema_faults(link, found))


def refuse(faults: Sequence[str]) -> None:
    """Raise Unavailable with everything that was found."""
    if faults:
        raise Unavailable(" ".join(("The MongoDB store cannot be used as it is.", *faults)))


def server_faults(link: Link) -> list[str]:
    """Return what is wrong with the server and with the address, as sentences that say what to do."""
    hello = link.client.admin.command("hello")
    version = str(link.client.admin.command("buildInfo").get("version", ""))
    faults = []
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        faults.append(f"The server is version {version or 'unknown'}; version {wanted} or newer is needed.")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        faults.append(
            "The server is no member of a replica set, and without one there are no transactions: start it with "
            "--replSet and run rs.initiate(); a set of one member will do for a trial."
        )
    if "w" in link.stated.document and link.stated.document["w"] != "majority":
        faults.append(
            f"The address asks for the write concern w={link.stated.document['w']}, with which an acknowledged change "
            "may be lost: take w out of it, or write w=majority."
        )
    return faults


def schema_faults(link: Link, found: Document | None) -> list[str]:
    """Return what is missing in a database that holds a store."""
    step = 0 if found is None else int(found["step"])
    if step > STEP:
        newer = f"The database has schema {step}; this release knows schemas up to {STEP}. "
        return [newer + "Run the release that wrote it, or a newer one."]
    faults = []
    if step < STEP:
        faults.append(f"The database has schema {step}, and {STEP} is needed: run fhir-server store migrate.")
    missing = [f"{index.name} on {collection}" for collection, index in missing_indexes(link)]
    if missing:
        faults.append(f"These indexes are missing: {', '.join(missing)}. Run fhir-server store init to build them.")
    return faults


def missing_indexes(link: Link) -> Iterator[tuple[str, Index]]:
    """Yield the indexes that are not there, or not as they must be."""
    for collection, indexes in INDEXES.items():
        if not indexes:
            continue
        there = link.db[collection].index_information()
        for index in indexes:
            found = there.get(index.name)
            if found is None or list(found["key"]) != list(index.keys) or bool(found.get("unique")) != index.unique:
                yield collection, index


def make(link: Link) -> None:
    """Make collections, indexes and the first documents, where they are missing; several processes may do so at once."""
    refuse(_foreign(link))
    there = set(link.db.list_collection_names())
    for collection, indexes in INDEXES.items():
        if collection not in there:
            with suppress(CollectionInvalid, OperationFailure):  # another process was first
                link.db.create_collection(collection)
        if indexes:
            link.db[collection].create_indexes([index.model() for index in indexes])
    numbers = {"n": 0, "seq": 0, "lu": 0, "audit": 0, "digest": b"", "outbox": 0}
    link.db[STATE].update_one({"_id": COMMIT}, {"$setOnInsert": numbers}, upsert=True)
    link.db[STATE].update_one({"_id": SCHEMA}, {"$setOnInsert": {"step": STEP}}, upsert=True)


def _foreign(link: Link) -> list[str]:
    """A database that holds something else is left alone."""
    there = set(link.db.list_collection_names())
    if VERSIONS not in there and there.difference(INDEXES):
        others = ", ".join(sorted(there.difference(INDEXES))[:3])
        foreign = f"The database {link.db.name!r} holds collections of another application ({others}). "
        return [foreign + "Name another database, or an empty one."]
    return []
