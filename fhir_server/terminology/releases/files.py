"""The files of a release: a file, all files of a folder, or the members of a zip, each read as a stream."""

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from fhir_server.terminology.releases.problem import LONGEST_LINE, ReleaseError

_MOST_BYTES: Final = 16 << 30
"""Unpacked bytes of one zip."""
_MOST_RATIO: Final = 200
"""How much larger a member may be than packed; texts of terminologies have about ten."""
_SMALL: Final = 10 << 20
"""Members up to this size may have any ratio."""
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_UTF_8_MARK: Final = b"\xef\xbb\xbf"
Told = Callable[[int], None]
"""Is told how many bytes were read since the last time."""


class ReleaseFile(NamedTuple):
    """One file, or one member of a zip."""

    path: Path
    member: str
    size: int
    """Bytes, unpacked."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return (self.member or self.path.name).rpartition("/")[2]

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"{self.path.name}:{self.member}" if self.member else self.path.name

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open it. What a zip gets wrong while it is read comes out as ReleaseError."""
        try:
            if not self.member:
                with self.path.open("rb") as stream:
                    yield stream
                return
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as packed:
                yield io.BufferedReader(packed, 1 << 18)  # type: ignore[type-var]  # a raw stream in all that is used
        except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
            raise ReleaseError(f"it cannot be unpacked: {error}.", self.where) from error
        except OSError as error:
            raise ReleaseError(f"it cannot be read: {error.strerror or error}.", self.where) from error


def find(paths: Sequence[Path]) -> list[ReleaseFile]:
    """Return the files below some paths, sorted; a zip stands for its members. Raises ReleaseError."""
    found: list[ReleaseFile] = []
    for path in paths:
        listed = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        for one in listed:
            if one.suffix.lower() == ".zip":
                found += _members(one)
            else:
                found.append(ReleaseFile(one, "", one.stat().st_size))
    return found


def _members(path: Path) -> Iterator[ReleaseFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            listed = sorted(archive.infolist(), key=lambda one: one.filename)
    except (zipfile.BadZipFile, OSError) as error:
        raise ReleaseError(f"it is no zip file that can be read: {error}.", path.name) from error
    if sum(one.file_size for one in listed) > _MOST_BYTES:
        raise ReleaseError(f"unpacked it has more than {_MOST_BYTES >> 30} GiB, the most that is read.", path.name)
    for one in listed:
        if one.file_size > _SMALL and one.file_size > _MOST_RATIO * max(1, one.compress_size):
            raise ReleaseError(
                f"its member {one.filename[:200]} unpacks to {_MOST_RATIO} times its size or more, which no release does.",
                path.name,
            )
        if not one.is_dir():
            yield ReleaseFile(path, one.filename, one.file_size)


def lines(file: ReleaseFile, told: Told, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file with their numbers, without line ends and byte order mark. Raises ReleaseError."""
    with file.opened() as stream:
        number = 0
        while raw := stream.readline(LONGEST_LINE + 1):
            number += 1
            if len(raw) > LONGEST_LINE:
                raise ReleaseError(f"the line has more than {LONGEST_LINE:,} bytes.", file.where, number)
            if number == 1:
                if raw[:2] in _UTF_16:
                    raise ReleaseError("it is UTF-16; save it as UTF-8.", file.where)
                raw = raw.removeprefix(_UTF_8_MARK)
            told(len(raw))
            try:
                yield number, raw.decode(encoding).rstrip("\r\n")
            except UnicodeDecodeError as error:
                bad = raw[error.start]
                raise ReleaseError(
                    f"byte {error.start + 1} of the line (0x{bad:02X}) is not {encoding}. If the file is Latin-1, say "
                    "--encoding latin-1, or save it as UTF-8.",
                    file.where,
                    number,
                ) from error
