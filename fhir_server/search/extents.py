"""A Range as a value: it goes from its low to its high, and is compared as a whole (R4 search.html#prefix).

It is indexed as a pair, low and high, in the unit of either; a limit that is absent is farther than any number. The rows
are those of `search.compare` for ranges, both limits belonging to the stored one; what has no precision of its own there
(`gt lt ge le sa eb`) has none here:

====== ===========================================
prefix row
====== ===========================================
eq     lo <= low and high < hi
ne     low < lo or hi <= high
gt     high > value
lt     low < value
ge     high >= value
le     low <= value
sa     low > value
eb     high < value
ap     low < hi and lo <= high
====== ===========================================
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias, assert_never

from fhir_server.search.beside import extent
from fhir_server.search.emit import Emit, Entries, text_of
from fhir_server.search.measures import as_float
from fhir_server.search.query import (
    EVERYTHING,
    BaseQuantityCompare,
    CompositeIs,
    Node,
    NumberCompare,
    Or,
    Prefix,
    QuantityCompare,
)
from fhir_server.search.units import UCUM, conversion
from fhir_server.search.values import BaseQuantityEntry, CompositeEntry, NumberEntry, QuantityEntry, SimpleEntry

RANGE: Final = "Range"
"""The datatype."""
LIMITS: Final = ("low", "high")
"""Its limits, and the types of parameter under which `converter` knows what makes the entries of one of them."""

Compare: TypeAlias = NumberCompare | QuantityCompare | BaseQuantityCompare
Limits: TypeAlias = tuple[Node, Node]
"""What is asked of the low limit, and of the high one."""

_FARTHEST = sys.float_info.max


def compared(node: Compare, low_place: int, high_place: int) -> list[Limits]:
    """Return the alternatives that a comparison asks of the limits, which are the components at these places."""

    def low_is(prefix: Prefix, value: float) -> Node:
        return replace(node, param=str(low_place), prefix=prefix, value=value, lo=value, hi=value)

    def high_is(prefix: Prefix, value: float) -> Node:
        return replace(node, param=str(high_place), prefix=prefix, value=value, lo=value, hi=value)

    match node.prefix:
        case Prefix.EQ:
            return [(low_is(Prefix.GE, node.lo), high_is(Prefix.LT, node.hi))]
        case Prefix.NE:
            return [(low_is(Prefix.LT, node.lo), EVERYTHING), (EVERYTHING, high_is(Prefix.GE, node.hi))]
        case Prefix.GT | Prefix.GE:
            return [(EVERYTHING, high_is(node.prefix, node.value))]
        case Prefix.LT | Prefix.LE:
            return [(low_is(node.prefix, node.value), EVERYTHING)]
        case Prefix.SA:
            return [(low_is(Prefix.GT, node.value), EVERYTHING)]
        case Prefix.EB:
            return [(EVERYTHING, high_is(Prefix.LT, node.value))]
        case Prefix.AP:
            return [(low_is(Prefix.LT, node.hi), high_is(Prefix.GE, node.lo))]
        case _:
            assert_never(node.prefix)


def or_range(node: Node) -> Node:
    """Return what asks a number or quantity of a parameter whose values may be a Range, too."""
    if not isinstance(node, NumberCompare | QuantityCompare | BaseQuantityCompare):
        return node
    return Or((node, *(CompositeIs(extent(node.param), limits) for limits in compared(node, 0, 1))))


def or_ranges(node: CompositeIs, places: Sequence[int]) -> Node:
    """Return what asks a composite parameter, some components of which (numbers, by their place) may be a Range, too.

    The low limit then stands in the place of the number, the high one behind all components.
    """
    found: list[Node] = [node]
    for place in places:
        asked = node.parts[place]
        if isinstance(asked, NumberCompare | QuantityCompare | BaseQuantityCompare):
            for low_limit, high_limit in compared(asked, place, len(node.parts)):
                parts = (*node.parts[:place], low_limit, *node.parts[place + 1 :], high_limit)
                found.append(CompositeIs(extent(node.param), parts))
    return Or(tuple(found))


def number_range(params: tuple[str, ...]) -> Emit:
    """Convert Range for a number."""
    return _pairs(params, _number)


def quantity_range(params: tuple[str, ...]) -> Emit:
    """Convert Range for a quantity."""
    return _pairs(params, _quantity)


def low(params: tuple[str, ...]) -> Emit:
    """Convert Range to its low limit, as a component of a composite parameter."""
    return _component(params, 0)


def high(params: tuple[str, ...]) -> Emit:
    """Convert Range to its high limit, as a component of a composite parameter."""
    return _component(params, 1)


Entry: TypeAlias = Callable[[str, dict[str, Any], float], tuple[SimpleEntry, ...]]
"""(component, the Quantity that tells the unit, value) → the entries of one limit."""


def _pairs(params: tuple[str, ...], entry: Entry) -> Emit:
    names = tuple((param, extent(param)) for param in params)

    def emit(value: Any, out: Entries) -> None:
        found = _limits(value)
        if found:
            parts = tuple(entry(str(place), *limit) for place, limit in enumerate(found))
            for param, name in names:
                out.append(CompositeEntry(param, ()))  # it has a value
                out.append(CompositeEntry(name, parts))

    return emit


def _component(params: tuple[str, ...], place: int) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        found = _limits(value)
        if found:
            for param in params:
                out.extend(_quantity(param, *found[place]))

    return emit


def _limits(value: Any) -> tuple[tuple[dict[str, Any], float], ...]:
    """Return both limits of a Range, each with the Quantity that tells its unit; () when it has neither."""
    if type(value) is not dict:
        return ()
    limits = [limit if type(limit := value.get(name)) is dict else {} for name in LIMITS]
    numbers = [as_float(limit.get("value")) for limit in limits]
    if numbers == [None, None]:
        return ()
    units = limits if None not in numbers else [limits[numbers[0] is None]] * 2
    return tuple(
        (unit, farthest if number is None else number)
        for unit, number, farthest in zip(units, numbers, (-_FARTHEST, _FARTHEST), strict=True)
    )


def _number(param: str, limit: dict[str, Any], value: float) -> tuple[SimpleEntry, ...]:
    del limit
    return (NumberEntry(param, value),)


def _quantity(param: str, limit: dict[str, Any], value: float) -> tuple[SimpleEntry, ...]:
    system, code = text_of(limit, "system"), text_of(limit, "code")
    written = QuantityEntry(param, value, system, code, text_of(limit, "unit"))
    if system != UCUM or (known := conversion(code)) is None:
        return (written,)
    base = value if abs(value) == _FARTHEST else known.base(value)
    return (written, BaseQuantityEntry(param, base, known.unit)) if math.isfinite(base) else (written,)
