"""Full text: two columns of folded words per version, in an FTS5 index without content of its own.

One small segment per commit would cost more than all other index tables together, so texts wait in `fresh`, in the same
transaction as everything else, and go into `words` many at once. A search asks both. A row number is the sequence of the
version and how often its index was made again, so that `doc.words` tells the row that counts; others are never read.
Folded words are letters, digits and single blanks: what the tokenizer `ascii` takes apart exactly so.
"""

from collections.abc import Callable
from typing import Any

from fhir_server.search.fulltext import CONTENT, TEXT
from fhir_server.search.query import FullText
from fhir_server.store.sqlite.names import Execute
from fhir_server.store.sqlite.sql import Sql, both

Alias = Callable[[], str]
"""Gives a table alias that nothing else in the statement has."""

WAITING = 256
"""The most texts that wait before they go into the index together: the span of their sequence numbers, which costs
nothing to know, is never less than their number."""

_GENERATION_BITS = 20
_BREAK = " _ "
"""Between texts of one parameter: a word that nobody can ask for, so that no phrase goes on across it."""

INSERT = "INSERT INTO fresh VALUES (?, ?, ?)"
REMOVE = "DELETE FROM fresh WHERE row = ?"
_SPAN = "SELECT (SELECT max(row) FROM fresh) - (SELECT min(row) FROM fresh)"
_FOLD = (
    "INSERT INTO words (rowid, narrative, content) SELECT row, narrative, content FROM fresh ORDER BY row",
    "DELETE FROM fresh",
)


def fold(execute: Execute) -> None:
    """Put the texts that wait into the index, once they are many."""
    span = execute(_SPAN).fetchone()[0]
    if span is not None and span >= WAITING << _GENERATION_BITS:
        for statement in _FOLD:
            execute(statement)


def joined(texts: dict[str, list[str]]) -> tuple[str, str] | None:
    """Return narrative and content, with a blank at either end of each; None when there is neither."""
    if not texts:
        return None
    narrative, content = (_BREAK.join(texts.get(param, ())) for param in (TEXT, CONTENT))
    return f" {narrative} ", f" {content} "


def row_number(seq: int, before: int | None) -> int:
    """Return the row for a version; `before` is the one that it had until now, None when it had none."""
    return seq << _GENERATION_BITS if before is None else before + 1


def driver(node: FullText, alias: Alias, type_number: int | None) -> Sql:
    """Return a select of the sequence numbers of the current versions of a type that have the phrases."""
    d, w, f, one, current = alias(), alias(), alias(), alias(), alias()
    waiting = _waiting(node, f)
    return Sql(
        f"SELECT {d}.seq FROM (SELECT {w}.rowid AS row FROM words AS {w} WHERE {w}.words MATCH ? "
        f"UNION ALL SELECT {f}.row FROM fresh AS {f} WHERE {waiting}) AS {one} "
        f"CROSS JOIN doc AS {d} ON {d}.seq = {one}.row >> {_GENERATION_BITS} AND {d}.words = {one}.row "
        f"CROSS JOIN live AS {current} ON {current}.type = ? AND {current}.seq = {d}.seq",
        (_asked(node), *waiting.values, type_number),
    )


def holds(node: FullText, alias: Alias, seq: str) -> Sql:
    """Return the condition that the version with number `seq` has the phrases."""
    d, w, f = alias(), alias(), alias()
    waiting = _waiting(node, f)
    return Sql(
        f"EXISTS (SELECT 1 FROM doc AS {d} WHERE {d}.seq = {seq} AND ("
        f"EXISTS (SELECT 1 FROM words AS {w} WHERE {w}.words MATCH ? AND {w}.rowid = {d}.words) OR "
        f"EXISTS (SELECT 1 FROM fresh AS {f} WHERE {f}.row = {d}.words AND {waiting})))",
        (_asked(node), *waiting.values),
    )


def _asked(node: FullText) -> str:
    columns = "{narrative content}" if node.param == CONTENT else "{narrative}"
    return " AND ".join(f'({columns} : "{phrase}")' for phrase in node.phrases)


def _waiting(node: FullText, alias: str) -> Sql:
    columns = ("narrative", "content") if node.param == CONTENT else ("narrative",)
    pieces: list[Sql] = []
    for phrase in node.phrases:
        found = [f"instr({alias}.{column}, ?)" for column in columns]
        values: tuple[Any, ...] = (f" {phrase} ",) * len(found)
        pieces.append(Sql(f"({' OR '.join(found)})", values))
    return both(pieces)
