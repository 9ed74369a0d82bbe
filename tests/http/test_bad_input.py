"""Whatever comes in, the answer is a 4xx OperationOutcome, quick, and nothing is stored."""

import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

BODIES: list[tuple[str, bytes, str]] = [
    ("truncated", b'{"resourceType":"Basic","code":{"te', "not-json"),
    ("empty", b"", "empty-body"),
    ("not utf-8", b'{"resourceType":"Basic","code":{"text":"\xff"}}', "not-utf-8"),
    ("byte order mark", b'\xef\xbb\xbf{"resourceType":"Basic","code":{"text":"a"}}', "byte-order-mark"),
    ("utf-16", '{"resourceType":"Basic","code":{"text":"a"}}'.encode("utf-16"), ""),
    ("duplicate member", b'{"resourceType":"Basic","code":{"text":"a","text":"b"}}', "duplicate-member"),
    ("escaped duplicate", b'{"resourceType":"Basic","code":{"text":"a","t\\u0065xt":"b"}}', "duplicate-member"),
    ("NaN", b'{"resourceType":"Basic","code":NaN}', "not-json"),
    ("Infinity", b'{"resourceType":"Basic","code":-Infinity}', "not-json"),
    ("deep arrays", b'{"resourceType":"Basic","code":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "too-deep"),
    ("deep objects", b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "too-deep"),
    ("deep extensions", b'{"resourceType":"Basic","code":{"text":"a"}' + b',"extension":[{"url":"u:x"' * 200
     + b"}]" * 200 + b"}", "too-deep"),
    ("two documents", b'{"resourceType":"Basic","code":{"text":"a"}}{}', "not-json"),
    ("an array", b'[{"resourceType":"Basic"}]', ""),
    ("a string", b'"Basic"', ""),
    ("no resourceType", b'{"code":{"text":"a"}}', "no-resource-type"),
    ("numeric resourceType", b'{"resourceType":1}', "no-resource-type"),
    ("wrong resourceType", b'{"resourceType":"Bannana"}', "wrong-resource-type"),
    ("null member", b'{"resourceType":"Basic","code":null}', ""),
    ("empty array", b'{"resourceType":"Basic","code":{"coding":[]}}', ""),
    ("empty object", b'{"resourceType":"Basic","code":{}}', ""),
    ("unknown member", b'{"resourceType":"Basic","code":{"text":"a"},"colour":"red"}', "unknown-element"),
    ("operator object", b'{"resourceType":"Basic","code":{"text":{"$gt":""}}}', ""),
    ("lone surrogate", b'{"resourceType":"Basic","code":{"text":"\\ud800"}}', ""),
    ("lone surrogate inside", b'{"resourceType":"Basic","code":{"text":"a\\udc00b"}}', ""),
    ("NUL", b'{"resourceType":"Basic","code":{"text":"a\\u0000b"}}', ""),
    ("raw control", b'{"resourceType":"Basic","code":{"text":"a\x01b"}}', ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "key"), BODIES, ids=[name for name, _, _ in BODIES])
def test_bad_bodies_are_refused(client: httpx.Client, refused: Any, name: str, body: bytes, key: str) -> None:
    before = client.get("/Basic?_summary=count").json()["total"]
    start = time.perf_counter()
    response = client.post("/Basic", content=body)
    took = time.perf_counter() - start
    refused(response, 400, key or None)
    assert took < 2, "bounded, also on a busy machine"
    assert client.get("/Basic?_summary=count").json()["total"] == before


def test_decimals_beyond_reason_are_refused(client: httpx.Client, refused: Any) -> None:
    body = b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":%s}}'
    for number in (b"1e400", b"-1E+9999999999", b"1e-400"):
        issue = refused(client.post("/Observation", content=body % number), 400)
        assert issue["expression"] == ["Observation.value.ofType(Quantity).value"]


def test_the_body_limit_is_a_setting_and_is_told(fresh_server: Any, refused: Any) -> None:
    server = fresh_server(max_body_bytes=2048, publish_artifacts=False)
    body = json.dumps({"resourceType": "Basic", "code": {"text": "x" * 4000}}).encode()
    headers = {"Content-Type": "application/fhir+json"}
    refused(httpx.post(f"{server.base}/Basic", content=body, headers=headers), 413, "too-large")
    refused(
        httpx.post(f"{server.base}/Basic", content=iter([body[:1000], body[1000:]]), headers=headers), 413, "too-large"
    )
    assert httpx.get(f"{server.base}/Basic?_summary=count").json()["total"] == 0


def test_sixty_megabytes_are_refused_quickly(client: httpx.Client, server: Any) -> None:
    parts = urlsplit(server.base)
    with socket.create_connection((parts.hostname, parts.port)) as raw:
        raw.sendall(
            b"POST /fhir/Basic HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n"
            b"Content-Length: 60000000\r\n\r\n" + b"x" * 1000
        )
        assert raw.recv(200).startswith(b"HTTP/1.1 413")
    assert client.get("/metadata").status_code == 200


def test_wrong_media_types_are_told_the_right_one(client: httpx.Client, refused: Any) -> None:
    body = b'{"resourceType":"Basic","code":{"text":"a"}}'
    for sent in ("text/plain", "application/xml", "application/fhir+xml", "application/x-www-form-urlencoded"):
        issue = refused(client.post("/Basic", content=body, headers={"Content-Type": sent}), 415)
        assert "application/fhir+json" in issue["diagnostics"]
    latin = {"Content-Type": "application/fhir+json; charset=latin-1"}
    refused(client.post("/Basic", content=body, headers=latin), 415)
    utf8 = {"Content-Type": "application/fhir+json;charset=UTF-8"}
    assert client.post("/Basic", content=body, headers=utf8).status_code == 201


def _raw(server: Any, target: bytes, method: bytes = b"GET") -> tuple[int, bytes]:
    parts = urlsplit(server.base)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as raw:
        raw.sendall(method + b" " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while chunk := raw.recv(65536):
            answer += chunk
    return int(answer.split(b" ", 2)[1]), answer


@pytest.mark.parametrize(
    "target",
    [
        b"/fhir/Patient/..", b"/fhir/Patient/%2e%2e", b"/fhir/../etc/passwd", b"/fhir/Patient/a%00b", b"/fhir/Patient/%ff",
        b"/fhir/Patient/%24everything%00", b"/fhir/" + b"a" * 2000, b"/fhir/Patient/" + b"9" * 65,
        b"/fhir/Patient/1/_history/99999999999999999999999", b"/fhir/Patient//", b"/fhir/%252e%252e/Patient",
        b"/fhir/Patient?identifier=%ff", b"/fhir/Patient?" + b"&".join(b"a=1" for _ in range(2000)),
    ],
)  # fmt: skip
def test_paths_and_queries_that_lead_nowhere(server: Any, target: bytes) -> None:
    status, answer = _raw(server, target)
    assert 400 <= status < 500, answer[:300]
    assert b"OperationOutcome" in answer


@pytest.mark.parametrize("organization", [{}, {"X-Dev-Organization": "Organization/o"}])
def test_a_purpose_that_is_none_is_refused_whoever_says_it(
    client: httpx.Client, refused: Any, organization: dict[str, str]
) -> None:
    refused(client.get("/Patient?_count=0", headers=organization | {"X-Purpose-Of-Use": "fun"}), 400, "bad-purpose")


def test_unknown_methods_are_refused(server: Any) -> None:
    for method in (b"TRACE", b"LINK"):
        status, _ = _raw(server, b"/fhir/Patient", method)
        assert 400 <= status < 500


@pytest.mark.parametrize(
    "value", ['{"$gt":""}', "'; DROP TABLE version; --", '" OR 1=1 --', "%", "*", "\u0001", "a" * 8000]
)
def test_hostile_values_are_only_data(client: httpx.Client, value: str) -> None:
    made = client.post("/Patient", json={"resourceType": "Patient", "name": [{"family": "Hostile"}]})
    assert made.status_code == 201
    for name in ("family", "identifier", "gender", "_id", "family:exact", "family:contains"):
        response = client.get("/Patient", params={name: value})
        assert response.status_code in (200, 400), response.text
        if response.status_code == 200:
            assert response.json().get("total", 0) == 0
    assert client.get("/Patient", params={"family": "hostile"}).json()["entry"]


def test_a_locked_file_is_a_503_and_loses_nothing(fresh_server: Any, tmp_path: Any) -> None:
    import sqlite3

    server = fresh_server(store=f"sqlite:///{tmp_path}/full.sqlite", busy_seconds=0.3, publish_artifacts=False)
    resource = {"resourceType": "Basic", "code": {"text": "kept"}}
    kept = httpx.post(f"{server.base}/Basic", json=resource).json()["id"]
    lock = sqlite3.connect(tmp_path / "full.sqlite", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        response = httpx.post(f"{server.base}/Basic", json=resource, timeout=30)
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) >= 1
        assert response.json()["issue"][0]["details"]["coding"][0]["code"] == "store-unavailable"
        assert httpx.get(f"{server.base}/Basic/{kept}").status_code == 200, "a reader is not blocked"
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    assert httpx.post(f"{server.base}/Basic", json=resource).status_code == 201
    assert httpx.get(f"{server.base}/Basic?_summary=count").json()["total"] == 2
