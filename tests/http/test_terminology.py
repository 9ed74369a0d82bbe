"""The terminology operations over HTTP: $lookup, and what holds for the inputs of every operation."""

from typing import Any

import httpx
import pytest

from tests.http.terminology_answers import COLOURS, NEED, THEMES, outputs, parameters, store_colours


@pytest.fixture(scope="module")
def stored(client: httpx.Client) -> httpx.Client:
    return store_colours(client)


# --- CodeSystem/$lookup ---


def test_lookup_by_get_and_by_post_say_the_same(client: httpx.Client) -> None:
    got = client.get("/CodeSystem/$lookup", params={"system": NEED, "code": "parenting", "displayLanguage": "fr-BE"})
    found = outputs(got)
    assert found["name"] == "Social need"
    assert found["display"] == "Soutien à la parentalité"
    assert {one["language"] for one in found["designation"]} >= {"nl", "fr", "de"}
    assert {"code": "parent", "value": "family"} in found["property"]
    coding = {"system": NEED, "code": "parenting"}
    sent = parameters(("coding:valueCoding", coding), ("displayLanguage:valueCode", "fr-BE"))
    assert client.post("/CodeSystem/$lookup", json=sent).json() == got.json()


def test_lookup_knows_what_is_stored_with_properties_by_their_type(stored: httpx.Client) -> None:
    response = stored.get("/CodeSystem/$lookup", params={"system": COLOURS, "version": "1", "code": "red"})
    assert outputs(response)["version"] == "1"
    members = {
        one["part"][0]["valueCode"]: next(iter(one["part"][1].keys() - {"name"}))
        for one in response.json()["parameter"]
        if one["name"] == "property"
    }
    assert members == {
        "definition": "valueString",
        "parent": "valueCode",
        "child": "valueCode",
        "warm": "valueBoolean",
        "paint": "valueCode",
        "like": "valueCoding",
    }
    (used,) = [one for one in outputs(response)["designation"] if "use" in one]
    assert used == {"language": "fr", "value": "Rouge", "use": {"system": "http://snomed.info/sct", "code": "1"}}


def test_lookup_returns_the_properties_that_are_asked_for(stored: httpx.Client) -> None:
    query: Any = [("system", COLOURS), ("code", "red"), ("property", "paint"), ("property", "lang.nl")]
    found = outputs(stored.get("/CodeSystem/$lookup", params=query))
    assert found["property"] == [{"code": "paint", "value": "PR1"}]
    assert [one["value"] for one in found["designation"]] == ["Rood"]


def test_lookup_of_the_unknown_is_not_found(client: httpx.Client, refused: Any) -> None:
    unknown = client.get("/CodeSystem/$lookup", params={"system": "http://snomed.info/sct", "code": "1"})
    assert refused(unknown, 404, "code-system-unknown")["code"] == "not-found"
    assert "Codes differ by case" in str(
        refused(client.get("/CodeSystem/$lookup", params={"system": NEED, "code": "DEBT"}), 404, "code-unknown")
    )
    other = client.get("/CodeSystem/$lookup", params={"system": NEED, "code": "debt", "version": "99"})
    refused(other, 404, "code-system-unknown")


# --- inputs of every operation ---

PLACES = [
    "/CodeSystem/$lookup",
    "/CodeSystem/$validate-code",
    "/CodeSystem/$subsumes",
    "/ValueSet/$validate-code",
    "/ValueSet/$expand",
    "/ConceptMap/$translate",
]


@pytest.mark.parametrize("place", PLACES)
def test_an_unknown_input_parameter_is_refused_by_name(client: httpx.Client, refused: Any, place: str) -> None:
    by_get = refused(client.get(place, params={"colour": "red"}), 400, "unknown-parameter")
    assert "'colour'" in by_get["diagnostics"]
    by_post = refused(client.post(place, json=parameters(("colour:valueCode", "red"))), 400, "unknown-parameter")
    assert by_post["expression"] == ["Parameters.parameter[0]"]
    assert "'colour'" in by_post["diagnostics"]


@pytest.mark.parametrize("place", PLACES)
def test_an_operation_without_inputs_says_what_it_needs(client: httpx.Client, refused: Any, place: str) -> None:
    refused(client.get(place), 400, "operation-input")
    refused(client.post(place, json={"resourceType": "Parameters"}), 400, "operation-input")


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        (parameters(("coding:valueString", "x")), "operation-input"),
        (parameters(("code:valueCode", "a"), ("code:valueCode", "b")), "operation-input"),
        (parameters(("coding:valueCoding", {"system": NEED})), "operation-input"),
        (parameters(("code:valueCode", "debt"), ("coding:valueCoding", {"system": NEED, "code": "debt"})), None),
        (parameters(("coding:valueCoding", {"cod": "x"})), None),
        ({"resourceType": "Patient"}, "wrong-resource-type"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(client: httpx.Client, refused: Any, sent: Any, key: str | None) -> None:
    refused(client.post("/CodeSystem/$lookup", json=sent), 400, key)


@pytest.mark.parametrize(
    "query",
    [{"count": "-1"}, {"count": "ten"}, {"offset": "1.5"}, {"activeOnly": "yes"}, {"filter": ""}, {"valueSet": "x"}],
)
def test_values_in_a_url_are_checked(client: httpx.Client, refused: Any, query: dict[str, str]) -> None:
    issue = refused(client.get("/ValueSet/$expand", params={"url": THEMES, **query}), 400, "operation-input")
    assert next(iter(query)) in issue["diagnostics"]


def test_operations_are_offered_where_metadata_says_and_nowhere_else(client: httpx.Client, refused: Any) -> None:
    listed = {
        (one["type"], operation["name"]): operation["definition"]
        for one in client.get("/metadata").json()["rest"][0]["resource"]
        for operation in one.get("operation", ())
    }
    for place in PLACES:
        resource_type, _, name = place[1:].partition("/$")
        definition = client.get("/OperationDefinition", params={"url": listed[resource_type, name]}).json()
        (found,) = [one["resource"] for one in definition["entry"]]
        assert found["code"] == name
        assert found["resource"] == [resource_type]
        assert found["base"].startswith("http://hl7.org/fhir/OperationDefinition/")
        if not found["instance"]:
            refused(client.get(f"/{resource_type}/x/${name}"), 404, "unknown-operation")
    refused(client.get("/ConceptMap/$expand"), 404, "unknown-operation")
    refused(client.get("/Patient/$validate-code"), 404, "unknown-operation")
    refused(client.put("/ValueSet/$expand", json={}), 405)


def test_an_operation_is_an_entry_of_a_batch(client: httpx.Client) -> None:
    url = f"ValueSet/$expand?url={THEMES}&count=1"
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": url}}]}
    (entry,) = client.post("/", json=batch).json()["entry"]
    assert entry["resource"]["expansion"]["total"] == 7
