"""The reference interpreter of the query tree, over the index entries of one resource.

Plain and slow on purpose: subscriptions use it, and every store is held equal to it. The rules that a store must share:

- a node on a parameter holds when any one of the parameter's entries satisfies it (`Not` is the only negation);
- TokenIs: asked system None is any; asked "" is an entry whose system is "" or None; else systems are equal. Asked code
  None is any code but ""; else codes are equal (case counts);
- RefersToIdentifier: the same on `identifier_system` and `identifier_value`, among entries that have a value or a system;
- RefersTo: equal targets; an asked version equals the entry's version;
- TokenText: `normalise(entry.text)` starts with the asked text;
- StringIs: STARTS and CONTAINS on `normal`, EXACT on `value`;
- UriIs: BELOW: the entry is the value, or continues it after a `/`; ABOVE: the value is the entry or continues it so;
- BaseQuantityCompare: equal units, which are base units;
- QuantityCompare: system None asks `code` of the entry's code or unit; "" is any; a system asks both to be equal;
- Near: great-circle distance on a sphere of radius `EARTH_METRES`, at most `metres`;
- FullText: every phrase in some text, `_content` asks those of `_text` too; no phrase at all asks nothing;
- CompositeIs: one entry for which each part holds among the entries of that component.
"""

from collections.abc import Iterable, Sequence
from math import asin, cos, radians, sin, sqrt
from typing import Protocol, TypeVar, assert_never

from fhir_server.search import query as q
from fhir_server.search.compare import INSTANT_US, compare, compare_number
from fhir_server.search.fulltext import CONTENT, TEXT
from fhir_server.search.fulltext import holds as holds_phrase
from fhir_server.search.query import Node, TextMode
from fhir_server.search.text import normalise
from fhir_server.search.values import (
    BaseQuantityEntry,
    CompositeEntry,
    DateEntry,
    Entry,
    NumberEntry,
    PositionEntry,
    QuantityEntry,
    ReferenceEntry,
    StringEntry,
    TextEntry,
    TokenEntry,
    UriEntry,
)

EARTH_METRES = 6_371_008.8
"""Mean radius of the earth (IUGG R1)."""

E = TypeVar("E")


class Indexed(Protocol):
    """A current resource as the interpreter sees it."""

    @property
    def type(self) -> str:
        """Its resource type."""
        ...

    @property
    def id(self) -> str:
        """Its logical id."""
        ...

    @property
    def last_updated_us(self) -> int:
        """`meta.lastUpdated` in microseconds since the epoch."""
        ...

    @property
    def entries(self) -> Sequence[Entry]:
        """Its index entries."""
        ...


class Lookup(Protocol):
    """Other current resources, for Chain and Has."""

    def resource(self, resource_type: str, resource_id: str) -> Indexed | None:
        """Return a current resource, None when there is none."""
        ...

    def referrers(self, resource_type: str, param: str, target: str) -> Iterable[Indexed]:
        """Return current resources of a type with a ReferenceEntry of `param` whose target is `target` (`Type/id`)."""
        ...


class Alone:
    """The lookup of a world with no other resources."""

    def resource(self, resource_type: str, resource_id: str) -> Indexed | None:
        """Return None."""
        del resource_type, resource_id
        return None

    def referrers(self, resource_type: str, param: str, target: str) -> Iterable[Indexed]:
        """Return nothing."""
        del resource_type, param, target
        return ()


def matches(
    node: Node, resource_type: str, resource_id: str, last_updated_us: int, entries: Sequence[Entry], lookup: Lookup
) -> bool:
    """Tell whether a resource satisfies the node."""

    def holds(part: Node) -> bool:
        return matches(part, resource_type, resource_id, last_updated_us, entries, lookup)

    match node:
        case q.And(parts):
            return all(holds(part) for part in parts)
        case q.Or(parts):
            return any(holds(part) for part in parts)
        case q.Not(part):
            return not holds(part)
        case q.IdIs(ids):
            return resource_id in ids
        case q.LastUpdated(prefix, lo, hi):
            return compare(prefix, last_updated_us, last_updated_us + INSTANT_US, lo, hi)
        case q.Chain():
            return _chain(node, entries, lookup)
        case q.Has(source, param, part):
            found = lookup.referrers(source, param, f"{resource_type}/{resource_id}")
            return any(matches(part, r.type, r.id, r.last_updated_us, r.entries, lookup) for r in found)
        case q.CompositeIs(param, parts):
            return any(
                isinstance(entry, CompositeEntry)
                and entry.param == param
                and len(entry.parts) == len(parts)
                and all(matches(p, "", "", 0, own, lookup) for p, own in zip(parts, entry.parts, strict=True))
                for entry in entries
            )
        case q.FullText(param, phrases):
            params = (TEXT, CONTENT) if param == CONTENT else (param,)
            texts = [entry.text for entry in entries if isinstance(entry, TextEntry) and entry.param in params]
            return all(any(holds_phrase(phrase, text) for text in texts) for phrase in phrases)
        case q.Missing(param, missing):
            return missing != any(entry.param == param for entry in entries)
        case _:
            return _value_holds(node, entries)


