"""Element → index entries, one converter per (type of parameter, datatype) (R4 search.html#token … #quantity).

A converter is made for all parameters that read the same values alike, and is called with each value that their path
reaches. It appends to a list and never raises: an element of an unexpected shape has no entry. Hot converters build their
named tuples with `tuple.__new__`, which costs half as much as the generated constructor.
"""

from collections.abc import Callable
from typing import Any

from fhir_server.search import extents, measures
from fhir_server.search.beside import broader, media_type, version_starts, words
from fhir_server.search.emit import Emit, Entries, Make, text_of
from fhir_server.search.text import contact, normalise, phonetic
from fhir_server.search.values import SimpleEntry, StringEntry, TokenEntry, UriEntry

_new: Callable[..., SimpleEntry] = tuple.__new__


BELOW = "below"
"""As the type of a parameter: what the entries for `:below` of a media type are made from."""
FAMILY = "family"
"""As a datatype: the string that is the family name of a HumanName."""
FRAGMENT = "fragment"
"""As the type of a parameter: references to what is contained, as they are written."""
PHONETIC = "phonetic"
"""The code of the parameters that compare names by sound."""
PARTS = {
    "HumanName": ("family", "given", "prefix", "suffix", "text"),
    "Address": ("line", "city", "district", "state", "postalCode", "country", "text"),
}
"""Complex types that a string parameter reads part by part."""


def converter(parameter_type: str, datatype: str, params: tuple[str, ...]) -> Emit | None:
    """Return the converter, or None where R4 gives such elements no value for such parameters."""
    if datatype.startswith("flag:"):
        return _flag(params)
    make = _MAKERS.get((parameter_type, datatype))
    return make(params) if make else None


def _code(params: tuple[str, ...]) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is str:
            for param in params:
                out.append(_new(TokenEntry, (param, None, value, "", "", "")))

    return emit


def _string_token(params: tuple[str, ...]) -> Emit:
    """Convert a string that is compared as a token, which is without case (R4 search.html#token)."""

    def emit(value: Any, out: Entries) -> None:
        if type(value) is str:
            for code in dict.fromkeys((value, value.casefold())):
                for param in params:
                    out.append(_new(TokenEntry, (param, None, code, "", "", "")))

    return emit


def _media_type(params: tuple[str, ...]) -> Emit:
    """Convert a media type to what `:below` asks for: the type without its parameters."""
    names = tuple(map(broader, params))

    def emit(value: Any, out: Entries) -> None:
        if type(value) is str:
            for name in names:
                out.append(TokenEntry(name, None, media_type(value)))

    return emit


def _boolean(params: tuple[str, ...]) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is bool:
            for param in params:
                out.append(_new(TokenEntry, (param, None, "true" if value else "false", "", "", "")))

    return emit


def _flag(params: tuple[str, ...]) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if value is not None:
            for param in params:
                out.append(TokenEntry(param, None, "false" if value is False else "true"))

    return emit


def _triple(coding: dict[str, Any]) -> tuple[str, str, str]:
    """Return system, code and display."""
    system, code, display = coding.get("system", ""), coding.get("code", ""), coding.get("display", "")
    if type(system) is type(code) is type(display) is str:
        return system, code, display
    return text_of(coding, "system"), text_of(coding, "code"), text_of(coding, "display")


def _coding(params: tuple[str, ...]) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict:
            system, code, text = _triple(value)
            if code or text or system:
                for param in params:
                    out.append(_new(TokenEntry, (param, system, code, text, "", "")))

    return emit


def _codeable_concept(params: tuple[str, ...]) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is not dict:
            return
        text = text_of(value, "text")
        codings = value.get("coding")
        if type(codings) is list:
            for coding in codings:
                if type(coding) is dict:
                    system, code, display = _triple(coding)
                    if code or display or system:
                        for param in params:
                            out.append(_new(TokenEntry, (param, system, code, display or text, "", "")))
                        if not display or display == text:
                            text = ""  # the coding's entry carries it
        if text:
            for param in params:
                out.append(_new(TokenEntry, (param, "", "", text, "", "")))

    return emit


