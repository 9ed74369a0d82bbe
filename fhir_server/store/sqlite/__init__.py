"""The SQLite store."""

from fhir_server.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
