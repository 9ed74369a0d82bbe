"""One value of an ordered, string, uri or special parameter → a node (R4 search.html#date, #number, #quantity, #string …)."""

import math
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from fhir_server.model.temporal import Interval, parse_temporal
from fhir_server.search import phrases
from fhir_server.search.beside import words
from fhir_server.search.escaping import split, unescape
from fhir_server.search.query import (
    BaseQuantityCompare,
    DateCompare,
    LastUpdated,
    Near,
    Node,
    NumberCompare,
    Or,
    Prefix,
    QuantityCompare,
    StringIs,
    TextMode,
)
from fhir_server.search.refusals import bad_value
from fhir_server.search.text import normalise, phonetic
from fhir_server.search.units import UCUM, conversion

_APPROXIMATELY = 10
"""`ap` widens by a tenth (R4 search.html#prefix)."""
_PREFIXES = {prefix.value: prefix for prefix in Prefix}
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(?P<exponent>[eE][+-]?\d{1,3})?", re.ASCII)
_METRES = {"km": 1_000.0, "m": 1.0, "[mi_us]": 1_609.347_218_694, "[mi_i]": 1_609.344, "[nmi_i]": 1_852.0}
_POLE, _ANTIMERIDIAN = 90.0, 180.0

BLANK_FOR_PLUS = "%2B instead of the + before the zone, which arrives as a blank otherwise; that is, "
_ZONE_WITHOUT_PLUS = re.compile(r"T\S+ \d\d:\d\d$")
DATE_EXPECTED = (
    "a date such as 2026, 2026-11, 2026-11-05 or 2026-11-05T10:30:00+01:00 (in a URL, + is written %2B), after an optional "
    "prefix eq, ne, gt, lt, ge, le, sa, eb or ap"
)
NUMBER_EXPECTED = "a number such as 5, 5.40 or 5.4e-3, after an optional prefix eq, ne, gt, lt, ge, le, sa, eb or ap"
QUANTITY_EXPECTED = "[prefix]number, [prefix]number|system|code or [prefix]number||code"
NEAR_EXPECTED = (
    "latitude|longitude|distance|unit with latitude -90 to 90, longitude -180 to 180, distance at least 0 and unit one of "
    + ", ".join(_METRES)
    + " (km when left out)"
)


@dataclass(frozen=True, slots=True)
class Operand:
    """A value with what reading it depends on; `name` is the parameter as the client wrote it."""

    name: str
    param: str
    text: str
    now_us: int
    near_metres: float


def _prefixed(text: str) -> tuple[Prefix, str]:
    prefix = _PREFIXES.get(text[:2])
    return (prefix, text[2:]) if prefix else (Prefix.EQ, text)


def _interval(operand: Operand) -> tuple[Prefix, Interval]:
    prefix, rest = _prefixed(unescape(operand.text))
    try:
        lo, hi = parse_temporal(rest)
    except ValueError:
        plus = BLANK_FOR_PLUS if _ZONE_WITHOUT_PLUS.search(rest) else ""
        raise bad_value("search-bad-date", operand.name, operand.text, plus + DATE_EXPECTED) from None
    if prefix is Prefix.AP:
        lo -= abs(operand.now_us - lo) // _APPROXIMATELY
        hi += abs(operand.now_us - hi) // _APPROXIMATELY
    return prefix, Interval(lo, hi)


def date(operand: Operand) -> Node:
    """Read a date at its precision."""
    prefix, (lo, hi) = _interval(operand)
    return DateCompare(operand.param, prefix, lo, hi)


def last_updated(operand: Operand) -> Node:
    """Read a value of `_lastUpdated`."""
    prefix, (lo, hi) = _interval(operand)
    return LastUpdated(prefix, lo, hi)


