"""The compartments of FHIR R4 4.0.1 (compartmentdefinition.html): which resources belong to one patient, encounter, ….

`compartments.json`, written by `tools/compile_compartments.py`, is compartment → [canonical URL, resource type → codes of
the search parameters that link it]; the code `{def}` stands for the resource that the compartment is named for.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final, NamedTuple

ITSELF: Final = "{def}"
"""In the place of a parameter: the resource that identifies the compartment is a member of it."""


class Compartment(NamedTuple):
    """One kind of compartment; a resource type without parameters is never in it and is not listed."""

    type: str
    """The resource type that identifies an instance of the compartment."""
    url: str
    """Canonical URL of the CompartmentDefinition."""
    members: Mapping[str, tuple[str, ...]]
    """Resource type → the reference parameters of which any may link it, in alphabetical order of the types."""


@cache
def compartments() -> Mapping[str, Compartment]:
    """Return the compartments by type, in alphabetical order. The file is read on first use."""
    raw = json.loads(files(__package__).joinpath("compartments.json").read_bytes())
    return MappingProxyType(
        {
            kind: Compartment(kind, url, MappingProxyType({name: tuple(codes) for name, codes in members.items()}))
            for kind, (url, members) in raw.items()
        }
    )
