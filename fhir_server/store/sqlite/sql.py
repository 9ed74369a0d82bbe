"""Pieces of SQL with the values that are bound in them, in the order of their question marks."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

_LAST = 0x10FFFF
_TOGETHER = 8
"""Conditions that stand beside each other in one pair of brackets."""
_DEEPEST_FIRST: Final = ContextVar("deepest_first", default=False)
_SURROGATES = (0xD7FF, 0xE000)
_MANY = 1_000


class Sql(NamedTuple):
    """A text and its values."""

    text: str
    values: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return self.text


TRUE = Sql("1")
FALSE = Sql("0")


def joined(pieces: Iterable[Sql], word: str, empty: Sql) -> Sql:
    """Combine conditions with AND or OR; of many, as a balanced tree: SQLite bounds the depth of an expression.

    Under `deepest_first` the longest comes first.
    """
    parts = [piece for piece in pieces if piece is not FALSE] if word == "OR" else list(pieces)
    if not parts:
        return FALSE if word == "OR" else empty
    if _DEEPEST_FIRST.get():
        parts.sort(key=lambda part: -len(part.text))
    while len(parts) > 1:
        groups = [parts[i : i + _TOGETHER] for i in range(0, len(parts), _TOGETHER)]
        parts = [_grouped(group, word) for group in groups]
    return parts[0]


@contextmanager
def deepest_first() -> Iterator[None]:
    """Put the longest condition first meanwhile, wherever several stand together.

    What stands before a nested condition stays on the stack of SQLite's parser, which holds a hundred symbols, through all
    that is nested in it. It costs time when run: the short ones, which decide cheaply, are then asked last.
    """
    token = _DEEPEST_FIRST.set(True)  # what it is set to
    try:
        yield
    finally:
        _DEEPEST_FIRST.reset(token)


def _grouped(parts: list[Sql], word: str) -> Sql:
    if len(parts) == 1:
        return parts[0]
    text = f" {word} ".join([part.text for part in parts])
    return Sql(f"({text})", tuple(value for part in parts for value in part.values))


def both(pieces: Iterable[Sql]) -> Sql:
    """All hold; what holds anyway is left out."""
    return joined((piece for piece in pieces if piece is not TRUE), "AND", TRUE)


def among(column: str, values: Iterable[Any]) -> Sql:
    """The column is one of these values; many are bound as one, for which no build of SQLite has too few places."""
    listed = tuple(values)
    if len(listed) == 1:
        return Sql(f"{column} = ?", listed)
    if len(listed) > _MANY and not any("\0" in str(value) for value in listed):  # at which SQLite ends a text in JSON
        return Sql(f"{column} IN (SELECT value FROM json_each(?))", (json.dumps(listed, ensure_ascii=False),))
    return Sql(f"{column} IN ({','.join('?' * len(listed))})", listed)


def begins(column: str, prefix: str) -> Sql:
    """The column begins with this text, as a range that an index can serve."""
    if not prefix:
        return TRUE
    beyond = successor(prefix)
    if beyond is None:
        return Sql(f"{column} >= ?", (prefix,))
    return Sql(f"({column} >= ? AND {column} < ?)", (prefix, beyond))


def exists(tables: str, probe: str, wanted: Sql, *values: object) -> Sql:
    """There is a row of the tables; `values` are those of the probe."""
    return Sql(f"EXISTS (SELECT 1 FROM {tables} WHERE {probe} AND {wanted})", (*values, *wanted.values))


def successor(prefix: str) -> str | None:
    """Return the least text that is greater than every text with this prefix; None when there is none."""
    kept = prefix.rstrip(chr(_LAST))
    if not kept:
        return None
    code = ord(kept[-1])
    return kept[:-1] + chr(_SURROGATES[1] if code == _SURROGATES[0] else code + 1)
