"""The part of FHIRPath that search parameters are written in, compiled to typed JSON paths.

Taken: paths, `|`, `as T`, `.as(T)`, `.ofType(T)`, `.where(name = 'text')`, `.where(resolve() is T)`, `.extension('url')`,
`[n]`, `%resource`, parentheses, and `X.exists() and X != false`. Anything else is an error when a parameter is loaded.
"""

import re
from typing import NamedTuple, TypeAlias

from fhir_server.search.structures import Structures


class Equals(NamedTuple):
    """Keep elements whose member `name` is this text."""

    name: str
    text: str


class RefersToType(NamedTuple):
    """Keep references to this type (`resolve() is T`), told by the literal reference or by Reference.type."""

    type: str


class At(NamedTuple):
    """Keep the element at this position of the list."""

    position: int


Test: TypeAlias = Equals | RefersToType | At


class Step(NamedTuple):
    """One member of a JSON object, and which of its values to keep."""

    key: str
    tests: tuple[Test, ...] = ()


class Path(NamedTuple):
    """A way from the resource (or from the element of a composite) to values of one type."""

    steps: tuple[Step, ...]
    type: str
    system: str = ""


class UnsupportedExpression(ValueError):
    """The expression is not of the part of FHIRPath that is offered, or names an element that R4 does not have."""


FLAG = "flag"
"""Type of a path whose mere presence (other than `false`) is the value: `X.exists() and X != false`."""

_TOKEN = re.compile(r"\s*(?:(?P<name>%?[A-Za-z_]\w*)|'(?P<text>[^']*)'|(?P<number>\d+)|(?P<mark>!=|[().|\[\]=]))")
_PRESENT = re.compile(r"\s*(\w+(?:\.\w+)*)\.exists\(\) and \1 != false\s*")
_QUANTITIES = frozenset({"Quantity", "Age", "Count", "Distance", "Duration", "SimpleQuantity", "MoneyQuantity"})


def compile_expression(expression: str, base: str, structures: Structures, root: str = "") -> tuple[Path, ...]:
    """Compile for elements of type `base` (a resource type or a backbone path); `root` is what `%resource` is.

    Alternatives that start at another resource type do not apply and are left out.
    Raises UnsupportedExpression with the expression and the place where it stops being understood.
    """
    if match := _PRESENT.fullmatch(expression):
        paths = _Parser(match[1], base, structures, root).parse()
        return tuple(path._replace(type=f"{FLAG}:{path.type}") for path in paths)
    return tuple(dict.fromkeys(_Parser(expression, base, structures, root).parse()))


class _Parser:
    def __init__(self, expression: str, base: str, structures: Structures, root: str) -> None:
        self._expression, self._base, self._structures, self._root = expression, base, structures, root
        self._tokens = _tokens(expression)
        self._at = 0

    def parse(self) -> list[Path]:
        paths = self._union()
        if self._at != len(self._tokens):
            raise self._unsupported()
        return paths

    def _union(self) -> list[Path]:
        paths = self._typed()
        while self._take("|"):
            paths += self._typed()
        return paths

    def _typed(self) -> list[Path]:
        paths = self._path()
        if self._take("as"):
            paths = _of_type(paths, self._name())
        return paths

    def _path(self) -> list[Path]:
        if self._take("("):
            paths = self._union()
            self._expect(")")
        else:
            paths = self._start(self._name())
        while True:
            if self._take("."):
                paths = self._invocation(paths)
            elif self._take("["):
                paths = _tested(paths, At(int(self._value("number"))))
                self._expect("]")
            else:
                return paths

    def _start(self, name: str) -> list[Path]:
        if name == "%resource":
            return [Path((Step(name),), self._root)]
        if name in (self._base, "Resource", "DomainResource"):
            return [Path((), self._base)]
        if name[0].isupper():  # an alternative for another base
            return []
        if self._peek("("):
            return self._call(name, [Path((), self._base)])
        return self._children([Path((), self._base)], name)

    def _invocation(self, paths: list[Path]) -> list[Path]:
        name = self._name()
        return self._call(name, paths) if self._peek("(") else self._children(paths, name)

    def _call(self, name: str, paths: list[Path]) -> list[Path]:
        self._expect("(")
        if name in ("as", "ofType"):
            paths = _of_type(paths, self._name())
        elif name == "where":
            paths = _tested(paths, self._condition())
        elif name == "extension":
            paths = _tested(self._children(paths, "extension"), Equals("url", self._value("text")))
        else:
            raise self._unsupported()
        self._expect(")")
        return paths

    def _condition(self) -> Test:
        name = self._name()
        if name == "resolve":
            self._expect("(")
            self._expect(")")
            self._expect("is")
            return RefersToType(self._name())
        self._expect("=")
        return Equals(name, self._value("text"))

    def _children(self, paths: list[Path], name: str) -> list[Path]:
        found = [
            Path((*path.steps, Step(element.key)), element.type, element.system)
            for path in paths
            for element in self._structures.children(path.type, name)
        ]
        if paths and not found:
            raise UnsupportedExpression(f"{self._expression!r}: {paths[0].type} has no element {name!r} in R4")
        return found

    def _peek(self, token: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at] in (("mark", token), ("name", token))

    def _take(self, token: str) -> bool:
        taken = self._peek(token)
        self._at += taken
        return taken

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise self._unsupported()

    def _name(self) -> str:
        return self._value("name")

    def _value(self, kind: str) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != kind:
            raise self._unsupported()
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _unsupported(self) -> UnsupportedExpression:
        rest = " ".join(text for _, text in self._tokens[self._at : self._at + 4])
        return UnsupportedExpression(f"{self._expression!r} is outside the offered FHIRPath at {rest or 'its end'!r}")


def _tokens(expression: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at, end = 0, len(expression.rstrip())
    while at < end:
        match = _TOKEN.match(expression, at)
        if match is None:
            raise UnsupportedExpression(f"{expression!r} is outside the offered FHIRPath at {expression[at:]!r}")
        kind = match.lastgroup or ""
        found.append((kind, match[kind]))
        at = match.end()
    return found


def _of_type(paths: list[Path], name: str) -> list[Path]:
    wanted = _QUANTITIES if name == "Quantity" else {name, name[0].lower() + name[1:]}
    return [path for path in paths if path.type in wanted]


def _tested(paths: list[Path], test: Test) -> list[Path]:
    return [
        path._replace(steps=(*path.steps[:-1], path.steps[-1]._replace(tests=(*path.steps[-1].tests, test))))
        for path in paths
        if path.steps
    ]
