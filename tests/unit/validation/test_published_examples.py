"""Resources that HL7 and its affiliates published must pass, and what is broken in them must not."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.artifacts.r4 import child, definition_of, is_primitive, mandatory_elements, structure
from fhir_server.model.codec import decode, encode
from fhir_server.validation.pipeline import Validator

VALIDATOR = Validator.load()
FOLDER = Path(__file__).resolve().parents[3] / ".." / "shared" / "data"
REFUSED: dict[str, str] = {}
"""File → why R4 refuses it. Empty: all published resources at hand are valid."""

QUESTIONNAIRE = {
    "resourceType": "Questionnaire", "status": "draft", "title": "Needs",
    "item": [{"linkId": "1", "type": "group", "item": [{"linkId": "1.1", "type": "choice", "text": "Housing?",
              "answerOption": [{"valueCoding": {"system": "http://e.org/a", "code": "y"}}]}]}],
}  # fmt: skip
REFERRAL = {
    "resourceType": "ServiceRequest", "id": "r1", "status": "active", "intent": "order", "priority": "routine",
    "meta": {"profile": ["https://w3id.org/social-referral/StructureDefinition/social-referral"]},
    "extension": [{"url": "http://e.org/x", "valuePeriod": {"start": "2026-01-01", "end": "2026-02-01"}}],
    "identifier": [{"system": "urn:oid:1.2.3", "value": "7"}],
    "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "410606002", "display": "Social service"}]}],
    "code": {"coding": [{"system": "http://e.org/needs", "code": "debt"}], "text": "Debt advice"},
    "subject": {"reference": "Patient/p1"}, "requester": {"reference": "PractitionerRole/g1"},
    "performer": [{"reference": "Organization/caw"}], "authoredOn": "2026-11-21T10:00:00+01:00",
    "occurrenceDateTime": "2026-12-01", "note": [{"text": "Call after six.", "time": "2026-11-21T10:00:00Z"}],
}  # fmt: skip
TASK = {
    "resourceType": "Task", "status": "requested", "intent": "order", "basedOn": [{"reference": "ServiceRequest/r1"}],
    "focus": {"reference": "ServiceRequest/r1"}, "for": {"reference": "Patient/p1"}, "lastModified": "2026-11-21",
    "input": [{"type": {"text": "kind"}, "valueBoolean": True}], "owner": {"reference": "Organization/caw"},
}  # fmt: skip
PATIENT = {
    "resourceType": "Patient", "name": [{"use": "official", "family": "Peeters", "given": ["An", "Maria"]}],
    "birthDate": "1980-02-29", "gender": "female", "telecom": [{"system": "phone", "value": "+32 2 555 01 00"}],
    "address": [{"line": ["Kerkstraat 1"], "postalCode": "9000"}], "deceasedBoolean": False,
    "contact": [{"name": {"text": "Jan"}, "relationship": [{"text": "brother"}]}],
}  # fmt: skip
OBSERVATION = {
    "resourceType": "Observation", "status": "final", "code": {"text": "weight"}, "subject": {"reference": "Patient/p1"},
    "valueQuantity": {"value": 72, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    "component": [{"code": {"text": "a"}, "valueInteger": 5}], "issued": "2026-11-21T10:00:00Z",
}  # fmt: skip
VALID = (QUESTIONNAIRE, REFERRAL, TASK, PATIENT, OBSERVATION)


def published() -> list[Path]:
    return (
        sorted(path for path in FOLDER.rglob("*.json") if b'"resourceType"' in path.read_bytes())
        if FOLDER.is_dir()
        else []
    )


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the published resources are not part of the repository")
def test_published_resources_are_valid() -> None:
    verdicts = {}
    for path in published():
        resource = decode(path.read_bytes())
        if isinstance(resource, dict) and "resourceType" in resource:
            verdicts[path.name] = VALIDATOR.validate(resource)
    assert len(verdicts) > 300
    assert {name: issues for name, issues in verdicts.items() if issues} == REFUSED


@pytest.mark.parametrize("resource", VALID, ids=lambda resource: resource["resourceType"])
def test_the_resources_that_are_mutated_here_are_valid(resource: dict[str, Any]) -> None:
    assert VALIDATOR.validate(resource) == []


Place = tuple[str, dict[str, Any], str, str]


def places(element: dict[str, Any], definition: str, path: str) -> Iterator[Place]:
    """Yield (FHIRPath of the parent, parent, member, definition of the parent) of every member below the element."""
    for name, value in element.items():
        facts = child(definition, name)
        if facts is None:
            continue
        yield path, element, name, definition
        step = f".{name}"
        stem = (
            next((f for f in _choices(definition) if (name, facts.types[0]) in f.json_names), None)
            if facts.types
            else None
        )
        if stem is not None:
            step = f".{stem.name}.ofType({facts.types[0]})"
        below = definition_of(facts)
        if not is_primitive(below):
            for index, item in enumerate(value if isinstance(value, list) else [value]):
                inner = f"{path}{step}[{index}]" if isinstance(value, list) else f"{path}{step}"
                yield from places(item, below, inner)


def _choices(definition: str) -> list[Any]:
    facts = structure(definition)
    return [element for element in facts.elements if element.choice] if facts else []


def root_of(data: st.DataObject) -> tuple[dict[str, Any], Place]:
    resource = decode(encode(data.draw(st.sampled_from(VALID))))
    kind = resource["resourceType"]
    found = list(places(resource, kind, kind))
    return resource, found[data.draw(st.integers(0, len(found) - 1))]


def evaluate(expression: str, resource: dict[str, Any]) -> list[Any]:
    """Evaluate the FHIRPath of an issue: names, indexes and ofType on a body."""
    steps = re.findall(r"\.(\w+)(?:\.ofType\((\w+)\))?(?:\[(\d+)\])?", "." + expression.partition(".")[2])
    assert resource["resourceType"] == expression.partition(".")[0]
    found: list[Any] = [resource]
    for name, kind, index in steps if "." in expression else ():
        member = name + kind[:1].upper() + kind[1:]
        found = [
            item[key] for item in found for key in (member, "_" + member) if isinstance(item, dict) and key in item
        ]
        if index:
            found = [item[int(index)] for item in found if isinstance(item, list) and int(index) < len(item)]
    return found


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_misspelt_member_is_found_at_its_parent(data: st.DataObject) -> None:
    resource, (path, parent, name, _) = root_of(data)
    parent[name + "Zz"] = parent.pop(name)
    issues = VALIDATOR.validate(resource)
    assert ("unknown-element", path) in [(issue.key, issue.expression) for issue in issues]
    assert all(evaluate(issue.expression, resource) for issue in issues)


@given(data=st.data(), wrong=st.sampled_from([None, [], {}, [[]], "", 5.5, {"foo": "bar"}, "\x00", [None]]))
@settings(max_examples=300, deadline=None)
def test_a_retyped_member_changes_the_verdict(data: st.DataObject, wrong: Any) -> None:
    resource, (path, parent, name, _) = root_of(data)
    parent[name] = wrong
    if wrong == 5.5 and name == "value" and "unit" in parent:
        return  # the one decimal among the members
    issues = VALIDATOR.validate(resource)
    assert issues
    assert any(issue.expression.startswith(path) for issue in issues)
    assert all(evaluate(issue.expression, resource) for issue in issues)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_member_of_another_cardinality_changes_the_verdict(data: st.DataObject) -> None:
    resource, (path, parent, name, _) = root_of(data)
    value = parent[name]
    parent[name] = value[0] if isinstance(value, list) else [value]
    issues = VALIDATOR.validate(resource)
    assert "json-type" in {issue.key for issue in issues}
    assert any(issue.expression.startswith(path) for issue in issues)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_dropped_member_is_missed_exactly_where_r4_requires_it(data: st.DataObject) -> None:
    resource, (path, parent, name, definition) = root_of(data)
    del parent[name]
    issues = VALIDATOR.validate(resource)
    required = name in mandatory_elements(definition)
    assert ("cardinality-min" in {issue.key for issue in issues if issue.expression == path}) == required


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["name", "extension", "_birthDate", "contained", "reference", "contact", "period", "url", "id", "x"]), inner, max_size=4),
    max_leaves=15,
), st.sampled_from(["Patient", "Bundle", "Task", "Questionnaire", "Observation", "Parameters", "StructureDefinition"]))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_no_body_crashes_the_validator(body: Any, kind: str) -> None:
    members = structure(kind)
    assert members is not None
    for element in members.elements:
        for name, _ in element.json_names[:2]:
            assert isinstance(VALIDATOR.validate({"resourceType": kind, name: body}), list)
