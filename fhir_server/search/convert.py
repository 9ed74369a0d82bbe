"""Element → index entries, one converter per (type of parameter, datatype) (R4 search.html#token … #quantity).

A converter is made for one parameter code and then called with each value that the parameter's path reaches. It appends to
a list and never raises: an element of an unexpected shape has no entry. Hot converters build their named tuples with
`tuple.__new__`, which costs half as much as the generated constructor.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from fhir_server.model.temporal import parse_temporal, period_interval, timing_interval
from fhir_server.search.text import contact, normalise, phonetic
from fhir_server.search.values import (
    DateEntry,
    NumberEntry,
    PositionEntry,
    QuantityEntry,
    SimpleEntry,
    StringEntry,
    TokenEntry,
    UriEntry,
)

Entries: TypeAlias = list[Any]
Emit: TypeAlias = Callable[[Any, Entries], None]
Make: TypeAlias = Callable[[str], Emit]

CURRENCY = "urn:iso:std:iso:4217"
"""The system of Money.currency."""

_new: Callable[..., SimpleEntry] = tuple.__new__


def converter(parameter_type: str, datatype: str, param: str) -> Emit | None:
    """Return the converter, or None where R4 gives such elements no value for such a parameter."""
    if datatype.startswith("flag:"):
        return _flag(param)
    if param == "phonetic":
        return _phonetic(param) if datatype == "HumanName" else _phonetic_text(param)
    make = _MAKERS.get((parameter_type, datatype))
    return make(param) if make else None


def _text(element: dict[str, Any], name: str) -> str:
    value = element.get(name)
    return value if type(value) is str else ""


def _code(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is str:
            out.append(_new(TokenEntry, (param, None, value, "", "", "")))

    return emit


def _boolean(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is bool:
            out.append(_new(TokenEntry, (param, None, "true" if value else "false", "", "", "")))

    return emit


def _flag(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if value is not None:
            out.append(TokenEntry(param, None, "false" if value is False else "true"))

    return emit


def _coding(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict:
            code, text = _text(value, "code"), _text(value, "display")
            system = _text(value, "system")
            if code or text or system:
                out.append(_new(TokenEntry, (param, system, code, text, "", "")))

    return emit


def _codeable_concept(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is not dict:
            return
        text = _text(value, "text")
        codings = value.get("coding")
        if type(codings) is list:
            for coding in codings:
                if type(coding) is dict:
                    code, display = _text(coding, "code"), _text(coding, "display")
                    system = _text(coding, "system")
                    if code or display or system:
                        out.append(_new(TokenEntry, (param, system, code, display or text, "", "")))
                        if not display or display == text:
                            text = ""  # the coding's entry carries it
        if text:
            out.append(_new(TokenEntry, (param, "", "", text, "", "")))

    return emit


def _identifier(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is not dict:
            return
        system, code = _text(value, "system"), _text(value, "value")
        kind = value.get("type")
        if type(kind) is not dict:
            if code or system:
                out.append(_new(TokenEntry, (param, system, code, "", "", "")))
            return
        text, codings = _text(kind, "text"), kind.get("coding")
        typed = False
        for coding in codings if type(codings) is list else ():
            if type(coding) is dict and type(coding.get("code")) is str:
                typed = True
                described = text or _text(coding, "display")
                out.append(_new(TokenEntry, (param, system, code, described, _text(coding, "system"), coding["code"])))
        if not typed:
            out.append(TokenEntry(param, system, code, text))

    return emit


def _contact_point(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict and type(value.get("value")) is str:
            out.append(_new(TokenEntry, (param, _text(value, "system"), contact(value["value"]), "", "", "")))

    return emit


def _string(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is str:
            out.append(_new(StringEntry, (param, normalise(value), value)))

    return emit


def _parts(names: tuple[str, ...], emit_one: Emit) -> Emit:
    """A complex type whose parts are each a value of the parameter."""

    def emit(value: Any, out: Entries) -> None:
        if type(value) is not dict:
            return
        for name in names:
            part = value.get(name)
            if part is None:
                continue
            if type(part) is list:
                for text in part:
                    emit_one(text, out)
            else:
                emit_one(part, out)

    return emit


_NAME = ("family", "given", "prefix", "suffix", "text")
_ADDRESS = ("line", "city", "district", "state", "postalCode", "country", "text")


def _human_name(param: str) -> Emit:
    return _parts(_NAME, _string(param))


def _address(param: str) -> Emit:
    return _parts(_ADDRESS, _string(param))


def _phonetic_text(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is str:
            out.append(StringEntry(param, phonetic(value), value))

    return emit


def _phonetic(param: str) -> Emit:
    return _parts(("family", "given", "text"), _phonetic_text(param))


def _uri(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is str:
            out.append(_new(UriEntry, (param, value)))

    return emit


def _canonical_uri(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is str:
            out.append(_new(UriEntry, (param, value)))
            url, bar, _ = value.partition("|")
            if bar:  # found by the bare canonical as well
                out.append(_new(UriEntry, (param, url)))

    return emit


def _date(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is str:
            try:
                lo, hi = parse_temporal(value)
            except ValueError:
                return
            out.append(_new(DateEntry, (param, lo, hi)))

    return emit


def _period(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict:
            start, end = _text(value, "start"), _text(value, "end")
            if start or end:
                try:
                    lo, hi = period_interval(start, end)
                except ValueError:
                    return
                out.append(_new(DateEntry, (param, lo, hi)))

    return emit


def _timing(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict:
            try:
                interval = timing_interval(value)
            except (ValueError, TypeError, AttributeError):
                return
            if interval:
                out.append(DateEntry(param, *interval))

    return emit


def as_float(value: Any) -> float | None:
    """Return a JSON number as a finite float, None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value) if not isinstance(value, str) else None
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number is not None and abs(number) != float("inf") else None


