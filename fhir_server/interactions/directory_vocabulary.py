"""What the rules of an import look up in this server: codes by any of their texts, and areas by code, postcode or name."""

import re
from typing import Any

from fhir_server.interactions.context import Engine
from fhir_server.interactions.offer_facts import POSTAL_CODE, Place
from fhir_server.mapping.tables import fold_header
from fhir_server.model.codec import decode_stored
from fhir_server.model.errors import NotFound
from fhir_server.model.geojson import CONTENT_TYPES, BoundaryUnreadable, read_boundary
from fhir_server.search.query import And, Node, Query, SortKey, StringIs, TextMode, TokenIs
from fhir_server.search.text import normalise
from fhir_server.store.port import Row, Snapshot
from fhir_server.validation.wording import say
from fhir_server.workflow.codes import DUTCH_CODE
from fhir_server.workflow.codes import NIS_CODE as NIS

_MANY = 5000
"""More Locations than have one postal code or begin of a name."""
_NIS_CODE = re.compile(r"\d{5}")
_DUTCH_CODE = re.compile(r"GM\d{4}")
_BELGIAN = re.compile(r"(?:BE-?)?(\d{4})")
_DUTCH = re.compile(r"(?:NL-?)?(\d{4}) ?(?:[A-Z]{2})?")


class StoredVocabulary:
    """Looks up what is stored and remembers it for the length of one import (see `mapping.engine.Vocabulary`)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._texts: dict[str, dict[str, dict[str, Any]]] = {}
        self._areas: dict[str, dict[str, Any] | None] = {}

    def concept(self, system: str, text: str) -> dict[str, Any] | None:
        """Return the Coding of a system whose code, display or designation in any language this is."""
        if system not in self._texts:
            self._texts[system] = self._engine.store.read(lambda snapshot: self._index(system, snapshot))
        texts = self._texts[system]
        return texts.get(text) or texts.get(fold_header(text))

    def mapped(self, concept_map: str, system: str, code: str) -> dict[str, Any] | None:
        """Return the first Coding that a concept map gives for a code."""
        terminology = self._engine.terminology
        try:
            found = self._engine.store.read(
                lambda snapshot: terminology.on(snapshot).translate(system, code, concept_map=concept_map)
            )
        except NotFound:
            return None
        return {"system": found[0].system, "code": found[0].code} if found else None

    def area(self, text: str) -> dict[str, Any] | None:
        """Return a Reference to the area with this NIS code, postal code (Belgian, or Dutch as `NL-1811`), or name."""
        if text not in self._areas:
            self._areas[text] = self._find(text)
        return self._areas[text]

    def boundary_fault(self, data: str) -> str:
        """Say why GeoJSON in base64 is no boundary of an area, "" when it is one."""
        try:
            read_boundary({"contentType": CONTENT_TYPES[0], "data": data})
        except BoundaryUnreadable as error:
            return say("boundary", reason=say(error.fault, **error.values))
        return ""

    def _index(self, system: str, snapshot: Snapshot) -> dict[str, dict[str, Any]]:
        try:
            known = self._engine.terminology.on(snapshot).code_system(system)
        except NotFound:
            return {}
        texts: dict[str, dict[str, Any]] = {}
        language = self._engine.rulebook.wording.language
        for concept in known:
            coding = {"system": system, "code": concept.code, "display": concept.text(language)}
            for text in concept.texts():
                texts.setdefault(fold_header(text), coding)
            texts[concept.code] = coding
        return texts

    def _find(self, text: str) -> dict[str, Any] | None:
        for where in _conditions(text):
            for row in self._rows(Query("Location", where, (SortKey("_id"),), _MANY)):
                location = decode_stored(row.version.body or b"{}")
                place = Place(location)
                if not (place.codes or place.postal):  # a site, not an area
                    continue
                if not isinstance(where, StringIs) or fold_header(text) in _names(location):
                    return {"reference": f"Location/{location['id']}", "display": location.get("name", text)}
        return None

    def _rows(self, query: Query) -> list[Row]:
        return self._engine.store.read(lambda snapshot: snapshot.search(query))


def _conditions(text: str) -> list[Node]:
    upper = text.upper().strip()
    if _NIS_CODE.fullmatch(upper):
        return [TokenIs("identifier", NIS, upper)]
    if _DUTCH_CODE.fullmatch(upper):
        return [TokenIs("identifier", DUTCH_CODE, upper)]
    if match := _BELGIAN.fullmatch(upper):
        code = match[1]
        return [
            TokenIs("identifier", POSTAL_CODE, f"BE-{code}"),
            And((TokenIs("identifier", NIS, None), StringIs("address-postalcode", TextMode.EXACT, code))),
            StringIs("address-postalcode", TextMode.EXACT, code),
            *(() if upper.startswith("BE") else (TokenIs("identifier", POSTAL_CODE, f"NL-{code}"),)),
        ]
    if match := _DUTCH.fullmatch(upper):
        return [TokenIs("identifier", POSTAL_CODE, f"NL-{match[1]}")]
    return [StringIs("name", TextMode.STARTS, normalise(text))]


def _names(location: dict[str, Any]) -> set[str]:
    address = location.get("address", {})
    return {
        fold_header(str(text))
        for text in (
            location.get("name", ""),
            *location.get("alias", ()),
            address.get("city", ""),
            address.get("postalCode", ""),
        )
    }
