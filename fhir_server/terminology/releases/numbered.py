"""The concepts of a gathered release in the order of their numbers, as a store takes them, and what is said of the whole.

A concept is kept as the JSON array [code, display, definition, [[language, text, use], …], [parent, …], {property: [value,
…]}]; `use` is a place among the head's `uses`, -1 for none.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

from fhir_server.terminology.concepts import Concept, Designation, fold
from fhir_server.terminology.releases.gathering import ABSTRACT, INACTIVE, Gathering
from fhir_server.terminology.releases.hierarchy import Hierarchy
from fhir_server.terminology.spans import Spans, merged, pack

_MOST_WORDS: Final = 400
"""Words of one concept that filters find."""
_words = re.compile(r"[^\W_]+").findall
_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a store keeps of a code system as a whole."""

    name: str
    case_sensitive: bool = True
    complete: bool = True
    value_set: str = ""
    property_types: dict[str, str] = {}
    uses: list[Any] = []
    inactive: Spans = ()
    abstract: Spans = ()

    def packed(self) -> bytes:
        """Return the bytes that `head_of` reads."""
        return msgspec.json.encode(self)


class Numbered(NamedTuple):
    """A concept as a store takes it; `store.concepts.ConceptRow` says what each member is."""

    number: int
    key: str
    parents: tuple[int, ...]
    words: tuple[str, ...]
    reach: bytes
    body: bytes


def head_of(packed: bytes) -> Head:
    """Read what `Head.packed` wrote."""
    return msgspec.json.decode(packed, type=Head)


def words_of(text: str) -> list[str]:
    """Return the folded words of a text, letters and digits only, as the filters of a store compare them."""
    return _words(fold(text))


def head(gathering: Gathering, hierarchy: Hierarchy) -> Head:
    """Return what is said of the whole."""
    about = gathering.about
    return Head(
        name=about.name or about.system,
        case_sensitive=about.case_sensitive,
        complete=about.complete,
        value_set=about.value_set,
        property_types=dict(about.property_types),
        uses=gathering.uses,
        inactive=_flagged(gathering, hierarchy, INACTIVE),
        abstract=_flagged(gathering, hierarchy, ABSTRACT),
    )


def concepts(gathering: Gathering, hierarchy: Hierarchy) -> Iterator[Numbered]:
    """Yield every concept in the order of the numbers."""
    codes = gathering.codes()
    sensitive = gathering.about.case_sensitive
    for number, place in enumerate(hierarchy.order):
        code = codes[place]
        parents = tuple(dict.fromkeys(hierarchy.parents.of(place)))
        display, definition, names, properties = _told(gathering, place)
        flags = gathering.flags[place]
        if flags & INACTIVE:
            properties["inactive"] = [True]
        if flags & ABSTRACT:
            properties["notSelectable"] = [True]
        above = [codes[parent] for parent in parents]
        texts = " ".join((code, display, *(name[1] for name in names)))
        yield Numbered(
            number,
            code if sensitive else code.casefold(),
            tuple(hierarchy.number[parent] for parent in parents),
            tuple(dict.fromkeys(words_of(texts)))[:_MOST_WORDS],
            pack(hierarchy.reach(place)),
            _encode((code, display or code, definition, names, above, properties)),
        )


def concept_of(body: bytes, number: int, uses: list[Any]) -> Concept:
    """Read a concept from what a store kept of it."""
    code, display, definition, names, parents, properties = _decode(body)
    return Concept(
        code,
        display,
        definition,
        tuple(Designation(language, value, None if use < 0 else uses[use]) for language, value, use in names),
        tuple(parents),
        {name: tuple(values) for name, values in properties.items()},
        number,
    )


def _told(gathering: Gathering, place: int) -> tuple[str, str, list[Any], dict[str, Any]]:
    """Return display, definition, designations and properties; without a display, the best name is it."""
    display = definition = ""
    properties: dict[str, Any] = {}
    named: list[Any] = []
    for statement in gathering.said(place):
        if isinstance(statement[3], dict):
            display, definition, properties = (
                statement[1] or display,
                statement[2] or definition,
                statement[3] or properties,
            )
        else:
            named.append(statement)
    named.reverse()  # as they came
    named.sort(key=lambda one: one[3])
    if not display and named:
        base = gathering.about.language
        best = next((one for one in named if one[0] == base), named[0])
        display = best[1]
    return display, definition, [one[:3] for one in named], properties


def _flagged(gathering: Gathering, hierarchy: Hierarchy, flag: int) -> Spans:
    flags, number = gathering.flags, hierarchy.number
    return merged((number[place], number[place]) for place in range(len(flags)) if flags[place] & flag)