def _number(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        number = as_float(value)
        if number is not None:
            out.append(NumberEntry(param, number))

    return emit


def _number_range(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict:
            for bound in (value.get("low"), value.get("high")):
                number = as_float(bound.get("value")) if type(bound) is dict else None
                if number is not None:
                    out.append(NumberEntry(param, number))

    return emit


def _quantity(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict:
            number = as_float(value.get("value"))
            if number is not None:
                code, unit = _text(value, "code"), _text(value, "unit")
                out.append(QuantityEntry(param, number, _text(value, "system"), code, unit))

    return emit


def _money(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict:
            number, currency = as_float(value.get("value")), _text(value, "currency")
            if number is not None:
                out.append(QuantityEntry(param, number, CURRENCY if currency else "", currency, ""))

    return emit


def _quantity_range(param: str) -> Emit:
    return _parts(("low", "high"), _quantity(param))


def _position(param: str) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict:
            latitude, longitude = as_float(value.get("latitude")), as_float(value.get("longitude"))
            if latitude is not None and longitude is not None and abs(latitude) <= 90 and abs(longitude) <= 180:  # noqa: PLR2004  # degrees of a circle
                out.append(PositionEntry(param, latitude, longitude))

    return emit


_MAKERS: dict[tuple[str, str], Make] = {
    **{
        ("token", kind): _code
        for kind in ("code", "string", "id", "uri", "url", "canonical", "oid", "uuid", "markdown")
    },
    ("token", "boolean"): _boolean,
    ("token", "Coding"): _coding,
    ("token", "CodeableConcept"): _codeable_concept,
    ("token", "Identifier"): _identifier,
    ("token", "ContactPoint"): _contact_point,
    **{("string", kind): _string for kind in ("string", "markdown", "code", "uri", "url", "id")},
    ("string", "HumanName"): _human_name,
    ("string", "Address"): _address,
    **{("uri", kind): _uri for kind in ("uri", "url", "oid", "uuid")},
    ("uri", "canonical"): _canonical_uri,
    **{("date", kind): _date for kind in ("date", "dateTime", "instant")},
    ("date", "Period"): _period,
    ("date", "Timing"): _timing,
    **{("number", kind): _number for kind in ("integer", "decimal", "positiveInt", "unsignedInt")},
    ("number", "Range"): _number_range,
    **{("quantity", kind): _quantity for kind in ("Quantity", "Age", "Duration", "Count", "Distance")},
    ("quantity", "Money"): _money,
    ("quantity", "Range"): _quantity_range,
    ("special", "Location.position"): _position,
}
