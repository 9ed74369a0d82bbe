"""The text of a resource, for `_text` and `_content` (R4 search.html#content).

Two entries hold each word of a resource once: `_text` the narrative without its tags, `_content` every other text in it.
`_content` asks both, `_text` only the first. A text is folded as `search.text` says, so that it is words between single
blanks; the words of one entry stand in the order of the resource. What a machine wrote for machines is left out: `meta`,
resource types, ids, references, the URIs of code systems and definitions (`system`, `url`), dates, and runs of more than
100 characters without a blank, such as the data of an attachment.

A search is words and quoted phrases. All of them must occur, each as whole words, a phrase as words in a row:
`_content=housing "social worker"`. Nothing is stemmed and there is no wildcard; an OR list is written with commas.
"""

import html
import re
from typing import Any

from fhir_server.model.resource import Resource
from fhir_server.search.emit import Entries
from fhir_server.search.text import normalise
from fhir_server.search.values import TextEntry

TEXT = "_text"
CONTENT = "_content"
LONGEST = 100
"""Characters of a word that is kept."""

_NO_TEXT = frozenset({"resourceType", "id", "reference", "system", "url", "div"})
WITHOUT_TEXT = frozenset({"Binary", "Bundle", "Parameters"})
"""Types that hold resources or data, and no text of their own."""
_TAG = re.compile(r"<!--.*?-->|<[^>]*>", re.DOTALL)
_ASKED = re.compile(r'"([^"]*)"?|([^\s"]+)')


def narrative(resource: Resource) -> str:
    """Return the folded narratives of a resource and of what it contains, "" when there are none."""
    divs = [_div(resource)]
    contained = resource.get("contained")
    if type(contained) is list:
        divs += [_div(inner) for inner in contained if type(inner) is dict]
    return _folded([html.unescape(_TAG.sub(" ", div)) for div in divs if div])


def content(resource: Resource) -> str:
    """Return the folded texts of a resource apart from its narratives."""
    found: list[str] = []
    _collect(resource, found)
    return _folded(found)


def emit(resource: Resource, out: Entries) -> None:
    """Append the entries of a resource; those that hold other resources or data have none."""
    if resource.get("resourceType") in WITHOUT_TEXT:
        return
    if ("text" in resource or "contained" in resource) and (text := narrative(resource)):
        out.append(TextEntry(TEXT, text))
    if text := content(resource):
        out.append(TextEntry(CONTENT, text))


def phrases(asked: str) -> tuple[str, ...]:
    """Return the words and phrases of a search, folded, each once; () when there is no letter or digit in it."""
    found = (normalise(quoted or word) for quoted, word in _ASKED.findall(asked))
    return tuple(dict.fromkeys(phrase for phrase in found if phrase))


def holds(phrase: str, text: str) -> bool:
    """Tell whether the words of a folded phrase stand in a row in a folded text."""
    return f" {phrase} " in f" {text} "


def _div(resource: Resource) -> str:
    text = resource.get("text")
    div = text.get("div") if type(text) is dict else None
    return div if type(div) is str else ""


def _collect(value: dict[str, Any], found: list[str]) -> None:
    for name, member in value.items():
        kind = type(member)
        if name == "meta":
            continue
        if kind is str:
            if name not in _NO_TEXT and not (member[4:5] == "-" and member[:4].isdecimal()):
                found.append(member)
        elif kind is dict:
            _collect(member, found)
        elif kind is list:
            _collect_all(member, found)


def _collect_all(values: list[Any], found: list[str]) -> None:
    for value in values:
        kind = type(value)
        if kind is str:
            found.append(value)
        elif kind is dict:
            _collect(value, found)


def _folded(texts: list[str]) -> str:
    whole = " ".join(texts)
    if len(whole) > LONGEST:
        words = whole.split()
        if max(map(len, words), default=0) > LONGEST:
            whole = " ".join([word for word in words if len(word) <= LONGEST])
    return normalise(whole)
