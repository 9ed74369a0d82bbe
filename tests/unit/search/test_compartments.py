"""The tables of compartments and of care dates fit R4 and the registry of search parameters."""

import pytest

from fhir_server.artifacts.r4.compartments import ITSELF, compartments
from fhir_server.model.temporal import Interval
from fhir_server.search.care_dates import CARE_DATES, care_within
from fhir_server.search.compartments import about, member_types, membership
from fhir_server.search.parameters import Registry
from fhir_server.search.query import EVERYTHING, NOTHING, And, DateCompare, IdIs, Missing, Or, Prefix, RefersTo

NOT_CARE = {
    "BodyStructure", "Patient", "Person", "RelatedPerson", "Coverage", "Group", "MolecularSequence", "DeviceUseStatement",
    "AppointmentResponse", "EnrollmentRequest", "SupplyDelivery", "Device", "GuidanceResponse",
}  # fmt: skip
"""Types of the record of a patient without a date of care: they state facts that last, or have no date parameter."""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load()


def test_the_five_compartments_of_r4_have_the_types_and_parameters_of_r4() -> None:
    counted = {
        name: (len(found.members), sum(map(len, found.members.values()))) for name, found in compartments().items()
    }
    assert counted == {
        "Device": (32, 49),
        "Encounter": (25, 25),
        "Patient": (66, 100),
        "Practitioner": (59, 88),
        "RelatedPerson": (32, 40),
    }
    assert compartments()["RelatedPerson"].url == "http://hl7.org/fhir/CompartmentDefinition/relatedPerson"
    patient = compartments()["Patient"].members
    assert patient["Communication"] == ("subject", "sender", "recipient")
    assert patient["Encounter"] == ("patient",)
    assert "Task" not in patient, "R4 4.0.1 has no Task in the compartment of a patient"


def test_every_parameter_is_a_reference_that_can_point_at_the_identity(registry: Registry) -> None:
    for name, compartment in compartments().items():
        for resource_type, codes in compartment.members.items():
            for code in codes:
                if code == ITSELF:
                    assert resource_type == name
                    continue
                parameter = registry.of(resource_type)[code]
                assert parameter.type == "reference"
                assert name in registry.targets(parameter)


def test_membership_is_any_of_the_parameters_and_the_identity_itself() -> None:
    patient, encounter = compartments()["Patient"], compartments()["Encounter"]
    assert membership(patient, "7", "Condition") == Or(
        (RefersTo("patient", "Patient/7"), RefersTo("asserter", "Patient/7"))
    )
    assert membership(patient, "7", "AuditEvent") == RefersTo("patient", "Patient/7")
    assert membership(patient, "7", "Patient") == Or((RefersTo("link", "Patient/7"), IdIs(("7",))))
    assert membership(encounter, "7", "Encounter") == IdIs(("7",))
    assert membership(compartments()["Device"], "7", "Device") == IdIs(("7",))
    assert membership(patient, "7", "Organization") == NOTHING
    assert "Device" in member_types(compartments()["Device"])


def test_types_that_r4_leaves_out_are_still_about_the_patient(registry: Registry) -> None:
    patient = compartments()["Patient"]
    added = [name for name in registry.types if name not in patient.members and about(registry, patient, name)]
    assert added == ["Contract", "Device", "GuidanceResponse", "Task"]


def test_every_care_date_is_a_date_parameter_and_every_dated_type_has_one(registry: Registry) -> None:
    for name, tiers in CARE_DATES.items():
        for code in " ".join(tiers).split():
            assert registry.of(name)[code].type == "date", f"{name}.{code}"
    patient = compartments()["Patient"]
    record = {name for name in registry.types if name in patient.members or about(registry, patient, name)}
    assert record == set(CARE_DATES) & record | NOT_CARE
    assert set(CARE_DATES) <= record


def test_the_first_tier_with_a_value_decides_and_what_has_no_date_stays() -> None:
    period = Interval(10, 20)
    assert care_within("Coverage", period) == EVERYTHING
    onset, ended = "onset-date", "abatement-date"
    assert care_within("Condition", period) == Or(
        (
            DateCompare(onset, Prefix.AP, 10, 20),
            DateCompare(ended, Prefix.AP, 10, 20),
            And(
                (
                    Missing(onset, missing=True),
                    Missing(ended, missing=True),
                    Or(
                        (
                            DateCompare("recorded-date", Prefix.AP, 10, 20),
                            And((Missing("recorded-date", missing=True), EVERYTHING)),
                        )
                    ),
                )
            ),
        )
    )
