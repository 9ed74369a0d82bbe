"""FHIR R4 as a source: resources in Bundles, in NDJSON as a bulk export has it, and in folders and ZIPs of such files."""

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from fhir_server.mapping.sources import Row, SourceBroken
from fhir_server.mapping.unpacking import MAX_UNPACKED, chunks_of, plain_name, refusal, without_mark
from fhir_server.model.codec import decode
from fhir_server.model.errors import FhirError
from fhir_server.model.reference import parse_reference

_LINES = (".ndjson", ".jsonl")
_SUFFIXES = (".json", *_LINES)


class Found(NamedTuple):
    """A resource as it stands in a source."""

    origin: str
    """`Bundle.entry[3]`, `line 4`, `the resource`; before it the name of the file where there are several."""
    bundle: int
    """The number of its Bundle in the source, 0 outside one: a `urn:` names something within its Bundle only."""
    full_url: str
    resource: dict[str, Any]


class LeftOut(NamedTuple):
    """Something of a source that is not taken, and why; what is taken is whole without it."""

    element: str
    why: str


class FhirFiles:
    """Reads the resources of a file, a folder or a ZIP."""

    def __init__(self, path: Path, bundles: frozenset[str]) -> None:
        self._path = path
        self._bundles = bundles
        self._count = 0
        self._pages: list[tuple[str, str, str]] = []
        self._total = self._matches = 0

    def found(self) -> Iterator[Found | Row]:
        """Yield the resources, and rows for what is left out or cannot be read. Raises SourceBroken for a whole file."""
        several = self._path.is_dir() or self._path.suffix.lower() == ".zip"
        for name, held in _files(self._path):
            raw = without_mark(held)
            where = f"{name} " if several else ""
            suffix = Path(name).suffix.lower()
            if fault := refusal(name):
                yield Row(name, fault)
            elif several and suffix not in _SUFFIXES:
                yield Row(name, LeftOut("", "The file is left out: FHIR is read from .json, .ndjson and .jsonl."))
            elif suffix in _LINES:
                yield from self._lines(raw, where)
            else:
                yield from self._document(_decoded(name, raw), where, "the resource")
        yield from self._missing_pages()

    def _lines(self, raw: bytes, where: str) -> Iterator[Found | Row]:
        for number, line in enumerate(raw.split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                document = decode(line)
            except FhirError as error:
                yield Row(f"{where}line {number}", f"The line is not JSON: {error.issues[0].diagnostics}")
                continue
            bundle = isinstance(document, dict) and document.get("resourceType") == "Bundle"
            yield from self._document(document, f"{where}line {number} " if bundle else where, f"line {number}")

    def _document(self, document: Any, where: str, alone: str) -> Iterator[Found | Row]:
        if not isinstance(document, dict) or not isinstance(document.get("resourceType"), str):
            yield Row(f"{where}{alone}", "This is no FHIR resource: an object with a resourceType is wanted.")
        elif document["resourceType"] == "Bundle":
            yield from self._bundle(document, where)
        else:
            yield Found(f"{where}{alone}", 0, "", document)

    def _bundle(self, bundle: dict[str, Any], where: str) -> Iterator[Found | Row]:
        kind, entries = bundle.get("type"), bundle.get("entry", [])
        if not isinstance(kind, str) or kind not in self._bundles:
            raise SourceBroken(
                f"{where or self._path.name}: Bundle.type is {kind!r}; a directory is a Bundle of type {', '.join(sorted(self._bundles))}."
            )
        if not isinstance(entries, list):
            raise SourceBroken(f"{where or self._path.name}: Bundle.entry is no list.")
        self._count += 1
        self._page(bundle, entries, where)
        for number, entry in enumerate(entries):
            yield self._entry(entry, f"{where}Bundle.entry[{number}]")
            entries[number] = None  # the objects of a large Bundle take ten times what its bytes do

    def _entry(self, entry: Any, origin: str) -> Found | Row:
        if not isinstance(entry, dict):
            return Row(origin, "The entry is not an object.")
        request = entry.get("request")
        if isinstance(request, dict) and request.get("method") == "DELETE":
            why = "A deletion is left out. What the source no longer has becomes inactive by itself."
            return Row(origin, LeftOut("request.method", why))
        resource = entry.get("resource")
        if resource is None:
            return Row(origin, LeftOut("resource", "The entry has no resource."))
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            return Row(origin, "The resource of the entry is no object with a resourceType.")
        full_url = entry.get("fullUrl")
        return Found(origin, self._count, full_url if isinstance(full_url, str) else "", resource)

    def _page(self, bundle: dict[str, Any], entries: list[Any], where: str) -> None:
        """Take note of the links of a page of search results."""
        listed = bundle.get("link")
        links = {
            one["relation"]: str(one.get("url", ""))
            for one in (listed if isinstance(listed, list) else ())
            if isinstance(one, dict) and isinstance(one.get("relation"), str)
        }
        self._pages.append((f"{where}Bundle.link", links.get("self", ""), links.get("next", "")))
        if isinstance(bundle.get("total"), int):
            self._total = max(self._total, bundle["total"])
            modes = [one.get("search", {}) for one in entries if isinstance(one, dict)]
            self._matches += sum(isinstance(mode, dict) and mode.get("mode", "match") == "match" for mode in modes)

    def _missing_pages(self) -> Iterator[Row]:
        if self._total and self._matches >= self._total:
            return
        here = {own for _, own, _ in self._pages}
        for origin, _, following in self._pages:
            if following and following not in here:
                yield Row(
                    origin,
                    f"There is a next page, {following[:200]}, and it is not among the files. Put all pages in one folder, and import that.",
                )


def base_of(full_url: str) -> str:
    """Return the base of the server that a RESTful URL names, "" for another text."""
    return parse_reference(full_url).base


def _decoded(name: str, raw: bytes) -> Any:
    try:
        return decode(raw)
    except FhirError as error:
        advice = " A file with one resource a line ends in .ndjson." if b"\n{" in raw else ""
        raise SourceBroken(f"{name} is not JSON: {error.issues[0].diagnostics}{advice}") from None


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files with their names once unpacked, in the order of these; hidden ones are none."""
    if path.is_dir():
        left = MAX_UNPACKED
        for file in sorted(path.rglob("*")):
            name = file.relative_to(path)
            if file.is_file() and not _is_hidden(name.parts):
                with file.open("rb") as stream:
                    found = _content(name.as_posix(), stream, left)
                left -= len(found[1])
                yield found
    elif path.suffix.lower() == ".zip":
        yield from _packed(path)
    else:
        yield path.name, path.read_bytes()


def _packed(path: Path) -> Iterator[tuple[str, bytes]]:
    left = MAX_UNPACKED
    try:
        with zipfile.ZipFile(path) as archive:
            for item in sorted(archive.infolist(), key=lambda one: one.filename):
                if item.is_dir() or _is_hidden(item.filename.split("/")):
                    continue
                with archive.open(item) as stream:
                    found = _content(item.filename, stream, left)
                left -= len(found[1])
                yield found
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
    ) as error:  # the last for passwords and unknown compression
        raise SourceBroken(f"{path.name} is no ZIP that can be read: {error}") from None


def _content(name: str, stream: IO[bytes], most: int) -> tuple[str, bytes]:
    """Return the name and the bytes of a file among others, unpacked where it is a `.gz`; none of one that is left out."""
    plain = plain_name(name)
    if not plain.lower().endswith(_SUFFIXES):
        return name, b""
    if plain != name:
        return plain, b"".join(chunks_of(stream, name, most))
    raw = stream.read(most + 1)
    if len(raw) > most:
        raise SourceBroken(f"{name} and the files before it hold more than {MAX_UNPACKED} bytes.")
    return name, raw


def _is_hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith((".", "__")) for part in parts)
