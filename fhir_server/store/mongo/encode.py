r"""Index entries → the document of a current resource in `current`.

`k` holds one text for each way a value is asked for: `Type.param.kind value`, so that an equality is one key and a range
is a range of keys. Numbers are written as 16 hexadecimal digits that sort as they do. The kinds:

  k  code of a token whose system is implied    c  code of any other token    t  `system code`, ` code` without a system
  o  `system code\x1fvalue` of an Identifier with a type                      x  the folded display text of a token
  u  a URI        r  the target of a reference        v  `target version` of a reference that names a version
  ic it ict itt   the identifier of a reference of a known type, as c and t, and both behind `Type\x1f`; of others behind `\x1f`
  s  the folded text, \x1f, the text as it was sent
  d e  where a date begins, and where it ends         n  a number              b  `unit\x1fnumber`, in base units
  q  `\x1fnumber`, `a\x1fcode or unit\x1fnumber`, `s\x1fsystem\x1fnumber` and `b\x1fsystem\x1fcode\x1fnumber` of a quantity
  g  latitude and longitude
  `* target`, without a type: whatever refers to it, by any parameter

`d` has both ends of each date, and `g` each position, which a single key cannot tell. `p` are the parameters with a value,
`w` the words of full text and `x` the texts themselves, `o` what parameters sort by, and `c` the occurrences of composite
parameters: of each its own `k0 d0 k1 d1 …`. The parts of a composite are keys of `composite$0`, `composite$1` as well.
"""

import struct
from collections.abc import Callable, Iterable
from typing import Any, cast

from fhir_server.search.fulltext import TEXT
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
    SimpleEntry,
    StringEntry,
    TextEntry,
    TokenEntry,
    UriEntry,
)
from fhir_server.store.mongo.layout import UNIT
from fhir_server.store.mongo.link import Document

_BIAS = 1 << 63
_ALL = (1 << 64) - 1
_BREAK = " _ "
"""Between texts of one parameter: a word that nobody can ask for, so that no phrase goes on across it."""


def head(resource_type: str, param: str, kind: str) -> str:
    """Return what the keys of a parameter and kind begin with."""
    return f"{resource_type}.{param}.{kind} "


def component(param: str, position: int | str) -> str:
    """Return the name under which a component of a composite parameter is indexed."""
    return f"{param}${position}"


def integer(value: int) -> str:
    """Return an integer of 64 bits as digits that sort as it does; beyond them, the nearest that fits."""
    return f"{min(max(value + _BIAS, 0), _ALL):016x}"


