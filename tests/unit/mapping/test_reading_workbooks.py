"""Workbooks as people keep them: the right sheet is found whole, or the workbook is refused with the cell and what to do."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from fhir_server.mapping import workbooks
from fhir_server.mapping.definition import Column
from fhir_server.mapping.sources import Row, SourceBroken
from fhir_server.mapping.tables import read_table

COLUMNS = (Column("name", ("naam",), "", "", required=True), Column("count", ("aantal",), "", "", required=False))
HEADER = ["naam", "aantal"]


def saved(folder: Path, fill: Callable[[Any, Any], object]) -> Path:
    book = Workbook()
    fill(book, book.active)
    book.save(folder / "t.xlsx")
    return folder / "t.xlsx"


def read(path: Path) -> list[Row]:
    return list(read_table(path, COLUMNS))


def changed(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """Return a copy of a workbook whose first sheet is written otherwise."""
    to = path.with_name("changed.xlsx")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(to, "w") as target:
        for item in source.infolist():
            raw = source.read(item.filename)
            target.writestr(item.filename, change(raw) if item.filename.endswith("sheet1.xml") else raw)
    return to


def fill_two_rows(_: Any, sheet: Any) -> None:
    for row in (HEADER, ["a", 1], ["b", 2]):
        sheet.append(row)


def test_the_sheet_that_has_the_columns_is_read_wherever_it_stands(tmp_path: Path) -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.append(["Lees dit eerst"])
        book.create_sheet("Leeg")
        table = book.create_sheet("Aanbod")
        table.append([])
        table.append(HEADER)
        table.append(["a", 1])

    (row,) = read(saved(tmp_path, fill))
    assert (row.origin, row.record) == ("row 3", {"name": "a", "count": "1"})


def _two_tables(book: Any, sheet: Any) -> None:
    sheet.append(HEADER)
    book.create_sheet("Nog").append(HEADER)


def _merged(_: Any, sheet: Any) -> None:
    fill_two_rows(_, sheet)
    sheet.merge_cells("B2:B3")


def _title(_: Any, sheet: Any) -> None:
    sheet.append(["Sociale kaart"])
    sheet.append(HEADER)


def _charts_only(book: Any, sheet: Any) -> None:
    book.create_chartsheet("Grafiek")
    book.remove(sheet)


@pytest.mark.parametrize(("fill", "said"), [
    (_two_tables, "the sheets 'Sheet', 'Nog' are such a table each"), (_merged, "the cells B2:B3 of sheet 'Sheet' are merged"),
    (_title, "no column 'Sociale kaart'"), (lambda *_: None, "is empty"), (_charts_only, "t.xlsx cannot be read"),
])  # fmt: skip
def test_a_workbook_that_would_be_read_wrong_is_refused(tmp_path: Path, fill: Any, said: str) -> None:
    with pytest.raises(SourceBroken, match=re.escape(said)):
        read(saved(tmp_path, fill))


@pytest.mark.parametrize("size", ["A1:A1", "A1:XFD1048576"])
def test_rows_are_read_whatever_a_workbook_says_of_its_size(tmp_path: Path, size: str) -> None:
    said = f'<dimension ref="{size}"/>'.encode()
    path = changed(saved(tmp_path, fill_two_rows), lambda raw: re.sub(rb'<dimension ref="[^"]*"/>', said, raw))
    assert [row.record["name"] for row in read(path)] == ["a", "b"]


def test_a_damaged_or_another_kind_of_file_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = saved(tmp_path, fill_two_rows)
    for path, said in (
        (changed(whole, lambda raw: raw[:300]), "changed.xlsx cannot be read"),
        (tmp_path / "text.xlsx", "text.xlsx is not an .xlsx workbook"), (tmp_path / "old.xls", "old.xls is no CSV"),
        (tmp_path / "open.ods", "open.ods is no CSV"),
    ):  # fmt: skip
        if not path.exists():
            path.write_bytes(b"naam\nx\n")
        with pytest.raises(SourceBroken, match=re.escape(said)):
            read(path)
    monkeypatch.setattr(workbooks, "MAX_UNPACKED", 1000)
    with pytest.raises(SourceBroken, match="more than 1000 bytes"):
        read(whole)
