"""Extraction: what is odd, repeated or not there."""

from decimal import Decimal

import pytest

from fhir_server.model.temporal import parse_temporal
from fhir_server.search.extract import Extractor
from fhir_server.search.parameters import Registry
from fhir_server.search.values import DateEntry
from tests.unit.search.extracting import of

OWN = "https://fhir.example.org/r4"


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(Registry.load(), OWN)


@pytest.mark.parametrize(
    "text", ["2026-11-05T10:30:60Z", "2026-11-05T10:30:00+15:00", "2026-11-05T10:30:00+01:90", "2026-02-30"]
)
def test_an_odd_date_is_read_as_the_kernel_reads_it(extractor: Extractor, text: str) -> None:
    try:
        expected = [DateEntry("authored-on", *parse_temporal(text))]
    except ValueError:
        expected = []
    assert of(extractor, "authored-on", "Task", authoredOn=text) == expected


def test_the_same_entry_comes_once(extractor: Extractor) -> None:
    twice = of(
        extractor, "based-on", "Task", basedOn=[{"reference": "ServiceRequest/1"}, {"reference": "ServiceRequest/1"}]
    )
    assert len(twice) == 1


def test_ids_and_times_are_left_to_the_store(extractor: Extractor) -> None:
    entries = extractor.extract({"resourceType": "Task", "id": "x", "meta": {"lastUpdated": "2026-01-01T00:00:00Z"}})
    assert entries == ()


def test_an_unknown_type_has_no_entries(extractor: Extractor) -> None:
    assert extractor.extract({"resourceType": "Banana", "id": "1"}) == ()
    assert extractor.extract({}) == ()
    assert extractor.extract({"resourceType": ["Task"]}) == ()


ODD = (
    None,
    True,
    0,
    -1.5,
    Decimal("1E400"),
    "",
    "x",
    [],
    {},
    [None],
    [[]],
    [{}],
    {"value": []},
    {"coding": "x"},
    {"coding": [5]},
)


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize(
    "kind", ["Patient", "Task", "Observation", "Location", "ServiceRequest", "Bundle", "RiskAssessment"]
)
def test_odd_shapes_never_raise(extractor: Extractor, kind: str, odd: object) -> None:
    plan_members = [
        "name",
        "telecom",
        "address",
        "identifier",
        "gender",
        "birthDate",
        "deceasedBoolean",
        "code",
        "status",
        "subject",
        "for",
        "owner",
        "executionPeriod",
        "authoredOn",
        "valueQuantity",
        "valueCodeableConcept",
        "component",
        "effectiveTiming",
        "effectivePeriod",
        "position",
        "meta",
        "entry",
        "prediction",
        "occurrenceTiming",
        "instantiatesCanonical",
    ]
    assert isinstance(extractor.extract({"resourceType": kind, **dict.fromkeys(plan_members, odd)}), tuple)
    nested = {
        "coding": odd,
        "text": odd,
        "reference": odd,
        "identifier": odd,
        "event": odd,
        "repeat": odd,
        "value": odd,
    }
    assert isinstance(extractor.extract({"resourceType": kind, **dict.fromkeys(plan_members, nested)}), tuple)
