"""Includes: what a page brings along."""

import pytest

from fhir_server.search import query as q
from fhir_server.search.extract import Extractor
from fhir_server.search.includes import canonical_queries, include_targets, is_local, reverse_queries, version_number
from fhir_server.search.parameters import Registry
from fhir_server.search.request import Include

REGISTRY = Registry.load()
TASK = {
    "resourceType": "Task",
    "id": "t",
    "owner": {"reference": "Organization/o"},
    "requester": {"reference": "https://elsewhere.org/Organization/o"},
    "for": {"reference": "Patient/p"},
    "basedOn": [{"reference": "ServiceRequest/1"}, {"reference": "ServiceRequest/1"}, {"reference": "#c"}],
}
REQUEST = {"resourceType": "ServiceRequest", "id": "s", "instantiatesCanonical": ["http://x/PlanDefinition/1|2"]}


@pytest.mark.parametrize(
    ("include", "targets"),
    [
        (Include("Task", "owner"), ["Organization/o"]),
        (Include("Task", "owner", "Organization"), ["Organization/o"]),
        (Include("Task", "owner", "Patient"), []),
        (Include("Task", "based-on"), ["ServiceRequest/1"]),
        (Include("Task", "requester"), []),
        (Include("Patient", "organization"), []),
        (Include("Task", "*"), ["Organization/o", "Patient/p", "ServiceRequest/1"]),
        (Include("Task", "*", "Patient"), ["Patient/p"]),
    ],
)
def test_an_include_names_what_is_here_once(include: Include, targets: list[str]) -> None:
    entries = Extractor(REGISTRY).extract(TASK)
    assert sorted(include_targets(include, "Task", entries)) == [(target, "") for target in targets]


def test_a_version_that_is_named_is_told() -> None:
    versions = [{"reference": f"Patient/p/_history/{version}"} for version in ("2", "10", "2")]
    entries = Extractor(REGISTRY).extract(
        {"resourceType": "Provenance", "target": [*versions, {"reference": "Patient/p"}]}
    )
    told = include_targets(Include("Provenance", "target"), "Provenance", entries)
    assert told == [("Patient/p", "2"), ("Patient/p", "10"), ("Patient/p", "")]
    assert [version_number(text) for text in ("2", "10", "02", "x", "-1", "0", "", "1" * 19)] == [
        2,
        10,
        0,
        0,
        0,
        0,
        0,
        0,
    ]


def test_a_canonical_is_found_by_its_url() -> None:
    include = Include("ServiceRequest", "instantiates-canonical", "PlanDefinition")
    ((url, version),) = include_targets(
        Include("ServiceRequest", "instantiates-canonical"), "ServiceRequest", Extractor(REGISTRY).extract(REQUEST)
    )
    assert (url, version) == ("http://x/PlanDefinition/1", "2")
    assert not is_local(url)
    named = q.UriIs("url", q.TextMode.EXACT, url)
    (query,) = canonical_queries(REGISTRY, include, [(url, ""), (url, "2-B")], 10)
    assert query.type == "PlanDefinition"
    assert query.where == q.Or((named, q.And((named, q.TokenIs("version", None, "2-b")))))
    naming = Include("ServiceRequest", "instantiates-canonical", "NamingSystem")  # which states no version
    assert [one.where for one in canonical_queries(REGISTRY, naming, [(url, "2")], 10)] in ([], [q.Or((named,))])


def test_a_reverse_include_asks_each_source_type_once() -> None:
    (query,) = reverse_queries(REGISTRY, Include("Provenance", "target"), {"Task": ["Task/1", "Task/2"]}, 11)
    assert query.type == "Provenance"
    assert query.where == q.Or((q.RefersTo("target", "Task/1"), q.RefersTo("target", "Task/2")))
    assert query.limit == 11
    assert reverse_queries(REGISTRY, Include("Patient", "organization"), {"Task": ["Task/1"]}, 11) == []
    every = reverse_queries(REGISTRY, Include("*", "*"), {"Organization": ["Organization/1"]}, 11)
    asked = {query.type: query.where for query in every}
    assert {"Task", "Patient", "Organization"} <= asked.keys()
    assert "ValueSet" not in asked
    task = asked["Task"]
    assert isinstance(task, q.Or)
    assert {part.param for part in task.parts if isinstance(part, q.RefersTo)} == {
        "based-on",
        "focus",
        "owner",
        "requester",
        "subject",
    }
