"""Tables as sources: CSV and XLSX, a record a row, with the columns that a mapping names.

A file that cannot be read right is refused, not guessed at: an encoding that is not UTF-8 must be named, a formula is no
value, and a quote that never closes is found before its row eats the rest of the file.
"""

import csv
import io
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fhir_server.mapping.definition import Column

MAX_CELL = 32_768
"""Characters; as many as a spreadsheet holds in a cell."""
_DELIMITERS = ",;\t|"


class SourceBroken(ValueError):
    """A source cannot be read; the message says where (file, row, cell) and what to do."""


class Row(NamedTuple):
    """A record with where it stands: `row 7`, `organizations[3]`. `record` is a text when it cannot be read."""

    origin: str
    record: Any
    joined: bool = False
    """The next row belongs with this one: both are taken, or none."""


def read_table(path: Path, columns: Sequence[Column], encoding: str = "utf-8") -> Iterator[Row]:
    """Yield the rows of a CSV or XLSX file as records by column name. Raises SourceBroken, before the first row where it can."""
    lines = _xlsx(path) if path.suffix.lower() == ".xlsx" else _csv(path, encoding)
    try:
        number, header = next(lines)
    except StopIteration:
        raise SourceBroken(f"{path.name} is empty. Its first row names the columns.") from None
    names = _columns(path.name, header, columns)
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


def fold_header(text: str) -> str:
    """Return a header as it is compared: no case, accents, spaces or punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in plain if character.isalnum())


def decoded(path: Path, encoding: str) -> str:
    """Read a text file. Raises SourceBroken with the row of the first byte that is not of the encoding."""
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding)
    except LookupError:
        raise SourceBroken(f"{encoding!r} is no encoding that is known. Say utf-8, latin-1 or cp1252.") from None
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        raise SourceBroken(
            f"{path.name} is not {encoding}: row {row} holds the byte 0x{raw[error.start]:02x}. Save it as UTF-8, or name its "
            "encoding (--encoding latin-1, or cp1252 for older Excel)."
        ) from None


def rows_of(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV text with the number of the line they start on. Raises SourceBroken for a broken one."""
    header = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    start = 1
    try:
        for cells in reader:
            longest = max(map(len, cells), default=0)
            if longest > MAX_CELL or reader.line_num - start > 200:  # noqa: PLR2004  # lines of one cell: nobody writes so many
                raise SourceBroken(_astray(path, start))
            yield start, cells
            start = reader.line_num + 1
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
    return f"{path.name}: the row that starts on line {row} has a quote that is not closed or stands within a cell. Double a quote inside a quoted cell."


def _xlsx(path: Path) -> Iterator[tuple[int, list[str]]]:
    from openpyxl import load_workbook  # noqa: PLC0415  # half a second, only for who imports a spreadsheet
    from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415  # comes with it

    try:
        book = load_workbook(path, read_only=True, data_only=False, keep_links=False)
    except (InvalidFileException, OSError, KeyError, ValueError, EOFError) as error:
        raise SourceBroken(f"{path.name} is not an .xlsx workbook: {error}") from None
    except Exception as error:  # noqa: BLE001  # a damaged archive raises whatever its parser meets
        raise SourceBroken(f"{path.name} is damaged: {type(error).__name__}.") from None
    try:
        sheet = book.worksheets[0]
        for number, row in enumerate(sheet.iter_rows(), start=1):
            yield number, [_cell(path, cell) for cell in row]
    finally:
        book.close()


def _cell(path: Path, cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if cell.data_type == "f":
        raise SourceBroken(
            f"{path.name}: cell {cell.coordinate} holds a formula. Replace formulas by their values (copy, paste values)."
        )
    if cell.data_type == "e":
        raise SourceBroken(f"{path.name}: cell {cell.coordinate} holds the error {value}.")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if hasattr(value, "isoformat"):
        text: str = value.isoformat()
        return text.removesuffix("T00:00:00")
    return str(value)


def _columns(file: str, header: Sequence[str], columns: Sequence[Column]) -> dict[str, int]:
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
