"""Taking out of the file what nobody can ask for any more: words of versions that are gone, and bytes that lie in free pages.

What an erasure or an update leaves behind says nothing to a search, but it is in the file until it is overwritten. The words
are written anew without it (an FTS5 index without content cannot forget one row), the file is made anew by VACUUM, and the
log is emptied. Writers wait meanwhile, and get Unavailable when it takes longer than they may wait.
"""

import time
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from fhir_server.model.errors import Unavailable
from fhir_server.store.sqlite.link import Link
from fhir_server.store.sqlite.schema import WORDS

_PAUSE_SECONDS = 0.05
_LIVE = """SELECT s.doc, s.col, s.term FROM temp.said AS s
    WHERE s.doc IN (SELECT d.words FROM doc AS d WHERE d.words IS NOT NULL) ORDER BY s.doc, s.col, s.offset"""
_INSERT = "INSERT INTO words_kept (rowid, narrative, content) VALUES (?, ?, ?)"


def purge(link: Link, seconds: float) -> None:
    """Purge the file on a connection of its own; wait so long for readers to let go of the log.

    Raises sqlite3.Error when another process writes or the disk is full, Unavailable when the log cannot be emptied.
    """
    execute = link.execute
    execute("PRAGMA temp_store = FILE")  # what is sorted may be large
    execute("CREATE VIRTUAL TABLE temp.said USING fts5vocab(main, words, instance)")
    execute("BEGIN IMMEDIATE")
    try:
        execute(WORDS.format(name="words_kept"))
        link.executemany(_INSERT, _texts(link))
        execute("DROP TABLE words")
        execute("ALTER TABLE words_kept RENAME TO words")
        execute("COMMIT")
    finally:
        if link.connection.in_transaction:
            execute("ROLLBACK")
    execute("DROP TABLE temp.said")
    execute("VACUUM")
    until = time.monotonic() + seconds
    while execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > until:
            raise Unavailable("The file was made anew, but its log is held by a reader. Purge again later to empty it.")
        time.sleep(_PAUSE_SECONDS)


def _texts(link: Link) -> Iterator[tuple[int, str, str]]:
    """Yield the row, narrative and content of what is live, out of the words and where they stand."""
    rows: Iterator[tuple[int, str, str]] = link.execute(_LIVE)
    for row, found in groupby(rows, key=itemgetter(0)):
        columns: dict[Any, list[str]] = {"narrative": [], "content": []}
        for _, column, term in found:
            columns[column].append(term)
        yield row, " ".join(columns["narrative"]), " ".join(columns["content"])
