"""A searchset Bundle as bytes: stored bodies are joined as they are, never decoded (R4 bundle.html#searchset)."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

import msgspec

Mode: TypeAlias = Literal["match", "include", "outcome"]

DISTANCE_URL = "http://hl7.org/fhir/StructureDefinition/location-distance"
"""R4 extension on Bundle.entry.search: how far a match of `near` is."""

_quote = msgspec.json.encode


class SearchEntry(NamedTuple):
    """One entry: its full URL (none for an outcome), the body as it is stored, and why it is here."""

    full_url: str
    body: bytes
    mode: Mode = "match"
    distance: float | None = None
    """Metres from the point of `near`."""


class Link(NamedTuple):
    """A link of the Bundle: self, first, next, previous."""

    relation: str
    url: str


def searchset(
    entries: Iterable[SearchEntry],
    links: Sequence[Link],
    *,
    total: int | None = None,
    last_updated: str = "",
    bundle_id: str = "",
) -> bytes:
    """Return the Bundle. `total` counts matches on all pages, None leaves it out; `last_updated` is an instant."""
    parts = [b'{"resourceType":"Bundle"']
    if bundle_id:
        parts.append(b',"id":' + _quote(bundle_id))
    if last_updated:
        parts.append(b',"meta":{"lastUpdated":' + _quote(last_updated) + b"}")
    parts.append(b',"type":"searchset"')
    if total is not None:
        parts.append(b',"total":%d' % total)
    if links:
        rendered = b",".join(b'{"relation":%b,"url":%b}' % (_quote(r), _quote(url)) for r, url in links)
        parts.append(b',"link":[' + rendered + b"]")
    bodies = b",".join(map(_entry, entries))
    if bodies:
        parts.append(b',"entry":[' + bodies + b"]")
    parts.append(b"}")
    return b"".join(parts)


_SEARCH = {mode: b',"search":{"mode":"%b"}}' % mode.encode() for mode in ("match", "include", "outcome")}


def _entry(entry: SearchEntry) -> bytes:
    full_url, body, mode, distance = entry
    start = b'{"fullUrl":%b,"resource":' % _quote(full_url) if full_url else b'{"resource":'
    if distance is None:
        return start + body + _SEARCH[mode]
    quantity = b'{"value":%b,"unit":"m","system":"http://unitsofmeasure.org","code":"m"}' % _metres(distance)
    extension = b'"extension":[{"url":"%b","valueDistance":%b}]' % (DISTANCE_URL.encode(), quantity)
    return start + body + b',"search":{' + extension + b',"mode":"%b"}}' % mode.encode()


def _metres(distance: float) -> bytes:
    """Write to the metre: a position is not known better."""
    return b"%d" % round(distance)
