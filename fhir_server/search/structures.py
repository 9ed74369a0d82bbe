"""What R4 says of elements, as far as search needs it: name → the forms that it has in JSON, with their types."""

from typing import NamedTuple

from fhir_server.artifacts import r4
from fhir_server.artifacts.r4 import ElementFacts


class Element(NamedTuple):
    """One element as it stands in JSON: `key` has the choice suffix (`valueQuantity`)."""

    key: str
    type: str
    """Datatype (`Reference`, `code`), or the path of a backbone element (`Task.input`)."""
    system: str = ""
    """The code system that the required binding of a `code` implies, where it is just one."""


_SYSTEMS = {
    "http://hl7.org/fhir/ValueSet/mimetypes": "urn:ietf:bcp:13",
    "http://hl7.org/fhir/ValueSet/currencies": "urn:iso:std:iso:4217",
}
"""Systems of value sets that cannot be enumerated."""


class Structures:
    """The R4 elements, from the facts that the whole server shares."""

    @classmethod
    def load(cls) -> "Structures":
        """Return the R4 4.0.1 elements."""
        return cls()

    def knows(self, type_name: str) -> bool:
        """Tell whether a datatype, resource type or backbone path is in R4."""
        return r4.structure(type_name) is not None or r4.is_primitive(type_name)

    def names(self, type_name: str) -> tuple[str, ...]:
        """Return the elements of a type, choices without `[x]`."""
        structure = r4.structure(type_name)
        return tuple(facts.name for facts in structure.elements) if structure is not None else ()

    def children(self, type_name: str, name: str) -> tuple[Element, ...]:
        """Return the JSON forms of element `name`: one, one per type of a choice, or none when R4 has no such element.

        `valueQuantity` is understood too, as some expressions write what FHIRPath calls `value.ofType(Quantity)`.
        """
        facts = r4.child(type_name, name)
        if facts is None:
            return ()
        if facts.choice:
            return tuple(Element(key, kind) for key, kind in facts.json_names)
        return (Element(facts.name, r4.definition_of(facts), _implied_system(facts)),)


def _implied_system(facts: ElementFacts) -> str:
    if facts.types != ("code",) or facts.binding is None:
        return ""
    systems = tuple(facts.binding.systems)
    if not systems:
        return _SYSTEMS.get(facts.binding.valueset.partition("|")[0], "")
    return systems[0] if len(systems) == 1 else ""
