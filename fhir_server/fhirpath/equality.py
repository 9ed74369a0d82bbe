"""Equality, equivalence, order and identity of items (FHIRPath N1, sections Equality and Comparison)."""

from collections.abc import Hashable
from decimal import Decimal
from typing import Any, Final

from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.evaluation import Nodes
from fhir_server.fhirpath.moments import Moment, compare_moments, moment_of
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.quantities import Quantity, quantity_of

_MOMENT_TYPES: Final = frozenset({"date", "dateTime", "instant", "time"})
_QUANTITY_MEMBERS: Final = frozenset({"id", "extension", "value", "comparator", "unit", "system", "code"})


def key_of(value: Any) -> Hashable:
    """Return a key that equal JSON values share, whatever the order of their members or the notation of a number."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, dict):
        return ("object", frozenset((name, key_of(member)) for name, member in value.items()))
    if isinstance(value, list):
        return ("array", tuple(key_of(item) for item in value))
    if isinstance(value, Moment):
        return value.text
    return value  # type: ignore[no-any-return]  # a text, a number, a Quantity: all hashable


def node_key(node: Node) -> Hashable:
    """Return the key of an item; an item without value is equal to itself only."""
    return ("item", id(node)) if node.value is None else key_of(node.value)


def distinct(nodes: Nodes) -> Nodes:
    """Return the items without later duplicates, in order."""
    if len(nodes) < 2:  # noqa: PLR2004  # a pair is needed to repeat
        return nodes
    seen: dict[Hashable, Node] = {}
    for node in nodes:
        seen.setdefault(node_key(node), node)
    return list(seen.values())


def scalar(node: Node) -> Any:
    """Return the value as operators see it: a FHIR date as a Moment, a FHIR Quantity as a Quantity."""
    value = node.value
    if isinstance(value, str):
        return (moment_of(value) or value) if node.type in _MOMENT_TYPES else value
    if isinstance(value, dict) and "value" in value and value.keys() <= _QUANTITY_MEMBERS:
        return quantity_of(value) or value
    return value


def _numeric(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def _as_moments(left: Any, right: Any) -> tuple[Moment, Moment] | None:
    """Read both sides as moments where at least their form allows it."""
    mine = left if isinstance(left, Moment) else moment_of(left) if isinstance(left, str) else None
    if mine is None:
        return None
    other = right if isinstance(right, Moment) else moment_of(right) if isinstance(right, str) else None
    return (mine, other) if other is not None and (mine.kind == "time") == (other.kind == "time") else None


def _instants(left: str, right: str) -> bool:
    return "T" in left and "T" in right


def equal_items(left: Node, right: Node) -> bool | None:
    """Compare two items with `=`; None where the precisions of two moments leave it open."""
    mine, other = scalar(left), scalar(right)
    if isinstance(mine, Quantity) and isinstance(other, Quantity):
        return mine.value == other.value if mine.same_unit(other) else None
    texts = isinstance(mine, str) and isinstance(other, str)
    if isinstance(mine, Moment) or isinstance(other, Moment) or (texts and mine != other and _instants(mine, other)):
        pair = _as_moments(mine, other)
        if pair is None:
            return False
        order = compare_moments(*pair)
        return None if order is None else order == 0
    return key_of(mine) == key_of(other)


def equal(left: Nodes, right: Nodes) -> bool | None:
    """Compare two collections with `=`: in order, item by item."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    result: bool | None = True
    for mine, other in zip(left, right, strict=True):
        same = equal_items(mine, other)
        if same is False:
            return False
        result = result if same else None
    return result


def equivalent(left: Nodes, right: Nodes) -> bool:
    """Compare two collections with `~`: in any order, leniently, and always decided."""
    return _equivalent_lists([scalar(node) for node in left], [scalar(node) for node in right])


def _equivalent_lists(left: list[Any], right: list[Any]) -> bool:
    if len(left) != len(right):
        return False
    rest = list(right)
    for mine in left:
        place = next((at for at, other in enumerate(rest) if _equivalent_values(mine, other)), None)
        if place is None:
            return False
        del rest[place]
    return True


def _equivalent_values(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return " ".join(left.split()).casefold() == " ".join(right.split()).casefold()
    if _numeric(left) and _numeric(right):
        return _equivalent_numbers(Decimal(left), Decimal(right))
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        return left.same_unit(right) and _equivalent_numbers(left.value, right.value)
    if isinstance(left, Moment) or isinstance(right, Moment):
        pair = _as_moments(left, right)
        return pair is not None and compare_moments(*pair) == 0
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() - {"id"} == right.keys() - {"id"} and all(
            _equivalent_values(left[name], right[name]) for name in left if name != "id"
        )
    if isinstance(left, list) and isinstance(right, list):
        return _equivalent_lists(left, right)
    return key_of(left) == key_of(right)


def _equivalent_numbers(left: Decimal, right: Decimal) -> bool:
    """Compare at the precision of the less precise one, trailing zeros left out."""
    try:
        places = [int(number.normalize().as_tuple().exponent) for number in (left, right)]
        unit = Decimal(1).scaleb(min(0, max(places)))
        return left.quantize(unit) == right.quantize(unit)
    except ArithmeticError:  # more digits than a context holds
        return left == right


def compare_items(left: Node, right: Node) -> int | None:
    """Order two items: negative, zero, positive, or None where it stays open. Raises FhirPathError on mixed types."""
    mine, other = scalar(left), scalar(right)
    if _numeric(mine) and _numeric(other):
        return -1 if mine < other else int(mine > other)
    if isinstance(mine, Quantity) and _numeric(other):
        other = Quantity(Decimal(other), "1")
    elif isinstance(other, Quantity) and _numeric(mine):
        mine = Quantity(Decimal(mine), "1")
    if isinstance(mine, Quantity) and isinstance(other, Quantity):
        if not mine.same_unit(other):
            return None
        return -1 if mine.value < other.value else int(mine.value > other.value)
    pair = _as_moments(mine, other)
    if pair is not None:
        return compare_moments(*pair)
    if isinstance(mine, str) and isinstance(other, str):
        return -1 if mine < other else int(mine > other)
    raise FhirPathError(f"FHIRPath cannot order {_shown(mine)} and {_shown(other)}. Convert one of them first.")


def _shown(value: Any) -> str:
    return "an object" if isinstance(value, dict) else "nothing" if value is None else repr(str(value))
