"""Reads `structures.json.zz`, the facts of FHIR R4 4.0.1 that `tools/compile_r4.py` writes.

The file is zlib-compressed JSON (52 KB; about 8 ms to load, once, on first use):

    version      "4.0.1"
    primitives   primitive type → its base type
    definitions  path ("Patient", "Patient.contact") → [base type, kind, constraint numbers, rows]
    rows         [name, types separated by spaces, min, max (-1: unbounded), flags, targets number, binding number,
                 path of the definition of its content, constraint numbers], empty members at the end left out
    targets      lists of resource types        bindings     [canonical, {system: [codes]}]
    constraints  [key, severity, human, FHIRPath expression]

Flags: 1 modifier, 2 summary, 4 SimpleQuantity. A target list that is empty means any type; a binding without codes
cannot be enumerated (mime types, languages, units, currencies).
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, NamedTuple

_MODIFIER, _SUMMARY, _SIMPLE_QUANTITY = 1, 2, 4
_UNBOUNDED = -1
_DEFAULTS: tuple[Any, ...] = ("", "", 0, 0, 0, 0, 0, "", ())


class Constraint(NamedTuple):
    """An invariant of R4: `severity` is `error` or `warning`, `expression` is FHIRPath."""

    key: str
    severity: str
    human: str
    expression: str


class Binding(NamedTuple):
    """A required binding: the canonical of the value set, and its codes by system where they can be enumerated."""

    valueset: str
    systems: Mapping[str, frozenset[str]]

    @property
    def codes(self) -> frozenset[str]:
        """All codes, whatever their system; empty where the value set cannot be enumerated."""
        return frozenset().union(*self.systems.values())


class ElementFacts(NamedTuple):
    """What R4 says of one element.

    `path` is the path of the definition (`Observation.value[x]`); `name` is the name in JSON, of a choice element the
    name without type (`value`). `max` is None where it is unbounded. `targets` are the resource types that a
    Reference may point at (empty: any). `content` is the path of the definition that holds the children of a backbone
    element or of a content reference, else empty. `constraints` belong to this element alone; those of its type, or of
    the backbone element that it opens, stand at that definition.
    """

    path: str
    name: str
    types: tuple[str, ...]
    min: int
    max: int | None
    choice: bool
    targets: tuple[str, ...]
    binding: Binding | None
    content: str
    modifier: bool
    summary: bool
    simple_quantity: bool
    constraints: tuple[Constraint, ...]

    @property
    def many(self) -> bool:
        """Whether JSON writes the element as an array."""
        return self.max is None or self.max > 1

    @property
    def json_names(self) -> tuple[tuple[str, str], ...]:
        """(name in JSON, type) of each form: one per type for a choice (`valueQuantity`, Quantity), else just one."""
        if not self.choice:
            return ((self.name, self.types[0] if self.types else ""),)
        return tuple((self.name + kind[0].upper() + kind[1:], kind) for kind in self.types)


class Structure(NamedTuple):
    """What R4 says of a type or backbone element; `elements` in the order of the specification.

    `kind` is `resource`, `complex-type`, `backbone`, or one of these after `abstract-`.
    """

    path: str
    base: str
    kind: str
    constraints: tuple[Constraint, ...]
    elements: tuple[ElementFacts, ...]


class Table:
    """The loaded file; structures are built from their rows when they are asked for."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.primitives: Mapping[str, str] = MappingProxyType(content["primitives"])
        self._definitions: dict[str, Any] = content["definitions"]
        self._targets = [tuple(names) for names in content["targets"]]
        self._bindings: list[Any] = content["bindings"]
        self._constraints = [Constraint(*row) for row in content["constraints"]]
        self._structures: dict[str, Structure] = {}
        self._required: dict[int, Binding] = {}
        self.resource_types = frozenset(name for name, row in self._definitions.items() if row[1] == "resource")
        self.paths = frozenset(self._definitions)

    def structure(self, path: str) -> Structure | None:
        """Return the facts of a type or backbone element, None when R4 has none of that name."""
        known = self._structures.get(path)
        if known is None and path in self._definitions:
            base, kind, numbers, rows = self._definitions[path]
            elements = tuple(self._element(path, row) for row in rows)
            known = Structure(path, base, kind, self._constrained(numbers), elements)
            self._structures[path] = known
        return known

    def base(self, name: str) -> str:
        """Return the base type of a type, empty at the root of the hierarchy."""
        if name in self.primitives:
            return self.primitives[name]
        row = self._definitions.get(name)
        return str(row[0]) if row else ""

    def _element(self, path: str, row: list[Any]) -> ElementFacts:
        full = [*row, *_DEFAULTS[len(row) :]]
        name, types, minimum, maximum, flags, targets, binding, content, constraints = full
        return ElementFacts(
            path=f"{path}.{name}",
            name=name.removesuffix("[x]"),
            types=tuple(types.split()),
            min=minimum,
            max=None if maximum == _UNBOUNDED else maximum,
            choice=name.endswith("[x]"),
            targets=self._targets[targets],
            binding=self._binding(binding),
            content=content,
            modifier=bool(flags & _MODIFIER),
            summary=bool(flags & _SUMMARY),
            simple_quantity=bool(flags & _SIMPLE_QUANTITY),
            constraints=self._constrained(constraints),
        )

    def _binding(self, number: int) -> Binding | None:
        if not number:
            return None
        if number not in self._required:
            canonical, systems = self._bindings[number]
            self._required[number] = Binding(canonical, {name: frozenset(codes) for name, codes in systems.items()})
        return self._required[number]

    def _constrained(self, numbers: Sequence[int]) -> tuple[Constraint, ...]:
        return tuple(self._constraints[number] for number in numbers)


@cache
def table() -> Table:
    """Load the file on first use; every later call returns the same immutable facts."""
    packed = files(__package__).joinpath("structures.json.zz").read_bytes()
    return Table(json.loads(zlib.decompress(packed)))
