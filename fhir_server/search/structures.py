"""What R4 says of elements, as far as search needs it: name → types (a fact table compiled from the R4 definitions)."""

from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

import msgspec


class Element(NamedTuple):
    """One element as it stands in JSON: `key` has the choice suffix (`valueQuantity`)."""

    key: str
    type: str
    """Datatype (`Reference`, `code`), or the path of a backbone element (`Task.input`)."""
    system: str = ""
    """The code system that the required binding of a `code` implies, where it is just one."""


class Structures:
    """The element table. A row is `type → {element: types}`; types are separated by blanks, `code=system` is bound."""

    def __init__(self, table: Mapping[str, Mapping[str, str]]) -> None:
        self._table = table

    @classmethod
    def load(cls) -> "Structures":
        """Read the shipped R4 4.0.1 table."""
        raw = files("fhir_server.search").joinpath("r4_elements.json").read_bytes()
        return cls(msgspec.json.decode(raw, type=dict[str, dict[str, str]]))

    def knows(self, type_name: str) -> bool:
        """Tell whether a datatype, resource type or backbone path is in R4."""
        return type_name in self._table

    def names(self, type_name: str) -> tuple[str, ...]:
        """Return the elements of a type, choices without `[x]`."""
        return tuple(name.removesuffix("[x]") for name in self._table.get(type_name, ()))

    def children(self, type_name: str, name: str) -> tuple[Element, ...]:
        """Return the JSON forms of element `name`: one, one per type of a choice, or none when R4 has no such element."""
        elements = self._table.get(type_name)
        if elements is None:
            return ()
        if types := elements.get(name):
            kind, _, system = types.partition("=")
            return (Element(name, kind, system),)
        if types := elements.get(name + "[x]"):
            return tuple(Element(name + kind[0].upper() + kind[1:], kind) for kind in types.split(" "))
        return self._suffixed(elements, name)

    def _suffixed(self, elements: Mapping[str, str], name: str) -> tuple[Element, ...]:
        """`valueQuantity`, as some expressions write what FHIRPath calls `value.ofType(Quantity)`."""
        for choice, types in elements.items():
            if choice.endswith("[x]") and name.startswith(choice[:-3]):
                for kind in types.split(" "):
                    if choice[:-3] + kind[0].upper() + kind[1:] == name:
                        return (Element(name, kind),)
        return ()
