"""The directory as `$suggest` needs it: the facts of every active service in memory, kept up to date from the change feed.

Built after the start where services are many, else at first use; from the store alone, so that any number of processes
have the same. A service that changes is taken in again at the next call; a Location that changes (its position, what it
is part of) touches the services that name it.
"""

import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import product
from operator import itemgetter
from threading import Lock
from typing import Any, Final

from fhir_server.interactions.offer_boundaries import Boundaries
from fhir_server.interactions.offer_extensions import Fault, read_extensions
from fhir_server.interactions.offer_facts import Place, location_id, read_offer
from fhir_server.model.errors import FhirError
from fhir_server.model.resource import Resource
from fhir_server.search.includes import part_reader
from fhir_server.search.query import EVERYTHING, Query, SortKey
from fhir_server.store.port import Snapshot, Store, Version
from fhir_server.workflow.codes import CONTACT_POINT
from fhir_server.workflow.suggestion_facts import Offer

_TYPES: Final = ("HealthcareService", "Location")
_OF_LOCATION: Final = ("name", "address", "partOf", "position", "identifier", "physicalType", "extension")
_OF_SERVICE: Final = (
    "active", "location", "type", "category", "coverageArea", "communication", "extension", "notAvailable",
    "providedBy",
)  # fmt: skip
"""The members that count; the others are skipped."""
_PAGE: Final = 1000
_MANY: Final = 1000
"""Services that take more than a tenth of a second to read."""
_LITTLE: Final = 50
"""Changes that are taken in within a few milliseconds."""
_SERVICES: Final = Query("HealthcareService", EVERYTHING)
_LEVELS: Final = 6
"""How many steps of Location.partOf a place may lie below the area that covers it."""


