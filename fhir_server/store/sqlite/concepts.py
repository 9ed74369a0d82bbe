"""Large code systems in the store file: one table of concepts for each edition, so that removing one is dropping tables.

`concept_<n>` holds the concepts of edition n by number, `concept_words_<n>` (FTS5 without content) their words, and
`concept_parent_<n>` the hierarchy. An edition is staged while `edition.live` is 0: nobody asks its tables then.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from fhir_server.store.concepts import Edition, Ranges, StoredConcept
from fhir_server.store.sqlite.link import Link

EDITION: Final = "number, system, version, concepts, loaded, body"
"""The columns of an Edition."""
STAMP: Final = "editions"
"""The note that counts the changes of the visible editions."""


class SqliteConcepts:
    """The part of a snapshot that tells of editions; see `store.concepts.ConceptReader` for what each method promises."""

    __slots__ = ()
    _execute: Callable[..., sqlite3.Cursor]
    _link: Link

    def editions_stamp(self) -> int:
        """Return a number that grows with every change of the visible editions."""
        row = self._execute("SELECT value FROM note WHERE name = ?", (STAMP,)).fetchone()
        return 0 if row is None else int(row[0])

    def editions(self, system: str | None = None) -> list[Edition]:
        """Return the visible editions, of one system or of all."""
        text = f"SELECT {EDITION} FROM edition WHERE live AND (?1 IS NULL OR system = ?1) ORDER BY number"
        return [Edition(*row) for row in self._execute(text, (system,))]

    def concept(self, edition: int, key: str) -> StoredConcept | None:
        """Return the concept with a key."""
        found = self._concepts(edition, "WHERE key = ?", key)
        return found[0] if found else None

    def concept_reach(self, edition: int, number: int) -> bytes:
        """Return the `reach` of a concept."""
        if not self._is_live(edition):
            return b""
        row = self._execute(f"SELECT reach FROM concept_{edition:d} WHERE number = ?", (number,)).fetchone()
        return b"" if row is None else bytes(row[0])

    def concepts_of(self, edition: int, keys: Sequence[str]) -> list[StoredConcept]:
        """Return the concepts with these keys."""
        return self._concepts(
            edition, "WHERE key IN (SELECT value FROM json_each(?)) ORDER BY number", json.dumps(keys)
        )

    def concept_parents(self, edition: int, numbers: Sequence[int]) -> list[StoredConcept]:
        """Return the concepts directly above any of these."""
        return self._concepts(
            edition,
            f"""WHERE number IN (SELECT p.parent FROM json_each(?) AS j
                CROSS JOIN concept_parent_{edition:d} AS p ON p.child = j.value) ORDER BY number""",
            json.dumps(numbers),
        )

    def concept_children(self, edition: int, number: int, limit: int = 1_000) -> list[StoredConcept]:
        """Return the first concepts directly below one."""
        below = (
            f"WHERE number IN (SELECT child FROM concept_parent_{edition:d} WHERE parent = ? ORDER BY child LIMIT ?)"
        )
        return self._concepts(edition, f"{below} ORDER BY number", number, limit)

    def concept_page(
        self, edition: int, within: Ranges, words: Sequence[str], offset: int, limit: int
    ) -> list[StoredConcept]:
        """Return concepts within ranges of numbers; those whose words start with all of `words`."""
        if words:
            with self._link.bounded():
                numbers = list(islice(self._having(edition, within, words), offset, offset + limit))
            return self._concepts(
                edition, "WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number", json.dumps(numbers)
            )
        found: list[StoredConcept] = []
        for low, high in _part(within, offset, limit):
            found += self._concepts(edition, "WHERE number BETWEEN ? AND ? ORDER BY number", low, high)
        return found

    def concept_count(self, edition: int, within: Ranges, words: Sequence[str]) -> int:
        """Count what `concept_page` would give in all."""
        if not words:
            return sum(high - low + 1 for low, high in within)
        with self._link.bounded():
            return sum(1 for _ in self._having(edition, within, words))

    def _concepts(self, edition: int, rest: str, *values: object) -> list[StoredConcept]:
        if not self._is_live(edition):
            return []
        text = f"SELECT number, key, body FROM concept_{edition:d} {rest}"
        return [StoredConcept(*row) for row in self._execute(text, values)]

    def _is_live(self, edition: int) -> bool:
        return self._execute("SELECT 1 FROM edition WHERE number = ? AND live", (edition,)).fetchone() is not None

    def _having(self, edition: int, within: Ranges, words: Sequence[str]) -> Iterator[int]:
        """Yield the numbers within the ranges whose words start with all of these."""
        if not within or not self._is_live(edition):
            return
        name = f"concept_words_{edition:d}"
        text = f"SELECT rowid FROM {name} WHERE {name} MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid"
        asked = " AND ".join(f'"{word}"*' for word in words)  # quoted, so that no word is an operator
        rows = self._execute(text, (asked, within[0][0], within[-1][1]))
        ranges = iter(within)
        low, high = next(ranges)
        for (number,) in rows:
            while number > high:
                low, high = next(ranges)
            if number >= low:
                yield number


def _part(within: Ranges, offset: int, limit: int) -> Iterator[tuple[int, int]]:
    """Yield what remains of ranges when `offset` numbers are skipped and `limit` are taken."""
    for low, high in within:
        start = low + offset
        if limit <= 0:
            return
        if start <= high:
            end = min(high, start + limit - 1)
            yield start, end
            limit -= end - start + 1
        offset = max(0, offset - (high - low + 1))
