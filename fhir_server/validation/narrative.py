"""Narrative: XHTML of a limited kind (https://hl7.org/fhir/R4/narrative.html#xhtml, invariants txt-1 and txt-2).

Most narratives are plain: tags that were seen before, balanced, no surprises. One pass over the tags accepts these.
Whatever is unusual goes to expat, which judges: as a stream without a tree, a document type declaration stops it before
any entity could be defined, and depth is bounded, so that work grows with the length of the text and nothing else.
"""

import re
from functools import lru_cache
from typing import Any
from xml.parsers.expat import ExpatError, ParserCreate

from fhir_server.validation.finding import Findings, Scope, one, shown
from fhir_server.validation.primitives import string_fault
from fhir_server.validation.wording import Said, say

XHTML = "http://www.w3.org/1999/xhtml"
MAX_DEPTH = 100
MAX_NARRATIVE = 4 * 1024 * 1024


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ELEMENTS = _words(
    "a abbr acronym address area b bdo big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 "
    "h5 h6 hr i img kbd li map ol p pre q s samp small span strong sub sup table tbody td tfoot th thead tr tt u ul "
    "var"
)
_ANYWHERE = _words(
    "abbr accesskey align axis char charoff class colspan dir headers id lang rowspan scope span style tabindex title "
    "valign width xml:lang xml:space"
)
_SOMEWHERE = {
    "a": "charset coords href hreflang name rel rev shape type",
    "area": "alt coords href nohref shape",
    "blockquote": "cite",
    "col": "height",
    "img": "alt border height ismap longdesc src usemap",
    "li": "value",
    "map": "name",
    "ol": "start type",
    "q": "cite",
    "table": "border cellpadding cellspacing frame rules summary",
    "td": "height nowrap",
    "th": "height nowrap",
    "tr": "height",
    "ul": "type",
}
_OWN = {element: _words(names) for element, names in _SOMEWHERE.items()}
_TAG = re.compile(r"<[^<>]*>")
_OPENING = re.compile(
    r"<([a-z][a-z0-9]*)((?:\s+[a-z]+(?::[a-z]+)?\s*=\s*\"(?:[^\"<>&]|&(?:amp|lt|gt|quot|apos);)*\")*)\s*(/?)>"
)
_ATTRIBUTE = re.compile(r"([a-z]+(?::[a-z]+)?)\s*=\s*\"([^\"]*)\"")
_LOOSE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)")
_VISIBLE = re.compile(r">\s*[^<\s]|<img")
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r"))
_TAG_LENGTH = 200
_LINKS = frozenset({"href", "src", "cite", "longdesc"})
_ACTIVE = ("javascript:", "vbscript:", "data:text/html")


class _Refused(Exception):
    """The text holds what a narrative must not; `key` is the invariant."""

    def __init__(self, text: Said, key: str = "txt-1") -> None:
        super().__init__(text)
        self.text = text
        self.key = key


class _Reader:
    """The handlers of one parse."""

    def __init__(self) -> None:
        self.depth = 0
        self.content = False

    def start(self, name: str, attributes: list[str]) -> None:
        self.depth += 1
        if self.depth == 1 and name != "div":
            raise _Refused(say("narrative.root", name=name[:40]), "txt-root")
        if self.depth > MAX_DEPTH:
            raise _Refused(say("narrative.depth", limit=MAX_DEPTH), "too-deep")
        if name not in _ELEMENTS:
            raise _Refused(say("narrative.element", name=name[:40]))
        if name == "img":
            self.content = True
        for index in range(0, len(attributes), 2):
            _check_attribute(name, attributes[index], attributes[index + 1])
        if self.depth == 1 and "xmlns" not in attributes[::2]:
            raise _Refused(say("narrative.xmlns", xhtml=XHTML), "txt-root")

    def end(self, _name: str) -> None:
        self.depth -= 1

    def text(self, text: str) -> None:
        self.content = self.content or not text.isspace()

    def refuse(self, *_arguments: Any) -> None:
        raise _Refused(say("narrative.declaration"))


def _check_attribute(element: str, name: str, value: str) -> None:
    if name == "xmlns":
        if value != XHTML:
            raise _Refused(say("narrative.namespace", value=shown(value)), "txt-root")
        return
    if name not in _ANYWHERE and name not in _OWN.get(element, ()):
        raise _Refused(say("narrative.attribute", name=name[:40], element=element))
    if name in _LINKS and "".join(value.split()).lower().startswith(_ACTIVE):
        raise _Refused(say("narrative.script", value=shown(value)))


def _closing(tag: str) -> str | None:
    """Return the tag that closes an opening tag (empty: it closes itself), None where it needs a closer look."""
    match = _OPENING.fullmatch(tag)
    if match is None or match[1] not in _ELEMENTS:
        return None
    attributes = _ATTRIBUTE.findall(match[2])
    try:
        for name, value in attributes:
            _check_attribute(match[1], name, value)
    except _Refused:
        return None
    if len({name for name, _ in attributes}) != len(attributes):
        return None
    return "" if match[3] else f"</{match[1]}>"


_known = lru_cache(maxsize=2048)(_closing)
"""Narratives share most of their tags; long ones (pictures, links) are not worth keeping."""


def _plain(text: str) -> bool:
    """Tell whether the text is surely a valid narrative; False says nothing."""
    tags = _TAG.findall(text)
    if (
        not tags
        or "]]>" in text
        or text.count("<") != len(tags)
        or not (text.startswith(tags[0]) and text.endswith("</div>"))
    ):
        return False
    if f'xmlns="{XHTML}"' not in tags[0] or not tags[0].startswith("<div"):
        return False
    open_tags: list[str] = []
    for index, tag in enumerate(tags):
        if tag[1] == "/":
            if not open_tags or open_tags.pop() != tag:
                return False
        else:
            closing = _known(tag) if len(tag) < _TAG_LENGTH else _closing(tag)
            if closing is None or (index and not open_tags) or len(open_tags) >= MAX_DEPTH:
                return False
            if closing:
                open_tags.append(closing)
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return False
    clean = len(raw.translate(None, _CONTROLS)) == len(raw)
    return clean and not open_tags and not _LOOSE_AMPERSAND.search(text) and bool(_VISIBLE.search(text))


def check_narrative(value: Any, _scope: Scope) -> Findings:
    """Check `Narrative.div`."""
    if type(value) is not str or not value:
        return string_fault(value)
    if len(value) > MAX_NARRATIVE:
        text = say("string-too-long.narrative", length=len(value), limit=MAX_NARRATIVE)
        return one("string-too-long", "too-long", text)
    if _plain(value):
        return None
    reader = _Reader()
    parser = ParserCreate("utf-8")
    parser.ordered_attributes = True
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = reader.refuse
    try:
        parser.Parse(value.encode("utf-8"), True)
    except _Refused as refused:
        return one(refused.key, "invariant", say("narrative", reason=refused.text))
    except (ExpatError, UnicodeEncodeError) as error:
        return one("xhtml", "structure", say("xhtml", reason=str(error)))
    if not reader.content:
        return one("txt-2", "invariant", say("txt-2"))
    return None
