"""`Unequal`: the rows of a version that hold a value which is known to be none of those that are asked."""

from collections.abc import Callable, Iterable, Iterator

from fhir_server.search import query as q
from fhir_server.search.query import TextMode
from fhir_server.store.sqlite.encode import system_code, target_version, typed
from fhir_server.store.sqlite.keys import Number
from fhir_server.store.sqlite.sql import FALSE, Sql, begins, both, exists, joined


def holds(node: q.Unequal, number: Number, alias: Callable[[], str], seq: str) -> Sql:
    """Return the condition under which the version with number `seq` has such a value."""
    a, b = alias(), alias()
    pieces = [
        exists(f"{table} AS {a} INDEXED BY {table}_seq", f"{a}.seq = {seq} AND {a}.p = ?", wanted, p)
        for table, kind, wanted in _rows(node, a)
        if (p := number(node.param, kind)) is not None
    ]
    listed = f"doc AS {a} CROSS JOIN json_each({a}.keys, ?) AS {b}"
    for kind, wanted in _keys(node, f"{b}.value"):
        if (p := number(node.param, kind)) is not None:
            pieces.append(exists(listed, f"{a}.seq = {seq}", wanted, f'$."{p}"'))
    return joined(pieces, "OR", FALSE)


def _rows(node: q.Unequal, alias: str) -> Iterator[tuple[str, str, Sql]]:
    """Yield (table, kind, condition on a row under an alias) for what stands in a table of its own."""
    texts = [value for value in node.values if isinstance(value, q.StringIs)]
    if texts:
        yield "str", "s", both(_is_not(f"{alias}.{_COLUMN[text.mode]}", text.value) for text in texts)
    targets = {value.target for value in node.values if isinstance(value, q.RefersTo)}
    if targets:
        yield "ref", "r", both(_is_not(f"{alias}.target", target) for target in sorted(targets))


_COLUMN = {TextMode.WHOLE: "v", TextMode.EXACT: "x"}


def _keys(node: q.Unequal, value: str) -> Iterator[tuple[str, Sql]]:
    """Yield (kind, condition on a value) for what stands in `eq`; `value` is an SQL expression."""
    tokens = [one for one in node.values if isinstance(one, q.TokenIs)]
    if tokens:
        yield "t", _codes(value, [(one.system, one.code) for one in tokens])
        implied = [one.code for one in tokens if not one.system]
        yield "k", both((Sql(f"{value} > ''"), *(FALSE if c is None else _is_not(value, c) for c in implied)))
    uris = [one.value for one in node.values if isinstance(one, q.UriIs)]
    if uris:
        yield "u", both(_other_uri(value, uri) for uri in uris)
    identifiers = [one for one in node.values if isinstance(one, q.RefersToIdentifier)]
    if identifiers:
        yield from _identifiers(identifiers, value)
    references = [one for one in node.values if isinstance(one, q.RefersTo)]
    if references:
        yield "v", _versions(references, value)


def _is_not(column: str, value: str) -> Sql:
    return Sql(f"{column} <> ?", (value,))


def _codes(value: str, asked: Iterable[tuple[str | None, str | None]]) -> Sql:
    """A text as `system_code` makes it has a code, and is none of those that are asked."""
    code = f"substr({value}, instr({value}, ' ') + 1)"
    pieces = [Sql(f"{code} <> ''")]
    for system, asked_code in asked:
        if system is None:
            pieces.append(FALSE if asked_code is None else _is_not(code, asked_code))
        elif asked_code is None:
            inside = begins(value, system_code(system, ""))
            pieces.append(Sql(f"NOT {inside}", inside.values))
        else:
            pieces.append(_is_not(value, system_code(system, asked_code)))
    return both(pieces)


def _identifiers(asked: list[q.RefersToIdentifier], value: str) -> Iterator[tuple[str, Sql]]:
    """References that may be to every type that is asked, and are known by another identifier."""
    wanted = [(one.system, one.value) for one in asked]
    types = {one.target_type for one in asked if one.target_type}
    if not types:
        yield "it", _codes(value, wanted)
    pieces = []
    for kind in ("", *types) if len(types) == 1 else ("",):
        start = typed(kind, "")
        rest = _codes(f"substr({value}, {len(start) + 1})", wanted)
        pieces.append(both((begins(value, start), rest)))
    yield "itt", joined(pieces, "OR", FALSE)


def _other_uri(value: str, uri: str) -> Sql:
    """A URI is another; with and without a version they are not known to be."""
    less = [uri[:place] for place, char in enumerate(uri) if char == "|"]
    more = begins(value, f"{uri}|")
    return both((Sql(f"NOT {more}", more.values), *(_is_not(value, same) for same in (uri, *less))))


def _versions(asked: list[q.RefersTo], value: str) -> Sql:
    """A reference names another version of a target of which nothing but versions is asked."""
    pieces = []
    for target in sorted({one.target for one in asked}):
        versions = [one.version for one in asked if one.target == target]
        others = FALSE if "" in versions else both(_is_not(value, target_version(target, one)) for one in versions)
        if others is not FALSE:
            pieces.append(both((begins(value, target_version(target, "")), others)))
    return joined(pieces, "OR", FALSE) if pieces else FALSE
