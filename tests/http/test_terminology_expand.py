"""$expand over HTTP, what is stored, and searches that ask terminology."""

from typing import Any

import httpx
import pytest

from tests.http.terminology_answers import (
    BASE,
    COLOUR_SET,
    COLOUR_SYSTEM,
    COLOURS,
    SERVICE,
    THEMES,
    codes,
    outputs,
    store_colours,
)


@pytest.fixture(scope="module")
def stored(client: httpx.Client) -> httpx.Client:
    return store_colours(client)


# --- ValueSet/$expand ---


def test_an_expansion_nests_as_the_code_system_does_unless_told_otherwise(stored: httpx.Client) -> None:
    nested = stored.get("/ValueSet/$expand", params={"url": COLOUR_SET["url"]}).json()
    assert nested["status"] == "active"
    (top,) = nested["expansion"]["contains"]
    assert (top["code"], top["abstract"]) == ("any", True)
    assert [one["code"] for one in top["contains"]] == ["red", "puce"]
    assert top["contains"][0]["contains"][0]["code"] == "crimson"
    assert nested["expansion"]["total"] == 4
    flat = stored.get("/ValueSet/colours/$expand", params={"excludeNested": "true"})
    assert codes(flat) == ["any", "red", "crimson", "puce"]


def test_an_expansion_is_valid_r4(stored: httpx.Client) -> None:
    from fhir.resources.R4B.valueset import ValueSet

    from fhir_server.validation.pipeline import Validator

    query = {
        "url": COLOUR_SET["url"],
        "includeDesignations": "true",
        "includeDefinition": "true",
        "displayLanguage": "nl",
    }
    made = stored.get("/ValueSet/$expand", params=query).json()
    assert [one for one in Validator.load().validate(made) if one.severity == "error"] == []
    ValueSet.model_validate(made)
    assert made["compose"] == COLOUR_SET["compose"]
    red = made["expansion"]["contains"][0]["contains"][0]
    assert red["display"] == "Rood"
    assert {one["value"] for one in red["designation"]} == {"Rood", "Rouge"}
    assert {"name": "displayLanguage", "valueCode": "nl"} in made["expansion"]["parameter"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"activeOnly": "true", "excludeNested": "true"}, ["any", "red", "crimson"]),
        ({"excludeNotForUI": "true", "excludeNested": "true"}, ["red", "crimson", "puce"]),
        ({"filter": "ROOD"}, ["red"]),
        ({"filter": "nothing like it"}, []),
        ({"exclude-system": COLOURS}, []),
        ({"offset": "1", "count": "2"}, ["red", "crimson"]),
        ({"offset": "3"}, ["puce"]),
        ({"count": "0"}, []),
    ],
)
def test_an_expansion_can_be_narrowed_and_paged(
    stored: httpx.Client, query: dict[str, str], expected: list[str]
) -> None:
    assert codes(stored.get("/ValueSet/$expand", params={"url": COLOUR_SET["url"], **query})) == expected


def test_pages_join_to_the_whole_and_tell_the_total(client: httpx.Client) -> None:
    url = f"{BASE}/ValueSet/social-need"
    whole = codes(client.get("/ValueSet/$expand", params={"url": url, "excludeNested": "true"}))
    listed: list[str] = []
    while True:
        page = client.get("/ValueSet/$expand", params={"url": url, "offset": str(len(listed)), "count": "7"})
        assert page.json()["expansion"]["total"] == len(whole)
        assert page.json()["expansion"]["offset"] == len(listed)
        if not codes(page):
            break
        listed += codes(page)
    assert listed == whole


def test_designations_are_listed_in_the_languages_that_are_named(client: httpx.Client) -> None:
    query = {"url": THEMES, "designation": "urn:ietf:bcp:47|fr"}
    contains = client.get("/ValueSet/$expand", params=query).json()["expansion"]["contains"]
    assert {each["language"] for one in contains for each in one["designation"]} == {"fr"}


def test_too_many_codes_at_once_are_too_costly_and_a_page_of_them_is_not(client: httpx.Client, refused: Any) -> None:
    many = {
        "resourceType": "CodeSystem",
        "id": "many",
        "url": "https://example.org/CodeSystem/many",
        "status": "active",
        "content": "complete",
        "concept": [{"code": f"c{number:05}", "display": f"Number {number}"} for number in range(20_000)],
    }
    assert client.put("/CodeSystem/many", json=many).is_success
    value_set = {
        "resourceType": "ValueSet",
        "status": "active",
        "compose": {"include": [{"system": many["url"]}]},
    }
    issue = refused(client.post("/ValueSet/$expand", json=value_set), 400, "expansion-too-costly")
    assert issue["code"] == "too-costly"
    page = client.post("/ValueSet/$expand?count=5000&offset=19998", json=value_set)
    assert codes(page) == ["c19998", "c19999"]
    assert len(codes(client.post("/ValueSet/$expand?count=5000", json=value_set))) == 1000
    assert codes(client.post("/ValueSet/$expand?filter=number+12345", json=value_set)) == ["c12345"]


# --- what is stored ---


def test_a_change_of_a_stored_code_system_counts_at_once(client: httpx.Client) -> None:
    system = {**COLOUR_SYSTEM, "id": "changing", "url": "https://example.org/CodeSystem/changing"}
    place = "/CodeSystem/changing"
    query = {"url": system["url"], "code": "green"}

    def known() -> Any:
        return outputs(client.get("/CodeSystem/$validate-code", params=query))["result"]

    client.put(place, json=system)
    assert known() is False
    client.put(place, json={**system, "concept": [{"code": "green"}]})
    assert known() is True
    client.post("/Patient", json={"resourceType": "Patient"})
    assert known() is True
    client.delete(place)
    assert client.get("/CodeSystem/$validate-code", params=query).status_code == 404


