"""One `name=value` of a search → a node: modifiers, OR lists, chains, `_has`, composites (R4 search.html)."""

from collections.abc import Callable

from fhir_server.model.reference import ID_PATTERN
from fhir_server.search import chains, extents, filters, hierarchies, operands, targets, tokens, uris
from fhir_server.search.beside import MEDIA_TYPES
from fhir_server.search.escaping import split, stray_escape, unescape
from fhir_server.search.fulltext import CONTENT, TEXT
from fhir_server.search.overdue import CODE, TYPE, overdue
from fhir_server.search.parameters import ANY, SearchParameter
from fhir_server.search.query import (
    EVERYTHING,
    NOTHING,
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
    bad_value,
    not_supported,
    shown,
    too_much,
    unsupported_modifier,
)
from fhir_server.search.request import Lineage, Relation
from fhir_server.search.scope import Scope

MODIFIERS = {
    "string": ("contains", "exact", "missing"),
    "token": ("above", "below", "in", "missing", "not", "not-in", "of-type", "text"),
    "reference": ("above", "below", "identifier", "missing"),
    "uri": ("above", "below", "contains", "missing"),
    "date": ("missing",),
    "number": ("missing",),
    "quantity": ("missing",),
    "composite": ("missing",),
    "special": ("missing",),
}
"""Modifiers by type of parameter; a reference also takes each type that it can refer to, and only some take `above` and `below`."""
_OF_SOME = {
    "text": frozenset({"CodeableConcept", "Coding", "Identifier"}),
    "of-type": frozenset({"Identifier"}),
}
"""Modifiers of tokens that ask for what only some datatypes have."""

_STRING_MODES = {"": TextMode.STARTS, "exact": TextMode.EXACT, "contains": TextMode.CONTAINS}
_URI_MODES = {"": TextMode.EXACT, "below": TextMode.BELOW, "above": TextMode.ABOVE, "contains": TextMode.CONTAINS}
_RELATIONS: dict[str, Relation] = {"in": "in", "not-in": "in", "below": "below", "above": "above"}
_LINEAGES: dict[str, Lineage] = {lineage: lineage for lineage in hierarchies.MODIFIERS}


def condition(scope: Scope, resource_type: str, name: str, value: str, full_name: str = "") -> Node:
    """Read one parameter. `full_name` is the whole name that the client wrote, where `name` is the end of a chain.

    Raises NotOffered for what lenient handling may leave out, Malformed for what cannot be understood.
    """
    full_name = full_name or name
    scope.budget.spend(scope.limits, full_name)
    if scope.depth > scope.limits.chain_depth:
        raise too_much(full_name, "too many links in its chain", str(scope.limits.chain_depth))
    if name.startswith("_has:"):
        return chains.has(scope, resource_type, name, value, full_name, condition)
    if name == "_filter":
        _check_length(scope, value, full_name)
        return filters.read(scope, resource_type, value, condition)
    first, dot, rest = name.partition(".")
    code, colon, modifier = first.partition(":")
    if code in (TEXT, CONTENT) and not dot:
        return _full_text(scope, code, modifier, value, full_name)
    if code == CODE and resource_type == TYPE and not dot:
        return overdue(value, modifier, full_name, scope.now_us)
    if code == "_query":
        raise not_supported(full_name, "this server has no named queries. Use search parameters or _filter.")
    parameter = chains.parameter_of(scope, resource_type, code, full_name)
    if code == "_list" and not dot:
        return _in_list(scope, modifier, value, full_name)
    if colon and not modifier:
        raise unsupported_modifier(full_name, "", _modifiers(scope, parameter))
    if dot:
        return chains.chain(scope, parameter, modifier, rest, value, full_name, condition)
    if modifier == "missing":
        return _missing(parameter, value, full_name)
    return _alternatives(scope, parameter, modifier, value, full_name)


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


def _in_list(scope: Scope, modifier: str, value: str, full_name: str) -> Node:
    if modifier:
        raise unsupported_modifier(full_name, modifier, ())
    if value.startswith("$"):
        raise not_supported(
            full_name,
            f"this server keeps no functional list {shown(value)}. Name a List resource: _list=[id], or ask for the lists "
            "that you mean by their code: _has:List:item:code=[code].",
        )
    identities = []
    for part in _values(scope, value, full_name):
        identity = targets.local(unescape(part), scope.own_base).removeprefix("List/")
        if not ID_PATTERN.fullmatch(identity):
            raise bad_value("search-bad-reference", full_name, part, "the id of a List resource")
        identities.append(identity)
    return Has("List", "item", IdIs(tuple(identities)))


def _values(scope: Scope, value: str, full_name: str) -> list[str]:
    values = [part for part in split(value, ",") if part]
    if len(values) > scope.limits.or_values:
        raise too_much(full_name, f"{len(values)} values", f"{scope.limits.or_values} separated by commas")
    for part in values:
        _check_length(scope, part, full_name)
        if "\\" in part and (wrong := stray_escape(part)):
            raise bad_value(
                "search-bad-escape", full_name, part, rf"\\ where {wrong} stands; only , | $ and \ are escaped"
            )
    return values


