"""$validate-code, $subsumes and $translate over HTTP: what R4 says of each."""

from typing import Any

import httpx
import pytest

from tests.http.terminology_answers import (
    BASE,
    COLOUR_MAP,
    COLOUR_SET,
    COLOUR_SYSTEM,
    COLOURS,
    ICPC,
    NEED,
    SERVICE,
    TASK_STATUS,
    THEMES,
    outputs,
    parameters,
    store_colours,
)


@pytest.fixture(scope="module")
def stored(client: httpx.Client) -> httpx.Client:
    return store_colours(client)


# --- $validate-code ---


@pytest.mark.parametrize(
    ("place", "query", "result"),
    [
        ("/CodeSystem/$validate-code", {"url": NEED, "code": "debt"}, True),
        ("/CodeSystem/$validate-code", {"url": NEED, "code": "debts"}, False),
        ("/CodeSystem/social-need/$validate-code", {"code": "debt"}, True),
        ("/CodeSystem/$validate-code", {"url": TASK_STATUS, "code": "requested", "version": "4.0.1"}, True),
        ("/CodeSystem/$validate-code", {"url": NEED, "code": "debt", "display": "  schulden "}, True),
        ("/CodeSystem/$validate-code", {"url": NEED, "code": "debt", "display": "Honger"}, False),
        ("/CodeSystem/$validate-code", {"url": COLOURS, "code": "any"}, True),
        ("/CodeSystem/$validate-code", {"url": COLOURS, "code": "any", "abstract": "false"}, False),
        ("/ValueSet/$validate-code", {"url": THEMES, "system": SERVICE, "code": "nature"}, True),
        ("/ValueSet/$validate-code", {"url": THEMES, "code": "nature"}, True),
        ("/ValueSet/$validate-code", {"url": THEMES, "system": SERVICE, "code": "debt-help"}, False),
        ("/ValueSet/$validate-code", {"url": THEMES, "system": SERVICE, "code": "nature", "display": "Culture"}, False),
        ("/ValueSet/wellbeing-theme/$validate-code", {"system": SERVICE, "code": "nature"}, True),
        ("/ValueSet/$validate-code", {"url": COLOUR_SET["url"], "system": COLOURS, "code": "red"}, True),
        (
            "/ValueSet/$validate-code",
            {"url": COLOUR_SET["url"], "system": "http://snomed.info/sct", "code": "1"},
            False,
        ),
        (
            "/ValueSet/$validate-code",
            {"url": "http://hl7.org/fhir/ValueSet/administrative-gender", "code": "female"},
            True,
        ),
    ],
)
def test_a_code_is_valid_or_the_message_says_why(
    stored: httpx.Client, place: str, query: dict[str, str], result: bool
) -> None:
    found = outputs(stored.get(place, params=query))
    assert found["result"] is result
    assert ("message" in found) is not result
    if result:
        assert found["display"]


def test_the_display_comes_in_the_language_that_is_asked(client: httpx.Client) -> None:
    query = {"url": THEMES, "system": SERVICE, "code": "nature", "displayLanguage": "nl"}
    assert outputs(client.get("/ValueSet/$validate-code", params=query))["display"] == "Natuur"


def test_one_valid_coding_makes_a_concept_valid(client: httpx.Client) -> None:
    wrong, right = {"system": NEED, "code": "no"}, {"system": SERVICE, "code": "nature"}

    def asked(*codings: dict[str, str]) -> dict[str, Any]:
        sent = parameters(("url:valueUri", THEMES), ("codeableConcept:valueCodeableConcept", {"coding": list(codings)}))
        return outputs(client.post("/ValueSet/$validate-code", json=sent))

    assert asked(wrong, right)["result"] is True
    both = asked(wrong, {"system": SERVICE, "code": "debt-help"})
    assert both["result"] is False
    assert "'no'" in both["message"]
    assert "'debt-help'" in both["message"]


def test_a_value_set_or_code_system_may_come_with_the_request(client: httpx.Client) -> None:
    inline = {
        "resourceType": "ValueSet",
        "status": "draft",
        "compose": {
            "include": [{"system": NEED, "filter": [{"property": "concept", "op": "is-a", "value": "family"}]}]
        },
    }
    coding = {"system": NEED, "code": "parenting"}
    sent = parameters(("valueSet:resource", inline), ("coding:valueCoding", coding))
    assert outputs(client.post("/ValueSet/$validate-code", json=sent))["result"] is True
    assert outputs(client.post("/ValueSet/$validate-code?code=debt&system=" + NEED, json=inline))["result"] is False
    system = {**COLOUR_SYSTEM, "url": "urn:x:unstored"}
    sent = parameters(("codeSystem:resource", system), ("code:valueCode", "red"))
    assert outputs(client.post("/CodeSystem/$validate-code", json=sent))["result"] is True


def test_what_the_server_does_not_know_is_not_found(client: httpx.Client, refused: Any) -> None:
    sct = "http://snomed.info/sct"
    refused(client.get("/CodeSystem/$validate-code", params={"url": sct, "code": "1"}), 404, "code-system-unknown")
    unknown = client.get("/ValueSet/$validate-code", params={"url": "urn:x:none", "code": "1", "system": sct})
    refused(unknown, 404, "value-set-unknown")
    refused(client.get("/ValueSet/none/$validate-code", params={"code": "1"}), 404, "not-found")


