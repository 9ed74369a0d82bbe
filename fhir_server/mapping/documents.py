"""Files as sources of records: JSON documents and packages of CSV tables here, tables and FHIR in modules of their own."""

import csv
import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fhir_server.mapping.definition import Definition
from fhir_server.mapping.features import read_features
from fhir_server.mapping.fhir_links import read_fhir
from fhir_server.mapping.places import Place
from fhir_server.mapping.tables import Row, SourceBroken, decoded, read_table, rows_of
from fhir_server.model.codec import decode
from fhir_server.model.errors import FhirError

MAX_UNPACKED = 2 * 1024**3
"""Bytes that a ZIP may unpack to."""
_PAGES = ("contents", "services", "organizations")
"""Members that hold the records of a page of an HSDS API."""


def read_source(path: Path, definition: Definition, encoding: str = "utf-8") -> Iterator[Row]:
    """Yield the records of a file, a folder or a ZIP, in the format of a mapping. Raises SourceBroken."""
    if definition.format == "fhir":
        yield from read_fhir(path, definition)
    elif definition.geometry and path.suffix.lower() == ".geojson":
        yield from read_features(path, definition.columns, definition.geometry)
    elif definition.format == "table":
        if path.is_dir():
            raise SourceBroken(f"{path} is a folder; this mapping reads one CSV or XLSX file.")
        yield from read_table(path, definition.columns, encoding)
    elif path.suffix.lower() == ".zip" or path.is_dir():
        yield from _package(path, definition, encoding)
    else:
        yield from _json(path, definition)


def _json(path: Path, definition: Definition) -> Iterator[Row]:
    try:
        document = decode(path.read_bytes())
    except FhirError as error:
        raise SourceBroken(f"{path.name} is not JSON: {error.issues[0].diagnostics}") from None
    if definition.records is not None:
        document = definition.records(Place(document, document, _NOWHERE))
    if isinstance(document, dict):
        document = next(
            (document[name] for name in _PAGES if isinstance(document.get(name), list) and "id" not in document),
            [document],
        )
    if not isinstance(document, list):
        raise SourceBroken(f"{path.name} holds no records: an object or a list of objects is wanted.")
    for number, record in enumerate(document):
        yield Row(f"record {number + 1}", record)


def _package(path: Path, definition: Definition, encoding: str) -> Iterator[Row]:
    if definition.tables is None:
        raise SourceBroken(f"{path.name}: this mapping reads a file, not a folder or ZIP of tables.")
    with _folder(path) as folder:
        tables = _Tables(folder, encoding)
        root = definition.tables
        for number, row in enumerate(tables.rows(root["table"]), start=2):
            yield Row(f"{root['table']}.csv row {number}", tables.joined(row, root))


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                wanted = [item for item in archive.infolist() if item.filename.endswith(".csv") and not item.is_dir()]
                if sum(item.file_size for item in wanted) > MAX_UNPACKED:
                    raise SourceBroken(f"{path.name} unpacks to more than {MAX_UNPACKED} bytes.")
                for item in wanted:
                    _unpack(archive, item, Path(folder) / Path(item.filename).name)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # the last for passwords
            raise SourceBroken(f"{path.name} is no ZIP that can be read: {error}") from None
        yield Path(folder)


def _unpack(archive: zipfile.ZipFile, item: zipfile.ZipInfo, to: Path) -> None:
    with archive.open(item) as packed, to.open("wb") as plain:
        left = item.file_size
        while chunk := packed.read(1 << 20):
            left -= len(chunk)
            if left < 0:  # a directory that lies about sizes
                raise SourceBroken(f"{item.filename} is larger than the ZIP says.")
            plain.write(chunk)


class _Tables:
    """The tables of a package, read at first use and indexed by the columns that join them."""

    def __init__(self, folder: Path, encoding: str) -> None:
        self._folder = folder
        self._encoding = encoding
        self._rows: dict[str, list[dict[str, str]]] = {}
        self._by: dict[tuple[str, str], dict[str, list[dict[str, str]]]] = {}

    def rows(self, table: str) -> list[dict[str, str]]:
        """Return the rows of a table by column, [] when the package has no such table."""
        if table not in self._rows:
            self._rows[table] = list(self._read(table))
        return self._rows[table]

    def joined(self, row: Mapping[str, str], table: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row with the rows of other tables that belong to it."""
        record: dict[str, Any] = dict(row)
        for child in table.get("tables", ()):
            column = child.get("many") or "id"
            wanted = row.get("id", "") if "many" in child else row.get(child.get("one", ""), "")
            found = [
                self.joined(one, child)
                for one in self._index(child["table"], column).get(wanted, ())
                if wanted and all(one.get(name) == value for name, value in child.get("only", {}).items())
            ]
            if found:
                record[child.get("as", child["table"])] = found if "many" in child else found[0]
        return record

    def _index(self, table: str, column: str) -> Mapping[str, list[dict[str, str]]]:
        index = self._by.get((table, column))
        if index is None:
            index = self._by[table, column] = {}
            for row in self.rows(table):
                index.setdefault(row.get(column, ""), []).append(row)
        return index

    def _read(self, table: str) -> Iterator[dict[str, str]]:
        path = self._folder / f"{table}.csv"
        if not path.is_file():
            return
        lines = rows_of(path, decoded(path, self._encoding))
        _, header = next(lines, (0, []))
        for number, cells in lines:
            if len(cells) > len(header):
                raise SourceBroken(f"{path.name} row {number} has {len(cells)} cells, the header {len(header)}.")
            yield {name: cell for name, cell in zip(header, cells, strict=False) if cell}


class _Nowhere:
    """Stands for the run where only a path is read."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


_NOWHERE: Any = _Nowhere()


def to_csv(header: list[str], rows: list[list[str]]) -> str:
    """Write a small table as CSV, as spreadsheets read it. A cell that would be a formula is set apart by a quote."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([[f"'{cell}" if cell[:1] in "=+-@\t\r" and cell else cell for cell in row] for row in rows])
    return out.getvalue()
