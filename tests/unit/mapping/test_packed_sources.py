"""Packed files are read as what they hold, within a bound; XML and files without anything in them are refused by name."""

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fhir_server.artifacts.source import default_root
from fhir_server.mapping import fhir_files, unpacking
from fhir_server.mapping.definition import load_mapping
from fhir_server.mapping.documents import read_source
from fhir_server.mapping.sources import SourceBroken

ORGANIZATION = {"resourceType": "Organization", "id": "o", "name": "CAW"}
LINE = json.dumps(ORGANIZATION).encode()


def write(path: Path, raw: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)
    return path


def read(path: Path, mapping: str) -> list[Any]:
    return list(read_source(path, load_mapping(default_root(), mapping)))


@pytest.mark.parametrize(("name", "raw", "mapping", "origin"), [
    ("a.ndjson.gz", LINE + b"\n\n" + LINE.replace(b'"o"', b'"p"'), "fhir", "line 3"), ("A.JSON.GZ", LINE, "fhir", "the resource"),
    ("s.json.gz", b'[{"id": "1"}, {"id": "2"}]', "hsds-3", "record 2"), ("s.csv.gz", b"organisatie,dienst\nCAW,x\n", "spreadsheet", "row 2"),
    ("m.geojson.gz", b'{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"nis": "1", "name": "x"}, "geometry": null}]}',
     "areas", "features[0]"),
])  # fmt: skip
def test_a_packed_file_is_read_as_what_it_holds(
    tmp_path: Path, name: str, raw: bytes, mapping: str, origin: str
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(raw, mtime=0))
    assert read(path, mapping)[-1].origin == origin


def test_packed_files_in_a_folder_or_zip_are_read_too(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    write(folder / "a.ndjson.gz", LINE)
    write(folder / "b.json", LINE.replace(b'"o"', b'"p"'))
    write(folder / "readme.txt.gz", b"x")
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    for path in (folder, tmp_path / "e.zip"):
        assert {row.origin for row in read(path, "fhir")} == {"a.ndjson line 1", "b.json the resource", "readme.txt.gz"}
    package = tmp_path / "package"
    write(package / "services.csv.gz", b"id,name\ns1,x\n")
    write(package / "phones.csv", b"id,service_id,number\np,s1,1\n")
    (row,) = read(package, "hsds-3")
    assert row.record["phones"][0]["number"] == "1"


@pytest.mark.parametrize(("name", "raw", "said"), [
    ("a.json.gz", b"no gzip", "a.json.gz is no gzip file"), ("a.json.gz", gzip.compress(LINE, mtime=0)[:-9], "a.json.gz is no gzip file"),
    ("a.json.gz", gzip.compress(LINE, mtime=0)[:-8] + b"12345678", "CRC"), ("a.tar.gz", gzip.compress(b"x", mtime=0), "a.tar.gz: a .gz of .json"),
    ("a.gz", gzip.compress(b"x", mtime=0), "Unpack it first"), ("a.xml", b"<Bundle/>", "a.xml is XML"), ("a.XML.gz", gzip.compress(b"<x/>", mtime=0), "is XML"),
])  # fmt: skip
def test_what_cannot_be_unpacked_is_refused_by_name(tmp_path: Path, name: str, raw: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    for mapping in ("fhir", "hsds-3", "spreadsheet", "areas"):
        with pytest.raises(SourceBroken, match=said):
            read(path, mapping)


def test_xml_among_other_files_is_refused_and_not_left_out(tmp_path: Path) -> None:
    write(tmp_path / "a.json", LINE)
    write(tmp_path / "b.xml", b"<Bundle/>")
    write(tmp_path / "c.xml.gz", b"<Bundle/>")
    faults = {row.origin: row.record for row in read(tmp_path, "fhir") if isinstance(row.record, str)}
    assert list(faults) == ["b.xml", "c.xml.gz"]
    assert "application/fhir+json" in faults["b.xml"]


def test_a_small_file_does_not_unpack_to_a_large_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_UNPACKED", 10_000)
    monkeypatch.setattr(fhir_files, "MAX_UNPACKED", 10_000)
    bomb = write(tmp_path / "a.ndjson.gz", b" " * 10_001)
    write(tmp_path / "several" / "a.ndjson.gz", b" " * 6_000)
    write(tmp_path / "several" / "b.ndjson.gz", b" " * 6_000)
    write(tmp_path / "plain" / "a.ndjson", b" " * 6_000)
    write(tmp_path / "plain" / "b.ndjson", b" " * 6_000)
    for path in (bomb, tmp_path / "several", tmp_path / "plain"):
        with pytest.raises(SourceBroken, match="more than"):
            read(path, "fhir")


@pytest.mark.parametrize(("name", "raw", "mapping"), [
    ("s.csv", b"organisatie,dienst\n\n , \n", "spreadsheet"), ("s.json", b"[]", "hsds-3"), ("s.json", b'{"contents": []}', "hsds-3"),
    ("b.json", b'{"resourceType": "Bundle", "type": "collection"}', "fhir"), ("p.ndjson", b'{"resourceType": "Patient", "id": "x"}', "fhir"),
    ("e.ndjson", b"", "fhir"), ("m.geojson", b'{"type": "FeatureCollection", "features": []}', "areas"),
])  # fmt: skip
def test_a_source_without_a_record_is_refused_or_all_it_brought_before_would_end(
    tmp_path: Path, name: str, raw: bytes, mapping: str
) -> None:
    with pytest.raises(SourceBroken, match="holds nothing that the mapping"):
        read(write(tmp_path / name, raw), mapping)


def test_a_folder_without_the_table_of_services_is_no_package(tmp_path: Path) -> None:
    write(tmp_path / "phones.csv", b"id,number\np,1\n")
    with pytest.raises(SourceBroken, match=r"has no services\.csv"):
        read(tmp_path, "hsds-3")
