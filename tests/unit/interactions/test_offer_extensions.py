"""What the extensions of a service say is read, and what cannot be read is said with its place, never passed over."""

import math
from typing import Any

import pytest

from fhir_server.artifacts.source import default_root
from fhir_server.interactions.offer_extensions import CAPACITY, CHANNEL, Facts, read_extensions
from fhir_server.workflow.seasons import Season
from fhir_server.workflow.suggestion_facts import CAPACITIES, load_rules

SD = "https://w3id.org/social-referral/StructureDefinition/"
UCUM = {"system": "http://unitsofmeasure.org"}


def extension(name: str, **value: Any) -> dict[str, Any]:
    return {"url": SD + name, **value}


def ages(low: Any = None, high: Any = None) -> dict[str, Any]:
    return extension("eligibility-age", valueRange={k: v for k, v in (("low", low), ("high", high)) if v is not None})


def wait(**duration: Any) -> dict[str, Any]:
    return extension("service-wait", valueDuration=duration)


def capacity(code: str, url: str = "capacityStatus") -> dict[str, Any]:
    return {"url": CAPACITY, "extension": [{"url": url, "valueCodeableConcept": {"coding": [{"code": code}]}}]}


def season(**parts: str) -> dict[str, Any]:
    return extension("service-season", extension=[{"url": url, "valueString": text} for url, text in parts.items()])


def read(*extensions: dict[str, Any]) -> Facts:
    return read_extensions({"resourceType": "HealthcareService", "extension": list(extensions)})


@pytest.mark.parametrize(("said", "facts"), [
    (ages({"value": 18, "code": "a", **UCUM}), {"youngest": 18.0}),
    (ages({"value": 6, "code": "mo", **UCUM}, {"value": 12}), {"youngest": 0.5, "oldest": 12.0}),
    (ages(None, {"value": 25, "unit": "Jaar"}), {"oldest": 25.0}),
    (wait(value=2, code="wk", **UCUM), {"wait_days": 14.0}), (wait(value=3, unit="jours"), {"wait_days": 3.0}),
    (wait(value=4, code="d", comparator="<=", **UCUM), {"wait_days": 4.0}),
    (capacity("waitlist"), {"capacity": "waitlist"}),
    (extension("last-verified", valueDate="2026-11-22"), {"verified_ms": 1_795_305_600_000}),
    (extension("last-verified", valueDateTime="2026-11-22T10:00:00+01:00"), {"verified_ms": 1_795_338_000_000}),
    (extension("service-channel", valueCodeableConcept={"coding": [{"system": CHANNEL, "code": "phone"}]}), {"channels": {"phone"}}),
    (season(start="04-01", end="09-30", description="x"), {"seasons": (Season("04-01", "09-30", "x"),)}),
    ({"url": "https://example.org/else", "valueString": "x"}, {}),
])  # fmt: skip
def test_what_can_be_read_counts(said: dict[str, Any], facts: dict[str, Any]) -> None:
    assert read(said) == Facts()._replace(**facts)


@pytest.mark.parametrize(("said", "why"), [
    (ages(), "it has no valueRange.low"), (extension("eligibility-age", valueString="18-25"), "it has no valueRange"),
    (ages({"value": 18, "code": "a"}, {"value": 12, "code": "a"}), "it begins at 18 and ends at 12"),
    (ages({"value": 18, "code": "a"}, {"value": 24, "code": "mo"}), "it begins at 18 and ends at 2"),
    (ages({"value": -1}), "valueRange.low is -1"), (ages({"unit": "a"}), "it has no valueRange.low.value"),
    (ages(None, {"value": 12, "code": "cm"}), "the unit of valueRange.high is 'cm'"),
    (wait(value=-3, code="wk"), "valueDuration is -3"), (wait(value=3), "the unit of valueDuration is ''"),
    (wait(value=3, unit="fortnights"), "'fortnights'"), (wait(unit="wk"), "it has no valueDuration.value"),
    (wait(value=3, code="wk", comparator=">"), "> 3 has no end"), (extension("service-wait", valueString="lang"), "valueDuration"),
    (capacity("full"), "capacityStatus has no code of additional-assessment-required, capacity"),
    (capacity("waitlist", "status"), "it has no capacityStatus"), ({"url": CAPACITY, "valueString": "vol"}, "no capacityStatus"),
    (extension("last-verified", valueString="gisteren"), "it has no valueDate"),
    (extension("last-verified", _valueDate={"id": "x"}), "it has no valueDate"),
    (extension("service-channel", valueCodeableConcept={"text": "per post"}), "valueCodeableConcept has no code of"),
    (season(start="02-30", end="03-01"), "start is '02-30'"), (season(start="02-28", end="3/1"), "end is '3/1'"),
    (season(start="02-28"), "it has no end"), (extension("service-season", valueString="zomer"), "it has no start"),
])  # fmt: skip
def test_what_cannot_be_read_counts_as_unsaid_and_is_told_with_its_place(said: dict[str, Any], why: str) -> None:
    facts = read({"url": "https://example.org/else", "valueString": "x"}, said)
    assert facts._replace(faults=()) == Facts()
    (fault,) = facts.faults
    assert fault.place == ".extension[1]"
    assert f"{said['url'].rpartition('/')[2]} cannot be read" in fault.why
    assert why in fault.why
    assert {fault.why.translated(language) for language in ("nl", "fr")}.isdisjoint({str(fault.why)})


def test_of_what_may_be_said_once_the_first_that_can_be_read_counts() -> None:
    facts = read(wait(value=-1, code="d"), wait(value=5, code="d"), wait(value=9, code="d"), season(start="x", end="y"))
    assert facts.wait_days == 5.0
    assert [fault.place for fault in facts.faults] == [".extension[0]", ".extension[2]", ".extension[3]"]
    two = read(season(start="01-01", end="02-01"), season(start="03-01", end="04-01"))
    assert (len(two.seasons), two.faults) == (2, ())
    assert (read().youngest, read().oldest) == (0.0, math.inf)


def test_the_capacities_are_those_that_are_weighed() -> None:
    assert load_rules(default_root()).capacity.keys() == CAPACITIES
