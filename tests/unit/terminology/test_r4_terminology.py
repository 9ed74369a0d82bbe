"""R4's own code systems and value sets, as they ship."""

import pytest

from fhir_server.artifacts import r4
from fhir_server.artifacts.catalog import Catalog
from fhir_server.terminology.r4 import r4_source
from fhir_server.terminology.service import TerminologyService


@pytest.fixture(scope="module")
def service() -> TerminologyService:
    return TerminologyService.over(r4_source())


@pytest.mark.parametrize(
    ("system", "code", "display"),
    [
        ("http://hl7.org/fhir/administrative-gender", "female", "Female"),
        ("http://hl7.org/fhir/task-status", "in-progress", "In Progress"),
        ("http://hl7.org/fhir/request-status", "revoked", "Revoked"),
        ("http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "Active"),
        ("http://terminology.hl7.org/CodeSystem/v3-ActReason", "TREAT", "treatment"),
    ],
)
def test_codes_of_r4_have_their_display(service: TerminologyService, system: str, code: str, display: str) -> None:
    assert service.lookup(system, code).display == display


def test_hierarchy_and_marks_of_r4_are_kept(service: TerminologyService) -> None:
    clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    assert service.subsumes(clinical, "active", "relapse") == "subsumes"
    act = service.code_system("http://terminology.hl7.org/CodeSystem/v3-ActReason")
    assert any(concept.abstract for concept in act)


def test_every_required_binding_that_is_enumerable_agrees_with_the_facts_of_r4(service: TerminologyService) -> None:
    bindings = {
        facts.binding.valueset: facts.binding
        for path in r4.definition_paths()
        if (structure := r4.structure(path))
        for facts in structure.elements
        if facts.binding and facts.binding.systems
    }
    compared = 0
    for url, binding in bindings.items():
        if service.source.value_sets.get(url) is None:
            continue
        compared += 1
        found: dict[str, set[str]] = {}
        for system, code in service.members(url):
            found.setdefault(system, set()).add(code)
        assert found == {system: set(codes) for system, codes in binding.systems.items()}, url
    assert compared > 200


def test_the_versions_of_r4_can_be_named(service: TerminologyService) -> None:
    url = "http://hl7.org/fhir/ValueSet/task-status"
    assert service.expand(f"{url}|4.0.1").total == service.expand(url).total > 10
    assert service.source.value_sets.get(f"{url}|5.0.0") is None


def test_code_systems_with_a_licence_are_not_in_it(service: TerminologyService) -> None:
    for system in ("http://snomed.info/sct", "http://loinc.org", "http://dicom.nema.org/resources/ontology/DCM"):
        assert not service.knows(system)


def test_our_own_service_falls_back_on_r4() -> None:
    service = TerminologyService.load(Catalog.load())
    assert service.knows("http://hl7.org/fhir/task-status")
    assert service.knows("https://w3id.org/social-referral/CodeSystem/social-need")
