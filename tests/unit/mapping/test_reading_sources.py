"""Files of a region are read right, or refused with the place and what to do."""

import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from fhir_server.artifacts.source import default_root
from fhir_server.mapping.definition import Column, load_mapping
from fhir_server.mapping.documents import read_source, to_csv
from fhir_server.mapping.sources import SourceBroken
from fhir_server.mapping.tables import read_table

COLUMNS = (
    Column("name", ("naam", "nom"), "", "", required=True),
    Column("count", ("aantal",), "", "", required=False),
)


def write(folder: Path, raw: bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(raw)
    return path


def records(path: Path, encoding: str = "utf-8") -> list[Any]:
    return [row.record for row in read_table(path, COLUMNS, encoding)]


@pytest.mark.parametrize(
    "raw", [b"naam,aantal\na,1\n", b"\xef\xbb\xbfNaam;Aantal\r\na;1\r\n", b"NOM\tAANTAL\na\t1", b"aantal|naam\n1|a\n\n"]
)
def test_delimiters_marks_and_headers_of_spreadsheets_are_understood(tmp_path: Path, raw: bytes) -> None:
    assert records(write(tmp_path, raw)) == [{"name": "a", "count": "1"}]


def test_rows_keep_the_number_of_their_first_line(tmp_path: Path) -> None:
    rows = list(read_table(write(tmp_path, b'naam,aantal\n"a\nb",1\n,\nc,2\n'), COLUMNS))
    assert [(row.origin, row.record["name"]) for row in rows] == [("row 2", "a\nb"), ("row 5", "c")]


def test_another_encoding_must_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, "naam\nok\nTorhout café\n".encode("latin-1"))
    with pytest.raises(SourceBroken, match=r"row 3 holds the byte 0xe9.*--encoding"):
        records(path)
    assert records(path, "latin-1")[1] == {"name": "Torhout café"}
    with pytest.raises(SourceBroken, match="no encoding"):
        records(path, "klingon")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "empty"), (b"naam,kleur\n", "no column 'kleur'"), (b"aantal\n1\n", "'naam' is missing"),
        (b"naam,nom\n", "the same one"), (b'naam\n"a\nb\n', "line 2"), (b'naam\nx\n"a"b\n', "line 3"), (b"n\x00aam\n", "NUL"),
        (b"naam\n" + b"a" * 40_000, "line 2"),
    ],
)  # fmt: skip
def test_a_broken_table_is_refused_with_the_place(tmp_path: Path, raw: bytes, said: str) -> None:
    with pytest.raises(SourceBroken, match=said):
        records(write(tmp_path, raw))


def test_a_row_with_too_many_cells_is_refused_alone(tmp_path: Path) -> None:
    rows = records(write(tmp_path, b"naam,aantal\na,1,extra\nb,2,\nc\n"))
    assert isinstance(rows[0], str)
    assert rows[1:] == [{"name": "b", "count": "2"}, {"name": "c"}]


def test_a_cell_that_would_be_a_formula_goes_out_and_comes_back(tmp_path: Path) -> None:
    text = to_csv(["naam", "aantal"], [["=1+1", "+32 2 000"], ["'t Huis", "-"]])
    assert "'=1+1" in text
    assert records(write(tmp_path, text.encode())) == [
        {"name": "=1+1", "count": "+32 2 000"},
        {"name": "'t Huis", "count": "-"},
    ]


def test_a_workbook_is_read_and_its_formulas_and_errors_are_refused(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["naam", "aantal"])
    sheet.append(["a", 3.0])
    sheet.append([date(2026, 11, 22), True])
    book.save(tmp_path / "t.xlsx")
    assert records(tmp_path / "t.xlsx") == [{"name": "a", "count": "3"}, {"name": "2026-11-22", "count": "true"}]
    sheet.append(["b", "=SUM(B2:B3)"])
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(SourceBroken, match="cell B4 of sheet 'Sheet' holds a formula"):
        records(tmp_path / "t.xlsx")
    with pytest.raises(SourceBroken, match=r"not an \.xlsx"):
        records(write(tmp_path, b"PK\x03\x04 nothing", "bad.xlsx"))


def test_a_package_of_tables_is_joined_into_the_records_of_the_json_form(tmp_path: Path) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    tables = {
        "services": "id,organization_id,name,status\ns1,o1,Budgethulp,active\n",
        "organizations": "id,name\no1,CAW\no2,Other\n",
        "phones": "id,service_id,organization_id,location_id,number\np1,s1,,,1\np2,s1,,,2\np3,,o1,,3\n",
        "service_at_location": "id,service_id,location_id\nx,s1,l1\n",
        "locations": "id,name\nl1,Site\n",
        "addresses": "id,location_id,city\na1,l1,Vilvoorde\n",
    }
    for name, text in tables.items():
        write(folder, text.encode(), f"{name}.csv")
    definition = load_mapping(default_root(), "hsds-3")
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"deep/{file.name}")
    for path in (folder, tmp_path / "p.zip"):
        (row,) = read_source(path, definition)
        assert row.origin == "services.csv row 2"
        assert [phone["number"] for phone in row.record["phones"]] == ["1", "2"]
        assert row.record["organization"]["phones"][0]["number"] == "3"
        assert row.record["service_at_locations"][0]["location"]["addresses"][0]["city"] == "Vilvoorde"


def test_json_pages_lists_and_single_records_are_read(tmp_path: Path) -> None:
    definition = load_mapping(default_root(), "hsds-3")
    for raw in (b'{"id": "1"}', b'[{"id": "1"}]', b'{"page": 1, "contents": [{"id": "1"}]}'):
        assert [row.record for row in read_source(write(tmp_path, raw, "s.json"), definition)] == [{"id": "1"}]
    for raw in (b"{", b"3"):
        with pytest.raises(SourceBroken):
            list(read_source(write(tmp_path, raw, "s.json"), definition))
    with pytest.raises(SourceBroken, match="no ZIP"):
        list(read_source(write(tmp_path, b"PK nothing", "s.zip"), definition))
