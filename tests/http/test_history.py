"""history on instance, type and system (R4 http.html#history)."""

from typing import Any

import httpx
import pytest


@pytest.fixture
def own(fresh_server: Any) -> Any:
    """A server of the test's own: history of the system is about everything."""
    with httpx.Client(base_url=fresh_server(publish_artifacts=False).base) as client:
        yield client


def put(client: httpx.Client, resource_id: str, family: str) -> None:
    body = {"resourceType": "Patient", "id": resource_id, "name": [{"family": family}]}
    assert client.put(f"/Patient/{resource_id}", json=body).status_code in (200, 201)


def versions(bundle: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (entry["request"]["method"], entry["request"]["url"], entry["response"]["etag"])
        for entry in bundle.get("entry", [])
    ]


def test_history_of_an_instance_is_newest_first_with_the_deletion(own: httpx.Client) -> None:
    put(own, "h1", "A")
    put(own, "h1", "B")
    own.delete("/Patient/h1")
    bundle = own.get("/Patient/h1/_history").json()
    assert (bundle["type"], bundle["total"]) == ("history", 3)
    assert versions(bundle) == [
        ("DELETE", "Patient/h1", 'W/"3"'),
        ("PUT", "Patient/h1", 'W/"2"'),
        ("PUT", "Patient/h1", 'W/"1"'),
    ]
    assert "resource" not in bundle["entry"][0]
    assert bundle["entry"][1]["resource"]["name"] == [{"family": "B"}]
    assert bundle["entry"][2]["response"]["status"] == "201 Created"
    assert bundle["entry"][1]["fullUrl"].endswith("/Patient/h1")


def test_history_pages_without_gap_while_others_write(own: httpx.Client) -> None:
    for number in range(25):
        put(own, f"p{number}", "X")
    url: str | None = "/_history?_count=10"
    seen: list[tuple[str, str, str]] = []
    pages = 0
    while url:
        bundle = own.get(url).json()
        seen += versions(bundle)
        pages += 1
        put(own, f"later-{pages}", "Y")
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
    assert pages == 3
    assert [name for _, name, _ in seen] == [f"Patient/p{number}" for number in reversed(range(25))]


def test_since_and_at(own: httpx.Client) -> None:
    put(own, "s1", "A")
    first = own.get("/Patient/s1").json()["meta"]["lastUpdated"]
    put(own, "s1", "B")
    second = own.get("/Patient/s1").json()["meta"]["lastUpdated"]
    put(own, "s2", "C")
    assert first < second
    since = own.get("/_history", params={"_since": second}).json()
    assert versions(since) == [("PUT", "Patient/s2", 'W/"1"'), ("PUT", "Patient/s1", 'W/"2"')]
    at = own.get("/Patient/_history", params={"_at": first}).json()
    assert versions(at) == [("PUT", "Patient/s1", 'W/"1"')]
    assert own.get("/Patient/_history", params={"_since": "2999"}).json().get("entry") is None


def test_bad_parameters_are_named(own: httpx.Client, refused: Any) -> None:
    put(own, "b1", "A")
    refused(own.get("/_history?_since=yesterday"), 400, "search-bad-date")
    refused(own.get("/_history?_count=-1"), 400, "search-bad-count")
    refused(own.get("/_history?_count=0"), 400, "search-bad-count")
    refused(own.get("/_history?owner=1"), 400, "unknown-parameter")
    refused(own.get("/Patient/none/_history"), 404, "not-found")
    refused(own.get("/_history?_cursor=abc"), 400, "bad-cursor")
    put(own, "b2", "A")
    following = own.get("/Patient/_history?_count=1").json()["link"][1]["url"]
    assert own.get(following).status_code == 200
    refused(own.get(following.replace("/Patient/_history", "/_history")), 400, "bad-cursor")
