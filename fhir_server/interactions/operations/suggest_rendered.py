"""The answer of `$suggest` as bytes: stored bodies are joined as they are; a reason that many services share is written once."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from fhir_server.model.resource import Resource
from fhir_server.search.bundle import DISTANCE_URL
from fhir_server.workflow.suggestion import Exclusion, Match, Reason

REASON: Final = "https://w3id.org/social-referral/CodeSystem/suggestion-reason"
_SD: Final = "https://w3id.org/social-referral/StructureDefinition/"
_encode = msgspec.json.encode
_METRES: Final = (
    b'{"url":"%b","valueDistance":{"value":%%d,"unit":"m","system":"http://unitsofmeasure.org","code":"m"}}'
    % DISTANCE_URL.encode()
)
_INCLUDED: Final = b',"search":{"mode":"include"}}'


class Words(dict[str, str]):
    """What the codes of reasons are called in the languages of a caller."""

    __slots__ = ("_languages", "_reasons")

    def __init__(self, reasons: Any, languages: str) -> None:
        self._reasons, self._languages = reasons, languages

    def __missing__(self, code: str) -> str:
        known = self._reasons.get(code)
        found = self[code] = known.text(self._languages) if known is not None else code
        return found


class Page(NamedTuple):
    """What is shown: the matches in their order, and the bodies of services and of their organisations by id."""

    matches: Iterable[Match]
    services: dict[str, bytes]
    organizations: dict[str, bytes]


def bundle(base: str, page: Page, words: Words, total: int, told: list[Resource]) -> bytes:
    """Return the searchset: matches with score and reasons, who provides them, and what is told of the whole."""
    pieces = [b'{"resourceType":"Bundle","type":"searchset","total":%d' % total]
    between = b',"entry":['
    start = _encode(f"{base}/HealthcareService/")[:-1]
    for match in page.matches:
        body = page.services.get(match.offer.id)
        if body is not None:  # else it went between two looks at the directory
            name = match.offer.id.encode()
            pieces += (between, b'{"fullUrl":%b%b","resource":' % (start, name), body, _search(match, words))
            between = b","
    start = _encode(f"{base}/Organization/")[:-1]
    for known, body in page.organizations.items():
        pieces += (between, b'{"fullUrl":%b%b","resource":' % (start, known.encode()), body, _INCLUDED)
        between = b","
    if told:
        outcome = _encode({"resourceType": "OperationOutcome", "issue": told})
        pieces += (between, b'{"resource":', outcome, b',"search":{"mode":"outcome"}}')
        between = b","
    pieces.append(b"]}" if between == b"," else b"}")
    return b"".join(pieces)


def excluded(exclusion: Exclusion, words: Words) -> Resource:
    """Return the issue that tells why a service is left out."""
    name = f"HealthcareService/{exclusion.offer.id}"
    concept = _concept(exclusion.reason, words)
    return {
        "extension": [{"url": f"{_SD}suggestion-excluded", "valueReference": {"reference": name}}],
        "severity": "information",
        "code": "informational",
        "details": concept,
        "diagnostics": f"{name} is left out. {concept['text']}",
    }


def _search(match: Match, words: Words) -> bytes:
    extensions = [_extension(code, words[code], detail) for code, _, detail in match.reasons]
    if match.distance is not None:
        extensions.append(_METRES % round(match.distance))
    return b',"search":{"extension":[%b],"mode":"match","score":%b}}' % (b",".join(extensions), _encode(match.score))


@lru_cache(maxsize=1024)
def _extension(code: str, display: str, detail: str) -> bytes:
    return _encode({"url": f"{_SD}suggestion-reason", "valueCodeableConcept": _said(code, display, detail)})


def _concept(reason: Reason, words: Words) -> Resource:
    return _said(reason.code, words[reason.code], reason.detail)


def _said(code: str, display: str, detail: str) -> Resource:
    text = f"{display}: {detail}" if detail else display
    return {"coding": [{"system": REASON, "code": code, "display": display}], "text": text}
