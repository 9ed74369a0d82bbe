"""The reference interpreter of the query tree, over the index entries of one resource.

Plain and slow on purpose: subscriptions use it, and every store is held equal to it. The rules that a store must share:

- a node on a parameter holds when any one of the parameter's entries satisfies it (`Not` is the only negation);
- TokenIs: asked system None is any; asked "" is an entry whose system is "" or None; else systems are equal. Asked code
  None is any code but ""; else codes are equal (case counts);
- RefersToIdentifier: the same on `identifier_system` and `identifier_value`, among entries that have a value or a system, and
  that state no type or the one that is asked;
- RefersTo: equal targets; an asked version equals the entry's version;
- Unequal: an entry that is told from every value (`search.same.is_unequal`): what states no code, identifier or target is
  told from none, and a reference or canonical without a version not from one with it;
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
from fhir_server.search.query import Node
from fhir_server.search.same import identified, is_unequal, quantity_is, text_is, token_is, uri_is
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
        case q.CompositeIs():
            return any(_pairs(node, entry, lookup) for entry in _of(entries, CompositeEntry, node.param))
        case q.FullText(param, phrases):
            params = (TEXT, CONTENT) if param == CONTENT else (param,)
            texts = [entry.text for entry in entries if isinstance(entry, TextEntry) and entry.param in params]
            return all(any(holds_phrase(phrase, text) for text in texts) for phrase in phrases)
        case q.Unequal(param, values):
            return any(entry.param == param and is_unequal(entry, values) for entry in entries)
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
            return any(token_is(node, entry) for entry in _of(entries, TokenEntry, node.param))
        case q.TokenText(param, normal):
            return any(e.text and normalise(e.text).startswith(normal) for e in _of(entries, TokenEntry, param))
        case q.OfType(param, system, code, value):
            asked = (system, code, value)
            return any((e.type_system, e.type_code, e.code) == asked for e in _of(entries, TokenEntry, param))
        case q.RefersTo(param, target, version):
            references = _of(entries, ReferenceEntry, param)
            return any(e.target == target and version in ("", e.version) for e in references)
        case q.RefersToIdentifier():
            return any(identified(node, entry) for entry in _of(entries, ReferenceEntry, node.param))
        case q.StringIs(param, mode, value):
            return any(text_is(mode, value, entry) for entry in _of(entries, StringEntry, param))
        case q.UriIs(param, mode, value):
            return any(uri_is(mode, value, entry.value) for entry in _of(entries, UriEntry, param))
        case q.DateCompare(param, prefix, lo, hi):
            return any(compare(prefix, e.lo, e.hi, lo, hi) for e in _of(entries, DateEntry, param))
        case q.NumberCompare(param, prefix, number, low, high):
            return any(compare_number(prefix, e.value, number, low, high) for e in _of(entries, NumberEntry, param))
        case q.QuantityCompare():
            return any(quantity_is(node, entry) for entry in _of(entries, QuantityEntry, node.param))
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


def _pairs(node: q.CompositeIs, entry: CompositeEntry, lookup: Lookup) -> bool:
    return len(entry.parts) == len(node.parts) and all(
        matches(part, "", "", 0, own, lookup) for part, own in zip(node.parts, entry.parts, strict=True)
    )


def _chain(node: q.Chain, entries: Sequence[Entry], lookup: Lookup) -> bool:
    for entry in _of(entries, ReferenceEntry, node.param):
        kind, _, identity = entry.target.partition("/")
        if kind == node.target and identity:
            found = lookup.resource(kind, identity)
            if found and matches(node.part, found.type, found.id, found.last_updated_us, found.entries, lookup):
                return True
    return False
