"""Instances that others published go in, come back and can be worked with; read from beside the checkout when present."""

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_server.app import build_engine
from fhir_server.interactions.perform import perform
from fhir_server.interactions.request import Kind, Request
from fhir_server.model.codec import encode
from fhir_server.model.errors import FhirError
from fhir_server.settings import Settings

DATA = Path(__file__).parents[2].parent / "shared" / "data"
FOLDERS = ("gravity-ri-seed", "hl7-be-core", "hl7-be-pss", "nl-core-zib2020")

REFUSED: dict[str, str] = {}
"""Instances that break R4, by file name, with the key of the rule."""


def instances() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((DATA / folder).rglob("*.json"))]


@pytest.mark.parametrize("path", instances(), ids=lambda path: path.name)
def test_each_published_instance_is_taken_or_refused_with_its_reason(path: Path, engine: Any) -> None:
    resource = json.loads(path.read_bytes())
    request = Request(
        "PUT",
        f"{resource['resourceType']}/{resource.get('id', path.stem)}",
        body=path.read_bytes(),
        content_type="application/fhir+json",
    )
    if "id" not in resource:
        request = Request("POST", resource["resourceType"], body=encode(resource), content_type="application/fhir+json")
    try:
        assert perform(engine, request).kind in (Kind.CREATED, Kind.OK)
        keys = set()
    except FhirError as error:
        keys = {issue.key for issue in error.issues}
    assert keys == ({REFUSED[path.name]} if path.name in REFUSED else set())


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    built = build_engine(Settings(store=f"sqlite:///{tmp_path_factory.mktemp('third') / 'fhir.sqlite'}"))
    yield built
    built.store.close()


@pytest.mark.skipif(not DATA.is_dir(), reason="the published examples are not beside this checkout")
def test_published_referrals_are_read_polled_and_moved_on(engine: Any) -> None:
    """Plain resources: they claim other people's profiles, so that our rules leave them alone."""
    for path in sorted((DATA / "gravity-ri-seed").glob("*.json")):
        resource = json.loads(path.read_bytes())
        place = f"{resource['resourceType']}/{resource['id']}"
        perform(engine, Request("PUT", place, body=path.read_bytes(), content_type="application/fhir+json"))
    name = "Task/SDOHCC-TaskReferralManagementOrderFulfillmentAcceptedExample"
    task = json.loads(perform(engine, Request("GET", name)).body or b"")
    owner = task["owner"]["reference"]
    asked = (("owner", owner), ("status", "accepted"), ("_sort", "_lastUpdated"), ("_include", "Task:focus"))
    page = json.loads(perform(engine, Request("GET", "Task", asked)).body or b"")
    kinds = [(entry["search"]["mode"], entry["resource"]["resourceType"]) for entry in page["entry"]]
    assert ("match", "Task") in kinds
    assert ("include", "ServiceRequest") in kinds
    before = max(entry["resource"]["meta"]["lastUpdated"] for entry in _of_owner(engine, owner))
    task["status"] = "in-progress"
    moved = perform(engine, Request("PUT", name, body=encode(task), content_type="application/fhir+json"))
    assert moved.version is not None
    changed = _of_owner(engine, owner, ("_lastUpdated", f"gt{before}"))
    assert [entry["resource"]["status"] for entry in changed] == ["in-progress"]


def _of_owner(engine: Any, owner: str, *more: tuple[str, str]) -> list[dict[str, Any]]:
    found = perform(engine, Request("GET", "Task", (("owner", owner), *more)))
    return list(json.loads(found.body or b"")["entry"])
