"""Extraction: every datatype, and references of every kind."""

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.model.temporal import BEGINNING, END, parse_temporal
from fhir_server.search.extract import Extractor
from fhir_server.search.parameters import Registry
from fhir_server.search.values import (
    BaseQuantityEntry,
    CompositeEntry,
    DateEntry,
    NumberEntry,
    PositionEntry,
    QuantityEntry,
    ReferenceEntry,
    StringEntry,
    TokenEntry,
    UriEntry,
)
from tests.unit.search.extracting import of

OWN = "https://fhir.example.org/r4"


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(Registry.load(), OWN)


def test_a_codeable_concept_gives_an_entry_for_each_coding_and_its_text_once(extractor: Extractor) -> None:
    concept = {
        "coding": [{"system": "s", "code": "a", "display": "A"}, {"code": "b"}, {"display": "only"}],
        "text": "T",
    }
    assert of(extractor, "code", "Task", code=concept) == [
        TokenEntry("code", "s", "a", "A"),
        TokenEntry("code", "", "b", "T"),
        TokenEntry("code", "", "", "only"),
    ]
    assert of(extractor, "code", "Task", code={"text": "T"}) == [TokenEntry("code", "", "", "T")]
    both = {"coding": [{"system": "s", "code": "a", "display": "A"}], "text": "T"}
    assert of(extractor, "code", "Task", code=both) == [
        TokenEntry("code", "s", "a", "A"),
        TokenEntry("code", "", "", "T"),
    ]


def test_an_identifier_gives_its_types(extractor: Extractor) -> None:
    typed = {"system": "s", "value": "1", "type": {"coding": [{"system": "t", "code": "NI"}], "text": "national"}}
    assert of(extractor, "identifier", "Task", identifier=[typed, {"value": "2"}, {"system": "only"}]) == [
        TokenEntry("identifier", "s", "1", "national", "t", "NI"),
        TokenEntry("identifier", "", "2"),
        TokenEntry("identifier", "only", ""),
    ]
    described = {"value": "1", "type": {"text": "national"}}
    assert of(extractor, "identifier", "Task", identifier=[described]) == [
        TokenEntry("identifier", "", "1", "national")
    ]


