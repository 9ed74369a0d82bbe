"""The values of a mapping, compiled to functions of a place: texts, numbers, dates, codes, references."""

import re
from collections.abc import Callable, Mapping
from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import Any

from fhir_server.mapping.boundaries import compile_boundary
from fhir_server.mapping.languages import compile_language
from fhir_server.mapping.municipalities import compile_country, compile_municipality, compile_postal
from fhir_server.mapping.places import Place, RecordRefused, Remark, read_path
from fhir_server.mapping.seasons import compile_season

Value = Callable[[Place], Any]
"""Returns a JSON value, or None when the record has none."""

_TRUE = frozenset({"true", "1", "yes", "y", "x", "ja", "j", "oui", "o", "wahr"})
_FALSE = frozenset({"false", "0", "no", "n", "nee", "neen", "non", "nein", "falsch"})
_DAY_FIRST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})")
_DIGITS = 18
_CODE = re.compile(r"\S+( \S+)*")


class Unreadable(ValueError):
    """A text is not of the kind that is asked; the message says what is."""


def compile_value(spec: Mapping[str, Any]) -> Value:
    """Compile a value of a mapping definition (`mappings/mapping.schema.json`, `value`)."""
    for name, compiler in _COMPILERS.items():
        if name in spec:
            return compiler(spec)
    raise ValueError(sorted(spec))


def _from(spec: Mapping[str, Any]) -> Value:
    path, kind = spec["from"], spec.get("as", "string")
    read, convert = read_path(path), _CONVERTERS[kind]
    default, longest, allowed, texts = (spec.get(name) for name in ("default", "max", "range", "values"))
    plain = {_folded(text): value for text, value in texts.items()} if texts else None

    def value(place: Place) -> Any:
        found = read(place)
        if found is None:
            return default
        if isinstance(found, list | dict):
            place.run.remark(
                Remark("warning", "not-one-value", place.called(path), "Several values stand where one is taken.")
            )
            return default
        try:
            if plain is not None:
                return _by_text(plain, str(found), list(texts or ()))
            result = convert(found)
        except Unreadable as error:
            place.run.remark(Remark("warning", "unreadable-value", place.called(path), f"{str(found)[:60]!r} {error}"))
            return default
        if allowed is not None and not allowed[0] <= result <= allowed[1]:
            said = f"{found} is not between {allowed[0]} and {allowed[1]}."
            place.run.remark(Remark("warning", "out-of-range", place.called(path), said))
            return default
        if longest is not None and len(result) > longest:
            place.run.remark(
                Remark(
                    "warning",
                    "text-cut",
                    place.called(path),
                    f"The text has {len(result)} characters; {longest} are kept.",
                )
            )
            return result[:longest]
        return result

    return value


def _constant(spec: Mapping[str, Any]) -> Value:
    constant = spec["constant"]
    return lambda _: constant


def _join(spec: Mapping[str, Any]) -> Value:
    parts, glue = [compile_value(part) for part in spec["join"]], spec.get("with", "")
    fixed = ["constant" in part for part in spec["join"]]

    def value(place: Place) -> Any:
        found = [part(place) for part in parts]
        if all(is_fixed or one is None for is_fixed, one in zip(fixed, found, strict=True)):
            return None
        return glue.join(str(one) for one in found if one is not None)

    return value


def _first(spec: Mapping[str, Any]) -> Value:
    parts = [compile_value(part) for part in spec["first"]]

    def value(place: Place) -> Any:
        return next((found for part in parts if (found := part(place)) is not None), None)

    return value


def _code(spec: Mapping[str, Any]) -> Value:
    read, system, concept_map = read_path(spec["code"]), spec.get("system", ""), spec["map"]
    return _coded(spec["code"], read, lambda place, text: place.run.mapped(concept_map, system, text), spec)


def _concept(spec: Mapping[str, Any]) -> Value:
    read, system = read_path(spec["concept"]), spec["system"]
    return _coded(spec["concept"], read, lambda place, text: place.run.concept(system, text), spec)


