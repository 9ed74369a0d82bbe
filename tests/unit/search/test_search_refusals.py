"""Parsing: what is refused with which words, and what lenient handling leaves out."""

import time

import pytest

from fhir_server.model.errors import FhirError, Malformed, NotSupported
from fhir_server.search import query as q
from fhir_server.search.parse import parse_search
from fhir_server.search.request import SearchLimits
from tests.unit.search.parsing import REGISTRY, parse

REFUSED = [
    ("Task?onwer=1", "search-unknown-parameter", ["'onwer'", "Did you mean 'owner'?", "status"]),
    ("Task?$gt=1", "search-unknown-parameter", ["'$gt'"]),
    ("Task?status:exact=x", "search-unsupported-modifier", ["'status:exact'", "not-in"]),
    ("Task?modified:exact=x", "search-unsupported-modifier", ["missing"]),
    ("Task?status:=x", "search-unsupported-modifier", ["'status:'", "not-in"]),
    ("Patient?gender:of-type=a|b|c", "search-unsupported-modifier", ["'gender:of-type'", "not-in"]),
    ("Task?status:text=x", "search-unsupported-modifier", ["'status:text'", "not-in"]),
    ("Task?owner:.name=x", "search-unsupported-modifier", ["'owner:.name'", "identifier"]),
    ("Task?_include:=Task:owner", "search-unsupported-modifier", ["'_include:'", ":iterate"]),
    ("Task?_list:missing=true", "search-unsupported-modifier", ["'_list:missing'"]),
    ("RiskAssessment?probability=\u0665", "search-bad-number", ["'probability'", "5.40"]),
    ("Location?near=\u0665|4", "search-bad-near", ["'near'", "latitude"]),
    ("Task?owner:Patint=x", "search-unsupported-modifier", ["Did you mean 'Patient'?"]),
    ("Task?patient:below=x", "search-unsupported-modifier", ["'patient:below'", "hierarchy"]),
    (r"Task?code=a\b", "search-bad-escape", ["'code'", "only , | $"]),
    ("Task?_list=a b", "search-bad-reference", ["'_list'", "List"]),
    ("Task?_sort=_score", "search-not-supported", ["'_sort'", "relevance"]),
    ("Task?_summary=text&_include=Task:owner", "search-bad-summary", ["'_summary'", "_include"]),
    ("Task?_text=(a OR b", "search-bad-text", ["parentheses"]),
    ("Task?_text=a AND", "search-bad-text", ["AND, OR, NOT"]),
    ("Task?_text=" + "NOT " * 30 + "a", "search-bad-text", ["at most 20"]),
    ("Task?_filter=code[system eq x] eq a", "search-bad-filter", ["[...]", "composite"]),
    ("Task?_id:text=x", "search-unsupported-modifier", ["not"]),
    ("Task?code:in=http://vs", "search-not-supported", ["'code:in'", "terminology"]),
    ("Task?_text=...", "search-bad-text", ["'_text'", "quoted phrases"]),
    ("Task?_content:exact=x", "search-unsupported-modifier", ["'_content:exact'"]),
    ("Task?_filter=x", "search-bad-filter", ["'_filter'", "its end"]),
    ("Task?_filter=status eq", "search-bad-filter", ["its end"]),
    ("Task?_filter=status eq a and", "search-bad-filter", ["its end"]),
    ("Task?_filter=(status eq a", "search-bad-filter", ["its end"]),
    ("Task?_filter=status eq a)", "search-bad-filter", ["')'"]),
    ('Task?_filter=status eq "a', "search-bad-filter", []),
    ("Task?_filter=status gt a", "search-bad-filter", ["'status'", "a token", "eq"]),
    ("Task?_filter=status xx a", "search-bad-filter", ["'xx'"]),
    ("Patient?_filter=name ew a", "search-bad-filter", ["'ew'", "sw"]),
    ("Task?_filter=stauts eq a", "search-unknown-parameter", ["Did you mean 'status'?"]),
    ("Task?_filter=owner.nope eq a", "search-unknown-parameter", ["'nope'"]),
    ("Task?_filter=modified ge 2026-13", "search-bad-date", ["'_filter: modified'"]),
    ("Task?_filter=owner pr x", "search-bad-filter", ["'x'"]),
    ("Task?_filter=code in http://vs", "search-not-supported", ["terminology"]),
    ("Task?_filter=" + "(" * 500 + "status eq a", "search-bad-filter", ["20 parentheses"]),
    ("Task?_filter=" + "x" * 2000, "search-limit", ["2000"]),
    ("Task?_query=x", "search-not-supported", ["'_query'"]),
    ("Task?_list=$current-problems", "search-not-supported", ["'_list'"]),
    ("Task?_contained=true", "search-not-supported", ["'_contained'"]),
    ("Task?_containedType=container", "search-not-supported", ["'_containedType'"]),
    ("Task?modified=2026-13", "search-bad-date", ["'modified'", "'2026-13'", "2026-11-05"]),
    ("Task?modified=xx2026", "search-bad-date", ["prefix"]),
    ("Task?modified=2026-02-30", "search-bad-date", []),
    ("Task?modified=2026-01-01T10:00:00 01:00", "search-bad-date", ["%2B"]),
    ("Task?_lastUpdated=tomorrow", "search-bad-date", ["'_lastUpdated'"]),
    ("Task?code=a|b|c", "search-bad-token", [r"\|"]),
    ("Task?code=|", "search-bad-token", ["system|code"]),
    ("Patient?active=yes", "search-bad-boolean", ["true or false"]),
    ("Patient?deceased=1", "search-bad-boolean", ["true or false"]),
    ("Task?owner:missing=maybe", "search-bad-boolean", ["'owner:missing'"]),
    ("Task?identifier:of-type=a|b", "search-bad-of-type", ["all three"]),
    ("Task?owner=a b", "search-bad-reference", ["Type/id"]),
    ("Task?owner=Foo/1", "search-bad-reference", ["resource type"]),
    ("Task?owner:Organization=Patient/1", "search-bad-reference", ["Organization"]),
    ("RiskAssessment?probability=x", "search-bad-number", ["5.40"]),
    ("RiskAssessment?probability=1e999", "search-bad-number", []),
    ("RiskAssessment?probability=NaN", "search-bad-number", []),
    ("Observation?value-quantity=5|kg", "search-bad-quantity", ["number||code"]),
    ("Observation?value-quantity=x||kg", "search-bad-number", []),
    ("Observation?code-value-quantity=a", "search-bad-composite", ["<code>$<value-quantity>"]),
    ("Observation?code-value-quantity=a$", "search-bad-composite", []),
    ("Location?near=91|0", "search-bad-near", ["-90 to 90"]),
    ("Location?near=0|181", "search-bad-near", []),
    ("Location?near=0", "search-bad-near", []),
    ("Location?near=0|0|-1|km", "search-bad-near", []),
    ("Location?near=0|0|1|parsec", "search-bad-near", ["[mi_us]"]),
    ("Location?near=0|0|1|km|x", "search-bad-near", []),
    ("Location?near=x|0", "search-bad-near", []),
    ("Task?status.name=x", "search-bad-chain", ["'status'", "only references"]),
    ("Task?owner.xyz=1", "search-bad-chain", ["Organization", "xyz"]),
    ("Task?focus.status=x", "search-ambiguous-chain", ["types have a parameter 'status'", "focus:Account.status"]),
    ("Task?focus.nope=x", "search-ambiguous-chain", ["no type has a parameter 'nope'"]),
    ("Task?_has:Tsk:focus:owner=1", "search-bad-has", ["Did you mean 'Task'?"]),
    ("Task?_has:Patient:name:x=1", "search-bad-has", ["Patient.name"]),
    ("Task?_has:Task:owner=1", "search-bad-has", ["_has:Type:reference:parameter"]),
    ("Task?_has:Task:nope:status=1", "search-unknown-parameter", ["'nope'"]),
    ("Task?_count=-1", "search-bad-count", ["'_count'", "'-1'"]),
    ("Task?_count=1.5", "search-bad-count", []),
    ("Task?_count=99999999999999999999", "search-bad-count", []),
    ("Task?_total=acurate", "search-bad-total", ["Did you mean 'accurate'?"]),
    ("Task?_summary=x", "search-bad-summary", ["count"]),
    ("Task?_elements=stauts", "search-bad-elements", ["Did you mean 'status'?"]),
    ("Task?_sort=nope", "search-bad-sort", ["'nope'"]),
    ("Task?_sort=-_lastUpdatd", "search-bad-sort", ["Did you mean '_lastUpdated'?"]),
    ("Location?_sort=near", "search-bad-sort", ["'near'"]),
    ("Task?_include=Task:nope", "search-bad-include", ["'nope'", "owner"]),
    ("Task?_include=Tsk:owner", "search-bad-include", ["Did you mean 'Task'?"]),
    ("Task?_include=Task:status", "search-bad-include", ["'status'"]),
    ("Task?_include=Patient:organization", "search-bad-include", [":iterate"]),
    ("Task?_include=Task:owner:Medication", "search-bad-include", ["Organization"]),
    ("Task?_include=Task:owner:Nope", "search-bad-include", ["'Nope'"]),
    ("Task?_include:recurse=Task:owner", "search-unsupported-modifier", [":iterate"]),
    ("Task?_revinclude=Patient:organization", "search-bad-include", ["does not refer to Task"]),
    ("Task?_count:exact=1", "search-unsupported-modifier", ["'_count:exact'"]),
    ("Task?_sort:missing=status", "search-unsupported-modifier", ["'_sort:missing'"]),
    ("Task?_count=1&_count=2", "search-repeated-parameter", ["at most once"]),
    ("Tsk?status=a", "unknown-resource-type", ["Did you mean 'Task'?"]),
    ("Patient?name=" + ",".join("a" * 10_000), "search-limit", ["'name'", "10000 values", "1000"]),
    ("Patient?name=" + "(a+)+" * 400, "search-limit", ["2000 characters"]),
    ("Organization?" + "partof." * 50 + "name=x", "search-limit", ["chain", "8"]),
    ("Observation?" + "_has:Observation:has-member:" * 50 + "code=x", "search-limit", ["8"]),
    ("Observation?" + "subject.general-practitioner." * 4 + "name=x", "search-bad-chain", []),
    ("Task?" + "&".join(["status=a"] * 101), "search-limit", ["100"]),
]


