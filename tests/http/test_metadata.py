"""The CapabilityStatement is true: its operations and interactions are tried here, its searches in `test_search_statement`."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest


@pytest.fixture(scope="module")
def statement(client: httpx.Client) -> dict[str, Any]:
    return dict(client.get("/metadata").json())


def resources(statement: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from statement["rest"][0]["resource"]


def ordinary(statement: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All but the audit trail, which offers less (tests/http/test_audit_events.py)."""
    yield from (resource for resource in resources(statement) if resource["type"] != "AuditEvent")


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


def test_every_claimed_operation_is_there_and_its_definition_can_be_read(
    client: httpx.Client, statement: dict[str, Any]
) -> None:
    """Asked without input, so that it does nothing: each answers for itself, and is not unknown."""
    claimed = [("", claim) for claim in statement["rest"][0].get("operation", ())]
    claimed += [(one["type"], claim) for one in resources(statement) for claim in one.get("operation", ())]
    definitions = {claim["definition"] for _, claim in claimed}
    for definition in definitions:
        assert client.get("/OperationDefinition", params={"url": definition}).json()["total"] == 1, definition
    missing = []
    body = {"resourceType": "Parameters"}
    for name, claim in claimed:
        places = (f"/{name}/${claim['name']}", f"/{name}/none/${claim['name']}") if name else (f"/${claim['name']}",)
        answers = [client.post(place, json=body) for place in places]
        if all("unknown-operation" in answer.text or answer.status_code >= 500 for answer in answers):
            missing.append((name, claim["name"], answers[0].text[:200]))
    assert missing == []


def test_every_type_offers_every_claimed_interaction(client: httpx.Client, statement: dict[str, Any]) -> None:
    """Asked with nothing to find or a body that cannot be, so that each type is tried without making resources."""
    for resource in ordinary(statement):
        name = resource["type"]
        codes = {interaction["code"] for interaction in resource["interaction"]}
        assert codes == {
            "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "search-type", "create"
        }  # fmt: skip
        assert client.get(f"/{name}/none").status_code == 404
        assert client.get(f"/{name}/_history?_count=1").status_code == 200
        wrong = client.post(f"/{name}", json={"resourceType": name, "nonsense": 1})
        assert wrong.status_code == 400
