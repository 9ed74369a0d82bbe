"""In which areas of the directory a person lives: what the server notes on a referral for the link workers of those areas.

An area is a Location with a municipality code, or one whose physical type is an area. It is found by the codes of the
person's addresses, by the name of the municipality where there is no code; what it is part of counts too. Which areas there
are is said by operators: a Location that an organisation wrote is none.
"""

from collections.abc import Iterator
from typing import Final

from fhir_server.access.policies_nodes import WRITER, tagged
from fhir_server.interactions.offer_facts import POSTAL_CODE, Place, postal_key
from fhir_server.model.codec import decode_stored
from fhir_server.model.resource import Resource
from fhir_server.search.parameters import Registry
from fhir_server.search.parse import parse_search
from fhir_server.search.query import And, Node, Not, Query, SortKey, TokenIs
from fhir_server.store.port import Snapshot
from fhir_server.workflow.codes import DUTCH_CODE, NIS_CODE
from fhir_server.workflow.routing import Area, areas_of

_LEVELS: Final = 6
"""How many steps of Location.partOf are followed."""
_MOST: Final = 200
"""Locations that may share a code or a name; sites have postal codes and cities too."""


class Areas:
    """The areas of one store, as a unit of work sees them."""

    def __init__(self, snapshot: Snapshot, registry: Registry) -> None:
        self._snapshot = snapshot
        self._registry = registry

    def of(self, patient: Resource | None, now: str) -> tuple[str, ...]:
        """Return `Location/id` of every area that an address of a person lies in at an instant; () when none is known."""
        homes = areas_of(patient, now) if patient is not None else ()
        found = dict.fromkeys(identity for home in homes for identity in self._at(home))
        return tuple(sorted({f"Location/{above}" for identity in found for above in self._upwards(identity)}))

    def _at(self, home: Area) -> Iterator[str]:
        postal = postal_key(home.postal, home.country)
        codes = {("nis", home.municipality), ("postal", postal)} - {("nis", ""), ("postal", "")}
        if codes:
            yield from self._among(self._by_code(home, postal), codes)
        elif home.city:
            yield from self._among([self._said("address-city", home.city)], {("city", home.city)})

    def _by_code(self, home: Area, postal: str) -> Iterator[Node]:
        if home.municipality:
            for system in (NIS_CODE, DUTCH_CODE):
                yield TokenIs("identifier", system, home.municipality)
        if postal:
            yield TokenIs("identifier", POSTAL_CODE, postal)
            yield self._said("address-postalcode", postal.partition("-")[2])

    def _said(self, param: str, value: str) -> Node:
        escaped = value.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|").replace("$", "\\$")
        return parse_search(self._registry, "Location", ((param, escaped),), strict=True).where

    def _among(self, asked: Iterator[Node] | list[Node], keys: set[tuple[str, str]]) -> Iterator[str]:
        for node in asked:
            said = And((node, Not(TokenIs("_tag", WRITER, None))))
            for row in self._snapshot.search(Query("Location", said, (SortKey("_id"),), _MOST)):
                place = Place(decode_stored(row.version.body or b"null"))
                if not keys.isdisjoint(place.area_keys()):
                    yield row.version.id

    def _upwards(self, identity: str) -> Iterator[str]:
        for _ in range(_LEVELS):
            version = self._snapshot.current("Location", identity)
            found = decode_stored(version.body) if version is not None and version.body else None
            if found is None or tagged(found, WRITER):
                return
            yield identity
            identity = Place(found).part_of
