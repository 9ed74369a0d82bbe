"""ConceptMap/$translate: from a code to codes of another system, both directions (R4 conceptmap-operation-translate.html)."""

from collections.abc import Iterable, Iterator
from typing import Final

from fhir_server.interactions.context import Engine
from fhir_server.interactions.operation import Operation, Reading
from fhir_server.interactions.operations.coded import Coded, coded
from fhir_server.interactions.operations.parameters import Inputs, answer, out, parts, read_inputs
from fhir_server.interactions.request import Place, Request, Result
from fhir_server.interactions.stored_terminology import Terminology
from fhir_server.model.resource import Resource
from fhir_server.store.port import Snapshot
from fhir_server.terminology.concept_maps import NO_MATCH, MapIndex, Match

TRANSLATE: Final = "https://w3id.org/social-referral/OperationDefinition/concept-map-translate"


def translate(engine: Engine, request: Request, place: Place) -> Operation:
    """Return the matches of a code: those of one map, or of all maps that lead from `source` to `target`."""
    inputs = read_inputs(engine, request, TRANSLATE)
    codes = coded(inputs, "version")
    if len(inputs.given("url", "conceptMap")) + bool(place.id) > 1:
        raise inputs.refuse("name one concept map only: by id, url or conceptMap.", "url")
    if not all(one.system for one in codes):
        raise inputs.refuse("name the code system with system.", *inputs.given("code", "coding", "codeableConcept"))
    reverse, wanted = inputs.flag("reverse"), inputs.text("targetsystem").partition("|")[0]

    def work(snapshot: Snapshot) -> Result:
        service = engine.terminology.on(snapshot)
        concept_map = _concept_map(service, inputs, place)
        matches = [
            match
            for sent in codes
            for match in service.translate(
                sent.system.partition("|")[0],
                sent.code,
                inputs.text("target"),
                concept_map,
                source=inputs.text("source"),
                reverse=reverse,
            )
            if not wanted or match.system == wanted
        ]
        return answer(_outputs(service, codes, matches))

    return Reading(work, heavy=True)


def _concept_map(service: Terminology, inputs: Inputs, place: Place) -> MapIndex | str:
    if place.id:
        found: MapIndex = service.instance("ConceptMap", place.id)
        return found
    if inputs.given("conceptMap"):
        return MapIndex(inputs.value("conceptMap"))
    return service.concept_map(inputs.canonical("url", "conceptMapVersion")) if inputs.given("url") else ""


def _outputs(service: Terminology, codes: Iterable[Coded], matches: Iterable[Match]) -> Iterator[Resource]:
    found = list(matches)
    translated = any(match.equivalence not in NO_MATCH for match in found)
    yield out("result", "Boolean", translated)
    if not translated:
        sent = ", ".join(f"{one.code!r} of {one.system}" for one in codes)
        yield out("message", "String", f"No concept map here translates {sent} as asked.")
    for match in found:
        yield parts("match", _match(service, match))


def _match(service: Terminology, match: Match) -> Iterator[Resource]:
    yield out("equivalence", "Code", match.equivalence)
    if match.code:
        yield out("concept", "Coding", _coding(service, match.system, match.code, match.display))
    for product in match.products:
        coding = _coding(service, product.get("system", ""), product["value"], product.get("display", ""))
        yield parts("product", (out("element", "Uri", product["property"]), out("concept", "Coding", coding)))
    if match.map:
        yield out("source", "Uri", match.map)


def _coding(service: Terminology, system: str, code: str, display: str) -> Resource:
    coding: Resource = {"system": system} if system else {}
    coding["code"] = code
    if not display and (known := service.source.code_systems.get(system)) and (concept := known.get(code)):
        display = concept.display
    if display:
        coding["display"] = display
    return coding
