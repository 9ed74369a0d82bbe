"""The lexical rules of the R4 primitive types (https://hl7.org/fhir/R4/datatypes.html#primitive) on JSON values.

Each check takes the happy path first, with the cheapest test that is surely right, and explains only what failed.
"""

import binascii
import math
import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from fhir_server.validation.finding import Check, Findings, Scope, one, shown, wrong_shape
from fhir_server.validation.wording import say

MAX_STRING = 1024 * 1024
MAX_MAGNITUDE = 308
"""Decimal exponent beyond which a double, and so most receivers, cannot hold a number."""
MAX_DIGITS = 400
_LARGEST = 10**MAX_MAGNITUDE
_SAFE_DAY = 28
_DATE_LENGTH = len("2026-01-01")
_BARE = ("oid:", "uuid:")

_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_SPACE = re.compile(r"\s")
_DATE = r"(?!0000)\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01])%s)?)?"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
_ZONED = rf"T{_CLOCK}(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))"
_PATTERNS = {
    "id": re.compile(r"[A-Za-z0-9\-.]{1,64}"),
    "code": re.compile(r"\S+(?:\s\S+)*"),
    "oid": re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+"),
    "uuid": re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "date": re.compile(_DATE % "", re.ASCII),
    "dateTime": re.compile(_DATE % f"(?:{_ZONED})?", re.ASCII),
    "instant": re.compile(rf"(?!0000)\d{{4}}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]){_ZONED}", re.ASCII),
    "time": re.compile(_CLOCK, re.ASCII),
}
_RANGES = {"integer": (-(2**31), 2**31 - 1), "unsignedInt": (0, 2**31 - 1), "positiveInt": (1, 2**31 - 1)}


def check_string(value: Any, _scope: Scope) -> Findings:
    """Check `string` and `markdown`: 1 character to 1 MiB, no control characters; R4 only advises against mere whitespace."""
    if type(value) is str and value and value.isprintable() and value[0] != " " and len(value) <= MAX_STRING:
        return None
    return string_fault(value)


def string_fault(value: Any) -> Findings:
    """Explain what is wrong with a string, or return None when it only looked unusual."""
    if type(value) is not str:
        return wrong_shape(value, "kind.string")
    if not value:
        return one("primitive-empty", "value", say("primitive-empty"))
    if len(value) > MAX_STRING:
        return one("string-too-long", "too-long", say("string-too-long", length=len(value), limit=MAX_STRING))
    if found := _FORBIDDEN.search(value):
        return one("control-character", "value", say("control-character", code=f"{ord(found[0]):04X}"))
    return None


def check_uri(value: Any, _scope: Scope) -> Findings:
    """Check `uri`, `url` and `canonical`: a string without whitespace, and `urn:oid:` where an OID is meant."""
    if type(value) is str and value and value.isprintable() and " " not in value and len(value) <= MAX_STRING:
        return _malformed("uri", value) if value[0] in "ou" and value.startswith(_BARE) else None
    if fault := string_fault(value):
        return fault
    return _malformed("uri", value) if _SPACE.search(value) else None


def _malformed(kind: str, value: str) -> Findings:
    text = say("primitive-format", value=shown(value), kind=kind, rule=say(f"format.{kind}"))
    return one("primitive-format", "value", text)


def _check_code(value: Any, _scope: Scope) -> Findings:
    if type(value) is str and value and " " not in value and value.isprintable() and len(value) <= MAX_STRING:
        return None  # of all whitespace, only the space is printable
    fits = _PATTERNS["code"].fullmatch
    return string_fault(value) or (None if fits(value) else _malformed("code", value))


def _pattern_check(kind: str) -> Check:
    fits = _PATTERNS[kind].fullmatch

    def check(value: Any, _scope: Scope) -> Findings:
        if type(value) is str and fits(value) and len(value) <= MAX_STRING and value.isprintable():
            return None
        return string_fault(value) or (None if fits(value) else _malformed(kind, value))

    return check


