"""Includes that do not fit on a page follow by its `next` link: none is left out, none comes twice."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import served


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server that takes four includes on a page."""
    with served(tmp_path_factory.mktemp("includes"), max_includes=4) as client:
        for number in range(6):
            put(client, "Patient", f"p{number}", link=[])
            for turn in range(5):
                put(client, "Task", f"t{number}-{turn}", **{"for": {"reference": f"Patient/p{number}"}})
        for number in range(12):  # a ring of tasks, each part of the next
            part_of = [{"reference": f"Task/ring{(number + 1) % 12}"}]
            put(client, "Task", f"ring{number}", partOf=part_of)
        yield client


def put(client: httpx.Client, resource_type: str, identity: str, **members: Any) -> None:
    body = {"resourceType": resource_type, "id": identity} | {k: v for k, v in members.items() if v}
    if resource_type == "Task":
        body |= {"status": "requested", "intent": "order"}
    assert client.put(f"/{resource_type}/{identity}", json=body).status_code in (200, 201)


def walk(client: httpx.Client, url: str, between: Any = lambda: None) -> tuple[list[str], list[str], int]:
    """Follow every `next`: ids of matches, ids of includes, and how often more were announced."""
    matches: list[str] = []
    includes: list[str] = []
    told = 0
    following: str | None = url
    while following:
        bundle = client.get(following).json()
        assert bundle["resourceType"] == "Bundle", bundle
        kept = {"match": matches, "include": includes}
        on_page = [entry for entry in bundle.get("entry", []) if entry["search"]["mode"] == "include"]
        assert len(on_page) <= 4
        for entry in bundle.get("entry", []):
            if entry["search"]["mode"] == "outcome":
                assert entry["resource"]["issue"][0]["details"]["coding"][0]["code"] == "includes-incomplete"
                told += 1
            else:
                kept[entry["search"]["mode"]].append(entry["resource"]["id"])
        following = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
        between()
    return matches, includes, told


@pytest.mark.parametrize("count", [1, 2, 4, 10])
def test_every_include_comes_once_whatever_the_page(narrow: httpx.Client, count: int) -> None:
    matches, includes, told = walk(narrow, f"/Patient?_revinclude=Task:patient&_sort=_id&_count={count}")
    assert matches == [f"p{n}" for n in range(6)]
    steady = [one for one in includes if not one.startswith("zz-")]  # another test may have added to them
    assert sorted(steady) == [f"t{n}-{turn}" for n in range(6) for turn in range(5)]
    assert told >= 6 // count


def test_a_cycle_is_walked_once_by_iterate(narrow: httpx.Client) -> None:
    matches, includes, told = walk(narrow, "/Task?_id=ring0&_include:iterate=Task:part-of")
    assert matches == ["ring0"]
    assert includes == [f"ring{n}" for n in range(1, 12)]
    assert told == 2
    back = walk(narrow, "/Task?_id=ring0&_revinclude:iterate=Task:part-of")[1]
    assert back == [f"ring{n}" for n in range(11, 0, -1)]


def test_writes_in_between_neither_hide_nor_repeat_what_did_not_change(narrow: httpx.Client) -> None:
    turn = iter(range(1000))

    def write() -> None:
        number = next(turn)
        put(narrow, "Patient", f"p{number % 6}", gender="female" if number % 2 else "male")
        put(narrow, "Task", f"zz-new{number}", **{"for": {"reference": "Patient/p0"}})

    matches, includes, _ = walk(narrow, "/Patient?_id=p0,p1,p2&_revinclude=Task:patient&_sort=_id&_count=3", write)
    assert matches == ["p0", "p1", "p2"]
    assert len(includes) == len(set(includes))
    assert {f"t{n}-{turn}" for n in range(3) for turn in range(5)} <= set(includes)


def test_several_types_have_pages_of_includes_too(narrow: httpx.Client) -> None:
    _, includes, told = walk(narrow, "/?_type=Patient&_id=p4,p5&_revinclude=Task:patient")
    assert sorted(includes) == [f"t{n}-{turn}" for n in (4, 5) for turn in range(5)]
    assert told == 2


def test_a_cursor_of_includes_is_signed_and_belongs_to_its_search(narrow: httpx.Client, refused: Any) -> None:
    first = narrow.get("/Patient?_id=p4&_revinclude=Task:patient").json()
    following = next(link["url"] for link in first["link"] if link["relation"] == "next")
    cursor = httpx.URL(following).params["_cursor"]
    assert narrow.get(following).status_code == 200
    refused(narrow.get(following.replace("_id=p4", "_id=p5")), 400, "bad-cursor")
    refused(
        narrow.get("/Patient", params={"_id": "p4", "_revinclude": "Task:patient", "_cursor": cursor[:-1] + "A"}),
        400,
        "bad-cursor",
    )
    plain = cursor.removeprefix("i.")
    refused(
        narrow.get("/Patient", params={"_id": "p4", "_revinclude": "Task:patient", "_cursor": plain}), 400, "bad-cursor"
    )
