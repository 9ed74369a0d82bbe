"""The shape of an answer: strict and lenient handling, sorting with missing values, totals, what _elements leaves."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest


@pytest.fixture(scope="module")
def tasks(client: httpx.Client) -> httpx.Client:
    """Seven Tasks for one person: two priorities, three dates, and one Task without either."""
    made: list[dict[str, Any]] = [
        {"id": "ans-a", "priority": "urgent", "authoredOn": "2026-01-03"},
        {"id": "ans-b", "priority": "urgent", "authoredOn": "2026-01-01"},
        {"id": "ans-c", "priority": "routine", "authoredOn": "2026-01-02"},
        {"id": "ans-d", "authoredOn": "2026-01-01"},
        {"id": "ans-e", "priority": "routine"},
        {"id": "ans-f"},
        {"id": "ans-g", "priority": "urgent"},
    ]
    patient = client.put("/Patient/ans-p", json={"resourceType": "Patient", "id": "ans-p", "name": [{"family": "Ann"}]})
    assert patient.status_code in (200, 201)
    for one in made:
        body = {
            "resourceType": "Task",
            "status": "draft",
            "intent": "order",
            "for": {"reference": "Patient/ans-p"},
            **one,
        }
        assert client.put(f"/Task/{one['id']}", json=body).status_code in (200, 201)
    return client


def get(client: httpx.Client, query: str, **headers: str) -> dict[str, Any]:
    answer = client.get(f"/Task?patient=ans-p&{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ids(bundle: dict[str, Any], mode: str = "match") -> list[str]:
    return [
        one["resource"]["id"].removeprefix("ans-") for one in bundle.get("entry", ()) if one["search"]["mode"] == mode
    ]


def link(bundle: dict[str, Any], relation: str) -> str | None:
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), None)


def asked(bundle: dict[str, Any]) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(link(bundle, "self") or "").query)


def paged(client: httpx.Client, query: str) -> list[str]:
    bundle = get(client, f"{query}&_count=2")
    found = ids(bundle)
    while url := link(bundle, "next"):
        bundle = client.get(url).json()
        found += ids(bundle)
    return found


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("priority,authored-on,_id", "cebagdf"),
        ("-priority,authored-on,_id", "bagcedf"),
        ("priority,-authored-on,_id", "ceabgdf"),
        ("authored-on,_id", "bdcaefg"),
        ("-authored-on,-_id", "acdbgfe"),
        ("-authored-on,priority,_id", "acbdegf"),
        ("_id", "abcdefg"),
        ("-_id", "gfedcba"),
        ("_lastUpdated", "abcdefg"),
        ("-_lastUpdated", "gfedcba"),
    ],
)
def test_several_keys_sort_and_what_has_no_value_comes_last_on_every_page(
    tasks: httpx.Client, sort: str, order: str
) -> None:
    assert "".join(ids(get(tasks, f"_sort={sort}"))) == order
    assert "".join(paged(tasks, f"_sort={sort}")) == order
    repeated = "&".join(f"_sort={key}" for key in sort.split(","))
    assert "".join(ids(get(tasks, repeated))) == order, "R4: _sort can repeat for inner orders"


def test_lenient_handling_leaves_out_the_unknown_and_says_so(tasks: httpx.Client, refused: Any) -> None:
    query = "priority=urgent&colour=red&priority:exact=x&status=&owner.nope=1&_sort=_id"
    refused(tasks.get(f"/Task?patient=ans-p&{query}"), 400, "search-unknown-parameter")
    refused(tasks.get(f"/Task?{query}", headers={"Prefer": "handling=strict"}), 400, "search-unknown-parameter")
    bundle = get(tasks, query, Prefer="handling=lenient")
    assert ids(bundle) == ["a", "b", "g"]
    assert asked(bundle) == [("patient", "ans-p"), ("priority", "urgent"), ("_sort", "_id")]
    outcome = next(one["resource"] for one in bundle["entry"] if one["search"]["mode"] == "outcome")
    told = " ".join(issue["diagnostics"] for issue in outcome["issue"])
    assert {issue["severity"] for issue in outcome["issue"]} == {"warning"}
    assert all(name in told for name in ("'colour'", "'priority:exact'", "'status'", "'owner.nope'"))
    refused(tasks.get("/Task?authored-on=2026-13", headers={"Prefer": "handling=lenient"}), 400, "search-bad-date")


def test_a_self_link_runs_the_same_search(tasks: httpx.Client) -> None:
    bundle = get(tasks, r"priority=urgent,routine&_sort=_id&_count=3&_total=accurate&code:not=a\,b")
    again = tasks.get(link(bundle, "self") or "").json()
    assert ids(again) == ids(bundle)
    assert link(again, "self") == link(bundle, "self")
    assert ("code:not", r"a\,b") in asked(bundle)


def test_totals(tasks: httpx.Client) -> None:
    assert get(tasks, "_count=0") | {"link": 0} == get(tasks, "_summary=count") | {"link": 0}
    counted = get(tasks, "_count=0")
    assert (counted["total"], counted.get("entry"), link(counted, "next")) == (7, None, None)
    for total in ("accurate", "estimate"):
        page = get(tasks, f"_count=2&_total={total}")
        assert page["total"] == 7
        assert tasks.get(link(page, "next") or "").json()["total"] == 7, "of all pages, on each"
    assert "total" not in get(tasks, "_count=2&_total=none")
    assert "total" not in get(tasks, "_total=none"), "the client will not use it"
    assert get(tasks, "priority=urgent&_include=Task:patient")["total"] == 3, "includes do not count"


def test_elements_are_for_matches_only(tasks: httpx.Client) -> None:
    bundle = get(tasks, "_id=ans-a&_elements=status&_include=Task:patient")
    match, included = (one["resource"] for one in bundle["entry"])
    assert "priority" not in match
    assert match["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert included["name"] == [{"family": "Ann"}]
    assert "tag" not in included["meta"]


def test_a_cursor_is_good_for_one_search_of_one_server(tasks: httpx.Client, fresh_server: Any, refused: Any) -> None:
    following = link(get(tasks, "_sort=priority,_id&_count=2"), "next") or ""
    cursor = dict(parse_qsl(urlsplit(following).query))["_cursor"]
    refused(tasks.get(following.replace("_sort=priority", "_sort=-priority")), 400, "bad-cursor")
    refused(tasks.get(following.replace("/Task?", "/ServiceRequest?")), 400)
    for wrong in (cursor[:-1], cursor[1:], cursor[::-1], cursor + "A", "A" * 40_000, "é", cursor.swapcase()):
        answer = tasks.get(
            "/Task", params={"patient": "ans-p", "_sort": "priority,_id", "_count": "2", "_cursor": wrong}
        )
        assert "'_cursor'" in refused(answer, 400, "bad-cursor")["diagnostics"]
    elsewhere = fresh_server(publish_artifacts=False)
    other = httpx.get(f"{elsewhere.base}/Task?{urlsplit(following).query}")
    refused(other, 400, "bad-cursor")


def test_a_blank_where_a_plus_was_meant_is_explained(tasks: httpx.Client, refused: Any) -> None:
    issue = refused(tasks.get("/Task?authored-on=ge2026-01-01T10:00:00+01:00"), 400, "search-bad-date")
    assert "%2B instead of the + before the zone" in issue["diagnostics"]
    person = {"resourceType": "Patient", "id": "ans-q", "telecom": [{"system": "phone", "value": "+32 9 555 01 02"}]}
    assert tasks.put("/Patient/ans-q", json=person).status_code in (200, 201)
    for written in ("+3295550102", "%2B3295550102"):
        assert tasks.get(f"/Patient?phone={written}").json()["total"] == 1
