"""How a search runs: its statement, what SQLite reads for it, and how many candidates that was."""

import re
import time
from collections.abc import Callable

from fhir_server.search.query import Query
from fhir_server.store.port import Explanation
from fhir_server.store.sqlite.compile import Compiler
from fhir_server.store.sqlite.link import Link
from fhir_server.store.sqlite.names import Names
from fhir_server.store.sqlite.sql import Sql

_TABLES = "version|eq|ref|str|dt|num|qty|geo|live|head|doc|commits|words"
_ALIAS = re.compile(rf"\b({_TABLES}) AS (\w+)")
_INDEX = re.compile(r"USING (?:COVERING )?(?:INDEX (\w+)|(PRIMARY KEY)|INTEGER (PRIMARY KEY))")


def explain(link: Link, names: Names, query: Query, total: Callable[[], int]) -> Explanation:
    """Run a search under the limit of time and tell about it; its rows are counted and dropped."""
    candidates = 0

    def seen(_: int) -> int:
        nonlocal candidates
        candidates += 1
        return 1

    link.connection.create_function("seen", 1, seen)
    with link.bounded():
        compiler = Compiler(link, names)
        began = time.perf_counter()
        rows = len(compiler.search(query, total))
        milliseconds = 1e3 * (time.perf_counter() - began)
        plan = compiler.plans[-1]
        lines = tuple(str(row[3]) for row in link.execute(f"EXPLAIN QUERY PLAN {plan.text}", plan.values))
        # Once more with a call for each candidate, which would have told upon the time.
        Compiler(link, names, Sql("seen(d.seq)")).search(query, total)
    aliases = {alias: table for table, alias in _ALIAS.findall(plan.text)}
    return Explanation(
        plan.text,
        lines,
        tuple(dict.fromkeys(_used(lines, aliases))),
        tuple(dict.fromkeys(_scanned(lines, aliases))),
        candidates,
        rows,
        milliseconds,
    )


def _used(lines: tuple[str, ...], aliases: dict[str, str]) -> list[str]:
    found = []
    for line in lines:
        match = _INDEX.search(line)
        alias = line.split()[1] if line.count(" ") else ""
        if match and alias in aliases:
            found.append(match[1] if match[1] and "autoindex" not in match[1] else f"{aliases[alias]}, primary key")
        elif "VIRTUAL TABLE INDEX" in line:
            found.append("words, full text")
    return found


def _scanned(lines: tuple[str, ...], aliases: dict[str, str]) -> list[str]:
    """`live` walks one type in order, and stops when the page is full; SQLite calls that a search."""
    scans = (line.split()[1] for line in lines if line.startswith("SCAN") and "VIRTUAL TABLE" not in line)
    return [aliases[alias] for alias in scans if alias in aliases]
