"""What `$suggest` answers, as a list and a map: services with their reasons, distance, waiting time and place."""

from collections.abc import Iterable
from math import cos, hypot, radians
from typing import Any, Final, NamedTuple

from fhir_server.http.pages.fhir import Fhir
from fhir_server.http.pages.words import PROFILE, addresses, capacity_of, extension, labels, reference_of, said
from fhir_server.model.resource import Resource
from fhir_server.search.bundle import DISTANCE_URL

_KILOMETRES_PER_DEGREE: Final = 111.2
_HALF: Final = 150.0
"""Half the side of the map, in its own units."""
_EDGE: Final = 24.0
_AROUND: Final = tuple((dx, dy) for ring in (1, 2, 3) for dx in range(-ring, ring + 1) for dy in range(-ring, ring + 1))
"""Where a dot may go, in steps of its size, the nearest first."""
_RINGS: Final = (1, 2, 5, 10, 20, 50, 100)


class Suggestion(NamedTuple):
    """One service that fits."""

    id: str
    name: str
    provider: str
    organization: str
    comment: str
    reasons: list[str]
    kilometres: float | None
    wait: tuple[str, str]
    """How long one waits: number and unit (d, wk, mo), empty when it is not said."""
    capacity: str
    phone: str
    addresses: list[str]
    languages: list[str]
    position: tuple[float, float] | None


class Dot(NamedTuple):
    """A place on the map, in its units from the middle; `number` is that of the list."""

    number: int
    name: str
    x: float
    y: float


class Map(NamedTuple):
    """Places around a home; north is up, and the ring lies `kilometres` from the middle."""

    dots: list[Dot]
    ring: float
    kilometres: int


class Suggested(NamedTuple):
    """The answer to one question."""

    services: list[Suggestion]
    excluded: list[tuple[str, str]]
    """Name of a service that was left out, and why."""
    fallback: bool
    """Whether nothing fits and the contact point of the area is named instead."""
    map: Map | None


async def suggested(fhir: Fhir, query: Iterable[tuple[str, str]], place: str) -> Suggested:
    """Ask `$suggest`. Raises FhirError as it refuses."""
    bundle = await fhir.operation("HealthcareService/$suggest", *query)
    entries = bundle.get("entry", ())
    providers = {
        f"Organization/{one['resource']['id']}": str(one["resource"].get("name", ""))
        for one in entries
        if one["resource"]["resourceType"] == "Organization"
    }
    spoken = labels(await fhir.choices("service-channel"))
    found = [
        await _suggestion(fhir, one, providers, spoken)
        for one in entries
        if one["resource"]["resourceType"] == "HealthcareService"
    ]
    issues = [
        issue
        for one in entries
        if one["resource"]["resourceType"] == "OperationOutcome"
        for issue in one["resource"]["issue"]
    ]
    home = _position(await area_of(fhir, place))
    return Suggested(found, await _excluded(fhir, issues), bundle.get("total", 0) == 0, _map(found, home))


def place_query(place: str) -> tuple[str, str]:
    """Return the parameter of `$suggest` that a place is: a postal code when it holds a digit, else a municipality."""
    return ("postal-code" if any(letter.isdecimal() for letter in place) else "city", place)


async def _suggestion(fhir: Fhir, entry: Resource, providers: dict[str, str], spoken: dict[str, str]) -> Suggestion:
    service, search = entry["resource"], entry.get("search", {})
    organization = reference_of(service.get("providedBy"))
    reasons: list[str] = []
    metres: Any = None
    for one in search.get("extension", ()):
        if one["url"] == f"{PROFILE}/suggestion-reason":
            reasons.append(str(one["valueCodeableConcept"].get("text", "")))
        elif one["url"] == DISTANCE_URL:
            metres = one["valueDistance"]["value"]
    wait = extension(service, "service-wait") or {}
    site = await fhir.seen(next((reference_of(one) for one in service.get("location", ())), ""))
    return Suggestion(
        service["id"],
        str(service.get("name", service["id"])),
        providers.get(organization, ""),
        organization,
        str(service.get("comment", "")),
        reasons,
        float(metres) / 1000 if metres is not None else None,
        (str(wait.get("value", "")), str(wait.get("code", ""))),
        capacity_of(service),
        next(
            (one["value"] for one in service.get("telecom", ()) if one.get("system") == "phone" and "value" in one), ""
        ),
        addresses({"address": [site["address"]]}) if site is not None and "address" in site else [],
        [said(one, spoken) for one in service.get("communication", ())],
        _position(site),
    )


async def _excluded(fhir: Fhir, issues: Iterable[Resource]) -> list[tuple[str, str]]:
    found = []
    for issue in issues:
        service = next((reference_of(one.get("valueReference")) for one in issue.get("extension", ())), "")
        if service:
            read = await fhir.seen(service)
            found.append((str((read or {}).get("name", service)), said(issue.get("details"))))
    return found


async def area_of(fhir: Fhir, place: str) -> Resource | None:
    """Return the area with a position that a postal code or a municipality is, None when there is none."""
    name, text = place_query(place)
    for query in (("address-postalcode" if name == "postal-code" else "address-city", text), ("name:exact", text)):
        found = await fhir.search("Location", query, ("_count", "20"))
        for one in found.matches:
            kinds = (one.get("physicalType") or {}).get("coding", ())
            if any(code.get("code") == "area" for code in kinds) and "position" in one:
                return one
    return None


def _position(location: Resource | None) -> tuple[float, float] | None:
    position = (location or {}).get("position")
    return (float(position["latitude"]), float(position["longitude"])) if position else None


def _map(services: Iterable[Suggestion], home: tuple[float, float] | None) -> Map | None:
    """Lay the services around the home on a plane; at the size of a region that is true enough."""
    if home is None:
        return None
    stretch = _KILOMETRES_PER_DEGREE * cos(radians(home[0]))
    places = [
        (number, one.name, (one.position[1] - home[1]) * stretch, (home[0] - one.position[0]) * _KILOMETRES_PER_DEGREE)
        for number, one in enumerate(services, 1)
        if one.position is not None
    ]
    if not places:
        return None
    farthest = max(max(abs(x), abs(y)) for _, _, x, y in places) or 1.0
    scale = (_HALF - _EDGE) / farthest
    kilometres = max((ring for ring in _RINGS if ring * scale <= _HALF), default=0)
    near = [(number, name, x * scale, y * scale) for number, name, x, y in places]
    return Map(_apart(near), kilometres * scale, kilometres)


def _apart(places: list[tuple[int, str, float, float]]) -> list[Dot]:
    """Move dots aside that would cover one another, so that each number can be read."""
    found: list[Dot] = []
    most = _HALF - _EDGE / 2
    for number, name, at, up in places:
        spots = [(at, up), *((at + _EDGE * dx, up + _EDGE * dy) for dx, dy in _AROUND)]
        inside = [spot for spot in spots if max(abs(spot[0]), abs(spot[1])) <= most] or [(at, up)]
        taken = [(0.0, 0.0), *((one.x, one.y) for one in found)]  # the home first
        free = [spot for spot in inside if all(hypot(spot[0] - x, spot[1] - y) >= _EDGE * 0.9 for x, y in taken)]
        chosen = (free or inside)[0]
        found.append(Dot(number, name, round(chosen[0], 1), round(chosen[1], 1)))
    return found
