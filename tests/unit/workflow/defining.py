"""Questionnaires with definition-based extraction, and responses to them, for tests."""

from typing import Any

from fhir_server.model.resource import Resource
from fhir_server.workflow.screening_bundle import extracted
from fhir_server.workflow.screening_extraction import Extracted
from fhir_server.workflow.screening_form import SDC, read_form

R4 = "http://hl7.org/fhir/StructureDefinition/"
PATIENT = R4 + "Patient#Patient."
OBSERVATION = R4 + "Observation#Observation."
PROFILE = "https://vendor.example.org/StructureDefinition/"


def makes(canonical: str, **parts: str) -> Resource:
    """definitionExtract."""
    told = [{"url": name, "valueString": value} for name, value in parts.items()]
    return {"url": f"{SDC}definitionExtract", "extension": [{"url": "definition", "valueCanonical": canonical}, *told]}


def states(definition: str, expression: str = "", **fixed: Any) -> Resource:
    """definitionExtractValue, with an expression or a fixed value (`valueCode="final"`)."""
    value: Resource = {"url": "fixed-value", **fixed}
    if expression:
        value = {"url": "expression", "valueExpression": {"language": "text/fhirpath", "expression": expression}}
    told: list[Resource] = [{"url": "definition", "valueUri": definition}, value]
    return {"url": f"{SDC}definitionExtractValue", "extension": told}


def allocates(name: str) -> Resource:
    """extractAllocateId."""
    return {"url": f"{SDC}extractAllocateId", "valueString": name}


def item(link_id: str, type_: str = "string", definition: str = "", *extension: Resource, **more: Any) -> Resource:
    """An item; its `below` are the items within."""
    made: Resource = {"linkId": link_id, "type": type_}
    made |= {"definition": definition} if definition else {}
    made |= {"extension": list(extension)} if extension else {}
    below = more.pop("below", None)
    return {**made, **({"item": below} if below else {}), **more}


def form(*items: Resource, extension: tuple[Resource, ...] = ()) -> Resource:
    """A questionnaire."""
    told = {"extension": list(extension)} if extension else {}
    return {"resourceType": "Questionnaire", "status": "active", **told, "item": list(items)}


def said(link_id: str, *values: Any, below: tuple[Resource, ...] = ()) -> Resource:
    """An item of a response; a text, or (member, value) for each answer, `below` the items within the first answer or the group."""
    answers: list[Resource] = [{"valueString": one} if isinstance(one, str) else {one[0]: one[1]} for one in values]
    if answers and below:
        answers[0] = {**answers[0], "item": list(below)}
    return {
        "linkId": link_id,
        **({"answer": answers} if answers else {}),
        **({"item": list(below)} if below and not answers else {}),
    }


def answers(*items: Resource, **more: Any) -> Resource:
    """A completed response."""
    return {"resourceType": "QuestionnaireResponse", "id": "r1", "status": "completed", "item": list(items), **more}


def profile(name: str, type_: str, *elements: Resource, **more: Any) -> Resource:
    """A StructureDefinition with a differential."""
    return {
        "resourceType": "StructureDefinition", "url": PROFILE + name, "name": "Vendors", "status": "active", "kind": "resource",
        "abstract": False, "type": type_, "baseDefinition": R4 + type_, "derivation": "constraint",
        "differential": {"element": [{"path": str(one["id"]), **one} for one in elements]}, **more,
    }  # fmt: skip


def made_of(questionnaire: Resource, response: Resource, *profiles: Resource) -> list[Extracted]:
    """Return all that is extracted."""
    known = {str(one["url"]): one for one in profiles}
    return extracted(read_form(questionnaire), response, "basis", "QuestionnaireResponse/r1", definitions=known.get)[1]


def resources(questionnaire: Resource, response: Resource, *profiles: Resource) -> list[Resource]:
    """Return the resources that are extracted, without the identifier of the extraction."""
    found = []
    for one in made_of(questionnaire, response, *profiles):
        kept = [each for each in one.resource.get("identifier", ()) if each.get("value") != one.urn]
        bare = {name: value for name, value in one.resource.items() if name != "identifier"}
        found.append({**bare, **({"identifier": kept} if kept else {})})
    return found
