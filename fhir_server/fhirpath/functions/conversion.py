"""Conversion (FHIRPath N1, section 5.5): each `toX` has its `convertsToX`."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from fhir_server.fhirpath.equality import scalar
from fhir_server.fhirpath.evaluation import Evaluation, Nodes, answer, single
from fhir_server.fhirpath.functions.function import Function, on_input
from fhir_server.fhirpath.moments import Moment, moment_of
from fhir_server.fhirpath.operators import result
from fhir_server.fhirpath.quantities import UNIT_WORDS, Quantity

_INTEGER: Final = re.compile(r"[+-]?\d{1,10}", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?", re.ASCII)
_QUANTITY: Final = re.compile(r"(?P<value>[+-]?\d{1,40}(?:\.\d{1,40})?)\s*(?:'(?P<unit>[^']+)'|(?P<word>[a-z]+))?")
_TRUE: Final = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE: Final = frozenset({"false", "f", "no", "n", "0", "0.0"})
_INTEGER_LIMIT: Final = 2**31
_DAY_PARTS: Final = 3
_PLAIN_DIGITS: Final = 100
"""A decimal that is longer when it is written out keeps its exponent: `1e999999999` must not become a gigabyte."""


def _to_integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        number = int(value)
        return number if -_INTEGER_LIMIT <= number < _INTEGER_LIMIT else None
    return None


def _to_decimal(value: Any) -> Decimal | None:
    if isinstance(value, (bool, int, Decimal)):
        return Decimal(value)
    return Decimal(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else None


def to_text(value: Any) -> str | None:
    """Render a primitive; None for an object."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}" if abs(value.adjusted()) < _PLAIN_DIGITS else str(value)
    return str(value) if isinstance(value, (str, int, Moment, Quantity)) else None


def _to_boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, Decimal)):
        return True if value == 1 else False if value == 0 else None
    if isinstance(value, str):
        lower = value.lower()
        return True if lower in _TRUE else False if lower in _FALSE else None
    return None


def _moment(value: Any) -> Moment | None:
    return value if isinstance(value, Moment) else moment_of(value) if isinstance(value, str) else None


def _to_date(value: Any) -> Moment | None:
    moment = _moment(value)
    if moment is None or moment.kind == "time":
        return None
    return Moment(moment.text.partition("T")[0], "date", moment.parts[:_DAY_PARTS])


def _to_date_time(value: Any) -> Moment | None:
    moment = _moment(value)
    if moment is None or moment.kind == "time":
        return None
    return Moment(moment.text, "dateTime", moment.parts, moment.offset)


def _to_time(value: Any) -> Moment | None:
    moment = _moment(value)
    return moment if moment is not None and moment.kind == "time" else None


def _to_quantity(value: Any) -> Quantity | None:
    if isinstance(value, Quantity):
        return value
    if isinstance(value, (bool, int, Decimal)):
        return Quantity(Decimal(value), "1")
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None or (match["word"] and match["word"] not in UNIT_WORDS):
        return None
    return Quantity(Decimal(match["value"]), match["unit"] or UNIT_WORDS.get(match["word"] or "", "1"))


def _pair(name: str, convert: Callable[[Any], Any]) -> dict[str, Function]:
    def to(evaluation: Evaluation, nodes: Nodes) -> Nodes:
        node = single(evaluation, nodes, f"to{name}()")
        return [] if node is None else result(convert(scalar(node)))

    def converts(evaluation: Evaluation, nodes: Nodes) -> Nodes:
        node = single(evaluation, nodes, f"convertsTo{name}()")
        return [] if node is None else answer(convert(scalar(node)) is not None)

    return {f"to{name}": on_input(to), f"convertsTo{name}": on_input(converts)}


CONVERSION: Final[dict[str, Function]] = {
    **_pair("Integer", _to_integer),
    **_pair("Decimal", _to_decimal),
    **_pair("String", to_text),
    **_pair("Boolean", _to_boolean),
    **_pair("Date", _to_date),
    **_pair("DateTime", _to_date_time),
    **_pair("Time", _to_time),
    **_pair("Quantity", _to_quantity),
}