def _identifier(params: tuple[str, ...]) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is not dict:
            return
        system, code = text_of(value, "system"), text_of(value, "value")
        kind = value.get("type")
        if type(kind) is not dict:
            if code or system:
                for param in params:
                    out.append(_new(TokenEntry, (param, system, code, "", "", "")))
            return
        text, codings = text_of(kind, "text"), kind.get("coding")
        typed = False
        for coding in codings if type(codings) is list else ():
            if type(coding) is dict and type(coding.get("code")) is str:
                typed = True
                described = text or text_of(coding, "display")
                of_type = text_of(coding, "system"), coding["code"]
                for param in params:
                    out.append(_new(TokenEntry, (param, system, code, described, *of_type)))
        if not typed:
            for param in params:
                out.append(TokenEntry(param, system, code, text))

    return emit


def _contact_point(params: tuple[str, ...]) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict and type(value.get("value")) is str:
            system, code = text_of(value, "system"), contact(value["value"])
            for param in params:
                out.append(_new(TokenEntry, (param, system, code, "", "", "")))

    return emit


def _string(params: tuple[str, ...]) -> Emit:
    sound = tuple(param for param in params if param == PHONETIC)
    written = tuple(param for param in params if param != PHONETIC)

    def emit(value: Any, out: Entries) -> None:
        if type(value) is str:
            normal = normalise(value)
            for param in written:
                out.append(_new(StringEntry, (param, normal, value)))
            if sound:
                out.append(_new(StringEntry, (PHONETIC, phonetic(normal), value)))

    return emit


def _family(params: tuple[str, ...]) -> Emit:
    """Convert a family name: as a string, and each later word as the start of another (R4 search.html#string)."""
    whole = _string(params)
    names = tuple(words(param) for param in params if param != PHONETIC)

    def emit(value: Any, out: Entries) -> None:
        whole(value, out)
        if type(value) is str and not value.isalpha():
            rest = normalise(value).partition(" ")[2]
            while rest:
                for name in names:
                    out.append(_new(StringEntry, (name, rest, value)))
                rest = rest.partition(" ")[2]

    return emit


def _uri(params: tuple[str, ...]) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is str:
            for param in params:
                out.append(_new(UriEntry, (param, value)))

    return emit


def _fragment(params: tuple[str, ...]) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is dict and type(text := value.get("reference")) is str and text.startswith("#"):
            out.extend((param, text) for param in params)

    return emit


def _canonical_uri(params: tuple[str, ...]) -> Emit:
    def emit(value: Any, out: Entries) -> None:
        if type(value) is str:
            for param in params:
                out.append(_new(UriEntry, (param, value)))
            url, bar, version = value.partition("|")
            if bar:  # found by the bare canonical as well
                for param in params:
                    out.append(_new(UriEntry, (param, url)))
                    out.extend(UriEntry(broader(param), start) for start in version_starts(url, version))

    return emit


_MAKERS: dict[tuple[str, str], Make] = {
    **{("token", kind): _code for kind in ("code", "id", "uri", "url", "canonical", "oid", "uuid", "markdown")},
    ("token", "string"): _string_token,
    (BELOW, "code"): _media_type,
    ("token", "boolean"): _boolean,
    ("token", "Coding"): _coding,
    ("token", "CodeableConcept"): _codeable_concept,
    ("token", "Identifier"): _identifier,
    ("token", "ContactPoint"): _contact_point,
    **{("string", kind): _string for kind in ("string", "markdown", "code", "uri", "url", "id")},
    ("string", FAMILY): _family,
    **{("uri", kind): _uri for kind in ("uri", "url", "oid", "uuid")},
    ("uri", "canonical"): _canonical_uri,
    **{("date", kind): measures.date for kind in ("date", "dateTime")},
    ("date", "instant"): measures.instant,
    ("date", "Period"): measures.period,
    ("date", "Timing"): measures.timing,
    **{("number", kind): measures.number for kind in ("integer", "decimal", "positiveInt", "unsignedInt")},
    ("number", "Range"): extents.number_range,
    **{("quantity", kind): measures.quantity for kind in ("Quantity", "Age", "Duration", "Count", "Distance")},
    ("quantity", "Money"): measures.money,
    ("quantity", "Range"): extents.quantity_range,
    ("low", "Range"): extents.low,
    ("high", "Range"): extents.high,
    ("quantity", "SampledData"): measures.sampled_data,
    ("special", "Location.position"): measures.position,
    (FRAGMENT, "Reference"): _fragment,
}
