"""`:above` and `:below` on references, over HTTP: in every kind of search, in conditions, and as the caller sees it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.app import build_engine
from fhir_server.settings import Settings
from tests.conftest import served
from tests.property.access_world import World

PLACES = {"land": "", "north": "land", "south": "land", "town": "north", "quarter": "town"}


def place(name: str, whole: str) -> dict[str, Any]:
    part = {"partOf": {"reference": f"Location/{whole}"}} if whole else {}
    return {"resourceType": "Location", "id": name, "name": name, **part}


def service(name: str, area: str) -> dict[str, Any]:
    return {"resourceType": "HealthcareService", "id": name, "coverageArea": [{"reference": f"Location/{area}"}]}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with served(tmp_path_factory.mktemp("hierarchies"), explain=True) as client:
        for name, whole in PLACES.items():
            assert client.put(f"/Location/{name}", json=place(name, whole)).status_code == 201
            assert client.put(f"/HealthcareService/s-{name}", json=service(f"s-{name}", name)).status_code == 201
        yield client


def ids(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {entry["resource"]["id"] for entry in answer.json().get("entry", ())}


NORTH = {"s-north", "s-town", "s-quarter"}


def test_every_kind_of_search_follows_a_hierarchy(http: httpx.Client) -> None:
    asked = {"coverage-area:below": "Location/north"}
    assert ids(http.get("/HealthcareService", params=asked)) == NORTH
    assert ids(http.post("/HealthcareService/_search", data=asked)) == NORTH
    assert ids(http.get("/", params=asked | {"_type": "HealthcareService"})) == NORTH
    assert http.get("/HealthcareService", params=asked | {"_summary": "count"}).json()["total"] == 3
    assert (
        ids(http.get("/HealthcareService", params={"coverage-area:below": f"{http.base_url}Location/north"})) == NORTH
    )
    assert ids(http.get("/HealthcareService", params={"coverage-area:above": "town"})) == {
        "s-town",
        "s-north",
        "s-land",
    }
    assert ids(http.get("/Location", params={"partof:below": "north"})) == {"town", "quarter"}
    entry = {"request": {"method": "GET", "url": "HealthcareService?coverage-area:below=north"}}
    batch = http.post("/", json={"resourceType": "Bundle", "type": "batch", "entry": [entry]}).json()
    assert {one["resource"]["id"] for one in batch["entry"][0]["resource"]["entry"]} == NORTH


def test_pages_follow_the_hierarchy_and_the_links_say_what_ran(http: httpx.Client) -> None:
    url: str | None = "/HealthcareService?coverage-area:below=Location/land&_count=2&_sort=_id"
    seen: list[str] = []
    while url:
        bundle = http.get(url).json()
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert "coverage-area%3Abelow=Location%2Fland" in links["self"]
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        url = links.get("next")
    assert seen == sorted(f"s-{name}" for name in PLACES)


def test_a_condition_follows_a_hierarchy(http: httpx.Client) -> None:
    body = {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": "Location/quarter"}}
    asked = {"If-None-Exist": "subject:below=Location/south"}
    made = http.post("/Basic", json=body | {"subject": {"reference": "Location/south"}}, headers=asked)
    assert made.status_code == 201
    assert http.post("/Basic", json=body, headers=asked).status_code == 200, "there is one in the south"
    assert http.post("/Basic", json=body, headers={"If-None-Exist": "subject:below=Location/town"}).status_code == 201
    assert http.delete("/Basic", params={"subject:below": "Location/town"}).is_success
    assert [one["resource"]["id"] for one in http.get("/Basic?subject:below=Location/land").json()["entry"]] == [
        made.json()["id"]
    ]


def test_a_plan_tells_the_resources_that_are_meant(http: httpx.Client) -> None:
    answer = http.get("/HealthcareService?coverage-area:below=Location/town&_explain=true").json()
    told = {part["name"]: part for part in answer["parameter"]}
    assert "Location/quarter" in told["tree"]["valueString"]
    assert told["rows"]["valueInteger"] == 2
    assert "scanned" not in told


def test_what_cannot_be_followed_is_refused_or_left_out_in_lenient_handling(http: httpx.Client, refused: Any) -> None:
    refused(http.get("/Task?patient:below=Patient/1"), 400, "search-unsupported-modifier")
    refused(http.get("/Task?owner:below=Patient/1"), 400, "search-bad-reference")
    refused(http.get("/$changes?_type=HealthcareService&coverage-area:below=Location/north"), 400, "feed-filter")
    lenient = http.get("/Task?patient:below=Patient/1", headers={"Prefer": "handling=lenient"}).json()
    assert [entry["search"]["mode"] for entry in lenient["entry"]] == ["outcome"]


def test_a_hierarchy_that_is_too_deep_is_refused_and_never_cut_off(http: httpx.Client, refused: Any) -> None:
    for level in range(35):
        assert http.put(f"/Location/d{level}", json=place(f"d{level}", f"d{level - 1}" if level else "")).is_success
    issue = refused(http.get("/Location?partof:below=d0"), 400, "search-too-costly")
    assert issue["code"] == "too-costly"
    assert "32 levels" in issue["diagnostics"]
    assert len(ids(http.get("/Location?partof:below=d2&_count=100"))) == 32


def test_a_resource_that_is_hidden_from_the_caller_leads_nowhere(tmp_path: Path) -> None:
    """The town of gp lies in a district that cbo wrote: for gp there is nothing between the land and the town."""
    settings = Settings(
        store=f"sqlite:///{tmp_path / 'x.sqlite'}", enforce_access=True, publish_artifacts=False, audit_reads="off"
    )
    world = World(build_engine(settings))
    world.put(place("land", ""), "")
    world.put(place("district", "land"), "cbo", writer="cbo")
    world.put(place("town", "district"), "gp", writer="gp")
    for name in ("land", "district", "town"):
        world.put(service(f"s-{name}", name), "")

    def found(caller: str, query: str) -> set[str]:
        answer = world.ask(caller, "GET", f"HealthcareService?{query}")
        assert answer.status == 200, answer.body
        return {name for name in ("s-land", "s-district", "s-town") if f'"{name}"'.encode() in answer.body}

    assert found("operator", "coverage-area:below=Location/land") == {"s-land", "s-district", "s-town"}
    assert found("gp", "coverage-area:below=Location/land") == {"s-land"}
    assert found("cbo", "coverage-area:below=Location/land") == {"s-land", "s-district"}
    assert found("operator", "coverage-area:above=Location/town") == {"s-land", "s-district", "s-town"}
    assert found("gp", "coverage-area:above=Location/town") == {"s-district", "s-town"}, (
        "its own town names the district"
    )
    assert found("cbo", "coverage-area:above=Location/town") == {"s-town"}
    world.close()
