"""Conditional interactions (R4 http.html#ccreate, #cond-update, #cdelete), also under concurrency."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx


def person(value: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:test:cond", "value": value}], **more}


def condition(value: str) -> str:
    return f"identifier=urn:test:cond|{value}"


def test_conditional_create_creates_once(client: httpx.Client, refused: Any) -> None:
    headers = {"If-None-Exist": condition("a1")}
    first = client.post("/Patient", json=person("a1"), headers=headers)
    second = client.post("/Patient", json=person("a1"), headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["id"] == first.json()["id"]
    client.post("/Patient", json=person("a1"))
    refused(client.post("/Patient", json=person("a1"), headers=headers), 412, "multiple-matches")


def test_a_condition_must_be_understood_whole(client: httpx.Client, refused: Any) -> None:
    for header in ("", "identifer=1", "_count=1", "identifier=urn:test:cond|x&colour=red"):
        refused(client.post("/Patient", json=person("a2"), headers={"If-None-Exist": header}), 400)
    lenient = {"If-None-Exist": "colour=red", "Prefer": "handling=lenient"}
    refused(client.post("/Patient", json=person("a2"), headers=lenient), 400, "search-unknown-parameter")


def test_conditional_update_none_one_many(client: httpx.Client, refused: Any) -> None:
    url = f"/Patient?{condition('b1')}"
    made = client.put(url, json=person("b1"))
    assert made.status_code == 201
    changed = client.put(url, json=person("b1", gender="male"))
    assert changed.status_code == 200
    assert changed.json()["id"] == made.json()["id"]
    assert changed.headers["etag"] == 'W/"2"'
    refused(client.put(url, json=person("b1", id="another")), 400, "id-mismatch")
    client.post("/Patient", json=person("b1"))
    refused(client.put(url, json=person("b1")), 412, "multiple-matches")
    refused(client.put("/Patient", json=person("b1")), 400, "condition-missing")
    own = client.put(f"/Patient?{condition('b2')}", json=person("b2", id="cond-own-id"))
    assert own.json()["id"] == "cond-own-id"
    refused(client.put(f"/Patient?{condition('b3')}", json=person("b3", id="cond-own-id")), 409, "id-taken")


def test_conditional_patch_none_one_many(client: httpx.Client, refused: Any) -> None:
    patch = [{"op": "add", "path": "/gender", "value": "female"}]
    headers = {"Content-Type": "application/json-patch+json"}
    url = f"/Patient?{condition('c1')}"
    refused(client.patch(url, json=patch, headers=headers), 404, "not-found")
    client.post("/Patient", json=person("c1"))
    assert client.patch(url, json=patch, headers=headers).json()["gender"] == "female"
    client.post("/Patient", json=person("c1"))
    refused(client.patch(url, json=patch, headers=headers), 412, "multiple-matches")


def test_conditional_delete_none_one_many(client: httpx.Client, refused: Any) -> None:
    url = f"/Patient?{condition('d1')}"
    assert client.delete(url).status_code == 204
    made = [client.post("/Patient", json=person("d1")).json()["id"] for _ in range(3)]
    told = client.delete(url)
    assert told.status_code == 200
    assert "Deleted 3" in told.json()["issue"][0]["diagnostics"]
    assert [client.get(f"/Patient/{each}").status_code for each in made] == [410, 410, 410]
    refused(client.delete("/Patient"), 400, "condition-missing")
    refused(client.delete("/Patient?_count=5"), 400, "condition-parameter")


def test_fifty_clients_with_one_if_none_exist_make_one_resource(server: Any) -> None:
    def post(_: int) -> tuple[int, str]:
        response = httpx.post(
            f"{server.base}/Patient", json=person("race-1"), headers={"If-None-Exist": condition("race-1")}, timeout=60
        )
        return response.status_code, response.json()["id"]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(post, range(50)))
    assert sorted(status for status, _ in answers) == [200] * 49 + [201]
    assert len({resource_id for _, resource_id in answers}) == 1


def test_of_fifty_clients_with_one_if_match_one_wins(server: Any) -> None:
    made = httpx.post(f"{server.base}/Patient", json=person("race-2")).json()

    def put(number: int) -> int:
        body = {**made, "gender": ["male", "female"][number % 2], "multipleBirthInteger": number}
        url = f"{server.base}/Patient/{made['id']}"
        return httpx.put(url, json=body, headers={"If-Match": 'W/"1"'}, timeout=60).status_code

    with ThreadPoolExecutor(50) as pool:
        statuses = sorted(pool.map(put, range(50)))
    assert statuses == [200] + [412] * 49
    assert httpx.get(f"{server.base}/Patient/{made['id']}").headers["etag"] == 'W/"2"'
