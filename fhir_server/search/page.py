"""Keyset cursors: where a page ended, signed, so that nobody but this server can make one (R4 http.html#paging)."""

import base64
import binascii
import hashlib
import hmac
from typing import TypeAlias

import msgspec

from fhir_server.model.errors import Malformed

Position: TypeAlias = tuple[str | int | float | None, ...]
"""The sort values of the last row, as `store.port.Row.position`."""

_SIGNATURE_BYTES = 16
_MAX_LENGTH = 32_768


class CursorCodec:
    """Writes and reads cursors. A cursor is good for one key and one fingerprint, and only for those."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encode(self, fingerprint: bytes, position: Position) -> str:
        """Return an opaque url-safe text. `fingerprint` identifies the search and the store (`fingerprint_of`)."""
        payload = msgspec.json.encode(position)
        return base64.urlsafe_b64encode(self._signature(fingerprint, payload) + payload).rstrip(b"=").decode()

    def decode(self, text: str, fingerprint: bytes) -> Position:
        """Return the position. Raises Malformed (`bad-cursor`) for any text that `encode` did not give for this search."""
        raw = _unpacked(text)
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(fingerprint, payload)):
            raise Malformed(
                "Search parameter '_cursor' is not a cursor of this search on this server. Use the links of a page as "
                "they are, or start the search again without _cursor.",
                key="bad-cursor",
                code="value",
            )
        return msgspec.json.decode(payload, type=tuple[str | int | float | None, ...])

    def _signature(self, fingerprint: bytes, payload: bytes) -> bytes:
        signed = len(fingerprint).to_bytes(4, "big") + fingerprint + payload
        return hmac.digest(self._key, signed, "sha256")[:_SIGNATURE_BYTES]


def _unpacked(text: str) -> bytes:
    """Return the bytes of a cursor; b"", which no key signs, for a text that is not exactly as it was written."""
    try:
        raw = base64.b64decode(text[:_MAX_LENGTH] + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return b""
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text else b""


def fingerprint_of(store_id: str, resource_type: str, used: tuple[tuple[str, str], ...]) -> bytes:
    """Return what a cursor is bound to: the store, the type, and what ran, apart from the size of the page."""
    asked = [pair for pair in used if pair[0] not in ("_count", "_cursor")]
    return hashlib.sha256(msgspec.json.encode([store_id, resource_type, asked])).digest()
