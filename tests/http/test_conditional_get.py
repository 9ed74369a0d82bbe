"""An idle poll costs a 304: the entity tag of a search tells exactly whether its answer is the same."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import served

ORG = "Organization/poller"
OPERATOR = {"X-Dev-Roles": "operator"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with served(tmp_path_factory.mktemp("conditional")) as client:
        yield client


def task(client: httpx.Client, name: str, **more: Any) -> None:
    body = {"resourceType": "Task", "id": name, "status": "requested", "intent": "order", **more}
    assert client.put(f"/Task/{name}", json=body).status_code in (200, 201)


def tag(client: httpx.Client, url: str, **headers: str) -> str:
    answer = client.get(url, headers=headers)
    assert answer.status_code == 200, answer.text
    found = answer.headers["etag"]
    assert found.startswith('W/"')
    again = client.get(url, headers={**headers, "If-None-Match": found})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == found
    return found


def test_a_change_of_a_match_and_a_match_that_comes_or_goes_change_the_tag(own: httpx.Client) -> None:
    url = "/Task?owner=Organization/come"
    seen = [tag(own, url)]
    owner = {"owner": {"reference": "Organization/come"}}
    task(own, "c1", **owner)
    seen.append(tag(own, url))
    task(own, "c1", **owner, description="changed")
    seen.append(tag(own, url))
    task(own, "c2", **owner)
    seen.append(tag(own, url))
    own.delete("/Task/c2")
    seen.append(tag(own, url))
    task(own, "c1", owner={"reference": "Organization/gone"})
    seen.append(tag(own, url))
    assert len(set(seen)) == 4  # what was deleted leaves the answer of before
    assert seen[5] == seen[0]  # nothing again: the same answer as at first
    assert own.get(url, headers={"If-None-Match": f"{seen[3]}, {seen[0]}"}).status_code == 304
    assert own.get(url, headers={"If-None-Match": ", ".join(seen[1:5])}).status_code == 200


def test_what_does_not_touch_the_answer_leaves_its_tag(own: httpx.Client) -> None:
    task(own, "u1", owner={"reference": "Organization/untouched"})
    before = tag(own, "/Task?owner=Organization/untouched")
    task(own, "u2", owner={"reference": "Organization/another"})
    assert tag(own, "/Task?owner=Organization/untouched") == before


def test_an_included_resource_that_changes_changes_the_tag(own: httpx.Client) -> None:
    own.put("/Patient/i", json={"resourceType": "Patient", "id": "i"})
    task(own, "i1", owner={"reference": "Organization/inc"}, **{"for": {"reference": "Patient/i"}})
    plain, including = "/Task?owner=Organization/inc", "/Task?owner=Organization/inc&_include=Task:patient"
    before = tag(own, plain), tag(own, including)
    changed = own.put("/Patient/i", json={"resourceType": "Patient", "id": "i", "active": True})
    assert changed.status_code == 200, changed.text
    assert tag(own, plain) == before[0]
    assert tag(own, including) != before[1]


def test_the_total_and_the_place_of_the_next_page_are_in_the_tag(own: httpx.Client) -> None:
    for number in range(3):
        task(own, f"n{number}", owner={"reference": "Organization/n"})
    first = "/Task?owner=Organization/n&_count=3&_sort=_id"
    urls = (first, f"{first}&_total=accurate", "/Task?owner=Organization/n&_summary=count")
    before = [tag(own, url) for url in urls]
    assert len(set(before)) == 3
    task(own, "n3", owner={"reference": "Organization/n"})
    after = [tag(own, url) for url in urls]
    assert all(old != new for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("shape", ["_summary=true", "_elements=status", "_count=7", "_sort=-_id"])
def test_another_shape_is_another_answer(own: httpx.Client, shape: str) -> None:
    task(own, "s1", owner={"reference": "Organization/s"})
    assert tag(own, f"/Task?owner=Organization/s&{shape}") != tag(own, "/Task?owner=Organization/s")


def test_a_search_over_several_types_has_a_tag_too(own: httpx.Client) -> None:
    before = tag(own, "/?_type=Task,Patient&_id=several")
    own.put("/Patient/several", json={"resourceType": "Patient", "id": "several"})
    assert tag(own, "/?_type=Task,Patient&_id=several") != before


def test_a_search_by_post_has_no_tag_and_dates_are_not_heeded(own: httpx.Client) -> None:
    task(own, "d1", owner={"reference": "Organization/d"})
    posted = own.post("/Task/_search", data={"owner": "Organization/d"}, headers={"If-None-Match": "*"})
    assert (posted.status_code, posted.headers.get("etag")) == (200, None)
    answer = own.get("/Task?owner=Organization/d")
    since = {"If-Modified-Since": answer.headers["last-modified"]}
    assert own.get("/Task?owner=Organization/d", headers=since).status_code == 200
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["x-poll-interval"] == "900"


def test_what_one_may_no_longer_see_changes_the_tag_and_callers_have_tags_of_their_own(fresh_server: Any) -> None:
    server = fresh_server(publish_artifacts=False, enforce_access=True)
    with httpx.Client(base_url=server.base, timeout=30) as client:
        one, two = ({"X-Dev-Organization": f"Organization/{name}"} for name in ("one", "two"))
        url = "/Task?status=requested"
        assert tag(client, url, **one) != tag(client, url, **two)
        before = tag(client, url, **two)
        made = client.post(
            "/Task", json={"resourceType": "Task", "status": "requested", "intent": "order"}, headers=one
        )
        assert made.status_code == 201
        assert tag(client, url, **two) == before
        shown = tag(client, url, **one)
        client.delete(f"/Task/{made.json()['id']}", headers=one)
        assert client.get(url, headers={**one, "If-None-Match": shown}).status_code == 200


def test_who_asks_the_same_too_often_is_told_when_to_come_again(fresh_server: Any, refused: Any) -> None:
    server = fresh_server(publish_artifacts=False, polls_per_minute=6.0, poll_interval_seconds=60)
    with httpx.Client(base_url=server.base, timeout=30) as client:
        url = "/Task?status=requested"
        answers = [client.get(url) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        refused(answers[3], 429, "too-many-requests")
        assert 1 <= int(answers[3].headers["retry-after"]) <= 10
        assert answers[0].headers["x-poll-interval"] == "60"
        assert client.get("/Task?status=draft").status_code == 200
        assert client.get(url, headers={"X-Dev-Organization": "Organization/other"}).status_code == 200
        assert client.get("/Task/none").status_code == 404
