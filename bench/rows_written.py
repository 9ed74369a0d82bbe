"""What a request wrote: the rows of each unit of work, captured from the file that the server wrote to."""

import pickle
import sqlite3
from pathlib import Path
from typing import Any

_BY_SEQ = ("version", "head", "live", "doc", "eq", "ref", "str", "dt", "num", "qty", "geo")
_OTHERS = ("audit", "audit_about", "outbox", "fresh")
_WORDS = "SELECT f.* FROM doc AS d CROSS JOIN fresh AS f ON f.row = d.words WHERE d.seq > ? AND d.seq <= ?"


def capture(store: Path, target: Path, after_seq: int, after_audit: int, most: int = 64) -> dict[str, float]:
    """Keep the rows of up to `most` units that were written after these numbers; return rows per unit by table.

    A unit has one audit record, and its versions stand together: the record counts them in `accesses[0].entity`.
    """
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    places = {table: _column(connection, table, "seq") for table in _BY_SEQ}
    audits = connection.execute(
        "SELECT coalesce(json_array_length(record, '$.accesses[0].entity'), 0), audit.* FROM audit WHERE number > ? "
        "ORDER BY number LIMIT ?",
        (after_audit, most),
    ).fetchall()
    units: list[dict[str, Any]] = []
    seq = after_seq
    for count, *audit in audits:
        rows: dict[str, list[tuple[Any, ...]]] = {}
        for table in _BY_SEQ:
            text = f"SELECT * FROM {table} WHERE seq > ? AND seq <= ?"
            if found := connection.execute(text, (seq, seq + count)).fetchall():
                rows[table] = found
        rows["audit"] = [tuple(audit)]
        others = {
            "audit_about": ("SELECT * FROM audit_about WHERE number = ?", (audit[0],)),
            "outbox": ("SELECT * FROM outbox WHERE seq > ? AND seq <= ?", (seq, seq + count)),
            "fresh": (_WORDS, (seq, seq + count)),
        }
        for table, (text, values) in others.items():
            if found := connection.execute(text, values).fetchall():
                rows[table] = found
        ids = sorted({row[2] for row in rows["version"]})
        units.append({"seq": seq, "count": count, "rows": rows, "ids": ids})
        seq += count
    connection.close()
    seq_column = places | {"outbox": 1}
    target.write_bytes(pickle.dumps({"units": units, "seq_column": seq_column}))
    tables = (*_BY_SEQ, *_OTHERS)
    return {table: sum(len(unit["rows"].get(table, ())) for unit in units) / len(units) for table in tables}


def position(store: Path) -> tuple[int, int, int]:
    """Return the last sequence number, the last audit number and the number of commits."""
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    row = connection.execute(
        "SELECT (SELECT ifnull(max(seq), 0) FROM version), (SELECT ifnull(max(number), 0) FROM audit), (SELECT count(*) FROM commits)"
    ).fetchone()
    connection.close()
    return int(row[0]), int(row[1]), int(row[2])


def _column(connection: sqlite3.Connection, table: str, name: str) -> int:
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    return names.index(name)
