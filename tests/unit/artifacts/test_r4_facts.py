"""The compiled facts of R4: complete, true to the specification in what is known by heart, small and quick."""

import importlib
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from fhir_server.artifacts import r4
from fhir_server.artifacts.r4.table import Table, table

R4_RESOURCE_TYPES = 146
ROOT = Path(__file__).resolve().parents[3]


def test_all_resource_types_of_r4_and_no_others_are_known() -> None:
    assert len(r4.resource_types()) == R4_RESOURCE_TYPES
    assert {"ServiceRequest", "Task", "Patient", "Bundle", "Parameters", "Binary"} <= r4.resource_types()
    assert not {"Resource", "DomainResource", "Citation", "SubscriptionTopic", "Project"} & r4.resource_types()


def test_every_type_that_an_element_names_is_defined() -> None:
    known = r4.definition_paths() | r4.primitive_types()
    for path in r4.definition_paths():
        facts = r4.structure(path)
        assert facts is not None
        for element in facts.elements:
            assert set(element.types) <= known, element.path
            assert element.types or element.content, element.path
            assert not element.content or element.content in known, element.path
            assert set(element.targets) <= r4.resource_types(), element.path


def test_required_bindings_stand_only_on_types_that_are_checked() -> None:
    bound = set()
    for path in r4.definition_paths():
        facts = r4.structure(path)
        bound |= {kind for e in (facts.elements if facts else ()) if e.binding for kind in e.types}
    assert bound == {"code", "CodeableConcept"}


def test_every_choice_is_spelled_without_ambiguity() -> None:
    for path in r4.definition_paths():
        facts = r4.structure(path)
        names = [name for element in (facts.elements if facts else ()) for name, _ in element.json_names]
        assert len(names) == len(set(names)), path


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("Task", "status", {"types": ("code",), "min": 1, "max": 1, "modifier": True, "summary": True}),
        ("Task", "owner", {"targets": ("CareTeam", "Device", "HealthcareService", "Organization", "Patient",
                                       "Practitioner", "PractitionerRole", "RelatedPerson")}),
        ("Task", "focus", {"types": ("Reference",), "targets": ()}),
        ("Patient", "contact", {"content": "Patient.contact", "max": None, "many": True}),
        ("Patient.contact", "name", {"types": ("HumanName",)}),
        ("Observation", "value", {"choice": True, "name": "value", "path": "Observation.value[x]"}),
        ("Observation", "valueQuantity", {"choice": False, "types": ("Quantity",)}),
        ("Questionnaire.item", "item", {"content": "Questionnaire.item"}),
        ("Resource", "id", {"types": ("id",)}),
        ("HumanName", "id", {"types": ("string",)}),
        ("Extension", "url", {"types": ("uri",), "min": 1}),
        ("Observation.referenceRange", "low", {"simple_quantity": True, "types": ("Quantity",)}),
        ("Timing.repeat", "boundsPeriod", {"types": ("Period",)}),
    ],
)  # fmt: skip
def test_an_element_has_the_facts_of_the_specification(path: str, name: str, expected: dict[str, Any]) -> None:
    facts = r4.child(path, name)
    assert facts is not None
    assert {key: getattr(facts, key) for key in expected} == expected


def test_what_r4_does_not_have_is_none() -> None:
    assert r4.child("Patient", "nam") is None
    assert r4.child("Patien", "name") is None
    assert r4.structure("Patien") is None
    assert r4.child("Meta", "project") is None
    assert r4.child("Binary", "url") is None


def test_a_required_binding_lists_its_codes() -> None:
    facts = r4.child("Task", "status")
    assert facts is not None
    assert facts.binding is not None
    assert facts.binding.codes == {
        "draft", "requested", "received", "accepted", "rejected", "ready", "cancelled", "in-progress", "on-hold",
        "failed", "completed", "entered-in-error",
    }  # fmt: skip


def test_summary_and_mandatory_elements_name_json_members() -> None:
    assert r4.mandatory_elements("Task") == {"status", "intent"}
    assert {"identifier", "valueQuantity", "valueCodeableConcept"} <= r4.summary_elements("Observation")
    assert "note" not in r4.summary_elements("Observation")
    assert "medicationReference" in r4.mandatory_elements("MedicationRequest")
    assert r4.summary_elements("Nonsense") == frozenset()


def test_the_hierarchy_of_types() -> None:
    assert r4.base_type("code") == "string"
    assert r4.base_type("Age") == "Quantity"
    assert r4.base_type("Patient") == "DomainResource"
    assert r4.is_subtype("Patient", "Resource")
    assert not r4.is_subtype("Bundle", "DomainResource")
    assert r4.is_choice("Observation", "value")
    assert not r4.is_choice("Observation", "code")


def test_the_table_is_small_and_quick() -> None:
    assert len(files("fhir_server.artifacts.r4").joinpath("structures.json.zz").read_bytes()) < 150_000
    best = min(_load_time() for _ in range(5))
    assert best < 0.02 * 3, f"{best * 1000:.1f} ms"  # 20 ms on an idle machine; tests share theirs


def _load_time() -> float:
    started = time.process_time()
    assert isinstance(table.__wrapped__(), Table)
    return time.process_time() - started


def test_nothing_is_read_before_it_is_asked_for() -> None:
    table.cache_clear()
    importlib.reload(sys.modules["fhir_server.artifacts.r4"])
    assert table.cache_info().currsize == 0
    assert r4.is_resource_type("Patient")
    assert table.cache_info().currsize == 1
