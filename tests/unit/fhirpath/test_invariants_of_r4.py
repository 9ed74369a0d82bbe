"""Invariants of R4: every one compiles, and those that reach far judge right."""

from typing import Any

import pytest

from fhir_server.artifacts import r4
from fhir_server.fhirpath import Expression, HostFunction, compile_expression

LENT = {"htmlChecks": HostFunction(0, 0, lambda _: [True])}


class R4Types:
    def child(self, parent: str, name: str) -> str:
        facts = r4.child(parent, name)
        return r4.definition_of(facts) if facts is not None else ""


def invariants() -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(r4.definition_paths()):
        structure = r4.structure(path)
        assert structure is not None
        for constraint in (*structure.constraints, *(c for e in structure.elements for c in e.constraints)):
            found[f"{constraint.key} {constraint.expression}"] = constraint.expression
    return found


INVARIANTS = invariants()


def expression(key: str) -> Expression:
    text = next(text for name, text in INVARIANTS.items() if name.startswith(f"{key} "))
    return compile_expression(text, functions=LENT, types=R4Types())


def test_r4_has_more_than_two_hundred_invariants() -> None:
    assert len(INVARIANTS) > 200


@pytest.mark.parametrize("text", INVARIANTS.values(), ids=INVARIANTS.keys())
def test_every_invariant_compiles(text: str) -> None:
    assert compile_expression(text, functions=LENT).text == text


def contained(reference: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "contained": [{"resourceType": "Organization", "id": "o1", "name": "Buurthuis"}],
        "managingOrganization": {"reference": reference},
        **more,
    }


