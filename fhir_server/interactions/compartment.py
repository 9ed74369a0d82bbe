"""search within a compartment: `GET Patient/7/Observation?…` and `GET Patient/7/*?…` (R4 search.html, http.html#search).

A compartment is a condition on a search and nothing else: parameters, paging, includes and totals are those of a search on
the type, or on several types. A compartment whose resource does not exist is empty.
"""

from functools import partial

from fhir_server.artifacts.r4.compartments import Compartment, compartments
from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation
from fhir_server.interactions.request import Parameters, Place, Request
from fhir_server.interactions.search import Target, form_of, search_type
from fhir_server.interactions.search_system import TypeScope, search_types
from fhir_server.model.errors import NotFound
from fhir_server.search.compartments import member_types, membership


def search_member(engine: Engine, request: Request, place: Place) -> Operation:
    """Search one type within a compartment."""
    return _one(engine, request, place, request.query)


def search_member_by_post(engine: Engine, request: Request, place: Place) -> Operation:
    """Search one type within a compartment, with the parameters of a form."""
    return _one(engine, request, place, (*request.query, *form_of(request)))


def search_all(engine: Engine, request: Request, place: Place) -> Operation:
    """Search all types of a compartment, or those that `_type` names."""
    return _several(engine, request, place, request.query)


def search_all_by_post(engine: Engine, request: Request, place: Place) -> Operation:
    """Search several types within a compartment, with the parameters of a form."""
    return _several(engine, request, place, (*request.query, *form_of(request)))


def _one(engine: Engine, request: Request, place: Place, parameters: Parameters) -> Operation:
    compartment = _compartment(place)
    if place.member not in member_types(compartment):
        raise _not_a_member(engine, compartment, place)
    within = membership(compartment, place.id, place.member)
    target = Target(place.member, within, f"{place.type}/{place.id}/{place.member}")
    return search_type(engine, request, target, parameters)


def _several(engine: Engine, request: Request, place: Place, parameters: Parameters) -> Operation:
    compartment = _compartment(place)
    within = partial(membership, compartment, place.id)
    scope = TypeScope(f"{place.type}/{place.id}/*", member_types(compartment), within)
    return search_types(engine, request, scope, parameters)


def _compartment(place: Place) -> Compartment:
    found = compartments().get(place.type)
    if found is None:
        wanted = place.member or "Task"
        raise NotFound(
            f"{place.type} has no compartment in R4; {', '.join(compartments())} have. Search "
            f"{wanted} by one of its reference parameters instead, with {place.type}/{place.id} as the value.",
            key="unknown-compartment",
        )
    return found


def _not_a_member(engine: Engine, compartment: Compartment, place: Place) -> NotFound:
    linked = [
        (
            code != compartment.type.lower(),
            len(targets),
            code,
        )  # the parameter that says most about the type comes first
        for code, parameter in engine.registry.of(place.member).items()
        if parameter.type == "reference" and compartment.type in (targets := engine.registry.targets(parameter))
    ]
    hint = f" Search {place.member}?{min(linked)[2]}={place.type}/{place.id} instead." if linked else ""
    return NotFound(
        f"{place.member} is never in the {compartment.type} compartment of R4.{hint} It holds "
        f"{', '.join(member_types(compartment))}.",
        key="not-in-compartment",
    )
