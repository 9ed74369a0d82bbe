"""patch over HTTP (R4 http.html#patch)."""

from typing import Any

import httpx

JSON_PATCH = {"Content-Type": "application/json-patch+json"}


def patient(client: httpx.Client) -> str:
    body = {"resourceType": "Patient", "name": [{"family": "Peeters", "given": ["Erdan"]}], "active": True}
    return f"/Patient/{client.post('/Patient', json=body).json()['id']}"


def test_json_patch(client: httpx.Client, refused: Any) -> None:
    url = patient(client)
    operations: list[dict[str, Any]] = [
        {"op": "test", "path": "/active", "value": True},
        {"op": "add", "path": "/name/0/given/-", "value": "Jan"},
        {"op": "remove", "path": "/active"},
    ]
    response = client.patch(url, json=operations, headers=JSON_PATCH)
    assert response.status_code == 200, response.text
    assert response.json()["name"][0]["given"] == ["Erdan", "Jan"]
    assert response.headers["etag"] == 'W/"2"'
    assert client.get(f"{url}/_history").json()["entry"][0]["request"]["method"] == "PATCH"
    refused(client.patch(url, json=operations, headers=JSON_PATCH), 422, None)
    refused(client.patch(url, json={"op": "add"}, headers=JSON_PATCH), 400)
    wrong = [{"op": "add", "path": "/gender", "value": "unknowable"}]
    refused(client.patch(url, json=wrong, headers=JSON_PATCH), 400, "required-binding")
    refused(
        client.patch(url, json=[{"op": "replace", "path": "/id", "value": "x"}], headers=JSON_PATCH),
        400,
        "patch-identity",
    )
    assert client.get(url).headers["etag"] == 'W/"2"'


def test_fhirpath_patch(client: httpx.Client) -> None:
    url = patient(client)
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.name[0].family"},
        {"name": "value", "valueString": "Janssens"},
    ]
    document = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    response = client.patch(url, json=document)
    assert response.status_code == 200, response.text
    assert response.json()["name"][0]["family"] == "Janssens"


def test_patch_refuses_what_is_not_there_or_not_a_patch(client: httpx.Client, refused: Any) -> None:
    url = patient(client)
    refused(client.patch("/Patient/none", json=[], headers=JSON_PATCH), 404, "not-found")
    refused(client.patch(url, json={"resourceType": "Patient"}), 415, "unsupported-media-type")
    refused(client.patch(url, json=[], headers={"Content-Type": "application/merge-patch+json"}), 415)
    operations = [{"op": "add", "path": "/gender", "value": "male"}]
    refused(client.patch(url, json=operations, headers={**JSON_PATCH, "If-Match": 'W/"9"'}), 412, "version-conflict")
    client.delete(url)
    refused(client.patch(url, json=operations, headers=JSON_PATCH), 410, "deleted")
