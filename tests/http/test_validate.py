"""$validate and $json-schema over HTTP (R4 resource-operation-validate.html)."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from fhir_server.fhirpath import compile_expression

ROOT = Path(__file__).parents[2]
BASE = "https://w3id.org/social-referral/StructureDefinition"
INVALID = sorted((ROOT / "examples/invalid").glob("*.issue.json"))
PROFILED = sorted((ROOT / "examples/profiles").glob("*.json"))
PATIENT = {"resourceType": "Patient", "name": [{"family": "Peeters", "given": ["Erdan"]}]}
TASK = json.loads((ROOT / "examples/profiles/referral-task-typical.json").read_bytes())


def told(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["resourceType"] == "OperationOutcome"
    for issue in body["issue"]:
        assert issue["details"]["coding"][0]["system"].endswith("/CodeSystem/issue-key")
        assert issue["details"]["text"]
    return list(body["issue"])


def keys(response: httpx.Response, *severities: str) -> list[str]:
    wanted = severities or ("fatal", "error", "warning", "information")
    return [one["details"]["coding"][0]["code"] for one in told(response) if one["severity"] in wanted]


def wrapped(resource: Any, **more: Any) -> dict[str, Any]:
    members = {"mode": "valueCode", "profile": "valueUri", "mustSupport": "valueBoolean"}
    listed = [{"name": name, members[name]: value} for name, value in more.items()]
    return {"resourceType": "Parameters", "parameter": [*listed, {"name": "resource", "resource": resource}]}


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.name.removesuffix(".issue.json"))
def test_each_invalid_example_gets_its_issue_at_an_expression_that_finds_the_element(
    client: httpx.Client, path: Path
) -> None:
    expected = json.loads(path.read_bytes())
    resource = json.loads(path.with_name(path.name.replace(".issue", "")).read_bytes())
    issues = told(client.post("/$validate", json=resource))
    found = [(one["details"]["coding"][0]["code"], one.get("expression", [""])[0]) for one in issues]
    assert (expected["key"], expected["expression"]) in found
    inside = told(client.post("/$validate", json=wrapped(resource)))
    where = "Parameters.parameter[0].resource" + expected["expression"].removeprefix(resource["resourceType"])
    body = wrapped(resource)
    assert where in [one["expression"][0] for one in inside]
    for issue, sent in [*((one, resource) for one in issues), *((one, body) for one in inside)]:
        (expression,) = issue["expression"]
        nodes = compile_expression(expression).nodes(sent)
        assert nodes or issue["details"]["coding"][0]["code"] in ("json-null", "empty-array"), expression


@pytest.mark.parametrize("path", PROFILED, ids=lambda path: path.stem)
def test_each_example_of_a_profile_is_without_errors(client: httpx.Client, path: Path) -> None:
    resource = json.loads(path.read_bytes())
    response = client.post(f"/{resource['resourceType']}/$validate", content=path.read_bytes())
    assert keys(response, "error", "fatal") == []


def test_all_is_well_is_one_remark(client: httpx.Client) -> None:
    assert keys(client.post("/Patient/$validate", json=PATIENT)) == ["all-ok"]


@pytest.mark.parametrize(
    ("languages", "word"),
    [("nl-BE,nl;q=0.9,en;q=0.5", "verplicht"), ("fr", "obligatoire"), ("de", "required"), ("", "required"),
     ("en;q=0.2, fr;q=0.8", "obligatoire"), ("nl;q=0, fr;q=bad", "required")],
)  # fmt: skip
def test_texts_are_in_the_language_that_is_asked(client: httpx.Client, languages: str, word: str) -> None:
    response = client.post(
        "/$validate", json={"resourceType": "Task", "intent": "order"}, headers={"Accept-Language": languages}
    )
    (issue,) = told(response)
    assert issue["details"]["coding"][0]["code"] == "cardinality-min"
    assert word in issue["details"]["text"]
    assert issue["diagnostics"] == issue["details"]["text"]


def test_every_problem_is_told_at_once(client: httpx.Client) -> None:
    wrong = {**TASK, "status": "banana", "intent": "plan", "colour": "red", "authoredOn": "2026-02-30"}
    found = keys(client.post("/Task/$validate", json=wrong), "error")
    assert {"required-binding", "profile-fixed", "unknown-element", "primitive-format", "profile-binding"} <= set(found)


def test_a_profile_may_be_named(client: httpx.Client) -> None:
    plain = {name: value for name, value in TASK.items() if name not in ("meta", "focus")}
    assert keys(client.post("/Task/$validate", json=plain), "error") == []
    assert keys(client.post("/Task/$validate", params={"profile": f"{BASE}/referral-task"}, json=plain)) == [
        "cardinality-min"
    ]
    assert keys(client.post("/$validate", json=wrapped(plain, profile=f"{BASE}/referral-task"))) == ["cardinality-min"]
    assert keys(client.post("/$validate", json=wrapped(PATIENT, profile=f"{BASE}/referral-task"))) == [
        "profile-mismatch"
    ]
    assert "must-support-absent" in keys(client.post("/$validate", json=wrapped(TASK, mustSupport=True)))


def test_an_unknown_profile_is_a_remark_when_claimed_and_refused_when_asked(client: httpx.Client, refused: Any) -> None:
    claiming = {**PATIENT, "meta": {"profile": ["http://example.org/StructureDefinition/x"]}}
    (issue,) = told(client.post("/$validate", json=claiming))
    assert (issue["severity"], issue["expression"]) == ("information", ["Patient.meta.profile[0]"])
    refused(client.post("/$validate", json=wrapped(PATIENT, profile="http://example.org/x")), 400, "unknown-profile")


def test_national_numbers_have_a_form_and_check_digits(client: httpx.Client) -> None:
    system = "https://www.ehealth.fgov.be/standards/fhir/core/NamingSystem/ssin"
    old = "https://www.ehealth.fgov.be/standards/fhir/NamingSystem/ssin"
    pseudonym = {"extension": [{"url": "https://www.ehealth.fgov.be/standards/fhir/infsec/StructureDefinition/be-ext-pseudonymization", "valueString": "x"}]}  # fmt: skip

    def found(**identifier: Any) -> list[tuple[str, str]]:
        issues = told(client.post("/$validate", json={**PATIENT, "identifier": [identifier]}))
        return [(one["severity"], one["details"]["coding"][0]["code"]) for one in issues]

    assert found(system=system, value="38012699993") == [("information", "all-ok")]
    assert found(system=system, value="79121137740") == [("warning", "identifier-checksum")]
    assert found(system=system, value="38.01.26-999.93") == [("error", "identifier-format")]
    assert found(system=system, value="placeholder", _value=pseudonym) == [("information", "all-ok")]
    assert found(system=old, value="38") == [("information", "identifier-alias"), ("warning", "identifier-format")]
    assert found(system="http://fhir.nl/fhir/NamingSystem/bsn", value="111222333") == [("information", "all-ok")]
    assert found(system="http://fhir.nl/fhir/NamingSystem/bsn", value="111222334") == [
        ("warning", "identifier-checksum")
    ]
    elsewhere = {**PATIENT, "managingOrganization": {"identifier": {"system": system, "value": "1"}}}
    assert keys(client.post("/$validate", json=elsewhere)) == ["all-ok"]


def test_modes_ask_what_the_interaction_would(client: httpx.Client, refused: Any) -> None:
    stored = client.post("/Patient", json=PATIENT).json()
    url = f"/Patient/{stored['id']}/$validate"
    assert keys(client.get(url)) == ["all-ok"]
    assert keys(client.post(url, json=wrapped(PATIENT, mode="update"))) == ["id-missing"]
    (issue,) = told(client.post(url, json=wrapped({**PATIENT, "id": "other"}, mode="update")))
    assert issue["expression"] == ["Parameters.parameter[1].resource.id"]
    assert keys(client.post(url, json=wrapped(stored, mode="update"))) == ["all-ok"]
    assert keys(client.post("/Patient/$validate", json=wrapped(PATIENT, mode="create"))) == ["all-ok"]
    assert keys(client.get(url, params={"mode": "delete"})) == ["all-ok"]
    assert client.get(f"/Patient/{stored['id']}").status_code == 200
    assert keys(client.post("/Patient/never/$validate", json={"resourceType": "Parameters", "parameter": [{"name": "mode", "valueCode": "delete"}]})) == ["not-found"]  # fmt: skip
    client.delete(f"/Patient/{stored['id']}")
    assert keys(client.get(url, params={"mode": "delete"})) == ["deleted"]
    refused(client.get(url), 410, "deleted")
    refused(client.get("/Patient/never/$validate"), 404, "not-found")
    refused(client.post("/$validate", json=wrapped(PATIENT, mode="delete")), 400, "mode-needs-instance")


@pytest.mark.parametrize(
    ("path", "content", "key"),
    [
        ("/$validate", "", "empty-body"),
        ("/$validate", "{", "not-json"),
        ("/$validate", '{"resourceType": "Parameters"}', "malformed"),
        ("/$validate", '{"resourceType": "Parameters", "parameter": []}', "empty-body"),
        ("/$validate", '{"resourceType": "Parameters", "parameter": [{"name": "resurce"}]}', "unknown-parameter"),
        ("/$validate", '{"resourceType": "Parameters", "parameter": [{"name": "resource"}]}', "operation-input"),
        ("/$validate", '{"resourceType": "Parameters", "parameter": [{"name": "mode", "valueCode": "x"}]}', "operation-input"),
        ("/$validate", '{"resourceType": "Parameters", "parameter": [{"name": "mode", "valueBoolean": true}]}', "operation-input"),
        ("/$validate?colour=red", "{}", "unknown-parameter"),
    ],
)  # fmt: skip
def test_only_a_request_that_cannot_be_understood_is_refused(
    client: httpx.Client, refused: Any, path: str, content: str, key: str
) -> None:
    refused(client.post(path, content=content), 400, key)


def test_a_resource_that_is_no_resource_gets_an_outcome(client: httpx.Client) -> None:
    assert keys(client.post("/$validate", json={"resourceType": "Patent"})) == ["resource-type-unknown"]
    assert keys(client.post("/Task/$validate", json=PATIENT))[0] == "wrong-resource-type"
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "a", "valueString": "b"}]}
    assert keys(client.post("/Parameters/$validate", json=parameters)) == ["all-ok"]


def test_a_write_that_breaks_a_profile_it_claims_is_a_422_with_every_issue(client: httpx.Client, refused: Any) -> None:
    broken = json.loads((ROOT / "examples/invalid/social-need-without-category.json").read_bytes())
    broken.pop("code", None)
    broken.pop("id", None)
    refused(client.post("/Condition", json=broken), 422, "cardinality-min")
    assert len(client.post("/Condition", json=broken).json()["issue"]) >= 2
    refused(client.post("/Condition", json={**broken, "onsetString": 5}), 400, "json-type")
    plain = {name: value for name, value in broken.items() if name != "meta"}
    assert client.post("/Condition", json=plain).status_code == 201
    entry = {
        "fullUrl": "urn:uuid:7d4a9f5e-2f65-4c8a-9b8b-4e1c5f2f9b11",
        "resource": broken,
        "request": {"method": "POST", "url": "Condition"},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    issue = refused(client.post("", json=bundle), 422, "cardinality-min")
    assert issue["expression"] == ["Bundle.entry[0].resource"]
    claimed = {**bundle, "meta": {"profile": [f"{BASE}/referral-bundle"]}, "entry": [{**entry, "resource": plain}]}
    refused(client.post("", json=claimed), 422, "srb-1")


def test_a_big_resource_is_judged_too(client: httpx.Client) -> None:
    names = [{"family": "x" * 100, "given": ["y"] * 10} for _ in range(3000)]
    assert keys(client.post("/$validate", json={**PATIENT, "name": names})) == ["all-ok"]


@pytest.mark.parametrize("profile", sorted({path.stem.rpartition("-")[0] for path in PROFILED}))
def test_each_profile_is_served_as_json_schema_that_takes_its_examples(client: httpx.Client, profile: str) -> None:
    response = client.get(f"/StructureDefinition/{profile}/$json-schema")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/schema+json"
    schema = response.json()
    Draft202012Validator.check_schema(schema)
    judge = Draft202012Validator(schema)
    for size in ("minimal", "typical", "maximal"):
        resource = json.loads((ROOT / f"examples/profiles/{profile}-{size}.json").read_bytes())
        assert [error.message for error in judge.iter_errors(resource)] == [], size


def test_a_schema_of_nothing_is_not_found(client: httpx.Client, refused: Any) -> None:
    refused(client.get("/StructureDefinition/nothing/$json-schema"), 404, "not-found")
    refused(client.get("/Patient/nothing/$json-schema"), 404, "unknown-operation")
