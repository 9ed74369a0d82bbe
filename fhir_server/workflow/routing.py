"""To whom a referral goes: its performers, or else the single point of contact of the person's area."""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal, period_interval
from fhir_server.workflow.codes import CONTACT_POINT, DUTCH_CODE, NIS_CODE, POSTAL_CODE, SERVICE_TYPE
from fhir_server.workflow.links import Links, items

_DUTCH: Final = re.compile(r"(\d{4})([A-Z]{2})")
_AREA_LEVELS: Final = 3
"""How far below an area of coverage (a primary care zone) the municipalities may lie, in steps of Location.partOf."""
_EXACT, _COARSE, _BY_NAME = 0, 1, 2
_NO_MATCH: Final = 99
_PER_LEVEL: Final = 10


class Recipient(NamedTuple):
    """One addressee: the Reference for Task.owner (None: the pool), the chosen service, and where it was named."""

    owner: Resource | None
    service: Resource | None
    expression: str

    def keys(self, links: Links) -> frozenset[str] | None:
        """Return every key under which a Consent may name it, None for the pool."""
        if self.owner is None:
            return None
        own = {links.key(self.owner), links.key(self.service)} - {""}
        return frozenset(own) | links.organizations(self.owner)


class Area(NamedTuple):
    """What places an address: country, postal code, municipality code and name, each "" when not said."""

    country: str
    postal: str
    municipality: str
    city: str


def recipients(request: Resource, links: Links, now: str) -> tuple[Recipient, ...]:
    """Return the addressees of a ServiceRequest, each once; a single pool entry when there is none to be found."""
    found: dict[tuple[str, str], Recipient] = {}
    for index, performer in enumerate(request.get("performer", ())):
        recipient = _performer(performer, f"ServiceRequest.performer[{index}]", links)
        found.setdefault((links.key(recipient.owner), links.key(recipient.service)), recipient)
    if found:
        return tuple(found.values())
    service = contact_point(links.follow(request.get("subject")), links, now)
    if service is None:
        return (Recipient(None, None, "ServiceRequest.performer"),)
    return (_performer({"reference": f"HealthcareService/{service['id']}"}, "ServiceRequest.performer", links),)


def contact_point(patient: Resource | None, links: Links, now: str) -> Resource | None:
    """Return the active contact point whose area of coverage is nearest to an address of the person, None without one.

    Nearest is the smallest area: a location that is itself covered before one that lies in a covered area, the exact
    postal or municipality code before the four digits of a Dutch one, and those before the name of the municipality.
    """
    homes = areas_of(patient, now) if patient is not None else ()
    if not homes:
        return None
    ranked = [
        (rank, service["id"], service)
        for service in links.coded("HealthcareService", "service-category", SERVICE_TYPE, CONTACT_POINT)
        if service.get("active") is not False and (rank := _rank(service, homes, links)) < _NO_MATCH
    ]
    return min(ranked, key=lambda found: found[:2])[2] if ranked else None


def areas_of(patient: Resource, now: str) -> tuple[Area, ...]:
    """Return where the person lives now: current addresses, a home before a temporary one, never an old or billing one."""
    at = parse_temporal(now).lo
    current = [address for address in items(patient.get("address")) if _is_current(address, at)]
    current.sort(key=lambda address: address.get("use") == "temp")
    return tuple(_area(address, _nis_codes(address.get("extension", ()))) for address in current)


def distance(home: Area, location: Resource) -> int:
    """Return how well a Location covers an address: 0 by code, 1 by four digits, 2 by name, 99 not at all."""
    address = location.get("address") or {}
    codes = [
        identifier.get("value", "")
        for identifier in location.get("identifier", ())
        if identifier.get("system") in (NIS_CODE, DUTCH_CODE)
    ]
    there = _area(address, codes)
    if home.country and there.country and home.country != there.country:
        return _NO_MATCH
    if home.municipality and home.municipality in codes:
        return _EXACT
    listed = {one.get("value", "") for one in items(location.get("identifier")) if one.get("system") == POSTAL_CODE}
    if home.postal and listed:
        if _keys(home) & listed:
            return _EXACT if home.postal.isdigit() else _COARSE
        if not there.postal:
            return _NO_MATCH
    if home.postal and there.postal:
        if home.postal == there.postal:
            return _EXACT
        return _COARSE if _four_digits(home.postal) == there.postal else _NO_MATCH
    by_name = home.city and home.city in (there.city, _folded(location.get("name", "")))
    return _BY_NAME if by_name and not (home.municipality and codes) else _NO_MATCH


def _rank(service: Resource, homes: tuple[Area, ...], links: Links) -> int:
    """Return the distance of the best covered place, a level further down counting more than a coarser match."""
    level = [links.follow(reference) for reference in service.get("coverageArea", ())]
    seen: set[str] = set()
    for depth in range(_AREA_LEVELS):
        places = [place for place in level if place is not None and place["id"] not in seen]
        seen.update(place["id"] for place in places)
        best = min((distance(home, place) for home in homes for place in places), default=_NO_MATCH)
        if best < _NO_MATCH:
            return depth * _PER_LEVEL + best
        level = [part for place in places for part in links.referring("Location", "partof", f"Location/{place['id']}")]
    return _NO_MATCH


def _performer(performer: Resource, expression: str, links: Links) -> Recipient:
    """A service is answered for by its organisation; any other performer owns the Task itself."""
    if not links.key(performer).startswith("HealthcareService/"):
        return Recipient(performer, None, expression)
    service = links.follow(performer)
    provider = service.get("providedBy") if service is not None else None
    return Recipient(provider or performer, performer, expression)


def _is_current(address: Resource, at: int) -> bool:
    period = address.get("period") or {}
    interval = period_interval(period.get("start"), period.get("end"))
    return address.get("use") not in ("old", "billing") and interval.lo <= at < interval.hi


def _area(address: Resource, nis_codes: list[str]) -> Area:
    return Area(
        _folded(address.get("country", "")),
        re.sub(r"[\s.-]", "", address.get("postalCode", "")).upper(),
        nis_codes[0] if nis_codes else "",
        _folded(address.get("city", "")),
    )


def _nis_codes(extensions: Any) -> list[str]:
    return list(_nis_values(extensions))


def _nis_values(extensions: Any) -> Iterator[str]:
    for extension in extensions:
        coding = extension.get("valueCoding") or {}
        identifier = extension.get("valueIdentifier") or {}
        if coding.get("system") in (NIS_CODE, DUTCH_CODE):
            yield coding.get("code", "")
        if identifier.get("system") in (NIS_CODE, DUTCH_CODE):
            yield identifier.get("value", "")


def _keys(home: Area) -> set[str]:
    """Return under which identifiers of NamingSystem/postal-code an area has the postal code of a home."""
    digits = _four_digits(home.postal)
    if digits:
        return {f"NL-{digits}"}
    countries = {"be": ("BE",), "nl": ("NL",)}.get(home.country, ("BE", "NL"))
    return {f"{country}-{home.postal}" for country in countries}


def _four_digits(postal: str) -> str:
    match = _DUTCH.fullmatch(postal)
    return match[1] if match else ""


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
