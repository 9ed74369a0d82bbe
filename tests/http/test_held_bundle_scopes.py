"""What a token does not grant is refused in a Bundle as it is alone: with its place, and before anything is done."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fhir_server.access.scopes import parse_scopes
from tests.property.access_world import CALLERS, World, furnish, opened

NOTE = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened(tmp_path_factory.mktemp("scopes")) as made:
        furnish(made)
        yield made


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The practice, with a token for findings that it may read and make, and nothing else."""
    token = replace(CALLERS["gp"], scopes=parse_scopes("system/Observation.crs"))
    monkeypatch.setitem(CALLERS, "narrow", token)


def entry(method: str, url: str, resource: dict[str, Any] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url}}
    return {**made, "resource": resource} if resource else made


@pytest.mark.parametrize(
    ("method", "url", "resource"),
    [
        ("GET", "Patient/ann", None),
        ("GET", "Condition?subject=Patient/ann", None),
        ("GET", "ServiceRequest/r-ann/_history", None),
        ("POST", "Condition", {"resourceType": "Condition", "subject": {"reference": "Patient/ann"}}),
        ("PUT", "Observation/info-ann", {**NOTE, "id": "info-ann"}),
        ("DELETE", "Observation/info-ann", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_entry_that_the_token_does_not_grant_undoes_the_transaction(
    world: World, method: str, url: str, resource: dict[str, Any] | None
) -> None:
    alone = world.ask("narrow", method, url, resource)
    assert alone.status == 403
    assert b"scope-insufficient" in alone.body
    sent = [entry("POST", "Observation", NOTE), entry(method, url, resource)]
    before = world.engine.store.read(lambda snapshot: snapshot.last_sequence())
    answer = world.ask("narrow", "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": sent})
    assert (answer.status, b"scope-insufficient" in answer.body, b"Bundle.entry[1]" in answer.body) == (403, True, True)
    assert world.engine.store.read(lambda snapshot: snapshot.last_sequence()) == before
    allowed = {"resourceType": "Bundle", "type": "transaction", "entry": sent[:1]}
    assert world.ask("narrow", "POST", "", allowed).status == 200
