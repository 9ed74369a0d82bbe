"""The facts of a HealthcareService and of a Location that a suggestion counts with (profiles social-service, service-site)."""

import math
from collections.abc import Iterable, Iterator
from sys import intern
from typing import Final

from fhir_server.model.resource import Resource
from fhir_server.model.temporal import parse_temporal, period_interval
from fhir_server.workflow.codes import NIS_CODE, SERVICE_TYPE
from fhir_server.workflow.seasons import Season, read_season
from fhir_server.workflow.suggestion_facts import Closure, Offer

BASE: Final = "https://w3id.org/social-referral"
NEED: Final = f"{BASE}/CodeSystem/social-need"
CHANNEL: Final = f"{BASE}/CodeSystem/service-channel"
POSTAL_CODE: Final = f"{BASE}/NamingSystem/postal-code"
_SD: Final = f"{BASE}/StructureDefinition/"
_CAPACITY: Final = (
    "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-ExtensionHealthcareServiceCapacityStatus"
)
_DAYS: Final = {"d": 1.0, "wk": 7.0, "mo": 30.4375, "a": 365.25, "h": 1 / 24}


class Place:
    """What counts of a Location."""

    __slots__ = ("city", "codes", "name", "part_of", "position", "postal")

    def __init__(self, location: Resource) -> None:
        address = location.get("address", {})
        self.name = str(location.get("name", "")).casefold()
        self.city = str(address.get("city", "")).casefold()
        self.part_of = location_id(location.get("partOf"))
        point = location.get("position")
        self.position = (float(point["latitude"]), float(point["longitude"])) if point else None
        self.codes = frozenset(
            one["value"] for one in location.get("identifier", ()) if one.get("system") == NIS_CODE and "value" in one
        )
        self.postal: frozenset[str] = frozenset()
        kinds = _codes(
            [location.get("physicalType", {})], "http://terminology.hl7.org/CodeSystem/location-physical-type"
        )
        if self.codes or kinds & {"area", "jdn"}:  # an area; a site has a postal code too, but is none
            listed = {one["value"] for one in location.get("identifier", ()) if one.get("system") == POSTAL_CODE}
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


def read_offer(service_id: str, service: Resource, sites: Iterable[Place]) -> Offer:
    """Read the facts of a HealthcareService (profile social-service)."""
    youngest, oldest = _ages(service)
    return Offer(
        service_id,
        _codes(service.get("type", ()), NEED),
        _codes([*service.get("category", ()), *service.get("type", ())], SERVICE_TYPE),
        frozenset(location_id(one) or _UNKNOWN for one in service.get("coverageArea", ())),
        youngest,
        oldest,
        frozenset(
            one["code"].lower()
            for spoken in service.get("communication", ())
            for one in spoken.get("coding", ())
            if "code" in one
        ),
        frozenset(
            code
            for one in _extensions(service, f"{_SD}service-channel")
            for code in _codes([one.get("valueCodeableConcept", {})], CHANNEL)
        ),
        _capacity(service),
        _wait(service),
        _verified(service),
        tuple(_closures(service)),
        tuple(site.position for site in sites if site.position is not None),
        tuple(_seasons(service)),
        intern(str(service.get("providedBy", {}).get("reference", ""))),
    )


_UNKNOWN: Final = "?"
"""An area of which only the name is said: it is nobody's place, but the service is not offered everywhere either."""


def postal_key(code: str, country: str) -> str:
    """Return `BE-1800` or `NL-1811` for a postal code as people write it, "" for what is none."""
    text = "".join(code.upper().split()).replace("-", "")
    if text[:2] in ("BE", "NL"):
        country, text = text[:2], text[2:]
    digits, letters = text[:4], text[4:]
    if not (digits.isdigit() and len(digits) == 4 and (not letters or (letters.isalpha() and len(letters) == 2))):  # noqa: PLR2004  # the forms of both countries
        return ""
    return f"{'NL' if letters or country.upper() in ('NL', 'NLD') else 'BE'}-{digits}"


def _codes(concepts: Iterable[Resource], system: str) -> frozenset[str]:
    return frozenset(
        coding["code"]
        for concept in concepts
        for coding in concept.get("coding", ())
        if coding.get("system") == system and "code" in coding
    )


def _extensions(element: Resource, url: str) -> Iterator[Resource]:
    return (one for one in element.get("extension", ()) if one.get("url") == url)


def location_id(reference: Resource | None) -> str:
    """Return the id of the Location that a Reference names, "" for none."""
    text = str((reference or {}).get("reference", ""))
    return text.rpartition("/")[2] if "Location/" in text else ""


def _ages(service: Resource) -> tuple[float, float]:
    for extension in _extensions(service, f"{_SD}eligibility-age"):
        found = extension.get("valueRange", {})
        low, high = found.get("low", {}), found.get("high", {})
        return _years(low, 0.0), _years(high, math.inf)
    return 0.0, math.inf


def _years(quantity: Resource, otherwise: float) -> float:
    if "value" not in quantity:
        return otherwise
    return float(quantity["value"]) * _DAYS.get(quantity.get("code", "a"), _DAYS["a"]) / _DAYS["a"]


def _capacity(service: Resource) -> str:
    for extension in _extensions(service, _CAPACITY):
        for part in _extensions(extension, "capacityStatus"):
            for coding in part.get("valueCodeableConcept", {}).get("coding", ()):
                return str(coding.get("code", "unknown"))
    return "unknown"


def _wait(service: Resource) -> float | None:
    for extension in _extensions(service, f"{_SD}service-wait"):
        duration = extension.get("valueDuration", {})
        if "value" in duration and duration.get("code") in _DAYS:
            return float(duration["value"]) * _DAYS[duration["code"]]
    return None


def _verified(service: Resource) -> int | None:
    for extension in _extensions(service, f"{_SD}last-verified"):
        return parse_temporal(str(extension["valueDate"])).lo // 1000 if "valueDate" in extension else None
    return None


def _seasons(service: Resource) -> Iterator[Season]:
    for extension in _extensions(service, f"{_SD}service-season"):
        said = {one.get("url"): str(one.get("valueString", "")) for one in extension.get("extension", ())}
        season = read_season(said.get("start", ""), said.get("end", ""), said.get("description", ""))
        if season is not None:
            yield season


def _closures(service: Resource) -> Iterator[Closure]:
    for period in service.get("notAvailable", ()):
        during = period.get("during")
        if not during:  # "public holidays": no one can count with it
            continue
        interval = period_interval(during.get("start"), during.get("end"))
        yield Closure(interval.lo // 1000, interval.hi // 1000, str(period.get("description", "")))
