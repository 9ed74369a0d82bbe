"""ClaML, the XML of the WHO family of classifications (ICPC, ICD; EN 14463), read as a stream.

Classes, their rubrics and their hierarchy are read. Codes that modifiers would make by combination are not made.
A document that declares entities is refused, and no other file is ever opened.
"""

from collections.abc import Iterator
from typing import Any, Final
from xml.parsers import expat

from fhir_server.terminology.releases.files import ReleaseFile, Told
from fhir_server.terminology.releases.gathering import ABSTRACT, About, Gathering
from fhir_server.terminology.releases.problem import LONGEST_LINE, ReleaseError

_CHUNK: Final = 1 << 16
_DEEPEST: Final = 100
_GROUPS: Final = frozenset({"chapter", "block"})
"""Kinds of classes that only group others."""
_NAMES: Final = ("preferred", "preferredLong", "inclusion")
_USES: Final[dict[str, Any]] = {
    "preferred": None,
    "preferredLong": {"code": "preferredLong"},
    "inclusion": {"code": "inclusion"},
}


def read_claml(file: ReleaseFile, gathering: Gathering, told: Told) -> None:
    """Read one ClaML document. Raises ReleaseError."""
    reader = _Reader(gathering, file.where)
    try:
        with file.opened() as stream:
            while chunk := stream.read(_CHUNK):
                told(len(chunk))
                reader.parser.Parse(chunk, False)  # the signature of expat
            reader.parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise ReleaseError(f"it is no XML: {expat.ErrorString(error.code)}.", file.where, error.lineno) from error
    if not reader.is_claml:
        raise ReleaseError("it is no ClaML: its root element must be ClaML.", file.where)
    gathering.about = About("", reader.version, reader.title, language=reader.language)


class _Reader:
    """Takes what the parser meets; a class is complete when its element ends."""

    def __init__(self, gathering: Gathering, where: str) -> None:
        self._gathering, self._where = gathering, where
        self.is_claml = False
        self.version = self.title = self.language = ""
        self._open: list[str] = []
        self._class: dict[str, str] = {}
        self._parents: list[str] = []
        self._labels: list[tuple[str, str, str]] = []
        self._rubric = self._label_language = ""
        self._text: list[str] | None = None
        self._length = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.EntityDeclHandler = self._entity
        self.parser.UnparsedEntityDeclHandler = self._entity
        self.parser.ExternalEntityRefHandler = self._entity

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._open.append(name)
        if len(self._open) == 1:
            self.is_claml = name == "ClaML"
            if not self.is_claml:
                raise self._refused(f"it is no ClaML: its root element is {name[:80]}, it must be ClaML.")
        if len(self._open) > _DEEPEST:
            raise self._refused(f"elements are nested more than {_DEEPEST} deep.")
        match name:
            case "Class":
                self._class, self._parents, self._labels = attributes, [], []
            case "SuperClass":
                self._parents.append(attributes.get("code", ""))
            case "Rubric":
                self._rubric = attributes.get("kind", "")
            case "Label":
                self._text, self._length, self._label_language = [], 0, attributes.get("xml:lang", "")
            case "Title":
                self._text, self._length = [], 0
                self.version = attributes.get("version", "")
                self.title = attributes.get("name", "")

    def _end(self, name: str) -> None:
        self._open.pop()
        match name:
            case "Label" if self._class:
                self._labels.append((self._rubric, self._label_language, self._taken()))
            case "Title":
                self.title = self._taken() or self.title
            case "Class":
                self._take()
                self._class = {}

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._length += len(text)
            if self._length > LONGEST_LINE:
                raise self._refused(f"a text has more than {LONGEST_LINE:,} characters.")
            self._text.append(text)

    def _taken(self) -> str:
        found = " ".join("".join(self._text or ()).split())
        self._text = None
        return found

    def _take(self) -> None:
        line = self.parser.CurrentLineNumber
        code, kind = self._class.get("code", ""), self._class.get("kind", "")
        place = self._gathering.add(code, ABSTRACT if kind in _GROUPS else 0, self._where, line)
        names = list(self._named())
        display = next((text for rubric, _, text in names if rubric == "preferred"), "")
        if not display:
            raise ReleaseError(f"the class {code!r} has no rubric of kind preferred.", self._where, line)
        if not self.language:
            self.language = next(language for rubric, language, _ in names if rubric == "preferred")
        definition = next((text for rubric, _, text in self._labels if rubric == "definition"), "")
        self._gathering.say(place, display, definition, {"kind": [kind]} if kind else {})
        for rubric, language, text in names:
            self._gathering.name(place, language, text, _USES[rubric], _NAMES.index(rubric))
        for parent in self._parents:
            self._gathering.below(place, parent, self._where, line)

    def _named(self) -> Iterator[tuple[str, str, str]]:
        return (label for label in self._labels if label[0] in _NAMES and label[2])

    def _entity(self, *_: object) -> int:
        raise self._refused("it declares entities, which are never read. Remove the declarations.")

    def _refused(self, text: str) -> ReleaseError:
        return ReleaseError(text, self._where, self.parser.CurrentLineNumber)
