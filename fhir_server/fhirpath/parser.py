"""Tokens → tree: a precedence climber over the grammar of FHIRPath N1. Depth and length are bounded."""

from decimal import Decimal
from typing import Final

from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.lexer import Token, tokenize
from fhir_server.fhirpath.moments import Moment
from fhir_server.fhirpath.quantities import UNIT_WORDS, Quantity
from fhir_server.fhirpath.tree import (
    Binary,
    Call,
    Constant,
    Empty,
    Index,
    Member,
    Special,
    Tree,
    TypeTest,
    Unary,
    Variable,
)

MAX_DEPTH: Final = 60
"""Nested parentheses, arguments and indexers."""
MAX_CHAIN: Final = 200
"""Links of one chain (`a.b.c`) or run of operators (`a or b or c`)."""

_PRECEDENCE: Final = {
    "implies": 1, "or": 2, "xor": 2, "and": 3, "in": 4, "contains": 4, "=": 5, "~": 5, "!=": 5, "!~": 5,
    "<": 6, "<=": 6, ">": 6, ">=": 6, "|": 7, "is": 8, "as": 8, "+": 9, "-": 9, "&": 9, "*": 10, "/": 10,
    "div": 10, "mod": 10,
}  # fmt: skip
_NO_FIRST_NAMES: Final = frozenset({"and", "or", "xor", "implies", "div", "mod"})


def parse(text: str) -> Tree:
    """Parse one expression. Raises FhirPathError that quotes it and names the place."""
    parser = _Parser(text)
    tree = parser.expression(0)
    parser.expect_end()
    return tree


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokenize(text)
        self._at = 0
        self._depth = 0

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _refuse(self, wanted: str) -> FhirPathError:
        found = repr(self._token.text) if self._token.kind != "end" else "its end"
        return FhirPathError(
            f"FHIRPath {self._text!r}: at character {self._token.position + 1} stands {found}, expected {wanted}."
        )

    def _take(self) -> Token:
        token = self._token
        self._at += 1
        return token

    def _accept(self, symbol: str) -> bool:
        if self._token.kind == "symbol" and self._token.text == symbol:
            self._at += 1
            return True
        return False

    def _expect(self, symbol: str) -> None:
        if not self._accept(symbol):
            raise self._refuse(repr(symbol))

    def expect_end(self) -> None:
        if self._token.kind != "end":
            raise self._refuse("an operator or the end")

    def expression(self, floor: int) -> Tree:
        """Parse operators that bind tighter than `floor`."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FhirPathError(f"FHIRPath {self._text!r} nests deeper than {MAX_DEPTH} levels. Split it.")
        left = self._unary()
        links = 0
        while True:
            token = self._token
            binding = _PRECEDENCE.get(token.text, 0) if token.kind in ("symbol", "name") else 0
            if binding <= floor:
                break
            links = self._count(links)
            self._at += 1
            if token.text in ("is", "as"):
                left = TypeTest(token.text, left, self._type_name())
            else:
                left = Binary(token.text, left, self.expression(binding))
        self._depth -= 1
        return left

    def _count(self, links: int) -> int:
        if links >= MAX_CHAIN:
            raise FhirPathError(f"FHIRPath {self._text!r} has a chain of more than {MAX_CHAIN} links. Split it.")
        return links + 1

    def _unary(self) -> Tree:
        if self._token.kind == "symbol" and self._token.text in "+-":
            operator = self._take().text
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise FhirPathError(f"FHIRPath {self._text!r} nests deeper than {MAX_DEPTH} levels. Split it.")
            operand = self._unary()
            self._depth -= 1
            return Unary(operator, operand)
        return self._chain()

    def _chain(self) -> Tree:
        tree = self._term()
        links = 0
        while True:
            if self._accept("."):
                tree = self._invocation(tree)
            elif self._accept("["):
                index = self.expression(0)
                self._expect("]")
                tree = Index(tree, index)
            else:
                return tree
            links = self._count(links)

    def _term(self) -> Tree:
        token = self._token
        if token.kind == "symbol":
            return self._bracketed()
        if token.kind == "string":
            self._at += 1
            return Constant(token.text)
        if token.kind == "number":
            return self._number()
        if token.kind == "moment":
            self._at += 1
            return Constant(Moment.parse(token.text[1:], literal=True))
        if token.kind == "variable":
            self._at += 1
            return Variable(token.text)
        if token.kind == "name" and token.text in ("true", "false"):
            self._at += 1
            return Constant(token.text == "true")
        if token.kind == "name" and token.text in _NO_FIRST_NAMES:
            raise self._refuse("an element, a function or a literal")
        return self._invocation(None)

    def _bracketed(self) -> Tree:
        if self._accept("("):
            tree = self.expression(0)
            self._expect(")")
            return tree
        if self._accept("{"):
            self._expect("}")
            return Empty()
        raise self._refuse("an element, a function or a literal")

    def _number(self) -> Tree:
        text = self._take().text
        number: int | Decimal = Decimal(text) if "." in text else int(text)
        token = self._token
        if token.kind == "string":
            self._at += 1
            return Constant(Quantity(Decimal(text), token.text))
        if token.kind == "name" and token.text in UNIT_WORDS:
            self._at += 1
            return Constant(Quantity(Decimal(text), UNIT_WORDS[token.text]))
        return Constant(number)

    def _invocation(self, source: Tree | None) -> Tree:
        token = self._token
        if token.kind == "special":
            self._at += 1
            return Special(token.text)
        if token.kind not in ("name", "quoted"):
            raise self._refuse("an element, a function or a literal")
        self._at += 1
        if not self._accept("("):
            return Member(source, token.text)
        arguments: list[Tree] = []
        if not self._accept(")"):
            arguments.append(self.expression(0))
            while self._accept(","):
                arguments.append(self.expression(0))
            self._expect(")")
        return Call(source, token.text, tuple(arguments), token.position)

    def _type_name(self) -> str:
        bracketed = self._accept("(")
        parts = []
        while True:
            if self._token.kind not in ("name", "quoted"):
                raise self._refuse("the name of a type")
            parts.append(self._take().text)
            if not self._accept("."):
                break
        if bracketed:
            self._expect(")")
        return ".".join(parts)