_ValueNode = (
    q.TokenIs | q.TokenText | q.OfType | q.RefersTo | q.RefersToIdentifier | q.StringIs | q.UriIs | q.DateCompare
    | q.NumberCompare | q.QuantityCompare | q.BaseQuantityCompare | q.Near
)  # fmt: skip


def _value_holds(node: _ValueNode, entries: Sequence[Entry]) -> bool:
    match node:
        case q.TokenIs():
            return any(_token_is(node, entry) for entry in _of(entries, TokenEntry, node.param))
        case q.TokenText(param, normal):
            return any(e.text and normalise(e.text).startswith(normal) for e in _of(entries, TokenEntry, param))
        case q.OfType(param, system, code, value):
            asked = (system, code, value)
            return any((e.type_system, e.type_code, e.code) == asked for e in _of(entries, TokenEntry, param))
        case q.RefersTo(param, target, version):
            references = _of(entries, ReferenceEntry, param)
            return any(e.target == target and version in ("", e.version) for e in references)
        case q.RefersToIdentifier():
            return any(_identified(node, entry) for entry in _of(entries, ReferenceEntry, node.param))
        case q.StringIs(param, mode, value):
            return any(_text_is(mode, value, entry) for entry in _of(entries, StringEntry, param))
        case q.UriIs(param, mode, value):
            return any(_uri_is(mode, value, entry.value) for entry in _of(entries, UriEntry, param))
        case q.DateCompare(param, prefix, lo, hi):
            return any(compare(prefix, e.lo, e.hi, lo, hi) for e in _of(entries, DateEntry, param))
        case q.NumberCompare(param, prefix, number, low, high):
            return any(compare_number(prefix, e.value, number, low, high) for e in _of(entries, NumberEntry, param))
        case q.QuantityCompare():
            return any(_quantity_is(node, entry) for entry in _of(entries, QuantityEntry, node.param))
        case q.BaseQuantityCompare(param, prefix, number, low, high, unit):
            stored = (e.value for e in _of(entries, BaseQuantityEntry, param) if e.unit == unit)
            return any(compare_number(prefix, value, number, low, high) for value in stored)
        case q.Near(param, latitude, longitude, metres):
            positions = _of(entries, PositionEntry, param)
            return any(distance(latitude, longitude, e.latitude, e.longitude) <= metres for e in positions)
        case _:
            assert_never(node)


def distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Return metres along the great circle between two points in degrees (haversine)."""
    phi, other_phi = radians(latitude), radians(other_latitude)
    half_chord = (
        sin((other_phi - phi) / 2) ** 2 + cos(phi) * cos(other_phi) * sin(radians(other_longitude - longitude) / 2) ** 2
    )
    return 2 * EARTH_METRES * asin(min(1.0, sqrt(half_chord)))


def _of(entries: Sequence[Entry], kind: type[E], param: str) -> Iterable[E]:
    return (entry for entry in entries if isinstance(entry, kind) and entry.param == param)


def _token_is(node: q.TokenIs, entry: TokenEntry) -> bool:
    if node.system is not None and node.system != (entry.system or ""):
        return False
    return bool(entry.code or node.system) if node.code is None else node.code == entry.code


def _identified(node: q.RefersToIdentifier, entry: ReferenceEntry) -> bool:
    if not (entry.identifier_value or entry.identifier_system):
        return False
    if node.target_type and node.target_type != entry.target_type:
        return False
    if node.system is not None and node.system != entry.identifier_system:
        return False
    return bool(entry.identifier_value or node.system) if node.value is None else node.value == entry.identifier_value


def _text_is(mode: TextMode, value: str, entry: StringEntry) -> bool:
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


def _uri_is(mode: TextMode, value: str, stored: str) -> bool:
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


def _quantity_is(node: q.QuantityCompare, entry: QuantityEntry) -> bool:
    if not compare_number(node.prefix, entry.value, node.value, node.lo, node.hi):
        return False
    if node.system is not None:
        return entry.system == node.system and (not node.code or entry.code == node.code)
    return not node.code or node.code in (entry.code, entry.unit)


def _chain(node: q.Chain, entries: Sequence[Entry], lookup: Lookup) -> bool:
    for entry in _of(entries, ReferenceEntry, node.param):
        kind, _, identity = entry.target.partition("/")
        if kind == node.target and identity:
            found = lookup.resource(kind, identity)
            if found and matches(node.part, found.type, found.id, found.last_updated_us, found.entries, lookup):
                return True
    return False
