"""Packed files: `.gz` of one file, and the bounds that keep a small file from unpacking to a disk full."""

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fhir_server.mapping.sources import SourceBroken

MAX_UNPACKED = 2 * 1024**3
"""Bytes that a packed file, or all in a folder or ZIP together, may unpack to."""
_PACKED = ".gz"
_PLAIN = (".json", ".ndjson", ".jsonl", ".csv", ".geojson")
_XML = "is XML, and this reads none. Save it as JSON (FHIR: ask the server for application/fhir+json) or as CSV."
_CHUNK = 1 << 20


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Give a source as a plain file: itself, or what a `.gz` holds, for as long as the context lasts.

    Raises SourceBroken for what cannot be unpacked, and for XML.
    """
    plain = plain_name(path.name)
    if fault := refusal(path.name):
        raise SourceBroken(fault)
    if path.is_dir() or plain == path.name:
        yield path
        return
    if Path(plain).suffix.lower() not in _PLAIN:
        said = f"{path.name}: a .gz of {', '.join(_PLAIN)} is read. Unpack it first, or call it after what it holds."
        raise SourceBroken(said)
    with tempfile.TemporaryDirectory() as folder, path.open("rb") as packed:
        file = Path(folder) / plain
        with file.open("wb") as to:
            for chunk in chunks_of(packed, path.name, MAX_UNPACKED):
                to.write(chunk)
        yield file


def without_mark(raw: bytes) -> bytes:
    """Drop the byte order mark that some programs put before JSON in UTF-8."""
    return raw.removeprefix(b"\xef\xbb\xbf")


def plain_name(name: str) -> str:
    """Return what a file is called once it is unpacked; itself where it is not packed."""
    return name[: -len(_PACKED)] if name.lower().endswith(_PACKED) else name


def refusal(name: str) -> str:
    """Say what to do with a file that is XML by its name, packed or not; "" for any other."""
    return f"{name} {_XML}" if Path(plain_name(name)).suffix.lower() == ".xml" else ""


def chunks_of(packed: IO[bytes], name: str, most: int) -> Iterator[bytes]:
    """Yield what a gzip file called `name` holds. Raises SourceBroken where it is damaged, or holds more than `most` bytes."""
    left = most
    try:
        with gzip.GzipFile(fileobj=packed) as plain:
            while chunk := plain.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise SourceBroken(f"{name} unpacks to more than {most} bytes.")
                yield chunk
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise SourceBroken(f"{name} is no gzip file that can be read: {error}.") from None