def test_ours_wins_over_a_stored_one_and_versions_are_told_apart(client: httpx.Client) -> None:
    for number in ("1.9", "1.10"):
        system = {**COLOUR_SYSTEM, "url": "urn:x:versions", "version": number, "concept": [{"code": f"v{number}"}]}
        identity = f"versions-{number}".replace(".", "-")
        assert client.put(f"/CodeSystem/{identity}", json={**system, "id": identity}).is_success
    impostor = {**COLOUR_SYSTEM, "id": "impostor", "url": SERVICE, "version": "999"}
    assert client.put("/CodeSystem/impostor", json=impostor).is_success

    def valid(**query: str) -> Any:
        return outputs(client.get("/CodeSystem/$validate-code", params=query))["result"]

    assert valid(url="urn:x:versions", code="v1.10")
    assert not valid(url="urn:x:versions", code="v1.9")
    assert valid(url="urn:x:versions", version="1.9", code="v1.9")
    assert valid(url=SERVICE, code="nature")
    client.delete("/CodeSystem/impostor")


# --- search ---


@pytest.fixture(scope="module")
def services(stored: httpx.Client) -> httpx.Client:
    kinds = {
        "walk": {"system": SERVICE, "code": "nature"},
        "sing": {"system": SERVICE, "code": "culture"},
        "money": {"system": SERVICE, "code": "debt-help"},
        "paint": {"system": COLOURS, "code": "crimson"},
        "bare": {"code": "nature"},
    }
    for name, coding in kinds.items():
        resource = {
            "resourceType": "HealthcareService",
            "id": f"term-{name}",
            "identifier": [{"system": "urn:x:terminology", "value": name}],
            "category": [{"coding": [coding]}],
        }
        assert stored.put(f"/HealthcareService/term-{name}", json=resource).is_success
    return stored


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("service-category:in", THEMES, {"walk", "sing"}),
        ("service-category:in", "ValueSet/wellbeing-theme", {"walk", "sing"}),
        ("service-category:in", COLOUR_SET["url"], {"paint"}),
        ("service-category:not-in", THEMES, {"money", "paint", "bare"}),
        ("service-category:below", f"{SERVICE}|wellbeing-activity", {"walk", "sing"}),
        ("service-category:below", f"{SERVICE}|nature", {"walk"}),
        ("service-category:below", f"{SERVICE}|work-income,{COLOURS}|red", {"money", "paint"}),
        ("service-category:above", f"{COLOURS}|crimson", {"paint"}),
        ("service-category:above", f"{COLOURS}|red", set()),
        ("_filter", f'service-category in "{THEMES}"', {"walk", "sing"}),
    ],
)
def test_searches_ask_terminology(services: httpx.Client, name: str, value: str, expected: set[str]) -> None:
    query = {"identifier": "urn:x:terminology|", name: value}
    for response in (
        services.get("/HealthcareService", params=query),
        services.get("/", params={"_type": "HealthcareService", **query}),
    ):
        assert response.status_code == 200, response.text
        found = {one["resource"]["identifier"][0]["value"] for one in response.json().get("entry", ())}
        assert found == expected


def test_a_page_of_such_a_search_goes_on(services: httpx.Client) -> None:
    query = {"service-category:in": THEMES, "identifier": "urn:x:terminology|", "_count": "1"}
    first = services.get("/HealthcareService", params=query).json()
    (following,) = [link["url"] for link in first["link"] if link["relation"] == "next"]
    second = services.get(following).json()
    assert {one["resource"]["id"] for page in (first, second) for one in page["entry"]} == {"term-walk", "term-sing"}


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("service-category:in=urn:x:none", "value-set-unknown"),
        ("service-category:in=ValueSet/none", "not-found"),
        ("service-category:below=http://snomed.info/sct|1", "code-system-unknown"),
        (f"service-category:below={SERVICE}|none", "code-unknown"),
        ("service-category:below=nature", "search-bad-token"),
        ("service-category:in=https://example.org/ValueSet/all-of-many", "search-too-many-codes"),
    ],
)
def test_a_search_for_what_terminology_cannot_tell_is_refused(
    services: httpx.Client, refused: Any, value: str, key: str
) -> None:
    many = {"url": "https://example.org/CodeSystem/many-2", "concept": [{"code": f"c{n}"} for n in range(5_001)]}
    services.put("/CodeSystem/many-2", json={**COLOUR_SYSTEM, **many, "id": "many-2"})
    compose = {"include": [{"system": many["url"]}]}
    url = "https://example.org/ValueSet/all-of-many"
    services.put("/ValueSet/all-of-many", json={**COLOUR_SET, "id": "all-of-many", "url": url, "compose": compose})
    refused(services.get(f"/HealthcareService?{value}"), 400, key)


def test_conditional_interactions_ask_terminology_too(services: httpx.Client) -> None:
    resource: dict[str, Any] = {"resourceType": "HealthcareService", "id": "term-money", "comment": "seen"}
    resource["category"] = [{"coding": [{"system": SERVICE, "code": "debt-help"}]}]
    resource["identifier"] = [{"system": "urn:x:terminology", "value": "money"}]
    query = {"identifier": "urn:x:terminology|", "service-category:below": f"{SERVICE}|work-income"}
    response = services.put("/HealthcareService", params=query, json=resource)
    assert response.status_code == 200, response.text
    assert services.get("/HealthcareService/term-money").json()["comment"] == "seen"
