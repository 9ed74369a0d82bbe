"""The expression of an issue finds the element at fault, whoever evaluates it: an independent FHIRPath engine and ours."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fhirpathpy import evaluate as evaluate_elsewhere
from fhirpathpy.models import models

from fhir_server.artifacts.catalog import Catalog
from fhir_server.fhirpath import compile_expression
from fhir_server.validation.pipeline import Validator

ROOT = Path(__file__).parents[3]
INVALID = sorted(path for path in (ROOT / "examples/invalid").glob("*.json") if ".issue" not in path.name)
VALIDATOR = Validator.load(Catalog.load())
NOTHING_THERE = ("json-null", "empty-array")
"""Faults of elements that JSON names and that FHIR does not have: nothing is there to be found."""


def placed(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """Return bodies that hold the resource: itself, in Parameters, in a Bundle, and in a Bundle in Parameters."""
    urn = "urn:uuid:7d4a9f5e-2f65-4c8a-9b8b-4e1c5f2f9b11"
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": urn, "resource": resource}]}
    return [resource, within(resource), bundle, within(bundle)]


def within(resource: dict[str, Any]) -> dict[str, Any]:
    first = {"name": "mode", "valueCode": "create"}
    return {"resourceType": "Parameters", "parameter": [first, {"name": "resource", "resource": resource}]}


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_each_expression_finds_one_element_and_the_same_in_both_engines(path: Path) -> None:
    resource = json.loads(path.read_bytes(), parse_float=Decimal)
    expected = json.loads(path.with_name(f"{path.stem}.issue.json").read_bytes())
    for body in placed(resource):
        issues = VALIDATOR.report(body)
        suffix = expected["expression"].removeprefix(resource["resourceType"])
        assert [one for one in issues if one.key == expected["key"] and one.expression.endswith(suffix)]
        for issue in issues:
            elsewhere = evaluate_elsewhere(body, issue.expression, {}, models["r4"])
            ours = [node.value for node in compile_expression(issue.expression).nodes(body)]
            assert elsewhere == ours, issue
            assert len(ours) == (issue.key not in NOTHING_THERE), issue


def faulty(text: str) -> list[tuple[str, str]]:
    return [(one.key, one.expression) for one in VALIDATOR.report(json.loads(text))]


def test_a_choice_a_slot_and_a_contained_element_are_named_as_fhirpath_sees_them() -> None:
    choice = '{"resourceType":"Observation","status":"final","code":{"text":"a"},"valueQuantity":{"code":"kg x ","value":1,"system":"u:x"}}'
    assert faulty(choice) == [("primitive-format", "Observation.value.ofType(Quantity).code")]
    slot = '{"resourceType":"Patient","name":[{"given":["a",5,"c"]}]}'
    assert faulty(slot) == [("json-type", "Patient.name[0].given[1]")]
    nulls = '{"resourceType":"Patient","address":[{"line":["x",null,null],"_line":[null,{"id":"b"},{"id":"c d"}]}]}'
    assert [key for key, _ in faulty(nulls)] == ["ele-1", "ele-1"]
    inside = '{"resourceType":"Patient","managingOrganization":{"reference":"#o"},"contained":[{"resourceType":"Organization","id":"o","name":7}]}'
    found = faulty(inside)
    assert ("json-type", "Patient.contained[0].name") in found
    for text, issues in ((choice, faulty(choice)), (slot, faulty(slot)), (inside, found)):
        for _, expression in issues:
            assert len(evaluate_elsewhere(json.loads(text), expression, {}, models["r4"])) == 1, expression
