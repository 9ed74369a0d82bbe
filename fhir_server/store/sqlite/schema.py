"""The tables of a store file, and the steps that bring an older file up to date.

`version` holds every version of everything in the order of commit: it is the history and the change feed. The index
tables (`eq ref str dt num qty geo`) carry the sequence number of the version that they index, and hold rows of current,
undeleted versions only. Because the sequence follows `lastUpdated`, an equality in `eq` or `ref` already is in the order
of `_lastUpdated`, and a bound on `_lastUpdated` is a bound on the same key. Tables whose rows are not asked for by
equality have a second index that starts with the sequence, so that a plan which comes from elsewhere can probe them.
"""

import sqlite3
from collections.abc import Callable

from fhir_server.model.errors import Unavailable
from fhir_server.store.sqlite import rebuild

Statement = str | Callable[[sqlite3.Connection], None]
"""SQL, or what makes new rows from those that a file has."""

APPLICATION_ID = 0x46524546
"""Marks a file as a store of this server (`PRAGMA application_id`)."""

_FIRST = (
    # A number for each (type, parameter, kind of row); ("Task", "", "") is the number of the type itself.
    """CREATE TABLE name (
        p INTEGER PRIMARY KEY, type TEXT NOT NULL, param TEXT NOT NULL, kind TEXT NOT NULL,
        UNIQUE (type, param, kind))""",
    """CREATE TABLE version (
        seq INTEGER PRIMARY KEY, type INTEGER NOT NULL, id TEXT NOT NULL, vid INTEGER NOT NULL, lu INTEGER NOT NULL,
        method TEXT NOT NULL, body BLOB)""",
    "CREATE UNIQUE INDEX version_of ON version (type, id, vid)",
    "CREATE INDEX version_type ON version (type, seq)",
    """CREATE TABLE head (
        type INTEGER NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, vid INTEGER NOT NULL, live INTEGER NOT NULL,
        PRIMARY KEY (type, id)) WITHOUT ROWID""",
    "CREATE TABLE live (type INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (type, seq)) WITHOUT ROWID",
    # What was written to the index for a live version: `tables` is a bit set, `present` the parameters that have a
    # value (",3,17,"), `keys` its rows of `eq` ({"12": ["a"]}), `composite` the occurrences that must be told apart.
    """CREATE TABLE doc (
        seq INTEGER PRIMARY KEY, tables INTEGER NOT NULL, present TEXT NOT NULL, keys TEXT NOT NULL, composite TEXT)""",
    """CREATE TABLE eq (p INTEGER NOT NULL, v TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (p, v, seq))
        WITHOUT ROWID""",
    """CREATE TABLE ref (target TEXT NOT NULL, p INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (target, p, seq))
        WITHOUT ROWID""",
    "CREATE INDEX ref_seq ON ref (seq, p, target)",
    """CREATE TABLE str (p INTEGER NOT NULL, v TEXT NOT NULL, x TEXT NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (p, v, seq, x)) WITHOUT ROWID""",
    "CREATE INDEX str_seq ON str (seq, p, v, x)",
    """CREATE TABLE dt (p INTEGER NOT NULL, lo INTEGER NOT NULL, hi INTEGER NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (p, lo, hi, seq)) WITHOUT ROWID""",
    "CREATE INDEX dt_seq ON dt (seq, p, lo, hi)",
    "CREATE TABLE num (p INTEGER NOT NULL, v REAL NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (p, v, seq)) WITHOUT ROWID",
    "CREATE INDEX num_seq ON num (seq, p, v)",
    """CREATE TABLE qty (p INTEGER NOT NULL, v REAL NOT NULL, system TEXT NOT NULL, code TEXT NOT NULL,
        unit TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (p, v, seq, system, code, unit)) WITHOUT ROWID""",
    "CREATE INDEX qty_seq ON qty (seq, p, v, system, code, unit)",
    """CREATE TABLE geo (p INTEGER NOT NULL, lat REAL NOT NULL, lon REAL NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (p, lat, lon, seq)) WITHOUT ROWID""",
    "CREATE INDEX geo_seq ON geo (seq, p, lat, lon)",
    # One row per physical commit that changed a resource: from a time to a sequence number.
    "CREATE TABLE commits (lu INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL)",
    "CREATE TABLE audit (number INTEGER PRIMARY KEY, record BLOB NOT NULL, digest BLOB NOT NULL)",
    "CREATE TABLE outbox (number INTEGER PRIMARY KEY, seq INTEGER NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL)",
)