def test_an_inline_value_set_is_validated_first(client: httpx.Client, refused: Any) -> None:
    inline = {"resourceType": "ValueSet", "status": "draft", "compose": {"include": [{"concept": [{"display": "x"}]}]}}
    sent = parameters(("valueSet:resource", inline), ("code:valueCode", "x"))
    issue = refused(client.post("/ValueSet/$validate-code", json=sent), 400)
    assert issue["expression"][0].startswith("Parameters.parameter[0].resource.compose.include[0]")


def test_a_regular_expression_or_other_filter_that_is_not_taken_is_told(client: httpx.Client, refused: Any) -> None:
    rule = {"property": "code", "op": "regex", "value": "(a+)+"}
    inline = {
        "resourceType": "ValueSet",
        "status": "draft",
        "compose": {"include": [{"system": NEED, "filter": [rule]}]},
    }
    refused(client.post("/ValueSet/$expand", json=parameters(("valueSet:resource", inline))), 400, "not-supported")


# --- ConceptMap/$translate ---


def test_a_need_translates_there_and_back(client: httpx.Client) -> None:
    query = {"system": NEED, "code": "parenting", "targetsystem": ICPC}
    there = outputs(client.get("/ConceptMap/$translate", params=query))
    assert there["result"] is True
    (match,) = there["match"]
    assert (match["equivalence"], match["concept"]["code"]) == ("wider", "Z16")
    assert match["source"] == f"{BASE}/ConceptMap/social-need-to-icpc-2"
    query = {"system": ICPC, "code": "Z16", "target": NEED, "reverse": "true"}
    back = outputs(client.get("/ConceptMap/$translate", params=query))
    assert ("narrower", "parenting") in {(one["equivalence"], one["concept"]["code"]) for one in back["match"]}
    by_id = client.get("/ConceptMap/social-need-to-icpc-2/$translate", params={"system": NEED, "code": "parenting"})
    assert outputs(by_id) == there


def test_a_stored_map_is_found_by_what_it_translates(stored: httpx.Client) -> None:
    found = outputs(stored.get("/ConceptMap/$translate", params={"system": COLOURS, "code": "red"}))
    (match,) = found["match"]
    assert match["concept"]["code"] == "debt"
    assert match["concept"]["display"]
    assert match["product"] == [
        {"element": "urn:x:tone", "concept": {"system": COLOURS, "code": "crimson", "display": "Crimson"}}
    ]
    nothing = outputs(stored.get("/ConceptMap/$translate", params={"system": COLOURS, "code": "puce"}))
    assert nothing["result"] is False
    assert nothing["message"]
    assert nothing["match"] == [{"equivalence": "unmatched", "source": COLOUR_MAP["url"]}]
    other = outputs(stored.get("/ConceptMap/$translate", params={"system": COLOURS, "code": "crimson"}))
    assert [(one["equivalence"], one["concept"]["code"]) for one in other["match"]] == [("inexact", "parenting")]
    query = {"system": COLOURS, "code": "red", "source": "urn:x:elsewhere"}
    assert outputs(stored.get("/ConceptMap/$translate", params=query))["result"] is False


def test_every_coding_of_a_concept_is_translated_by_the_map_that_comes_with_it(client: httpx.Client) -> None:
    concept = {"coding": [{"system": COLOURS, "code": "red"}, {"system": COLOURS, "code": "puce"}]}
    sent = parameters(("conceptMap:resource", COLOUR_MAP), ("codeableConcept:valueCodeableConcept", concept))
    found = outputs(client.post("/ConceptMap/$translate", json=sent))
    assert [one["equivalence"] for one in found["match"]] == ["wider", "unmatched"]


def test_an_unknown_map_is_not_found(client: httpx.Client, refused: Any) -> None:
    query = {"url": "urn:x:none", "system": NEED, "code": "debt"}
    refused(client.get("/ConceptMap/$translate", params=query), 404, "concept-map-unknown")


# --- CodeSystem/$subsumes ---


@pytest.mark.parametrize(
    ("a", "b", "outcome"),
    [
        ("family", "parenting", "subsumes"),
        ("parenting", "family", "subsumed-by"),
        ("debt", "debt", "equivalent"),
        ("debt", "parenting", "not-subsumed"),
    ],
)
def test_subsumption(client: httpx.Client, a: str, b: str, outcome: str) -> None:
    query = {"codeA": a, "codeB": b}
    assert outputs(client.get("/CodeSystem/$subsumes", params={"system": NEED, **query}))["outcome"] == outcome
    assert outputs(client.get("/CodeSystem/social-need/$subsumes", params=query))["outcome"] == outcome
    codings = [(f"coding{letter}:valueCoding", {"system": NEED, "code": code}) for letter, code in (("A", a), ("B", b))]
    assert outputs(client.post("/CodeSystem/$subsumes", json=parameters(*codings)))["outcome"] == outcome


def test_codes_of_two_systems_are_not_compared(client: httpx.Client, refused: Any) -> None:
    codings = [("codingA:valueCoding", {"system": NEED, "code": "debt"})]
    codings.append(("codingB:valueCoding", {"system": SERVICE, "code": "nature"}))
    issue = refused(client.post("/CodeSystem/$subsumes", json=parameters(*codings)), 400, "operation-input")
    assert issue["expression"] == ["Parameters.parameter[1]"]
    query = {"system": NEED, "codeA": "debt", "codeB": "none"}
    refused(client.get("/CodeSystem/$subsumes", params=query), 404, "code-unknown")
