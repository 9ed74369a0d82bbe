"""CSV with a header: code, display, definition, parent, inactive, abstract, display-<language>, property-<name>."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from fhir_server.terminology.releases.files import ReleaseFile, Told, lines
from fhir_server.terminology.releases.gathering import ABSTRACT, INACTIVE, About, Gathering
from fhir_server.terminology.releases.problem import ReleaseError

_PLAIN: Final = ("code", "display", "definition", "parent", "inactive", "abstract")
_LANGUAGE: Final = re.compile(r"display-([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)")
_PROPERTY: Final = re.compile(r"property-([A-Za-z][A-Za-z0-9_.-]{0,63})")
_TRUE: Final = frozenset({"true", "1", "yes", "y", "ja", "oui", "x"})
_FALSE: Final = frozenset({"", "false", "0", "no", "n", "nee", "non", "nein"})
_ALLOWED: Final = (
    "Allowed are code (required), display, definition, parent (several separated by |), inactive, abstract, "
    "display-<language> such as display-nl, and property-<name>."
)


class _Columns(NamedTuple):
    plain: dict[str, int]
    languages: tuple[tuple[str, int], ...]
    properties: tuple[tuple[str, int], ...]
    width: int


def read_table(file: ReleaseFile, gathering: Gathering, told: Told, encoding: str) -> None:
    """Read one CSV file, separated by comma, semicolon or tab, whichever its header has. Raises ReleaseError."""
    numbered = lines(file, told, encoding)
    first = next(numbered, None)
    if first is None:
        raise ReleaseError("it is empty; the first line must name the columns.", file.where)
    delimiter = max(",;\t", key=first[1].count)
    columns = _columns(next(csv.reader([first[1]], delimiter=delimiter)), file.where)
    gathering.about = About(property_types={name: "string" for name, _ in columns.properties})
    for line, row in _rows(numbered, delimiter, file.where):
        if not any(row):
            continue
        if len(row) != columns.width:
            raise ReleaseError(f"it has {len(row)} values; the header names {columns.width}.", file.where, line)
        _take(row, columns, gathering, file.where, line)


def _rows(numbered: Iterator[tuple[int, str]], delimiter: str, where: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((f"{text}\n" for _, text in numbered), delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 2  # the header is line 1, and quoted values may go over several lines
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ReleaseError(
                f"it is no row of CSV ({error}). Is a quotation mark not closed?", where, start
            ) from error
        if row is None:
            return
        yield start, row


def _columns(header: Sequence[str], where: str) -> _Columns:
    names = [name.strip() for name in header]
    plain: dict[str, int] = {}
    languages: list[tuple[str, int]] = []
    properties: list[tuple[str, int]] = []
    for at, name in enumerate(names):
        if name in names[:at]:
            raise ReleaseError(f"the column {name[:80]!r} is there twice.", where, 1)
        if name in _PLAIN:
            plain[name] = at
        elif found := _LANGUAGE.fullmatch(name):
            languages.append((found[1], at))
        elif found := _PROPERTY.fullmatch(name):
            properties.append((found[1], at))
        else:
            raise ReleaseError(f"the column {name[:80]!r} is unknown. {_ALLOWED}", where, 1)
    if "code" not in plain:
        raise ReleaseError(f"the column code is missing. {_ALLOWED}", where, 1)
    if "display" not in plain and not languages:
        raise ReleaseError(f"there is no column display, nor one such as display-nl. {_ALLOWED}", where, 1)
    return _Columns(plain, tuple(languages), tuple(properties), len(names))


def _take(row: Sequence[str], columns: _Columns, gathering: Gathering, where: str, line: int) -> None:
    def value(name: str) -> str:
        at = columns.plain.get(name)
        return "" if at is None else row[at].strip()

    flag = _flag_reader(value, where, line)
    place = gathering.add(value("code"), flag("inactive", INACTIVE) | flag("abstract", ABSTRACT), where, line)
    names = [(language, row[at].strip()) for language, at in columns.languages if row[at].strip()]
    if not value("display") and not names:
        raise ReleaseError(f"the code {value('code')!r} has no display in any language.", where, line)
    properties = {name: [row[at].strip()] for name, at in columns.properties if row[at].strip()}
    gathering.say(place, value("display"), value("definition"), properties)
    for language, text in names:
        gathering.name(place, language, text)
    for parent in value("parent").split("|"):
        if parent.strip():
            gathering.below(place, parent.strip(), where, line)


def _flag_reader(value: Callable[[str], str], where: str, line: int) -> Callable[[str, int], int]:
    def flag(name: str, bit: int) -> int:
        text = value(name).casefold()
        if text in _TRUE:
            return bit
        if text in _FALSE:
            return 0
        raise ReleaseError(f"the column {name} has {text[:40]!r}; allowed are true and false.", where, line)

    return flag