def _check_length(scope: Scope, value: str, full_name: str) -> None:
    if len(value) > scope.limits.value_length:
        raise too_much(full_name, f"a value of {len(value)} characters", str(scope.limits.value_length))


def _alternatives(scope: Scope, parameter: SearchParameter, modifier: str, value: str, full_name: str) -> Node:
    lineage = _LINEAGES.get(modifier)
    if lineage and hierarchies.followed(scope.registry, parameter):
        return hierarchies.related(scope, parameter, lineage, _values(scope, value, full_name), full_name)
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
    if kind == "reference" and (not modifier or modifier in _modifiers(scope, parameter)):
        return targets.reader(scope, parameter, param, modifier, name)
    if kind == "reference":
        chains.check_target(scope, parameter, modifier, name)
    elif modifier and modifier not in _modifiers(scope, parameter):
        raise unsupported_modifier(name, modifier, _modifiers(scope, parameter))
    if kind == "token":
        return _token_reader(scope, parameter, param, modifier, name)
    if kind == "reference":
        return lambda text: targets.reference(scope.registry, parameter, param, name, text, scope.own_base, modifier)
    if kind == "composite":
        return lambda text: _composite(scope, parameter, name, text)
    return _operand_reader(scope, parameter, param, modifier, name)


def _modifiers(scope: Scope, parameter: SearchParameter) -> tuple[str, ...]:
    if parameter.code == "_id":
        return ("missing", "not")
    if parameter.type == "reference":
        return targets.modifiers(scope.registry, parameter)
    types = parameter.element_types
    return tuple(name for name in MODIFIERS[parameter.type] if name not in _OF_SOME or types & _OF_SOME[name])


def _operand_reader(scope: Scope, parameter: SearchParameter, param: str, modifier: str, name: str) -> Reader:
    def operand(text: str) -> operands.Operand:
        return operands.Operand(name, param, text, scope.now_us, scope.limits.near_metres)

    match parameter.type:
        case "date" if parameter.code == "_lastUpdated":
            return lambda text: operands.last_updated(operand(text))
        case "date":
            return lambda text: operands.date(operand(text))
        case "number" if extents.RANGE in parameter.element_types:
            return lambda text: extents.or_range(operands.number(operand(text)))
        case "number":
            return lambda text: operands.number(operand(text))
        case "quantity" if extents.RANGE in parameter.element_types:
            return lambda text: extents.or_range(operands.quantity(operand(text)))
        case "quantity":
            return lambda text: operands.quantity(operand(text))
        case "string" if parameter.has_family_name:
            return lambda text: operands.family(operand(text), _STRING_MODES[modifier])
        case "string":
            return lambda text: operands.string(operand(text), _STRING_MODES[modifier])
        case "uri":
            return lambda text: uris.uri(scope, parameter, operand(text), _URI_MODES[modifier])
        case _ if "Location.position" in parameter.element_types:
            return lambda text: operands.near(operand(text))
        case _:
            raise not_supported(name, f"a parameter of type {parameter.type} has no rule of its own.")


def _token_reader(scope: Scope, parameter: SearchParameter, param: str, modifier: str, name: str) -> Reader:
    if modifier == "text":
        return lambda text: tokens.text(param, text)
    if modifier == "of-type":
        return lambda text: tokens.of_type(param, name, text)
    if modifier == "below" and MEDIA_TYPES in parameter.systems:
        return lambda text: tokens.media_type_below(param, text)
    if relation := _RELATIONS.get(modifier):
        return lambda text: tokens.expanded(parameter, param, name, text, relation, scope.expand)
    return lambda text: tokens.token(parameter, param, name, text)


def _composite(scope: Scope, parameter: SearchParameter, name: str, text: str) -> Node:
    values = split(text, "$")
    if len(values) != len(parameter.components) or not all(values):
        shape = "$".join(f"<{component.code}>" for component in parameter.components)
        raise bad_value("search-bad-composite", name, text, f"{shape}, one value for each component")
    parts, ranges = [], []
    for index, (component, value) in enumerate(zip(parameter.components, values, strict=True)):
        paths = {path: None for occurrence in parameter.occurrences for path in occurrence.components[index]}
        plain = tuple(path for path in paths if path.type != extents.RANGE)
        known = scope.registry.of(parameter.bases[0]).get(component.code)
        stand_in = parameter._replace(
            code=component.code, type=component.type, paths=plain, targets=known.targets if known else (ANY,)
        )
        parts.append(_reader(scope, stand_in, str(index), "", name)(value))
        ranges += [index] if len(plain) < len(paths) else []
    found = CompositeIs(parameter.code, tuple(parts))
    return extents.or_ranges(found, ranges) if ranges else found
