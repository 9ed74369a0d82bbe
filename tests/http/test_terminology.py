"""The terminology operations over HTTP: what R4 says of each, on our own, R4's and stored terminology."""

from typing import Any

import httpx
import pytest

BASE = "https://w3id.org/social-referral"
NEED = f"{BASE}/CodeSystem/social-need"
SERVICE = f"{BASE}/CodeSystem/service-type"
THEMES = f"{BASE}/ValueSet/wellbeing-theme"
TASK_STATUS = "http://hl7.org/fhir/task-status"
ICPC = "http://hl7.org/fhir/sid/icpc-2"
COLOURS = "https://example.org/CodeSystem/colour"

COLOUR_SYSTEM: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "id": "colour",
    "url": COLOURS,
    "version": "1",
    "status": "active",
    "content": "complete",
    "property": [
        {"code": "warm", "type": "boolean"},
        {"code": "paint", "type": "code"},
        {"code": "like", "type": "Coding"},
    ],
    "concept": [
        {
            "code": "any",
            "display": "Any colour",
            "property": [{"code": "notSelectable", "valueBoolean": True}],
            "concept": [
                {
                    "code": "red",
                    "display": "Red",
                    "definition": "As blood is.",
                    "designation": [
                        {"language": "nl", "value": "Rood"},
                        {"language": "fr", "value": "Rouge", "use": {"system": "http://snomed.info/sct", "code": "1"}},
                    ],
                    "property": [
                        {"code": "warm", "valueBoolean": True},
                        {"code": "paint", "valueCode": "PR1"},
                        {"code": "like", "valueCoding": {"system": NEED, "code": "debt"}},
                    ],
                    "concept": [{"code": "crimson", "display": "Crimson"}],
                },
                {
                    "code": "puce",
                    "display": "Puce",
                    "property": [{"code": "inactive", "valueBoolean": True}],
                },
            ],
        }
    ],
}
COLOUR_SET: dict[str, Any] = {
    "resourceType": "ValueSet",
    "id": "colours",
    "url": "https://example.org/ValueSet/colours",
    "version": "1",
    "status": "active",
    "compose": {"include": [{"system": COLOURS}]},
}
COLOUR_MAP: dict[str, Any] = {
    "resourceType": "ConceptMap",
    "id": "colour-to-need",
    "url": "https://example.org/ConceptMap/colour-to-need",
    "status": "active",
    "sourceUri": COLOUR_SET["url"],
    "group": [
        {
            "source": COLOURS,
            "target": NEED,
            "element": [
                {
                    "code": "red",
                    "target": [
                        {
                            "code": "debt",
                            "equivalence": "wider",
                            "product": [{"property": "urn:x:tone", "system": COLOURS, "value": "crimson"}],
                        },
                        {
                            "code": "family",
                            "equivalence": "equal",
                            "dependsOn": [{"property": "urn:x:tone", "value": "dark"}],
                        },
                    ],
                },
                {"code": "puce", "target": [{"equivalence": "unmatched"}]},
            ],
            "unmapped": {"mode": "fixed", "code": "parenting"},
        }
    ],
}


@pytest.fixture(scope="module")
def stored(client: httpx.Client) -> httpx.Client:
    for resource in (COLOUR_SYSTEM, COLOUR_SET, COLOUR_MAP):
        response = client.put(f"/{resource['resourceType']}/{resource['id']}", json=resource)
        assert response.status_code in (200, 201), response.text
    return client


def parameters(*listed: tuple[str, Any]) -> dict[str, Any]:
    """Build a Parameters; a name is written `name:valueType` or `name:resource`."""
    made = []
    for name, value in listed:
        plain, _, member = name.partition(":")
        made.append({"name": plain, member: value})
    return {"resourceType": "Parameters", "parameter": made}


def outputs(response: httpx.Response) -> dict[str, Any]:
    """Read a Parameters as name → value, or list of these for what has parts; it must be valid R4."""
    assert response.status_code == 200, response.text
    return _read(response.json()["parameter"])


def _read(listed: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in listed:
        if "part" in one:
            found.setdefault(one["name"], []).append(_read(one["part"]))
        else:
            found[one["name"]] = next(value for name, value in one.items() if name.startswith("value"))
    return found


def codes(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [one["code"] for one in response.json()["expansion"].get("contains", ())]


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
