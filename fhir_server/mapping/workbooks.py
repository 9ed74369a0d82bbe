"""Workbooks (.xlsx) as tables: the sheet whose header has the columns, without formulas, errors and merged cells."""

import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from fhir_server.mapping.sources import SourceBroken
from fhir_server.mapping.unpacking import MAX_UNPACKED

Fits = Callable[[Sequence[str]], bool]
"""Tells whether a header is one of the table that is sought."""
_MERGED: Final = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z0-9:]{1,30})"')
_CHUNK: Final = 1 << 20
_LONGEST: Final = 200
"""Bytes of one element that may be cut by the end of a chunk."""


def read_workbook(path: Path, fits: Fits) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a workbook with their numbers, the header first. Raises SourceBroken.

    Other sheets may explain things; two that both are such a table are refused, since one of them would be passed over.
    """
    from openpyxl import load_workbook  # noqa: PLC0415  # half a second, only for who imports a spreadsheet

    _require_small(path)
    try:
        book = load_workbook(path, read_only=True, data_only=False, keep_links=False)
    except Exception as error:  # noqa: BLE001  # a damaged archive raises whatever its parser meets
        raise SourceBroken(_unread(path, error)) from None
    with closing(book):
        try:
            yield from _rows(path, book, fits)
        except SourceBroken:
            raise
        except Exception as error:  # noqa: BLE001  # as above: sheets are read as they are asked for
            raise SourceBroken(_unread(path, error)) from None


def _unread(path: Path, error: Exception) -> str:
    return f"{path.name} cannot be read ({type(error).__name__}). Open it, and save the sheet with the rows as .xlsx or CSV."


def _rows(path: Path, book: Any, fits: Fits) -> Iterator[tuple[int, list[str]]]:
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what a file says of its size may be wrong, and rows beyond it would be passed over
    filled = [(sheet, header) for sheet in book.worksheets if (header := _header(sheet)) is not None]
    tables = [sheet for sheet, header in filled if fits(header)]
    if len(tables) > 1:
        names = ", ".join(repr(sheet.title) for sheet in tables)
        raise SourceBroken(
            f"{path.name}: the sheets {names} are such a table each. Put the rows in one, or save each as a file."
        )
    for sheet in tables or [one for one, _ in filled[:1]]:
        _require_unmerged(path, sheet)
        for number, row in enumerate(sheet.iter_rows(), start=1):
            yield number, [_cell(path, sheet, cell) for cell in row]


def _header(sheet: Any) -> list[str] | None:
    """Return the texts of the first row that has any."""
    for row in sheet.iter_rows(values_only=True):
        if any(value is not None for value in row):
            return ["" if value is None else str(value) for value in row]
    return None


def _require_small(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
    except (zipfile.BadZipFile, OSError):
        said = f"{path.name} is not an .xlsx workbook. Save it as one, or call it .csv if it is text."
        raise SourceBroken(said) from None
    if size > MAX_UNPACKED:
        raise SourceBroken(f"{path.name} unpacks to more than {MAX_UNPACKED} bytes.")


def _require_unmerged(path: Path, sheet: Any) -> None:
    """Refuse merged cells: all of them but the first are empty, which means something else in many columns."""
    with sheet._get_source() as file:  # noqa: SLF001  # openpyxl tells of merged cells only when it reads all at once
        before = b""
        while chunk := file.read(_CHUNK):
            if found := _MERGED.search(before + chunk):
                cells = found[1].decode()
                said = f"{path.name}: the cells {cells} of sheet {sheet.title!r} are merged. Unmerge them, and write the value in each."
                raise SourceBroken(said)
            before = chunk[-_LONGEST:]


def _cell(path: Path, sheet: Any, cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if cell.data_type == "f":
        raise SourceBroken(
            f"{path.name}: cell {cell.coordinate} of sheet {sheet.title!r} holds a formula. Replace formulas by their values "
            "(copy, paste values)."
        )
    if cell.data_type == "e":
        raise SourceBroken(f"{path.name}: cell {cell.coordinate} of sheet {sheet.title!r} holds the error {value}.")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if hasattr(value, "isoformat"):
        text: str = value.isoformat()
        return text.removesuffix("T00:00:00")
    return str(value)
