"""Each error-level invariant of R4 is enforced in each of its places, or named with its reason."""

from typing import Any

import pytest

from fhir_server.artifacts.r4 import Constraint, definition_paths, structure
from fhir_server.validation.invariants import ENFORCED_ELSEWHERE, NOT_ENFORCED, rules_of
from fhir_server.validation.pipeline import Validator

VALIDATOR = Validator.load()
CODE = {"coding": [{"system": "http://e.org", "code": "a"}]}


def placed() -> list[tuple[str, Constraint]]:
    found = []
    for path in sorted(definition_paths()):
        facts = structure(path)
        assert facts is not None
        found += [(path, constraint) for constraint in facts.constraints]
        found += [(element.path, constraint) for element in facts.elements for constraint in element.constraints]
    return [(path, constraint) for path, constraint in found if constraint.severity == "error"]


def test_every_error_level_invariant_of_r4_is_enforced_or_named_with_its_reason() -> None:
    enforced = {rule.key for path in definition_paths() for rule in rules_at(path)}
    assert {constraint.key for _, constraint in placed()} == enforced | set(NOT_ENFORCED) | set(ENFORCED_ELSEWHERE) - {
        "sqty-1"
    }
    assert not enforced & (set(NOT_ENFORCED) | set(ENFORCED_ELSEWHERE))
    assert all(NOT_ENFORCED.values())


def rules_at(path: str) -> list[Any]:
    facts = structure(path)
    assert facts is not None
    own = list(rules_of(path, facts.constraints))
    return own + [rule for element in facts.elements for rule in rules_of(element.path, element.constraints)]


def test_each_place_of_an_invariant_gets_its_rule() -> None:
    moved = {"sdf-8", "sdf-8a"}
    expected = [(path, c.key) for path, c in placed() if c.key not in {*NOT_ENFORCED, *ENFORCED_ELSEWHERE, *moved}]
    rules = all_rules()
    found = [(path, key) for path, key in expected if any(rule.key == key for rule in rules.get(path, ()))]
    assert found == expected


def all_rules() -> dict[str, list[Any]]:
    rules: dict[str, list[Any]] = {}
    for path in definition_paths():
        facts = structure(path)
        assert facts is not None
        rules[path] = list(rules_of(path, facts.constraints))
        rules |= {
            element.path: list(rules_of(element.path, element.constraints))
            for element in facts.elements
            if element.constraints
        }
    return rules


WHOLE: tuple[tuple[Any, str, str], ...] = (
    ({"resourceType": "Organization", "name": "x", "telecom": [{"system": "phone", "value": "1", "use": "home"}]}, "org-3", "Organization.telecom[0]"),
    ({"resourceType": "Organization", "name": "x", "address": [{"text": "x"}, {"use": "home", "text": "y"}]}, "org-2", "Organization.address[1]"),
    ({"resourceType": "Patient", "name": [{"text": "x", "period": {"start": "2026-02", "end": "2026-01"}}]}, "per-1", "Patient.name[0].period"),
    ({"resourceType": "Observation", "status": "final", "code": CODE, "valueQuantity": {"value": 1, "code": "kg"}}, "qty-3", "Observation.value.ofType(Quantity)"),
    ({"resourceType": "Observation", "status": "final", "code": CODE, "valueString": "x", "dataAbsentReason": CODE}, "obs-6", "Observation"),
    ({"resourceType": "Observation", "status": "final", "code": CODE, "valueString": "x", "component": [{"code": {"text": "y"}}, {"code": CODE}]}, "obs-7", "Observation.component[1]"),
    ({"resourceType": "Observation", "status": "final", "code": CODE, "referenceRange": [{"low": {"value": 1, "comparator": "<"}}]}, "sqty-1", "Observation.referenceRange[0].low"),
    ({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": "Patient"}}, {"fullUrl": "urn:x:1"}]}, "bdl-5", "Bundle.entry[1]"),
    ({"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": "urn:x:1", "resource": {"resourceType": "Patient"}}, {"fullUrl": "urn:x:1", "resource": {"resourceType": "Patient"}}]}, "bdl-7", "Bundle.entry[1]"),
    ({"resourceType": "StructureDefinition", "url": "http://e.org/x", "name": "X", "status": "draft", "kind": "resource", "abstract": False, "type": "Patient", "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient", "derivation": "constraint", "differential": {"element": [{"id": "Patient", "path": "Patient"}, {"id": "Task.x", "path": "Task.x"}]}}, "sdf-8a", "StructureDefinition"),
)  # fmt: skip


@pytest.mark.parametrize(("resource", "key", "expression"), WHOLE, ids=[row[1] for row in WHOLE])
def test_a_broken_invariant_is_reported_where_it_stands(resource: Any, key: str, expression: str) -> None:
    (issue,) = VALIDATOR.validate(resource)
    assert (issue.key, issue.code, issue.expression) == (key, "invariant", expression)


def test_an_invariant_on_a_wrong_shape_reports_the_shape_only() -> None:
    issues = VALIDATOR.validate(
        {"resourceType": "Patient", "contact": [{"period": {"start": 5, "end": []}, "name": 1}]}
    )
    assert {issue.key for issue in issues} == {"json-type", "empty-array"}
