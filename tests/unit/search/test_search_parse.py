"""Parsing: what a search becomes."""

import pytest

from fhir_server.search import query as q
from fhir_server.search.query import Prefix, SortKey, TextMode
from fhir_server.search.request import Include, SearchLimits
from tests.unit.search.parsing import NOW, parse


@pytest.mark.parametrize(
    ("query", "node"),
    [
        ("Task", q.EVERYTHING),
        ("Task?status=a", q.TokenIs("status", None, "a")),
        ("Task?status=a,b", q.Or((q.TokenIs("status", None, "a"), q.TokenIs("status", None, "b")))),
        ("Task?status=a,a", q.TokenIs("status", None, "a")),
        ("Task?status=a&intent=b", q.And((q.TokenIs("status", None, "a"), q.TokenIs("intent", None, "b")))),
        ("Task?code=s|", q.TokenIs("code", "s", None)),
        ("Task?code=|c", q.TokenIs("code", "", "c")),
        ("Task?code:text=Vóór", q.TokenText("code", "voor")),
        ("Task?code:not=c,d", q.Not(q.Or((q.TokenIs("code", None, "c"), q.TokenIs("code", None, "d"))))),
        ("Task?identifier:of-type=t|NI|1", q.OfType("identifier", "t", "NI", "1")),
        ("Task?owner=Organization/1", q.RefersTo("owner", "Organization/1")),
        ("Task?owner=https://me.example.org/fhir/Organization/1", q.RefersTo("owner", "Organization/1")),
        (
            "Task?owner=https://me.example.org/fhir/Organization/1/_history/2",
            q.RefersTo("owner", "Organization/1", "2"),
        ),
        (
            "Task?owner=https://x.org/Organization/1/_history/2",
            q.RefersTo("owner", "https://x.org/Organization/1", "2"),
        ),
        ("Task?owner:Organization=1", q.RefersTo("owner", "Organization/1")),
        ("Task?owner:identifier=s|v", q.RefersToIdentifier("owner", "s", "v")),
        ("Task?owner:missing=true", q.Missing("owner", True)),
        ("Task?patient=1", q.RefersTo("patient", "Patient/1")),
        (
            "ServiceRequest?instantiates-canonical=http://x/PlanDefinition/1|2",
            q.RefersTo("instantiates-canonical", "http://x/PlanDefinition/1", "2"),
        ),
        ("Organization?name=Ña", q.StringIs("name", TextMode.STARTS, "na")),
        (
            "Patient?name=Ña",
            q.Or((q.StringIs("name", TextMode.STARTS, "na"), q.StringIs("name:word", TextMode.STARTS, "na"))),
        ),
        ("Patient?name:exact=Ña", q.StringIs("name", TextMode.EXACT, "Ña")),
        (r"Patient?name:contains=a\,b", q.StringIs("name", TextMode.CONTAINS, "a b")),
        (r"Patient?name:exact=a\,b\|c\$d\\e", q.StringIs("name", TextMode.EXACT, r"a,b|c$d\e")),
        ("Patient?phonetic=Claes", q.StringIs("phonetic", TextMode.STARTS, "242")),
        ("ValueSet?url:below=http://a", q.UriIs("url", TextMode.BELOW, "http://a")),
        ("Task?_id=a,b", q.IdIs(("a", "b"))),
        ("Task?_id:not=a", q.Not(q.IdIs(("a",)))),
        ("Task?_lastUpdated=gt1970-01-01", q.LastUpdated(Prefix.GT, 0, 86_400_000_000)),
        ("Task?_lastUpdated:missing=true", q.NOTHING),
        ("Task?_id:missing=false", q.EVERYTHING),
        ("Task?modified=sa1970-01-01T00:00Z", q.DateCompare("modified", Prefix.SA, 0, 60_000_000)),
        ("Task?_list=List/7", q.Has("List", "item", q.IdIs(("7",)))),
        ("Location?near=1|2|3|m", q.Near("near", 1.0, 2.0, 3.0)),
        ("Location?near=1|2|3", q.Near("near", 1.0, 2.0, 3000.0)),
        ("Location?near=-1.5|+2", q.Near("near", -1.5, 2.0, 50_000.0)),
        (
            "Task?owner:Organization.name=x",
            q.Or(
                (
                    q.Chain("owner", "Organization", q.StringIs("name", TextMode.STARTS, "x")),
                    q.StringIs("owner#Organization.name", TextMode.STARTS, "x"),
                )
            ),
        ),
        (
            "Task?patient.identifier=s|v",
            q.Or(
                (
                    q.Chain("patient", "Patient", q.TokenIs("identifier", "s", "v")),
                    q.TokenIs("patient#Patient.identifier", "s", "v"),
                    q.RefersToIdentifier("patient", "s", "v"),
                )
            ),
        ),
        ("Organization?_has:Task:owner:status=a", q.Has("Task", "owner", q.TokenIs("status", None, "a"))),
        (
            "Patient?_has:Task:patient:_has:Provenance:target:_id=p",
            q.Has("Task", "patient", q.Has("Provenance", "target", q.IdIs(("p",)))),
        ),
        (
            "Observation?code-value-concept=a$s|b",
            q.CompositeIs("code-value-concept", (q.TokenIs("0", None, "a"), q.TokenIs("1", "s", "b"))),
        ),
    ],
)
def test_a_query_becomes_this_tree(query: str, node: q.Node) -> None:
    assert parse(query).where == node


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("status eq a", q.TokenIs("status", None, "a")),
        ("code eq s|c", q.TokenIs("code", "s", "c")),
        ("not(status eq a)", q.Not(q.TokenIs("status", None, "a"))),
        ("status ne a", q.Unequal("status", (q.TokenIs("", None, "a"),))),
        ("modified gt 1970-01-01", q.DateCompare("modified", Prefix.GT, 0, 86_400_000_000)),
        ("modified ne 1970-01-01", q.DateCompare("modified", Prefix.NE, 0, 86_400_000_000)),
        ("modified po 1970-01-01", q.DateCompare("modified", Prefix.AP, 0, 86_400_000_000)),
        ("owner re Organization/1", q.RefersTo("owner", "Organization/1")),
        ("owner pr false", q.Missing("owner", True)),
        (
            "code in http://vs",
            q.Or((q.TokenIs("code", "http://s", "in:http://vs"), q.TokenIs("code", "http://s", "second"))),
        ),
        (
            'owner:Organization.name eq "a, b"',
            q.Or(
                (
                    q.Chain("owner", "Organization", q.StringIs("name", TextMode.WHOLE, "a b")),
                    q.StringIs("owner#Organization.name", TextMode.WHOLE, "a b"),
                )
            ),
        ),
        (
            'owner:Organization.name co "A"',
            q.Or(
                (
                    q.Chain("owner", "Organization", q.StringIs("name", TextMode.CONTAINS, "a")),
                    q.StringIs("owner#Organization.name", TextMode.CONTAINS, "a"),
                )
            ),
        ),
        ("owner:Organization._id eq A", q.Chain("owner", "Organization", q.IdIs(("A",)))),
        (
            "status eq a or status eq b and intent eq c",
            q.And(
                (q.Or((q.TokenIs("status", None, "a"), q.TokenIs("status", None, "b"))), q.TokenIs("intent", None, "c"))
            ),
        ),
        (
            "status eq a or (status eq b and intent eq c)",
            q.Or(
                (
                    q.TokenIs("status", None, "a"),
                    q.And((q.TokenIs("status", None, "b"), q.TokenIs("intent", None, "c"))),
                )
            ),
        ),
    ],
)
def test_a_filter_says_the_same_as_parameters(text: str, node: q.Node) -> None:
    assert parse(f"Task?_filter={text}", terminology=True).where == node


