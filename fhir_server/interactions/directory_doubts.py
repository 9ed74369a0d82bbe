"""What an import tells of a service that it stores all the same: it would be found by the wrong persons, or by none."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Final

from fhir_server.interactions.offer_extensions import CHANNEL
from fhir_server.interactions.offer_facts import BASE, NEED
from fhir_server.mapping.places import Remark
from fhir_server.model.resource import Resource

_SERVICE: Final = "HealthcareService"
_VERIFIED: Final = f"{BASE}/StructureDefinition/last-verified"
_CHANNEL: Final = f"{BASE}/StructureDefinition/service-channel"
_AFAR: Final = frozenset({"phone", "online"})
"""Channels by which a service reaches somebody wherever they live."""


def doubts(resource: Resource, needs: Sequence[str], now_ms: int) -> Iterator[Remark]:
    """Yield what there is to doubt in a resource of the directory; `needs` are the codes of ours that there are."""
    if resource["resourceType"] != _SERVICE:
        return
    yield from _unknown_needs(resource, needs)
    if not resource.get("coverageArea") and not _from_afar(resource):
        said = (
            "No area is said, so the service is offered to everybody, wherever they live. Name its areas; of a service that "
            "is given by phone or online only, say so in its channels."
        )
        yield Remark("warning", "area-missing", f"{_SERVICE}.coverageArea", said)
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date().isoformat()
    for index, one in enumerate(resource.get("extension", ())):
        day = str(one.get("valueDate", ""))
        if one.get("url") == _VERIFIED and day > today:
            said = (
                f"It was last checked on {day}, which is still to come: it counts as fresh until then. Is it a mistake?"
            )
            yield Remark("warning", "date-to-come", f"{_SERVICE}.extension[{index}]", said)


def _unknown_needs(service: Resource, needs: Sequence[str]) -> Iterator[Remark]:
    """Yield codes of our needs that there are not (R4 binds them loosely)."""
    for index, concept in enumerate(service.get("type", ())):
        for coding in concept.get("coding", ()):
            code = str(coding.get("code", ""))
            if coding.get("system") == NEED and code not in needs:
                near = get_close_matches(code[:60], needs, 1)
                hint = f" Did you mean {near[0]}?" if near else ""
                said = f"{code[:60]!r} is no need that is known, so nobody who asks for one is shown the service.{hint}"
                yield Remark("warning", "unknown-code", f"{_SERVICE}.type[{index}]", said)


def _from_afar(service: Resource) -> bool:
    channels = {
        coding.get("code")
        for one in service.get("extension", ())
        if one.get("url") == _CHANNEL
        for coding in (one.get("valueCodeableConcept") or {}).get("coding", ())
        if coding.get("system") == CHANNEL
    }
    return bool(channels) and channels <= _AFAR
