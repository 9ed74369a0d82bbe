"""Bytes ↔ JSON, as R4 json.html asks and without losing what was sent.

Decimals keep their digits and their notation (`1.0`, `1.00`, `1E3`), members keep their order. Refused as `Malformed`:
bytes that are not UTF-8, a byte order mark, duplicate members, NaN and infinities, unpaired surrogates, text after the
value, and nesting deeper than `MAX_DEPTH`. See docs/adr/0002 for why a C codec stands in the kernel.
"""

import json
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from fhir_server.model.errors import Malformed
from fhir_server.model.resource import Resource

MAX_DEPTH = 100
"""Levels of objects and arrays in one document; R4 resources stay below 30."""

_ONE_BRACKET = bytes.maketrans(b"[]", b"{}")
_NO_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")


class Literal(Decimal):
    """A decimal whose notation (`1E3`) differs from what Decimal would print; `literal` is what was sent."""

    __slots__ = ("literal",)
    literal: str


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if str(value) == text:
        return value
    exact = Literal(value)
    exact.literal = text
    return exact


def _encode_other(value: Any) -> Any:
    if isinstance(value, Literal):
        return msgspec.Raw(value.literal.encode())
    raise TypeError(f"{type(value).__name__} is not a JSON value")


_decoder = msgspec.json.Decoder(float_hook=_decimal)
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_encode_other)
_sorting_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_encode_other, order="sorted")


def decode(raw: bytes) -> Any:
    """Read one JSON document. Raises Malformed with what is wrong and what to do."""
    try:
        value = _decoder.decode(raw)
    except UnicodeDecodeError as error:
        raise Malformed("The body is not UTF-8. FHIR JSON is always UTF-8: encode it so.", key="not-utf-8") from error
    except RecursionError as error:
        raise Malformed(f"The body nests deeper than {MAX_DEPTH} levels.", key="too-deep") from error
    except InvalidOperation as error:
        raise Malformed("A number in the body has an exponent that no computer can hold.", key="not-json") from error
    except msgspec.DecodeError as error:
        raise _explained(raw, error) from error
    encoded = _encoder.encode(value)
    if b"\\" in raw:
        _check_escapes(raw)
    elif raw.count(b'"') != encoded.count(b'"'):  # without escapes, a member that was dropped takes its quotes along
        _check_duplicates(raw)
    if encoded.count(b"{") + encoded.count(b"[") > MAX_DEPTH and _is_too_deep(value, encoded):
        raise Malformed(f"The body nests deeper than {MAX_DEPTH} levels.", key="too-deep")
    return value


def decode_stored(raw: bytes) -> Any:
    """Read bytes that `encode` wrote: what `decode` refuses cannot be in them."""
    return _decoder.decode(raw)


def decode_resource(raw: bytes) -> Resource:
    """Read one JSON object that names its `resourceType`. Raises Malformed otherwise."""
    value = decode(raw)
    if not isinstance(value, dict):
        raise Malformed("The body is not a JSON object. A FHIR resource is one object with a resourceType.")
    if not isinstance(value.get("resourceType"), str):
        raise Malformed("The body has no resourceType. Name the R4 type of the resource in it.", key="no-resource-type")
    return value


def encode(value: Any) -> bytes:
    """Write compact UTF-8 JSON; decimals as they were sent."""
    return _encoder.encode(value)


def canonical(value: Any) -> bytes:
    """Write JSON with members in alphabetical order: equal bytes mean equal content, digits of decimals included."""
    return _sorting_encoder.encode(value)


def pretty(raw: bytes) -> bytes:
    """Indent a JSON document for a person (`_pretty=true`)."""
    return msgspec.json.format(raw, indent=2)


def _explained(raw: bytes, error: Exception) -> Malformed:
    if raw.startswith(b"\xef\xbb\xbf"):
        return Malformed("The body starts with a byte order mark. Send UTF-8 without one.", key="byte-order-mark")
    if not raw.strip():
        return Malformed("The body is empty. Send a FHIR resource as JSON.", key="empty-body")
    return Malformed(f"The body is not JSON: {error}. Check for truncation, NaN or stray characters.", key="not-json")


def _check_escapes(raw: bytes) -> None:
    """Refuse what the fast decoder lets through once escapes are in play."""
    _check_duplicates(raw)


def _check_duplicates(raw: bytes) -> None:
    def unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(members)
        if len(seen) != len(members):
            names = [name for name, _ in members]
            twice = next(name for name in names if names.count(name) > 1)
            raise Malformed(f"An object has the member {twice!r} twice. Send each member once.", key="duplicate-member")
        return seen

    try:
        json.loads(raw, object_pairs_hook=unique, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"The body is not JSON: {error}.", key="not-json") from error


def _is_too_deep(value: Any, encoded: bytes) -> bool:
    """Tell whether a value nests deeper than allowed; without escapes, by its brackets alone, level by level."""
    if b"\\" in encoded:
        return _depth(value) > MAX_DEPTH
    brackets = b"".join(encoded.split(b'"')[::2]).translate(_ONE_BRACKET, _NO_BRACKETS)  # every other part is a string
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"{}", b"")
        if not brackets:
            return False
    return True


def _depth(value: Any) -> int:
    """Count the levels of objects and arrays; empty ones count too."""
    deepest, level = 0, [value]
    while level := [item for item in level if isinstance(item, (dict, list))]:
        deepest += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return deepest
