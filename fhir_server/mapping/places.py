"""Where a rule reads, and where it writes: paths into a source record, and paths into a resource."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

Read = Callable[["Place"], Any]
"""Returns what the source has there, None for nothing; empty texts, lists and objects are nothing."""
Put = Callable[[dict[str, Any], Any], None]

_STEP = re.compile(r"([^.\[\]]+)(?:\[(\+?\d*)\])?")


class Remark(NamedTuple):
    """Something that a person should know of a record: it was refused, or a value of it was."""

    severity: str
    """`error`: the record was not taken; `warning`: it was, without this value."""
    key: str
    column: str
    """Path or column in the source."""
    text: str


class Run(Protocol):
    """What the rules of one import ask of the world around them."""

    def remark(self, remark: Remark) -> None:
        """Take note of something about the record that is being read."""
        ...

    def concept(self, system: str, text: str) -> dict[str, Any] | None:
        """Return the Coding of a system whose code or designation this is."""
        ...

    def mapped(self, concept_map: str, system: str, code: str) -> dict[str, Any] | None:
        """Return the Coding that a concept map gives for a code."""
        ...

    def area(self, text: str) -> dict[str, Any] | None:
        """Return a Reference to the area with this NIS code, postal code or name."""
        ...

    def boundary_fault(self, data: str) -> str:
        """Say why GeoJSON in base64 is no boundary of an area, "" when it is one."""
        ...

    def made(self, home: str) -> bool:
        """Tell whether the record that is being read has become a resource at `Type/id`, so far."""
        ...

    def known(self, reference: str) -> bool:
        """Tell whether a reference leads to what this import has taken, or to what is stored."""
        ...

    def home(self, target: str, key: str) -> str:
        """Return `Type/id` of what a target makes of the thing that the source calls `key`."""
        ...


class Place(NamedTuple):
    """A record, the element of it that is being read, and the run."""

    record: Any
    here: Any
    run: Run
    path: str = ""
    """Where the element was found, "" for the record itself."""

    def at(self, here: Any, path: str = "@") -> "Place":
        """Return the place of another element of the same record, found at a path from here."""
        return Place(self.record, here, self.run, self.called(path))

    def called(self, path: str) -> str:
        """Return a path from here as a remark names it: of the element itself, where that was found."""
        return self.path or path if path == "@" else path


class Incomplete(Exception):
    """A required value is missing: the object that needs it is left out, or the record is refused."""

    def __init__(self, source: str, element: str) -> None:
        super().__init__(source, element)
        self.source = source
        self.element = element


class RecordRefused(Exception):
    """A record cannot become what the mapping promises; the remark about it was made."""


def read_path(path: str) -> Read:
    """Compile a path: names joined by dots, from the element, from `$` the record; `@` is the element itself."""
    parts = path.split(".")
    root = parts[0] == "$"
    if parts[0] in ("$", "@"):
        parts = parts[1:]
    steps = tuple(_step(part) for part in parts)

    def read(place: Place) -> Any:
        found = place.record if root else place.here
        for name, index in steps:
            if not isinstance(found, dict):
                return None
            found = found.get(name)
            if index is not None:
                if not isinstance(found, list) or len(found) <= int(index):
                    return None
                found = found[int(index)]
        return _something(found)

    return read


def read_each(path: str) -> Read:
    """Compile a path that goes through lists: what it returns are the elements of all of them."""
    reads = [read_path(part) for part in path.split(".")]

    def read(place: Place) -> Any:
        found = [place.here]
        for one in reads:
            values = [value for here in found if (value := one(place.at(here))) is not None]
            found = [inner for value in values for inner in (value if isinstance(value, list) else [value])]
        return found

    return read


def read_paths(paths: str | list[str]) -> Read:
    """Compile a path; of a list of paths, each of which goes through lists, all elements are returned in order."""
    if isinstance(paths, str):
        return read_path(paths)
    reads = [read_each(path) for path in paths]
    return lambda place: [element for read in reads for element in read(place)]


def shown(paths: str | list[str]) -> str:
    """Return a path, or several, as a remark names it."""
    return paths if isinstance(paths, str) else ", ".join(paths)


def put_path(path: str) -> Put:
    """Compile an element path such as `name`, `extension[+].url` or `telecom[0].value`; missing parents are made."""
    *parents, last = (_step(part) for part in path.split("."))

    def put(resource: dict[str, Any], value: Any) -> None:
        here = resource
        for name, index in parents:
            here = _child(here, name, index)
        name, index = last
        if index is None:
            here[name] = value
        else:
            here.setdefault(name, []).append(value)

    return put


def _child(here: dict[str, Any], name: str, index: str | None) -> dict[str, Any]:
    if index is None:
        found: dict[str, Any] = here.setdefault(name, {})
        return found
    items = here.setdefault(name, [])
    if index == "+" or not items:
        items.append({})
    child: dict[str, Any] = items[-1 if index == "+" else min(int(index), len(items) - 1)]
    return child


def _step(text: str) -> tuple[str, str | None]:
    match = _STEP.fullmatch(text)
    if match is None:  # the schema of mappings lets none through
        raise ValueError(text)
    return match[1], match[2]


def _something(found: Any) -> Any:
    if isinstance(found, str):
        found = found.strip()
    return None if found in ("", [], {}) else found
