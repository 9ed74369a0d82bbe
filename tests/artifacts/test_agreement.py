"""What the artefacts promise and name is what the server has."""

from collections.abc import Iterator
from typing import Any

import pytest

from fhir_server.artifacts.catalog import Catalog
from fhir_server.artifacts.source import BASE
from fhir_server.search.parameters import Registry
from fhir_server.terminology.service import TerminologyService
from fhir_server.workflow import codes
from fhir_server.workflow.keys import RULES

CATALOG = Catalog.load()
REGISTRY = Registry.load(CATALOG.of_type("SearchParameter"))
STATEMENTS = {one["id"]: one for one in CATALOG.of_type("CapabilityStatement")}
INTERACTIONS = {
    "read", "vread", "create", "update", "patch", "delete", "history-instance", "history-type", "search-type",
}  # fmt: skip


def resources(statement: str) -> Iterator[dict[str, Any]]:
    for rest in STATEMENTS[statement]["rest"]:
        yield from rest["resource"]


def test_there_is_a_statement_for_each_actor() -> None:
    assert set(STATEMENTS) == {"referrer", "recipient", "recipient-light", "plan", "tester"}


@pytest.mark.parametrize("statement", sorted(STATEMENTS))
def test_what_an_actor_may_search_by_exists_and_is_of_that_type(statement: str) -> None:
    for resource in resources(statement):
        offered = REGISTRY.of(resource["type"])
        for parameter in resource.get("searchParam", ()):
            place = (resource["type"], parameter["name"])
            assert parameter["name"] in offered, place
            assert offered[parameter["name"]].type == parameter["type"], place
        for name in (*resource.get("searchInclude", ()), *resource.get("searchRevInclude", ())):
            source, _, code = name.partition(":")
            assert REGISTRY.of(source)[code].type == "reference", name


@pytest.mark.parametrize("statement", sorted(STATEMENTS))
def test_each_interaction_says_how_firmly_it_is_asked(statement: str) -> None:
    for resource in resources(statement):
        for listed in (*resource["interaction"], *resource.get("searchParam", ())):
            (extension,) = listed["extension"]
            assert extension["valueCode"] in ("SHALL", "SHOULD", "MAY")
        assert {one["code"] for one in resource["interaction"]} <= INTERACTIONS
        for profile in resource.get("supportedProfile", ()):
            found = CATALOG.get("StructureDefinition", profile)
            assert found is not None
            assert found["type"] == resource["type"]


def test_codes_that_the_workflow_writes_exist() -> None:
    terminology = TerminologyService.load(CATALOG)
    used = [(codes.STATUS_REASON, code) for code in codes.STATUS_REASONS]
    used += [(codes.SERVICE_TYPE, codes.CONTACT_POINT), (codes.TASK_PARAMETER, codes.SERVICE_PARAMETER)]
    assert [code for system, code in used if not terminology.validate_code(system, code).result] == []
    ways = CATALOG.get("CodeSystem", codes.CONSENT_WAYS)
    assert ways is not None
    assert tuple(one["code"] for one in ways["concept"]) == codes.WAYS_OF_CONSENT


def test_profiles_that_are_governed_exist() -> None:
    for resource_type, profiles in codes.GOVERNING.items():
        for profile in profiles:
            found = CATALOG.get("StructureDefinition", profile)
            assert found is not None
            assert found["type"] == resource_type


def test_each_rule_of_the_workflow_has_its_key_in_the_code_system() -> None:
    terminology = TerminologyService.load(CATALOG)
    known = [key for key in RULES if terminology.validate_code(f"{BASE}/CodeSystem/issue-key", key).result]
    assert known == list(RULES)
