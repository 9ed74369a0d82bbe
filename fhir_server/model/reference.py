"""Parse `Reference.reference` and other reference texts into a closed set of kinds (R4 references.html)."""

import re
from functools import lru_cache
from typing import Literal, NamedTuple

ReferenceKind = Literal["relative", "absolute", "urn", "fragment", "conditional", "other"]

_ID = r"[A-Za-z0-9\-.]{1,64}"
_RELATIVE = re.compile(rf"([A-Z][A-Za-z]{{1,63}})/({_ID})(?:/_history/({_ID}))?")
_ABSOLUTE = re.compile(rf"(https?://\S+?)/([A-Z][A-Za-z]{{1,63}})/({_ID})(?:/_history/({_ID}))?")
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]{1,63})\?(.+)", re.DOTALL)

ID_PATTERN = re.compile(_ID)
"""The R4 `id` datatype; use with `fullmatch`."""


class ParsedReference(NamedTuple):
    """A reference taken apart; members that its kind does not have are empty.

    `type` and `id` are set for relative references and for RESTful absolute ones, `version` when it names one,
    `base` for RESTful absolute ones, `query` for conditional ones. `text` is the reference as it was written.
    """

    kind: ReferenceKind
    text: str
    type: str = ""
    id: str = ""
    version: str = ""
    base: str = ""
    query: str = ""

    @property
    def key(self) -> str:
        """`Type/id` without version, or the text itself where there is none."""
        return f"{self.type}/{self.id}" if self.id else self.text


@lru_cache(maxsize=4096)
def parse_reference(text: str, own_base: str = "") -> ParsedReference:
    """Take a reference text apart; one that is absolute below `own_base` comes back as relative."""
    if own_base and text.startswith(own_base + "/"):
        text = text[len(own_base) + 1 :]
    if match := _RELATIVE.fullmatch(text):
        return ParsedReference("relative", text, match[1], match[2], match[3] or "")
    if text.startswith("#"):
        return ParsedReference("fragment", text)
    if text.startswith("urn:"):
        return ParsedReference("urn", text)
    if match := _ABSOLUTE.fullmatch(text):
        return ParsedReference("absolute", text, match[2], match[3], match[4] or "", match[1])
    if match := _CONDITIONAL.fullmatch(text):
        return ParsedReference("conditional", text, match[1], query=match[2])
    return ParsedReference("other", text)
