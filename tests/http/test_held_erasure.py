"""What an erasure takes along, and what it only shows: nothing that is no record of the person goes unasked."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.test_erasure import run

PERSON = "Patient/e1"
OF_THE_PERSON: list[dict[str, Any]] = [
    {"resourceType": "Patient", "id": "e1"},
    {"resourceType": "Patient", "id": "e2"},
    {"resourceType": "ServiceRequest", "id": "sr", "status": "active", "intent": "order", "subject": {"reference": PERSON}},
    {"resourceType": "Observation", "id": "of", "status": "final", "code": {"text": "x"}, "subject": {"reference": PERSON}},
]  # fmt: skip
HANGING_ON_IT: list[tuple[dict[str, Any], str]] = [
    ({"resourceType": "Task", "id": "t", "status": "requested", "intent": "order", "focus": {"reference": "ServiceRequest/sr"}}, "erase"),
    ({"resourceType": "Observation", "id": "next", "status": "final", "code": {"text": "x"}, "hasMember": [{"reference": "Observation/of"}]}, "erase"),
    ({"resourceType": "VerificationResult", "id": "seen", "status": "attested", "target": [{"reference": "Observation/of"}]}, "keep"),
    ({"resourceType": "MessageHeader", "id": "sent", "eventUri": "urn:e", "source": {"endpoint": "urn:x"}, "focus": [{"reference": "ServiceRequest/sr"}]}, "keep"),
    ({"resourceType": "Task", "id": "t2", "status": "requested", "intent": "order", "focus": {"reference": "ServiceRequest/sr"}, "for": {"reference": "Patient/e2"}}, ""),
]  # fmt: skip


@pytest.fixture
def store(fresh_server: Any, tmp_path: Path) -> Path:
    path = tmp_path / "e.sqlite"
    server = fresh_server(store=f"sqlite:///{path}", publish_artifacts=False)
    with httpx.Client(base_url=server.base, headers={"Content-Type": "application/fhir+json"}, timeout=30) as http:
        for one in [*OF_THE_PERSON, *(resource for resource, _ in HANGING_ON_IT)]:
            assert http.put(f"/{one['resourceType']}/{one['id']}", json=one).status_code == 201
    server.stop()
    return path


def test_what_hangs_on_a_record_goes_with_it_where_it_is_of_a_person_and_is_shown_else(store: Path) -> None:
    said = run(store, "erase", PERSON, "--reason", "asked")
    assert said.exit_code == 0, said.output
    told = {line.split()[1]: line.split()[0] for line in said.output.splitlines() if line.startswith("  ")}
    own = {"Patient/e1": "erase", "ServiceRequest/sr": "erase", "Observation/of": "erase"}
    hanging = {f"{one['resourceType']}/{one['id']}": word for one, word in HANGING_ON_IT if word}
    assert {what: word for what, word in told.items() if word in ("erase", "keep")} == own | hanging
