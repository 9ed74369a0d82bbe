"""A FHIR CodeSystem in JSON, of any size: read as a stream, one concept at a time (R4 codesystem.html)."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, BinaryIO, Final

import ijson

from fhir_server.terminology.releases.files import ReleaseFile, Told
from fhir_server.terminology.releases.gathering import ABSTRACT, INACTIVE, About, Gathering
from fhir_server.terminology.releases.problem import LONGEST_LINE, ReleaseError

Event = tuple[str, Any]
_DEEPEST: Final = 100
"""Levels of nested concepts, and of any other content."""
_KEPT: Final = frozenset(
    {"resourceType", "url", "version", "name", "title", "language", "caseSensitive", "content", "valueSet", "property"}
)
_VALUES: Final = (
    "valueCode",
    "valueString",
    "valueBoolean",
    "valueInteger",
    "valueDecimal",
    "valueDateTime",
    "valueCoding",
)
_CHUNK: Final = 1 << 16


class _Counted:
    """A stream that tells how much was read."""

    def __init__(self, stream: BinaryIO, told: Told) -> None:
        self._stream, self._told = stream, told

    def read(self, size: int = -1) -> bytes:
        found = self._stream.read(size)
        self._told(len(found))
        return found


def read_code_system(file: ReleaseFile, gathering: Gathering, told: Told) -> None:
    """Read one CodeSystem. Raises ReleaseError."""
    with file.opened() as stream:
        source = _Counted(stream, told)
        if stream.peek(3)[:3] == b"\xef\xbb\xbf":  # type: ignore[attr-defined]  # both kinds are buffered
            stream.read(3)
        try:
            _Reader(ijson.basic_parse(source, buf_size=_CHUNK), gathering, file.where).read()
        except (ijson.JSONError, UnicodeDecodeError) as error:
            text = str(error).strip().splitlines()[0][:200]
            raise ReleaseError(f"it is no JSON: {text}.", file.where) from error


class _Reader:
    """Walks the events of the parser; whatever is not a concept is small or passed over."""

    def __init__(self, events: Iterable[Event], gathering: Gathering, where: str) -> None:
        self._events: Iterator[Event] = iter(events)
        self._gathering, self._where = gathering, where
        self._done = 0

    def read(self) -> None:
        event, _ = self._next()
        if event != "start_map":
            raise self._refused("it must be one JSON object, a CodeSystem.")
        head: dict[str, Any] = {}
        while (event_key := self._next())[0] == "map_key":
            key = event_key[1]
            if key == "concept":
                self._concepts(0)
            elif key in _KEPT:
                head[key] = self._value(self._next())
            else:
                self._skip(self._next())
        if head.get("resourceType") != "CodeSystem":
            raise self._refused(f"its resourceType is {head.get('resourceType')!r}; it must be CodeSystem.")
        if head.get("content") == "supplement":
            raise self._refused("a supplement has no concepts of its own; load the code system.")
        self._gathering.about = About(
            str(head.get("url", "")),
            str(head.get("version", "")),
            str(head.get("title") or head.get("name") or ""),
            head.get("caseSensitive", True) is not False,
            head.get("content") == "complete",
            str(head.get("valueSet", "")),
            {str(one.get("code")): str(one.get("type")) for one in head.get("property", ()) if isinstance(one, dict)},
            str(head.get("language", "")),
        )

    def _concepts(self, depth: int) -> list[int]:
        """Read an array of concepts; return their places."""
        if self._next()[0] != "start_array":
            raise self._refused("concept must be an array.")
        if depth > _DEEPEST:
            raise self._refused(
                f"concepts are nested more than {_DEEPEST} levels deep; name parents by the property parent."
            )
        found: list[int] = []
        while (event := self._next()[0]) == "start_map":
            found.append(self._concept(depth))
        if event != "end_array":
            raise self._refused("each concept must be an object.")
        return found

    def _concept(self, depth: int) -> int:
        sent: dict[str, Any] = {}
        below: list[int] = []
        while (event_key := self._next())[0] == "map_key":
            if event_key[1] == "concept":
                below = self._concepts(depth + 1)
            else:
                sent[event_key[1]] = self._value(self._next())
        self._done += 1
        code = sent.get("code")
        if not isinstance(code, str):
            raise self._refused("the concept has no code.")
        try:
            return self._take(code, sent, below)
        except (AttributeError, KeyError, TypeError) as error:
            raise self._refused(f"the concept {code[:200]!r} is not built as R4 asks ({error}).") from error

    def _take(self, code: str, sent: dict[str, Any], below: list[int]) -> int:
        gathering = self._gathering
        properties: dict[str, list[Any]] = {}
        for one in sent.get("property", ()):
            properties.setdefault(one["code"], []).extend(one[name] for name in _VALUES if name in one)
        parents = properties.pop("parent", [])
        children = properties.pop("child", [])
        inactive = True in properties.pop("inactive", ()) or "retired" in properties.get("status", ())
        abstract = True in properties.pop("notSelectable", ())
        place = gathering.add(code, INACTIVE * inactive | ABSTRACT * abstract, self._told_where(), 0)
        gathering.say(place, str(sent.get("display", "")), str(sent.get("definition", "")), properties)
        for one in sent.get("designation", ()):
            gathering.name(place, one.get("language", ""), one["value"], one.get("use"))
        for child in below:
            gathering.link(child, place)
        for parent in parents:
            gathering.below(place, parent, self._told_where())
        for child in children:
            gathering.above(place, child, self._told_where())
        return place

    def _value(self, event: Event, depth: int = 0) -> Any:
        kind, value = event
        if depth > _DEEPEST:
            raise self._refused("it is nested too deeply.")
        if kind == "start_map":
            made: dict[str, Any] = {}
            while (event_key := self._next())[0] == "map_key":
                made[event_key[1]] = self._value(self._next(), depth + 1)
            return made
        if kind == "start_array":
            listed: list[Any] = []
            while (event := self._next())[0] != "end_array":
                listed.append(self._value(event, depth + 1))
            return listed
        if kind == "string" and len(value) > LONGEST_LINE:
            raise self._refused(f"a text has more than {LONGEST_LINE:,} characters.")
        return int(value) if kind == "number" and isinstance(value, Decimal) and value == int(value) else value

    def _skip(self, event: Event) -> None:
        depth = int(event[0] in ("start_map", "start_array"))
        while depth:
            kind = self._next()[0]
            depth += (kind in ("start_map", "start_array")) - (kind in ("end_map", "end_array"))

    def _next(self) -> Event:
        try:
            return next(self._events)
        except StopIteration as error:
            raise self._refused("it ends too early.") from error

    def _told_where(self) -> str:
        return f"{self._where}, concept {self._done}"

    def _refused(self, text: str) -> ReleaseError:
        return ReleaseError(text, self._told_where() if self._done else self._where)