@pytest.mark.parametrize(
    ("reference", "entry"),
    [
        ({"reference": "Patient/1"}, ReferenceEntry("subject", "Patient/1", target_type="Patient")),
        ({"reference": "Patient/1/_history/2"}, ReferenceEntry("subject", "Patient/1", "2", target_type="Patient")),
        ({"reference": f"{OWN}/Patient/1"}, ReferenceEntry("subject", "Patient/1", target_type="Patient")),
        (
            {"reference": "https://o.org/f/Patient/1/_history/2"},
            ReferenceEntry("subject", "https://o.org/f/Patient/1", "2", target_type="Patient"),
        ),
        ({"reference": "https://o.org/thing.txt"}, ReferenceEntry("subject", "https://o.org/thing.txt")),
        ({"identifier": {"system": "s", "value": "v"}}, ReferenceEntry("subject", "", "", "s", "v")),
        (
            {"reference": "#c", "type": "Patient", "identifier": {"value": "v"}},
            ReferenceEntry("subject", "", "", "", "v", "Patient"),
        ),
        (
            {"reference": "Patient/1", "identifier": {"system": "s", "value": "v"}},
            ReferenceEntry("subject", "Patient/1", "", "s", "v", "Patient"),
        ),
        ({"reference": "#c"}, None),
        (
            {"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"},
            ReferenceEntry("subject", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"),
        ),
        ({"reference": "Patient?identifier=1"}, None),
        ({"display": "somebody"}, None),
        ({"reference": 5}, None),
        ({"identifier": {"value": 5}}, None),
    ],
)
def test_each_kind_of_reference(extractor: Extractor, reference: dict[str, Any], entry: ReferenceEntry | None) -> None:
    assert of(extractor, "subject", "ServiceRequest", subject=reference) == ([entry] if entry else [])


def test_resolve_is_keeps_the_type_and_the_logical_ones_that_state_none(extractor: Extractor) -> None:
    assert of(extractor, "patient", "ServiceRequest", subject={"reference": "Group/1"}) == []
    assert of(extractor, "patient", "ServiceRequest", subject={"reference": "https://o.org/Patient/1"})
    assert of(extractor, "patient", "ServiceRequest", subject={"type": "Group", "identifier": {"value": "1"}}) == []
    stated = {"type": "http://hl7.org/fhir/StructureDefinition/Patient", "identifier": {"value": "1"}}
    assert of(extractor, "patient", "ServiceRequest", subject=stated)
    assert of(extractor, "patient", "ServiceRequest", subject={"identifier": {"value": "1"}})


def test_canonicals_keep_the_version_apart(extractor: Extractor) -> None:
    found = of(extractor, "instantiates-canonical", "ServiceRequest", instantiatesCanonical=["http://p|2", "#c"])
    assert found == [ReferenceEntry("instantiates-canonical", "http://p", "2")]
    assert of(extractor, "_profile", "Task", meta={"profile": ["http://p|2"]}) == [
        UriEntry("_profile", "http://p|2"),
        UriEntry("_profile", "http://p"),
    ]


def test_dates_become_intervals_with_open_ends(extractor: Extractor) -> None:
    day = parse_temporal("2026-11-05")
    assert of(extractor, "authored-on", "Task", authoredOn="2026-11-05") == [DateEntry("authored-on", *day)]
    assert of(extractor, "period", "Task", executionPeriod={"start": "2026-11-05"}) == [
        DateEntry("period", day.lo, END)
    ]
    assert of(extractor, "period", "Task", executionPeriod={"end": "2026-11-05"}) == [
        DateEntry("period", BEGINNING, day.hi)
    ]
    assert of(extractor, "period", "Task", executionPeriod={}) == []
    timing = {"event": ["2026-11-05", "2026-11-07"]}
    assert of(extractor, "occurrence", "ServiceRequest", occurrenceTiming=timing) == [
        DateEntry("occurrence", day.lo, parse_temporal("2026-11-07").hi)
    ]
    assert of(extractor, "occurrence", "ServiceRequest", occurrenceTiming={"repeat": {"frequency": 1}}) == []
    assert of(extractor, "authored-on", "Task", authoredOn="yesterday") == []


def test_numbers_quantities_and_positions(extractor: Extractor) -> None:
    risk = [{"probabilityDecimal": Decimal("0.25")}, {"probabilityRange": {"low": {"value": 1}, "high": {"value": 2}}}]
    assert of(extractor, "probability", "RiskAssessment", prediction=risk) == [
        NumberEntry("probability", 0.25),
        CompositeEntry("probability", ()),
    ]
    assert of(extractor, "probability:extent", "RiskAssessment", prediction=risk) == [
        CompositeEntry("probability:extent", ((NumberEntry("0", 1.0),), (NumberEntry("1", 2.0),)))
    ]
    kilos = {"value": Decimal("70.50"), "unit": "kilo", "system": "http://unitsofmeasure.org", "code": "kg"}
    assert of(extractor, "value-quantity", "Observation", valueQuantity=kilos) == [
        QuantityEntry("value-quantity", 70.5, "http://unitsofmeasure.org", "kg", "kilo"),
        BaseQuantityEntry("value-quantity", 70.5, "kilogram^1"),
    ]
    assert of(extractor, "totalnet", "Invoice", totalNet={"value": 5, "currency": "EUR"}) == [
        QuantityEntry("totalnet", 5.0, "urn:iso:std:iso:4217", "EUR", "")
    ]
    assert of(extractor, "near", "Location", position={"latitude": 51, "longitude": Decimal("3.7")}) == [
        PositionEntry("near", 51.0, 3.7)
    ]
    assert of(extractor, "near", "Location", position={"latitude": 91, "longitude": 0}) == []
    assert of(extractor, "near", "Location", position={"latitude": True, "longitude": 0}) == []


def test_sampled_data_counts_by_its_extremes(extractor: Extractor) -> None:
    sampled = {"origin": {"value": 10, "unit": "mV"}, "period": 1, "factor": 2, "dimensions": 1, "data": "1 E -3 2.5 U"}
    assert of(extractor, "value-quantity", "Observation", valueSampledData=sampled) == [
        QuantityEntry("value-quantity", 4.0, "", "", "mV"),
        QuantityEntry("value-quantity", 15.0, "", "", "mV"),
    ]
    assert of(extractor, "value-quantity", "Observation", valueSampledData={**sampled, "data": "E U L"}) == []
    assert of(extractor, "value-quantity", "Observation", valueSampledData={"data": "1"}) == []


def test_names_and_addresses_give_their_parts(extractor: Extractor) -> None:
    name = {"family": "Muñoz", "given": ["Ana", "Bo"], "prefix": ["Dr."], "text": "x"}
    assert {e.value for e in of(extractor, "name", "Patient", name=[name]) if isinstance(e, StringEntry)} == {
        "Muñoz",
        "Ana",
        "Bo",
        "Dr.",
        "x",
    }
    address = {"line": ["Kerkstraat 1"], "city": "Gent", "use": "old"}
    assert set(of(extractor, "address", "Patient", address=[address])) == {
        StringEntry("address", "kerkstraat 1", "Kerkstraat 1"),
        StringEntry("address", "gent", "Gent"),
    }


def test_a_composite_pairs_one_occurrence(extractor: Extractor) -> None:
    group = [
        {"code": {"coding": [{"code": "a"}]}, "valueCodeableConcept": {"coding": [{"code": "x"}]}},
        {"code": {"coding": [{"code": "b"}]}, "valueBoolean": True},
        {"code": {"coding": [{"code": "c"}]}, "valueQuantity": {"value": 1}},
    ]
    assert of(extractor, "characteristic-value", "Group", characteristic=group) == [
        CompositeEntry("characteristic-value", ((TokenEntry("0", "", "a"),), (TokenEntry("1", "", "x"),))),
        CompositeEntry("characteristic-value", ((TokenEntry("0", "", "b"),), (TokenEntry("1", None, "true"),))),
    ]
    sequence = {"referenceSeq": {"referenceSeqId": {"coding": [{"code": "NC"}]}}, "variant": [{"start": 1, "end": 2}]}
    assert of(extractor, "referenceseqid-variant-coordinate", "MolecularSequence", **sequence) == [
        CompositeEntry(
            "referenceseqid-variant-coordinate",
            ((TokenEntry("0", "", "NC"),), (NumberEntry("1", 1.0),), (NumberEntry("2", 2.0),)),
        )
    ]
    related = [{"code": "replaces", "target": {"reference": "DocumentReference/1"}}]
    assert of(extractor, "relationship", "DocumentReference", relatesTo=related) == [
        CompositeEntry(
            "relationship",
            (
                (TokenEntry("0", None, "replaces"),),
                (ReferenceEntry("1", "DocumentReference/1", target_type="DocumentReference"),),
            ),
        )
    ]


def test_a_bundle_is_found_by_its_first_entry_only(extractor: Extractor) -> None:
    entries = [
        {"resource": {"resourceType": "Composition", "id": "c"}},
        {"resource": {"resourceType": "Composition", "id": "d"}},
    ]
    assert of(extractor, "composition", "Bundle", entry=entries) == [
        ReferenceEntry("composition", "Composition/c", target_type="Composition")
    ]
    assert of(extractor, "message", "Bundle", entry=entries) == []


def test_deceased_is_false_when_nothing_is_said(extractor: Extractor) -> None:
    false, true = TokenEntry("deceased", None, "false"), TokenEntry("deceased", None, "true")
    assert of(extractor, "deceased", "Patient") == [false]
    assert of(extractor, "deceased", "Patient", deceasedBoolean=False) == [false]
    assert of(extractor, "deceased", "Patient", deceasedBoolean=True) == [true]
    assert of(extractor, "deceased", "Patient", deceasedDateTime="2020") == [true]