WORDS = """CREATE VIRTUAL TABLE {name} USING fts5(
        narrative, content, content = '', columnsize = 0, tokenize = 'ascii tokenchars _')"""
"""The index of full text, by the name of its table."""

_FULL_TEXT = (
    # `words` takes many texts at once for little, one at a time for much: they wait in `fresh` until they are many. Both
    # have the same row numbers (`store.sqlite.words`); `doc.words` is the one that counts for a version. What is there
    # under another number is of a version that is no longer current, or of an index that was made again: it says nothing.
    WORDS.format(name="words"),
    "CREATE TABLE fresh (row INTEGER PRIMARY KEY, narrative TEXT NOT NULL, content TEXT NOT NULL)",
    "ALTER TABLE doc ADD COLUMN words INTEGER",
    # What a task that takes long has done so far, and what the index was made with.
    "CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)

_RECORDS = (
    "CREATE TABLE record (kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, due INTEGER, PRIMARY KEY (kind, key)) WITHOUT ROWID",
    "CREATE INDEX record_due ON record (kind, due, key) WHERE due IS NOT NULL",
    # The audit trail is found by keys, by time, and starts after what retention took away.
    "ALTER TABLE audit ADD COLUMN recorded INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX audit_recorded ON audit (recorded, number)",
    "CREATE TABLE audit_about (about TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (about, number)) WITHOUT ROWID",
    "CREATE TABLE audit_anchor (number INTEGER NOT NULL, digest BLOB NOT NULL)",
)

_EDITIONS = (
    # Large code systems that were loaded whole (`store.sqlite.concepts`); each has tables of its own, named by its number.
    """CREATE TABLE edition (
        number INTEGER PRIMARY KEY AUTOINCREMENT, system TEXT NOT NULL, version TEXT NOT NULL, concepts INTEGER NOT NULL,
        loaded INTEGER NOT NULL, touched INTEGER NOT NULL, live INTEGER NOT NULL, body BLOB NOT NULL)""",
)

_NEARER: tuple[Statement, ...] = (rebuild.positions, rebuild.keys, rebuild.totals)

STEPS: tuple[tuple[Statement, ...], ...] = (_FIRST, _FULL_TEXT, _RECORDS, _EDITIONS, _NEARER)
"""Step n brings a file from schema n to schema n + 1; a step that was released is never changed."""


def migrate(connection: sqlite3.Connection, now_ms: Callable[[], int]) -> None:
    """Bring a file to the newest schema, each step in its own transaction; several processes may open it at once.

    Raises Unavailable when the file belongs to something else or was written by a newer release.
    """
    while (found := _schema_of(connection)) < len(STEPS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _schema_of(connection) == found:
                _step(connection, found, now_ms())
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    if found > len(STEPS):
        raise Unavailable(
            f"The store file has schema {found}; this release knows schemas up to {len(STEPS)}. "
            "Run the release that wrote it, or a newer one."
        )


def _schema_of(connection: sqlite3.Connection) -> int:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != APPLICATION_ID:
        if application or tables:
            raise Unavailable(
                "The file is an SQLite database of another application. Name another file, or an empty one."
            )
        return 0
    return int(connection.execute("SELECT max(step) FROM schema_version").fetchone()[0])


def _step(connection: sqlite3.Connection, found: int, now_ms: int) -> None:
    if found == 0:
        connection.execute("CREATE TABLE schema_version (step INTEGER PRIMARY KEY, applied_ms INTEGER NOT NULL)")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for statement in STEPS[found]:
        if isinstance(statement, str):
            connection.execute(statement)
        else:
            statement(connection)
    connection.execute("INSERT INTO schema_version VALUES (?, ?)", (found + 1, now_ms))
