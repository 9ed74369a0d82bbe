"""One `name=value` of a search → a node: modifiers, OR lists, chains, `_has`, composites (R4 search.html)."""

from collections.abc import Callable
from dataclasses import replace

from fhir_server.search import filters, operands, targets, tokens
from fhir_server.search.escaping import split, unescape
from fhir_server.search.fulltext import CONTENT, TEXT
from fhir_server.search.parameters import ANY, SearchParameter
from fhir_server.search.query import (
    EVERYTHING,
    NOTHING,
    Chain,
    CompositeIs,
    Has,
    IdIs,
    Missing,
    Node,
    Not,
    Or,
    TextMode,
)
from fhir_server.search.refusals import (
    NotOffered,
    bad_value,
    listed,
    nearest,
    not_supported,
    shown,
    too_much,
    unknown_parameter,
    unsupported_modifier,
)
from fhir_server.search.request import Relation
from fhir_server.search.scope import Scope

MODIFIERS = {
    "string": ("contains", "exact", "missing"),
    "token": ("above", "below", "in", "missing", "not", "not-in", "of-type", "text"),
    "reference": ("identifier", "missing"),
    "uri": ("above", "below", "contains", "missing"),
    "date": ("missing",),
    "number": ("missing",),
    "quantity": ("missing",),
    "composite": ("missing",),
    "special": ("missing",),
}
"""Modifiers by type of parameter; a reference also takes each type that it can refer to."""

_WITHOUT_INDEX = {
    "_query": "this server has no named queries.",
}
_STRING_MODES = {"": TextMode.STARTS, "exact": TextMode.EXACT, "contains": TextMode.CONTAINS}
_URI_MODES = {"": TextMode.EXACT, "below": TextMode.BELOW, "above": TextMode.ABOVE, "contains": TextMode.CONTAINS}
_RELATIONS: dict[str, Relation] = {"in": "in", "not-in": "in", "below": "below", "above": "above"}


def condition(scope: Scope, resource_type: str, name: str, value: str, full_name: str = "") -> Node:
    """Read one parameter. `full_name` is the whole name that the client wrote, where `name` is the end of a chain.

    Raises NotOffered for what lenient handling may leave out, Malformed for what cannot be understood.
    """
    full_name = full_name or name
    scope.budget.spend(scope.limits, full_name)
    if scope.depth > scope.limits.chain_depth:
        raise too_much(full_name, "too many links in its chain", str(scope.limits.chain_depth))
    if name.startswith("_has:"):
        return _has(scope, resource_type, name, value, full_name)
    if name == "_filter":
        _check_length(scope, value, full_name)
        return filters.read(scope, resource_type, value, condition)
    first, dot, rest = name.partition(".")
    code, _, modifier = first.partition(":")
    if code in (TEXT, CONTENT) and not dot:
        return _full_text(scope, code, modifier, value, full_name)
    parameter = _parameter(scope, resource_type, code, full_name)
    if dot:
        return _chain(scope, parameter, modifier, rest, value, full_name)
    if modifier == "missing":
        return _missing(parameter, value, full_name)
    if code == "_list":
        return _in_list(value, full_name)
    return _alternatives(scope, parameter, modifier, value, full_name)


def _parameter(scope: Scope, resource_type: str, code: str, full_name: str) -> SearchParameter:
    if code in _WITHOUT_INDEX:
        raise not_supported(full_name, _WITHOUT_INDEX[code])
    known = scope.registry.of(resource_type)
    if code == "_list":
        return known["_id"]
    found = known.get(code)
    if found is None:
        raise unknown_parameter(resource_type, code, full_name, known)
    return found


def _full_text(scope: Scope, code: str, modifier: str, value: str, full_name: str) -> Node:
    if modifier:
        raise unsupported_modifier(full_name, modifier, ())
    parts = tuple(operands.full_text(full_name, code, part) for part in _values(scope, value, full_name))
    return parts[0] if len(parts) == 1 else Or(parts)


