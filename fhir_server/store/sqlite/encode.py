r"""Index entries → rows of the index tables.

`eq` has one row for each way a value is asked for by equality, told apart by the kind of its name:
  k  code of a token whose system is implied by its element
  c  code of any other token             t  `system code` of a token, ` code` when it has no system
  o  `system code\x1fvalue` of an Identifier with a type
  u  a URI                               v  `target version` of a reference that names a version
  ic, it  as c and t, for the identifier of a reference of a known type; ict, itt  the same behind `Type\x1f`, of others behind `\x1f`
White space ends a system without doubt: a FHIR uri has none.
Other kinds: r (ref), s (str), x (str, the display texts of a token), d (dt), n (num), q (qty), b (qty, in base units), g (geo).
The parts of a composite are rows of the parameters `composite$0`, `composite$1`.
Two more rows of `eq` are about the resource as a whole:
  m  which parameters have a value: the number of the name `(type, ",3,17,", "m")`, see `store.sqlite.shapes`
  p  `target\x1fcode` of a reference and a state that are asked together all day, see `store.sqlite.pairs`
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec

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
from fhir_server.store.sqlite import pairs, shapes, words
from fhir_server.store.sqlite.cells import cell

Make = Callable[[str, str], int]
"""Finds or makes the number of (parameter, kind) for the type that is indexed."""


class Table(IntEnum):
    """The index tables besides `eq`, as bits of `doc.tables`."""

    REF = 1
    STR = 2
    DT = 4
    NUM = 8
    QTY = 16
    GEO = 32


class Rows(NamedTuple):
    """The rows of one version, without its sequence number."""

    keys: dict[int, list[str]]
    tables: dict[Table, set[tuple[Any, ...]]]
    present: str
    composite: str | None
    texts: tuple[str, str] | None
    """Narrative and content, for full text."""


def encode(resource_type: str, entries: Sequence[Entry], known: dict[tuple[str, str], int], make: Make) -> Rows:
    """Turn all index entries of one resource into rows; `known` are numbers that need not be looked for."""
    build = _Builder(known, make)
    present: dict[str, int] = {}
    composites: dict[str, list[CompositeEntry]] = {}
    texts: dict[str, list[str]] = {}
    for entry in entries:
        param = entry[0]
        if param not in present:
            present[param] = build.number(param, "")
        if type(entry) is CompositeEntry:
            composites.setdefault(param, []).append(entry)
            for position, part in enumerate(entry.parts):
                for simple in part:
                    _ADD[type(simple)](build, component(param, position), simple)
        elif type(entry) is TextEntry:
            texts.setdefault(param, []).append(entry.text)
        else:
            _ADD[type(entry)](build, param, entry)
    listed = shapes.listed(present.values())
    build.equal("", shapes.KIND, str(build.number(listed, shapes.KIND)))
    for pair in pairs.PAIRS.get(resource_type, ()):
        if pair.reference in present and pair.state in present:
            for value in pairs.values(pair, entries):
                build.equal(pair.name, pairs.KIND, value)
    return Rows(build.keys, build.tables, listed, _several(composites) if composites else None, words.joined(texts))


def component(param: str, position: int | str) -> str:
    """Return the name under which a component of a composite parameter is indexed."""
    return f"{param}${position}"


def system_code(system: str, code: str) -> str:
    """Return the value of the kinds `t` and `it`."""
    return f"{system} {code}"


def of_type(type_system: str, type_code: str, value: str) -> str:
    """Return the value of the kind `o`."""
    return f"{type_system} {type_code}\x1f{value}"


def target_version(target: str, version: str) -> str:
    """Return the value of the kind `v`."""
    return f"{target} {version}"


def typed(target_type: str, value: str) -> str:
    """Return the value of the kinds `ict` and `itt`."""
    return f"{target_type}\x1f{value}"


def occurrences(composite: str, param: str) -> list[CompositeEntry]:
    """Return the occurrences of a composite parameter from `doc.composite`; none when it has fewer than two."""
    stored = msgspec.json.decode(composite).get(param, ())
    return [
        CompositeEntry(param, tuple(tuple(_TYPES[name](*fields) for name, *fields in part) for part in parts))
        for parts in stored
    ]


class _Builder:
    __slots__ = ("keys", "known", "make", "tables")

    def __init__(self, known: dict[tuple[str, str], int], make: Make) -> None:
        self.known = known
        self.make = make
        self.keys: dict[int, list[str]] = {}
        self.tables: dict[Table, set[tuple[Any, ...]]] = {}

    def number(self, param: str, kind: str) -> int:
        number = self.known.get((param, kind))
        return self.make(param, kind) if number is None else number

    def equal(self, param: str, kind: str, value: str) -> None:
        number = self.known.get((param, kind))
        if number is None:
            number = self.make(param, kind)
        values = self.keys.get(number)
        if values is None:
            self.keys[number] = [value]
        elif value not in values:
            values.append(value)

    def row(self, table: Table, row: tuple[Any, ...]) -> None:
        rows = self.tables.get(table)
        if rows is None:
            self.tables[table] = {row}
        else:
            rows.add(row)


def _token(build: _Builder, param: str, entry: TokenEntry) -> None:
    _, system, code, text, type_system, type_code = entry
    if system is None:
        build.equal(param, "k", code)
    else:
        build.equal(param, "c", code)
        build.equal(param, "t", system_code(system, code))
    if type_code:
        build.equal(param, "o", of_type(type_system, type_code, code))
    if text:
        build.row(Table.STR, (build.number(param, "x"), normalise(text), text))


def _reference(build: _Builder, param: str, entry: ReferenceEntry) -> None:
    _, target, version, system, value, target_type = entry
    if target:
        build.row(Table.REF, (build.number(param, "r"), target))
        if version:
            build.equal(param, "v", target_version(target, version))
    if system or value:
        if target_type:
            build.equal(param, "ic", value)
            build.equal(param, "it", system_code(system, value))
        build.equal(param, "ict", typed(target_type, value))
        build.equal(param, "itt", typed(target_type, system_code(system, value)))


def _string(build: _Builder, param: str, entry: StringEntry) -> None:
    build.row(Table.STR, (build.number(param, "s"), entry.normal, entry.value))


def _uri(build: _Builder, param: str, entry: UriEntry) -> None:
    build.equal(param, "u", entry.value)


def _date(build: _Builder, param: str, entry: DateEntry) -> None:
    build.row(Table.DT, (build.number(param, "d"), entry.lo, entry.hi))


def _number(build: _Builder, param: str, entry: NumberEntry) -> None:
    build.row(Table.NUM, (build.number(param, "n"), entry.value))


def _quantity(build: _Builder, param: str, entry: QuantityEntry) -> None:
    build.row(Table.QTY, (build.number(param, "q"), entry.value, entry.system, entry.code, entry.unit))


def _base_quantity(build: _Builder, param: str, entry: BaseQuantityEntry) -> None:
    build.row(Table.QTY, (build.number(param, "b"), entry.value, "", entry.unit, ""))


def _position(build: _Builder, param: str, entry: PositionEntry) -> None:
    build.row(
        Table.GEO, (build.number(param, "g"), cell(entry.latitude, entry.longitude), entry.latitude, entry.longitude)
    )


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
_TYPES: dict[str, Callable[..., SimpleEntry]] = {kind.__name__: kind for kind in _ADD}


def _several(composites: dict[str, list[CompositeEntry]]) -> str | None:
    """Keep the occurrences of parameters that have several: only there can parts of different ones be mixed up."""
    kept = {
        param: [[[(type(simple).__name__, *simple) for simple in part] for part in entry.parts] for entry in found]
        for param, found in composites.items()
        if len(found) > 1
    }
    return msgspec.json.encode(kept).decode() if kept else None
