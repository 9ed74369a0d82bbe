"""Searches that one resource answers by itself: what is taken means what a search means, all else is refused by name."""

import pytest

from fhir_server.model.errors import FhirError
from fhir_server.search.alone import NotAlone, alone, parameters_of
from fhir_server.search.parameters import Registry
from fhir_server.search.parse import parse_search

REGISTRY = Registry.load()


@pytest.mark.parametrize(
    ("kind", "query"),
    [
        ("Task", ""),
        ("Task", "owner=Organization/1&status=requested,accepted"),
        ("Task", "status:not=completed&owner:missing=false"),
        ("Task", "authored-on=ge2026-11"),
        ("Task", "owner:identifier=urn:x|7"),
        ("Task", "_filter=status eq requested and owner re Organization/1"),
        ("ValueSet", "url:below=http://example.org/fhir"),
        ("ValueSet", "url:above=http://example.org/fhir/a"),
        ("DocumentReference", "contenttype:below=text/xml"),
        ("CarePlan", "instantiates-canonical:below=http://example.org/plan|1"),
        ("RiskAssessment", "probability=ap0.5"),
        ("Location", "near=50.9|4.4|10|km"),
        ("Patient", "_text=bone"),
    ],
)
def test_what_a_resource_says_itself_means_what_a_search_means(kind: str, query: str) -> None:
    parameters = parameters_of(query)
    assert alone(REGISTRY, kind, parameters) == parse_search(REGISTRY, kind, parameters, strict=True).where


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("owner.name=x", "chained parameters"),
        ("_has:Provenance:target:_id=p", "_has"),
        ("_list=1", "_list"),
        ("_filter=owner:Organization.name eq x", "chained parameters"),
        ("code:in=http://example.org/v", ":in 'http://example.org/v'"),
        ("code:not-in=http://example.org/v", ":in 'http://example.org/v'"),
        ("code:below=http://example.org/s|a", ":below 'http://example.org/s|a'"),
        ("_filter=code in http://example.org/v", ":in 'http://example.org/v'"),
        ("owner:below=Organization/1,Organization/2", "name each Organization"),
        ("owner:above=Organization/1", "hierarchy of Organization by 'partof'"),
        ("overdue=true", "overdue"),
        ("overdue=false", "overdue"),
        ("authored-on=ap2026-11", "ap on a date"),
        ("authored-on=lt2020,ap2026-11", "ap on a date"),
        ("_lastUpdated=ap2026-11", "ap on a date"),
        ("_filter=authored-on ap 2026", "ap on a date"),
        ("_sort=_id", "_sort shapes"),
        ("_include:iterate=Task:owner", "_include:iterate shapes"),
    ],
)
def test_what_could_come_true_without_a_change_of_the_resource_is_refused(query: str, told: str) -> None:
    for _ in range(2):  # a refusal is told again
        with pytest.raises(NotAlone) as refusal:
            alone(REGISTRY, "Task", parameters_of(query))
        assert told in str(refusal.value)


def test_what_is_not_understood_is_told_as_in_a_search() -> None:
    with pytest.raises(FhirError, match="Did you mean 'owner'"):
        alone(REGISTRY, "Task", parameters_of("onwer=x"))


def test_a_list_that_is_too_long_to_be_remembered_is_read_too() -> None:
    parameters = parameters_of("owner=" + ",".join(f"Organization/{number}" for number in range(200)))
    assert alone(REGISTRY, "Task", parameters) == parse_search(REGISTRY, "Task", parameters, strict=True).where