def _missing(parameter: SearchParameter, value: str, full_name: str) -> Node:
    if value not in ("true", "false"):
        raise bad_value("search-bad-boolean", full_name, value, "true or false")
    if parameter.code in ("_id", "_lastUpdated"):
        return NOTHING if value == "true" else EVERYTHING
    return Missing(parameter.code, value == "true")


def _in_list(value: str, full_name: str) -> Node:
    if value.startswith("$"):
        raise not_supported(full_name, "this server has no functional lists; name a List resource.")
    identity = unescape(value).removeprefix("List/")
    return Has("List", "item", IdIs((identity,)))


def _chain(scope: Scope, parameter: SearchParameter, only: str, rest: str, value: str, full_name: str) -> Node:
    if parameter.type != "reference":
        raise NotOffered(
            f"Search parameter {shown(full_name)} chains through {parameter.code!r}, which is a {parameter.type}; "
            "only references can be chained.",
            key="search-bad-chain",
        )
    possible = scope.registry.targets(parameter)
    if only:
        _check_target(scope, parameter, only, full_name)
        possible = (only,)
    elif ANY in parameter.targets:
        raise NotOffered(
            f"Search parameter {shown(full_name)} chains through {parameter.code!r}, which refers to any type. "
            f"Name the type: {parameter.code}:Patient.{rest[:60]}.",
            key="search-ambiguous-chain",
        )
    inner = replace(scope, depth=scope.depth + 1)
    parts: list[Node] = []
    refused: list[NotOffered] = []
    for target in possible:
        try:
            parts.append(Chain(parameter.code, target, condition(inner, target, rest, value, full_name)))
        except NotOffered as error:
            refused.append(error)
    if not parts:
        raise _least_surprising(refused, parameter, full_name)
    if rest == "identifier":  # a logical reference names its target by nothing else
        parts += [targets.identified(parameter.code, full_name, part) for part in _values(scope, value, full_name)]
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


def _least_surprising(refused: list[NotOffered], parameter: SearchParameter, full_name: str) -> NotOffered:
    if len(refused) == 1:
        return refused[0]
    hints = " ".join(issue.diagnostics for error in refused[:1] for issue in error.issues)
    return NotOffered(
        f"Search parameter {shown(full_name)} fits none of the types that {parameter.code!r} refers to "
        f"({listed(parameter.targets)}). {hints}",
        key="search-bad-chain",
    )


def _check_target(scope: Scope, parameter: SearchParameter, only: str, full_name: str) -> None:
    possible = scope.registry.targets(parameter)
    if only not in possible:
        raise unsupported_modifier(full_name, only, (*MODIFIERS["reference"], *parameter.targets))


def _has(scope: Scope, resource_type: str, name: str, value: str, full_name: str) -> Node:
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
    parameter = _parameter(scope, source, link, full_name)
    if parameter.type != "reference" or resource_type not in scope.registry.targets(parameter):
        possible = [p.code for p in scope.registry.of(source).values() if resource_type in scope.registry.targets(p)]
        raise NotOffered(
            f"Search parameter {shown(full_name)}: {source}.{link} does not refer to {resource_type}. "
            f"Parameters of {source} that do: {listed(possible)}.",
            key="search-bad-has",
        )
    return Has(source, link, condition(replace(scope, depth=scope.depth + 1), source, rest, value, full_name))


def _values(scope: Scope, value: str, full_name: str) -> list[str]:
    values = [part for part in split(value, ",") if part]
    if len(values) > scope.limits.or_values:
        raise too_much(full_name, f"{len(values)} values", f"{scope.limits.or_values} separated by commas")
    for part in values:
        _check_length(scope, part, full_name)
    return values


def _check_length(scope: Scope, value: str, full_name: str) -> None:
    if len(value) > scope.limits.value_length:
        raise too_much(full_name, f"a value of {len(value)} characters", str(scope.limits.value_length))


