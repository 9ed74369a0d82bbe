"""Tables as sources: CSV and XLSX, a record a row, with the columns that a mapping names.

A file that cannot be read right is refused, not guessed at: an encoding that is not UTF-8 must be named, a formula is no
value, and a quote that never closes is found before its row eats the rest of the file.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from fhir_server.mapping.definition import Column
from fhir_server.mapping.sources import Row, SourceBroken
from fhir_server.mapping.workbooks import read_workbook

MAX_CELL = 32_768
"""Characters; as many as a spreadsheet holds in a cell."""
_DELIMITERS = ",;\t|"
_OTHER_BOOKS = frozenset({".xls", ".xlsm", ".xlsb", ".ods", ".numbers", ".doc", ".docx", ".pdf"})
_SEPARATOR = re.compile(r"\ufeff?sep=(.)\r?\n")
"""The line by which a spreadsheet program is told the delimiter."""
_CONTROLS = re.compile("[\x80-\x9f]")


def read_table(path: Path, columns: Sequence[Column], encoding: str = "utf-8") -> Iterator[Row]:
    """Yield the rows of a CSV or XLSX file as records by column name. Raises SourceBroken, before the first row where it can."""
    lines = _lines(path, columns, encoding)
    header = next((cells for _, cells in lines if any(cell.strip() for cell in cells)), None)
    if header is None:
        raise SourceBroken(f"{path.name} is empty. Its first row names the columns.")
    names = columns_of(path.name, header, columns)
    width = len(header)
    for number, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > width and any(cell.strip() for cell in cells[width:]):
            yield Row(
                f"row {number}",
                f"The row has {len(cells)} cells, the header {width}. Is a delimiter or a quote astray?",
            )
            continue
        yield Row(f"row {number}", {name: _bare(cells[at]) for name, at in names.items() if at < len(cells)})


def _lines(path: Path, columns: Sequence[Column], encoding: str) -> Iterator[tuple[int, list[str]]]:
    suffix = path.suffix.lower()
    if suffix in _OTHER_BOOKS:
        raise SourceBroken(f"{path.name} is no CSV and no .xlsx. Save it as .xlsx, or as CSV in UTF-8.")
    if suffix != ".xlsx":
        return _csv(path, encoding)

    def fits(header: Sequence[str]) -> bool:
        try:
            return bool(columns_of(path.name, header, columns))
        except SourceBroken:
            return False

    return read_workbook(path, fits)


def fold_header(text: str) -> str:
    """Return a header as it is compared: no case, accents, spaces or punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in plain if character.isalnum())


def decoded(path: Path, encoding: str) -> str:
    """Read a text file. Raises SourceBroken with the row of the first byte that is not of the encoding."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding)
    except LookupError:
        raise SourceBroken(f"{encoding!r} is no encoding that is known. Say utf-8, latin-1 or cp1252.") from None
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        raise SourceBroken(
            f"{path.name} is not {encoding}: row {row} holds the byte 0x{raw[error.start]:02x}. Save it as UTF-8, or name its "
            "encoding (--encoding latin-1, or cp1252 for older Excel)."
        ) from None
    if found := _CONTROLS.search(text):  # Latin-1 takes every byte, so a wrong name of the encoding shows here only
        row = text.count("\n", 0, found.start()) + 1
        said = f"row {row} holds U+{ord(found[0]):04X}, a control character no one writes"
        raise SourceBroken(f"{path.name} is not {encoding}: {said}. Try --encoding cp1252, or utf-8.")
    return text


def rows_of(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV text with the number of the line they start on. Raises SourceBroken for a broken one."""
    header, start = text.lstrip().split("\n", 1)[0], 1
    delimiter = max(_DELIMITERS, key=header.count)
    if mark := _SEPARATOR.match(text):
        delimiter, text, start = mark[1], text[mark.end() :], 2
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    before = start - 1
    try:
        for cells in reader:
            longest = max(map(len, cells), default=0)
            if longest > MAX_CELL or reader.line_num + before - start > 200:  # noqa: PLR2004  # lines of one cell: nobody writes so many
                raise SourceBroken(_astray(path, start))
            yield start, cells
            start = reader.line_num + before + 1
    except csv.Error as error:
        raise SourceBroken(f"{_astray(path, start)} ({error})") from None


def _bare(cell: str) -> str:
    """Drop the quote that marks a text which would else be a formula (`'+32 …`)."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in ("=", "+", "-", "@") else cell


def _csv(path: Path, encoding: str) -> Iterator[tuple[int, list[str]]]:
    text = decoded(path, encoding)
    if "\x00" in text:
        raise SourceBroken(
            f"{path.name} holds NUL characters: it is no text file. Save it as CSV in UTF-8, or as .xlsx."
        )
    yield from rows_of(path, text)


def _astray(path: Path, row: int) -> str:
    return (
        f"{path.name}: the row that starts on line {row} has a quote that is not closed or stands within a cell, or a cell of more "
        f"than {MAX_CELL} characters. Double a quote inside a quoted cell."
    )


def columns_of(file: str, header: Sequence[str], columns: Sequence[Column]) -> dict[str, int]:
    """Return where each column stands in a header. Raises SourceBroken for one that is unknown, twice there or missing."""
    known = {fold_header(name): column.name for column in columns for name in (*column.headers, column.name)}
    found: dict[str, int] = {}
    for at, text in enumerate(header):
        if not text.strip():
            continue
        name = known.get(fold_header(text))
        if name is None:
            choices = ", ".join(column.headers[0] for column in columns)
            raise SourceBroken(f"{file}: there is no column {text!r}. Known columns: {choices}.")
        if name in found:
            raise SourceBroken(f"{file}: the columns {header[found[name]]!r} and {text!r} are the same one. Keep one.")
        found[name] = at
    if missing := [column.headers[0] for column in columns if column.required and column.name not in found]:
        raise SourceBroken(f"{file}: the column {missing[0]!r} is missing.")
    return found
