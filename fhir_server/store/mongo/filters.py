"""Query tree → a filter on the documents of `current`.

What another resource decides (`Chain`, `Has`) and what only a calculation decides (`Near`) is looked up first, and becomes
a list of keys or ids (`store.mongo.lookups`); all else is one filter. Inside a composite the same filters are asked of the
fields of one occurrence.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from fhir_server.search import query as q
from fhir_server.search.fulltext import CONTENT, TEXT
from fhir_server.search.query import Node, TextMode
from fhir_server.search.text import normalise
from fhir_server.store.mongo import differing, ranges
from fhir_server.store.mongo.encode import component, head, word
from fhir_server.store.mongo.layout import UNIT
from fhir_server.store.mongo.link import Document
from fhir_server.store.mongo.pieces import (
    FALSE,
    TRUE,
    all_of,
    among,
    any_of,
    begins,
    continues,
    literal,
    matching,
    negated,
)


class Place(NamedTuple):
    """What nodes are asked of: a type, or one component of a composite parameter of it, as a whole or per occurrence."""

    type: str
    composite: str = ""
    occurrence: str = ""

    @property
    def keys(self) -> str:
        """The field of the keys."""
        return f"k{self.occurrence}"

    def name(self, param: str) -> str:
        """Return the name under which a parameter is indexed."""
        return component(self.composite, param) if self.composite else param

    def head(self, param: str, kind: str) -> str:
        """Return what its keys of a kind begin with."""
        return head(self.type, self.name(param), kind)


class Lookups(Protocol):
    """What must be looked up before a filter can be made; each raises TooCostly when it finds too much."""

    def targets(self, node: q.Chain) -> list[str]:
        """Return `Type/id` of the current resources for which the part of a chain holds."""
        ...

    def referred(self, node: q.Has, place: Place) -> list[str]:
        """Return `Type/id` of the resources of a type to which those refer for which the part holds."""
        ...

    def positions(self, node: q.Near, place: Place) -> list[str]:
        """Return the keys of the stored positions in the circle."""
        ...


def holds(node: Node, place: Place, lookups: Lookups) -> Document:
    """Return the filter for the resources that satisfy a node."""
    keys = equalities(node, place)
    if keys is not None:
        return among(place.keys, keys)
    match node:
        case q.And(parts):
            return all_of(holds(part, place, lookups) for part in parts)
        case q.Or(parts):
            return _any(parts, place, lookups)
        case q.Not(part):
            return negated(holds(part, place, lookups))
        case q.IdIs(ids):
            return among("_id", (f"{place.type}/{one}" for one in ids))
        case q.LastUpdated():
            return ranges.last_updated(node)
        case q.Unequal(param):
            return any_of(
                matching(place.keys, place.head(param, kind), pattern) for kind, pattern in differing.keys(node)
            )
        case q.Missing(param, missing):
            return {"p": {"$ne": param} if missing else param}
        case q.FullText():
            return _full_text(node, place)
        case q.CompositeIs():
            return _composite(node, place, lookups)
        case q.Chain(param, _, _):
            start = place.head(param, "r")
            return among(place.keys, (start + target for target in lookups.targets(node)))
        case q.Has():
            return among("_id", lookups.referred(node, place))
        case q.Near():
            return among(place.keys, lookups.positions(node, place))
        case _:
            return _value(node, place)


def equalities(node: Node, place: Place) -> list[str] | None:
    """Return the keys of which any one must be there, [] for none that could be; None when it takes more than that."""
    match node:
        case q.TokenIs(param, system, code) if code is not None:
            return [place.head(param, kind) + value for kind, value in _token(system, code)]
        case q.OfType(param, system, code, value):
            return [place.head(param, "o") + f"{system} {code}{UNIT}{value}"]
        case q.RefersTo(param, target, version):
            return [place.head(param, "v") + f"{target} {version}" if version else place.head(param, "r") + target]
        case q.RefersToIdentifier(param, system, value, target_type) if value is not None:
            return [start + value for start in _identifiers(place, param, system, target_type)]
        case q.StringIs(param, TextMode.EXACT, value) if param != "phonetic":
            return [place.head(param, "s") + f"{normalise(value)}{UNIT}{value}"]
        case q.UriIs(param, TextMode.EXACT, value):
            return [place.head(param, "u") + value]
        case q.UriIs(param, TextMode.ABOVE, value):
            return [place.head(param, "u") + above for above in _ancestors(value)]
        case q.Or(parts):
            found = [equalities(part, place) for part in parts]
            return None if None in found else [key for keys in found for key in keys or ()]
        case q.And((only,)):
            return equalities(only, place)
        case _:
            return None


def _token(system: str | None, code: str) -> list[tuple[str, str]]:
    if system is None:
        return [("c", code), ("k", code)]
    if system == "":
        return [("t", f" {code}"), ("k", code)]
    return [("t", f"{system} {code}")]


def _identifiers(place: Place, param: str, system: str | None, target_type: str) -> list[str]:
    """Return what may precede the value in the key of a Reference.identifier: the type that is asked, and none stated."""
    kind, found = ("ic", "") if system is None else ("it", f"{system} ")
    typed = place.head(param, f"{kind}t")
    known = f"{typed}{target_type}{UNIT}" if target_type else place.head(param, kind)
    return [known + found, f"{typed}{UNIT}{found}"]


def _ancestors(uri: str) -> list[str]:
    """Return the URI and all that it continues after a `/`, with that `/` and without."""
    found = {uri: None}
    for place, char in enumerate(uri):
        if char == "/":
            found[uri[:place]] = None
            found[uri[: place + 1]] = None
    return list(found)


def _any(parts: Iterable[Node], place: Place, lookups: Lookups) -> Document:
    exact: list[str] = []
    others: list[Document] = []
    for part in parts:
        keys = equalities(part, place)
        if keys is None:
            others.append(holds(part, place, lookups))
        else:
            exact += keys
    return any_of((among(place.keys, exact), *others))


def _value(node: Node, place: Place) -> Document:
    keys = place.keys
    match node:
        case q.TokenIs(param, system, None):
            pieces = [] if system is None else [_in_system(keys, place.head(param, "t") + f"{system} ", system)]
            kinds = {None: ("c", "k"), "": ("k",)}.get(system, ())
            return any_of((*pieces, *(continues(keys, place.head(param, kind)) for kind in kinds)))
        case q.TokenText(param, normal):
            return begins(keys, place.head(param, "x") + normal)
        case q.RefersToIdentifier(param, system, None, target_type):
            return any_of(_in_system(keys, one, system) for one in _identifiers(place, param, system, target_type))
        case q.StringIs(param, mode, value):
            return _string(keys, place.head(param, "s"), mode, value)
        case q.UriIs(param, TextMode.BELOW, value):
            start = place.head(param, "u") + value
            return any_of((among(keys, (start,)), begins(keys, start if value.endswith("/") else start + "/")))
        case q.UriIs(param, TextMode.CONTAINS, value):
            return matching(keys, place.head(param, "u"), rf"[\s\S]*{literal(value)}")
        case q.DateCompare(param, prefix, lo, hi):
            name = place.name(param)
            dates = ranges.Dates(keys, f"d{place.occurrence}", place.head(param, "d"), place.head(param, "e"), name)
            return dates.compared(prefix, lo, hi)
        case q.NumberCompare(param):
            return ranges.number(node, keys, place.head(param, "n"))
        case q.QuantityCompare(param):
            return ranges.number(node, keys, place.head(param, "q") + _unit(node))
        case q.BaseQuantityCompare(param):
            return ranges.number(node, keys, place.head(param, "b") + f"{node.unit}{UNIT}")
        case _:
            raise ValueError(f"a store is not asked {node}")


def _in_system(keys: str, start: str, system: str | None) -> Document:
    """Any code of a system, or none; without a system there must be a code."""
    return begins(keys, start) if system else continues(keys, start)


def _unit(node: q.QuantityCompare) -> str:
    """Return what precedes the number in the key of a quantity in the unit that is asked."""
    if node.system is not None:
        return f"b{UNIT}{node.system}{UNIT}{node.code}{UNIT}" if node.code else f"s{UNIT}{node.system}{UNIT}"
    return f"a{UNIT}{node.code}{UNIT}" if node.code else UNIT


def _string(keys: str, start: str, mode: TextMode, value: str) -> Document:
    match mode:
        case TextMode.STARTS:
            return begins(keys, start + value)
        case TextMode.WHOLE:
            return begins(keys, f"{start}{value}{UNIT}")
        case TextMode.CONTAINS:
            return matching(keys, start, rf"[^\x1f]*{literal(value)}")
        case TextMode.EXACT:  # of `phonetic`, whose folded text is not that of the text
            return matching(keys, start, rf"[^\x1f]*\x1f{literal(value)}(?![\s\S])")
        case _:
            raise ValueError(f"a string is not compared with {mode}")


def _full_text(node: q.FullText, place: Place) -> Document:
    params = (TEXT, CONTENT) if node.param == CONTENT else (node.param,)
    fields = {TEXT: "x.n", CONTENT: "x.c"}
    pieces = []
    for phrase in node.phrases:
        words = phrase.split()
        pieces += [among("w", (word(place.type, param, one) for param in params)) for one in words]
        if len(words) > 1:
            pattern = {"$regex": f" {literal(phrase)} "}
            pieces.append(any_of({fields[param]: pattern} for param in params))
    return all_of(pieces)


def _composite(node: q.CompositeIs, place: Place, lookups: Lookups) -> Document:
    """One occurrence for which each part holds; the keys of all occurrences together bound what must be looked at."""
    whole, one = [], []
    for position, part in enumerate(node.parts):
        asked = Place(place.type, component(node.param, position), str(position))
        one.append(_of_part(part, asked, lookups))
        if not isinstance(part, q.Not | q.Missing):
            whole.append(_of_part(part, asked._replace(occurrence=""), lookups))
    inside = all_of(one)
    if inside == FALSE:
        return FALSE
    occurrence: Document = {"p": node.param, "n": len(node.parts)}
    if inside != TRUE:
        occurrence["$and"] = [part for part in one if part != TRUE]
    return all_of((*whole, {"c": {"$elemMatch": occurrence}}))


def _of_part(part: Node, place: Place, lookups: Lookups) -> Document:
    """A part names its component by its position, which the place knows already."""
    return holds(part, _Component(*place), lookups)


class _Component(Place):
    """The place of a component: whatever a node in it is called, it is asked of this component."""

    def name(self, param: str) -> str:
        del param
        return self.composite
