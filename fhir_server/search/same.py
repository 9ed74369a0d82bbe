"""Whether one index entry is what a node asks for, and whether it is known to be something else.

Part of the reference interpreter (`search.match`), where the rules stand that every store shares.
"""

from collections.abc import Sequence

from fhir_server.search import query as q
from fhir_server.search.compare import compare_number
from fhir_server.search.query import Equality, TextMode
from fhir_server.search.values import (
    Entry,
    QuantityEntry,
    ReferenceEntry,
    StringEntry,
    TokenEntry,
    UriEntry,
)


def token_is(node: q.TokenIs, entry: TokenEntry) -> bool:
    """Tell whether a code is the one that is asked."""
    if node.system is not None and node.system != (entry.system or ""):
        return False
    return bool(entry.code or node.system) if node.code is None else node.code == entry.code


def identified(node: q.RefersToIdentifier, entry: ReferenceEntry) -> bool:
    """Tell whether a reference names its target by the identifier that is asked."""
    if not (entry.identifier_value or entry.identifier_system):
        return False
    if not may_be(node, entry):
        return False
    if node.system is not None and node.system != entry.identifier_system:
        return False
    return bool(entry.identifier_value or node.system) if node.value is None else node.value == entry.identifier_value


def text_is(mode: TextMode, value: str, entry: StringEntry) -> bool:
    """Tell whether a string compares with a text as the mode says."""
    match mode:
        case TextMode.STARTS:
            return entry.normal.startswith(value)
        case TextMode.CONTAINS:
            return value in entry.normal
        case TextMode.WHOLE:
            return entry.normal == value
        case TextMode.EXACT:
            return entry.value == value
        case _:
            raise ValueError(f"a string is not compared with {mode}")


def uri_is(mode: TextMode, value: str, stored: str) -> bool:
    """Tell whether a stored URI compares with another as the mode says."""
    match mode:
        case TextMode.EXACT:
            return stored == value
        case TextMode.CONTAINS:
            return value in stored
        case TextMode.BELOW:
            return _within(stored, value)
        case TextMode.ABOVE:
            return _within(value, stored)
        case _:
            raise ValueError(f"a URI is not compared with {mode}")


def _within(long: str, short: str) -> bool:
    return long == short or long.startswith(short if short.endswith("/") else short + "/")


def quantity_is(node: q.QuantityCompare, entry: QuantityEntry) -> bool:
    """Tell whether a quantity compares with the one that is asked, in its unit."""
    if not compare_number(node.prefix, entry.value, node.value, node.lo, node.hi):
        return False
    if node.system is not None:
        return entry.system == node.system and (not node.code or entry.code == node.code)
    return not node.code or node.code in (entry.code, entry.unit)


def may_be(node: q.RefersToIdentifier, entry: ReferenceEntry) -> bool:
    """Tell whether a reference may be to the type that is asked: it states that type or none."""
    return not node.target_type or entry.target_type in ("", node.target_type)


def is_unequal(entry: Entry, values: Sequence[Equality]) -> bool:
    """Tell whether an entry is known to be none of the values (R4 search_filter.html, `ne`)."""
    return all(_differs(entry, value) for value in values)


def _differs(entry: Entry, value: Equality) -> bool:
    match value, entry:
        case q.TokenIs(), TokenEntry():
            return bool(entry.code) and not token_is(value, entry)
        case q.RefersTo(_, target, version), ReferenceEntry():
            other_version = "" not in (version, entry.version) and version != entry.version
            return bool(entry.target) and (entry.target != target or other_version)
        case q.RefersToIdentifier(), ReferenceEntry():
            return bool(entry.identifier_value) and may_be(value, entry) and not identified(value, entry)
        case q.StringIs(_, mode, text), StringEntry():
            return not text_is(mode, text, entry)
        case q.UriIs(_, _, uri), UriEntry():
            return not (entry.value == uri or entry.value.startswith(f"{uri}|") or uri.startswith(f"{entry.value}|"))
        case _:
            return False
