"""The cursor feed: gapless, by the rights of the caller, with waiting (docs/polling.md)."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.property.access_world import TAG, World, furnish, opened

SEQUENCE = "https://w3id.org/social-referral/StructureDefinition/change-sequence"


@pytest.fixture
def own(fresh_server: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fresh_server(publish_artifacts=False).base, timeout=30) as client:
        yield client


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with opened(tmp_path) as made:
        furnish(made)
        yield made


def task(owner: str, status: str = "requested", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "status": status,
        "intent": "order",
        "owner": {"reference": owner},
        **more,
    }


def put(client: httpx.Client, resource_id: str, body: dict[str, Any], **headers: str) -> None:
    answer = client.put(f"/{body['resourceType']}/{resource_id}", json={**body, "id": resource_id}, headers=headers)
    assert answer.status_code in (200, 201), answer.text


def page(client: httpx.Client, url: str = "/$changes", **headers: str) -> tuple[list[tuple[str, str]], str]:
    """Return `(what, place)` of each entry, and the link next."""
    answer = client.get(url, headers=headers)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle["type"] == "history"
    following = next(link["url"] for link in bundle["link"] if link["relation"] == "next")
    return [(told(entry), entry["fullUrl"].split("/fhir/")[1]) for entry in bundle.get("entry", [])], following


def told(entry: dict[str, Any]) -> str:
    outcome = entry["response"].get("outcome")
    if outcome is None:
        assert ("resource" in entry) == (entry["request"]["method"] != "DELETE")
        return str(entry["request"]["method"])
    assert "resource" not in entry
    return str(outcome["issue"][0]["details"]["coding"][0]["code"])


def test_every_version_is_told_once_in_order_with_its_number_page_by_page(own: httpx.Client) -> None:
    for number in range(7):
        put(own, f"t{number % 3}", task("Organization/a", description=f"{number}"))
    own.delete("/Task/t1")
    url, seen, numbers = "/$changes?_type=Task&_count=3", [], []
    while True:
        bundle = own.get(url).json()
        if "entry" not in bundle:
            break
        seen += [
            (entry["request"]["method"], entry.get("resource", {}).get("description")) for entry in bundle["entry"]
        ]
        numbers += [entry["extension"][0]["valueDecimal"] for entry in bundle["entry"]]
        assert {entry["extension"][0]["url"] for entry in bundle["entry"]} == {SEQUENCE}
        url = next(link["url"] for link in bundle["link"] if link["relation"] == "next")
    assert seen == [*(("PUT", f"{number}") for number in range(7)), ("DELETE", None)]
    assert numbers == sorted(set(numbers))
    put(own, "t2", task("Organization/a", description="later"))
    entries, _ = page(own, url)
    assert entries == [("PUT", "Task/t2")]


def test_the_bundle_of_the_feed_is_valid_r4(own: httpx.Client) -> None:
    put(own, "t1", task("Organization/a"))
    put(own, "t1", task("Organization/b"))
    own.delete("/Task/t1")
    bundle = own.get("/$changes?_type=Task&owner=Organization/a").json()
    assert len(bundle["entry"]) == 2
    checked = own.post("/Bundle/$validate", json=bundle).json()
    assert [issue for issue in checked["issue"] if issue["severity"] in ("error", "fatal")] == []


def test_what_leaves_the_filters_is_told_without_content_and_a_deletion_only_to_who_had_it(own: httpx.Client) -> None:
    put(own, "t1", task("Organization/a"))
    put(own, "t2", task("Organization/b"))
    put(own, "t1", task("Organization/b"))
    own.delete("/Task/t1")
    assert page(own, "/$changes?_type=Task&owner=Organization/a")[0] == [("PUT", "Task/t1"), ("feed-left", "Task/t1")]
    assert page(own, "/$changes?_type=Task&owner=Organization/b")[0] == [
        ("PUT", "Task/t2"),
        ("PUT", "Task/t1"),
        ("DELETE", "Task/t1"),
    ]
    assert page(own, "/$changes?_type=Task&owner=Organization/b&status=draft")[0] == []


def test_several_types_and_no_type(own: httpx.Client) -> None:
    put(own, "t1", task("Organization/a"))
    put(own, "o1", {"resourceType": "Organization", "name": "One"})
    put(own, "p1", {"resourceType": "Patient"})
    assert [place for _, place in page(own)[0]] == ["Task/t1", "Organization/o1", "Patient/p1"]
    assert [place for _, place in page(own, "/$changes?_type=Patient,Task&_id=p1,t1")[0]] == ["Task/t1", "Patient/p1"]


def test_a_filter_that_one_resource_answers_tells_what_a_search_finds(own: httpx.Client) -> None:
    for name, url in (("in", "http://example.org/fhir/a"), ("out", "http://example.org/fhirs")):
        put(own, name, {"resourceType": "ValueSet", "status": "draft", "url": url})
    for query in ("url:below=http://example.org/fhir", '_filter=url eq "http://example.org/fhir/a"'):
        searched = own.get(f"/ValueSet?{query}").json()["entry"]
        assert [one["resource"]["id"] for one in searched] == ["in"]
        assert page(own, f"/$changes?_type=ValueSet&{query}")[0] == [("PUT", "ValueSet/in")]


def test_latest_begins_with_what_comes_after_now(own: httpx.Client) -> None:
    put(own, "t1", task("Organization/a"))
    entries, following = page(own, "/$changes?_type=Task&cursor=latest")
    assert entries == []
    put(own, "t2", task("Organization/a"))
    assert page(own, following)[0] == [("PUT", "Task/t2")]


def reads(*organizations: str) -> dict[str, Any]:
    return {"tag": [{"system": TAG + "reader", "code": f"Organization/{name}"} for name in organizations]}


def asked(world: World, caller: str, url: str) -> tuple[list[tuple[str, str]], str]:
    answer = world.ask(caller, "GET", url)
    assert answer.status == 200, answer.body
    bundle = json.loads(answer.body)
    following = next(link["url"] for link in bundle["link"] if link["relation"] == "next")
    entries = [(told(entry), entry["fullUrl"].split("/fhir/")[1]) for entry in bundle.get("entry", [])]
    return entries, following.split("/fhir/")[1]


def test_who_loses_a_task_is_told_so_and_nobody_hears_of_what_is_not_theirs(world: World) -> None:
    places = {
        name: asked(world, name, "$changes?_type=Task&cursor=latest")[1] for name in ("cbo", "cbo2", "gp", "late")
    }
    body = task("Organization/cbo", id="moves")
    world.put({**body, "meta": reads("cbo", "gp")}, "")
    world.put({**body, "meta": reads("cbo2", "gp"), "owner": {"reference": "Organization/cbo2"}}, "")
    change, place = "PUT", "Task/moves"
    assert asked(world, "gp", places["gp"])[0] == [(change, place), (change, place)]
    assert asked(world, "cbo", places["cbo"])[0] == [("feed-hidden", place)]
    assert asked(world, "cbo2", places["cbo2"])[0] == [(change, place)]
    assert asked(world, "late", places["late"])[0] == []
    assert world.ask("cbo", "GET", place).status == 404


@pytest.mark.parametrize("fetched", [True, False])
def test_a_waiting_client_is_answered_at_the_change_and_not_before(own: httpx.Client, fetched: bool) -> None:
    following = "/$changes?_type=Task&owner=Organization/a&cursor=latest"
    if fetched:
        _, following = page(own, following)
    answers: list[tuple[float, list[tuple[str, str]]]] = []

    def wait() -> None:
        with httpx.Client(base_url=own.base_url, timeout=30) as other:
            entries, _ = page(other, f"{following}&wait=20")
            answers.append((time.monotonic(), entries))

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.4)
    put(own, "o1", {"resourceType": "Organization", "name": "not asked for"})
    put(own, "t0", task("Organization/b"))
    time.sleep(0.3)
    assert answers == []
    start = time.monotonic()
    put(own, "t1", task("Organization/a"))
    waiting.join(timeout=10)
    assert answers[0][1] == [("PUT", "Task/t1")]
    assert answers[0][0] - start < 5  # and not at the end of its 20 s


def test_a_wait_that_ends_with_nothing_gives_a_place_to_go_on(own: httpx.Client) -> None:
    start = time.monotonic()
    entries, following = page(own, "/$changes?_type=Task&wait=1")
    assert entries == []
    assert 0.9 < time.monotonic() - start < 5
    put(own, "t1", task("Organization/a"))
    assert page(own, following)[0] == [("PUT", "Task/t1")]


@pytest.mark.parametrize(
    ("query", "status", "key"),
    [
        ("cursor=AAAA", 400, "bad-cursor"),
        ("owner=Organization/a", 400, "feed-needs-type"),
        ("_type=Taks", 400, "unknown-type"),
        ("_type=Task&wait=soon", 400, "feed-bad-wait"),
        ("_type=Task&wait=9999", 400, "feed-bad-wait"),
        ("_type=Task&_count=0", 400, "search-bad-count"),
        ("_type=Task&_count=1&_count=2", 400, "operation-input"),
        ("_type=Task&patient.name=Ann", 400, "feed-filter"),
        ("_type=Task&_sort=_id", 400, "unknown-parameter"),
        ("_type=Task&colour=red", 400, "search-unknown-parameter"),
        ("_type=Task&code:in=http://example.org/v", 400, "feed-filter"),
        ("_type=Task&owner:below=Organization/1", 400, "feed-filter"),
        ("_type=Task&_filter=owner:Organization.name eq x", 400, "feed-filter"),
        ("_type=Task&overdue=true", 400, "feed-filter"),
        ("_type=Task&authored-on=ap2026", 400, "feed-filter"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_reason(
    client: httpx.Client, refused: Any, query: str, status: int, key: str
) -> None:
    refused(client.get(f"/$changes?{query}"), status, key)


def test_a_cursor_of_other_filters_is_refused(own: httpx.Client, refused: Any) -> None:
    _, following = page(own, "/$changes?_type=Task&owner=Organization/a")
    refused(own.get(following.replace("Organization%2Fa", "Organization%2Fb")), 400, "bad-cursor")
