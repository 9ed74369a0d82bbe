"""The registry: every R4 parameter compiles, and artefacts add to it."""

import time

import pytest

from fhir_server.search.expressions import At, Equals, RefersToType, UnsupportedExpression, compile_expression
from fhir_server.search.parameters import Registry
from fhir_server.search.structures import Structures

EXTRA = {
    "resourceType": "SearchParameter",
    "url": "https://w3id.org/social-referral/SearchParameter/ServiceRequest-need",
    "code": "need",
    "type": "token",
    "base": ["ServiceRequest"],
    "expression": "ServiceRequest.extension.where(url = 'https://w3id.org/x').value.as(CodeableConcept)",
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load()


def test_every_pair_of_r4_compiles(registry: Registry) -> None:
    pairs = [(kind, code) for kind in registry.types for code in registry.of(kind)]
    of_every_type = {"_id", "_lastUpdated", "_profile", "_security", "_source", "_tag"}
    assert len(registry.types) == 146
    assert all(of_every_type <= registry.of(kind).keys() for kind in registry.types)
    assert len([pair for pair in pairs if pair[1] not in of_every_type]) == 1699
    for kind, code in pairs:
        parameter = registry.of(kind)[code]
        assert parameter.paths
        assert parameter.code == code
        assert (parameter.type == "composite") == bool(parameter.occurrences)
        assert (parameter.type == "reference") == bool(parameter.targets)


def test_loading_is_quick() -> None:
    started = time.process_time()
    Registry.load().of("Task")
    assert time.process_time() - started < 1


def test_a_parameter_says_what_it_reaches(registry: Registry) -> None:
    task = registry.of("Task")
    assert task["owner"].element_types == {"Reference"}
    assert "Organization" in task["owner"].targets
    assert task["focus"].targets == ("*",)
    assert registry.targets(task["focus"]) == registry.types
    assert task["status"].systems == {"http://hl7.org/fhir/task-status"}
    assert registry.of("ServiceRequest")["patient"].targets == ("Patient",)
    assert registry.of("Observation")["code-value-quantity"].components[1].type == "quantity"
    assert task["owner"].url == "http://hl7.org/fhir/SearchParameter/Task-owner"
    assert registry.of("Nope") == {}


def test_an_artefact_adds_a_parameter() -> None:
    parameter = Registry.load([EXTRA]).of("ServiceRequest")["need"]
    assert parameter.url == EXTRA["url"]
    assert parameter.element_types == {"CodeableConcept"}


def test_an_artefact_replaces_a_parameter_and_may_hold_for_every_type() -> None:
    replaced = Registry.load([{**EXTRA, "code": "status", "expression": "ServiceRequest.intent"}])
    assert replaced.of("ServiceRequest")["status"].expression == "ServiceRequest.intent"
    everywhere = Registry.load([{**EXTRA, "code": "language", "base": ["Resource"], "expression": "Resource.language"}])
    assert all("language" in everywhere.of(kind) for kind in everywhere.types)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"expression": "ServiceRequest.nope"}, "no element 'nope'"),
        ({"expression": "ServiceRequest.code.matches('x')"}, "matches"),
        ({"expression": "ServiceRequest.code.coding.count() > 1"}, "outside the offered FHIRPath"),
        ({"base": ["Banana"]}, "Banana"),
        ({"component": [{"definition": "http://nope", "expression": "code"}], "type": "composite"}, "http://nope"),
    ],
)
def test_an_artefact_that_cannot_be_offered_is_an_error_when_it_loads(change: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        Registry.load([{**EXTRA, **change}])
    assert told in str(error.value)


def test_expressions_compile_to_typed_paths() -> None:
    structures = Structures.load()

    def compiled(text: str, base: str) -> list[tuple[str, str]]:
        return [(".".join(s.key for s in p.steps), p.type) for p in compile_expression(text, base, structures)]

    assert compiled("Observation.value", "Observation")[0] == ("valueQuantity", "Quantity")
    assert compiled("(Observation.value as Quantity)", "Observation") == [("valueQuantity", "Quantity")]
    assert compiled("Observation.value.ofType(dateTime)", "Observation") == [("valueDateTime", "dateTime")]
    assert compiled("Patient.name | Person.name", "Person") == [("name", "HumanName")]
    assert compiled("Questionnaire.item.item.code", "Questionnaire") == [("item.item.code", "Coding")]
    assert compiled("valueQuantity", "Observation") == [("valueQuantity", "Quantity")]
    tests = [
        compile_expression(text, "Patient", structures)[0].steps[0].tests
        for text in (
            "Patient.telecom.where(system='phone')",
            "Patient.generalPractitioner.where(resolve() is Organization)",
            "Patient.contact[0]",
            "Patient.extension('http://x').value",
        )
    ]
    assert tests == [
        (Equals("system", "phone"),),
        (RefersToType("Organization"),),
        (At(0),),
        (Equals("url", "http://x"),),
    ]
    for wrong in (
        "Patient.name[",
        "Patient..name",
        "Patient.name and",
        "Patient.name#",
        "",
        "Patient.where(",
        "(Patient",
    ):
        with pytest.raises(UnsupportedExpression):
            compile_expression(wrong, "Patient", structures)
