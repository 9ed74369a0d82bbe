"""create, read, vread, update, delete over HTTP (R4 http.html)."""

import json
from typing import Any

import httpx

PATIENT = {"resourceType": "Patient", "name": [{"family": "Peeters", "given": ["Erdan"]}], "birthDate": "2004-05-06"}


def created(client: httpx.Client, resource: dict[str, Any]) -> dict[str, Any]:
    response = client.post(f"/{resource['resourceType']}", json=resource)
    assert response.status_code == 201, response.text
    return dict(response.json())


def test_create_answers_with_location_etag_and_the_stored_resource(client: httpx.Client, server: Any) -> None:
    response = client.post("/Patient", json=PATIENT)
    assert response.status_code == 201
    body = response.json()
    assert response.headers["location"] == f"{server.base}/Patient/{body['id']}/_history/1"
    assert response.headers["etag"] == 'W/"1"'
    assert response.headers["last-modified"].endswith("GMT")
    assert body["meta"]["versionId"] == "1"
    assert {**body, "id": None, "meta": None} == {**PATIENT, "id": None, "meta": None}
    read = client.get(f"/Patient/{body['id']}")
    assert read.content == response.content
    assert read.headers["etag"] == 'W/"1"'


def test_what_was_sent_comes_back_with_its_digits_and_order(client: httpx.Client) -> None:
    sent = (
        '{"resourceType":"Observation","status":"final","code":{"text":"bedrag \\u20ac"},'
        '"valueQuantity":{"value":1.00,"unit":"x"},"component":[{"code":{"text":"a"},"valueQuantity":{"value":1E3}},'
        '{"code":{"text":"b"},"valueQuantity":{"value":0.000000001}}]}'
    )
    response = client.post("/Observation", content=sent)
    assert response.status_code == 201, response.text
    text = response.text
    assert '"value":1.00,' in text
    assert '"value":1E3' in text
    assert '"value":0.000000001' in text
    names = list(json.loads(text))
    assert names == ["resourceType", "id", "meta", "status", "code", "valueQuantity", "component"]


def test_update_counts_the_version_and_keeps_the_old_one(client: httpx.Client) -> None:
    body = created(client, PATIENT)
    url = f"/Patient/{body['id']}"
    changed = client.put(url, json={**body, "gender": "male"})
    assert changed.status_code == 200
    assert changed.headers["etag"] == 'W/"2"'
    assert "gender" not in client.get(f"{url}/_history/1").json()
    assert client.get(f"{url}/_history/2").content == client.get(url).content
    assert client.get(f"{url}/_history/3").status_code == 404
    assert client.get(f"{url}/_history/x").status_code == 404


def test_an_identical_update_makes_no_new_version(client: httpx.Client) -> None:
    body = created(client, PATIENT)
    again = client.put(f"/Patient/{body['id']}", json=body)
    assert again.status_code == 200
    assert again.headers["etag"] == 'W/"1"'
    reordered = client.put(f"/Patient/{body['id']}", json=dict(reversed(body.items())))
    assert reordered.headers["etag"] == 'W/"1"'
    other_digits = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    first = client.post("/Observation", content=json.dumps(other_digits)[:-1] + ',"valueQuantity":{"value":1.0}}')
    resource_id = first.json()["id"]
    second = client.put(
        f"/Observation/{resource_id}",
        content=json.dumps({**other_digits, "id": resource_id})[:-1] + ',"valueQuantity":{"value":1.00}}',
    )
    assert second.headers["etag"] == 'W/"2"', "1.0 and 1.00 are different statements of precision"


def test_update_as_create_and_bringing_back(client: httpx.Client) -> None:
    url = "/Patient/my-own.id-1"
    first = client.put(url, json={**PATIENT, "id": "my-own.id-1"})
    assert first.status_code == 201
    assert first.headers["location"].endswith("/Patient/my-own.id-1/_history/1")
    assert client.delete(url).status_code == 204
    assert client.get(url).status_code == 410
    assert client.delete(url).status_code == 204
    assert client.get(f"{url}/_history/2").status_code == 410
    back = client.put(url, json={**PATIENT, "id": "my-own.id-1"})
    assert back.status_code == 201
    assert back.headers["etag"] == 'W/"3"'


def test_if_match_guards_update_and_delete(client: httpx.Client, refused: Any) -> None:
    body = created(client, PATIENT)
    url = f"/Patient/{body['id']}"
    changed = {**body, "gender": "male"}
    refused(client.put(url, json=changed, headers={"If-Match": 'W/"7"'}), 412, "version-conflict")
    refused(client.put(url, json=changed, headers={"If-Match": "seven"}), 400, "bad-if-match")
    assert client.put(url, json=changed, headers={"If-Match": 'W/"1"'}).status_code == 200
    refused(client.delete(url, headers={"If-Match": 'W/"1"'}), 412, "version-conflict")
    assert client.delete(url, headers={"If-Match": 'W/"2"'}).status_code == 204


