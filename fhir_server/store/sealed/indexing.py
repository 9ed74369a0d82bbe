"""Index entries and questions in which national numbers are keyed hashes.

Entries: in the entries of one resource, its numbers are tokens wherever they are a code, and are taken out of every text.
Questions: a code that may be a number is asked for as it is and as its token. The two meet: a number is found by
`system|value`, `value`, `:identifier` and `:of-type`, also at the end of chains, as if it stood there in clear.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from fhir_server.search.query import (
    And,
    Chain,
    CompositeIs,
    Equality,
    Has,
    Node,
    Not,
    OfType,
    Or,
    RefersToIdentifier,
    TokenIs,
    Unequal,
)
from fhir_server.search.values import (
    CompositeEntry,
    Entry,
    ReferenceEntry,
    SimpleEntry,
    StringEntry,
    TextEntry,
    TokenEntry,
    UriEntry,
)
from fhir_server.store.sealed.numbers import Mask, NationalNumbers, is_number

Token = Callable[[str], str]
"""Number → the text under which it is indexed."""


def sealed_entries(entries: Iterable[Entry], mask: Mask, token: Token) -> list[Entry]:
    """Return the entries of a resource without its numbers."""
    return [
        _composite(entry, mask, token) if isinstance(entry, CompositeEntry) else _text(entry, mask, token)
        for entry in entries
    ]


def _composite(entry: CompositeEntry, mask: Mask, token: Token) -> CompositeEntry:
    parts = tuple(tuple(_simple(one, mask, token) for one in part) for part in entry.parts)
    return entry._replace(parts=parts)


def _text(entry: SimpleEntry | TextEntry, mask: Mask, token: Token) -> Entry:
    if isinstance(entry, TextEntry):
        hidden = mask.hidden(entry.text)
        return entry if hidden is entry.text else TextEntry(entry.param, " ".join(hidden.split()))
    return _simple(entry, mask, token)


def _simple(entry: SimpleEntry, mask: Mask, token: Token) -> SimpleEntry:
    match entry:
        case TokenEntry():
            return entry._replace(code=_code(entry.code, mask, token), text=mask.hidden(entry.text))
        case ReferenceEntry():
            value = _code(entry.identifier_value, mask, token)
            return entry._replace(target=mask.hidden(entry.target), identifier_value=value)
        case StringEntry():
            return entry._replace(normal=mask.hidden(entry.normal), value=mask.hidden(entry.value))
        case UriEntry():
            return entry._replace(value=mask.hidden(entry.value))
        case _:
            return entry


def _code(code: str, mask: Mask, token: Token) -> str:
    return token(code) if code in mask.numbers else mask.hidden(code)


class Questions:
    """Rewrites query trees. A tree in which no code may be a number comes back as it is."""

    def __init__(self, numbers: NationalNumbers, token: Token) -> None:
        self._systems = numbers.systems
        self._token = token

    def rewritten(self, node: Node) -> Node:
        """Return the tree that finds in the sealed index what `node` means."""
        match node:
            case TokenIs(_, system, code) if code is not None and is_number(code):
                return self._either(node, replace(node, code=self._token(code)), system)
            case OfType(value=value) if is_number(value):
                return Or((node, replace(node, value=self._token(value))))
            case RefersToIdentifier(_, system, value) if value is not None and is_number(value):
                return self._either(node, replace(node, value=self._token(value)), system)
            case Unequal(param, values):
                asked = [self.rewritten(value) for value in values]
                found = [one for part in asked for one in (part.parts if isinstance(part, Or) else (part,))]
                same = all(map(_same, asked, values))
                return node if same else Unequal(param, tuple(one for one in found if isinstance(one, Equality)))
            case And(parts):
                return self._with(node, parts)
            case Or(parts):
                return self._with(node, parts)
            case CompositeIs(_, parts):
                return self._with(node, parts)
            case Not(part) | Chain(part=part) | Has(part=part):
                inner = self.rewritten(part)
                return node if inner is part else replace(node, part=inner)
            case _:
                return node

    def _either(self, clear: Node, sealed: Node, system: str | None) -> Node:
        """Ask for both forms, or where the system is one of national numbers for the only one that there can be."""
        return sealed if system in self._systems else Or((clear, sealed))

    def _with(self, node: And | Or | CompositeIs, parts: tuple[Node, ...]) -> Node:
        inner = tuple([self.rewritten(part) for part in parts])
        return node if all(map(_same, inner, parts)) else replace(node, parts=inner)


def _same(one: Node, other: Node) -> bool:
    return one is other
