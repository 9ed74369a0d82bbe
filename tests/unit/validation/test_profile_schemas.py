"""The JSON Schemas of profiles refuse what they can express, and say what they cannot."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.source import BASE
from fhir_server.validation.json_schema import profile_schema

ROOT = Path(__file__).parents[3]
CATALOG = Catalog.load()
EXPRESSED = {
    "cardinality-min", "slice-min", "json-type", "json-null", "empty-array", "empty-object", "primitive-format",
    "unknown-element", "choice-multiple", "reference-target",
}  # fmt: skip
"""Keys that the schema language can express wherever they occur in a profile's own resource."""
NOT_EXPRESSED = {
    "required-binding",
    "bdl-3",
    "obs-3",
    "org-1",
    "ppc-1",
    "que-2",
    "ext-1",
    "extension-context",
    "profile-binding",
    "boundary-unreadable",
    "sxs-1",
}
"""Invariants of R4, codes with their system, value sets of profiles, where extensions may stand and what they hold."""


def cases() -> list[tuple[str, dict[str, Any], str, str]]:
    found = []
    for path in sorted((ROOT / "examples/invalid").glob("*.issue.json")):
        issue = json.loads(path.read_bytes())
        resource = json.loads(path.with_name(path.name.replace(".issue", "")).read_bytes())
        (url,) = [url for url in resource["meta"]["profile"] if url.startswith(BASE)][:1]
        found.append((path.name.removesuffix(".issue.json"), resource, url, issue["key"]))
    return found


@pytest.mark.parametrize(("resource", "url", "key"), [case[1:] for case in cases()], ids=[case[0] for case in cases()])
def test_an_invalid_example_fails_where_the_language_can_say_so(resource: dict[str, Any], url: str, key: str) -> None:
    definition = CATALOG.get("StructureDefinition", url)
    assert definition is not None
    schema = profile_schema(definition, CATALOG)
    fails = not Draft202012Validator(schema).is_valid(resource)
    if key in EXPRESSED:
        assert fails
    elif not fails:
        assert key in schema.get("$comment", "") or key in NOT_EXPRESSED


@pytest.mark.parametrize("definition", CATALOG.of_type("StructureDefinition"), ids=lambda definition: definition["id"])
def test_every_schema_is_a_schema(definition: dict[str, Any]) -> None:
    schema = profile_schema(definition, CATALOG)
    Draft202012Validator.check_schema(schema)
    names = set(schema["$defs"])
    assert {ref.removeprefix("#/$defs/") for ref in references(schema)} <= names


def references(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["$ref"]} if isinstance(schema.get("$ref"), str) else set()
        return own.union(*(references(value) for value in schema.values()))
    return set().union(*(references(value) for value in schema)) if isinstance(schema, list) else set()


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.update(status="banana"),
        lambda r: r.update(intent="plan"),
        lambda r: r.update(colour="red"),
        lambda r: r.pop("focus"),
        lambda r: r.update(focus={"reference": "Patient/1"}),
        lambda r: r.update(authoredOn="yesterday"),
        lambda r: r.update(description=""),
        lambda r: r.update(note=[]),
        lambda r: r.update(note={"text": "x"}),
        lambda r: r.update(resourceType="Patient"),
        lambda r: r["code"].pop("coding"),
    ],
)
def test_a_task_that_is_changed_no_longer_fits(change: Any) -> None:
    definition = CATALOG.get("StructureDefinition", f"{BASE}/StructureDefinition/referral-task")
    assert definition is not None
    judge = Draft202012Validator(profile_schema(definition, CATALOG))
    resource = json.loads((ROOT / "examples/profiles/referral-task-typical.json").read_bytes())
    assert judge.is_valid(resource)
    change(resource)
    assert not judge.is_valid(resource)


def test_a_primitive_may_have_only_extensions() -> None:
    definition = CATALOG.get("StructureDefinition", f"{BASE}/StructureDefinition/referral-patient")
    assert definition is not None
    judge = Draft202012Validator(profile_schema(definition, CATALOG))
    resource = json.loads((ROOT / "examples/profiles/referral-patient-minimal.json").read_bytes())
    absent = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    resource["name"] = [{"given": ["Erdan", None], "_given": [None, absent]}]
    resource["_birthDate"] = absent
    assert [error.message for error in judge.iter_errors(resource)] == []
