"""Collects the concepts of a release: who is above whom in memory, what is said of them in a temporary file.

Of each concept the memory holds its code, a place in the file, a byte of flags and its links: about 200 bytes. Statements
about one concept may come at any time and in any order; each points to the one before it.
"""

import os
import tempfile
from array import array
from collections.abc import Iterator, Mapping
from struct import Struct
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import msgspec

from fhir_server.terminology.releases.problem import MOST_CONCEPTS, MOST_LINKS, ReleaseError

INACTIVE: Final = 1
ABSTRACT: Final = 2

_HEADER: Final = Struct("<qI")
_GUESS: Final = 512
"""Bytes that are read at once; what is longer is read again."""
_encode = msgspec.json.Encoder(decimal_format="number").encode


class About(NamedTuple):
    """What a release says of itself; what the caller states counts before what the files state."""

    system: str = ""
    version: str = ""
    name: str = ""
    case_sensitive: bool = True
    complete: bool = True
    value_set: str = ""
    """The canonical of the value set of all its codes (CodeSystem.valueSet)."""
    property_types: Mapping[str, str] = {}
    language: str = ""
    """The language of the displays; "" where it is not known."""

    def over(self, stated: "About") -> "About":
        """Return this with what it lacks taken from what the files state."""
        return stated._replace(
            system=self.system or stated.system,
            version=self.version or stated.version,
            name=self.name or stated.name,
            language=self.language or stated.language,
        )


class Gathering:
    """The concepts of one release while it is read. Used as a context: the temporary file goes with it."""

    def __init__(self) -> None:
        self.about = About()
        self.numbers: dict[str, int] = {}
        """Code → its place among the codes, in the order in which they came."""
        self.flags = bytearray()
        self.children = array("I")
        self.parents = array("I")
        """Links of the hierarchy: `children[i]` is directly below `parents[i]`."""
        self.uses: list[Any] = []
        self._use_of: dict[str, int] = {}
        self._last = array("q")
        self._file = tempfile.TemporaryFile(buffering=1 << 20)  # noqa: SIM115  # closed by close()
        self._end = 0
        self._awaited: dict[str, list[tuple[int, str, int]]] = {}
        self._awaited_below: dict[str, list[tuple[int, str, int]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._last)

    def add(self, code: str, flags: int, where: str = "", line: int = 0) -> int:
        """Take a new concept and return its place; raises ReleaseError for a code that is there already."""
        place = len(self._last)
        if self.numbers.setdefault(code, place) != place:
            raise ReleaseError(f"the code {code[:200]!r} is there twice.", where, line)
        if not code or code != code.strip() or len(code) > _GUESS:
            raise ReleaseError(
                f"{code[:80]!r} is no code: it is empty, too long, or begins or ends with space.", where, line
            )
        if place >= MOST_CONCEPTS:
            raise ReleaseError(f"it has more than {MOST_CONCEPTS:,} concepts, the most that are loaded.", where, line)
        self._last.append(-1)
        self.flags.append(flags)
        return place

    def say(self, place: int, display: str, definition: str = "", properties: Mapping[str, Any] | None = None) -> None:
        """Keep the display, definition and properties of a concept; "" leaves the display to the designations."""
        self._write(place, ("", display, definition, properties or {}))

    def define(self, place: int, definition: str) -> None:
        """Keep a definition that comes apart from the rest."""
        self._write(place, ("", "", definition, {}))

    def name(self, place: int, language: str, value: str, use: Any = None, rank: int = 0) -> None:
        """Keep a text of a concept; `use` is a Coding or None, the lowest `rank` comes first."""
        self._write(place, (language, value, self._use(use), rank))

    def link(self, child: int, parent: int) -> None:
        """Put a concept below another; both by place."""
        if len(self.children) >= MOST_LINKS:
            raise ReleaseError(f"its hierarchy has more than {MOST_LINKS:,} links, the most that are loaded.")
        self.children.append(child)
        self.parents.append(parent)

    def below(self, child: int, parent: str, where: str = "", line: int = 0) -> None:
        """Put a concept below another, which may come later."""
        known = self.numbers.get(parent)
        if known is not None:
            self.link(child, known)
        else:
            self._awaited.setdefault(parent, []).append((child, where, line))
            if len(self._awaited) > MOST_CONCEPTS:
                raise ReleaseError("too many of its concepts are below codes that are not there.", where, line)

    def above(self, parent: int, child: str, where: str = "", line: int = 0) -> None:
        """Put a concept above another, which may come later; one that never comes is an error as in `below`."""
        known = self.numbers.get(child)
        if known is not None:
            self.link(known, parent)
        else:
            self._awaited_below.setdefault(child, []).append((parent, where, line))

    def settle(self) -> None:
        """Link what waited for its parent; raises ReleaseError for a parent that never came. To be called at the end."""
        for code, waiting in self._awaited.items():
            parent = self._came(code, waiting[0], "below")
            for child, _, _ in waiting:
                self.link(child, parent)
        for code, waiting in self._awaited_below.items():
            child = self._came(code, waiting[0], "above")
            for parent, _, _ in waiting:
                self.link(child, parent)
        self._awaited.clear()
        self._awaited_below.clear()
        self._file.flush()

    def _came(self, code: str, waiting: tuple[int, str, int], how: str) -> int:
        known = self.numbers.get(code)
        if known is None:
            place, where, line = waiting
            raise ReleaseError(f"{self.codes()[place]!r} is {how} {code[:200]!r}, which is not there.", where, line)
        return known

    def codes(self) -> list[str]:
        """Return the codes by place."""
        return list(self.numbers)

    def said(self, place: int) -> Iterator[list[Any]]:
        """Yield the statements about a concept, the last first: [language, value, use, rank] or ["", display, …]."""
        at = self._last[place]
        handle = self._file.fileno()
        while at >= 0:
            block, start = os.pread(handle, _GUESS, at), at
            at, length = _HEADER.unpack_from(block)
            end = _HEADER.size + length
            if end > len(block):
                block = os.pread(handle, end, start)
            yield msgspec.json.decode(block[_HEADER.size : end])

    def _write(self, place: int, statement: tuple[Any, ...]) -> None:
        packed = _encode(statement)
        self._file.write(_HEADER.pack(self._last[place], len(packed)))
        self._file.write(packed)
        self._last[place] = self._end
        self._end += _HEADER.size + len(packed)

    def _use(self, use: Any) -> int:
        """Return the number under which a use is kept, -1 for none."""
        if use is None:
            return -1
        key = repr(use)
        found = self._use_of.get(key)
        if found is None:
            found = self._use_of[key] = len(self.uses)
            self.uses.append(use)
        return found
