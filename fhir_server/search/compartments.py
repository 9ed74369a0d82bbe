"""Compartments as conditions of a search (R4 compartmentdefinition.html, search.html#compartment)."""

from fhir_server.artifacts.r4.compartments import ITSELF, Compartment
from fhir_server.search.parameters import Registry
from fhir_server.search.query import NOTHING, IdIs, Node, Or, RefersTo


def membership(compartment: Compartment, identity: str, resource_type: str) -> Node:
    """Return what holds for the resources of a type that are in the compartment of `identity` (a logical id).

    The resource that identifies a compartment is in it: R4 says so of three compartments with `{def}` and leaves it open
    for Patient and Device. Resources of a linked patient are not: they are in the compartment of that patient.
    """
    target = f"{compartment.type}/{identity}"
    codes = compartment.members.get(resource_type, ())
    parts: list[Node] = [RefersTo(code, target) for code in codes if code != ITSELF]
    if resource_type == compartment.type:
        parts.append(IdIs((identity,)))
    return parts[0] if len(parts) == 1 else Or(tuple(parts)) if parts else NOTHING


def member_types(compartment: Compartment) -> tuple[str, ...]:
    """Return the resource types that can be in a compartment, in alphabetical order."""
    return tuple(sorted({*compartment.members, compartment.type}))


def about(registry: Registry, compartment: Compartment, resource_type: str) -> tuple[str, ...]:
    """Return the parameters of a type that name the identity of a compartment directly (`patient`, `encounter`).

    They also link types that R4 4.0.1 leaves out of the compartment, such as Task, Contract and Device of a patient.
    """
    code = compartment.type.lower()
    parameter = registry.of(resource_type).get(code)
    linked = parameter is not None and parameter.type == "reference" and compartment.type in registry.targets(parameter)
    return (code,) if linked else ()
