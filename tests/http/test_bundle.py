"""batch and transaction (R4 http.html#transaction)."""

import json
from typing import Any

import httpx


def entry(
    method: str, url: str, resource: dict[str, Any] | None = None, full_url: str = "", **request: str
) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    if full_url:
        made["fullUrl"] = full_url
    if resource is not None:
        made["resource"] = resource
    return made


def post(client: httpx.Client, kind: str, *entries: dict[str, Any]) -> httpx.Response:
    return client.post("/", json={"resourceType": "Bundle", "type": kind, "entry": list(entries)})


def patient(value: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:test:tx", "value": value}], **more}


def observation(subject: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "need"},
        "subject": {"reference": subject},
        **more,
    }


def test_order_is_delete_post_put_get_whatever_the_order_sent(client: httpx.Client) -> None:
    old = client.post("/Patient", json=patient("order-old")).json()["id"]
    response = post(
        client,
        "transaction",
        entry("GET", "Patient?identifier=urn:test:tx|order-new"),
        entry(
            "PUT",
            "Patient/order-put",
            patient(
                "order-put",
                id="order-put",
                link=[{"other": {"reference": "urn:uuid:11111111-1111-4111-8111-111111111111"}, "type": "seealso"}],
            ),
        ),
        entry("POST", "Patient", patient("order-new"), "urn:uuid:11111111-1111-4111-8111-111111111111"),
        entry("DELETE", f"Patient/{old}"),
    )
    assert response.status_code == 200, response.text
    answers = response.json()["entry"]
    assert response.json()["type"] == "transaction-response"
    assert [answer["response"]["status"] for answer in answers] == [
        "200 OK",
        "201 Created",
        "201 Created",
        "204 No Content",
    ]
    found = answers[0]["resource"]
    assert found["total"] == 1
    new_id = answers[2]["resource"]["id"]
    assert found["entry"][0]["resource"]["id"] == new_id
    assert answers[1]["resource"]["link"][0]["other"]["reference"] == f"Patient/{new_id}"
    assert answers[2]["response"]["location"].endswith(f"/Patient/{new_id}/_history/1")
    assert client.get(f"/Patient/{old}").status_code == 410


def test_references_resolve_everywhere(client: httpx.Client) -> None:
    urn = "urn:uuid:22222222-2222-4222-8222-222222222222"
    response = post(
        client,
        "transaction",
        entry(
            "POST",
            "Observation",
            {
                **observation(urn),
                "text": {
                    "status": "generated",
                    "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{urn}">x</a></div>',
                },
                "contained": [
                    {
                        "resourceType": "Group",
                        "id": "g",
                        "type": "person",
                        "actual": True,
                        "member": [{"entity": {"reference": urn}}],
                    }
                ],
                "focus": [{"reference": "#g"}],
                "extension": [
                    {"url": "http://example.org/see", "valueReference": {"reference": urn}},
                    {"url": "http://example.org/uri", "valueUri": urn},
                ],
                "identifier": [{"system": "urn:ietf:rfc:3986", "value": urn}],
            },
        ),
        entry("POST", "Patient", patient("refs"), urn),
    )
    assert response.status_code == 200, response.text
    stored, person = (answer["resource"] for answer in response.json()["entry"])
    target = f"Patient/{person['id']}"
    assert stored["subject"]["reference"] == target
    assert stored["contained"][0]["member"][0]["entity"]["reference"] == target
    assert stored["extension"][0]["valueReference"]["reference"] == target
    assert stored["extension"][1]["valueUri"] == target
    assert f'href="{target}"' in stored["text"]["div"]
    assert stored["identifier"][0]["value"] == urn, "an identifier's value is a string, not a link"


def test_conditional_references_match_stored_and_sent_resources(client: httpx.Client, refused: Any) -> None:
    known = client.post("/Patient", json=patient("cr-known")).json()["id"]
    response = post(
        client,
        "transaction",
        entry("POST", "Observation", observation("Patient?identifier=urn:test:tx|cr-known")),
        entry("POST", "Observation", observation("Patient?identifier=urn:test:tx|cr-new")),
        entry("POST", "Patient", patient("cr-new")),
    )
    assert response.status_code == 200, response.text
    first, second, person = (answer["resource"] for answer in response.json()["entry"])
    assert first["subject"]["reference"] == f"Patient/{known}"
    assert second["subject"]["reference"] == f"Patient/{person['id']}"
    issue = refused(
        post(client, "transaction", entry("POST", "Observation", observation("Patient?identifier=none"))), 400
    )
    assert issue["expression"] == ["Bundle.entry[0].resource.subject.reference"]


def test_conditional_create_inside_a_transaction(client: httpx.Client) -> None:
    urn = "urn:uuid:33333333-3333-4333-8333-333333333333"
    other = "urn:uuid:44444444-4444-4444-8444-444444444444"
    condition = {"ifNoneExist": "identifier=urn:test:tx|once"}
    entries = (
        entry("POST", "Patient", patient("once"), urn, **condition),
        entry("POST", "Patient", patient("once"), other, **condition),
        entry("POST", "Observation", observation(other)),
    )
    first = post(client, "transaction", *entries).json()["entry"]
    assert [answer["response"]["status"] for answer in first] == ["201 Created", "200 OK", "201 Created"]
    again = post(client, "transaction", *entries).json()["entry"]
    assert [answer["response"]["status"] for answer in again] == ["200 OK", "200 OK", "201 Created"]
    assert again[2]["resource"]["subject"] == first[2]["resource"]["subject"]


