"""The value of `_text` and `_content`: words and "quoted phrases", with AND, OR, NOT and parentheses (R4 search.html#text).

Words side by side must all occur. AND (or `and`) says the same, OR binds weaker than that, NOT turns what follows it round. The
operators are written in capitals, `and` apart, so that the words `or` and `not` can be looked for; in quotes every word can.
"""

import re
from collections.abc import Callable

from fhir_server.model.errors import Malformed
from fhir_server.search.fulltext import phrases
from fhir_server.search.query import And, FullText, Node, Not, Or
from fhir_server.search.refusals import bad_value

EXPECTED = 'words or "quoted phrases" with a letter or digit in them, and AND, OR, NOT and parentheses between them'
_DEEPEST = 20
_TOKEN = re.compile(r'"[^"]*"?|[()]|[^\s"()]+')
_OPERATORS = frozenset({"AND", "and", "OR", "NOT", "(", ")"})


def read(name: str, param: str, text: str) -> Node:
    """Read one value. Raises Malformed (`search-bad-text`) when there is nothing in it to look for."""
    found = _TOKEN.findall(text)
    if _OPERATORS.isdisjoint(found):
        asked = phrases(text)
        if not asked:
            raise bad_value("search-bad-text", name, text, EXPECTED)
        return FullText(param, asked)
    return _Reader(name, param, text, found).read()


class _Reader:
    def __init__(self, name: str, param: str, text: str, tokens: list[str]) -> None:
        self._name, self._param, self._text, self._tokens = name, param, text, tokens
        self._at = 0
        self._depth = 0

    def read(self) -> Node:
        node = self._any()
        if self._at < len(self._tokens):
            raise self._refused()
        return node

    def _any(self) -> Node:
        parts = [self._all()]
        while self._take("OR"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self) -> Node:
        found = [self._one()]
        while self._at < len(self._tokens) and self._tokens[self._at] not in ("OR", ")"):
            if not self._take("AND"):
                self._take("and")
            found.append(self._one())
        asked = dict.fromkeys(phrase for node in found if isinstance(node, FullText) for phrase in node.phrases)
        together: list[Node] = [FullText(self._param, tuple(asked))] if asked else []
        parts = together + [node for node in found if not isinstance(node, FullText)]
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self) -> Node:
        if self._at >= len(self._tokens):
            raise self._refused()
        if self._take("NOT"):
            return Not(self._deeper(self._one))
        if self._take("("):
            node = self._deeper(self._any)
            if not self._take(")"):
                raise self._refused()
            return node
        asked = phrases(self._tokens[self._at])
        if self._tokens[self._at] in _OPERATORS or not asked:
            raise self._refused()
        self._at += 1
        return FullText(self._param, asked)

    def _deeper(self, read: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise bad_value(
                "search-bad-text", self._name, self._text, f"at most {_DEEPEST} parentheses and NOT in a row"
            )
        node = read()
        self._depth -= 1
        return node

    def _take(self, token: str) -> bool:
        taken = self._at < len(self._tokens) and self._tokens[self._at] == token
        self._at += taken
        return taken

    def _refused(self) -> Malformed:
        return bad_value("search-bad-text", self._name, self._text, EXPECTED)
