"""The collections of a store and their indexes; docs/adr/0013 says why they are these.

`versions`  every version of everything, append-only: `_id` sequence, `t` type, `i` id, `v` version, `u` lastUpdated in
            milliseconds, `m` method, `b` body (absent for a deletion). It is the history and the change feed.
`current`   the search index, a document for each current, undeleted resource (`store.mongo.encode`): `_id` `Type/id`.
`audit`     `_id` number, `r` record, `d` digest, `u` recorded, `a` the keys that it is found by.
`outbox`    `_id` number, `s` sequence, `t` topic, `p` payload.
`records`   `_id` kind and key, `k` kind, `b` body, `d` due.
`notes`     `_id` name, `v` value.
`state`     `commit`: the numbers that every commit counts up (docs/adr/0014); `schema`: the newest migration that was
            applied; `anchor`: where the audit trail starts; `editions`: the stamp of the loaded code systems.
`editions`, `concepts`  code systems that were loaded whole (`store.mongo.concepts`).
"""

from typing import NamedTuple

from pymongo import IndexModel

VERSIONS = "versions"
CURRENT = "current"
AUDIT = "audit"
OUTBOX = "outbox"
RECORDS = "records"
NOTES = "notes"
STATE = "state"
EDITIONS = "editions"
CONCEPTS = "concepts"

COMMIT, SCHEMA, ANCHOR = "commit", "schema", "anchor"
"""The documents of `state`."""

UNIT = "\x1f"
"""Between the kind and the key of a record, and between the parts of an index key that may contain blanks."""


class Index(NamedTuple):
    """One index; the name says what it is for."""

    name: str
    keys: tuple[tuple[str, int], ...]
    unique: bool = False

    def model(self) -> IndexModel:
        """Return what pymongo makes it from."""
        return IndexModel(list(self.keys), name=self.name, unique=self.unique)


INDEXES: dict[str, tuple[Index, ...]] = {
    VERSIONS: (
        Index("version_of", (("t", 1), ("i", 1), ("v", -1)), unique=True),
        Index("version_type", (("t", 1), ("_id", 1))),
        Index("version_time", (("u", 1), ("_id", 1))),
    ),
    CURRENT: (
        # A compound index may hold one array: each of these has its own, and ends in the order of `_lastUpdated`.
        Index("current_key", (("k", 1), ("u", -1), ("s", -1))),
        Index("current_word", (("w", 1), ("u", -1), ("s", -1))),
        Index("current_type", (("t", 1), ("u", -1), ("s", -1))),
    ),
    AUDIT: (
        Index("audit_about", (("a", 1), ("_id", 1))),
        Index("audit_time", (("u", 1), ("_id", 1))),
    ),
    OUTBOX: (),
    RECORDS: (Index("record_due", (("k", 1), ("d", 1), ("_id", 1))),),
    NOTES: (),
    STATE: (),
    EDITIONS: (Index("edition_of", (("system", 1), ("_id", 1))),),
    CONCEPTS: (
        Index("concept_key", (("e", 1), ("k", 1)), unique=True),
        Index("concept_number", (("e", 1), ("n", 1)), unique=True),
        Index("concept_parent", (("e", 1), ("p", 1), ("n", 1))),
        Index("concept_word", (("e", 1), ("w", 1), ("n", 1))),
    ),
}
"""Every index, by collection; `_id` has its own everywhere."""

STEP = 1
"""The newest migration that this release knows (`store.mongo.schema`)."""
