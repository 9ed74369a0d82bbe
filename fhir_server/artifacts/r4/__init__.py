"""The facts of FHIR R4 4.0.1: types, elements, cardinalities, choices, reference targets, required bindings, invariants.

Everything here is read once from a compiled table (see `table`) and never changes.
"""

from collections.abc import Callable
from functools import lru_cache

from fhir_server.artifacts.r4.table import Binding, Constraint, ElementFacts, Structure, table

__all__ = [
    "Binding",
    "Constraint",
    "ElementFacts",
    "Structure",
    "base_type",
    "child",
    "definition_of",
    "definition_paths",
    "is_choice",
    "is_primitive",
    "is_resource_type",
    "is_subtype",
    "mandatory_elements",
    "primitive_types",
    "resource_types",
    "structure",
    "summary_elements",
]


_DEFINITIONS = 1024
"""More than R4 has definitions (662): nothing real is evicted, and names that clients make up cannot fill memory."""


def resource_types() -> frozenset[str]:
    """Return the 146 concrete resource types."""
    return table().resource_types


def primitive_types() -> frozenset[str]:
    """Return the primitive types, `xhtml` included."""
    return frozenset(table().primitives)


def definition_paths() -> frozenset[str]:
    """Return every path that has a structure: types (`Patient`) and backbone elements (`Patient.contact`)."""
    return table().paths


def is_resource_type(name: str) -> bool:
    """Tell whether R4 has a concrete resource type of that name."""
    return name in table().resource_types


def is_primitive(name: str) -> bool:
    """Tell whether the name is that of a primitive type."""
    return name in table().primitives


def structure(path: str) -> Structure | None:
    """Return the facts of a type or backbone element (`Patient`, `Patient.contact`), or None."""
    return table().structure(path)


def base_type(name: str) -> str:
    """Return the type that a type specialises (`code` → `string`, `Age` → `Quantity`); empty at the root."""
    return table().base(name)


def is_subtype(name: str, ancestor: str) -> bool:
    """Tell whether the type is the ancestor or specialises it, directly or not."""
    while name and name != ancestor:
        name = table().base(name)
    return bool(name)


def child(path: str, name: str) -> ElementFacts | None:
    """Return the facts of an element below a type or backbone element, or None.

    A choice element answers to its plain name with all its types (`child("Observation", "value")`), and to each of its
    names in JSON with just that type (`valueQuantity`: `types == ("Quantity",)`, `choice` False).
    """
    return _children(path).get(name)


@lru_cache(maxsize=_DEFINITIONS)
def _children(path: str) -> dict[str, ElementFacts]:
    found: dict[str, ElementFacts] = {}
    known = table().structure(path)
    for facts in known.elements if known else ():
        found[facts.name] = facts
        if facts.choice:
            for name, kind in facts.json_names:
                found[name] = facts._replace(name=name, types=(kind,), choice=False)
    return found


def definition_of(facts: ElementFacts) -> str:
    """Return the path to continue at below an element: its backbone definition, or its only type; empty for a choice."""
    return facts.content or (facts.types[0] if len(facts.types) == 1 else "")


def is_choice(path: str, name: str) -> bool:
    """Tell whether the element is a choice (`is_choice("Observation", "value")`)."""
    facts = child(path, name)
    return facts is not None and facts.choice


@lru_cache(maxsize=_DEFINITIONS)
def summary_elements(resource_type: str) -> frozenset[str]:
    """Return the names in JSON of the top-level elements that R4 marks as part of the summary, choices expanded."""
    return _names(resource_type, lambda facts: facts.summary)


@lru_cache(maxsize=_DEFINITIONS)
def mandatory_elements(resource_type: str) -> frozenset[str]:
    """Return the names in JSON of the top-level elements that must be present, choices expanded."""
    return _names(resource_type, lambda facts: facts.min > 0)


def _names(resource_type: str, wanted: Callable[[ElementFacts], bool]) -> frozenset[str]:
    known = table().structure(resource_type)
    elements = known.elements if known else ()
    return frozenset(name for facts in elements if wanted(facts) for name, _ in facts.json_names)
