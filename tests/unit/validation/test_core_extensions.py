"""R4's own extensions: where they may stand and what they hold."""

from typing import Any

import pytest

from fhir_server.artifacts.catalog import Catalog
from fhir_server.validation.core_extensions import _table, core_extension, may_stand
from fhir_server.validation.pipeline import Validator

VALIDATOR = Validator.load()
HL7 = "http://hl7.org/fhir/StructureDefinition/"
LANG = {"url": "lang", "valueCode": "fr"}
CONTENT = {"url": "content", "valueString": "Jean"}


def ext(name: str, **members: Any) -> dict[str, Any]:
    return {"url": HL7 + name, **members}


def patient(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **members}


def told(resource: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one.key, one.expression) for one in VALIDATOR.report(resource)]


@pytest.mark.parametrize(
    "resource",
    [
        patient(birthDate="1990-01-01", _birthDate={"extension": [ext("patient-birthTime", valueDateTime="1990-01-01T10:00:00Z")]}),
        patient(name=[{"family": "de Vries", "_family": {"extension": [ext("humanname-own-name", valueString="Vries")]}}]),
        patient(address=[{"line": ["Kerkstraat 1"], "_line": [{"extension": [ext("iso21090-ADXP-streetName", valueString="Kerkstraat")]}]}]),
        patient(address=[{"city": "Gent", "extension": [ext("geolocation", extension=[{"url": "latitude", "valueDecimal": 51.0}, {"url": "longitude", "valueDecimal": 3.7}])]}]),
        patient(extension=[ext("resource-pertainsToGoal", valueReference={"reference": "Goal/1"})]),
        patient(extension=[ext("data-absent-reason", valueCode="unknown")], _gender={"extension": [ext("data-absent-reason", valueCode="unknown")]}),
        patient(name=[{"text": "x", "_text": {"extension": [ext("translation", extension=[LANG, CONTENT])]}}]),
        patient(extension=[{"url": "http://example.org/unknown", "valueString": "x"}]),
        {"resourceType": "ServiceRequest", "status": "draft", "intent": "order", "subject": {"reference": "Patient/1"},
         "performer": [{"display": "x", "extension": [ext("event-performerFunction", valueCodeableConcept={"text": "x"})]}]},
    ],
)  # fmt: skip
def test_an_extension_in_its_place_is_accepted(resource: dict[str, Any]) -> None:
    assert told(resource) == []


@pytest.mark.parametrize(
    ("resource", "issue"),
    [
        (patient(extension=[ext("humanname-own-name", valueString="x")]), ("extension-context", "Patient.extension[0]")),
        (patient(birthDate="1990-01-01", _birthDate={"extension": [ext("humanname-own-name", valueString="x")]}),
         ("extension-context", "Patient.birthDate.extension[0]")),
        (patient(name=[{"given": ["a", "b"], "_given": [None, {"extension": [ext("iso21090-ADXP-streetName", valueString="x")]}]}]),
         ("extension-context", "Patient.name[0].given[1].extension[0]")),
        (patient(extension=[ext("resource-pertainsToGoal", valueString="x")]), ("extension-value", "Patient.extension[0]")),
        (patient(extension=[ext("patient-birthPlace", extension=[{"url": "u:x", "valueString": "x"}])]),
         ("extension-value", "Patient.extension[0]")),
        (patient(address=[{"city": "Gent", "extension": [ext("geolocation", extension=[{"url": "latitude", "valueDecimal": 51.0}])]}]),
         ("cardinality-min", "Patient.address[0].extension[0]")),
        (patient(address=[{"city": "Gent", "extension": [ext("geolocation", valueString="x")]}]),
         ("extension-value", "Patient.address[0].extension[0]")),
        (patient(name=[{"text": "x", "_text": {"extension": [ext("translation", extension=[LANG, LANG, CONTENT])]}}]),
         ("cardinality-max", "Patient.name[0].text.extension[0]")),
    ],
)  # fmt: skip
def test_an_extension_elsewhere_or_with_other_content_is_refused(
    resource: dict[str, Any], issue: tuple[str, str]
) -> None:
    assert issue in told(resource)
    assert VALIDATOR.judge(resource).issues == (), "a plain resource is not policed on write"


def test_every_context_in_the_table_is_a_place_of_r4() -> None:
    lost = []
    for name in _table():
        known = core_extension(HL7 + name)
        assert known is not None
        assert known.contexts
        lost += [place for place in known.places if not place or " " in place]
    assert lost == []
    assert core_extension("http://example.org/x") is None
    assert core_extension(HL7 + "nothing") is None


def test_a_type_that_specialises_another_takes_its_extensions() -> None:
    assert may_stand(("Quantity",), "Age")
    assert may_stand(("Resource",), "Patient")
    assert may_stand(("string",), "markdown")
    assert not may_stand(("Patient",), "Person")


def test_codes_that_a_known_system_lacks_and_relative_systems_are_warned_of() -> None:
    judge = Validator.load(Catalog.load())
    status = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"
    resource = patient(
        identifier=[{"system": "numbers", "value": "1"}, {"system": "urn:oid:1.2.3", "value": "1"}],
        maritalStatus={"coding": [{"system": status, "code": "M"}, {"system": status, "code": "banana"}]},
        generalPractitioner=[{"identifier": {"system": "http://example.org/x", "value": "1"}}],
    )
    assert [(one.severity, one.key, one.expression) for one in judge.report(resource)] == [
        ("warning", "identifier-system", "Patient.identifier[0].system"),
        ("warning", "unknown-code", "Patient.maritalStatus.coding[1].code"),
    ]
    assert judge.judge(resource).issues == ()
    unknown = patient(maritalStatus={"coding": [{"system": "http://example.org/not-loaded", "code": "x"}]})
    assert judge.report(unknown) == []
