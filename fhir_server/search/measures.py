"""Dates, numbers, quantities and positions → index entries (R4 search.html#date, #number, #quantity)."""

import math
import re
from collections.abc import Callable
from typing import Any

from fhir_server.model.temporal import BEGINNING, END, parse_temporal, timing_interval
from fhir_server.search.compare import INSTANT_US
from fhir_server.search.emit import Emit, Entries, text_of
from fhir_server.search.units import UCUM, conversion
from fhir_server.search.values import BaseQuantityEntry, DateEntry, NumberEntry, PositionEntry, QuantityEntry

CURRENCY = "urn:iso:std:iso:4217"
"""The system of Money.currency."""

_POLE, _ANTIMERIDIAN = 90.0, 180.0
_SAMPLE = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_new: Callable[..., Any] = tuple.__new__


def date(params: tuple[str, ...]) -> Emit:
    """Convert date and dateTime: the range that the precision leaves open."""

    def emit(value: Any, out: Entries) -> None:
        if type(value) is str:
            try:
                lo, hi = parse_temporal(value)
            except ValueError:
                return
            for param in params:
                out.append(_new(DateEntry, (param, lo, hi)))

    return emit


def instant(params: tuple[str, ...]) -> Emit:
    """Convert instant: a fixed point in time, however it is written (R4 search.html#date)."""

    def emit(value: Any, out: Entries) -> None:
        if type(value) is str:
            try:
                lo, _ = parse_temporal(value)
            except ValueError:
                return
            for param in params:
                out.append(_new(DateEntry, (param, lo, lo + INSTANT_US)))

    return emit


def period(params: tuple[str, ...]) -> Emit:
    """Convert Period."""

    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict:
            start, end = text_of(value, "start"), text_of(value, "end")
            if start or end:
                try:
                    lo = parse_temporal(start)[0] if start else BEGINNING
                    hi = parse_temporal(end)[1] if end else END
                except ValueError:
                    return
                for param in params:
                    out.append(_new(DateEntry, (param, lo, hi)))

    return emit


def timing(params: tuple[str, ...]) -> Emit:
    """Convert Timing to its outer limits."""

    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict:
            try:
                outer = timing_interval(value)
            except (ValueError, TypeError, AttributeError):
                return
            if outer:
                for param in params:
                    out.append(DateEntry(param, *outer))

    return emit


def as_float(value: Any) -> float | None:
    """Return a JSON number as a finite float, None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value) if not isinstance(value, str) else None
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number is not None and math.isfinite(number) else None


def number(params: tuple[str, ...]) -> Emit:
    """Convert integer and decimal."""

    def emit(value: Any, out: Entries) -> None:
        number = as_float(value)
        if number is not None:
            for param in params:
                out.append(NumberEntry(param, number))

    return emit


def quantity(params: tuple[str, ...]) -> Emit:
    """Convert Quantity and its kin."""

    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict:
            number = as_float(value.get("value"))
            if number is not None:
                system, code, unit = text_of(value, "system"), text_of(value, "code"), text_of(value, "unit")
                for param in params:
                    out.append(QuantityEntry(param, number, system, code, unit))
                if system == UCUM and (known := conversion(code)) and math.isfinite(base := known.base(number)):
                    for param in params:
                        out.append(BaseQuantityEntry(param, base, known.unit))

    return emit


def money(params: tuple[str, ...]) -> Emit:
    """Convert Money."""

    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict:
            number, currency = as_float(value.get("value")), text_of(value, "currency")
            if number is not None:
                for param in params:
                    out.append(QuantityEntry(param, number, CURRENCY if currency else "", currency, ""))

    return emit


def sampled_data(params: tuple[str, ...]) -> Emit:
    """Convert SampledData: the lowest and the highest sample, in the unit of its origin."""
    one = quantity(params)

    def emit(value: Any, out: Entries) -> None:
        if type(value) is not dict or type(value.get("origin")) is not dict:
            return
        origin, factor = as_float(value["origin"].get("value")), as_float(value.get("factor", 1))
        samples = [float(text) for text in text_of(value, "data").split() if _SAMPLE.fullmatch(text)]
        if origin is None or factor is None or not samples:
            return
        for sample in (min(samples), max(samples)):
            one({**value["origin"], "value": origin + factor * sample}, out)

    return emit


def position(params: tuple[str, ...]) -> Emit:
    """Convert Location.position; a point that is not on earth has no entry."""

    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict:
            latitude, longitude = as_float(value.get("latitude")), as_float(value.get("longitude"))
            if latitude is None or longitude is None:
                return
            if abs(latitude) <= _POLE and abs(longitude) <= _ANTIMERIDIAN:
                for param in params:
                    out.append(PositionEntry(param, latitude, longitude))

    return emit