def test_conditional_read_answers_304_without_body(client: httpx.Client, refused: Any) -> None:
    first = client.post("/Patient", json=PATIENT)
    url = f"/Patient/{first.json()['id']}"
    for headers in ({"If-None-Match": 'W/"1"'}, {"If-Modified-Since": first.headers["last-modified"]}):
        response = client.get(url, headers=headers)
        assert response.status_code == 304
        assert response.content == b""
        assert response.headers["etag"] == 'W/"1"'
    assert client.get(url, headers={"If-None-Match": 'W/"2"'}).status_code == 200
    assert client.get(url, headers={"If-Modified-Since": "Tue, 01 Jan 2019 00:00:00 GMT"}).status_code == 200
    refused(client.get(url, headers={"If-Modified-Since": "yesterday"}), 400, "bad-if-modified-since")


def test_head_is_get_without_body(client: httpx.Client) -> None:
    body = created(client, PATIENT)
    get, head = (getattr(client, name)(f"/Patient/{body['id']}") for name in ("get", "head"))
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["etag"] == get.headers["etag"]
    assert head.headers["content-length"] == get.headers["content-length"]


def test_prefer_return(client: httpx.Client, refused: Any) -> None:
    minimal = client.post("/Patient", json=PATIENT, headers={"Prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content) == (201, b"")
    assert minimal.headers["location"]
    told = client.post("/Patient", json=PATIENT, headers={"Prefer": "return=OperationOutcome"})
    assert told.json()["resourceType"] == "OperationOutcome"
    assert told.json()["issue"][0]["severity"] == "information"
    assert client.post("/Patient", json=PATIENT, headers={"Prefer": "return=representation"}).json()["id"]
    refused(client.post("/Patient", json=PATIENT, headers={"Prefer": "return=everything"}), 400, "bad-prefer")


def test_pretty_and_format(client: httpx.Client, refused: Any) -> None:
    body = created(client, PATIENT)
    url = f"/Patient/{body['id']}"
    pretty = client.get(url, params={"_pretty": "true", "_format": "json"})
    assert pretty.text.startswith('{\n  "resourceType"')
    assert pretty.json() == body
    assert client.get(f"{url}?_format=application/fhir+json", headers={"Accept": "text/html"}).status_code == 200
    refused(client.get(url, params={"_format": "xml"}), 406, "not-acceptable")
    refused(client.get(url, headers={"Accept": "application/fhir+xml"}), 406, "not-acceptable")
    refused(client.get(url, headers={"Accept": "application/fhir+json; fhirVersion=3.0"}), 406, "not-acceptable")
    assert client.get(url, headers={"Accept": "text/html,application/json;q=0.9"}).status_code == 200


def test_summary_and_elements_are_marked_as_subsets(client: httpx.Client, refused: Any) -> None:
    sent = {
        **PATIENT,
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Erdan</div>'},
        "contact": [{"name": {"text": "Dora"}}],
        "deceasedBoolean": False,
    }
    url = f"/Patient/{created(client, sent)['id']}"
    summary = client.get(url, params={"_summary": "true"}).json()
    assert {"name", "birthDate", "deceasedBoolean"} <= set(summary)
    assert not {"text", "contact"} & set(summary)
    assert summary["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert set(client.get(url, params={"_summary": "text"}).json()) == {"resourceType", "id", "meta", "text"}
    assert "text" not in client.get(url, params={"_summary": "data"}).json()
    assert "text" in client.get(url, params={"_summary": "false"}).json()
    elements = client.get(url, params={"_elements": "birthDate,Patient.deceased"}).json()
    assert set(elements) == {"resourceType", "id", "meta", "birthDate", "deceasedBoolean"}
    refused(client.get(url, params={"_summary": "much"}), 400, "bad-summary")
    refused(client.get(url, params={"_colour": "red"}), 400, "unknown-parameter")


def test_every_resource_type_is_served(client: httpx.Client) -> None:
    statement = client.get("/metadata").json()
    types = [resource["type"] for resource in statement["rest"][0]["resource"]]
    assert len(types) == 146
    for name in ("Basic", "List", "Questionnaire", "Subscription", "VerificationResult"):
        assert name in types


def test_wrong_places_and_methods_are_told(client: httpx.Client, refused: Any) -> None:
    refused(client.get("/Patiënt/1"), 404, "unknown-type")
    issue = refused(client.get("/Patent/1"), 404, "unknown-type")
    assert "Patient" in issue["diagnostics"]
    refused(client.get("/Patient/never"), 404, "not-found")
    refused(client.delete("/Patient/never"), 404, "not-found")
    refused(client.get("/Patient/1/_history/1/x"), 404, "unknown-path")
    refused(client.get("/Patient/$nothing"), 404, "unknown-operation")
    response = client.put("/Patient/1/_history/1", json={**PATIENT, "id": "1"})
    refused(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "GET"
    refused(client.get("/Patient/" + "a" * 65), 400, "bad-id")
    refused(client.put("/Patient/" + "a" * 65, json={**PATIENT, "id": "a" * 65}), 400)
    refused(client.put("/Patient/b", json={**PATIENT, "id": "c"}), 400, "id-mismatch")
    refused(client.put("/Patient/b", json=PATIENT), 400, "id-missing")
    refused(
        client.post("/Patient", json={"resourceType": "Group", "type": "person", "actual": True}),
        400,
        "wrong-resource-type",
    )
