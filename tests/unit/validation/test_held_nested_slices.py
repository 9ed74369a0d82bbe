"""Slices that are told apart by what lies deep in them, and bounds on elements that may be of several types."""

from typing import Any

import pytest

from tests.unit.validation.test_profile_rules import PATIENT, definition, el, slicing, told

DOSED = "MedicationRequest.dosageInstruction"
RULES: dict[str, dict[str, Any]] = {
    "exists": {"min": 1},
    "dose": {"patternRange": {"low": {"value": 1}}},
    "bounds": {"patternPeriod": {"start": "2026"}},
}
TYPES: dict[str, dict[str, Any]] = {"dose": {"type": [{"code": "Range"}]}, "bounds": {"type": [{"code": "Period"}]}}
GIVEN: dict[str, Any] = {
    "dose": {"doseAndRate": [{"doseRange": {"low": {"value": 1}}}]},
    "other dose": {"doseAndRate": [{"doseQuantity": {"value": 1}}]},
    "bounds": {"timing": {"repeat": {"boundsPeriod": {"start": "2026"}}}},
    "other bounds": {"timing": {"repeat": {"boundsDuration": {"value": 1}}}},
    "neither": {
        "text": "with food",
        "timing": {"repeat": {"count": 3}},
        "doseAndRate": [{"rateQuantity": {"value": 1}}],
    },
}


def sliced(kind: str, path: str) -> tuple[dict[str, Any], ...]:
    """The elements of a profile that takes one dosage of a slice: that has a choice at a path, or a certain value there."""
    steps = path.split(".")
    below = [f"{DOSED}:x." + ".".join(steps[: end + 1]) for end in range(len(steps))]
    rule = TYPES[steps[-1]] if kind == "type" else RULES[kind if kind == "exists" else steps[-1]]
    return (
        el(DOSED, slicing=slicing(kind, path)),
        el(f"{DOSED}:x", sliceName="x", max="1"),
        *(el(one) for one in below[:-1]),
        el(f"{below[-1]}[x]", **rule),
    )


def dosed(*names: str) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": {"reference": "Patient/1"},
        "medicationCodeableConcept": {"text": "iron"}, "dosageInstruction": [GIVEN[name] for name in names],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "name", "other"),
    [("doseAndRate.dose", "dose", "other dose"), ("timing.repeat.bounds", "bounds", "other bounds")],
    ids=["in a part of a type", "in a part of an element of one type"],
)
def test_a_slice_is_known_by_a_choice_that_lies_deep_in_it(path: str, name: str, other: str) -> None:
    def told_of(kind: str, *names: str) -> list[tuple[str, str, str]]:
        return told(definition("MedicationRequest", *sliced(kind, path)), dosed(*names))

    def too_many(index: int) -> list[tuple[str, str, str]]:
        return [("error", "slice-max", f"{DOSED}[{index}]")]

    assert told_of("exists", "neither", name, "neither") == []
    assert told_of("exists", "neither", name, other) == too_many(2)
    assert told_of("value", name, other, "neither", other) == []
    assert told_of("value", name, other, "neither", name) == too_many(3)
    assert told_of("type", name, other, "neither", other) == []
    assert told_of("type", name, other, "neither", name) == too_many(3)


@pytest.mark.parametrize(
    ("limit", "held", "key"),
    [
        ({"minValueDateTime": "2000-01-01"}, {"deceasedBoolean": True}, ""),
        ({"maxValueDateTime": "2000-01-01"}, {"deceasedBoolean": False}, ""),
        ({"minValueDateTime": "2000-01-01"}, {"deceasedDateTime": "1999-12-31"}, "profile-value-min"),
        ({"minValueDateTime": "2000-01-01"}, {"deceasedDateTime": "2000-01-01"}, ""),
        ({"maxValueDateTime": "2000-01-01"}, {"deceasedDateTime": "2000-01-02"}, "profile-value-max"),
    ],
)
def test_a_bound_of_dates_judges_dates_and_lets_the_other_types_of_a_choice_be(
    limit: dict[str, str], held: dict[str, Any], key: str
) -> None:
    profile = definition("Patient", el("Patient.deceased[x]", **limit))
    place = "Patient.deceased.ofType(dateTime)"
    assert told(profile, {**PATIENT, **held}) == ([("error", key, place)] if key else [])


def test_a_bound_of_numbers_lets_a_text_be_and_a_value_of_the_wrong_shape_is_told_once() -> None:
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "rooms"}}
    numbered = definition("Observation", el("Observation.value[x]", minValueInteger=3))
    assert told(numbered, {**observation, "valueString": "2"}) == []
    assert told(numbered, {**observation, "valueBoolean": True}) == []
    assert told(numbered, {**observation, "valueInteger": 2}) == [
        ("error", "profile-value-min", "Observation.value.ofType(integer)")
    ]
    born = definition("Patient", el("Patient.birthDate", maxValueDate="2000-01-01"))
    assert told(born, {**PATIENT, "birthDate": 7}) == [("error", "json-type", "Patient.birthDate")]
