"""Rows that a newer schema has, made from what an older file holds: no resource is read, so nothing waits for a reindex."""

import sqlite3

from fhir_server.store.sqlite import pairs, shapes
from fhir_server.store.sqlite.cells import cell

_GEO = (
    """CREATE TABLE cells (p INTEGER NOT NULL, cell INTEGER NOT NULL, seq INTEGER NOT NULL, lat REAL NOT NULL, lon REAL NOT NULL,
        PRIMARY KEY (p, cell, seq, lat, lon)) WITHOUT ROWID""",
    "INSERT INTO cells SELECT p, cell_of(lat, lon) AS c, seq, lat, lon FROM geo ORDER BY p, c, seq, lat, lon",
    "DROP TABLE geo",
    "ALTER TABLE cells RENAME TO geo",
    "CREATE INDEX geo_seq ON geo (seq, p, lat, lon)",
)
_NEW_KEYS = (
    # The rows that are added to `eq`, with the texts of `doc` that they change; unsorted, so that each source is read once.
    "CREATE TEMP TABLE shape (type TEXT, old TEXT, present TEXT, p INTEGER, v TEXT, PRIMARY KEY (type, old)) WITHOUT ROWID",
    "CREATE TEMP TABLE added (seq INTEGER, p INTEGER, v TEXT)",
)
_SHAPES_FOUND = """SELECT DISTINCT n.type, d.present FROM doc AS d CROSS JOIN version AS v ON v.seq = d.seq
    CROSS JOIN name AS n ON n.p = v.type"""
_SHAPES_ADDED = """INSERT INTO added SELECT d.seq, s.p, s.v FROM doc AS d CROSS JOIN version AS v ON v.seq = d.seq
    CROSS JOIN name AS n ON n.p = v.type CROSS JOIN shape AS s ON s.type = n.type AND s.old = d.present"""
_SHAPES_WRITTEN = """UPDATE doc SET present = (SELECT s.present FROM version AS v CROSS JOIN name AS n ON n.p = v.type
        CROSS JOIN shape AS s ON s.type = n.type AND s.old = doc.present WHERE v.seq = doc.seq)"""
_PAIRS_ADDED = """INSERT INTO added SELECT DISTINCT r.seq, ?, r.target || char(31) || k.value FROM ref AS r
    CROSS JOIN doc AS d ON d.seq = r.seq CROSS JOIN json_each(d.keys, ?) AS k WHERE r.p = ?"""
_FINISH = (
    "INSERT INTO eq SELECT p, v, seq FROM added ORDER BY p, v, seq",
    "CREATE INDEX temp.added_seq ON added (seq, p, v)",
    """UPDATE doc SET keys = json_patch(keys, (SELECT json_group_object(CAST(a.p AS TEXT), json(a.vs)) FROM
        (SELECT p, json_group_array(v) AS vs FROM temp.added WHERE seq = doc.seq GROUP BY p) AS a))
        WHERE seq IN (SELECT seq FROM temp.added)""",
    "DROP TABLE temp.added",
    "DROP TABLE temp.shape",
)


def positions(connection: sqlite3.Connection) -> None:
    """Key the positions by their cells."""
    connection.create_function("cell_of", 2, cell, deterministic=True)
    for statement in _GEO:
        connection.execute(statement)
    connection.create_function("cell_of", 2, None)


def keys(connection: sqlite3.Connection) -> None:
    """Give each current version its rows for absence (`shapes`) and for pairs (`pairs`)."""
    for statement in _NEW_KEYS:
        connection.execute(statement)
    for kind, old in connection.execute(_SHAPES_FOUND).fetchall():
        present = shapes.listed(int(number) for number in old.split(",") if number)
        row = (kind, old, present, _number(connection, kind, "", shapes.KIND))
        connection.execute(
            "INSERT INTO shape VALUES (?, ?, ?, ?, ?)", (*row, str(_number(connection, kind, present, shapes.KIND)))
        )
    connection.execute(_SHAPES_ADDED)
    connection.execute(_SHAPES_WRITTEN)
    for kind, of_type in pairs.PAIRS.items():
        for pair in of_type:
            reference, target = _known(connection, kind, pair.reference, "r"), None
            for state in ("k", "c"):
                p = _known(connection, kind, pair.state, state)
                if reference is not None and p is not None:
                    target = target or _number(connection, kind, pair.name, pairs.KIND)
                    connection.execute(_PAIRS_ADDED, (target, f'$."{p}"', reference))
    for statement in _FINISH:
        connection.execute(statement)


def totals(connection: sqlite3.Connection) -> None:
    """Count the current resources of each type, once; from here on every commit keeps count."""
    connection.execute("CREATE TABLE total (type INTEGER PRIMARY KEY, number INTEGER NOT NULL)")
    connection.execute("INSERT INTO total SELECT type, count(*) FROM live GROUP BY type")


def _known(connection: sqlite3.Connection, kind: str, param: str, row: str) -> int | None:
    found = connection.execute("SELECT p FROM name WHERE type = ? AND param = ? AND kind = ?", (kind, param, row))
    number = found.fetchone()
    return None if number is None else int(number[0])


def _number(connection: sqlite3.Connection, kind: str, param: str, row: str) -> int:
    number = _known(connection, kind, param, row)
    if number is None:
        number = connection.execute(
            "INSERT INTO name (type, param, kind) VALUES (?, ?, ?)", (kind, param, row)
        ).lastrowid
    assert number is not None  # noqa: S101  # a row that was inserted has a number
    return number
