"""The setting `cross_check`: what the server answers passes the models of fhir.resources too, or is not sent."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.app import build_engine
from fhir_server.settings import Settings
from fhir_server.validation.crosscheck import disagreement
from tests.conftest import RunningServer

EXAMPLES = Path(__file__).parents[2] / "examples"
CHECKED = (
    "metadata",
    "StructureDefinition/social-referral/$json-schema",
    "CodeSystem/social-need",
    "ValueSet/$expand?url=https://w3id.org/social-referral/ValueSet/social-need",
    "HealthcareService/$suggest?need=debt&city=Vilvoorde",
    "Patient?_count=2&_revinclude=Task:patient",
    "_history?_count=2",
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("checked")
    running = RunningServer({"store": f"sqlite:///{folder / 'fhir.sqlite'}", "cross_check": True})
    with httpx.Client(base_url=f"{running.base}/", timeout=30) as found:
        for name in sorted((EXAMPLES / "region").glob("*.json")):
            found.post(
                "", content=name.read_bytes(), headers={"content-type": "application/fhir+json"}
            ).raise_for_status()
        yield found
    running.stop()


@pytest.mark.parametrize("checked", [True, False])
def test_what_the_models_refuse_is_not_sent(tmp_path: Path, fresh_server: Any, checked: bool) -> None:
    """A body that the write path would never take stands in for a defect of ours."""
    settings = Settings(store=f"sqlite:///{tmp_path / 'broken.sqlite'}")
    body = b'{"resourceType":"Patient","id":"broken","gender":["secret"]}'
    engine = build_engine(settings)
    engine.store.write(lambda uow: uow.put("Patient", "broken", 1, body, (), "PUT"))
    engine.store.close()
    answer = httpx.get(f"{fresh_server(store=settings.store, cross_check=checked).base}/Patient/broken")
    assert answer.status_code == (500 if checked else 200)
    assert ("secret" in answer.text) is not checked


@pytest.mark.parametrize("path", CHECKED)
def test_what_is_answered_passes_a_second_opinion(path: str, client: httpx.Client) -> None:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text


def test_a_refusal_passes_it_too(client: httpx.Client) -> None:
    answer = client.get("Patient?nothing=1")
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        ({"resourceType": "Patient", "gender": ["secret"]}, "gender"),
        ({"resourceType": "Patient", "birthDate": "secret"}, "birthDate"),
        ({"resourceType": "Task", "secret": 1}, "secret"),
        ({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": {"resourceType": "Task"}}]}, "entry.0"),
    ],
)
def test_a_wrong_body_is_told_by_place_and_kind_only(resource: dict[str, object], place: str) -> None:
    found = disagreement(json.dumps(resource).encode())
    assert place in found
    assert "secret" not in found.replace("Task.secret", "").replace("secret: ", "")


DROPPED = {"resourceType": "EffectEvidenceSynthesis", "status": "active"}


@pytest.mark.parametrize(
    "body",
    [
        {"type": "object"},
        DROPPED,
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": DROPPED}]},
    ],
)
def test_it_has_no_say_on_what_is_no_resource_or_what_r4b_dropped(body: dict[str, object]) -> None:
    assert disagreement(json.dumps(body).encode()) == ""