def real(value: float) -> str:
    """Return a number as digits that sort as it does."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", value + 0.0))  # + 0.0: there is one zero
    return f"{bits ^ _ALL if bits & _BIAS else bits | _BIAS:016x}"


def referrer(target: str) -> str:
    """Return the key of whatever refers to a target."""
    return f"* {target}"


def word(resource_type: str, param: str, found: str) -> str:
    """Return the key of a word in a text of `_text` or `_content`."""
    return f"{resource_type}.{param} {found}"


def encode(resource_type: str, entries: Iterable[Entry]) -> Document:
    """Return the fields of the document that index a resource."""
    whole = _Builder(resource_type)
    present: dict[str, None] = {}
    composites: list[Document] = []
    texts: dict[str, list[str]] = {}
    for entry in entries:
        param = entry[0]
        present[param] = None
        if type(entry) is CompositeEntry:
            composites.append(_composite(resource_type, entry, whole))
        elif type(entry) is TextEntry:
            texts.setdefault(param, []).append(entry.text)
        else:
            whole.add(param, cast("SimpleEntry", entry))
    document: Document = {"k": list(whole.keys), "p": list(present)}
    if whole.dates:
        document["d"] = whole.dates
    if whole.places:
        document["g"] = whole.places
    if whole.order:
        document["o"] = {param: _ends(values) for param, values in whole.order.items()}
    if composites:
        document["c"] = composites
    if texts:
        document["w"] = list(_words(resource_type, texts))
        document["x"] = {"n" if param == TEXT else "c": f" {_BREAK.join(found)} " for param, found in texts.items()}
    return document


def _words(resource_type: str, texts: dict[str, list[str]]) -> dict[str, None]:
    return {
        word(resource_type, param, one): None
        for param, found in texts.items()
        for text in found
        for one in text.split()
    }


def _composite(resource_type: str, entry: CompositeEntry, whole: "_Builder") -> Document:
    occurrence: Document = {"p": entry.param, "n": len(entry.parts)}
    for position, part in enumerate(entry.parts):
        own = _Builder(resource_type)
        name = component(entry.param, position)
        for simple in part:
            own.add(name, simple)
        whole.take(own)
        occurrence[f"k{position}"] = list(own.keys)
        if own.dates:
            occurrence[f"d{position}"] = own.dates
    return occurrence


def _ends(values: list[Any]) -> list[Any]:
    """Return the least and the greatest value, once when they are equal; numbers come before texts."""
    ordered = sorted(values, key=lambda value: (type(value) is str, value))
    return [ordered[0]] if ordered[0] == ordered[-1] else [ordered[0], ordered[-1]]


class _Builder:
    """The fields of one document, or of one part of a composite."""

    __slots__ = ("dates", "keys", "order", "places", "type")

    def __init__(self, resource_type: str) -> None:
        self.type = resource_type
        self.keys: dict[str, None] = {}
        self.dates: list[Document] = []
        self.places: list[list[Any]] = []
        self.order: dict[str, list[Any]] = {}

    def add(self, param: str, entry: SimpleEntry) -> None:
        """Add what one entry is found by."""
        _ADD[type(entry)](self, param, entry)

    def take(self, other: "_Builder") -> None:
        """Add what a part of a composite is found by; nobody sorts by it."""
        self.keys.update(other.keys)
        self.dates += other.dates
        self.places += other.places

    def key(self, param: str, kind: str, value: str) -> None:
        self.keys[f"{self.type}.{param}.{kind} {value}"] = None

    def sorts(self, param: str, value: Any) -> None:
        self.order.setdefault(param, []).append(value)


def _token(build: _Builder, param: str, entry: TokenEntry) -> None:
    _, system, code, text, type_system, type_code = entry
    if system is None:
        build.key(param, "k", code)
    else:
        build.key(param, "c", code)
        build.key(param, "t", f"{system} {code}")
    if code:
        build.sorts(param, code)
    if type_code:
        build.key(param, "o", f"{type_system} {type_code}{UNIT}{code}")
    if text:
        build.key(param, "x", normalise(text))


def _reference(build: _Builder, param: str, entry: ReferenceEntry) -> None:
    _, target, version, system, value, target_type = entry
    if target:
        build.key(param, "r", target)
        build.keys[referrer(target)] = None
        build.sorts(param, target)
        if version:
            build.key(param, "v", f"{target} {version}")
    if system or value:
        for prefix, kind in ((f"{target_type}{UNIT}", "t"), ("", ""))[: 2 if target_type else 1]:
            build.key(param, f"ic{kind}", f"{prefix}{value}")
            build.key(param, f"it{kind}", f"{prefix}{system} {value}")


def _string(build: _Builder, param: str, entry: StringEntry) -> None:
    build.key(param, "s", f"{entry.normal}{UNIT}{entry.value}")
    build.sorts(param, entry.normal)


def _uri(build: _Builder, param: str, entry: UriEntry) -> None:
    build.key(param, "u", entry.value)
    if entry.value:
        build.sorts(param, entry.value)


def _date(build: _Builder, param: str, entry: DateEntry) -> None:
    build.key(param, "d", integer(entry.lo))
    build.key(param, "e", integer(entry.hi))
    build.dates.append({"p": param, "l": entry.lo, "h": entry.hi})
    build.sorts(param, entry.lo)


def _number(build: _Builder, param: str, entry: NumberEntry) -> None:
    build.key(param, "n", real(entry.value))
    build.sorts(param, float(entry.value))


def _quantity(build: _Builder, param: str, entry: QuantityEntry) -> None:
    number = f"{UNIT}{real(entry.value)}"
    build.key(param, "q", number)
    for name in (entry.code, entry.unit):
        if name:
            build.key(param, "q", f"a{UNIT}{name}{number}")
    build.key(param, "q", f"s{UNIT}{entry.system}{number}")
    build.key(param, "q", f"b{UNIT}{entry.system}{UNIT}{entry.code}{number}")
    build.sorts(param, float(entry.value))


def _base_quantity(build: _Builder, param: str, entry: BaseQuantityEntry) -> None:
    build.key(param, "b", f"{entry.unit}{UNIT}{real(entry.value)}")


def _position(build: _Builder, param: str, entry: PositionEntry) -> None:
    build.key(param, "g", f"{real(entry.latitude)}{real(entry.longitude)}")
    build.places.append([param, float(entry.latitude), float(entry.longitude)])


_ADD: dict[type, Callable[[_Builder, str, Any], None]] = {
    TokenEntry: _token,
    ReferenceEntry: _reference,
    StringEntry: _string,
    UriEntry: _uri,
    DateEntry: _date,
    NumberEntry: _number,
    QuantityEntry: _quantity,
    BaseQuantityEntry: _base_quantity,
    PositionEntry: _position,
}
