"""CSV as it comes out of offices: marks, blank lines and wrong encodings are understood, or said with their row."""

from pathlib import Path

import pytest

from fhir_server.artifacts.source import default_root
from fhir_server.mapping.definition import Column, load_mapping
from fhir_server.mapping.documents import read_source
from fhir_server.mapping.engine import Converter
from fhir_server.mapping.sources import SourceBroken
from fhir_server.mapping.tables import read_table
from tests.unit.mapping.vocabulary import Vocabulary

COLUMNS = (Column("name", ("naam",), "", "", required=True), Column("count", ("aantal",), "", "", required=False))


def write(folder: Path, raw: bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(("raw", "origin"), [
    (b"\n\nnaam;aantal\na;1\n", "row 4"), (b"sep=;\r\nnaam;aantal\r\na;1\r\n", "row 3"), (b"\xef\xbb\xbfsep=|\nnaam|aantal\na|1", "row 3"),
    (b",\nnaam,aantal\na,1\n", "row 3"), (b"naam;aantal\ra;1\r", "row 2"),
])  # fmt: skip
def test_lines_before_the_header_are_passed_over(tmp_path: Path, raw: bytes, origin: str) -> None:
    (row,) = read_table(write(tmp_path, raw), COLUMNS)
    assert (row.origin, row.record) == (origin, {"name": "a", "count": "1"})


def test_latin_1_that_is_another_encoding_is_told_with_its_row(tmp_path: Path) -> None:
    path = write(tmp_path, "naam\nok\n’t Huis\n".encode("cp1252"))
    with pytest.raises(SourceBroken, match=r"not latin-1: row 3 holds U\+0092.*cp1252"):
        list(read_table(path, COLUMNS, "latin-1"))
    assert [row.record["name"] for row in read_table(path, COLUMNS, "cp1252")] == ["ok", "’t Huis"]


def test_a_table_that_breaks_off_gives_no_row_at_all(tmp_path: Path) -> None:
    lines = b"".join(b"CAW,Dienst %d\n" % number for number in range(200))
    path = write(tmp_path, b"organisatie,dienst\n" + lines + b'CAW,"open\n')
    with pytest.raises(SourceBroken, match="line 202"):
        next(read_source(path, load_mapping(default_root(), "spreadsheet")))
    package = tmp_path / "package"
    package.mkdir()
    write(package, b"id,name\n1,x\n", "services.csv")
    write(package, b'id,location_id,city\n1,2,"open\n', "addresses.csv")
    with pytest.raises(SourceBroken, match=r"addresses\.csv: the row that starts on line 2"):
        next(read_source(package, load_mapping(default_root(), "hsds-3")))


def test_belgian_times_and_days_are_read_and_a_remark_names_the_column() -> None:
    record = {
        "organization": "CAW",
        "service": "x",
        "types": "x",
        "days": "maandag; zo; morgen",
        "opens": "9u30",
        "closes": "17 uur",
    }
    converted = Converter(load_mapping(default_root(), "spreadsheet"), "src", Vocabulary()).convert(
        record | {"ageFrom": "-1"}
    )
    (service,) = [one for one in converted.resources if one["resourceType"] == "HealthcareService"]
    times = {"daysOfWeek": ["mon", "sun"], "availableStartTime": "09:30:00", "availableEndTime": "17:00:00"}
    assert service["availableTime"] == [times]
    assert {"days", "ageFrom"} <= {remark.column for remark in converted.remarks}
    assert "@" not in {remark.column for remark in converted.remarks}


def test_a_mark_before_json_is_passed_over(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    for mapping, name, raw in (
        ("hsds-3", "a.json", b'[{"id": "1"}]'), ("fhir", "b.json", b'{"resourceType": "Organization", "id": "o"}'),
        ("fhir", "c.ndjson", b'{"resourceType": "Organization", "id": "o"}\n'),
        ("areas", "d.geojson", b'{"features": [{"properties": {"nis": "1", "name": "x"}}]}'),
    ):  # fmt: skip
        assert len(list(read_source(write(tmp_path, mark + raw, name), load_mapping(default_root(), mapping)))) == 1


def test_a_service_whose_organisation_is_nowhere_is_refused() -> None:
    definition = load_mapping(default_root(), "hsds-3")
    record = {"id": "s", "name": "x", "organization_id": "o9"}
    converter = Converter(definition, "src", Vocabulary())
    refused = converter.convert(record, lambda _: False)
    assert refused.resources == ()
    assert [(one.severity, one.key) for one in refused.remarks] == [("error", "reference-nowhere")]
    assert "'o9'" in refused.remarks[0].text
    assert len(converter.convert(record, {"Organization/src-organization-o9"}.__contains__).resources) == 1
    assert (
        len(converter.convert(record | {"organization": {"id": "o9", "name": "CAW"}}, lambda _: False).resources) == 2
    )
