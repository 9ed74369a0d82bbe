"""The immutable syntax tree of an expression."""

from dataclasses import dataclass
from decimal import Decimal

from fhir_server.fhirpath.moments import Moment
from fhir_server.fhirpath.quantities import Quantity


@dataclass(frozen=True, slots=True)
class Empty:
    """`{}`."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal."""

    value: str | int | Decimal | bool | Moment | Quantity


@dataclass(frozen=True, slots=True)
class Variable:
    """`%name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Special:
    """`$this`, `$index` or `$total`."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """An element name, on `source` or, where that is None, on the focus."""

    source: "Tree | None"
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function call on `source` or, where that is None, on the focus."""

    source: "Tree | None"
    name: str
    arguments: tuple["Tree", ...]
    position: int


@dataclass(frozen=True, slots=True)
class Index:
    """`source[index]`."""

    source: "Tree"
    index: "Tree"


@dataclass(frozen=True, slots=True)
class Unary:
    """`+x` or `-x`."""

    operator: str
    operand: "Tree"


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`."""

    operator: str
    left: "Tree"
    right: "Tree"


@dataclass(frozen=True, slots=True)
class TypeTest:
    """`source is type` or `source as type`; the type as written, `FHIR.` and `System.` kept."""

    operator: str
    source: "Tree"
    type: str


Tree = Empty | Constant | Variable | Special | Member | Call | Index | Unary | Binary | TypeTest
