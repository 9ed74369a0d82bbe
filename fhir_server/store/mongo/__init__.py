"""The MongoDB store: a replica set or sharded cluster, through pymongo."""

from fhir_server.store.mongo.store import MongoStore

__all__ = ["MongoStore"]
