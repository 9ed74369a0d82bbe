"""Nodes that are answered by equality: the exact keys of `eq` and `ref` that they ask for."""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from fhir_server.search import query as q
from fhir_server.search.query import Node, TextMode
from fhir_server.store.sqlite.encode import of_type, system_code, target_version, typed

Number = Callable[[str, str], int | None]
"""Gives the number of (parameter, kind) of the type that is asked; None when nothing was ever indexed so."""


class Key(NamedTuple):
    """One key; the rows that have it are in the order of their sequence."""

    table: Literal["eq", "ref"]
    p: int
    value: str

    @property
    def column(self) -> str:
        """The column that holds the value."""
        return "v" if self.table == "eq" else "target"


def equalities(node: Node, number: Number) -> list[Key] | None:
    """Return the keys of which any one must be there, () for none that could be; None when it takes more than that."""
    match node:
        case q.TokenIs(param, system, code) if code is not None:
            return _eq(number, param, _token(system, code))
        case q.OfType(param, system, code, value):
            return _eq(number, param, [("o", of_type(system, code, value))])
        case q.RefersTo(param, target, version):
            if version:
                return _eq(number, param, [("v", target_version(target, version))])
            p = number(param, "r")
            return [] if p is None else [Key("ref", p, target)]
        case q.RefersToIdentifier(param, system, value, target_type) if value is not None:
            kind, found = ("ic", value) if system is None else ("it", system_code(system, value))
            known = (kind + "t", typed(target_type, found)) if target_type else (kind, found)
            return _eq(number, param, [known, (kind + "t", typed("", found))])
        case q.UriIs(param, TextMode.EXACT, value):
            return _eq(number, param, [("u", value)])
        case q.UriIs(param, TextMode.ABOVE, value):
            return _eq(number, param, [("u", above) for above in _ancestors(value)])
        case q.Or(parts):
            return _any(equalities(part, number) for part in parts)
        case q.And((only,)):
            return equalities(only, number)
        case _:
            return None


def _token(system: str | None, code: str) -> list[tuple[str, str]]:
    if system is None:
        return [("c", code), ("k", code)]
    if system == "":
        return [("t", system_code("", code)), ("k", code)]
    return [("t", system_code(system, code))]


def _ancestors(uri: str) -> list[str]:
    """Return the URI and all that it continues after a `/`, with that `/` and without."""
    found = {uri: None}
    for place, char in enumerate(uri):
        if char == "/":
            found[uri[:place]] = None
            found[uri[: place + 1]] = None
    return list(found)


def _eq(number: Number, param: str, wanted: Iterable[tuple[str, str]]) -> list[Key]:
    found = ((number(param, kind), value) for kind, value in wanted)
    return [Key("eq", p, value) for p, value in found if p is not None]


def _any(parts: Iterable[list[Key] | None]) -> list[Key] | None:
    keys: dict[Key, None] = {}
    for part in parts:
        if part is None:
            return None
        keys.update(dict.fromkeys(part))
    return list(keys)