def _number(operand: Operand, text: str, expected: str) -> tuple[Prefix, float, float, float]:
    """Return prefix, value, and the range `[lo, hi)` that the digits leave open.

    Half a unit of the last digit either side; `1e2` counts as `1.0e2`, as R4 search.html#number has it (95 to 105).
    """
    prefix, rest = _prefixed(text)
    match = _NUMBER.fullmatch(rest)
    if match is None:
        raise bad_value("search-bad-number", operand.name, operand.text, expected)
    try:
        exact = Decimal(rest)
        exponent = int(exact.as_tuple().exponent) - (1 if match["exponent"] and not match[1] else 0)
        half = Decimal(5).scaleb(exponent - 1)
        value, lo, hi = float(exact), float(exact - half), float(exact + half)
    except (InvalidOperation, OverflowError):
        raise bad_value("search-bad-number", operand.name, operand.text, expected) from None
    if not (math.isfinite(lo) and math.isfinite(hi)):
        raise bad_value("search-bad-number", operand.name, operand.text, expected)
    if prefix is Prefix.AP:
        margin = abs(value) / _APPROXIMATELY
        lo, hi = min(lo, value - margin), max(hi, math.nextafter(value + margin, math.inf))
    return prefix, value, lo, hi


def number(operand: Operand) -> Node:
    """Read a number at its precision."""
    return NumberCompare(operand.param, *_number(operand, unescape(operand.text), NUMBER_EXPECTED))


def quantity(operand: Operand) -> Node:
    """Read `number`, `number|system|code` or `number||code`; a UCUM unit is compared with all units of its kind."""
    amount, *unit = [unescape(part) for part in split(operand.text, "|")]
    if len(unit) not in (0, 2):
        raise bad_value("search-bad-quantity", operand.name, operand.text, QUANTITY_EXPECTED)
    system, code = unit or ("", "")
    prefix, value, lo, hi = _number(operand, amount, QUANTITY_EXPECTED)
    if system == UCUM and (known := conversion(code)):
        value_b, lo_b, hi_b = known.base(value), known.base(lo), known.base(hi)
        if prefix is Prefix.AP:  # its bounds belong to it, and rounding must not change that
            hi_b = math.nextafter(hi_b, math.inf)
        if math.isfinite(lo_b) and math.isfinite(hi_b):  # what is stored in this unit has a value in base units too
            return BaseQuantityCompare(operand.param, prefix, value_b, lo_b, hi_b, known.unit)
    return QuantityCompare(operand.param, prefix, value, lo, hi, system or None, code)


def string(operand: Operand, mode: TextMode) -> Node:
    """Read a string. A value of nothing but punctuation is compared as it is."""
    text = unescape(operand.text)
    if mode is TextMode.EXACT:
        return StringIs(operand.param, mode, text)
    normal = phonetic(text) if operand.param == "phonetic" else normalise(text)
    return StringIs(operand.param, mode, normal) if normal else StringIs(operand.param, TextMode.EXACT, text)


def family(operand: Operand, mode: TextMode) -> Node:
    """Read a string that is, or may be, a family name: each of its words is found by its start."""
    whole = string(operand, mode)
    if isinstance(whole, StringIs) and whole.mode is TextMode.STARTS:
        return Or((whole, StringIs(words(operand.param), TextMode.STARTS, whole.value)))
    return whole


def full_text(name: str, param: str, text: str) -> Node:
    """Read words and "quoted phrases", with AND, OR, NOT and parentheses (see `search.phrases`)."""
    return phrases.read(name, param, unescape(text))


def near(operand: Operand) -> Node:
    """Read a position with an optional distance (R4 location.html#positional)."""
    parts = [unescape(part).strip() for part in split(operand.text, "|")]
    refused = bad_value("search-bad-near", operand.name, operand.text, NEAR_EXPECTED)
    if not 2 <= len(parts) <= 4 or not all(_NUMBER.fullmatch(part) for part in parts[:2]):  # noqa: PLR2004  # of four parts
        raise refused
    latitude, longitude = float(parts[0]), float(parts[1])
    if abs(latitude) > _POLE or abs(longitude) > _ANTIMERIDIAN:
        raise refused
    far = parts[2] if len(parts) > 2 else ""  # noqa: PLR2004  # the third part
    unit = parts[3] if len(parts) > 3 and parts[3] else "km"  # noqa: PLR2004  # the fourth part
    if unit not in _METRES or (far and not _NUMBER.fullmatch(far)):
        raise refused
    metres = float(far) * _METRES[unit] if far else operand.near_metres
    if not (0 <= metres < math.inf):
        raise refused
    return Near(operand.param, latitude, longitude, metres)
