"""Observation-based extraction (SDC): answers of items with a code and `observationExtract` become Observations.

An Observation of the category social-history is a NeedObservation, one of the category survey a ScreeningScore with its
rule (method), its bands (referenceRange) and the band it lies in (interpretation).
"""

from collections.abc import Iterator
from typing import Any, Final

from fhir_server.model.resource import Resource
from fhir_server.workflow.codes import CANONICAL
from fhir_server.workflow.screening_extraction import (
    Extracted,
    Source,
    answer_key,
    identified,
    is_instant,
    place_key,
    refers_to,
)
from fhir_server.workflow.screening_flow import Given, value_of
from fhir_server.workflow.screening_form import HL7, SDC, Question, extension, extensions
from fhir_server.workflow.screening_scores import Band, bands

SCORE_RULE: Final = f"{CANONICAL}/StructureDefinition/score-rule"
NEED_PROFILE: Final = f"{CANONICAL}/StructureDefinition/need-observation"
SCORE_PROFILE: Final = f"{CANONICAL}/StructureDefinition/screening-score"
_EXTRACT: Final = SDC + "observationExtract"
_CATEGORY: Final = SDC + "observation-extract-category"
_COPIED: Final = (
    f"{CANONICAL}/StructureDefinition/life-domain",
    f"{CANONICAL}/StructureDefinition/vulnerability-dimension",
)
_SCORES: Final = ("valueQuantity", "valueInteger", "valueCodeableConcept")
_PERFORMERS: Final = ("Practitioner", "PractitionerRole", "Organization", "CareTeam", "Patient", "RelatedPerson")
_SAME: Final = {"valueBoolean", "valueInteger", "valueString", "valueQuantity", "valueTime", "valueDateTime"}


def observations(source: Source) -> Iterator[Extracted]:
    """Yield an Observation for each answer that becomes one, in the order of the response."""
    for given in source.answered():
        question = given.question
        codes = extracted_codes(question) if question is not None else ()
        if question is None or not codes:
            continue
        for answer in given.answers:
            value = _value(question, *value_of(answer))
            if value is not None:
                key = answer_key(given, answer)
                urn = source.urn(f"observation/{place_key(given)}/{key}")
                yield Extracted(urn, _observation(source, given, codes, value, urn), question.link_id, key)


def extracted_codes(question: Question) -> tuple[Resource, ...]:
    """Return the codes under which the answer of an item becomes an Observation; none when it becomes none."""
    marked = tuple(code for code in question.codes if extension(code, _EXTRACT) is True)
    found = marked or (question.codes if question.inherited(_EXTRACT) is True else ())
    return tuple({name: part for name, part in code.items() if name != "extension"} for code in found)


def meaning_of(question: Question, value: Any) -> Band | None:
    """Return the band in which a score lies, None when no band holds it."""
    return next((band for band in bands(question) if band.holds(value)), None)


def _value(question: Question, name: str, value: Any) -> tuple[str, Any] | None:
    """Return the value as an Observation has it; None for what no Observation can hold."""
    unit = extension(question.raw, HL7 + "questionnaire-unit")
    if name == "valueDecimal" or (name == "valueInteger" and unit is not None):
        about = {"unit": unit.get("display", unit.get("code", "")), **_coded(unit)} if unit else {}
        return "valueQuantity", {"value": value, **{key: part for key, part in about.items() if part}}
    if name == "valueCoding":
        bare = {key: part for key, part in value.items() if key != "extension"}
        return "valueCodeableConcept", {"coding": [bare]}
    if name == "valueDate":
        return "valueDateTime", value
    return (name, value) if name in _SAME else None


def _coded(unit: Resource) -> Resource:
    return {name: unit[name] for name in ("system", "code") if name in unit}


def _observation(
    source: Source, given: Given, codes: tuple[Resource, ...], value: tuple[str, Any], urn: str
) -> Resource:
    question, response = given.question, source.response
    assert question is not None  # noqa: S101  # the caller asked
    categories = _categories(question)
    found: Resource = {"resourceType": "Observation"}
    kinds = {coding.get("code") for category in categories for coding in category.get("coding", ())}
    if "social-history" in kinds:
        found["meta"] = {"profile": [NEED_PROFILE]}
    elif "survey" in kinds and value[0] in _SCORES:
        found["meta"] = {"profile": [SCORE_PROFILE]}
    copied = [one for url in _COPIED for one in extensions(question.raw, url)]
    if copied:
        found["extension"] = copied
    found |= identified(source, urn)
    found["status"] = "final"
    if categories:
        found["category"] = categories
    found["code"] = {"coding": list(codes), **({"text": question.raw["text"]} if "text" in question.raw else {})}
    if "encounter" in response:
        found["encounter"] = response["encounter"]
    found["effectiveDateTime"] = source.authored
    if is_instant(source.authored):
        found["issued"] = source.authored
    if refers_to(source.author, *_PERFORMERS):
        found["performer"] = [source.author]
    found[value[0]] = value[1]
    return found | _reading(question, value) | {"derivedFrom": [{"reference": source.reference}]}


def _categories(question: Question) -> list[Resource]:
    one: Question | None = question
    while one is not None:
        if found := extensions(one.raw, _CATEGORY):
            return [each["valueCodeableConcept"] for each in found]
        one = one.parent
    return []


def _reading(question: Question, value: tuple[str, Any]) -> Resource:
    """Return how a score is read: its band, the rule that made it, and all bands."""
    number = value[1]["value"] if value[0] == "valueQuantity" else value[1]
    found: Resource = {}
    known = bands(question) if value[0] in ("valueQuantity", "valueInteger") else ()
    band = meaning_of(question, number) if known else None
    if band is not None:
        found["interpretation"] = [band.meaning]
    rule = extension(question.raw, SCORE_RULE)
    if rule is not None:
        found["method"] = {"coding": [rule]}
    if known:
        unit = {name: part for name, part in value[1].items() if name != "value"} if value[0] == "valueQuantity" else {}
        found["referenceRange"] = [_range(one, unit) for one in known]
    return found


def _range(band: Band, unit: Resource) -> Resource:
    found: Resource = {}
    if band.low is not None:
        found["low"] = {"value": band.low, **unit}
    if band.high is not None:
        found["high"] = {"value": band.high, **unit}
    text = next((one["display"] for one in band.meaning.get("coding", ()) if "display" in one), "")
    return {**found, "text": band.meaning.get("text") or text or "-"}