def _alternatives(scope: Scope, parameter: SearchParameter, modifier: str, value: str, full_name: str) -> Node:
    read = _reader(scope, parameter, parameter.code, modifier, full_name)
    values = _values(scope, value, full_name)
    if parameter.code == "_id":
        found: Node = IdIs(tuple(unescape(part) for part in values))
    else:
        parts = tuple(dict.fromkeys(read(part) for part in values))
        found = parts[0] if len(parts) == 1 else Or(parts)
    return Not(found) if modifier in ("not", "not-in") else found


Reader = Callable[[str], Node]


def _reader(scope: Scope, parameter: SearchParameter, param: str, modifier: str, name: str) -> Reader:
    """Return what reads one value of an OR list."""
    kind = parameter.type
    if kind == "reference" and modifier not in ("", "identifier"):
        _check_target(scope, parameter, modifier, name)
    elif modifier and modifier not in _modifiers(parameter):
        raise unsupported_modifier(name, modifier, _modifiers(parameter))
    if kind == "token":
        return _token_reader(scope, parameter, param, modifier, name)
    if kind == "reference":
        if modifier == "identifier":
            return lambda text: targets.identified(param, name, text)
        return lambda text: targets.reference(scope.registry, parameter, param, name, text, scope.own_base, modifier)
    if kind == "composite":
        return lambda text: _composite(scope, parameter, name, text)
    return _operand_reader(scope, parameter, param, modifier, name)


def _modifiers(parameter: SearchParameter) -> tuple[str, ...]:
    return ("missing", "not") if parameter.code == "_id" else MODIFIERS[parameter.type]


def _operand_reader(scope: Scope, parameter: SearchParameter, param: str, modifier: str, name: str) -> Reader:
    def operand(text: str) -> operands.Operand:
        return operands.Operand(name, param, text, scope.now_us, scope.limits.near_metres)

    match parameter.type:
        case "date" if parameter.code == "_lastUpdated":
            return lambda text: operands.last_updated(operand(text))
        case "date":
            return lambda text: operands.date(operand(text))
        case "number":
            return lambda text: operands.number(operand(text))
        case "quantity":
            return lambda text: operands.quantity(operand(text))
        case "string":
            return lambda text: operands.string(operand(text), _STRING_MODES[modifier])
        case "uri":
            return lambda text: operands.uri(operand(text), _URI_MODES[modifier])
        case _ if "Location.position" in parameter.element_types:
            return lambda text: operands.near(operand(text))
        case _:
            raise not_supported(name, f"a parameter of type {parameter.type} has no rule of its own.")


def _token_reader(scope: Scope, parameter: SearchParameter, param: str, modifier: str, name: str) -> Reader:
    if modifier == "text":
        return lambda text: tokens.text(param, text)
    if modifier == "of-type":
        return lambda text: tokens.of_type(param, name, text)
    if relation := _RELATIONS.get(modifier):
        return lambda text: tokens.expanded(parameter, param, name, text, relation, scope.expand)
    return lambda text: tokens.token(parameter, param, name, text)


def _composite(scope: Scope, parameter: SearchParameter, name: str, text: str) -> Node:
    values = split(text, "$")
    if len(values) != len(parameter.components) or not all(values):
        shape = "$".join(f"<{component.code}>" for component in parameter.components)
        raise bad_value("search-bad-composite", name, text, f"{shape}, one value for each component")
    parts = []
    for index, (component, value) in enumerate(zip(parameter.components, values, strict=True)):
        paths = tuple(
            dict.fromkeys(path for occurrence in parameter.occurrences for path in occurrence.components[index])
        )
        known = scope.registry.of(parameter.bases[0]).get(component.code)
        stand_in = parameter._replace(
            code=component.code, type=component.type, paths=paths, targets=known.targets if known else (ANY,)
        )
        parts.append(_reader(scope, stand_in, str(index), "", name)(value))
    return CompositeIs(parameter.code, tuple(parts))
