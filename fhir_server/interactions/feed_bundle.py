"""A page of the feed as a history Bundle (R4 bundle.html#history): stored bodies are joined as they are.

What a caller no longer sees, or no longer matches its filters, is told by what `GET` would be answered now, with an
OperationOutcome that says why it is told; never with the content.
"""

from typing import Final

from fhir_server.artifacts.source import BASE
from fhir_server.interactions.feed import Kind, Page, Told
from fhir_server.model.clock import render_instant
from fhir_server.model.codec import encode
from fhir_server.model.issue import Issue, operation_outcome

SEQUENCE: Final = f"{BASE}/StructureDefinition/change-sequence"
"""Extension on Bundle.entry: the number of a change, by which a repetition is known."""
_STATUS: Final = {"POST": "201 Created", "PUT": "200 OK", "PATCH": "200 OK", "DELETE": "204 No Content"}
_REMOVED: Final = {
    Kind.HIDDEN: (
        "404 Not Found",
        Issue("feed-hidden", "informational", "You can no longer see this. Forget your copy.", severity="information"),
    ),
    Kind.LEFT: (
        "200 OK",
        Issue(
            "feed-left",
            "informational",
            "This no longer matches what you ask for. You can still read it.",
            severity="information",
        ),
    ),
}


def feed_bundle(base: str, page: Page, own: str, following: str) -> bytes:
    """Return the Bundle; `own` is the URL of this page, `following` that of the next."""
    links = b'{"relation":"self","url":%s},{"relation":"next","url":%s}' % (encode(own), encode(following))
    entries = b",".join(_entry(base, told) for told in page.told)
    listed = b',"entry":[%s]' % entries if entries else b""
    return b'{"resourceType":"Bundle","type":"history","link":[%s]%s}' % (links, listed)


def _entry(base: str, told: Told) -> bytes:
    version, kind = told
    place = f"{version.type}/{version.id}"
    number = b'{"extension":[{"url":"%s","valueDecimal":%d}]' % (SEQUENCE.encode(), version.sequence)
    start = number + b',"fullUrl":' + encode(f"{base}/{place}")
    if kind in _REMOVED:
        status, issue = _REMOVED[kind]
        response = {
            "status": status,
            "lastModified": render_instant(version.last_updated),
            "outcome": operation_outcome([issue]),
        }
        return start + b"," + encode({"request": {"method": "GET", "url": place}, "response": response})[1:]
    method = "POST" if version.version == 1 and version.method == "POST" else version.method
    status = "201 Created" if version.version == 1 else _STATUS[method]
    about = {
        "request": {"method": method, "url": version.type if method == "POST" else place},
        "response": {
            "status": status,
            "etag": f'W/"{version.version}"',
            "lastModified": render_instant(version.last_updated),
        },
    }
    body = b',"resource":' + version.body if version.body is not None and kind is Kind.CHANGED else b""
    return start + body + b"," + encode(about)[1:]