def test_a_short_reference_may_be_of_any_type_that_the_parameter_takes() -> None:
    found = parse("Task?owner=1").where
    assert isinstance(found, q.Or)
    assert q.RefersTo("owner", "Organization/1") in found.parts
    assert q.RefersTo("owner", "Medication/1") not in found.parts


def test_a_chain_goes_through_every_type_that_has_the_parameter() -> None:
    found = parse("Task?owner.name=x").where
    assert isinstance(found, q.Or)
    assert {part.target for part in found.parts if isinstance(part, q.Chain)} == {
        "HealthcareService", "Organization", "Patient", "Practitioner", "RelatedPerson",
    }  # fmt: skip


def test_approximate_dates_widen_with_their_distance_from_now() -> None:
    found = parse("Task?modified=ap1970-01-01").where
    assert found == q.DateCompare("modified", Prefix.AP, -NOW // 10, 86_400_000_000 + (NOW - 86_400_000_000) // 10)


def test_terminology_expands_codes() -> None:
    found = parse("Task?code:in=http://vs", terminology=True).where
    assert found == q.Or((q.TokenIs("code", "http://s", "in:http://vs"), q.TokenIs("code", "http://s", "second")))
    below = parse("Task?code:below=s|c", terminology=True).where
    assert below == q.Or((q.TokenIs("code", "http://s", "below:s|c"), q.TokenIs("code", "http://s", "second")))
    assert isinstance(parse("Task?code:not-in=http://vs", terminology=True).where, q.Not)
    assert isinstance(parse("Task?code:above=s|c", terminology=True).where, q.Or)


def test_the_answer_is_shaped_by_controls() -> None:
    request = parse(
        "Task?_sort=-_lastUpdated,status&_count=5&_total=accurate&_summary=false&_elements=status,Task.owner&_cursor=abc"
        "&_include=Task:owner:Organization&_include:iterate=Organization:partof&_include=Task:*&_revinclude=Provenance:target"
        "&_contained=false&status=a"
    )
    assert request.sort == (SortKey("_lastUpdated", descending=True), SortKey("status"))
    assert (request.count, request.total, request.summary, request.cursor) == (5, "accurate", "false", "abc")
    assert request.elements == ("status", "owner")
    assert request.includes == (
        Include("Task", "owner", "Organization"),
        Include("Organization", "partof", iterate=True),
        Include("Task", "*"),
    )
    assert request.revincludes == (Include("Provenance", "target"),)
    assert ("_cursor", "abc") not in request.used
    assert [name for name, _ in request.used][:3] == ["_sort", "_count", "_total"]
    assert parse("Task?_count=0").count == 0
    assert parse("Task?_count=999999").count == SearchLimits().count
    assert parse("Task?_include=*&_revinclude=*").includes == (Include("Task", "*"),)
    assert parse("Task?_revinclude=*").revincludes == (Include("*", "*"),)