class Directory:
    """All active services by what they answer and where; `fresh` brings it up to a snapshot."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sequence = -1
        self._offers: dict[str, Offer] = {}
        self._same: dict[Any, Any] = {}
        self._places: dict[str, Place] = {}
        self._by_key: dict[tuple[str, str], dict[str, Offer]] = defaultdict(dict)
        self._areas: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._boundaries = Boundaries()
        self._faults: dict[str, tuple[Fault, ...]] = {}
        self._users: dict[str, set[str]] = defaultdict(set)
        self._contact_points: set[str] = set()

    @property
    def contact_points(self) -> frozenset[str]:
        """The ids of the services that are the contact point of an area."""
        return frozenset(self._contact_points)

    @property
    def warm(self) -> bool:
        """Whether it was built, so that `fresh` is quick."""
        return self._sequence >= 0

    def is_near(self, snapshot: Snapshot) -> bool:
        """Whether `fresh` takes no longer than a search does: it was built, and little has changed since."""
        if not self.warm or self._lock.locked():
            return False
        known = self._sequence
        return (
            snapshot.last_sequence() - known < _LITTLE  # elsewhere in the store there may be any number of changes
            or len(snapshot.changes(known, _LITTLE, _TYPES)) < _LITTLE
        )

    def fresh(self, snapshot: Snapshot) -> None:
        """Take in what changed since the last call."""
        newest = snapshot.last_sequence()
        if newest == self._sequence:
            return
        with self._lock:
            if self._sequence < 0:
                self._build(snapshot)
            else:
                self._follow(snapshot)
            self._sequence = max(self._sequence, newest)

    def warm_up(self, store: Store) -> None:
        """Build it beside the requests, where there are so many services that the first to ask would wait."""

        def work() -> None:
            with suppress(FhirError):  # then the first call builds it, or says why not
                if store.read(lambda snapshot: snapshot.count(_SERVICES, _MANY)) >= _MANY:
                    store.read(self.fresh)

        store.run_async(work)

    def offer(self, service_id: str) -> Offer | None:
        """Return one active service."""
        return self._offers.get(service_id)

    def candidates(self, codes: Iterable[str], areas: Iterable[str]) -> list[Offer]:
        """Return the services that name one of the codes and cover one of the areas, or everything."""
        wanted = (*areas, "")
        found: dict[str, Offer] = {}
        for key in product(codes, wanted):
            found.update(self._by_key.get(key, _NO_OFFERS))
        return list(found.values())

    def answering(self, codes: Iterable[str]) -> list[Offer]:
        """Return all services that name one of the codes, wherever they work, in the order of their ids."""
        wanted = frozenset(codes)
        found = [
            offer
            for offer in tuple(self._offers.values())  # others may take in a change meanwhile
            if not (wanted.isdisjoint(offer.needs) and wanted.isdisjoint(offer.types))
        ]
        return sorted(found, key=_ID)

    def areas_by(self, *, nis: str = "", postal: str = "", city: str = "") -> frozenset[str]:
        """Return the ids of the areas that a code or name stands for, with all that they are part of."""
        found: set[str] = set()
        for kind, text in (("nis", nis), ("postal", postal), ("city", city.casefold())):
            found |= self._areas.get((kind, text), _NONE) if text else _NONE
        return frozenset(above for name in found for above in self._upwards(name))

    def areas_at(self, position: tuple[float, float]) -> frozenset[str]:
        """Return the ids of the areas whose boundary a position (latitude, longitude) lies in, with all they are part of."""
        return frozenset(above for name in self._boundaries.at(position) for above in self._upwards(name))

    def unread(self, codes: Iterable[str], areas: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """Return the areas whose boundary cannot be read, and why: those that count for these codes, the known ones aside."""
        wanted, known = tuple(codes), frozenset(areas)
        return tuple(
            (name, why)
            for name, why in sorted(self._boundaries.unread())
            if any(self._by_key.get((code, above)) for above in {*self._upwards(name)} - known for code in wanted)
        )

    def faults(self, codes: Iterable[str], areas: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """Return what cannot be read of the services that name one of the codes and cover one of the areas, or everything."""
        known = self._faults.keys()
        if not known:
            return ()
        keys = product(codes, (*areas, ""))
        found = {name for key in keys for name in self._by_key.get(key, _NO_OFFERS).keys() & known}
        return tuple((name, str(fault.why)) for name in sorted(found) for fault in self._faults.get(name, ()))

    def middle(self, areas: Iterable[str]) -> tuple[float, float] | None:
        """Return the position of the first of these areas that has one or a boundary, the smallest first."""
        for name in sorted(areas, key=lambda name: (-len(list(self._upwards(name))), name)):
            place = self._places.get(name)
            if place is not None and (position := place.position or self._boundaries.middle(name)):
                return position
        return None

    def smallest(self, areas: Iterable[str]) -> str:
        """Return the area that lies within the others, "" of none."""
        return min(areas, key=lambda name: (-len(list(self._upwards(name))), name), default="")

    def _build(self, snapshot: Snapshot) -> None:
        """Take in the whole directory. It is not looked through for cycles of garbage: it stays."""
        collecting = gc.isenabled()
        gc.disable()
        try:
            for resource_type in ("Location", "HealthcareService"):
                for version in _all(snapshot, resource_type):
                    self._take(snapshot, version)
        finally:
            if collecting:
                gc.enable()
        gc.freeze()

    def _follow(self, snapshot: Snapshot) -> None:
        after = self._sequence
        while page := snapshot.changes(after, _PAGE, _TYPES):
            for version in page:
                current = snapshot.current(version.type, version.id)
                if current is not None and current.sequence == version.sequence:
                    self._take(snapshot, version)
            after = page[-1].sequence
        self._sequence = max(self._sequence, after)

    def _take(self, snapshot: Snapshot, version: Version) -> None:
        if version.type == "Location":
            self._take_place(version)
            for service_id in tuple(self._users.get(version.id, ())):
                current = snapshot.current("HealthcareService", service_id)
                if current is not None:
                    self._take(snapshot, current)
            return
        self._drop(version.id)
        if version.body is None:
            return
        service = part_reader(_OF_SERVICE)(version.body)
        if service.get("active") is not False:
            self._add(version.id, service)

    def _take_place(self, version: Version) -> None:
        before = self._places.pop(version.id, None)
        for key in before.area_keys() if before is not None else ():
            self._areas[key].discard(version.id)
        self._boundaries.drop(version.id)
        if version.body is not None:
            location = part_reader(_OF_LOCATION)(version.body)
            self._boundaries.put(version.id, location)
            place = self._places[version.id] = Place(location)
            for key in place.area_keys():
                self._areas[key].add(version.id)

    def _add(self, service_id: str, service: Resource) -> None:
        sites = [location_id(one) for one in service.get("location", ())]
        facts = read_extensions(service)
        offer = read_offer(service_id, service, facts, [self._places[one] for one in sites if one in self._places])
        if facts.faults:
            self._faults[service_id] = facts.faults
        same = self._same.setdefault  # many offers say the same of themselves
        offer = offer._replace(
            needs=same(offer.needs, offer.needs),
            types=same(offer.types, offer.types),
            areas=same(offer.areas, offer.areas),
            languages=same(offer.languages, offer.languages),
            channels=same(offer.channels, offer.channels),
            youngest=same(offer.youngest, offer.youngest),
            oldest=same(offer.oldest, offer.oldest),
            capacity=same(offer.capacity, offer.capacity),
            wait_days=same(offer.wait_days, offer.wait_days),
            verified_ms=same(offer.verified_ms, offer.verified_ms),
        )
        self._offers[service_id] = offer
        for key in _keys(offer):
            self._by_key[key][service_id] = offer
        for site in sites:
            self._users[site].add(service_id)
        if CONTACT_POINT in offer.types:
            self._contact_points.add(service_id)

    def _drop(self, service_id: str) -> None:
        offer = self._offers.pop(service_id, None)
        self._contact_points.discard(service_id)
        self._faults.pop(service_id, None)
        for key in _keys(offer) if offer is not None else ():
            self._by_key[key].pop(service_id, None)

    def _upwards(self, name: str) -> Iterator[str]:
        for _ in range(_LEVELS):
            yield name
            place = self._places.get(name)
            if place is None or not place.part_of:
                return
            name = place.part_of


_NONE: frozenset[str] = frozenset()
_ID: Final = itemgetter(Offer._fields.index("id"))
_NO_OFFERS: Mapping[str, Offer] = {}


def _keys(offer: Offer) -> Iterator[tuple[str, str]]:
    """Yield (code, area) by which an offer is found; the area is "" for one that works everywhere."""
    return product(offer.needs | offer.types, offer.areas or ("",))


def _all(snapshot: Snapshot, resource_type: str) -> Iterator[Version]:
    after: tuple[Any, ...] = ()
    while True:
        rows = snapshot.search(Query(resource_type, EVERYTHING, (SortKey("_id"),), _PAGE, after))
        for row in rows:
            yield row.version
        if len(rows) < _PAGE:
            return
        after = rows[-1].position