def test_two_entries_for_one_identity_are_refused(client: httpx.Client, refused: Any) -> None:
    client.put("/Patient/dup-1", json=patient("dup", id="dup-1"))
    twice = post(
        client,
        "transaction",
        entry("PUT", "Patient/dup-1", patient("dup", id="dup-1", active=True)),
        entry("DELETE", "Patient/dup-1"),
    )
    assert "dup-1" in refused(twice, 400, "duplicate-identity")["diagnostics"]
    resolved = post(
        client,
        "transaction",
        entry("PUT", "Patient?identifier=urn:test:tx|dup", patient("dup", active=True)),
        entry("PUT", "Patient/dup-1", patient("dup", id="dup-1", active=False)),
    )
    refused(resolved, 400, "duplicate-identity")
    assert client.get("/Patient/dup-1").headers["etag"] == 'W/"1"'


def test_all_or_nothing_and_every_fault_named(client: httpx.Client, refused: Any) -> None:
    response = post(
        client,
        "transaction",
        entry("POST", "Patient", patient("nothing")),
        entry("POST", "Patient", {"resourceType": "Patient", "gender": "x", "nme": []}),
        entry("POST", "Observation", observation("urn:uuid:55555555-5555-4555-8555-555555555555")),
    )
    refused(response, 400)
    expressions = [issue["expression"][0] for issue in response.json()["issue"]]
    assert "Bundle.entry[1].resource.gender" in expressions
    assert "Bundle.entry[2].resource.subject.reference" in expressions
    assert client.get("/Patient?identifier=urn:test:tx|nothing").json()["total"] == 0
    late = post(
        client,
        "transaction",
        entry("POST", "Patient", patient("nothing")),
        entry("PUT", "Patient/any", patient("x", id="any"), ifMatch='W/"4"'),
    )
    assert refused(late, 412, "version-conflict")["expression"] == ["Bundle.entry[1]"]
    assert client.get("/Patient?identifier=urn:test:tx|nothing").json()["total"] == 0


def test_shape_faults_are_told_together(client: httpx.Client, refused: Any) -> None:
    response = post(
        client,
        "transaction",
        {"resource": patient("a")},
        entry("POST", "Patient"),
        entry("POST", "Banana", patient("a")),
        entry("PUT", "http://elsewhere.example/fhir/Patient/1", patient("a", id="1")),
        entry("GET", "Patient/1", patient("a")),
    )
    refused(response, 400)
    told = " ".join(issue["expression"][0] for issue in response.json()["issue"])
    for index in range(5):
        assert f"Bundle.entry[{index}]" in told
    refused(client.post("/", json={"resourceType": "Bundle", "type": "collection"}), 400, "bundle-type")
    refused(client.post("/", json=patient("a")), 400, "wrong-resource-type")
    assert post(client, "transaction").status_code == 200


def test_patch_entries(client: httpx.Client) -> None:
    client.put("/Patient/px", json=patient("px", id="px"))
    parts = [
        {"name": "type", "valueCode": "add"},
        {"name": "path", "valueString": "Patient"},
        {"name": "name", "valueString": "gender"},
        {"name": "value", "valueCode": "male"},
    ]
    document = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    response = post(client, "transaction", entry("PATCH", "Patient/px", document))
    assert response.status_code == 200, response.text
    assert client.get("/Patient/px").json()["gender"] == "male"
    binary = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": "W3sib3AiOiJyZW1vdmUiLCJwYXRoIjoiL2dlbmRlciJ9XQ==",
    }
    response = post(client, "transaction", entry("PATCH", "Patient/px", binary, ifMatch='W/"2"'))
    assert response.status_code == 200, response.text
    assert "gender" not in client.get("/Patient/px").json()


def test_a_batch_does_each_entry_on_its_own(client: httpx.Client) -> None:
    response = post(
        client,
        "batch",
        entry("POST", "Patient", patient("batch-1")),
        entry("POST", "Patient", {"resourceType": "Patient", "gender": "x"}),
        entry("GET", "Patient/none"),
        entry("GET", "/Patient?identifier=urn:test:tx|batch-1"),
        entry("GET", "metadata"),
    )
    assert response.status_code == 200, response.text
    answers = response.json()["entry"]
    assert [answer["response"]["status"].split()[0] for answer in answers] == ["201", "400", "404", "200", "200"]
    assert answers[1]["response"]["outcome"]["issue"][0]["expression"] == ["Patient.gender"]
    assert answers[3]["resource"]["total"] == 1


def test_a_large_transaction_is_one_commit(client: httpx.Client, refused: Any) -> None:
    entries = [entry("POST", "Basic", {"resourceType": "Basic", "code": {"text": str(n)}}) for n in range(300)]
    response = post(client, "transaction", *entries)
    assert response.status_code == 200
    stamps = {answer["response"]["lastModified"] for answer in response.json()["entry"]}
    assert len(stamps) == 1
    assert [answer["resource"]["code"]["text"] for answer in response.json()["entry"]] == [str(n) for n in range(300)]
    too_many = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "x"}}] * 5001}
    refused(client.post("/", content=json.dumps(too_many)), 400, "too-many-entries")
