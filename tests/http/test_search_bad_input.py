"""Searches that cannot be meant: a 400 that names the parameter and what is near, after little work.

Work is counted in calls of Python functions while the search is read, so that the bound does not depend on the machine.
"""

import sys
from typing import Any

import httpx
import pytest

from fhir_server.model.errors import FhirError
from fhir_server.search.parameters import Registry
from fhir_server.search.parse import parse_search

MOST_CALLS = 30_000
"""Calls that reading a search may take; a thousand values, the most there may be, take 15,000."""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BOMB = "(a+)+$" * 340
CASES: list[tuple[str, dict[str, str], str, tuple[str, ...]]] = [
    ("Task", {"authored-on": "2026-13"}, "search-bad-date", ("'authored-on'", "'2026-13'")),
    ("Location", {"near": "91|0"}, "search-bad-near", ("'near'", "'91|0'", "-90 to 90")),
    ("Patient", {"name": ",".join("a" * 10_000)}, "search-limit", ("'name'", "10000 values", "at most 1000")),
    ("Patient", {"identifier": ",".join(f"urn:x|{n}" for n in range(10_000))}, "search-limit", ("'identifier'",)),
    ("Patient", {"family:contains": BOMB}, "search-limit", ("'family:contains'", "2040 characters")),
    ("Patient", {"_text": BOMB}, "search-limit", ("'_text'", "2040 characters")),
    ("Patient", {"_filter": f'name co "{BOMB}"'}, "search-limit", ("'_filter'",)),
    ("Patient", {"_filter": "(" * 1_000}, "search-bad-filter", ("'_filter'", "20 parentheses")),
    ("Patient", {"_filter": "name eq a or " * 70 + "name"}, "search-bad-filter", ("'_filter'", "its end")),
    ("Patient", {"_filter": '"' + '\\"' * 500}, "search-bad-filter", ("'_filter'",)),
    ("Patient", {"_text": "NOT " * 250 + "a"}, "search-bad-text", ("'_text'", "at most 20")),
    ("Patient", {"_text": "(" * 1_000}, "search-bad-text", ("'_text'",)),
    ("Patient", {"name": "\\x" * 500}, "search-bad-escape", ("'name'",)),
    ("Organization", {"partof." * 50 + "name": "x"}, "search-limit", ("partof.partof.", "at most 8")),
    ("Observation", {"_has:Observation:has-member:" * 50 + "code": "x"}, "search-limit", ("_has:Obs", "at most 8")),
    ("Task", {"owner." + "partof." * 8 + "name": "x"}, "search-limit", ("owner.partof", "at most 8")),
    ("Task", {"focus." * 8 + "_id": "x"}, "search-limit", ("focus.focus", "at most 500 combinations")),
    ("Task", {"based-on:Task." * 7 + "_id": "x", "_sort": "nope"}, "search-bad-sort", ("'_sort'", "'nope'")),
    ("Task", {"_sort": "athored-on"}, "search-bad-sort", ("'_sort'", "Did you mean 'authored-on'?")),
    ("Task", {"_count": "-1"}, "search-bad-count", ("'_count'", "'-1'", "0 or more")),
    ("Task", {"_include": "Task:nope"}, "search-bad-include", ("'_include'", "'nope'", "owner")),
    ("Task", {"_include": "Task:ownr"}, "search-bad-include", ("Did you mean 'owner'?",)),
    ("Task", {"onwer": "x"}, "search-unknown-parameter", ("'onwer'", "Did you mean 'owner'?")),
    ("Task", {"x" * 5_000: "x"}, "search-unknown-parameter", ("'xxx",)),
    ("Observation", {"code-value-quantity": "$" * 1_000}, "search-bad-composite", ("'code-value-quantity'",)),
    ("Patient", {"identifier:of-type": "|" * 1_000}, "search-bad-of-type", ("'identifier:of-type'",)),
    ("Observation", {"value-quantity": "1e999"}, "search-bad-number", ("'value-quantity'",)),
    ("Observation", {"value-quantity": "9" * 1_000}, "search-bad-number", ("'value-quantity'",)),
]  # fmt: skip
IDS = [f"{kind}?{next(iter(query))[:30]}={next(iter(query.values()))[:20]}" for kind, query, _, _ in CASES]


@pytest.mark.parametrize(("kind", "query", "key", "told"), CASES, ids=IDS)
def test_it_is_refused_by_name_over_http(
    client: httpx.Client, refused: Any, kind: str, query: dict[str, str], key: str, told: tuple[str, ...]
) -> None:
    issue = refused(client.post(f"/{kind}/_search", data=query, headers=FORM), 400, key)
    assert all(text in issue["diagnostics"] for text in told), issue["diagnostics"]
    assert len(issue["diagnostics"]) < 4_000, "what was sent is not sent back"


@pytest.mark.parametrize(("kind", "query"), [case[:2] for case in CASES], ids=IDS)
def test_it_is_refused_after_little_work(kind: str, query: dict[str, str]) -> None:
    registry = Registry.load()
    for name in registry.types:
        registry.of(name)  # compiled once in the life of a server
    calls = 0

    def count(frame: Any, event: str, _: Any) -> None:
        nonlocal calls
        del frame
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        with pytest.raises(FhirError):
            parse_search(registry, kind, tuple(query.items()), strict=True, own_base="https://fhir.example.org/r4")
    finally:
        sys.setprofile(before)
    assert calls < MOST_CALLS
