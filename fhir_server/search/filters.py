"""`_filter`: a condition written as an expression (R4 search_filter.html).

Taken: `and`, `or` (from left to right, neither binds tighter), `not(...)`, parentheses, paths with dots, and the operations
`eq ne co sw gt lt ge le ap sa eb po pr in ni ss sb re`. Not taken: `ew`, for which there is no index, and `[...]` in a path. Each comparison is handed on
as the search parameter that says the same, so that it means the same.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from fhir_server.model.errors import Malformed
from fhir_server.search.beside import is_words
from fhir_server.search.query import (
    NOTHING,
    And,
    Chain,
    DateCompare,
    LastUpdated,
    Node,
    Not,
    Or,
    Prefix,
    StringIs,
    TextMode,
)
from fhir_server.search.refusals import NotOffered, listed, shown, unknown_parameter
from fhir_server.search.scope import Scope
from fhir_server.search.unequal import unequal
from fhir_server.search.units import UCUM

Condition: TypeAlias = Callable[[Scope, str, str, str, str], Node]
"""`conditions.condition`: (scope, resource type, name, value, full name)."""

_TOKEN = re.compile(r'\s*(?:(?P<mark>[()])|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>[^\s()"]+))')
_DEEPEST = 20
_PREFIXED = frozenset({"gt", "lt", "ge", "le", "ap", "sa", "eb"})
_ORDERED = frozenset({"date", "number", "quantity"})
_PLAIN = _ORDERED | {"token", "reference", "uri", "composite", "special"}
_MODIFIERS = {"in": "in", "ni": "not-in", "ss": "below", "sb": "above"}
_SHORT = {
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ucum": UCUM,
}
_SEPARATES = re.compile(r"([,$\\])")
_PARTED = re.compile(r"(,)")
"""The value of a composite is written as in a search: parts with `$` between them, which a part writes `\\$`."""
_FITS: dict[str, frozenset[str]] = {
    "eq": _PLAIN | {"string"},
    "ne": _PLAIN | {"string"},
    "co": frozenset({"string", "uri"}),
    "sw": frozenset({"string"}),
    **dict.fromkeys(_PREFIXED, _ORDERED),
    "po": frozenset({"date"}),
    "pr": _PLAIN | {"string"},
    **dict.fromkeys(_MODIFIERS, frozenset({"token"})),
    "re": frozenset({"reference"}),
}
"""Operation → the types of parameter that it compares."""


def read(scope: Scope, resource_type: str, text: str, condition: Condition) -> Node:
    """Read the value of `_filter`. Raises Malformed with the place where it stops being understood."""
    return _Filter(scope, resource_type, text, condition).read()


class _Filter:
    def __init__(self, scope: Scope, resource_type: str, text: str, condition: Condition) -> None:
        self._scope, self._type, self._text, self._condition = scope, resource_type, text, condition
        self._tokens = self._split()
        self._at = 0
        self._depth = 0

    def _split(self) -> list[tuple[str, str]]:
        found, at, end = [], 0, len(self._text.rstrip())
        while at < end:
            match = _TOKEN.match(self._text, at)
            if match is None:
                raise self._refused(self._text[at:])
            found.append((match.lastgroup or "", match[match.lastgroup or ""]))
            at = match.end()
        return found

    def read(self) -> Node:
        node = self._expression()
        if self._at < len(self._tokens):
            raise self._refused(self._tokens[self._at][1])
        return node

    def _expression(self) -> Node:
        node = self._operand()
        while self._at < len(self._tokens) and self._tokens[self._at] in (("word", "and"), ("word", "or")):
            both = self._next()[1] == "and"
            parts = (node, self._operand())
            node = And(parts) if both else Or(parts)
        return node

    def _operand(self) -> Node:
        kind, text = self._next()
        if (kind, text) == ("word", "not") and self._at < len(self._tokens) and self._tokens[self._at] == ("mark", "("):
            self._next()
            return Not(self._group())
        if (kind, text) == ("mark", "("):
            return self._group()
        if kind != "word":
            raise self._refused(text)
        return self._comparison(text, self._next()[1], self._next())

    def _group(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._refused("more than 20 parentheses within each other")
        node = self._expression()
        if self._next() != ("mark", ")"):
            raise self._refused("a parenthesis that is not closed")
        self._depth -= 1
        return node

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise self._refused("its end")
        self._at += 1
        return self._tokens[self._at - 1]

    def _refused(self, place: str) -> Malformed:
        return Malformed(
            f"Search parameter '_filter' is not understood at {shown(place)}. Write for example "
            '(status eq requested or status eq accepted) and owner:Organization.name sw "Huis".',
            key="search-bad-filter",
            code="value",
        )

    def _comparison(self, path: str, operation: str, operand: tuple[str, str]) -> Node:
        if "[" in path:
            raise NotOffered(
                f"Search parameter '_filter' does not select values with [...], as in {shown(path)}. Use a composite "
                "parameter, which pairs values, or name each path by itself.",
                key="search-bad-filter",
            )
        kind = _kind_of(self._scope, self._type, path, path)
        if kind not in _FITS.get(operation, ()):
            fitting = [name for name, kinds in _FITS.items() if kind in kinds]
            raise NotOffered(
                f"Search parameter '_filter' compares {shown(path)}, a {kind}, by {shown(operation)}. It can be compared "
                f"by {listed(fitting)}.",
                key="search-bad-filter",
            )
        value = _in_full(kind, self._value(operand, kind))
        match operation:
            case "pr":
                if value not in ("true", "false"):
                    raise self._refused(value)
                return self._ask(f"{path}:missing", "false" if value == "true" else "true")
            case "eq" | "re":
                return self._equal(path, kind, value)
            case "ne" if kind in _ORDERED:
                return self._ask(path, f"ne{value}")
            case "ne":
                return unequal(
                    self._scope.registry, self._type, self._equal(path, kind, value), lambda: _unfit(path, "ne")
                )
            case "co":
                return self._ask(f"{path}:contains", value)
            case "po":
                return _overlapping(self._ask(path, f"eq{value}"), path)
            case "sw":
                return self._ask(path, value)
            case _ if operation in _PREFIXED:
                return self._ask(path, operation + value)
            case _:
                return self._ask(f"{path}:{_MODIFIERS[operation]}", value)

    def _equal(self, path: str, kind: str, value: str) -> Node:
        if kind == "string":
            return _whole(self._ask(path, value))
        return self._ask(path, f"eq{value}" if kind in _ORDERED else value)

    def _ask(self, name: str, value: str) -> Node:
        return self._condition(self._scope, self._type, name, value, f"_filter: {name}")

    def _value(self, operand: tuple[str, str], kind: str) -> str:
        written, text = operand
        if written == "mark":
            raise self._refused(text)
        if written == "text":
            try:
                text = str(json.loads(text, strict=False))
            except ValueError:
                raise self._refused(text) from None
        return (_PARTED if kind == "composite" else _SEPARATES).sub(r"\\\1", text)


def _kind_of(scope: Scope, resource_type: str, path: str, whole: str) -> str:
    """Return the type of the parameter at the end of a path."""
    first, dot, rest = path.partition(".")
    code, _, only = first.partition(":")
    known = scope.registry.of(resource_type)
    if code not in known:
        raise unknown_parameter(resource_type, code, f"_filter: {whole}", known)
    if not dot:
        return known[code].type
    refused: NotOffered | None = None
    for target in (only,) if only else scope.registry.targets(known[code]):
        try:
            return _kind_of(scope, target, rest, whole)
        except NotOffered as error:
            refused = refused or error
    raise refused or unknown_parameter(resource_type, code, f"_filter: {whole}", known)


def _in_full(kind: str, value: str) -> str:
    """Return a token or quantity with the URI of a code system that R4 gives a short name here."""
    place = {"token": 0, "quantity": 1}.get(kind)
    parts = value.split("|")
    if place is None or len(parts) <= place + 1 or parts[place] not in _SHORT:
        return value
    return "|".join((*parts[:place], _SHORT[parts[place]], *parts[place + 1 :]))


def _whole(node: Node) -> Node:
    """Return a condition on the whole of a string, at the end of chains too, in place of one on its start."""
    match node:
        case StringIs(mode=TextMode.STARTS):
            return NOTHING if is_words(node.param) else replace(node, mode=TextMode.WHOLE)
        case Chain(part=part):
            return replace(node, part=_whole(part))
        case Or(parts) | And(parts):
            return replace(node, parts=tuple(_whole(part) for part in parts))
        case _:
            return node


def _overlapping(node: Node, path: str) -> Node:
    """Return a condition on dates, at the end of chains too, with overlap in place of equality."""
    match node:
        case DateCompare() | LastUpdated():
            return replace(node, prefix=Prefix.AP)
        case Chain(part=part):
            return replace(node, part=_overlapping(part, path))
        case Or(parts):
            return Or(tuple(_overlapping(part, path) for part in parts))
        case _:
            raise _unfit(path, "po")


def _unfit(path: str, operation: str) -> NotOffered:
    return NotOffered(f"Search parameter '_filter' cannot use {operation} on {shown(path)}.", key="search-bad-filter")
