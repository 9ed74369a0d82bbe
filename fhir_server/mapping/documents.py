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
from fhir_server.mapping.fhir_files import LeftOut
from fhir_server.mapping.fhir_links import read_fhir
from fhir_server.mapping.places import Place
from fhir_server.mapping.sources import Row, SourceBroken
from fhir_server.mapping.tables import decoded, read_table, rows_of
from fhir_server.mapping.unpacking import MAX_UNPACKED, plain_name, unpacked, without_mark
from fhir_server.model.codec import decode
from fhir_server.model.errors import FhirError

_PAGES = ("contents", "services", "organizations")
"""Members that hold the records of a page of an HSDS API."""


def read_source(path: Path, definition: Definition, encoding: str = "utf-8") -> Iterator[Row]:
    """Yield the records of a file (also as `.gz`), a folder or a ZIP, in the format of a mapping.

    Raises SourceBroken before the first record for a source that breaks off anywhere.
    """
    taken = False
    with unpacked(path) as plain:
        for row in _read(plain, definition, encoding):
            taken = taken or not isinstance(row.record, LeftOut)
            yield row
    if not taken:  # or else everything that the source brought before would be marked inactive
        raise SourceBroken(f"{path.name} holds nothing that the mapping {definition.id} takes. Is it the right file?")


def _read(path: Path, definition: Definition, encoding: str) -> Iterator[Row]:
    if definition.format == "fhir":
        yield from read_fhir(path, definition)
    elif definition.geometry and path.suffix.lower() == ".geojson":
        yield from read_features(path, definition.columns, definition.geometry)
    elif definition.format == "table":
        if path.is_dir():
            raise SourceBroken(f"{path} is a folder; this mapping reads one CSV or XLSX file.")
        yield from list(read_table(path, definition.columns, encoding))  # one that breaks off gives no row at all
    elif path.suffix.lower() == ".zip" or path.is_dir():
        yield from _package(path, definition, encoding)
    else:
        yield from _json(path, definition)


def _json(path: Path, definition: Definition) -> Iterator[Row]:
    try:
        document = decode(without_mark(path.read_bytes()))
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
        if not tables.has(root["table"]):
            raise SourceBroken(f"{path.name} has no {root['table']}.csv, so it is no package of this mapping.")
        tables.load(root)
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
                wanted = [
                    item
                    for item in archive.infolist()
                    if plain_name(item.filename).lower().endswith(".csv") and not item.is_dir()
                ]
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

    def has(self, table: str) -> bool:
        """Tell whether the package has a table."""
        return self._file(table) is not None

    def load(self, table: Mapping[str, Any]) -> None:
        """Read a table and all that are joined to it, so that a broken one is found before a record is taken."""
        self.rows(table["table"])
        for child in table.get("tables", ()):
            self.load(child)

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

    def _file(self, table: str) -> Path | None:
        names = (f"{table}.csv", f"{table}.csv.gz")
        return next((path for name in names if (path := self._folder / name).is_file()), None)

    def _read(self, table: str) -> Iterator[dict[str, str]]:
        path = self._file(table)
        if path is None:
            return
        with unpacked(path) as plain:
            lines = rows_of(path, decoded(plain, self._encoding))
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
