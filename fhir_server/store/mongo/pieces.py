"""Pieces of a filter: equalities and ranges of index keys, and how filters are combined."""

import re
from collections.abc import Iterable

from fhir_server.store.mongo.link import Document

TRUE: Document = {}
FALSE: Document = {"_id": {"$in": []}}

_LAST = 0x10FFFF
_SURROGATES = (0xD7FF, 0xE000)


def all_of(filters: Iterable[Document]) -> Document:
    """All hold."""
    parts = [one for one in filters if one != TRUE]
    if FALSE in parts:
        return FALSE
    if len(parts) == 1:
        return parts[0]
    return {"$and": parts} if parts else TRUE


def any_of(filters: Iterable[Document]) -> Document:
    """Any holds."""
    parts = [one for one in filters if one != FALSE]
    if TRUE in parts:
        return TRUE
    if len(parts) == 1:
        return parts[0]
    return {"$or": parts} if parts else FALSE


def negated(part: Document) -> Document:
    """The part does not hold."""
    if part == TRUE:
        return FALSE
    return TRUE if part == FALSE else {"$nor": [part]}


def among(field: str, keys: Iterable[str]) -> Document:
    """The array has one of these keys."""
    listed = list(dict.fromkeys(keys))
    if not listed:
        return FALSE
    return {field: listed[0] if len(listed) == 1 else {"$in": listed}}


def between(field: str, **bounds: str) -> Document:
    """The array has a key within bounds (`gte`, `gt`, `lt`, `lte`); one element must keep to all of them."""
    return {field: {"$elemMatch": {f"${name}": value for name, value in bounds.items()}}}


def begins(field: str, prefix: str) -> Document:
    """The array has a key that begins with this text, or is it."""
    return between(field, gte=prefix, lt=successor(prefix))


def continues(field: str, prefix: str) -> Document:
    """The array has a key that begins with this text and is longer."""
    return between(field, gt=prefix, lt=successor(prefix))


def successor(prefix: str) -> str:
    """Return the least text that is greater than every text with this prefix, which is not all of the last character."""
    kept = prefix.rstrip(chr(_LAST))
    code = ord(kept[-1])
    return kept[:-1] + chr(_SURROGATES[1] if code == _SURROGATES[0] else code + 1)


def matching(keys: str, start: str, pattern: str) -> Document:
    """The array has a key of this pattern; what it begins with bounds the part of the index that is read."""
    return {keys: {"$regex": f"^{literal(start)}{pattern}"}}


def literal(text: str) -> str:
    """Return a pattern for the text itself; BSON cannot hold the character 0 in a pattern."""
    return re.escape(text).replace("\\\x00", "\\x00").replace("\x00", "\\x00")