CODED = {"coding": [{"system": "http://loinc.org", "code": "1"}]}
OTHER = {"coding": [{"system": "http://loinc.org", "code": "2"}]}
Row = tuple[str, dict[str, Any], bool]
ROWS: list[Row] = [
    ("dom-2", {"resourceType": "Patient"}, True),
    ("dom-2", {"resourceType": "Patient", "contained": [{"contained": [{"resourceType": "Patient"}]}]}, False),
    ("dom-3", contained("#o1"), True),
    ("dom-3", contained("#o2"), False),
    ("dom-3", contained("Organization/o1"), False),
    ("dom-3", contained("x", implicitRules="#o1"), True),
    ("dom-3", {"resourceType": "Patient"}, True),
    ("dom-4", {"resourceType": "Patient", "contained": [{"meta": {"versionId": "1"}}]}, False),
    (
        "obs-7",
        {"resourceType": "Observation", "code": CODED, "valueString": "x", "component": [{"code": CODED}]},
        False,
    ),
    ("obs-7", {"resourceType": "Observation", "code": CODED, "valueString": "x", "component": [{"code": OTHER}]}, True),
    ("obs-7", {"resourceType": "Observation", "code": CODED, "component": [{"code": CODED}]}, True),
    ("obs-6", {"resourceType": "Observation", "dataAbsentReason": CODED, "valueBoolean": False}, False),
    ("obs-6", {"resourceType": "Observation", "dataAbsentReason": CODED}, True),
    ("que-2", {"resourceType": "Questionnaire", "item": [{"linkId": "1"}, {"linkId": "2"}]}, True),
    ("que-2", {"resourceType": "Questionnaire", "item": [{"linkId": "1", "item": [{"linkId": "1"}]}]}, False),
    ("bdl-7", {"resourceType": "Bundle", "type": "batch", "entry": [{"fullUrl": "a"}, {"fullUrl": "a"}]}, False),
    ("bdl-7", {"resourceType": "Bundle", "type": "history", "entry": [{"fullUrl": "a"}, {"fullUrl": "a"}]}, True),
    (
        "bdl-7",
        {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [
                {"fullUrl": "a", "resource": {"resourceType": "Patient", "meta": {"versionId": "1"}}},
                {"fullUrl": "a", "resource": {"resourceType": "Patient", "meta": {"versionId": "2"}}},
            ],
        },
        True,
    ),
    ("bdl-3", {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET"}}]}, True),
    ("bdl-3", {"resourceType": "Bundle", "type": "batch", "entry": [{"fullUrl": "a"}]}, False),
    (
        "bdl-11",
        {"resourceType": "Bundle", "type": "document", "entry": [{"resource": {"resourceType": "List"}}]},
        False,
    ),
    ("app-2", {"resourceType": "Appointment", "start": "2026-01-01T00:00:00Z"}, False),
    ("app-3", {"resourceType": "Appointment", "status": "proposed"}, True),
    ("app-3", {"resourceType": "Appointment", "status": "booked"}, False),
    ("org-1", {"resourceType": "Organization"}, False),
    ("org-1", {"resourceType": "Organization", "name": "x"}, True),
    ("ext-1", {"url": "x", "valueString": "y"}, True),
    ("ext-1", {"url": "x"}, False),
    ("ext-1", {"url": "x", "valueString": "y", "extension": [{"url": "z"}]}, False),
    ("per-1", {"start": "2026-01-01", "end": "2026-01-02"}, True),
    ("per-1", {"start": "2026-01-02", "end": "2026-01-01"}, False),
    ("per-1", {"start": "2026-01-01T12:00:00+02:00", "end": "2026-01-01T10:30:00Z"}, True),
    ("per-1", {"start": "2026-01-01"}, True),
    ("rng-2", {"low": {"value": 1, "code": "mg"}, "high": {"value": 2, "code": "mg"}}, True),
    ("rng-2", {"low": {"value": 3, "code": "mg"}, "high": {"value": 2, "code": "mg"}}, False),
    ("age-1", {"value": 3, "code": "a", "system": "http://unitsofmeasure.org"}, True),
    ("age-1", {"value": 3, "code": "a", "system": "http://x.example"}, False),
    ("tim-4", {"duration": 0}, True),
    ("tim-4", {"duration": -1}, False),
    ("tim-9", {"offset": 5, "when": ["ACM"]}, True),
    ("tim-9", {"offset": 5, "when": ["C"]}, False),
    ("que-7", {"operator": "exists", "answerBoolean": True}, True),
    ("que-7", {"operator": "exists", "answerString": "x"}, False),
    ("que-10", {"type": "string", "maxLength": 3}, True),
    ("que-10", {"type": "date", "maxLength": 3}, False),
    ("qrs-1", {"answer": [{}], "item": [{}]}, False),
    ("ref-1", {"reference": "Patient/1"}, True),
    ("ref-1", {"reference": "#o1"}, False),
    ("pat-1", {"relationship": []}, False),
    ("eld-2", {"min": 0, "max": "*"}, True),
    ("eld-2", {"min": 0, "max": "1"}, True),
    ("eld-2", {"min": 2, "max": "1"}, False),
    ("eld-20", {"path": "Patient.name.given"}, True),
    ("eld-16", {"sliceName": "a b"}, False),
]
"""invariant, element or resource, whether it holds"""


@pytest.mark.parametrize(("key", "element", "holds"), ROWS)
def test_an_invariant_judges(key: str, element: dict[str, Any], holds: bool) -> None:
    assert expression(key).holds(element, context=element if "resourceType" not in element else None) is holds


def test_ref_1_finds_contained_resources_of_the_container() -> None:
    patient = contained("#o1")
    assert expression("ref-1").holds(patient, context=patient["managingOrganization"])
    inner = patient["contained"][0]
    assert expression("ref-1").holds(inner, context={"reference": "#o1"}, root=patient)
    assert not expression("ref-1").holds(inner, context={"reference": "#o1"})


def test_sdf_8a_compares_with_the_resource_around() -> None:
    definition = {
        "resourceType": "StructureDefinition",
        "kind": "resource",
        "type": "Patient",
        "differential": {"element": [{"path": "Patient"}, {"path": "Patient.name"}]},
    }
    assert expression("sdf-8a").holds(definition, context=definition["differential"])
    wrong = {"element": [{"path": "Patient"}, {"path": "Person.name"}]}
    assert not expression("sdf-8a").holds({**definition, "differential": wrong}, context=wrong)


def test_ele_1_wants_a_value_or_children() -> None:
    names = compile_expression("birthDate | name")
    patient = {"resourceType": "Patient", "_birthDate": {"id": "a"}, "name": [{"id": "b", "family": "x"}]}
    birth, name = names.nodes(patient)
    check = compile_expression("hasValue() or (children().count() > id.count())")
    assert not check.holds(patient, context=birth)
    assert check.holds(patient, context=name)
    assert check.holds(patient, context="text")
