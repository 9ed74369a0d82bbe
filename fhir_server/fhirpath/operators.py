"""The binary operators and the unary ones (FHIRPath N1, section Operations)."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from fhir_server.fhirpath.equality import compare_items, distinct, equal, equal_items, equivalent, scalar
from fhir_server.fhirpath.evaluation import NO, YES, Evaluation, Nodes, Step, answer, single, truth
from fhir_server.fhirpath.moments import Moment, moment_of, shift
from fhir_server.fhirpath.node import Node, computed
from fhir_server.fhirpath.quantities import Quantity
from fhir_server.fhirpath.types import system_type

_OVERFLOW: Final = 2**63
"""Whole numbers from here on have no result, so that none grows without end."""

Operator = Callable[[Evaluation, Nodes, Nodes], Nodes]


def result(value: Any) -> Nodes:
    """Return a computed value as a collection; None is the empty one."""
    return [] if value is None else [computed(value, system_type(value))]


def _ordered(name: str, holds: Callable[[int], bool]) -> Operator:
    def operate(evaluation: Evaluation, left: Nodes, right: Nodes) -> Nodes:
        mine, other = single(evaluation, left, name), single(evaluation, right, name)
        if mine is None or other is None or mine.value is None or other.value is None:
            return []
        order = compare_items(mine, other)
        return [] if order is None else YES if holds(order) else NO

    return operate


def _equals(_: Evaluation, left: Nodes, right: Nodes) -> Nodes:
    return answer(equal(left, right))


def _differs(_: Evaluation, left: Nodes, right: Nodes) -> Nodes:
    same = equal(left, right)
    return answer(None if same is None else not same)


def _matches(_: Evaluation, left: Nodes, right: Nodes) -> Nodes:
    return answer(equivalent(left, right))


def _mismatches(_: Evaluation, left: Nodes, right: Nodes) -> Nodes:
    return answer(not equivalent(left, right))


def _union(evaluation: Evaluation, left: Nodes, right: Nodes) -> Nodes:
    evaluation.spend(len(left) + len(right))
    return distinct([*left, *right])


def _is_in(evaluation: Evaluation, left: Nodes, right: Nodes) -> Nodes:
    item = single(evaluation, left, "'in'")
    if item is None:
        return []
    evaluation.spend(len(right))
    return answer(any(equal_items(item, other) for other in right))


def _contains(evaluation: Evaluation, left: Nodes, right: Nodes) -> Nodes:
    item = single(evaluation, right, "'contains'")
    if item is None:
        return []
    evaluation.spend(len(left))
    return answer(any(equal_items(other, item) for other in left))


def _concatenate(evaluation: Evaluation, left: Nodes, right: Nodes) -> Nodes:
    text = _text(evaluation, left) + _text(evaluation, right)
    evaluation.spend(len(text) // 100)
    return result(text)


def _text(evaluation: Evaluation, nodes: Nodes) -> str:
    node = single(evaluation, nodes, "'&'")
    if node is None or node.value is None:
        return ""
    if not isinstance(node.value, str):
        raise evaluation.refuse("'&' joins texts; use toString() on anything else.")
    return node.value


def _arithmetic(name: str, compute: Callable[[Any, Any], Any]) -> Operator:
    def operate(evaluation: Evaluation, left: Nodes, right: Nodes) -> Nodes:
        mine, other = single(evaluation, left, name), single(evaluation, right, name)
        if mine is None or other is None or mine.value is None or other.value is None:
            return []
        try:
            value = compute(_operand(mine), _operand(other))
        except ArithmeticError:  # a division by zero, or a number out of all bounds
            return []
        except TypeError as error:
            raise evaluation.refuse(
                f"{name} does not take {type(mine.value).__name__} and {type(other.value).__name__}."
            ) from error
        if isinstance(value, str):
            evaluation.spend(len(value) // 100)
        return [] if isinstance(value, int) and abs(value) >= _OVERFLOW else result(value)

    return operate


def _operand(node: Node) -> Any:
    value = scalar(node)
    if isinstance(value, (bool, dict)):
        raise TypeError
    return value


def _add(left: Any, right: Any) -> Any:
    if isinstance(right, Quantity) and isinstance(left, (Moment, str)):
        return _shift(left, right, 1)
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        return Quantity(left.value + right.value, left.unit) if left.same_unit(right) else None
    return left + right


def _subtract(left: Any, right: Any) -> Any:
    if isinstance(right, Quantity) and isinstance(left, (Moment, str)):
        return _shift(left, right, -1)
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        return Quantity(left.value - right.value, left.unit) if left.same_unit(right) else None
    return left - right


def _shift(left: Moment | str, right: Quantity, sign: int) -> Moment:
    moment = left if isinstance(left, Moment) else moment_of(left)
    if moment is None:
        raise TypeError
    return shift(moment, right, sign)


def _multiply(left: Any, right: Any) -> Any:
    if isinstance(left, Quantity) and not isinstance(right, (Quantity, str)):
        return Quantity(left.value * right, left.unit)
    if isinstance(right, Quantity) and not isinstance(left, (Quantity, str)):
        return Quantity(right.value * left, right.unit)
    return _numbers_only(left) * _numbers_only(right)


def _divide(left: Any, right: Any) -> Any:
    if isinstance(left, Quantity) and not isinstance(right, (Quantity, str)):
        return Quantity(left.value / right, left.unit)
    return Decimal(_numbers_only(left)) / Decimal(_numbers_only(right))


def _whole(left: Any, right: Any) -> Any:
    return int(Decimal(_numbers_only(left)) // Decimal(_numbers_only(right)))


def _remainder(left: Any, right: Any) -> Any:
    rest = Decimal(_numbers_only(left)) % Decimal(_numbers_only(right))
    return int(rest) if isinstance(left, int) and isinstance(right, int) else rest


def _numbers_only(value: Any) -> Any:
    if isinstance(value, (int, Decimal)):
        return value
    raise TypeError


OPERATORS: Final[dict[str, Operator]] = {
    "=": _equals,
    "!=": _differs,
    "~": _matches,
    "!~": _mismatches,
    "<": _ordered("'<'", lambda order: order < 0),
    "<=": _ordered("'<='", lambda order: order <= 0),
    ">": _ordered("'>'", lambda order: order > 0),
    ">=": _ordered("'>='", lambda order: order >= 0),
    "|": _union,
    "in": _is_in,
    "contains": _contains,
    "&": _concatenate,
    "+": _arithmetic("'+'", _add),
    "-": _arithmetic("'-'", _subtract),
    "*": _arithmetic("'*'", _multiply),
    "/": _arithmetic("'/'", _divide),
    "div": _arithmetic("'div'", _whole),
    "mod": _arithmetic("'mod'", _remainder),
}
"""Operators that need both of their sides."""


def both(left: Step, right: Step) -> Step:
    """`and` with three values; the right side is left alone where the left decides."""

    def step(evaluation: Evaluation, focus: Nodes) -> Nodes:
        mine = truth(evaluation, left(evaluation, focus), "'and'")
        if mine is False:
            return NO
        other = truth(evaluation, right(evaluation, focus), "'and'")
        return NO if other is False else YES if mine and other else []

    return step


def either(left: Step, right: Step) -> Step:
    """`or` with three values."""

    def step(evaluation: Evaluation, focus: Nodes) -> Nodes:
        mine = truth(evaluation, left(evaluation, focus), "'or'")
        if mine:
            return YES
        other = truth(evaluation, right(evaluation, focus), "'or'")
        return YES if other else [] if mine is None or other is None else NO

    return step


def one_of(left: Step, right: Step) -> Step:
    """`xor` with three values."""

    def step(evaluation: Evaluation, focus: Nodes) -> Nodes:
        mine = truth(evaluation, left(evaluation, focus), "'xor'")
        other = truth(evaluation, right(evaluation, focus), "'xor'")
        return [] if mine is None or other is None else answer(mine != other)

    return step


def implied(left: Step, right: Step) -> Step:
    """`implies` with three values."""

    def step(evaluation: Evaluation, focus: Nodes) -> Nodes:
        mine = truth(evaluation, left(evaluation, focus), "'implies'")
        if mine is False:
            return YES
        other = truth(evaluation, right(evaluation, focus), "'implies'")
        return YES if other else [] if mine is None or other is None else NO

    return step


LOGIC: Final[dict[str, Callable[[Step, Step], Step]]] = {
    "and": both,
    "or": either,
    "xor": one_of,
    "implies": implied,
}


def negative(operand: Step) -> Step:
    """Return unary minus."""

    def step(evaluation: Evaluation, focus: Nodes) -> Nodes:
        node = single(evaluation, operand(evaluation, focus), "unary '-'")
        if node is None:
            return []
        value = scalar(node)
        if isinstance(value, Quantity):
            return result(Quantity(value.value.copy_negate(), value.unit))
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            raise evaluation.refuse("unary '-' takes a number.")
        return result(value.copy_negate() if isinstance(value, Decimal) else -value)

    return step


def positive(operand: Step) -> Step:
    """Return unary plus: the number itself."""

    def step(evaluation: Evaluation, focus: Nodes) -> Nodes:
        nodes = operand(evaluation, focus)
        node = single(evaluation, nodes, "unary '+'")
        if node is not None and (isinstance(node.value, bool) or not isinstance(node.value, (int, Decimal, Quantity))):
            raise evaluation.refuse("unary '+' takes a number.")
        return nodes

    return step