def _date_check(kind: str) -> Check:
    fits = _PATTERNS[kind].fullmatch
    usual_length = -1 if kind == "instant" else _DATE_LENGTH  # an instant is never just a date

    def check(value: Any, _scope: Scope) -> Findings:
        if type(value) is not str:
            return string_fault(value)
        if len(value) == usual_length and _is_usual_date(value):
            return None
        if not fits(value):
            return string_fault(value) or _malformed(kind, value)
        if len(value) > 7 and int(value[8:10]) > _SAFE_DAY:  # noqa: PLR2004  # YYYY-MM has 7 characters
            return _missing_day(kind, value)
        return None

    return check


def _is_usual_date(text: str) -> bool:
    """Tell whether the text of 10 characters is surely a date that exists; False says nothing. The C parser is the quickest judge."""
    if text[4] != "-" or text[7] != "-":
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _missing_day(kind: str, value: str) -> Findings:
    last = monthrange(int(value[:4]), int(value[5:7]))[1]
    if int(value[8:10]) <= last:
        return None
    text = say("primitive-format.day", value=shown(value), kind=kind, month=value[:7], days=last)
    return one("primitive-format", "value", text)


def check_boolean(value: Any, _scope: Scope) -> Findings:
    """Check `boolean`: JSON true or false."""
    return None if value is True or value is False else wrong_shape(value, "kind.true-or-false")


def _integer_check(kind: str) -> Check:
    low, high = _RANGES[kind]

    def check(value: Any, _scope: Scope) -> Findings:
        if type(value) is int:
            if low <= value <= high:
                return None
            text = say("primitive-range", value=shown(value), low=low, high=high, kind=kind)
            return one("primitive-range", "value", text)
        if type(value) is Decimal or isinstance(value, (Decimal, float)):
            return one("primitive-format", "value", say("primitive-format.integer", value=shown(value), kind=kind))
        return wrong_shape(value, "kind.number")

    return check


def check_decimal(value: Any, _scope: Scope) -> Findings:
    """Check `decimal`: a JSON number that receivers can hold."""
    kind = type(value)
    if kind is int:
        fits = -_LARGEST <= value <= _LARGEST
    elif isinstance(value, Decimal):
        fits = (
            value.is_finite() and abs(value.adjusted()) <= MAX_MAGNITUDE and len(value.as_tuple().digits) <= MAX_DIGITS
        )
    elif kind is float:
        fits = math.isfinite(value)
    else:
        return wrong_shape(value, "kind.number")
    if fits:
        return None
    return one("primitive-range", "value", say("primitive-range.decimal", value=shown(value), limit=MAX_MAGNITUDE))


def check_base64(value: Any, _scope: Scope) -> Findings:
    """Check `base64Binary`: groups of four characters, whitespace between them allowed; no limit of its own."""
    if type(value) is not str:
        return wrong_shape(value, "kind.string")
    text = value if value.isalnum() else "".join(value.split())
    if not text:
        return one("primitive-empty", "value", say("primitive-empty.base64"))
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except (ValueError, binascii.Error) as error:
        reason = str(error).lower()
        return one("primitive-format", "value", say("primitive-format.base64", value=shown(value), reason=reason))
    return None


def primitive_checks() -> dict[str, Check]:
    """Return the check of every primitive type but `xhtml`."""
    checks: dict[str, Check] = {"boolean": check_boolean, "decimal": check_decimal, "base64Binary": check_base64}
    checks |= dict.fromkeys(("string", "markdown"), check_string)
    checks["code"] = _check_code
    checks |= dict.fromkeys(("uri", "url", "canonical"), check_uri)
    makers: tuple[tuple[Callable[[str], Check], tuple[str, ...]], ...] = (
        (_pattern_check, ("id", "oid", "uuid", "time")),
        (_date_check, ("date", "dateTime", "instant")),
        (_integer_check, ("integer", "unsignedInt", "positiveInt")),
    )
    for make, kinds in makers:
        checks |= {kind: make(kind) for kind in kinds}
    return checks


def pattern_text(kind: str) -> str:
    """Return the regular expression of a primitive type as ECMA 262 and Python both read it; "" where it has none."""
    if kind in ("uri", "url", "canonical"):
        return r"\S*"
    known = _PATTERNS.get(kind)
    no_such_day = r"(?!\d{4}-(?:02-3[01]|(?:04|06|09|11)-31))" if kind in ("date", "dateTime", "instant") else ""
    return no_such_day + known.pattern if known else ""
