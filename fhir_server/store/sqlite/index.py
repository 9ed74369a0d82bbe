"""Writing the index: the rows of one version go in together, and exactly they go out again."""

from collections.abc import Sequence

import msgspec

from fhir_server.search.values import Entry
from fhir_server.store.sqlite import words
from fhir_server.store.sqlite.encode import Table, encode
from fhir_server.store.sqlite.link import Link
from fhir_server.store.sqlite.names import PendingNames

_INSERT = {
    Table.REF: "INSERT INTO ref (p, target, seq) VALUES (?, ?, ?)",
    Table.STR: "INSERT INTO str (p, v, x, seq) VALUES (?, ?, ?, ?)",
    Table.DT: "INSERT INTO dt (p, lo, hi, seq) VALUES (?, ?, ?, ?)",
    Table.NUM: "INSERT INTO num (p, v, seq) VALUES (?, ?, ?)",
    Table.QTY: "INSERT INTO qty (p, v, system, code, unit, seq) VALUES (?, ?, ?, ?, ?, ?)",
    Table.GEO: "INSERT INTO geo (p, cell, lat, lon, seq) VALUES (?, ?, ?, ?, ?)",
}
_REMOVE = {table: f"DELETE FROM {(table.name or '').lower()} WHERE seq = ?" for table in Table}
_keys = msgspec.json.Decoder(dict[int, list[str]])


def insert(
    link: Link, names: PendingNames, resource_type: str, seq: int, entries: Sequence[Entry], before: int | None = None
) -> bool:
    """Write the index rows of a version that has become current; return whether it has a text for `words` to take.

    `before` is the row of its text in the index that is replaced.
    """
    execute = link.execute

    def make(param: str, kind: str) -> int:
        return names.make(execute, (resource_type, param, kind))

    rows = encode(resource_type, entries, names.of_type(resource_type), make)
    mask = 0
    for table, found in rows.tables.items():
        mask |= table.value
        link.executemany(_INSERT[table], [(*row, seq) for row in found])
    if rows.keys:
        link.executemany("INSERT INTO eq VALUES (?, ?, ?)", [(p, v, seq) for p, vs in rows.keys.items() for v in vs])
    keys = msgspec.json.encode(rows.keys).decode()
    row = None if rows.texts is None and before is None else words.row_number(seq, before)
    execute("INSERT INTO doc VALUES (?, ?, ?, ?, ?, ?)", (seq, mask, rows.present, keys, rows.composite, row))
    if rows.texts is None:
        return False
    execute(words.INSERT, (row, *rows.texts))
    return True


def remove(link: Link, seq: int) -> int | None:
    """Remove the index rows of a version: those that were written, whatever this release would write.

    Returns the row of its text, which stays in `words` if it got there, and is not read again.
    """
    mask, keys, row = link.execute("SELECT tables, keys, words FROM doc WHERE seq = ?", (seq,)).fetchone()
    link.execute("DELETE FROM doc WHERE seq = ?", (seq,))
    for table, text in _REMOVE.items():
        if mask & table.value:
            link.execute(text, (seq,))
    rows = [(p, v, seq) for p, values in _keys.decode(keys).items() for v in values]
    if rows:
        link.executemany("DELETE FROM eq WHERE p = ? AND v = ? AND seq = ?", rows)
    if row is not None:
        link.execute(words.REMOVE, (row,))
    return None if row is None else int(row)
