"""The CapabilityStatement is true: what it claims is tried, one claim at a time."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

SAMPLES = {
    "number": "1.5",
    "date": "2026-01-02",
    "string": "abc",
    "token": "urn:x|abc",
    "reference": "Patient/none",
    "quantity": "5.4|http://unitsofmeasure.org|mg",
    "uri": "http://example.org/x",
    "special": "50.9|4.4|10|km",
}

NAMED = {"_filter": "_id eq x and not(_lastUpdated gt 2020)", "_list": "none"}
"""Parameters whose value has a shape of its own."""


@pytest.fixture(scope="module")
def statement(client: httpx.Client) -> dict[str, Any]:
    return dict(client.get("/metadata").json())


def resources(statement: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from statement["rest"][0]["resource"]


def test_it_is_valid_r4_and_parses_with_another_implementation(statement: dict[str, Any]) -> None:
    from fhir.resources.R4B.capabilitystatement import CapabilityStatement

    from fhir_server.validation.pipeline import Validator

    assert Validator.load().validate(statement) == []
    CapabilityStatement.model_validate(statement)


def test_modes(client: httpx.Client, refused: Any) -> None:
    normative = client.get("/metadata?mode=normative").json()
    types = {resource["type"] for resource in normative["rest"][0]["resource"]}
    assert "Patient" in types
    assert "Task" not in types
    assert client.get("/metadata?mode=full").json() == client.get("/metadata").json()
    refused(client.get("/metadata?mode=terminology"), 400, "metadata-mode")
    refused(client.get("/metadata?colour=red"), 400, "unknown-parameter")


def test_every_claimed_search_parameter_answers(client: httpx.Client, statement: dict[str, Any]) -> None:
    failures = []
    for resource in resources(statement):
        for parameter in resource["searchParam"]:
            name, kind = parameter["name"], parameter["type"]
            value = NAMED.get(name) or SAMPLES.get(kind)
            if kind == "composite":
                continue  # exercised by the truth tables of the search contract
            response = client.get(f"/{resource['type']}", params={name: value, "_count": "1"})
            if "search-bad-boolean" in response.text:
                response = client.get(f"/{resource['type']}", params={name: "true", "_count": "1"})
            if response.status_code != 200:
                failures.append(f"{resource['type']}.{name} ({kind}): {response.text[:200]}")
    assert failures == []


def test_every_claimed_include_answers(client: httpx.Client, statement: dict[str, Any]) -> None:
    failures = []
    for resource in resources(statement):
        for kind, claims in (
            ("_include", resource.get("searchInclude")),
            ("_revinclude", resource.get("searchRevInclude")),
        ):
            for claim in (claims or [])[:40]:
                response = client.get(f"/{resource['type']}", params={kind: claim, "_count": "1"})
                if response.status_code != 200:
                    failures.append(f"{resource['type']} {kind}={claim}: {response.text[:200]}")
    assert failures == []


def test_every_type_offers_every_claimed_interaction(client: httpx.Client, statement: dict[str, Any]) -> None:
    """Asked with nothing to find or a body that cannot be, so that each type is tried without making resources."""
    for resource in resources(statement):
        name = resource["type"]
        codes = {interaction["code"] for interaction in resource["interaction"]}
        assert codes == {
            "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "search-type", "create"
        }  # fmt: skip
        assert client.get(f"/{name}/none").status_code == 404
        assert client.get(f"/{name}/_history?_count=1").status_code == 200
        wrong = client.post(f"/{name}", json={"resourceType": name, "nonsense": 1})
        assert wrong.status_code == 400
