"""The facts of a HealthcareService and of a Location that a suggestion counts with (profiles social-service, service-site)."""

import re
from collections.abc import Iterable, Iterator
from sys import intern
from typing import Final

from fhir_server.interactions.offer_extensions import Facts, codes_of
from fhir_server.model.resource import Resource
from fhir_server.model.temporal import period_interval
from fhir_server.workflow.codes import DUTCH_CODE, NIS_CODE, SERVICE_TYPE
from fhir_server.workflow.suggestion_facts import Closure, Offer

BASE: Final = "https://w3id.org/social-referral"
NEED: Final = f"{BASE}/CodeSystem/social-need"
POSTAL_CODE: Final = f"{BASE}/NamingSystem/postal-code"


_POSTAL: Final = re.compile(r"([1-9]\d{3})([A-Z]{2})?", re.ASCII)
"""Of Belgium and of the Netherlands, without blanks; none begins with 0."""


class Place:
    """What counts of a Location."""

    __slots__ = ("city", "codes", "name", "part_of", "position", "postal")

    def __init__(self, location: Resource) -> None:
        address = location.get("address", {})
        self.name = str(location.get("name", "")).casefold()
        self.city = str(address.get("city", "")).casefold()
        self.part_of = location_id(location.get("partOf"))
        self.position = _position(location.get("position", {}))
        self.codes = frozenset(
            one["value"]
            for one in location.get("identifier", ())
            if one.get("system") in (NIS_CODE, DUTCH_CODE) and "value" in one
        )
        self.postal: frozenset[str] = frozenset()
        kinds = codes_of(
            [location.get("physicalType", {})], "http://terminology.hl7.org/CodeSystem/location-physical-type"
        )
        if self.codes or kinds & {"area", "jdn"}:  # an area; a site has a postal code too, but is none
            listed = {
                one["value"]
                for one in location.get("identifier", ())
                if one.get("system") == POSTAL_CODE and "value" in one
            }
            own = postal_key(str(address.get("postalCode", "")), str(address.get("country", "")))
            self.postal = frozenset(listed | ({own} if own else set()))

    def area_keys(self) -> Iterator[tuple[str, str]]:
        """Yield by what it is found when it is an area: its codes, its postal codes, its names."""
        for code in self.codes:
            yield "nis", code
        for code in self.postal:
            yield "postal", code
        if self.codes or self.postal:
            yield from {("city", self.name), ("city", self.city)} - {("city", "")}


def read_offer(service_id: str, service: Resource, facts: Facts, sites: Iterable[Place]) -> Offer:
    """Read a HealthcareService (profile social-service) of whose extensions the facts are known."""
    return Offer(
        service_id,
        codes_of(service.get("type", ()), NEED),
        codes_of([*service.get("category", ()), *service.get("type", ())], SERVICE_TYPE),
        frozenset(location_id(one) or _UNKNOWN for one in service.get("coverageArea", ())),
        facts.youngest,
        facts.oldest,
        frozenset(
            one["code"].lower()
            for spoken in service.get("communication", ())
            for one in spoken.get("coding", ())
            if "code" in one
        ),
        facts.channels,
        facts.capacity,
        facts.wait_days,
        facts.verified_ms,
        tuple(_closures(service)),
        tuple(site.position for site in sites if site.position is not None),
        facts.seasons,
        intern(str(service.get("providedBy", {}).get("reference", ""))),
    )


_UNKNOWN: Final = "?"
"""An area of which only the name is said: it is nobody's place, but the service is not offered everywhere either."""


def postal_key(code: str, country: str) -> str:
    """Return `BE-1800` or `NL-1811` for a postal code as people write it, "" for what is none."""
    text = "".join(code.upper().split()).replace("-", "")
    if text[:2] in ("BE", "NL"):
        country, text = text[:2], text[2:]
    match = _POSTAL.fullmatch(text)
    if match is None:
        return ""
    digits, letters = match.groups()
    return f"{'NL' if letters or country.upper() in ('NL', 'NLD') else 'BE'}-{digits}"


def _position(point: Resource) -> tuple[float, float] | None:
    """Return latitude and longitude; None where one is absent (R4 lets an extension say why) or is on no map."""
    if "latitude" not in point or "longitude" not in point:
        return None
    latitude, longitude = float(point["latitude"]), float(point["longitude"])
    return (latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None  # noqa: PLR2004  # degrees


def location_id(reference: Resource | None) -> str:
    """Return the id of the Location that a Reference names, "" for none."""
    text = str((reference or {}).get("reference", ""))
    return text.rpartition("/")[2] if "Location/" in text else ""


def _closures(service: Resource) -> Iterator[Closure]:
    for period in service.get("notAvailable", ()):
        during = period.get("during")
        if not during:  # "public holidays": no one can count with it
            continue
        interval = period_interval(during.get("start"), during.get("end"))
        yield Closure(interval.lo // 1000, interval.hi // 1000, str(period.get("description", "")))
