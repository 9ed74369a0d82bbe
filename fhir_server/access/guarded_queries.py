"""What a policy does to a query: put into every link of it, and left out where the query implies it."""

from collections.abc import Callable
from typing import Final, TypeAlias

from fhir_server.access.policies import Policy
from fhir_server.access.policies_nodes import every_of
from fhir_server.search.query import EVERYTHING, And, Chain, Has, IdIs, LastUpdated, Node, Not, Or, RefersTo

_PARTIES: Final = frozenset({"owner", "requester"})
"""Parameters by which a Task or ServiceRequest names who works on it and who asked."""


def rewrite(node: Node, policy: Policy) -> Node:
    """Return a condition in which every link leads only to what the policy lets see; one without links is itself."""
    if not _has_links(node):
        return node
    match node:
        case Chain(param, target, part):
            return Chain(param, target, every_of((policy.read(target), rewrite(part, policy))))
        case Has(source, param, part):
            return Has(source, param, every_of((policy.read(source), rewrite(part, policy))))
        case And(parts):
            return And(tuple(rewrite(part, policy) for part in parts))
        case Or(parts):
            return Or(tuple(rewrite(part, policy) for part in parts))
        case Not(part):
            return Not(rewrite(part, policy))
        case _:
            return node


def assumed(policy: Node, where: Node) -> Node:
    """Return what is left to ask of a policy where a condition holds already."""
    known = where.parts if isinstance(where, And) else (where,)
    if policy in known:
        return EVERYTHING
    if isinstance(policy, Or) and any(part in known for part in policy.parts):
        return EVERYTHING
    return policy


def _has_links(node: Node) -> bool:
    match node:
        case Chain() | Has():
            return True
        case And(parts) | Or(parts):
            return any(_has_links(part) for part in parts)
        case Not(part):
            return _has_links(part)
        case _:
            return False


Find: TypeAlias = Callable[[str, Chain | Has], "Node | None"]
"""Follows a link of a type: the condition on the resource itself that says the same, None when that would be long."""


def shallow(node: Node, resource_type: str, find: Find, *, nested: bool = False) -> Node:
    """Return a condition in which no link lies within a link, as far as `find` can take one away.

    The policy is put at the end of every link, and has links of its own: nested, they are more than a database parses.
    """
    match node:
        case Chain(param, target, part):
            link: Chain | Has = Chain(param, target, shallow(part, target, find, nested=True))
        case Has(source, param, part):
            link = Has(source, param, shallow(part, source, find, nested=True))
        case And(parts):
            return And(tuple(shallow(part, resource_type, find, nested=nested) for part in parts))
        case Or(parts):
            return Or(tuple(shallow(part, resource_type, find, nested=nested) for part in parts))
        case Not(part):
            return Not(shallow(part, resource_type, find, nested=nested))
        case _:
            return node
    found = find(resource_type, link) if nested else None
    return link if found is None else found


def nests(node: Node) -> bool:
    """Tell whether a link lies within a link."""
    match node:
        case Chain(part=part) | Has(part=part):
            return _has_links(part)
        case And(parts) | Or(parts):
            return any(nests(part) for part in parts)
        case Not(part):
            return nests(part)
        case _:
            return False


def names_caller(where: Node, organization: str) -> bool:
    """Tell whether a condition asks for what names an organisation in a part of its own."""
    parts = where.parts if isinstance(where, And) else (where,)
    return any(isinstance(part, RefersTo) and part.target == organization and part.param in _PARTIES for part in parts)


def narrows(where: Node) -> bool:
    """Tell whether a condition names what it looks for exactly, so that an index answers it."""
    match where:
        case RefersTo() | IdIs():
            return True
        case And(parts):
            return any(narrows(part) for part in parts)
        case Or(parts):
            return bool(parts) and all(narrows(part) for part in parts)
        case _:
            return False


def says_nothing(where: Node) -> bool:
    """Tell whether a condition asks for nothing but dates of change: what may be counted without telling of anybody."""
    return (
        where == EVERYTHING
        or isinstance(where, LastUpdated)
        or (isinstance(where, And) and all(map(says_nothing, where.parts)))
    )