@pytest.mark.parametrize(("query", "key", "told"), REFUSED, ids=[query[:60] for query, _, _ in REFUSED])
def test_a_refusal_names_the_parameter_and_what_is_allowed_within_50_ms(query: str, key: str, told: list[str]) -> None:
    started = time.thread_time()
    with pytest.raises((Malformed, NotSupported)) as error:
        parse(query)
    taken = time.thread_time() - started
    (issue,) = error.value.issues
    assert issue.key == key
    assert all(text in issue.diagnostics for text in told), issue.diagnostics
    assert taken < 0.5  # 50 ms asked; the first use of a type compiles it


def test_a_chain_through_many_types_is_bounded() -> None:
    with pytest.raises(FhirError) as error:
        parse("Provenance?" + "agent.link." * 3 + "name=x", limits=SearchLimits(conditions=20))
    assert error.value.issues[0].key in ("search-limit", "search-bad-chain")
    with pytest.raises(Malformed) as bounded:
        parse("Observation?subject.name=x", limits=SearchLimits(conditions=2))
    assert "subject:Patient" in bounded.value.issues[0].diagnostics


def test_lenient_handling_leaves_out_the_unknown_and_says_so() -> None:
    request = parse(
        "Task?onwer=1&status=a&code:exact=x&_sort=nope&_include=Task:nope&_query=x&owner.nope=1", strict=False
    )
    assert request.where == q.TokenIs("status", None, "a")
    assert request.used == (("status", "a"),)
    assert request.ignored == ("onwer", "code:exact", "_sort", "_include", "_query", "owner.nope")
    assert request.sort == ()


def test_lenient_handling_still_refuses_what_it_cannot_read() -> None:
    for query in ("Task?modified=2026-13", "Task?_count=-1", "Location?near=91|0", "Patient?active=maybe"):
        with pytest.raises(Malformed):
            parse(query, strict=False)


def test_a_parameter_without_a_value_asks_nothing() -> None:
    request = parse("Task?status=&owner=Organization/1")
    assert request.where == q.RefersTo("owner", "Organization/1")
    assert request.ignored == ("status",)
    assert parse("Task?status=,,a").where == q.TokenIs("status", None, "a")


@pytest.mark.parametrize(
    "value", ['{"$gt":""}', "1' OR '1'='1", "; DROP TABLE head", "%", "*", "../../etc/passwd", "\x00"]
)
def test_hostile_text_is_just_text(value: str) -> None:
    assert parse_search(REGISTRY, "Task", [("status", value)], strict=True).where == q.TokenIs("status", None, value)
    assert isinstance(parse_search(REGISTRY, "Organization", [("name", value)], strict=True).where, q.StringIs)