def _coded(
    path: str, read: Value, find: Callable[[Place, str], dict[str, Any] | None], spec: Mapping[str, Any]
) -> Value:
    unmapped, source = spec.get("unmapped", "text"), spec.get("system", "")

    def value(place: Place) -> Any:
        found = read(place)
        if found is None:
            return None
        text = str(found)
        coding = find(place, text)
        if coding is not None:
            return {"coding": [coding]}
        if unmapped == "text":
            return {"text": text}
        if unmapped == "quiet":
            return None
        said = f"{text[:60]!r} is no code or text of {spec.get('map', source)}."
        place.run.remark(
            Remark("error" if unmapped == "refuse" else "warning", "unknown-code", place.called(path), said)
        )
        if unmapped == "refuse":
            raise RecordRefused
        return None

    return value


def _reference(spec: Mapping[str, Any]) -> Value:
    target = spec["reference"]
    key = compile_value(spec.get("key", {"from": "$.id"}))
    only_made, reaches = spec.get("made", False), spec.get("reaches", False)

    def value(place: Place) -> Any:
        found = key(place)
        if found is None:
            return None
        home = place.run.home(target, str(found))
        if reaches and not place.run.made(home) and not place.run.known(home):
            said = f"{str(found)[:60]!r} is in no {target} of the source, and is not stored here. Import it with the record, or before."
            place.run.remark(Remark("error", "reference-nowhere", target, said))
            raise RecordRefused
        return None if only_made and not place.run.made(home) else {"reference": home}

    return value


def _area(spec: Mapping[str, Any]) -> Value:
    path, quiet = spec["area"], spec.get("unmapped") == "quiet"
    read = read_path(path)

    def value(place: Place) -> Any:
        found = read(place)
        if found is None:
            return None
        area = place.run.area(str(found))
        if area is None and not quiet:
            said = f"{str(found)[:60]!r} is no NIS code, postal code or name of an area that is stored. Import the areas first."
            place.run.remark(Remark("warning", "unknown-area", place.called(path), said))
        return area

    return value


def _by_text(plain: Mapping[str, Any], text: str, known: list[str]) -> Any:
    found = plain.get(_folded(text))
    if found is None:
        raise Unreadable(f"is none of: {', '.join(known)}.")
    return found


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _string(found: Any) -> str:
    return str(found)


def _integer(found: Any) -> int:
    try:
        number = Decimal(str(found).strip())
    except InvalidOperation:
        raise Unreadable("is not a whole number.") from None
    if not number.is_finite() or abs(number.adjusted()) > _DIGITS or number != number.to_integral_value():
        raise Unreadable("is not a whole number.")
    return int(number)


def _decimal(found: Any) -> Decimal:
    try:
        number = Decimal(str(found).strip().replace(",", "."))
    except InvalidOperation:
        raise Unreadable("is not a number.") from None
    if not number.is_finite() or abs(number.adjusted()) > _DIGITS:
        raise Unreadable("is not a number.")
    return number


def _boolean(found: Any) -> bool:
    if isinstance(found, bool):
        return found
    text = _folded(str(found))
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise Unreadable("is neither yes nor no.")


def _date(found: Any) -> str:
    text = str(found).strip()
    if match := _DAY_FIRST.fullmatch(text):
        text = f"{match[3]}-{int(match[2]):02}-{int(match[1]):02}"
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        raise Unreadable("is not a date as 2026-11-22 or 22/11/2026.") from None


def _time(found: Any) -> str:
    text = str(found).strip().lower().replace(".", ":").replace("h", ":").replace("u", ":").rstrip(": r")
    hours, _, rest = text.partition(":")
    try:
        return time.fromisoformat(f"{int(hours):02}:{rest or '00'}").strftime("%H:%M:%S")
    except ValueError:
        raise Unreadable("is not a time as 09:30.") from None


def _uri(found: Any) -> str:
    text = str(found)
    if any(character.isspace() for character in text):
        raise Unreadable("has spaces: it is no address on the web.")
    return text


def _token(found: Any) -> str:
    text = str(found)
    if _CODE.fullmatch(text) is None:
        raise Unreadable("is no code: single spaces only, none at the ends.")
    return text


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "string": _string, "integer": _integer, "decimal": _decimal, "boolean": _boolean, "date": _date, "dateTime": _date,
    "time": _time, "uri": _uri, "code": _token,
}  # fmt: skip
_COMPILERS: dict[str, Callable[[Mapping[str, Any]], Value]] = {
    "from": _from, "constant": _constant, "join": _join, "first": _first, "map": _code, "concept": _concept,
    "municipality": compile_municipality, "postal": compile_postal, "country": compile_country, "language": compile_language,
    "reference": _reference, "area": _area, "season": compile_season, "boundary": compile_boundary,
}  # fmt: skip
