"""Conditional search: an entity tag over what a search found, so that a poll that finds the same again costs a 304
(RFC 9110 §13, R4 http.html#cread).

The tag is made of what decides the answer: what was asked and by whom, the sequence numbers of the matches and of what
they brought along, in order, the total, and the place where the next page begins. A version never changes and a sequence
number is never used twice, so equal tags are equal answers; bodies are not looked at. `If-Modified-Since` is not heeded:
what no longer matches leaves no date behind.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from fhir_server.interactions.request import Parameters, Request
from fhir_server.store.port import Row, Version

_TAG_BYTES: Final = 12
_SENT: Final = re.compile(r'(?:W/)?"([^"]*)"')
_encode = msgspec.json.Encoder().encode


class Seal(NamedTuple):
    """What identifies one answer to a search."""

    tag: str
    modified: int
    """When the newest resource in the answer was updated, milliseconds since the epoch; 0 for none."""


UNSEALED: Final = Seal("", 0)


def seal_of(
    request: Request,
    asked: tuple[Parameters, str, str],
    rows: Sequence[Row],
    others: Sequence[Version],
    total: int | None,
) -> Seal:
    """Return the seal of a page; `asked` is what ran, its place below the base, and the cursor of the next page.

    A search by POST has none: its answer is not what stands at its URL.
    """
    if request.method not in ("GET", "HEAD"):
        return UNSEALED
    principal = request.principal
    matches = [version[0] for version, _, _ in rows]  # by place, not by name: this is done for every poll
    brought = [version[0] for version in others]
    decides = (asked, total, principal.organization, principal.person, request.base, matches, brought)
    modified = max([version[4] for version, _, _ in rows], default=0)
    if others:
        modified = max(modified, *[version[4] for version in others])
    return Seal(blake2b(_encode(decides), digest_size=_TAG_BYTES).hexdigest(), modified)


def unchanged(request: Request, seal: Seal) -> bool:
    """Tell whether the caller has this very answer: `If-None-Match` names its tag. Tags compare weakly."""
    sent = request.preconditions.if_none_match
    return bool(sent and seal.tag) and (sent.strip() == "*" or seal.tag in _SENT.findall(sent))
