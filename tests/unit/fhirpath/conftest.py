"""Invented resources that the expressions of the tables are evaluated on."""

from typing import Any

import pytest

from fhir_server.model.codec import decode_resource

PATIENT = b"""{
 "resourceType": "Patient", "id": "p1", "active": true,
 "meta": {"versionId": "3", "profile": ["http://a.example/p"]},
 "contained": [{"resourceType": "Organization", "id": "o1", "name": "Buurthuis"},
               {"resourceType": "Practitioner", "id": "d1"}],
 "name": [
  {"use": "official", "family": "Jansen", "given": ["Mia", "Roos"], "period": {"start": "2001-05-06"}},
  {"use": "usual", "given": ["Mimi"]},
  {"use": "maiden", "family": "Peeters", "given": ["Mia", "Roos"], "period": {"start": "2000", "end": "2002-03"}}],
 "telecom": [{"system": "phone", "value": "+32 470 00 00 00", "rank": 2}, {"system": "email", "value": "mia@example.org",
   "rank": 1}],
 "gender": "female", "birthDate": "1974-12-25",
 "_birthDate": {"id": "b1", "extension": [{"url": "http://x.example/time", "valueDateTime": "1974-12-25T14:35:45-05:00"}]},
 "deceasedBoolean": false,
 "address": [{"line": ["Dorp 1", null], "_line": [null, {"extension": [{"url": "http://x.example/none",
   "valueCode": "unknown"}]}], "city": "Gent"}],
 "extension": [{"url": "http://x.example/religion", "valueCodeableConcept": {"text": "none"}}],
 "managingOrganization": {"reference": "#o1"},
 "generalPractitioner": [{"reference": "#d1"}, {"reference": "Organization/7"},
                         {"reference": "https://fhir.example/r4/PractitionerRole/8"}, {"display": "unknown"},
                         {"type": "Practitioner", "identifier": {"value": "x"}}]
}"""
OBSERVATION = b"""{
 "resourceType": "Observation", "id": "ob1", "status": "final",
 "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}, {"system": "http://x.example", "code": "w"}]},
 "subject": {"reference": "Patient/p1"}, "effectiveDateTime": "2026-03-01T10:30:00+01:00",
 "issued": "2026-03-01T10:31:00.500Z", "valueQuantity": {"value": 72.50, "unit": "kg",
   "system": "http://unitsofmeasure.org", "code": "kg"},
 "referenceRange": [{"low": {"value": 50, "code": "kg"}, "high": {"value": 90.0, "code": "kg"}}],
 "component": [
  {"code": {"coding": [{"code": "a"}]}, "valueInteger": 3}, {"code": {"coding": [{"code": "b"}]}, "valueString": "x"}]
}"""
QUESTIONNAIRE = b"""{
 "resourceType": "Questionnaire", "status": "active", "item": [
  {"linkId": "1", "type": "group", "item": [{"linkId": "1.1", "type": "choice"}, {"linkId": "1.2", "type": "string",
    "item": [{"linkId": "1.2.1", "type": "boolean"}]}]},
  {"linkId": "2", "type": "display"}]
}"""


@pytest.fixture
def resources() -> dict[str, dict[str, Any]]:
    return {
        "patient": decode_resource(PATIENT),
        "observation": decode_resource(OBSERVATION),
        "questionnaire": decode_resource(QUESTIONNAIRE),
    }
