"""Conditions on other resources: chains and `_has` (R4 search.html#chaining, #has)."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from fhir_server.search import contained, hierarchies, targets
from fhir_server.search.escaping import split
from fhir_server.search.parameters import ANY, SearchParameter
from fhir_server.search.query import NOTHING, Chain, Has, Node, Or
from fhir_server.search.refusals import NotOffered, listed, nearest, shown, unknown_parameter, unsupported_modifier
from fhir_server.search.scope import Scope

Condition: TypeAlias = Callable[[Scope, str, str, str, str], Node]
"""`conditions.condition`: (scope, resource type, name, value, full name)."""

MOST_TYPES = 12
"""A chain through a reference to any type is followed without a type when its next parameter is one of at most so many."""
_TOLD = 12
"""Types that a refusal names as examples."""


def parameter_of(scope: Scope, resource_type: str, code: str, full_name: str) -> SearchParameter:
    """Return a parameter of a type; `_list` is asked as a condition on the id. Raises NotOffered when there is none."""
    known = scope.registry.of(resource_type)
    found = known.get("_id" if code == "_list" else code)
    if found is None:
        raise unknown_parameter(resource_type, code, full_name, known)
    return found


def chain(
    scope: Scope, parameter: SearchParameter, only: str, rest: str, value: str, full_name: str, condition: Condition
) -> Node:
    """Read what follows the dot, as a condition on each type that the reference can be to; `only` is a type modifier."""
    if parameter.type != "reference":
        raise NotOffered(
            f"Search parameter {shown(full_name)} chains through {parameter.code!r}, which is a {parameter.type}; "
            "only references can be chained.",
            key="search-bad-chain",
        )
    possible = _possible(scope, parameter, only, rest, full_name)
    inner = replace(scope, depth=scope.depth + 1)
    parts: list[Node] = []
    refused: list[NotOffered] = []
    for target in possible:
        try:
            asked = condition(inner, target, rest, value, full_name)
        except NotOffered as error:
            refused.append(error)
            continue
        parts.append(Chain(parameter.code, target, asked))
        inside = contained.within(asked, parameter.code, target)
        if inside != NOTHING:
            scope.budget.spend(scope.limits, full_name)
            parts.append(inside)
    if not parts:
        raise _least_surprising(refused, parameter, full_name)
    if rest == "identifier":  # a logical reference names its target by nothing else
        values = (part for part in split(value, ",") if part)
        parts += [targets.identified(parameter.code, full_name, part, only) for part in values]
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


def _possible(scope: Scope, parameter: SearchParameter, only: str, rest: str, full_name: str) -> tuple[str, ...]:
    """Return the types to follow: the one that is named, those of the parameter, or the few with what comes next."""
    if only:
        check_target(scope, parameter, only, full_name)
        return (only,)
    if ANY not in parameter.targets:
        return scope.registry.targets(parameter)
    following = rest.partition(".")[0].partition(":")[0]
    types = scope.registry.types_with(following)
    if 0 < len(types) <= MOST_TYPES:
        return types
    if types:
        some = ", ".join(types[:_TOLD]) + (" …" if len(types) > _TOLD else "")
        why = f"{len(types)} types have a parameter {shown(following)}: {some}"
    else:
        why = f"no type has a parameter {shown(following)}"
    raise NotOffered(
        f"Search parameter {shown(full_name)} chains through {parameter.code!r}, which refers to any type; {why}. "
        f"Name the type: {parameter.code}:{types[0] if types else 'Patient'}.{rest[:60]}.",
        key="search-ambiguous-chain",
    )


def _least_surprising(refused: list[NotOffered], parameter: SearchParameter, full_name: str) -> NotOffered:
    if len(refused) == 1:
        return refused[0]
    hints = " ".join(issue.diagnostics for error in refused[:1] for issue in error.issues)
    return NotOffered(
        f"Search parameter {shown(full_name)} fits none of the types that {parameter.code!r} refers to "
        f"({listed(parameter.targets)}). {hints}",
        key="search-bad-chain",
    )


def check_target(scope: Scope, parameter: SearchParameter, only: str, full_name: str) -> None:
    """Raise NotOffered unless a reference can be to the type that its modifier names."""
    possible = scope.registry.targets(parameter)
    if only in possible:
        return
    if only in ("above", "below"):
        raise NotOffered(
            f"Search parameter {shown(full_name)} asks for a hierarchy, and R4 gives none to what {parameter.code!r} refers "
            f"to ({listed(parameter.targets)}). Hierarchies of R4: {hierarchies.told()}. Its modifiers, each after a colon: "
            f"{listed((*targets.modifiers(scope.registry, parameter), *parameter.targets))}.",
            key="search-unsupported-modifier",
        )
    raise unsupported_modifier(full_name, only, (*targets.modifiers(scope.registry, parameter), *parameter.targets))


def has(scope: Scope, resource_type: str, name: str, value: str, full_name: str, condition: Condition) -> Node:
    """Read `_has:Type:reference:parameter`, a condition on what refers here."""
    parts = name.split(":", 3)
    if len(parts) != 4 or not all(parts):  # noqa: PLR2004  # _has, type, reference, condition
        raise NotOffered(
            f"Search parameter {shown(full_name)} is not complete. Write _has:Type:reference:parameter, for example "
            "_has:Task:focus:status=requested.",
            key="search-bad-has",
        )
    _, source, link, rest = parts
    if source not in scope.registry.types:
        raise NotOffered(
            f"Search parameter {shown(full_name)}: {shown(source)} is not a resource type of R4."
            f"{nearest(source, scope.registry.types)}",
            key="search-bad-has",
        )
    parameter = parameter_of(scope, source, link, full_name)
    if parameter.type != "reference" or resource_type not in scope.registry.targets(parameter):
        possible = [p.code for p in scope.registry.of(source).values() if resource_type in scope.registry.targets(p)]
        raise NotOffered(
            f"Search parameter {shown(full_name)}: {source}.{link} does not refer to {resource_type}. "
            f"Parameters of {source} that do: {listed(possible)}.",
            key="search-bad-has",
        )
    return Has(source, link, condition(replace(scope, depth=scope.depth + 1), source, rest, value, full_name))
